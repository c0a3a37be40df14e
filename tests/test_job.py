import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest

from mlsolve import Arrangement, InputError, OptionError, Options, Placement
from mlsolve.job.job import Job, own_guides, parse_generated, parse_size
from mlsolve.job.job_file import guide_entry, load_job, parse_job
from mlsolve.job.print_size import MAX_SIDE


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_a_job_comes_back_as_it_was(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    options = Options(
        iterations=7, levels=2, exposure=0.2, target_ssim=0.9, patience=3, guide_weight=0.5, threads=2
    )
    job = Job(tmp_path / 'a "quoted" \\ näme.png', (tmp_path / "g.png", "mosaic:3"), (40, 30), "contain", options)
    found = load_job(write(folder / "job.toml", job.toml(folder)))
    assert found.target.resolve() == job.target.resolve()
    assert found.guides[0].resolve() == job.guides[0].resolve()
    assert found.guides[1] == "mosaic:3"
    assert (found.size, found.fit) == (job.size, job.fit)
    assert found.options == dataclasses.replace(options, threads=None)


def test_a_short_job_is_enough(tmp_path):
    job = load_job(write(tmp_path / "job.toml", 'target = "t.png"\nguides = ["g.png", "rosette:2"]\nsize = 600\n'))
    assert job == Job(tmp_path / "t.png", (tmp_path / "g.png", "rosette:2"), (600, 600))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("target = ", "is not a TOML file"),
        (
            r'target = "C:\Users\me\cat.png"',
            "): write paths of Windows in single quotes, ",
        ),
        (r'target = "C:\pictures\cat.png"', "): write paths of Windows in single quotes, "),
        (r"target = C:\cat.png", "): write paths of Windows in single quotes, "),
        (
            r'guides = ["g"]' "\n" r'target = "C:\new\tree.png"',
            r"target is 'C:\new\tree.png', where backslashes became other characters: write paths of Windows in",
        ),
        (
            'target = "t"\n' r'guides = ["C:\blue\fern.png"]',
            r"guides is 'C:\x08lue\x0cern.png', where backslashes became other characters: write paths of Windows",
        ),
        ('target = "t"\nguides = ["g"]\ncmyk_profile = 3', "cmyk_profile is 3: give the name of an ICC profile"),
        ('guides = ["g.png"]', "target is missing: add it"),
        ('target = "t.png"', "guides is missing: add it"),
        ('target = 3\nguides = ["g"]', "target is 3: give the name of a picture file"),
        ('target = "t"\nguides = "g"', "guides is 'g': give a list"),
        ('target = "t"\nguides = []', "there are 0 guides"),
        ('target = "t"\nguides = ["g"]\niteration = 3', "unknown key 'iteration': did you mean 'iterations'?"),
        ('target = "t"\nguides = ["g"]\nexposre = 0.1', "unknown key 'exposre': did you mean 'exposure'?"),
        (
            'target = "t"\nguides = ["g"]\nthreads = 2',
            ": threads is no part of a job: give --threads on the command line",
        ),
        ('target = "t"\nguides = ["g"]\nexposure = "dark"', "exposure is 'dark': it must be a number"),
        ('target = "t"\nguides = ["g"]\nexposure = 3', "exposure is 3: it must be from 0.0001 to 1"),
        ('target = "t"\nguides = ["g"]\nsize = "big"', "size is 'big': give N for a square or WxH"),
        ('target = "t"\nguides = ["g"]\nsize = [5, 600]', "size is 5×600: the smallest side"),
        ('target = "t"\nguides = ["g"]\nfit = "fill"', "fit is 'fill': use cover, contain or stretch"),
        ('target = "t"\nguides = ["g"]\nseed = ' + "9" * 5000, "is not a TOML file"),
        ('target = "t"\nguides = ["g"]\nssim_weight = ' + "9" * 400, "ssim_weight is inf"),
        ('target = "t"\nguides = ["g"]\nsize = [1000001, 600]', "the largest side may be 1000000"),
        ('target = "t"\nguides = ["mosaic:x"]', "guide is 'mosaic:x': use FAMILY:SEED"),
    ],
)
def test_refused_jobs(tmp_path, text, words):
    with pytest.raises((InputError, OptionError)) as error:
        load_job(write(tmp_path / "job.toml", text))
    assert words in str(error.value)
    assert str(tmp_path / "job.toml") in str(error.value)
    assert "\n" not in str(error.value)


