"""Scores with a media profile: what sheets let through and how stacks look, against float64, and in reports."""

import json

import numpy as np
import pytest

import mlsolve
from mlsolve import Options
from mlsolve.errors import InputError
from mlsolve.job.arrangements import Arrangement, Placement, Problem
from mlsolve.media import load_media, media_names
from mlsolve.pictures import picture_files
from mlsolve.pictures.colour import encode, light_from_srgb, srgb_from_light
from mlsolve.pictures.difference import delta_e00, lab_from_light
from mlsolve.scoring.codes import tables
from mlsolve.scoring.developing import Developing, bands_of, composite_placed, looks_of
from mlsolve.scoring.differences import Differences, Reach
from mlsolve_kernels.light.ink import pictures, reference
from mlsolve_kernels.region import Region


def inks_of(name, room=0.02):
    return load_media(name).inks._replace(room=room)


def in_planes(function, values, *arguments):
    """Apply a function of planes to (h, w, C)."""
    return np.moveaxis(function(np.moveaxis(values, -1, 0), *arguments), 0, -1)


@pytest.mark.parametrize("name", media_names())
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_codes_are_developed_and_looked_at_as_the_reference_does(rng, name, kind):
    inks, highest = inks_of(name), np.iinfo(kind).max
    codes = rng.integers(0, highest + 1, (7, 9, inks.planes)).astype(kind)
    developing = Developing(inks, 0.3)
    whole, layer = Region(0, 7, 0, 9), lambda number, region: codes
    bands, looks = developing.bands(layer)(0, whole), developing.looks(layer)(0, whole)
    values = encode((codes / highest).astype(np.float32)).astype(np.float64)
    through = in_planes(reference.develop, values, inks)
    np.testing.assert_allclose(bands / 65535, srgb_from_light(through**2.2), atol=1.5 / 65535)
    seen = np.clip(in_planes(reference.look, through, inks, 1, 1.0, inks.room * 0.3) ** 2.2, 0, 1)
    np.testing.assert_allclose(looks / 65535, srgb_from_light(seen), atol=2e-3)
    layer = tables(kind).value[codes]
    np.testing.assert_allclose(bands_of(layer, inks), bands / 65535, atol=1e-4)
    np.testing.assert_allclose(looks_of(layer[np.newaxis], inks, inks.room * 0.3)[0], looks / 65535, atol=2e-3)


@pytest.mark.parametrize("name", media_names())
@pytest.mark.parametrize("sheets", [1, 3, 9])
def test_a_stack_is_seen_as_the_reference_does(rng, name, sheets):
    inks, exposure = inks_of(name), 0.2
    light = (0.5 * rng.random((6, 5, inks.planes)) ** 2).astype(np.float32)
    expected = in_planes(reference.look, (light / exposure) ** (1 / 2.2), inks, sheets, exposure)
    pictures.see_light(pictures.film_of(inks, np.linspace(0, 1, 256)), sheets, exposure, inks.room, light)
    np.testing.assert_allclose(light, np.clip(expected**2.2, 0, 1), atol=2e-4)


def test_ideal_inks_change_nothing_but_the_darkest(rng):
    """Densities up to 2.5, as without a profile."""
    inks = inks_of("ideal", 0.0)
    layers = (0.35 + 0.65 * rng.random((2, 5, 6, 3))).astype(np.float32)
    clipped = encode(layers)
    low = 10 ** (-2.5 / 2.2)
    straight = low + (1 - low) * clipped
    sheets = [bands_of(layer, inks) for layer in layers]
    np.testing.assert_allclose(sheets, srgb_from_light(straight.astype(np.float64) ** 2.2), atol=1e-4)
    place = (Placement(1), Placement(2))
    plain, inked = composite_placed(sheets, place, 0.5), composite_placed(sheets, place, 0.5, inks)
    np.testing.assert_allclose(inked, plain, atol=1e-6)


def test_differences_are_those_of_all_pixels(rng):
    inks = inks_of("inkjet-film", 0.0)
    x, y = rng.random((2, 40, 30, 3)).astype(np.float32)
    weights = rng.random((40, 30))
    reach = Reach.of(inks, 3, 0.1, 0.0)
    found = Differences((30, 40), reach)
    for top, bottom in ((0, 13), (13, 40)):
        rows = slice(top, bottom)
        found.add(found.counted(top, x[rows], y[rows], weights[rows]))
    lab = [lab_from_light(light_from_srgb(one.astype(np.float64))) for one in (x, y)]
    expected = delta_e00(*lab)[weights >= 0.5]
    assert found.found.median == pytest.approx(np.median(expected), abs=0.2)
    assert found.found.percentile95 == pytest.approx(np.percentile(expected, 95), abs=0.6)


def test_what_is_lacking_is_out_of_reach():
    inks = inks_of("inkjet-film", 0.0)
    reach = Reach.of(inks, 1, 1.0, 0.0)
    clear = reference.look(reference.develop(np.ones((3, 1, 1)), inks), inks)[:, 0, 0] ** 2.2
    full = reference.look(reference.develop(np.zeros((3, 1, 1)), inks), inks)[:, 0, 0] ** 2.2
    between = 0.5 * (clear + full)
    np.testing.assert_allclose(reach.nearest(between[np.newaxis]), between[np.newaxis], atol=1e-9)
    white = reach.nearest(np.ones((1, 3)))
    np.testing.assert_allclose(white[0], clear, atol=1e-9)
    picture = np.concatenate([np.ones((4, 4, 3)), np.full((4, 4, 3), 0.7)])
    counted = Differences((4, 8), reach)
    counted.add(counted.counted(0, picture, picture))
    assert counted.found.lacking == 0.5
    assert counted.found.median == 0


