"""The light table in a real browser: what is on its canvas, pixel by pixel."""

import base64
import dataclasses
import hashlib
import json
import re
import shutil

import numpy as np
import pytest

import mlsolve
from browser import canvas, opened, stack, until
from conftest import ROOT
from mlsolve.job.arrangements import Placement
from mlsolve.job.job_file import load_job
from mlsolve.pictures.picture_files import load_picture
from mlsolve.run.session import Session
from mlsolve.scoring.developing import bands_of, composite_placed
from mlsolve.scoring.layer_files import layer_files
from tables import GALLERY, SIDE, assert_equal, exposures, gallery, lay, shown, view, viewed

__all__ = ["gallery", "view"]


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


def scored(page, number=0):
    """The scores of an arrangement, once they are there, and what the page says of them."""
    page.evaluate("number => { lightTable.scoring.found = null; lightTable.arrange(number) }", number)
    until(page, "lightTable.scoring.found !== null && !lightTable.scoring.late && !lightTable.scoring.again")
    return page.evaluate("lightTable.scoring.found"), page.locator("#scores").text_content()


def assert_scored(found, folder, number=0):
    """To three digits, as they are shown: the page computes in float32 what scoring does in float64."""
    report = json.loads((folder / "result.json").read_text())["arrangements"][number]
    (scores, text), places = found, {"ssim": 5e-5, "psnr": 5e-3}
    for name, most in places.items():
        assert scores[name] == pytest.approx(report[name], abs=most), (folder.name, number, name)
    assert f"SSIM {scores['ssim']:.3f}, {scores['psnr']:.1f} dB" in text
    assert "reduced" not in text


def test_what_is_scored_is_what_mlsolve_verify_scores(gallery, view):
    """For pictures that are resampled, round, of several stacks and of nine sheets: from unrounded values."""
    for name in GALLERY:
        with view(name) as page:
            for number in range(len(exposures(gallery / name))):
                assert_scored(scored(page, number), gallery / name, number)


@pytest.mark.slow
def test_what_is_scored_of_the_demo_and_with_a_mask(chromium, tmp_path, mlsolve, save, picture):
    guides = [word for guide in ("rosette:1", "mosaic:4", "kaleidoscope:3") for word in ("--guide", guide)]
    save("mask.png", (picture(60, 90, 7)[..., :1] > 0.4).astype(np.float32))
    quick = ("--iterations", 2, "--backend", "cpu", "--exposure", 0.05, *guides)
    chelsea = ROOT / "examples" / "chelsea.jpg"
    assert mlsolve("run", chelsea, "--size", 480, *quick, "--out", "demo").status == 0
    assert mlsolve("run", chelsea, "--size", "100x80", "--mask", "mask.png", *quick, "--out", "masked").status == 0
    for name in ("demo", "masked"):
        with viewed(tmp_path / name, chromium) as page:
            assert_scored(scored(page), tmp_path / name)


def test_scores_say_that_they_are_measured(view):
    with view("one-from-three") as page:
        _, text = scored(page)
        assert "measuring" not in text
        # A worker that is never done.
        page.evaluate("lightTable.scoring.worker.postMessage = () => {}; lightTable.choose(0); lightTable.flip()")
        until(page, "document.getElementById('scores').textContent === 'To the target: measuring …'")


def test_reduced_sheets_say_what_the_print_scores(gallery, chromium, tmp_path, mlsolve):
    report = json.loads((gallery / "two-from-three" / "result.json").read_text())["arrangements"]
    said = mlsolve("view", gallery / "two-from-three", "--html", "small.html", "--side", 64).out
    scores = " and ".join(f"{one['ssim']:.3f}" for one in report)
    assert f"reduced from 96×96; the print scores SSIM {scores}" in said
    with opened(chromium, (tmp_path / "small.html").as_uri()) as page:
        for number in (0, 1):
            _, text = scored(page, number)
            assert text.endswith(f"reduced to 64 pixels; the print scores {report[number]['ssim']:.3f}")
        page.evaluate("lightTable.turnKnob('box', -1); lightTable.scoring.found = null")
        until(page, "lightTable.scoring.found !== null && !lightTable.scoring.late")
        assert page.locator("#scores").text_content().endswith("reduced to 64 pixels")


