"""`mlsolve run` of several arrangements, from a job to files that anybody can lay over each other and measure."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest

from conftest import environment
from mlsolve.job.arrangements import Arrangement, Placement
from mlsolve.job.job_file import load_job
from mlsolve.pictures.picture_files import load_picture
from mlsolve_kernels.scoring.reference import moved_ssim
from oracle import mean_ssim

JOB = """
guides = ["a.png", "mosaic:3", "rosette:2:ember"]
exposure = 0.2
iterations = 20
registration = "0.1mm"
dpi = 254

[[arrangement]]
target = "one.png"

[[arrangement]]
target = "two.png"
weight = 1.5
mask = "m.png"
place = [3, {layer = 1, rotate = 90, flip = "v"}, {layer = 2, shift = ["0.2mm", -3]}]
"""


@pytest.fixture
def job(save, picture, tmp_path):
    """Pictures of 40×40, and a job of two arrangements."""
    for seed, name in enumerate(("one", "two", "a")):
        save(f"{name}.png", picture(40, 40, seed))
    weights = np.ones((40, 40, 1))
    weights[:10] = 0.5
    save("m.png", weights)
    path = tmp_path / "job.toml"
    path.write_text(JOB)
    return path


def light(code):
    return np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)


def srgb(value):
    return np.where(value <= 0.0031308, 12.92 * value, 1.055 * np.maximum(value, 0) ** (1 / 2.4) - 0.055)


def by_planes(one, other, weights):
    return mean_ssim(np.moveaxis(one, -1, 0), np.moveaxis(other, -1, 0), weights)


def shifted(image, right, down):
    result = np.ones_like(image)
    height, width = image.shape[:2]
    result[max(down, 0) : height + min(down, 0), max(right, 0) : width + min(right, 0)] = image[
        max(-down, 0) : height + min(-down, 0), max(-right, 0) : width + min(-right, 0)
    ]
    return result


def test_what_a_job_says(job):
    found = load_job(job)
    assert found.options.registration == pytest.approx(1)
    folder = job.parent
    assert found.arrangements == (
        Arrangement(folder / "one.png"),
        Arrangement(
            folder / "two.png",
            (Placement(3), Placement(1, 90, "v"), Placement(2, shift=(2.0, -3.0))),
            1.5,
            None,
            folder / "m.png",
        ),
    )
    again = folder / "again.toml"
    again.write_text(found.toml(folder))
    assert load_job(again).arrangements == found.arrangements
    assert load_job(again).options == found.options


def test_the_sheets_show_both_pictures(job, mlsolve, tmp_path):
    """Scores taken again by NumPy, from the written files, laid and weighted as the job says."""
    run = mlsolve("run", "--job", job, "--out", "out")
    assert run.status == 0, run.err
    out = tmp_path / "out"
    report = json.loads((out / "result.json").read_text())
    sheets = [load_picture(out / f"layer-{k}.png").astype(np.float64) for k in (1, 2, 3)]
    flipped = sheets[0][::-1]
    laid = [sheets, [sheets[2], np.rot90(flipped), shifted(sheets[1], 2, -3)]]
    for number, (lying, name) in enumerate(zip(laid, ("one", "two"), strict=True)):
        said, target = report["arrangements"][number], load_picture(tmp_path / f"{name}.png").astype(np.float64)
        weights = load_picture(tmp_path / "m.png")[..., 0].astype(np.float64) if number == 1 else np.ones((40, 40))
        stack = srgb(np.clip(np.prod([light(sheet) for sheet in lying], axis=0) / said["exposure"], 0, 1))
        assert said["ssim"] == pytest.approx(by_planes(stack, target, weights), abs=2e-5)
        error = np.average(((stack - target) ** 2).mean(axis=2), weights=weights)
        assert said["psnr"] == pytest.approx(-10 * np.log10(error), abs=2e-3)
        for leak, sheet in zip(said["leak"], lying, strict=True):
            assert leak == pytest.approx(by_planes(sheet, target, weights), abs=2e-5)
        assert [one["pixels"] for one in said["misaligned"]] == [1, 2]
        assert np.abs(255 * (load_picture(out / f"stack-{number + 1}.png") - stack)).max() < 0.51
        off = [lying[0], shifted(lying[1], 2, 0), shifted(lying[2], 0, 2)]
        if number == 1:  # what is shifted from beyond the sheet is not white but the sheet
            off[2] = shifted(sheets[1], 2, -1)
        stack = srgb(np.clip(np.prod([light(sheet) for sheet in off], axis=0) / said["exposure"], 0, 1))
        assert said["misaligned"][1]["ssim"] == pytest.approx(by_planes(stack, target, weights), abs=2e-5)
        moved = moved_ssim(np.moveaxis(stack, 2, 0), np.moveaxis(target, 2, 0), 2, weights)
        assert said["misaligned"][1]["ssim_moved"] == pytest.approx(moved, abs=2e-5)
    assert max(one["exposure"] for one in report["arrangements"]) == 0.2
    assert "cast" in report["arrangements"][0]
    names = {path.name for path in out.iterdir()}
    assert {"stack-1.png", "stack-2.png", "sheet.png", "job.toml", "history.csv"} <= names
    assert "stack.png" not in names
    lines = run.out.splitlines()
    assert "two.png at exposure" in lines[2]
    assert lines[3].strip() == "layers 3; 1, turned 90°, flipped v; 2, shifted 2, -3"
    assert lines[4].strip() == "weighted by m.png"
    assert "leak " in lines[5]
    assert max(map(len, lines[:8])) <= 80
    assert any("SSIM at misalignment 1 px" in line and "solved for 1 px" in line for line in lines)
    assert sum(line.startswith(" " * 10 + "SSIM with the target moved 1 px: 0.") for line in lines) == 2
    assert "one.png: exposure" in run.err


def test_the_written_job_repeats_the_run_and_verify_tells_the_same(job, mlsolve, tmp_path):
    assert mlsolve("run", "--job", job, "--out", "first").status == 0
    assert mlsolve("run", "--job", tmp_path / "first" / "job.toml", "--out", "second").status == 0
    for name in ("layer-1.png", "layer-2.png", "layer-3.png", "stack-2.png", "sheet.png", "history.csv"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()
    told = json.loads((tmp_path / "first" / "result.json").read_text())["arrangements"]
    again = json.loads(mlsolve("verify", "first", "--json").out)["arrangements"]
    for one, other in zip(told, again, strict=True):
        assert {key: one[key] for key in ("exposure", "layers", "ssim", "psnr", "leak", "misaligned")} == {
            key: other[key] for key in ("exposure", "layers", "ssim", "psnr", "leak", "misaligned")
        }


def test_settings_of_a_single_picture(job, mlsolve, tmp_path):
    """--hide, --registration and --mask, on top of a picture alone, come into its job."""
    command = ("run", "one.png", "-g", "a.png", "-g", "mosaic:3", "--iterations", 3, "--out", "out")
    run = mlsolve(*command, "--hide", 0.5, "--registration", "2px", "--registration-turn", 0.5, "--mask", "m.png")
    assert run.status == 0, run.err
    found = load_job(tmp_path / "out" / "job.toml")
    assert (found.options.hide_weight, found.options.registration, found.options.registration_turn) == (0.5, 2, 0.5)
    assert found.masks[0].resolve() == tmp_path / "m.png"
    assert "leak_2" in (tmp_path / "out" / "history.csv").read_text().splitlines()[0]


def test_round_sheets_are_clear_and_scored_within_the_circle(job, mlsolve, tmp_path):
    job.write_text('shape = "disc"\nguides = ["a.png", "mosaic:3"]\ntarget = "one.png"\niterations = 5\n')
    assert mlsolve("run", "--job", job, "--out", "out").status == 0
    y, x = np.mgrid[:40, :40] - 19.5
    outside = y * y + x * x > 400
    for name in ("layer-1.png", "layer-2.png", "stack.png"):
        assert (load_picture(tmp_path / "out" / name)[outside] == 1).all()
    report = json.loads((tmp_path / "out" / "result.json").read_text())["arrangements"][0]
    stack, target = load_picture(tmp_path / "out" / "stack.png"), load_picture(tmp_path / "one.png")
    error = np.mean((stack.astype(np.float64) - target)[~outside] ** 2)
    assert report["psnr"] == pytest.approx(-10 * np.log10(error), abs=0.1)


@pytest.mark.slow
def test_suggest_tells_before_a_run(job, mlsolve, tmp_path):
    job.write_text(JOB.replace('registration = "0.1mm"\n', "").replace("iterations = 20", "iterations = 6"))
    run = mlsolve("suggest", job)
    assert run.status == 0, run.err
    assert run.out.splitlines()[0].startswith("one.png: exposure")
    assert "solved at 40×40: SSIM one.png" in run.out
    assert "each without the others:" in run.out
    found = json.loads(mlsolve("suggest", job, "--json").out)
    assert found["targets"] == ["one.png", "two.png"]
    assert len(found["present"]["stack_ssim"]) == len(found["alone"]) == 2
    for better in found["better"]:
        assert better["loss"] < found["present"]["loss"]
    assert not (tmp_path / "two-layers").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('target = "one.png"\nplace = [1]\n', "unknown key 'place'"),
        ('target = "one.png"\n[[arrangement]]\ntarget = "two.png"\n', "target and [[arrangement]] are both given"),
        ("[[arrangement]]\nweight = 2\n", "arrangement 1: target is missing: add it"),
        ('[[arrangement]]\ntarget = "one.png"\nlayers = [1]\n', "arrangement 1: unknown key 'layers'"),
        ("[[arrangement]]\ntarget = 3\n", "arrangement 1: target is 3: give the name of a picture file"),
        ('[[arrangement]]\ntarget = "one.png"\nplace = 1\n', "arrangement 1: place is 1: give a list"),
        ('[[arrangement]]\ntarget = "one.png"\nplace = [{rotate = 1}]\n', "arrangement 1: place holds"),
        (
            '[[arrangement]]\ntarget = "one.png"\nplace = [1, {layer = 2, rotat = 90}]\n',
            "arrangement 1: place: unknown key 'rotat': did you mean 'rotate'?",
        ),
        (
            '[[arrangement]]\ntarget = "one.png"\nplace = [1, {layer = 2, shift = ["1mm", 0]}]\n',
            "arrangement 1: shift is '1mm': give --dpi as well, or say it in pixels",
        ),
        ('target = "one.png"\nhide = 1\n', "unknown key 'hide': did you mean 'hide_weight'?"),
        ('target = "one.png"\nregistration = "wide"\n', "registration is 'wide': give pixels or a length"),
        ("arrangement = 3\n", "arrangement is 3: write [[arrangement]] above each of them"),
        ('target = "one.png"\nshape = "ring"\n', "shape is 'ring': use sheet or disc"),
        ('target = "one.png"\nmask = 3\n', "mask is 3: give the name of a picture file"),
    ],
)
def test_jobs_that_cannot_be(job, mlsolve, text, message, tmp_path):
    job.write_text('guides = ["a.png", "mosaic:3"]\n' + text)
    run = mlsolve("run", "--job", job, "--out", "out")
    assert run.status == 2
    assert message in run.err
    assert len(run.err.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_what_the_command_line_cannot_change(job, mlsolve):
    assert mlsolve("run", "--job", job, "--iterations", 1, "--out", "out").status == 0
    assert "out holds several arrangements, --target is one" in mlsolve("verify", "out", "--target", "one.png").err
    assert "several arrangements: change targets and masks there" in mlsolve("run", "one.png", "--job", job).err
    run = mlsolve("run", "one.png", "--dpi", 300, "--registration", "x")
    assert "--registration is 'x': give pixels or a length, as in 3px or 0.3mm" in run.err


def test_pixels_that_hands_cannot_align_are_warned_of(job, mlsolve):
    command = ("run", "one.png", "-g", "a.png", "-g", "mosaic:1", "--iterations", 1, "--overwrite", "--out", "o")
    assert "a pixel is 0.085 mm, smaller than the 0.2 mm" in mlsolve(*command, "--dpi", 300).err
    assert "warning" not in mlsolve(*command, "--dpi", 100).err
    assert "warning" not in mlsolve(*command, "--dpi", 300, "--registration", "0.2mm").err


@pytest.mark.slow
@pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux tells what a process held at the most: run it there"
)
def test_the_least_memory_that_is_named_will_do_and_is_not_exceeded(mlsolve, tmp_path, save, picture):
    """Four tiles that quarter turns lay on each other are advanced together, in a process of its own."""
    for seed, name in enumerate(("one", "two", "a")):
        save(f"{name}.png", picture(512, 512, seed))
    text = JOB[: JOB.index("registration")] + JOB[JOB.index("\n[[") : JOB.index("mask")]
    text = text.replace("iterations = 20", "iterations = 4")
    (tmp_path / "job.toml").write_text(f"{text}place = [1, {{layer = 2, rotate = 90}}, 3]\n")
    refusal = mlsolve("run", "--job", "job.toml", "--memory", "1MiB", "--out", "little").refusal
    (least,) = re.findall(r"memory is 1 MiB: this print needs (\d+)MiB at least$", refusal)
    assert mlsolve("run", "--job", "job.toml", "--out", "much").status == 0
    command = ["run", "--job", "job.toml", "--memory", f"{least}MiB", "--out", "little", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "mlsolve_cli", *command],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment(),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert max(map(int, re.findall(r'"tiles": (\d+)', done.stderr))) >= 12
    assert 0.6 * int(least) * 2**20 < json.loads(done.stdout)["peak_memory"] <= int(least) * 2**20
    for name in ("layer-1.png", "layer-2.png", "layer-3.png", "stack-2.png", "sheet.png", "history.csv"):
        assert (tmp_path / "little" / name).read_bytes() == (tmp_path / "much" / name).read_bytes()
