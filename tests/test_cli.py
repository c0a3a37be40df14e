"""The command line as a user meets it."""

import json
import os
import re
import signal
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import tomli_w
from PIL import Image

from conftest import environment, on_a_terminal, tree
from mlsolve.pictures import picture_files
from mlsolve.scoring.layer_files import layer_files
from mlsolve_cli import progress

FAST = ("--iterations", 8, "--levels", 2)


@pytest.fixture
def pictures(save, picture):
    return [save(f"{name}.png", picture(40, 52, seed)) for seed, name in enumerate(("t", "a", "b"))]


def run_arguments(pictures, *more):
    target, *guides = pictures
    return ("run", target, *(text for guide in guides for text in ("--guide", guide)), *FAST, *more)


def test_run_writes_a_folder_and_says_so(mlsolve, tmp_path, pictures):
    done = mlsolve(*run_arguments(pictures, "--out", "o", "--exposure", 0.1))
    assert done.status == 0
    assert {entry.name for entry in (tmp_path / "o").iterdir()} == {
        "layer-1.png",
        "layer-2.png",
        "stack.png",
        "sheet.png",
        "history.csv",
        "job.toml",
        "result.json",
    }
    lines = done.out.splitlines()
    assert re.fullmatch(r"2 layers of 52×40 pixels, 16 iterations in [\d.]+ s on the cpu backend", lines[0])
    assert re.fullmatch(r"stack +SSIM 0\.\d{3} +\d+\.\d dB +t\.png at exposure 0\.1", lines[1])
    assert re.fullmatch(r"layer 1 +SSIM 0\.\d{3} +leak 0\.\d\d +a\.png", lines[2])
    assert re.fullmatch(r"layer 2 +SSIM 0\.\d{3} +leak 0\.\d\d +b\.png", lines[3])
    assert re.fullmatch(r"stack +SSIM at misalignment 1 px: 0\.\d{3}, 2 px: 0\.\d{3}", lines[4])
    assert lines[5] == "look at   o/sheet.png"
    assert lines[6] == "print     o/layer-1.png … o/layer-2.png"
    assert len(lines) == 7
    report = json.loads((tmp_path / "o" / "result.json").read_text())
    (arrangement,) = report["arrangements"]
    assert arrangement["target"] == "../t.png"
    assert arrangement["layers"] == ["1", "2"]
    assert len(arrangement["leak"]) == 2
    assert [one["pixels"] for one in arrangement["misaligned"]] == [1, 2]
    assert {one["ssim_moved"] for one in arrangement["misaligned"]} == {None}
    assert arrangement["ssim"] > arrangement["misaligned"][0]["ssim"] > arrangement["misaligned"][1]["ssim"]
    assert report["registration"] == 0
    assert len(report["guides"]) == 2


def test_a_job_repeats_the_run_to_the_byte(mlsolve, tmp_path, pictures):
    assert mlsolve(*run_arguments(pictures, "--out", "o", "--size", "33x30", "--threads", 1)).status == 0
    assert mlsolve("run", "--job", "o/job.toml", "--out", "p", "--threads", 3).status == 0
    assert mlsolve("run", "--job", "o/job.toml").status == 0  # into t-layers
    first = tree(tmp_path / "o")
    for name in ("p", "t-layers"):
        again = tree(tmp_path / name)
        assert first.keys() == again.keys()
        assert {key for key in first if first[key] != again[key]} <= {"result.json"}
        reports = [json.loads(files["result.json"]) for files in (first, again)]
        assert all(report.pop("seconds") > 0 for report in reports)
        assert reports[0] == reports[1]


def test_options_go_before_the_job(mlsolve, tmp_path, pictures):
    assert mlsolve(*run_arguments(pictures, "--out", "o")).status == 0
    assert mlsolve("run", "--job", "o/job.toml", "--out", "p", "--iterations", 3, "--size", 30).status == 0
    job = (tmp_path / "p" / "job.toml").read_text()
    assert "iterations = 3" in job
    assert picture_files.load_picture(tmp_path / "p" / "layer-1.png").shape[:2] == (30, 30)