def test_the_target_has_its_code_values(gallery, view):
    with view("one-from-three") as page:
        page.evaluate("lightTable.compareWith('slider'); lightTable.divide(0)")
        found = stack(page)
    job = load_job(gallery / "one-from-three" / "job.toml")
    wanted = mlsolve.fit_image(load_picture(job.target), (SIDE, SIDE), job.fit)
    assert_equal(found, np.rint(wanted * 255).astype(int))


@pytest.fixture(scope="session")
def printed(tmp_path_factory):
    """Runs for printers and films, in colour and grey, in a lit room: folders."""
    folder, found = tmp_path_factory.mktemp("printed"), []
    for name, media, gap in (("film", "inkjet-film", 2.0), ("grey", "imagesetter-film", None)):
        job = load_job(ROOT / "examples" / "three-from-six.toml")
        options = dataclasses.replace(job.options, iterations=4, backend="cpu", hide_weight=0.0, room=30.0, gap=gap)
        job = dataclasses.replace(job, size=(SIDE, SIDE), options=options, media=media)
        Session(job, folder / name).run()
        found.append(folder / name)
    return found


@pytest.mark.slow
def test_sheets_of_printer_and_film_look_as_they_will(printed, chromium):
    """Through inks, with light reflected between sheets and the light of the room: as stack.png, and turned."""
    for folder in printed:
        job, media = load_job(folder / "job.toml"), mlsolve.load_media(folder / "media.toml")
        inks = media.inks._replace(room=job.options.room / job.options.white)
        layers = [bands_of(load_picture(path), inks) for path in layer_files(folder)]
        with viewed(folder, chromium) as page:
            for number, exposure in enumerate(exposures(folder)):
                page.evaluate("number => lightTable.arrange(number)", number)
                written = np.rint(load_picture(folder / f"stack-{number + 1}.png") * 255).astype(int)
                assert_equal(stack(page), written)
                last = exposure
            turned = [Placement(5, 90), Placement(6, 0, "v", (4, -9)), Placement(1, 33)]
            lay(page, turned)
            wanted = np.rint(composite_placed(layers, turned, last, inks) * 255).astype(int)
            assert_equal(stack(page), wanted)


def test_one_file_shows_the_same_without_a_network(gallery, chromium, tmp_path, mlsolve):
    """Opened from disk: nothing is asked for but the file itself and what it made of itself."""
    for name, size in (("two-from-three", 96), ("one-from-nine", 64)):
        path = tmp_path / f"{name}.html"
        assert f"{size}×{size} pixels" in mlsolve("view", gallery / name, "--html", path, "--side", size).out
        assert f"{path} exists already" in mlsolve("view", gallery / name, "--html", path).refusal
        with opened(chromium, path.as_uri(), offline=True) as page:
            asked = []
            page.on("request", lambda request, asked=asked: asked.append(request.url))
            page.reload()
            page.wait_for_selector("body[data-ready=yes]")
            page.evaluate("lightTable.table.still = true")
            until(page, "lightTable.scoring.found !== null")
            assert {url.partition(":")[0] for url in asked} <= {"file", "blob"}
            assert sum(url.startswith("file") for url in asked) == 1
            found = stack(page)
            if size == SIDE:
                place = [Placement(number) for number in (1, 2, 3)]
                assert_equal(found, shown(gallery / name, place, exposures(gallery / name)[0]), disc=True)
                page.get_by_role("button", name="cat").click()
                place = [Placement(1), Placement(2, 30), Placement(3, 180)]
                assert_equal(stack(page), shown(gallery / name, place, exposures(gallery / name)[1]), disc=True)
            else:
                assert found.std() > 20