def test_refused_files(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        load_job(tmp_path / "job.toml")
    with pytest.raises(InputError, match=r"is a folder: give the job\.toml in it"):
        load_job(tmp_path)
    (tmp_path / "b.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="is not UTF-8 text: save it as UTF-8"):
        load_job(tmp_path / "b.toml")


@pytest.mark.parametrize(
    ("value", "size"),
    [
        (600, (600, 600)),
        ("600", (600, 600)),
        ("640x480", (640, 480)),
        ("640X480", (640, 480)),
        ([64, 48], (64, 48)),
        # Larger than OpenCV can draw and than fits any memory: solved in tiles.
        ([MAX_SIDE, 11], (1_000_000, 11)),
    ],
)
def test_sizes(value, size):
    assert parse_size(value) == size


@pytest.mark.parametrize(
    "value",
    ["", "x", "10", "-600", "600x", "1x2x3", "60.5", "9" * 5000, MAX_SIDE + 1, 5.5, True, None, [1, 2, 3], "600mm"],
)
def test_refused_sizes(value):
    with pytest.raises(OptionError, match="size is"):
        parse_size(value)


def test_generated_guides(tmp_path):
    assert parse_generated("mosaic") == ("mosaic", 0, None)
    assert parse_generated("mosaic:12:ember") == ("mosaic", 12, "ember")
    assert guide_entry("mosaic:3", tmp_path) == "mosaic:3"
    assert guide_entry("mosaic.png", tmp_path) == tmp_path / "mosaic.png"
    (tmp_path / "mosaic").write_text("a file of that name comes first")
    assert guide_entry("mosaic", tmp_path) == tmp_path / "mosaic"
    with pytest.raises(OptionError, match="palette is 'mud'"):
        guide_entry("mosaic:3:mud", tmp_path)


def test_a_job_with_a_byte_order_mark(tmp_path):
    text = '\ufefftarget = "t.png"\nguides = ["g.png"]\n'
    assert load_job(write(tmp_path / "job.toml", text)).target == tmp_path / "t.png"


def test_a_name_that_toml_cannot_hold(tmp_path):
    name = os.fsdecode(b"bad\xff.png")
    with pytest.raises(InputError, match=r"bad\\xff\.png is not a UTF-8 name") as error:
        Job(tmp_path / name, ("mosaic:1",))
    str(error.value).encode("utf-8")


@pytest.mark.parametrize("layers", [1, 3, 16])
def test_own_guides_are_all_different(layers):
    guides = own_guides(layers, 0) + own_guides(16, 1)
    assert len(set(guides)) == layers + 16
    for entry in guides:
        parse_generated(entry)


def test_pictures_are_fitted(tmp_path, save, picture):
    job = Job(save("t.png", picture(30, 60)), (save("g.png", picture(50, 20, 1)), "mosaic:1"), (40, 30), "contain")
    target, guides = job.pictures()
    assert [image.shape for image in (target, *guides)] == [(30, 40, 3)] * 3
    assert (target[:5] == 1).all()
    assert (guides[0][:, :13] == 1).all()
    whole, others = Job(Path(job.target), job.guides).pictures()
    assert whole.shape == others[0].shape == (30, 60, 3)
    assert whole.dtype == np.float32


def arranged(folder):
    """A job of three arrangements with all that can be said of one."""
    places = (Placement(2, -90.0), Placement(1, flip="v", shift=(3.0, -1.5)))
    return Job(
        (
            Arrangement(folder / "a.png"),
            Arrangement(folder / "b.png", places, 2.5, 0.125, folder / "mask.png"),
            Arrangement(folder / "c.png", (Placement(3),), mask=folder / "mask.png"),
        ),
        (folder / "g.png", "mosaic:3", "rosette:1"),
        (40, 40),
        options=Options(hide_weight=3.0, registration=2.5, registration_turn=0.5, exposure=0.1),
        dpi=254.0,
        shape="disc",
    )


def test_arrangements_come_back_as_they_were(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    job = arranged(tmp_path)
    text = job.toml(folder)
    assert load_job(write(tmp_path / "job.toml", job.toml(tmp_path))) == job
    found = load_job(write(folder / "job.toml", text))
    assert [one.resolve() for one in found.targets] == [one.resolve() for one in job.targets]
    for one, before in zip(found.arrangements, job.arrangements, strict=True):
        assert (one.place, one.weight, one.exposure) == (before.place, before.weight, before.exposure)
    # What goes without saying is not said: nor would it be of a job of one arrangement that is as usual.
    assert text.count("\nweight = ") == 1
    assert text.count("exposure = ") == 2  # one of them of all
    assert text.count("mask = ") == 2
    assert text.count("rotate = ") == text.count("flip = ") == text.count("shift = ") == 1
    assert "[[arrangement]]" not in Job(tmp_path / "a.png", ("mosaic:3",)).toml(folder)


def test_pictures_of_arrangements_are_counted(tmp_path):
    """As solving.spec counts them; a file is read once, however often it is named."""
    job = arranged(tmp_path)
    a, b, c, mask, guide = (tmp_path / f"{name}.png" for name in ("a", "b", "c", "mask", "g"))
    assert job.target == a
    assert job.targets == (a, b, c)
    assert job.masks == (mask, mask)
    assert job.entries == (a, b, c, guide, "mosaic:3", "rosette:1", mask, mask)
    assert job.files == (a, b, c, guide, mask)


def test_one_arrangement_needs_no_table(tmp_path):
    short = 'target = "t.png"\nmask = "m.png"\nguides = ["g.png"]\n'
    long = 'guides = ["g.png"]\n[[arrangement]]\ntarget = "t.png"\nmask = "m.png"\n'
    jobs = [load_job(write(tmp_path / "job.toml", text)) for text in (short, long)]
    assert jobs[0] == jobs[1] == Job((Arrangement(tmp_path / "t.png", mask=tmp_path / "m.png"),), jobs[0].guides)
    assert jobs[0].toml(tmp_path).startswith('target = "t.png"\nmask = "m.png"\nguides')
    # What is said of an arrangement alone needs its table.
    lain = dataclasses.replace(jobs[0], arrangements=(Arrangement(tmp_path / "t.png", (Placement(1, 180),)),))
    assert "[[arrangement]]" in lain.toml(tmp_path)
    assert load_job(write(tmp_path / "job.toml", lain.toml(tmp_path))) == lain


HEAD = 'guides = ["g.png", "mosaic:1", "mosaic:2"]\n'


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("[1, 2, 3]", [Placement(1), Placement(2), Placement(3)]),
        ("[3, {layer = 2}, 1]", [Placement(3), Placement(2), Placement(1)]),
        ('[{layer = 1, rotate = 90, flip = "h"}, 2, 3]', [Placement(1, 90, "h"), Placement(2), Placement(3)]),
        ("[1, 2, {layer = 3, shift = [3, -2.5]}]", [Placement(1), Placement(2), Placement(3, shift=(3, -2.5))]),
        # Millimetres at 127 dpi are five pixels each; whole pixels are exact, so they go to the nearest.
        ('[1, 2, {layer = 3, shift = ["3mm", 0]}]', [Placement(1), Placement(2), Placement(3, shift=(15, 0))]),
        ('[1, 2, {layer = 3, shift = ["-0.33mm", "0.1in"]}]', [1, 2, Placement(3, shift=(-2, 13))]),
        ('[1, 2, {layer = 3, shift = ["4px", "1.1cm"]}]', [1, 2, Placement(3, shift=(4, 55))]),
    ],
)
def test_placements_in_a_job(tmp_path, place, expected):
    text = f'{HEAD}dpi = 127\n[[arrangement]]\ntarget = "t.png"\nplace = {place}\n'
    (found,) = load_job(write(tmp_path / "job.toml", text)).arrangements
    assert found.place == tuple(Placement(one) if isinstance(one, int) else one for one in expected)


@pytest.mark.parametrize(
    ("said", "dpi", "pixels"),
    [("3", None, 3), ("2.5", None, 2.5), ('"0.3mm"', 254, 3), ('"0.3mm"', 127, 1.5), ('"4px"', 90, 4)],
)
def test_registration_in_a_job(tmp_path, said, dpi, pixels):
    text = f'{HEAD}target = "t.png"\nregistration = {said}\n'
    job = load_job(write(tmp_path / "job.toml", text), dpi)
    assert job.options.registration == pytest.approx(pixels)
    if dpi is not None:
        own = load_job(write(tmp_path / "job.toml", f"dpi = {dpi}\n{text}"))
        assert own.options.registration == pytest.approx(pixels)


TABLE = '[[arrangement]]\ntarget = "t.png"\n'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (TABLE + "[[arrangement]]\n", "arrangement 2: target is missing: add it"),
        (TABLE + "[[arrangement]]\ntarget = 3", "arrangement 2: target is 3: give the name of a picture file"),
        (TABLE + "mask = true", "arrangement 1: mask is True: give the name of a picture file"),
        (TABLE + "wieght = 2", "arrangement 1: unknown key 'wieght': did you mean 'weight'?"),
        (TABLE + "weight = 0", "arrangement 1: weight is 0: it must be from 1e-06 to 1e+06"),
        (TABLE + "weight = " + "9" * 400, "arrangement 1: weight is inf: it must be from 1e-06 to 1e+06"),
        (TABLE + "exposure = 2", "arrangement 1: exposure is 2: it must be from 0.0001 to 1"),
        (
            TABLE + "place = 3",
            "arrangement 1: place is 3: give a list, as in [{layer = 1}, {layer = 2, rotate = 90}]",
        ),
        (TABLE + "place = []", "arrangement 1: place is (): give a Placement for every sheet, one at least"),
        (
            TABLE + "place = [{rotate = 90}]",
            "place holds {'rotate': 90}: give a layer, as in {layer = 2, rotate = 90}",
        ),
        (TABLE + 'place = ["one"]', "arrangement 1: place holds 'one': give a layer"),
        (
            TABLE + "place = [{layer = 1, rotation = 9}]",
            "arrangement 1: place: unknown key 'rotation': did you mean 'rotate'?",
        ),
        (TABLE + "place = [{layer = 0}]", "arrangement 1: layer is 0: give the number of a layer, from 1"),
        (TABLE + "place = [true]", "arrangement 1: layer is True: give the number of a layer"),
        (
            TABLE + "place = [{layer = 1, rotate = 1e9}]",
            "arrangement 1: rotate is 1e+09: it must be from -3600 to 3600",
        ),
        (TABLE + 'place = [{layer = 1, flip = "up"}]', "arrangement 1: flip is 'up': use \"h\" (left and right)"),
        (
            TABLE + "place = [{layer = 1, shift = 3}]",
            "arrangement 1: shift is 3: give two numbers, to the right and down",
        ),
        (TABLE + "place = [{layer = 1, shift = [1]}]", "arrangement 1: shift is [1]: give two numbers"),
        (
            TABLE + 'place = [{layer = 1, shift = ["3ells", 1]}]',
            "shift is '3ells': give pixels or a length, as in 3px or",
        ),
        (
            TABLE + f"place = [{{layer = 1, shift = [{'9' * 400}, 1]}}]",
            "give pixels or a length, as in 3px or 0.3mm",
        ),
        (
            TABLE + 'place = [{layer = 1, shift = ["3mm", 1]}]',
            "shift is '3mm': give --dpi as well, or say it in pixels",
        ),
        (TABLE + "place = [1, 2, 4]", "arrangement 1 places layer 4: there are 3 guides, so 3 layers"),
        (TABLE + "place = [1, 2]", "layer 3 is in no arrangement: add it to one, or leave its guide out"),
        (
            'target = "t.png"\n' + TABLE,
            "target and [[arrangement]] are both given: put the target into an arrangement",
        ),
        ('mask = "t.png"\n' + TABLE, "target and [[arrangement]] are both given"),
        (
            '[arrangement]\ntarget = "t.png"',
            "arrangement is {'target': 't.png'}: write [[arrangement]] above each of them",
        ),
        ("arrangement = []", "there are 0 arrangements: give 1 to 16"),
        ("arrangement = [3]", "arrangement is [3]: write [[arrangement]] above each of them"),
        ('shape = "ring"\n' + TABLE, "shape is 'ring': use sheet or disc"),
        (
            'shape = "disc"\nsize = [40, 30]\n' + TABLE,
            "the sheets are 40×30 pixels: round ones must be square, give --size N",
        ),
        (
            "size = [40, 30]\n" + TABLE + "place = [1, {layer = 2, rotate = -90}, 3]",
            "must be square, give --size N",
        ),
        ("hide_weight = -1\n" + TABLE, "hide_weight is -1: it must be from 0 to 1e+06"),
        (
            'registration = "3mm"\n' + TABLE,
            "registration is '3mm': give --dpi as well, or say it in pixels, as in 3px",
        ),
        ("registration = true\n" + TABLE, "registration is True: give pixels or a length, as in 3px or 0.3mm"),
        ("registration_turn = 6\n" + TABLE, "registration_turn is 6: it must be from 0 to 5"),
    ],
)
def test_refused_arrangements(tmp_path, text, words):
    """They name the arrangement, the value and the remedy, in one line."""
    with pytest.raises((InputError, OptionError)) as error:
        load_job(write(tmp_path / "job.toml", HEAD + text))
    assert words in str(error.value)
    assert str(tmp_path / "job.toml") in str(error.value)
    assert "\n" not in str(error.value)


def test_a_run_remembers_arrangements(tmp_path):
    """In its own document, by whole names; what was begun before the working directory changed goes on."""
    job = arranged(tmp_path)
    assert parse_job(job.toml(None), Path("elsewhere")) == job
    usual = Job(tmp_path / "a.png", ("mosaic:3",))
    assert parse_job(usual.toml(None), Path("elsewhere")) == usual


def test_a_job_names_a_profile_for_inks(tmp_path):
    """Beside the pictures, in job.toml and in the document of a run."""
    folder = tmp_path / "out"
    folder.mkdir()
    job = Job(tmp_path / "t.png", (tmp_path / "g.png",), (40, 30), cmyk_profile=tmp_path / "press.icc")
    found = load_job(write(folder / "job.toml", job.toml(folder)))
    assert found.cmyk_profile.resolve() == job.cmyk_profile.resolve()
    assert job.inputs == (tmp_path / "t.png", tmp_path / "g.png", tmp_path / "press.icc")
    assert parse_job(job.toml(None), Path("elsewhere")) == job