def test_every_setting_is_resolved_in_the_job(mlsolve, tmp_path, pictures):
    target, *_ = pictures
    assert mlsolve("run", target, "--out", "o", "--iterations", 2, "--layers", 4).status == 0
    job = (tmp_path / "o" / "job.toml").read_text()
    for line in ('backend = "cpu"', "levels = 1", "guide_weight = 0.75", 'fit = "cover"', "seed = 0"):
        assert line in job
    assert job.count("rosette:") + job.count("mosaic:") + job.count("kaleidoscope:") == 4


def test_without_guides_it_makes_three(mlsolve, tmp_path, pictures):
    done = mlsolve("run", pictures[0], "--iterations", 2)
    assert done.status == 0
    assert len(layer_files(tmp_path / "t-layers")) == 3
    assert "rosette:0" in done.out


def test_json(mlsolve, tmp_path, pictures):
    done = mlsolve(*run_arguments(pictures, "--out", "o", "--json"))
    report = json.loads(done.out)
    assert report.pop("folder") == "o"
    assert 0 < report.pop("peak_memory") < 100e6
    assert report == json.loads((tmp_path / "o" / "result.json").read_text())


def test_every_option_reaches_the_solver(mlsolve, tmp_path, pictures):
    settings = {
        "exposure": 0.3,
        "iterations": 5,
        "levels": 2,
        "backend": "cpu",
        "seed": 4,
        "ssim-weight": 2.0,
        "mse-weight": 5.0,
        "guide-weight": 0.5,
        "min-density": 0.1,
        "max-density": 2.0,
        "learning-rate": 0.02,
        "target-ssim": 0.99,
        "patience": 4,
        "fit": "contain",
        "registration-turn": 0.25,
    }
    flags = [text for name, value in settings.items() for text in (f"--{name}", value)]
    flags += ["--hide", 1.5, "--registration", "2px", "--dpi", 90]
    settings |= {"hide-weight": 1.5, "registration": 2.0, "dpi": 90.0}
    target, *guides = pictures
    assert mlsolve("run", target, "--guide", guides[0], "--out", "o", "--size", "36x30", *flags).status == 0
    lines = (tmp_path / "o" / "job.toml").read_text().splitlines()
    for name, value in settings.items():
        assert f"{name.replace('-', '_')} = {json.dumps(value)}" in lines


def test_verify_scores_the_files(mlsolve, tmp_path, monkeypatch, pictures, picture, save):
    mlsolve(*run_arguments(pictures, "--out", "o"))
    report = json.loads((tmp_path / "o" / "result.json").read_text())
    found = json.loads(mlsolve("verify", "o", "--json").out)
    with monkeypatch.context() as patch:  # where the pictures would take too much of the memory
        patch.setattr("mlsolve.run.verify.pictures_bytes", lambda spec: 1 << 60)
        assert json.loads(mlsolve("verify", "o", "--json").out) == found
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".mlsolve-verify")]
    assert found["guides"] == report["guides"]
    assert found["arrangements"][0]["ssim"] == report["arrangements"][0]["ssim"]
    # The files count, not what was noted: with one layer replaced the scores fall.
    picture_files.save_png(tmp_path / "o" / "layer-1.png", np.full((40, 52, 3), 128, np.uint8))
    changed = json.loads(mlsolve("verify", "o", "--json").out)
    assert changed["arrangements"][0]["ssim"] < report["arrangements"][0]["ssim"] - 0.05
    assert changed["guides"][0] < 0.5


