"""The examples are there, are small, and run as they are."""

import re
import runpy
import sys

import pytest

from conftest import ROOT
from mlsolve.job.job_file import load_job, read_settings, tomllib
from mlsolve.pictures.picture_files import load_picture, open_picture

EXAMPLES = ROOT / "examples"
JOBS = sorted(EXAMPLES.glob("*.toml"))
PICTURES = sorted(EXAMPLES.glob("*.jpg"))
README = (ROOT / "README.md").read_text(encoding="utf-8")
SEVERAL = (ROOT / "docs" / "several-pictures.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
DESCRIBED = (EXAMPLES / "README.md").read_text(encoding="utf-8")


def test_make_gallery_runs_them_all():
    assert JOBS
    (named,) = re.findall(r"^GALLERY := (.*)$", MAKEFILE, re.MULTILINE)
    assert sorted(named.split()) == [job.stem for job in JOBS]


@pytest.mark.parametrize("path", JOBS, ids=lambda path: path.stem)
def test_a_job_can_be_solved(path):
    job = load_job(path)  # which checks arrangements
    assert all(file.parent == EXAMPLES and file.exists() for file in job.files)
    assert job.size is not None
    assert 480 <= max(job.size) <= 600
    lines = path.read_text(encoding="utf-8").splitlines()
    assert all(line.startswith("# ") for line in lines[:2])  # what it shows, how to lay the sheets
    assert f"| {path.name} |" in DESCRIBED


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.stem)
def test_a_picture_is_small_and_its_licence_is_told(path):
    assert path.stat().st_size <= 50_000
    assert max(open_picture(path).size) <= 480
    (line,) = re.findall(rf"^\| {re.escape(path.name)} \|.*$", DESCRIBED, re.MULTILINE)
    assert re.search(r"CC0|public domain|as chelsea\.jpg", line)
    wanted = {file for job in JOBS for file in load_job(job).files}
    assert path in wanted or f"examples/{path.name}" in MAKEFILE


def test_all_of_them_are_small():
    assert sum(entry.stat().st_size for entry in EXAMPLES.iterdir()) < 600_000


def test_the_page_on_several_pictures_shows_a_job_as_it_is():
    (shown,) = re.findall(r"```toml\n(.*?)```", SEVERAL, re.DOTALL)
    assert tomllib.loads(shown) == read_settings(EXAMPLES / "two-from-three.toml")


def test_the_pictures_of_the_readme_are_small():
    shown = re.findall(r"\((docs/gallery/[\w-]+\.jpg)\)", README)
    assert sorted(shown) == sorted(f"docs/gallery/{job.stem}.jpg" for job in JOBS)
    sizes = [(ROOT / name).stat().st_size for name in shown]
    assert max(sizes) <= 120_000
    assert sum(sizes) <= 450_000


def test_one_is_solved_and_goes_into_the_gallery(mlsolve, tmp_path, monkeypatch, capsys):
    job = EXAMPLES / "two-from-three.toml"
    run = mlsolve("run", "--job", job, "--size", 64, "--iterations", 20, "--out", "runs/faces")
    assert run.status == 0
    assert re.search(r"stack 2 .* cat\.jpg .*\n +layers 1; 2, turned 30°; 3, turned 180°", run.out)

    monkeypatch.setattr(sys, "argv", ["gallery.py", "runs", "pictures"])
    runpy.run_path(str(ROOT / "bench" / "gallery.py"), run_name="gallery")["main"]()
    assert "woman.jpg" in capsys.readouterr().out
    picture = load_picture(tmp_path / "pictures" / "faces.jpg")
    assert picture.shape[1] == 880
    assert picture.std() > 0.1