@pytest.fixture(scope="module")
def problem():
    rng, y, x = np.random.default_rng(4), *np.mgrid[0:1:60j, 0:1:60j]
    target = np.clip(0.5 + 0.3 * np.sin(9 * (x + y * y))[..., np.newaxis] * (1, 0.5, -1), 0, 1)
    guides = [rng.random((8, 8, 3)).repeat(8, 0).repeat(8, 1)[:60, :60] for _ in range(2)]
    return [(255 * one).round().astype(np.uint8) for one in (target, *guides)]


def test_a_solution_and_its_files_have_the_same_scores(problem, tmp_path):
    target, *guides = problem
    media = load_media("inkjet-film")
    turned = (Placement(1), Placement(2, rotate=90))
    asked = Problem(guides, [Arrangement(target, turned)])
    options = Options(iterations=8, exposure=0.2, backend="cpu", room=2, white=100)
    solution = mlsolve.solve(asked, options, media=media)
    scores = solution.scores
    report = json.loads((solution.save(tmp_path / "o") / "result.json").read_text())
    stack = report["arrangements"][0]
    assert stack["ssim"] == pytest.approx(scores.target_ssim, abs=1e-3)
    assert stack["psnr"] == pytest.approx(scores.target_psnr, abs=0.02)
    assert stack["leak"] == pytest.approx(scores.stacks[0].leak, abs=1e-3)
    assert report["guides"] == pytest.approx(scores.guide_ssim, abs=1e-3)
    assert (tmp_path / "o" / "media.toml").read_text() == media.toml()
    assert report["media"] == {"name": "inkjet-film", "digest": media.digest, "fit": None}
    assert report["box"] == {"white": 100, "needed": 500.0, "room": 2}
    lab = [lab_from_light(light_from_srgb(one.astype(np.float64))) for one in (solution.stack, target / 255)]
    assert stack["colour"]["median"] == pytest.approx(np.median(delta_e00(*lab)), abs=0.1)
    lab = [lab_from_light(light_from_srgb(one.astype(np.float64))) for one in (solution.looks[1], guides[1] / 255)]
    assert report["guides_colour"][1]["median"] == pytest.approx(np.median(delta_e00(*lab)), abs=0.1)
    shown = picture_files.load_picture(tmp_path / "o" / "stack.png")
    np.testing.assert_allclose(shown, solution.stack, atol=0.6 / 255)


def test_compose_takes_a_profile(problem):
    target, *guides = problem
    media, options = load_media("inkjet-film"), Options(iterations=4, exposure=0.2, backend="cpu", room=4)
    solution = mlsolve.solve(target, guides, options, media=media)
    found = mlsolve.compose(solution.printed, 0.2, media, 0.02)
    np.testing.assert_array_equal(found, solution.stack)
    assert np.abs(found - mlsolve.compose(solution.printed, 0.2)).mean() > 0.02
    with pytest.raises(InputError, match="layers have 3 planes, media laser-film has 1 channels"):
        mlsolve.compose(solution.printed, 0.2, load_media("laser-film"))


def test_the_profile_makes_the_difference(problem):
    """What was solved for another printer is worse on this one."""
    target, *guides = problem
    options, media = Options(iterations=30, exposure=0.2, backend="cpu"), load_media("inkjet-film")
    right = mlsolve.solve(target, guides, options, media=media)
    wrong = mlsolve.solve(target, guides, options)
    printed = composite_placed(
        [bands_of(one, media.inks) for one in wrong.layers], wrong.arrangements[0], 0.2, media.inks
    )
    lab = lab_from_light(light_from_srgb(target / 255))
    worse, better = (
        np.median(delta_e00(lab_from_light(light_from_srgb(one.astype(np.float64))), lab))
        for one in (printed, right.stack)
    )
    assert better < 0.5 * worse


def test_run_and_verify_say_the_same(mlsolve, problem, tmp_path):
    names = [tmp_path / f"{number}.png" for number in range(3)]
    for name, picture in zip(names, problem, strict=True):
        picture_files.save_png(name, picture)
    guides = [word for name in names[1:] for word in ("-g", name)]
    few = ("--iterations", 4, "--exposure", 0.02, "--media", "uv-acrylic", "--out", tmp_path / "o")
    done = mlsolve("run", names[0], *guides, *few)
    assert done.status == 0, done.err
    assert "media     uv-acrylic" in done.out
    assert "box       10000 cd/m² for a white of 200" in done.out
    assert "warning: few light boxes give more than 5000 cd/m²: raise --exposure" in done.err
    assert "ΔE00" in done.out
    again = mlsolve("verify", tmp_path / "o")
    assert [line for line in again.out.splitlines() if line in done.out] == again.out.splitlines()
    refused = mlsolve("verify", tmp_path / "o", "--media", "laser-film")
    assert refused.status == 2
    assert refused.refusal.endswith(
        "layer-1.png has 3 planes, the media profile 1 channels: give the profile that the layers were solved for"
    )
    plain = tmp_path / "plain"
    assert mlsolve("run", names[0], *guides, "--iterations", 2, "--out", plain).status == 0
    assert "ΔE00" in mlsolve("verify", plain, "--media", "uv-acrylic").out
    other = json.loads(mlsolve("verify", tmp_path / "o", "--media", "inkjet-film", "--json").out)
    assert other["media"]["name"] == "inkjet-film"
    assert other["arrangements"][0]["colour"]["median"] > 0