def test_verify_any_folder_of_layers(mlsolve, tmp_path, pictures):
    mlsolve(*run_arguments(pictures, "--out", "o", "--exposure", 0.5))
    report = json.loads((tmp_path / "o" / "result.json").read_text())
    (tmp_path / "o" / "job.toml").unlink()
    assert "holds no job.toml: give --target" in mlsolve("verify", "o").refusal
    found = json.loads(mlsolve("verify", "o", "--target", pictures[0], "--exposure", 0.5, "--json").out)
    assert found["arrangements"][0]["ssim"] == report["arrangements"][0]["ssim"]
    assert found["guides"] == []
    done = mlsolve("verify", "o", "--target", pictures[0], "--guide", pictures[1], "--guide", pictures[2])
    assert [line.split()[0] for line in done.out.splitlines()] == ["stack", "layer", "layer", "stack"]
    assert "2 layers, guides are 1" in mlsolve("verify", "o", "--target", pictures[0], "-g", pictures[1]).refusal


def test_guide(mlsolve, tmp_path, pictures):
    assert (
        mlsolve("guide", "mosaic", "--size", "50x40", "--seed", 3, "--palette", "ink", "--out", "g.png").status == 0
    )
    assert picture_files.load_picture(tmp_path / "g.png").shape == (40, 50, 3)
    args = ("guide", "kaleidoscope", "--photo", pictures[0], "--fold", 8, "--size", 60)
    assert mlsolve(*args, "--out", "k.png").out == "k.png\n"
    assert "g.png exists already" in mlsolve("guide", "rosette", "--out", "g.png").refusal
    assert mlsolve("guide", "rosette", "--out", "g.png", "--overwrite", "--size", 30).status == 0
    # A generated guide given by name is the same picture as the file.
    mlsolve("guide", "rosette", "--seed", 2, "--size", "52x40", "--out", "r.png")
    for number, guide in enumerate(("rosette:2", "r.png")):
        mlsolve("run", pictures[0], "--guide", guide, *FAST, "--out", f"o{number}")
    assert (tmp_path / "o0" / "layer-1.png").read_bytes() == (tmp_path / "o1" / "layer-1.png").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("spiral",), "guide family is 'spiral'"),
        (("mosaic", "--seed", -1), "--seed is -1"),
        (("mosaic", "--size", 5), "size is 5×5"),
        (("mosaic", "--fold", 4), "--photo and --fold belong to the kaleidoscope"),
        (("mosaic", "--palette", "mud"), "palette is 'mud'"),
        (("kaleidoscope", "--fold", 0), "fold is 0: it must be from 2 to 64"),
        (("kaleidoscope", "--photo", "no.png"), "no.png does not exist"),
    ],
)
def test_guide_refuses(mlsolve, tmp_path, arguments, words):
    assert words in mlsolve("guide", *arguments, "--out", "g.png").refusal
    assert tree(tmp_path) == {}
    assert "does not end in .png" in mlsolve("guide", "mosaic", "--out", "g.jpg").refusal


def test_info(mlsolve):
    facts = json.loads(mlsolve("info", "--json").out)
    assert facts["cores"] >= 1
    assert facts["versions"]["numba"] in mlsolve("info").out


def test_info_of_a_gpu(mlsolve, monkeypatch):
    found = {
        "name": "NVIDIA H100",
        "free_memory": lambda: 8 * 10**10,
        "adam": "by hand",
        "fuses_adam": True,
        "close": lambda: None,
    }
    monkeypatch.setattr("mlsolve.solving.backends.open_device", lambda number: types.SimpleNamespace(**found))
    assert json.loads(mlsolve("info", "--json").out)["devices"] == [
        {"number": 0, "name": "NVIDIA H100", "free GB": 80.0, "Adam": "in the layer pass, by hand"}
    ]
    lines = mlsolve("info").out.splitlines()
    assert f"{'devices':<24} NVIDIA H100, 80 GB free" in lines
    assert f"{'Adam':<24} in the layer pass, by hand" in lines


def test_version_and_help(mlsolve):
    assert mlsolve("--version").out == "mlsolve 0.1.0\n"
    for verb in ("run", "verify", "guide", "info"):
        text = mlsolve(verb, "--help").out
        assert f"Example: mlsolve {verb}" in " ".join(text.split())


