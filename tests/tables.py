"""Light tables for the tests: small runs of the gallery, what their canvas must show, pages of them."""

import dataclasses
from contextlib import contextmanager

import numpy as np
import pytest

import mlsolve
from browser import opened, served
from conftest import ROOT
from mlsolve.job.job_file import load_job
from mlsolve.pictures.colour import light_from_srgb, srgb_from_light
from mlsolve.pictures.picture_files import load_picture
from mlsolve.report.result import exposures_in
from mlsolve.run.session import Session
from mlsolve.scoring.layer_files import layer_files
from mlsolve.scoring.placed import place_sheet

GALLERY = ("one-from-three", "two-from-three", "three-from-six", "one-from-nine")
SIDE = 96


def make_gallery(folder):
    """Write the runs of the gallery, small and rough."""
    for name in GALLERY:
        job = load_job(ROOT / "examples" / f"{name}.toml")
        options = dataclasses.replace(job.options, iterations=4, backend="cpu")
        Session(dataclasses.replace(job, size=(SIDE, SIDE), options=options), folder / name).run()


@contextmanager
def viewed(folder, chromium, cut=(), **more):
    """The light table of the run in `folder`, open in the browser. cut: what `view_routes` takes besides."""
    from mlsolve_studio.light_table.routes import view_routes

    with served(view_routes(folder, *cut)) as address, opened(chromium, address, **more) as page:
        yield page


def shown(folder, place, exposure, room=0.0):
    """What mlsolve.compose makes of the layers in `folder`, placed, in a room: (H, W, C) code values."""
    layers = [load_picture(path) for path in layer_files(folder)]
    sheets = [place_sheet(layers[one.layer - 1], one) for one in place]
    composite = mlsolve.compose(sheets, exposure)
    if room:
        composite = srgb_from_light((light_from_srgb(composite) + room) / (1 + room))
    return np.rint(composite * 255).astype(int)


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
    return exposures_in(folder, len(load_job(folder / "job.toml").arrangements))


@pytest.fixture(scope="session")
def gallery(tmp_path_factory):
    """The runs of the gallery, small and rough: a folder with one for each."""
    folder = tmp_path_factory.mktemp("gallery")
    make_gallery(folder)
    return folder


@pytest.fixture
def view(gallery, chromium):
    """Open the light table of a run of the gallery, by its name."""
    return lambda name, **more: viewed(gallery / name, chromium, **more)
