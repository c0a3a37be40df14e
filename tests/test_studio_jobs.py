"""The studio's files and jobs: what is taken in, and that a wish is a job.toml of the command line."""

import io
import json
import math
import os
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import tree
from mlsolve.errors import InputError, MlsolveError, OptionError, OutputError
from mlsolve.guides import generate
from mlsolve.job.job import OPTION_KEYS
from mlsolve.media import media_names
from mlsolve_studio.studio import form, shelf, uploads
from mlsolve_studio.studio.folder import StudioFolder, last_name, slug
from mlsolve_studio.studio.jobs import Jobs
from mlsolve_studio.studio.uploads import Own, Uploads


@pytest.fixture
def folder(tmp_path):
    made = StudioFolder(tmp_path / "studio")
    made.make()
    return made


@pytest.fixture
def dropped(folder):
    """Drop bytes under a name and return what became of them."""
    taken = Uploads(folder)

    def drop(title, data, kind="pictures"):
        with taken.arriving(kind, title, len(data)) as arriving:
            for start in range(0, len(data), 1000):
                arriving.write(data[start : start + 1000])
            return arriving.keep()

    return drop


@pytest.fixture
def put(folder):
    """Put a picture where a drop would have put it, without reading it."""

    def put_there(title, size=(52, 40)):
        own = Own(f"{slug(Path(title).stem)}.png", title, *size, 3)
        (folder.pictures / own.name).write_bytes(b"")
        (folder.known / f"{own.name}.json").write_text(json.dumps(asdict(own)))
        return own

    return put_there


@pytest.fixture
def jobs(folder):
    return Jobs(folder, Uploads(folder))