def bad_files(tmp_path, save, picture):
    """Name, arguments, and words of the refusal for every kind of bad input."""
    good = save("good.png", picture(40, 40))
    save("tiny.png", picture(10, 40))
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "cut.png").write_bytes(good.read_bytes()[:-500])
    (tmp_path / "notes.txt").write_text("no picture at all")
    (tmp_path / "there").mkdir()
    (tmp_path / "job.toml").write_text(tomli_w.dumps({"target": "good.png", "guides": ["good.png"], "exposr": 1}))
    return {
        "missing": (("run", "missing.png"), "missing.png does not exist"),
        "empty": (("run", "empty.jpg"), "empty.jpg is empty"),
        "cut": (("run", "cut.png"), "cut.png is truncated or damaged"),
        "no picture": (("run", "notes.txt"), "notes.txt is not a picture"),
        "folder": (("run", "there"), "there is a folder"),
        "tiny": (("run", "tiny.png"), "tiny.png is 40×10 pixels: the shorter side must be 11 or more"),
        "bad guide": (("run", "good.png", "--guide", "cut.png"), "cut.png is truncated"),
        "size": (("run", "good.png", "--size", 5), "size is 5×5"),
        "no such size": (("run", "good.png", "--size", 1000001), "the largest side may be 1000000"),
        "no disk": (("run", "good.png", "--size", 1000000), "choose another --out, a smaller size, or free some"),
        "little memory": (("run", "good.png", "--memory", "1MiB"), "memory is 1 MiB: this print needs"),
        "no memory": (("run", "good.png", "--memory", "much"), "memory is 'much': give a size as 4GiB"),
        "processes": (("run", "good.png", "--processes", 0), "processes is 0: it must be from 1 to 256"),
        "format": (("run", "good.png", "--format", "gif"), "format is 'gif': use png or tiff"),
        "bits": (("run", "good.png", "--bits", 12), "bits is 12: use 8 or 16"),
        "two sizes": (("run", "good.png", "--size", 30, "--print", "A5"), "--size and --print are both given"),
        "print": (("run", "good.png", "--print", "600x900"), "600x900"),
        "dpi": (("run", "good.png", "--print", "A6", "--dpi", 0), "dpi is 0"),
        "nothing to resume": (("resume", "o"), "o cannot be resumed, no run was begun there"),
        "nothing to estimate": (("estimate",), "there is no size: give --print"),
        "no size": (("run", "good.png", "--size", "big"), "size is 'big'"),
        "exposure": (("run", "good.png", "--exposure", 2), "exposure is 2"),
        "NaN": (("run", "good.png", "--exposure", "nan"), "exposure is nan"),
        "densities": (("run", "good.png", "--max-density", 0), "max_density must be the larger"),
        "levels": (("run", "good.png", "--levels", 9), "levels is 9"),
        "no number": (
            ("run", "good.png", "--iterations", "many"),
            "iterations is 'many': it must be a whole number",
        ),
        "unknown option": (("run", "good.png", "--exposre", 1), "--exposre"),
        "unknown verb": (("rnu", "good.png"), "rnu"),
        "unknown key": (("run", "--job", "job.toml"), "unknown key 'exposr': did you mean 'exposure'?"),
        "no job": (("run", "--job", "no.toml"), "no.toml does not exist"),
        "no target": (("run",), "there is no target"),
        "layers": (("run", "good.png", "--layers", 17), "--layers is 17"),
        "layers and guides": (("run", "good.png", "--layers", 2, "-g", "good.png"), "--layers counts"),
        "17 guides": (("run", "good.png", *("-g", "good.png") * 17), "there are 17 guides"),
        "backend": (("run", "good.png", "--backend", "gpu"), "backend is 'gpu': use auto, cpu or cuda"),
        "cuda": (
            ("run", "good.png", "--backend", "cuda"),
            "backend is cuda: there is no NVIDIA driver here: use --backend cpu, or install one and pip",
        ),
        "out exists": (("run", "good.png", "--out", "there"), "there exists already"),
        "out under a file": (("run", "good.png", "--out", "notes.txt/o"), "cannot be written"),
        "verify nothing": (("verify", "nowhere"), "nowhere is not a folder"),
    }


