"""Sheets in the renderers that shops have, poppler and Ghostscript: size, marks and colours are what was planned.

Other tests render with pdfium, which is a Python package; these need programs, and skip without them.
"""

import re
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

from mlsolve.sheets.folder import make_sheets
from mlsolve.sheets.shop import Shop
from mlsolve.sheets.tasks import Wanted
from printed import centre, finished_run, noise

DPI = 300
SHOP = {"bleed": 3.0, "border": 22.0}


def run_program(name, *words):
    """Return what a program says. It must succeed, and complain of nothing."""
    if shutil.which(name) is None:
        pytest.skip(f"needs {name}: apt-get install poppler-utils ghostscript")
    done = subprocess.run([name, *map(str, words)], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


def poppler(path, out, number=1):
    """Return a page as RGB."""
    run_program("pdftoppm", "-r", DPI, "-f", number, "-l", number, "-singlefile", "-png", path, out)
    return np.asarray(Image.open(f"{out}.png").convert("RGB"))


def ghostscript(path, out, number=1):
    """Return a page as RGB."""
    words = f"-q -dNOPAUSE -dBATCH -dSAFER -sDEVICE=png16m -r{DPI} -dFirstPage={number} -dLastPage={number}".split()
    said = run_program("gs", *words, "-dGraphicsAlphaBits=4", f"-sOutputFile={out}.png", path)
    assert said == ""
    return np.asarray(Image.open(f"{out}.png").convert("RGB"))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    layers = [noise(240, 300) for _ in range(2)]
    layers[0][40:80, 40:80] = (10, 200, 90)
    return finished_run(tmp_path_factory.mktemp("run") / "prints", layers)


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("render", [poppler, ghostscript])
def test_marks_and_colours_are_where_the_plan_says(run, tmp_path, render, mirror):
    written = make_sheets(run, tmp_path / "out", Shop("test", **SHOP, mirror=mirror), Wanted())
    plan, pixel = written.plan, 25.4 / DPI
    page = render(tmp_path / "out" / "sheet-1.pdf", tmp_path / "page")
    height, width = (side * pixel for side in page.shape[:2])
    assert abs(width - plan.page[0]) < 0.1
    assert abs(height - plan.page[1]) < 0.1
    seen = page[:, ::-1] if mirror else page
    # The page is a whole number of pixels, and what is left over is on its right.
    spare = width - plan.page[0] if mirror else 0.0
    light = seen.mean(axis=2) / 255
    for mark in (*plan.targets, *plan.pins):
        x, y = mark.x + plan.bleed + spare, mark.y + plan.bleed
        found = centre(light, DPI, x, y, 2.3 if mark in plan.targets else 3.15)
        assert np.hypot(found[0] - x, found[1] - y) < 0.05, mark
    x, y = (round((start + plan.bleed + 60 * 0.254) / pixel) for start in (plan.picture.x + spare, plan.picture.y))
    np.testing.assert_array_equal(seen[y, x], (10, 200, 90))


def test_poppler_reads_the_boxes(run, tmp_path):
    plan = make_sheets(run, tmp_path / "out", Shop("test", **SHOP), Wanted()).plan
    said = run_program("pdfinfo", "-box", tmp_path / "out" / "sheet-1.pdf")
    for name, low, high in (
        ("TrimBox", (3.0, 3.0), (plan.trim[0] + 3, plan.trim[1] + 3)),
        ("BleedBox", (0.0, 0.0), plan.page),
        ("MediaBox", (0.0, 0.0), plan.page),
    ):
        box = [float(one) * 25.4 / 72 for one in re.search(rf"{name}: +([0-9. ]+)", said)[1].split()]
        np.testing.assert_allclose(box, (*low, *high), atol=0.01)
    assert "PDF version:     1.6" in said


@pytest.mark.parametrize("render", [poppler, ghostscript])
def test_a_film_is_black_and_clear(run, tmp_path, render):
    one = Shop("film", colour="films", bits=1, device_dpi=600.0, border=16.0)
    make_sheets(run, tmp_path / "out", one, Wanted())
    page = render(tmp_path / "out" / "sheet-1-cyan.pdf", tmp_path / "page")
    assert page[:20].min() == 255
    assert 0.2 < page[250:-250, 250:-250].mean() / 255 < 0.8


@pytest.mark.parametrize("render", [poppler, ghostscript])
def test_every_page_of_the_assembly_opens(run, tmp_path, render):
    make_sheets(run, tmp_path / "out", Shop("test", **SHOP), Wanted(split=(2, 1)))
    for number in (1, 2, 3):
        page = render(tmp_path / "out" / "assembly.pdf", tmp_path / "page", number)
        assert page.shape == (3508, 2480, 3) or page.shape == (3508, 2481, 3) or page.shape == (3507, 2480, 3)
        assert 0.01 < (page < 128).mean() < 0.6
