"""The light table in a real browser: what is on its canvas, pixel by pixel."""

import dataclasses

import numpy as np
import pytest

import mlsolve
from browser import opened, served, stack, until
from conftest import ROOT
from mlsolve.job.arrangements import Placement
from mlsolve.job.job_file import load_job
from mlsolve.pictures.picture_files import load_picture
from mlsolve.run.session import Session
from mlsolve.scoring.layer_files import layer_files
from mlsolve.scoring.placed import place_sheet
from mlsolve_studio.light_table.routes import view_routes

pytestmark = pytest.mark.usefixtures("chromium")

GALLERY = ("one-from-three", "two-from-three", "three-from-six", "one-from-nine")
SIDE = 96


@pytest.fixture(scope="session")
def gallery(tmp_path_factory):
    """The runs of the gallery, small and rough: folder by name."""
    folder = tmp_path_factory.mktemp("gallery")
    for name in GALLERY:
        job = load_job(ROOT / "examples" / f"{name}.toml")
        options = dataclasses.replace(job.options, iterations=4, backend="cpu")
        Session(dataclasses.replace(job, size=(SIDE, SIDE), options=options), folder / name).run()
    return folder


@pytest.fixture
def view(gallery, chromium):
    """Open the light table of a run in the browser."""
    from contextlib import contextmanager

    @contextmanager
    def view(name, **more):
        with served(view_routes(gallery / name)) as address, opened(chromium, address, **more) as page:
            yield page

    return view


def shown(folder, place, exposure):
    """What mlsolve.compose makes of the layers in `folder`, placed: (H, W, C) code values."""
    layers = [load_picture(path) for path in layer_files(folder)]
    sheets = [place_sheet(layers[one.layer - 1], one) for one in place]
    return np.rint(mlsolve.compose(sheets, exposure) * 255).astype(int)


def assert_equal(found, wanted, disc=False):
    """Within one code value everywhere, and equal nearly everywhere; both show something.

    disc: whether only what is inside the largest circle counts: a round light box has no corners.
    """
    assert found.shape[:2] == wanted.shape[:2]
    assert wanted.std() > 8
    away = np.abs(found.astype(int) - wanted)
    if disc:
        y, x = np.mgrid[: found.shape[0], : found.shape[1]] - (SIDE - 1) / 2
        away = away[y * y + x * x <= (SIDE / 2) ** 2]
    assert away.max() <= 1, (away.max(), np.argwhere(away > 1)[:5])
    assert (away == 0).mean() > 0.98


def lay(page, place):
    """Let sheets lie as placements say, through the page."""
    for one in place:
        pose = {"flip": one.flip, "rotate": one.rotate, "shift": list(one.shift)}
        page.evaluate("([number, pose]) => lightTable.table.pose(number, pose)", [one.layer - 1, pose])


def exposures(folder):
    """The exposures of a run."""
    from mlsolve.report.result import exposures_in

    return exposures_in(folder, len(load_job(folder / "job.toml").arrangements))


@pytest.mark.parametrize("name", GALLERY)
def test_a_run_looks_as_mlsolve_composes_it(name, gallery, view):
    """As solved, in every arrangement; then with its sheets turned, flipped and shifted in turn."""
    job, layers = load_job(gallery / name / "job.toml"), len(layer_files(gallery / name))
    with view(name) as page:
        assert page.evaluate("lightTable.renderer.gl instanceof WebGL2RenderingContext")
        for number, exposure in enumerate(exposures(gallery / name)):
            page.evaluate("number => lightTable.arrange(number)", number)
            place = job.arrangements[number].placed(layers)
            assert_equal(stack(page), shown(gallery / name, place, exposure), job.shape == "disc")
            for k, moved in enumerate(
                (
                    {"rotate": 90.0},
                    {"rotate": 180.0, "shift": (7.0, -5.0)},
                    {"rotate": 30.0},
                    {"flip": "h"},
                    {"flip": "v", "rotate": -17.5, "shift": (-3.0, 11.0)},
                )
            ):
                turned = [
                    dataclasses.replace(one, **moved) if at % 2 == k % 2 else one for at, one in enumerate(place)
                ]
                lay(page, turned)
                assert_equal(stack(page), shown(gallery / name, turned, exposure), job.shape == "disc")


def test_enlarged_pixels_are_those_of_the_stack(gallery, view):
    folder = gallery / "one-from-three"
    with view("one-from-three", width=900) as page:
        found = stack(page, 3)
        place = [Placement(number) for number in (1, 2, 3)]
        wanted = shown(folder, place, exposures(folder)[0])
        assert_equal(found, wanted.repeat(3, axis=0).repeat(3, axis=1))


def test_what_is_scored_is_what_mlsolve_verify_scores(gallery, view):
    import json

    for name in ("one-from-three", "two-from-three"):
        report = json.loads((gallery / name / "result.json").read_text())["arrangements"][0]
        with view(name) as page:
            until(page, "lightTable.scoring.found !== null")
            found = page.evaluate("lightTable.scoring.found")
        assert found["psnr"] == pytest.approx(report["psnr"], abs=0.05)
        assert found["ssim"] == pytest.approx(report["ssim"], abs=0.003)


def test_the_target_has_its_code_values(gallery, view):
    with view("one-from-three") as page:
        page.evaluate("lightTable.compareWith('slider'); lightTable.divide(0)")
        found = stack(page)
    job = load_job(gallery / "one-from-three" / "job.toml")
    wanted = mlsolve.fit_image(load_picture(job.target), (SIDE, SIDE), job.fit)
    assert_equal(found, np.rint(wanted * 255).astype(int))