def test_bad_input_is_refused_in_one_line_and_leaves_nothing(mlsolve, tmp_path, save, picture):
    cases = bad_files(tmp_path, save, picture)
    before = tree(tmp_path)
    for name, (arguments, words) in cases.items():
        refusal = mlsolve(*arguments).refusal
        assert words in refusal, name
        assert tree(tmp_path) == before, name


@pytest.mark.filterwarnings("default")
def test_a_broken_profile_is_told_once(mlsolve, tmp_path, picture):
    codes = np.rint(picture(30, 30) * 255).astype(np.uint8)
    Image.fromarray(codes).save(tmp_path / "p.png", icc_profile=b"no profile")
    done = mlsolve("run", "p.png", "--iterations", 1, "--out", "o")
    assert done.status == 0
    warned = [line for line in done.err.splitlines() if "warning" in line]
    assert len(warned) == 1
    assert warned[0].startswith("mlsolve: warning: p.png: its colour profile is ignored")


def test_an_unwritable_place(mlsolve, tmp_path, pictures, monkeypatch):
    """Root may write anywhere, so the refusal comes from the system call itself."""

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    before = tree(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", refuse)
        assert "o cannot be written: Permission denied" in mlsolve(*run_arguments(pictures, "--out", "o")).refusal
    assert tree(tmp_path) == before


def limited(tmp_path, arguments, size):
    """Run the command line where no file may be larger than `size` bytes, a real limit of the system."""
    script = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}));"
        "from mlsolve_cli.main import main; main(sys.argv[1:])"
    )
    command = [sys.executable, "-c", script, *(str(a) for a in arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment(), check=False)


@pytest.mark.slow
@pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux tells what a process held at the most: run it there"
)
def test_the_memory_that_is_given_is_not_exceeded(tmp_path, save, picture):
    """In a process of its own, as it is for a user: what other tests left would count as held before."""
    target = save("t.png", picture(420, 500))
    options = ("--iterations", 12, "--exposure", 0.1, "--json")
    held = {}
    for name, memory in (("little", "21MiB"), ("much", "200MiB")):
        command = [*("run", target, "-g", target, "-g", "mosaic:3"), *options, "--memory", memory, "--out", name]
        done = subprocess.run(
            [sys.executable, "-m", "mlsolve_cli", *map(str, command)],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=environment(),
            check=False,
        )
        assert done.returncode == 0, done.stderr
        held[name] = json.loads(done.stdout)["peak_memory"]
    assert held["little"] <= 21 * 2**20 < 30 * 2**20 < held["much"] <= 200 * 2**20
    same_but_for_seconds(tmp_path / "little", tmp_path / "much")


def test_a_disk_that_is_full_before_there_is_anything(mlsolve, tmp_path, pictures):
    """The run is refused, and nothing stays."""
    # Once without the limit, so that what the compiled kernels need is on the disk.
    mlsolve(*run_arguments(pictures, "--out", "first"))
    before = tree(tmp_path)
    done = limited(tmp_path, run_arguments(pictures, "--out", "o"), 3000)
    assert done.returncode == 2, done.stderr
    assert re.search("cannot be written: (File too large|No space left)", done.stderr.splitlines()[-1])
    assert "Traceback" not in done.stderr
    assert tree(tmp_path) == before


@pytest.mark.slow
def test_a_disk_that_fills_later_loses_nothing(mlsolve, tmp_path, pictures):
    """The run is refused and goes on when there is room, to the bytes of one that always had it."""
    mlsolve(*run_arguments(pictures, "--out", "first"))
    done = limited(tmp_path, run_arguments(pictures, "--out", "o"), 700_000)
    assert done.returncode == 2, done.stderr
    last = done.stderr.splitlines()[-1]
    assert "cannot be written: File too large; continue with: mlsolve resume o" in last.replace(
        str(tmp_path) + "/", ""
    )
    assert not (tmp_path / "o").exists()
    assert (
        "o.unfinished contains an unfinished run: --overwrite discards it, or continue with: mlsolve resume /"
        in mlsolve(*run_arguments(pictures, "--out", "o")).refusal
    )
    assert mlsolve("resume", "o").status == 0
    assert not (tmp_path / "o.unfinished").exists()
    same_but_for_seconds(tmp_path / "first", tmp_path / "o")