def png(picture, height=40, width=52, seed=0):
    stream = io.BytesIO()
    Image.fromarray(np.rint(picture(height, width, seed) * 255).astype(np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def test_a_picture_is_kept_under_a_name_made_here(folder, dropped, picture):
    own = dropped("../../Straße/My Cat (1).PNG", png(picture))
    assert own.name == "my-cat-1.png"
    assert (own.title, own.width, own.height, own.planes) == ("My Cat (1).PNG", 52, 40, 3)
    assert (folder.pictures / own.name).read_bytes() == png(picture)
    with Image.open(folder.known / f"{own.name}.png") as thumbnail:
        assert thumbnail.size == (52, 40)
    assert Uploads(folder).all("pictures") == [own]
    assert dropped("another name.png", png(picture)) == own
    assert dropped("my cat 1.png", png(picture, seed=3)).name == "my-cat-1-2.png"
    assert len(list(folder.known.iterdir())) == 4
    assert {path.name for path in folder.path.parent.iterdir()} == {"studio"}


def test_a_turned_picture_is_shown_upright(folder, dropped, picture):
    stream = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.rint(picture(40, 80) * 255).astype(np.uint8)).save(stream, "JPEG", exif=exif)
    own = dropped("turned.jpg", stream.getvalue())
    assert (own.width, own.height) == (40, 80)
    with Image.open(folder.known / f"{own.name}.png") as thumbnail:
        assert thumbnail.size == (40, 80)


BROKEN = {
    "words.jpg": b"this is no picture",
    "empty.png": b"",
    "short.png": b"\x89PNG\r\n\x1a\n",
    "bomb.png": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\x7f\xff\xff\xff\x7f\xff\xff\xff\x08\2\0\0\0\xd9\x1b\x99\xa1",
    "page.svg": b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
}


@pytest.mark.parametrize("name", [*BROKEN, "cut.png", "tiny.png"])
def test_a_broken_picture_is_refused_with_the_line_of_the_command_line(
    name, folder, dropped, picture, mlsolve, tmp_path
):
    data = BROKEN.get(name)
    if data is None:
        data = png(picture)[:-500] if name == "cut.png" else png(picture, 5, 5)
    (tmp_path / name).write_bytes(data)
    refusal = mlsolve("run", name).refusal
    before = tree(folder.path)
    with pytest.raises(InputError) as error:
        dropped(name, data)
    assert str(error.value) == refusal
    assert tree(folder.path) == before


def test_uploads_are_limited_as_they_arrive(folder, picture, monkeypatch):
    taken = Uploads(folder)
    monkeypatch.setitem(uploads.LARGEST, "pictures", 3000)
    with pytest.raises(InputError, match=r"large\.png is larger than 0\.0029 MiB: make it smaller"):
        taken.arriving("pictures", "large.png", 3001)
    with taken.arriving("pictures", "large.png", None) as arriving:
        arriving.write(b"x" * 3000)
        with pytest.raises(InputError, match="larger than"):
            arriving.write(b"x")
    assert list(folder.pictures.iterdir()) == []
    monkeypatch.setattr(uploads, "MOST", 0)
    with pytest.raises(InputError, match="there are 0 files in pictures already"):
        taken.arriving("pictures", "one.png", 10)
    monkeypatch.setattr(uploads, "SPARE_DISK", 1 << 62)
    with pytest.raises(OutputError, match="no room"):
        taken.arriving("pictures", "one.png", 10)


def test_what_was_half_received_is_removed_by_the_next_server(folder):
    (folder.pictures / ".arriving-1234").write_bytes(b"half")
    Uploads(folder).clean()
    assert list(folder.pictures.iterdir()) == []


def test_a_picture_that_a_run_uses_stays(folder, dropped, picture):
    own = dropped("t.png", png(picture))
    (folder.runs / "0001-t").mkdir()
    (folder.runs / "0001-t" / "job.toml").write_text(f'target = "../../pictures/{own.name}"')
    taken = Uploads(folder)
    with pytest.raises(InputError, match="is used by the run 0001-t"):
        taken.remove("pictures", own.name)
    (folder.runs / "0001-t" / "job.toml").unlink()
    taken.remove("pictures", own.name)
    assert [*folder.pictures.iterdir(), *folder.known.iterdir()] == []


@pytest.mark.parametrize("name", ["../secret.toml", "/etc/passwd", "a/../b", "no.png", "", None, 7, "x" * 500])
def test_only_names_made_here_are_looked_up(name, folder):
    (folder.path.parent / "secret.toml").write_text("x")
    for look in (
        lambda: folder.own("pictures", name),
        lambda: folder.run(name),
        lambda: folder.file(folder.known, name),
    ):
        with pytest.raises(InputError, match="there is no"):
            look()


def test_links_are_not_followed(folder):
    (folder.path.parent / "secret.png").write_bytes(b"x")
    name = "secret.png"
    try:
        (folder.pictures / name).symlink_to(folder.path.parent / "secret.png")
        (folder.runs / "0001-x").symlink_to(folder.path.parent)
    except OSError:
        return  # a system without links
    for look in (lambda: folder.own("pictures", name), lambda: folder.file(folder.pictures, name)):
        with pytest.raises(InputError):
            look()
    with pytest.raises(InputError):
        folder.run("0001-x")
    (folder.path / "media").rmdir()
    (folder.path / "media").symlink_to(folder.path.parent)
    with pytest.raises(OutputError, match="is a link"):
        folder.make()


def test_names_are_short_and_plain():
    assert slug("  Ünïcode & Co. — 2  ") == "unicode-co-2"
    assert slug("猫") == "picture"
    assert len(slug("x" * 500)) == 40
    assert last_name("C:\\pictures\\cat.jpg") == "cat.jpg"
    assert last_name("a/b\x1b[31m.png") == "b?[31m.png"


def wish(own, **settings):
    return {"pictures": [{"picture": own.name}], "guides": ["rosette:1:ember", "mosaic:2"], "settings": settings}


def test_a_wish_becomes_a_job_and_the_job_a_wish(jobs, put):
    cat, guide = put("cat.png"), put("guide.png")
    asked = {
        "pictures": [
            {"picture": cat.name},
            {
                "picture": guide.name,
                "place": [{"layer": 1}, {"layer": 2, "rotate": 90, "flip": "h"}],
                "weight": 2.0,
            },
        ],
        "guides": ["rosette:1:ember", guide.name],
        "settings": {
            "print": "100x100mm",
            "dpi": 60,
            "exposure": 0.1,
            "registration": "0.5mm",
            "hide_weight": 1.0,
            "media": "inkjet-film",
        },
    }
    checked = jobs.checked(asked)
    assert checked.size == (236, 236)
    assert checked.titles == ("cat.png", "guide.png")
    assert checked.job.options.registration == pytest.approx(0.5 / 25.4 * 60)
    assert checked.job.media == "inkjet-film"
    assert jobs.wish(checked.toml) == asked
    assert jobs.checked(jobs.wish(checked.toml)).toml == checked.toml


def test_sheets_that_lie_straight_need_no_words(jobs, put):
    own = put("cat.png")
    asked = wish(own)
    asked["pictures"][0]["place"] = [{"layer": n, "rotate": 0, "flip": None, "shift": [0, 0]} for n in (1, 2)]
    text = jobs.checked(asked).toml
    assert "rotate" not in text
    assert "flip" not in text
    assert "shift" not in text
    assert jobs.checked(wish(own)).size == (52, 40)


WRONG = (
    {"exposure": 2},
    {"exposure": "bright"},
    {"expozure": 0.1},
    {"size": "9x9"},
    {"size": [48, 48], "print": "A4"},
    {"print": "A99"},
    {"registration": "0.3mm"},
    {"registration": "300px"},
    {"iterations": 10**40},
    {"exposure": math.nan},
    {"shape": "disc", "size": [40, 52]},
    {"solver": "newton", "hide_weight": 1.0},
    {"min_density": 3.0},
    {"format": "exe"},
    {"gap": [1, "x"]},
    {"seed": -1},
)


@pytest.mark.parametrize("settings", WRONG, ids=str)
def test_a_wrong_setting_is_refused_with_the_line_of_the_command_line(
    settings, jobs, folder, put, picture, mlsolve, monkeypatch
):
    own = put("cat.png")
    (folder.pictures / own.name).write_bytes(png(picture))
    asked = wish(own, **settings)
    place = folder.runs / "0001-cat"
    place.mkdir()
    (place / "job.toml").write_text(jobs.toml(asked))
    monkeypatch.chdir(place)
    refusal = mlsolve("run", "job.toml", "--out", "o").refusal
    with pytest.raises((InputError, OptionError)) as error:
        jobs.checked(asked)
    assert " ".join(str(error.value).split()) == refusal


HOSTILE = (
    None,
    [],
    "job",
    {"pictures": []},
    {"pictures": [{}], "guides": ["rosette:1"]},
    {"pictures": [{"picture": "../../../etc/passwd"}], "guides": ["rosette:1"]},
    {"pictures": "OWN", "guides": ["/etc/passwd"]},
    {"pictures": "OWN", "guides": ["rosette:1:../../x"]},
    {"pictures": "OWN", "guides": ["rosette:1"] * 17},
    {"pictures": "OWN", "guides": [7]},
    {"pictures": "OWN", "guides": []},
    {"pictures": "OWN", "guides": ["rosette:1"], "settings": {"target": "/etc/passwd"}},
    {"pictures": "OWN", "guides": ["rosette:1"], "settings": {"cmyk_profile": "/etc/passwd"}},
    {"pictures": "OWN", "guides": ["rosette:1"], "settings": {"media": "/etc/passwd"}},
    {"pictures": "OWN", "guides": ["rosette:1"], "settings": {"media": "../runs/x.toml"}},
    {"pictures": "OWN", "guides": ["rosette:1"], "settings": {"media": {"a": 1}}},
    {"pictures": "OWN", "guides": ["rosette:1"], "settings": {"exposure\n[x]": 1}},
    {"pictures": "OWN", "guides": ["rosette:1"], "settings": {"gap": [[[[]]]]}},
    {"pictures": "OWN", "guides": ["rosette:1"], "settings": {"print": "\ud800"}},
    {"pictures": "OWN", "guides": ["rosette:1"], "settings": {"print": "x" * 10**6}},
    {"pictures": "OWN", "guides": ["rosette:1"], "settings": []},
    {"pictures": "PLACE", "place": [{"layer": 0}], "guides": ["rosette:1"]},
    {"pictures": "PLACE", "place": [{"layer": 99}], "guides": ["rosette:1"]},
    {"pictures": "PLACE", "place": [{"layer": 1, "shift": "far"}], "guides": ["rosette:1"]},
    {"pictures": "PLACE", "place": [{"layer": 1, "rotate": True, "x": {}}], "guides": ["rosette:1"]},
    {"pictures": "PLACE", "place": [1, 2], "guides": ["rosette:1"]},
    {"pictures": "PLACE", "place": {"layer": 1}, "guides": ["rosette:1"]},
)


@pytest.mark.parametrize("asked", HOSTILE, ids=lambda asked: ascii(asked)[:60])
def test_a_hostile_wish_is_refused_in_one_line(asked, jobs, folder, put):
    own = put("cat.png")
    if isinstance(asked, dict) and asked["pictures"] == "OWN":
        asked = {**asked, "pictures": [{"picture": own.name}]}
    elif isinstance(asked, dict) and asked["pictures"] == "PLACE":
        asked = {"pictures": [{"picture": own.name, "place": asked["place"]}], "guides": asked["guides"]}
    before = tree(folder.path)
    with pytest.raises(MlsolveError) as error:
        jobs.checked(asked)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 1000
    assert tree(folder.path) == before


def test_a_dropped_job_finds_its_pictures_by_their_names(jobs, folder, put):
    own = put("woman.jpg")
    found = jobs.wish(
        'target = "/home/me/pictures/woman.jpg"\nguides = ["rosette:1", "woman.jpg"]\nexposure = 0.1\n'
    )
    assert found["pictures"] == [{"picture": own.name}]
    assert found["guides"] == ["rosette:1", own.name]
    newer = put("woman-2.png")
    (folder.known / f"{newer.name}.json").write_text(json.dumps(asdict(replace(newer, title="woman.jpg"))))
    os.utime(folder.pictures / own.name, (1, 1))
    found = jobs.wish('target = "woman.jpg"\nguides = ["../../pictures/woman.png"]\n')
    assert (found["pictures"], found["guides"]) == ([{"picture": newer.name}], [own.name])
    place = '[[arrangement]]\ntarget = "woman.jpg"\nplace = [1, {layer = 2, rotate = 90}]\n'
    found = jobs.wish(f'guides = ["rosette:1", "mosaic:1"]\n{place}')
    assert found["pictures"][0]["place"] == [{"layer": 1}, {"layer": 2, "rotate": 90}]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('target = "/etc/passwd"\nguides = ["rosette:1"]', "job.toml names 'passwd', which is not here: drop"),
        ('target = "cat.png"\nguides = ["../../x.png"]', "job.toml names 'x.png', which is not here"),
        ('target = "cat.png"\nguides = ["rosette:1"]\nmedia = "/etc/passwd"', "names 'passwd'"),
        ('target = "cat.png"\nguides = ["rosette:1"]\ncmyk_profile = "/etc/passwd"', "the studio cannot use"),
        ('target = "cat.png"\nguides = ["rosette:1"]\nexposure = 2', "job.toml: exposure is 2: it must be"),
        ('target = "cat.png"\nguides = ["rosette:1"]\nexposer = 2', "unknown key 'exposer': did you mean"),
        ('target = "cat.png"', "job.toml: guides is missing: add it"),
        ("guides = [[[", "job.toml is not a TOML file"),
        ("a = " + "[" * 5000, "job.toml is not a TOML file"),
        ("x" * 300_000, "job.toml has 300000 characters"),
        ("arrangement = 7\nguides = ['rosette:1']", "write [[arrangement]] above each"),
    ],
)
def test_a_hostile_job_is_refused_in_one_line(text, line, jobs, folder, put):
    put("cat.png")
    before = tree(folder.path)
    with pytest.raises(MlsolveError) as error:
        jobs.wish(text)
    assert line in str(error.value)
    assert tree(folder.path) == before