def test_one_file_runs_only_what_it_holds(gallery, tmp_path, mlsolve):
    """Its policy names the digests of its script and style, and its modules share no name."""
    from mlsolve_studio.light_table.one_file import MODULES, script_of_page
    from mlsolve_studio.pages import page_bytes, page_files

    assert mlsolve("view", gallery / "one-from-three", "--html", "a.html").status == 0
    text = (tmp_path / "a.html").read_text()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    for tag in ('<script type="module">', "<style>"):
        inside = text[text.index(tag) + len(tag) :]
        inside = inside[: inside.index("</")]
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert "unsafe" not in policy
    assert "http" not in re.sub(r'"data[^"]*"', "", policy)
    names = re.findall(r"^(?:async )?(?:function|class|const|let) (\w+)", script_of_page(), re.MULTILINE)
    assert len(set(names)) == len(names)
    # Every module of the page is in it.
    used = {
        name for module in MODULES for name in re.findall(r'from "\./([\w-]+\.js)"', page_bytes(module).decode())
    }
    assert used <= set(MODULES) <= set(page_files())


def test_a_blank_canvas_fails():
    """What the tests compare with must be there: an empty canvas is no stack."""
    blank = np.full((SIDE, SIDE, 3), 255)
    with pytest.raises(AssertionError):
        assert_equal(blank, blank)


@pytest.mark.slow
def test_larger_sheets_are_shown_by_tiles(gallery, chromium, tmp_path):
    """Held at 48 and 24 pixels, the rest in tiles: to the pixel as one zooms in, for moved sheets too."""
    folder = tmp_path / "large"
    shutil.copytree(gallery / "three-from-six", folder)
    for longest, halvings in ((48, 1), (30, 2)):
        with viewed(folder, chromium, (longest, 32), width=900) as page:
            assert page.evaluate("lightTable.manifest.tiles.levels.length") == halvings
            assert page.evaluate("lightTable.table.size[0]") == SIDE >> halvings
            before = page.evaluate("lightTable.renderer.uploadedInAll")
            assert before < 6 * 4 * SIDE * SIDE
            for number, exposure in enumerate(exposures(folder)[:2]):
                page.evaluate("number => lightTable.arrange(number)", number)
                place = [Placement(layer) for layer in ((1, 2, 3), (3, 4, 5))[number]]
                assert_equal(tiled(page), shown(folder, place, exposure))
            moved = [Placement(3, 90), Placement(4, 25, "h", (2, 1)), Placement(5, 0, "v", (-5, 9))]
            lay(page, moved)
            assert_equal(tiled(page), shown(folder, moved, exposures(folder)[1]))
            assert page.evaluate("lightTable.frame.uploaded") == 0
            assert page.evaluate("[...lightTable.tiles.missing]") == []
        assert (folder.parent / "large.light-table" / "made.json").exists()


def tiled(page):
    """The stack at the full size of its layers, by tiles, once all of them are there."""
    page.evaluate("lightTable.zoomTo(lightTable.camera.finest)")
    until(page, "(lightTable.draw(), lightTable.tiles.wantedLevel === 0 && lightTable.tiles.complete)")
    shown = canvas(page)
    left, top = page.evaluate("lightTable.camera.corner")
    return shown[top : top + SIDE, left : left + SIDE]


def test_sheets_that_are_not_square(chromium, tmp_path, save, picture, mlsolve):
    """And grey ones: rows are rows, columns are columns."""
    for name, size, planes in (("wide", (40, 72), 3), ("tall", (68, 44), 1)):
        for seed, file in enumerate(("t.png", "a.png", "b.png")):
            save(file, picture(*size, seed, planes))
        words = ("--guide", "a.png", "--guide", "b.png", "--iterations", "2", "--backend", "cpu", "--exposure", 0.2)
        assert mlsolve("run", "t.png", *words, "--out", name).status == 0
        folder = tmp_path / name
        with viewed(folder, chromium) as page:
            place = [Placement(1), Placement(2)]
            assert_equal(stack(page), shown(folder, place, 0.2))
            moved = [Placement(1, 180, "h", (5, -2)), Placement(2, -28, "v")]
            lay(page, moved)
            assert_equal(stack(page), shown(folder, moved, 0.2))
            lay(page, [Placement(1, 90), Placement(2)])
            assert_equal(stack(page), shown(folder, [Placement(1, 90), Placement(2)], 0.2))