def same_but_for_seconds(one, other):
    first, again = tree(one), tree(other)
    assert first.keys() == again.keys()
    assert {key for key in first if first[key] != again[key]} <= {"result.json"}


def started(tmp_path, *arguments):
    """Start the command line and wait for its first step."""
    process = subprocess.Popen(
        [sys.executable, "-m", "mlsolve_cli", *(str(a) for a in arguments), "--json"],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if '"loss"' in line:
            return process
    raise AssertionError("it ended before it was interrupted")


def endless(pictures):
    arguments = list(run_arguments(pictures, "--out", "o"))
    arguments[arguments.index("--iterations") + 1] = 1_000_000
    return arguments


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])  # Ctrl-C, and how a job scheduler ends a program
def test_ctrl_c_keeps_the_best_so_far(mlsolve, tmp_path, pictures, sent):
    process = started(tmp_path, *endless(pictures))
    process.send_signal(sent)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    words = (
        r"interrupted in level 1 of 2, iteration \d+ of 1000000: the best so far is in o; "
        r"continue with: mlsolve resume o\n"
    )
    assert re.search(words, err)
    report = json.loads(out)
    assert report["stopped_by"] == "callback"
    assert picture_files.load_picture(layer_files(tmp_path / "o")[0]).shape == (40, 52, 3)
    assert "o exists already" in mlsolve(*endless(pictures)).refusal