def test_a_media_profile_can_be_dropped(jobs, folder, dropped, picture):
    from mlsolve.media.media import INCLUDED

    data = (INCLUDED / "inkjet-film.toml").read_bytes()
    profile = dropped("my printer.toml", data, "media")
    assert profile.name == "my-printer.toml"
    checked = jobs.checked(wish(dropped("cat.png", png(picture)), media=profile.name))
    assert checked.job.media == folder.runs / "job" / "../../media" / profile.name
    assert jobs.wish(checked.toml)["settings"]["media"] == profile.name
    with pytest.raises(InputError, match=r"bad\.toml"):
        dropped("bad.toml", b"format = 1\n", "media")
    assert [path.name for path in folder.media.iterdir()] == [profile.name]


def test_thumbnails_are_the_guides_drawn_small():
    shown = np.asarray(Image.open(io.BytesIO(shelf.thumbnail("rosette:7:lagoon"))))
    assert np.array_equal(shown, generate("rosette", (shelf.SIDE, shelf.SIDE), 7, "lagoon"))
    for name in ("rosette", "rosette:x", "cube:1", "rosette:1:../x", "rosette:" + "9" * 99, "rosette:1:\n"):
        with pytest.raises(OptionError, match="guide"):
            shelf.thumbnail(name)


def test_examples_are_those_of_a_clone():
    assert "cat.jpg" in shelf.examples()
    for name in ("../README.md", "README.md", "", None):
        with pytest.raises(InputError, match="there is no example"):
            shelf.example(name)


def test_the_form_has_every_setting_of_a_job():
    names = {one["name"] for one in form.fields()}
    assert names | {"exposure", "registration", "hide_weight", "seed"} >= set(OPTION_KEYS)
    assert json.loads(json.dumps(form.fields())) == form.fields()
    assert "inkjet-film" in media_names()


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="cannot be written"):
        StudioFolder(Path(os.path.abspath(tmp_path / "file"))).make()  # noqa: PTH100
