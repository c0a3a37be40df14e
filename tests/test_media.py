"""Media profiles: their files, and runs that are solved for a printer and a film."""

import dataclasses
import json

import numpy as np
import pytest

import mlsolve
from mlsolve import Options
from mlsolve.errors import InputError, OptionError
from mlsolve.job.arrangements import Arrangement, Placement
from mlsolve.job.job import Job
from mlsolve.job.job_file import load_job
from mlsolve.media import Fit, Media, load_media, media_names
from mlsolve.pictures import picture_files
from mlsolve.pictures.colour import as_planes, encode, light_from_srgb
from mlsolve.report.media_picture import media_picture
from mlsolve.run.budget import Budget
from mlsolve.run.lifecycle import begin, resume
from mlsolve.run.unfinished import unfinished
from mlsolve.scoring.developing import bands_of, composite_placed, looks_of
from mlsolve.solving.loading import _Clear
from mlsolve.solving.spec import Spec, density_range
from mlsolve.solving.start import greys
from mlsolve.solving.store import MemoryStore
from mlsolve.system.memory import parse_memory
from mlsolve_kernels.light.ink.reference import develop
from mlsolve_kernels.region import Region
from test_runs import Listener, result

SIZE = (320, 300)


@pytest.mark.parametrize("name", media_names())
def test_a_profile_and_its_file_are_the_same(name):
    media = load_media(name)
    again = Media.parse(media.toml(), name)
    assert again.toml() == media.toml()
    assert again.digest == media.digest
    assert media.about
    assert len(media.toml()) < 4000
    assert media.inks.reflectance == 0 or 0.03 < media.inks.reflectance < 0.06


def test_the_digest_is_that_of_the_numbers():
    media = load_media("inkjet-film")
    assert dataclasses.replace(media, name="other", about="elsewhere").digest == media.digest
    assert dataclasses.replace(media, index=1.5).digest != media.digest
    base = (media.inks.base[0] * 0.99, *media.inks.base[1:])
    assert dataclasses.replace(media, inks=media.inks._replace(base=base)).digest != media.digest
    assert len({load_media(name).digest for name in media_names()}) == len(media_names())


REFUSED = [
    ("format = 1", "format = 9", "format 9"),
    ("index = 1.57", "index = 0.5", "index is 0.5: give a refractive index from 1 to 3"),
    ("base = [", "base = [\n    9,", "base has 4 densities: give 1 .grey. or 3"),
    ("    0.05,", "    9.0,", "base has density 9: give 0 to 6"),
    ("    1.25,", "    1.5,", "to_eye has the row .* make it 1"),
    ("    1.800516,", "    0.1,", r"curves.red has red = .* fall from at most 6 to 0"),
    ("green = [", "grün = [", "is not TOML"),
    ("green = [", "lime = [", "curves.red has red, lime, blue: use red, green, blue"),
    ("[curves.green]", "[curves.lime]", "curves has red, lime, blue: use red, green, blue"),
    ("name =", "nome =", "has 'nome': use format, name"),
    ("[curves.red]", "[curves.green]", "is not TOML"),
    ("    0.04,", "    'x',", "values of the wrong kind"),
]