def test_ctrl_c_while_the_files_are_written(tmp_path, pictures):
    """A finished result is not thrown away; the first Ctrl-C ends it once it is whole."""
    script = (
        "import os, signal, sys\n"
        "from mlsolve.run import pipeline as run\n"
        "from mlsolve_cli.main import main\n"
        "write = run.write_report\n"
        "def interrupted(*arguments):\n"
        "    if arguments[1].name == 'o':  # not the small run that compiles\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "    return write(*arguments)\n"
        "run.write_report = interrupted\n"
        "main(sys.argv[1:])\n"
    )
    arguments = [str(a) for a in run_arguments(pictures, "--out", "o")]
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 130, done.stderr
    assert done.stderr.splitlines()[-1] == (
        "mlsolve: interrupted after the last iteration: the whole result is in o"
    )
    assert (tmp_path / "o" / "result.json").exists()


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("mlsolve.run.lifecycle.make_pictures", "interrupted: nothing was written"),
        ("mlsolve.run.pipeline.write_report", "interrupted; continue with: mlsolve resume o"),
    ],
)
def test_ctrl_c_twice(mlsolve, tmp_path, pictures, monkeypatch, target, words):
    """Nothing is in the folder; what there is to go on with, is gone on with."""

    def interrupt(*_):
        raise KeyboardInterrupt

    before = tree(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(target, interrupt)
        done = mlsolve(*run_arguments(pictures, "--out", "o"))
    assert done.status == 130
    assert done.err.splitlines()[-1] == f"mlsolve: {words}"
    assert not (tmp_path / "o").exists()
    if "resume" in words:
        assert mlsolve("resume", "o").status == 0
    else:
        assert tree(tmp_path) == before


@pytest.mark.slow
def test_a_terminal_that_knows_few_letters(tmp_path, pictures):
    arguments = [str(a) for a in run_arguments(pictures, "--out", "o")]
    done = subprocess.run(
        [sys.executable, "-m", "mlsolve_cli", *arguments],
        env={**environment(), "PYTHONIOENCODING": "latin-1"},
        capture_output=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert b"layer-1.png ? o" in done.stdout


@pytest.mark.skipif(os.name != "posix", reason="other systems have no broken pipes: run it on Linux or macOS")
@pytest.mark.parametrize("words", [["info"], ["info", "--json"], ["--help"]])
def test_a_reader_that_has_gone_ends_it_in_silence(words):
    """`mlsolve info | true` closes the pipe before anything is written."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "mlsolve_cli", *words]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, env=environment(), check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")


def test_whoever_reads_along_may_go(tmp_path, pictures):
    """`mlsolve run … 2>&1 | head -1` closes the pipe at the first line."""
    reader, writer = os.pipe()
    os.close(reader)
    arguments = [str(a) for a in run_arguments(pictures, "--out", "o")]
    command = [sys.executable, "-m", "mlsolve_cli", *arguments]
    subprocess.run(command, stdout=writer, stderr=writer, env=environment(), cwd=tmp_path, check=False)
    os.close(writer)
    assert (tmp_path / "o" / "result.json").exists()


def test_closed_streams(tmp_path, pictures):
    arguments = " ".join(str(a) for a in run_arguments(pictures, "--out", "o"))
    command = f"{sys.executable} -m mlsolve_cli {arguments} >&- 2>&-"
    done = subprocess.run(["sh", "-c", command], cwd=tmp_path, env=environment(), check=False)
    assert done.returncode == 0
    assert (tmp_path / "o" / "sheet.png").exists()


def test_no_arguments_show_the_help(mlsolve):
    done = mlsolve()
    assert "Usage: mlsolve" in done.out + done.err
    assert "error" not in done.err


def test_plain_lines_where_there_is_no_terminal(mlsolve, pictures):
    done = mlsolve(*run_arguments(pictures, "--out", "o"))
    lines = [line for line in done.err.splitlines() if line.startswith("level")]
    assert len(lines) == 2
    pattern = r"level 2/2  8/8 loss [\d.]+ SSIM [\d.]+ guides [\d.]+  \d+% of all(, \d+ s left)?"
    assert re.fullmatch(pattern, lines[1])
    assert "\x1b" not in done.err


def test_a_bar_on_a_terminal(tmp_path, pictures):
    # Long enough for the bar to be seen: it is drawn ten times a second.
    arguments = [str(a) for a in run_arguments(pictures, "--out", "o", "--iterations", 1500)]
    status, _, text = on_a_terminal([sys.executable, "-m", "mlsolve_cli", *arguments], tmp_path)
    assert status == 0
    assert "━" in text
    words = r"\d+/1500 loss [\d.]+ SSIM [\d.]+ guides [\d.]+ \d+ s left"
    assert re.search(rf"level \d/2 ━+ *\S* *{words}", _plain(text))


def _plain(text):
    """Text without the colours of a terminal."""
    return re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", text)


def test_help_does_not_wait(tmp_path):
    """No clock here (speed lives in bench/): what takes long is importing, and nothing heavy is imported."""
    script = (
        "import sys\n"
        "from mlsolve_cli.main import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print(sorted({'numpy', 'numba', 'cv2', 'PIL'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(("seconds", "words"), [(0.4, "0 s"), (89, "89 s"), (600, "10 min"), (9000, "2.5 h")])
def test_durations(seconds, words):
    assert progress.duration(seconds) == words


def test_how_many_workers_are_ready_in_words():
    words = progress.CrewWords()
    assert words.words(0, 0, ()).startswith("asking the cluster: up to 30 s for its scheduler")
    assert words.words(0, 4, ()) == "0 of 4 workers ready"
    assert words.words(1, 4, ()) == ""  # at most one such line in a few seconds
    assert words.words(4, 4, ()) == "4 workers ready"
    assert words.words(3, 3, ["tcp://a:1 on wall-2"]) == "1 worker lost, 3 left: tcp://a:1 on wall-2"
    assert words.words(3, 3, ()) == ""
    assert words.words(4, 4, ()) == "4 workers ready"
    gone = words.words(0, 0, ["a", "b", "c", "d"])
    end = "waiting up to 40 s for workers, or for the scheduler"
    assert gone == f"4 workers lost, 0 left: a, b, c and 1 more; {end}"