@pytest.mark.parametrize(("old", "new", "why"), REFUSED)
def test_what_is_wrong_in_a_file_is_named(tmp_path, old, new, why):
    text = load_media("inkjet-film").toml()
    assert old in text
    (tmp_path / "film.toml").write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(InputError, match=why) as refused:
        load_media(tmp_path / "film.toml")
    assert "film.toml" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_profile_that_is_not_there_is_named(tmp_path):
    with pytest.raises(
        InputError, match="media is glass: give the file of a profile, or one of ideal, imagesetter"
    ):
        load_media("glass")
    (tmp_path / "film.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="cannot be read"):
        load_media(tmp_path / "film.toml")


def spec_of(options, media="inkjet-film", planes=3):
    size, of_pictures = (70, 50), (planes,) * 3
    found = None if media is None else load_media(media)
    return Spec.resolve([Arrangement("t")], 2, size, of_pictures, options, media=found)


def test_a_spec_with_a_profile():
    spec = spec_of(Options(room=4.0, white=100.0))
    assert spec.inks.room == 0.04
    assert spec.options.solver == "adam"
    assert spec.bounds == (0, 1)
    assert spec.densities == pytest.approx((0.05, 1.8 * 1.43 + 0.04), abs=2e-3)
    assert spec_of(Options(), planes=1).planes == 3
    store = MemoryStore()
    spec.save(store)
    assert Spec.load(store) == spec


@pytest.mark.parametrize(
    ("options", "media", "why"),
    [
        ({"room": 5}, None, "room is 5 without a media profile"),
        ({"max_density": 2}, "ideal", "max_density is 2 with media"),
        ({"min_density": 0.1}, "ideal", "min_density is 0.1 with media"),
        ({"solver": "newton"}, "ideal", "solver is newton with a media profile"),
    ],
)
def test_what_contradicts_a_profile_is_refused(options, media, why):
    with pytest.raises(OptionError, match=why):
        spec_of(Options(**options), media)


@pytest.mark.parametrize("name", media_names())
def test_a_solve_starts_at_the_greys_of_its_guides(name):
    inks = load_media(name).inks
    darkest, clear = (10 ** (-d / 2.2) for d in (max(density_range(inks, 0)), min(density_range(inks, 1))))
    wanted = np.linspace(darkest * 1.01, clear * 0.99, 50)
    for band, values in enumerate(greys(inks, wanted)):
        found = develop(np.broadcast_to(values, (inks.planes, 1, 50)), inks)[band, 0]
        reachable = (found > found.min()) & (found < found.max())
        np.testing.assert_allclose(found[reachable], wanted[reachable], atol=2e-3)


def test_grey_has_the_luminance_of_a_colour(rng):
    image = rng.random((4, 5, 3)).astype(np.float32)
    grey = as_planes(image, 1)
    expected = light_from_srgb(image) @ (0.2126, 0.7152, 0.0722)
    np.testing.assert_allclose(light_from_srgb(grey)[..., 0], expected, atol=1e-6)
    np.testing.assert_array_equal(as_planes(grey, 3), np.repeat(grey, 3, axis=2))


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """A target in colour and two guides, for a printer and a film."""
    folder = tmp_path_factory.mktemp("pictures")
    rng, y, x = np.random.default_rng(4), *np.mgrid[0:1:100j, 0:1:110j]
    target = 0.5 + 0.3 * np.sin(9 * (x + y * y))[..., np.newaxis] * (1, 0.5, -1) + 0.2 * rng.random((100, 110, 1))
    picture_files.save_png(folder / "target.png", np.rint(np.clip(target, 0, 1) * 255).astype(np.uint8))
    for k in range(2):
        blocks = rng.integers(0, 256, (13, 14, 3)).repeat(8, 0).repeat(8, 1).astype(np.uint8)
        picture_files.save_png(folder / f"guide-{k}.png", blocks)
    (folder / "film.toml").write_text(load_media("inkjet-film").toml(), encoding="utf-8")
    options = Options(iterations=5, levels=2, exposure=0.2, backend="cpu", room=3.0)
    guides = tuple(folder / f"guide-{k}.png" for k in range(2))
    return Job(folder / "target.png", guides, SIZE, options=options, media=folder / "film.toml")


@pytest.fixture(scope="module")
def alone(job, tmp_path_factory):
    """The folder of a run that was left alone."""
    folder = tmp_path_factory.mktemp("alone") / "o"
    begin(job, folder, Budget(threads=1), Listener())
    return folder


def test_what_is_kept(job, alone):
    assert (alone / "media.toml").read_text() == load_media("inkjet-film").toml()
    assert b"sRGB" not in (alone / "layer-1.png").read_bytes()[:80], "device codes are not to be converted"
    assert b"sRGB" in (alone / "stack.png").read_bytes()[:80]
    again = load_job(alone / "job.toml")
    assert again.media.resolve() == job.media
    assert again.options.room == 3
    begin(job, alone, Budget(threads=1), Listener(), overwrite=True)  # all files are known to be ours


def test_memory_threads_and_processes_do_not_touch_the_bytes(job, alone, tmp_path):
    listener = Listener()
    begin(job, tmp_path / "o", Budget(parse_memory("31MiB"), 2, threads=2), listener)
    assert result(tmp_path / "o") == result(alone)
    assert max(listener.tiles.values()) >= 2


def test_a_run_that_was_struck_goes_on(job, alone, tmp_path):
    events = Listener()
    begin(job, tmp_path / "whole", Budget(threads=2), events)
    for name in ("step 1", "step 2"):
        folder = tmp_path / name
        with pytest.raises(RuntimeError):
            begin(job, folder, Budget(threads=2), Listener(fail_at=events.events.index(name) + 3))
        assert unfinished(folder).exists()
        resume(folder, Budget(threads=2), Listener())
        assert result(folder) == result(alone)


def test_a_profile_that_changed_is_not_resumed(job, tmp_path):
    film = tmp_path / "film.toml"
    film.write_text(job.media.read_text())
    changed = dataclasses.replace(job, media=film)
    with pytest.raises(RuntimeError):
        begin(changed, tmp_path / "o", Budget(threads=2), Listener(fail_at=9))
    film.write_text(load_media("uv-acrylic").toml())
    with pytest.raises(InputError, match=r"film\.toml has changed since the run began"):
        resume(tmp_path / "o", Budget(threads=2), Listener())


def test_one_channel_is_solved_in_grey(job, tmp_path):
    begin(dataclasses.replace(job, media="laser-film"), tmp_path / "o", Budget(threads=2), Listener())
    layer = picture_files.load_picture(tmp_path / "o" / "layer-1.png")
    assert layer.shape[2] == 1
    assert layer.std() > 0.05
    assert load_job(tmp_path / "o" / "job.toml").media == "laser-film"


def test_beside_round_sheets_pictures_are_clear_film():
    """There target and guide are what clear sheets look like, so that SSIM finds no step at the circle."""
    media, options = load_media("uv-acrylic"), Options(exposure=0.5, room=2)
    spec = Spec.resolve([Arrangement("t")], 2, (60, 60), (3,) * 3, options, disc=True, media=media)
    clear, image = _Clear(spec, 1), np.zeros((4, 60), dtype=np.float32)
    clear.look_at(Region(0, 4, 0, 60))
    ones = np.ones((1, 1, 3), dtype=np.float32)
    sheets = [bands_of(ones, spec.inks)] * 2
    together = encode(composite_placed(sheets, (Placement(1), Placement(2)), 0.5, spec.inks))
    alone = encode(looks_of(ones[np.newaxis], spec.inks, spec.inks.room * 0.5)[0])
    for plane in range(3):
        clear.stack(image, plane)
        assert image[0, 0] >= together[0, 0, plane] - 1e-4, "brighter than white, if the stack is"
        clear.sheet(image, plane)
        assert image[0, 0] == pytest.approx(alone[0, 0, plane], abs=1e-3)
        assert image[3, 30] == 0


def test_in_python(rng):
    target, guides = rng.random((40, 40, 3)), rng.random((2, 40, 40, 3))
    options = Options(iterations=4, backend="cpu")
    plain = mlsolve.solve(target, guides, options)
    inked = mlsolve.solve(target, guides, options, media=load_media("uv-acrylic"))
    assert inked.layers.shape == plain.layers.shape
    assert not np.array_equal(inked.layers, plain.layers)
    assert mlsolve.solve(target, guides, options, media=load_media("laser-film")).layers.shape == (2, 40, 40, 1)
    grey = mlsolve.solve(target[..., 0], guides[..., 0], options, media=load_media("ideal"))
    assert grey.layers.shape == (2, 40, 40, 3)


def test_on_the_command_line(mlsolve, job, tmp_path):
    done = mlsolve("run", job.target, "-g", job.guides[0], "--size", 32, "--iterations", 2, "--media", "glass")
    assert done.status == 2
    assert done.refusal.startswith("media is glass: give the file of a profile, or one of ideal")
    out = tmp_path / "o"
    arguments = ("--size", 32, "--iterations", 2, "--media", job.media, "--room", 2, "--out", out)
    assert mlsolve("run", job.target, "-g", job.guides[0], *arguments).status == 0
    assert (out / "media.toml").read_text() == job.media.read_text()


@pytest.mark.parametrize("name", media_names())
def test_the_picture_shows_channels_curves_and_colours(name):
    media = load_media(name)
    shown = media_picture(media)
    ramps = 1 if media.planes == 1 else 4
    assert shown.shape == (120 + ramps * 56 + 40 + 620, 1180, 3)
    first = shown[140, 208:1132].astype(float)
    assert (first[0].min() < first[-1].min() - 40).all(), "full ink on the left"
    colourful = np.ptp(shown[-560:-130, 640:1130].astype(int), axis=2).max()
    assert (colourful > 100) == (media.planes == 3)


def test_the_verb_lists_shows_and_checks(mlsolve, tmp_path):
    listed = mlsolve("media")
    assert [line.split()[0] for line in listed.out.splitlines()] == list(media_names())
    film = tmp_path / "film.toml"
    fit = Fit(80, 1.25, 3.5, 6.0, 2)
    film.write_text(dataclasses.replace(load_media("uv-acrylic"), name="ours", fit=fit).toml())
    done = mlsolve("media", film, "--out", tmp_path / "film.png")
    assert done.status == 0
    assert (
        "ΔE00 1.25, 95 % 3.50, worst 6.00, each of 80 patches predicted from the others, 2 more left out"
        in done.out
    )
    assert picture_files.load_picture(tmp_path / "film.png").shape[2] == 3
    facts = json.loads(mlsolve("media", film, "--json").out)
    assert facts["digest"] == load_media("uv-acrylic").digest
    assert facts["fit"]["left_out"] == 2
    film.write_text(film.read_text().replace("format = 1", "format = 2"))
    assert mlsolve("media", film).refusal.endswith("has format 2: this mlsolve reads 1")
    assert mlsolve("media", "--out", "film.png").refusal.startswith("--out is the picture of one profile")


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_device_codes_declare_no_colours(tmp_path, rng, suffix):
    codes = rng.integers(0, 256, (20, 30, 3)).astype(np.uint8)
    sizes = []
    for tagged in (True, False):
        writer = (picture_files.TiffWriter if suffix == "tif" else picture_files.PngWriter)(
            tmp_path / f"{tagged}.{suffix}", (30, 20), 3, 8, tagged=tagged
        )
        with writer:
            writer.write(codes)
        found = picture_files.load_picture(tmp_path / f"{tagged}.{suffix}")
        np.testing.assert_array_equal(np.rint(found * 255), codes)
        sizes.append(len((tmp_path / f"{tagged}.{suffix}").read_bytes()))
    assert sizes[1] < sizes[0]
