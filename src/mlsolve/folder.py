"""The folder a run leaves: all of it or nothing."""

import json
import math
import os
import platform
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from . import __version__, images
from .errors import InputError, OutputError
from .job import Job, relative_name
from .scores import Scores, score
from .sheet import draw_sheet

if TYPE_CHECKING:
    from .solution import Solution

_OURS: Final = re.compile(r"layer-\d+\.png|stack\.png|sheet\.png|history\.csv|job\.toml|result\.json")
"""Names of the files mlsolve writes into a folder."""


def write_solution(solution: "Solution", folder: Path, overwrite: bool = False, job: Job | None = None) -> Path:
    """Write everything that belongs to `solution` into `folder` and return it; see `Solution.save`.

    job: what it came from, written as job.toml.
    """
    with staged(folder, overwrite) as stage:
        for number, layer in enumerate(solution.printed, start=1):
            images.save_png(stage / f"layer-{number}.png", layer)
        written = read_layers(stage)
        scores = score(written, solution.target, solution.guides, solution.options.exposure)
        images.save_png(stage / "stack.png", np.rint(solution.stack * np.float32(255)).astype(np.uint8))
        images.save_png(stage / "sheet.png", draw_sheet(solution, scores))
        images.write_bytes(stage / "history.csv", solution.history.csv().encode())
        if job is not None:
            images.write_bytes(stage / "job.toml", job.toml(folder).encode())
        report = json.dumps(result(solution, scores, folder, job), indent=2, ensure_ascii=False)
        images.write_bytes(stage / "result.json", (report + "\n").encode())
    return folder


def result(solution: "Solution", scores: Scores, folder: Path, job: Job | None) -> dict[str, Any]:
    """Return what result.json holds."""
    height, width = solution.target.shape[:2]
    return {
        "arrangements": [
            {
                "target": None if job is None else relative_name(job.target, folder),
                "exposure": solution.options.exposure,
                **target_report(scores),
            }
        ],
        "guides": [round(value, 6) for value in scores.guide_ssim],
        "size": [width, height],
        "iterations": len(solution.history),
        "stopped_by": solution.stop,
        "seconds": round(solution.seconds, 3),
        "backend": solution.backend,
        "device": solution.device,
        "versions": versions(),
    }


def target_report(scores: Scores) -> dict[str, float | None]:
    """Return SSIM and PSNR of the stack; the PSNR of an exact stack, which is infinite, is null in JSON."""
    exact = math.isinf(scores.target_psnr)
    return {"ssim": round(scores.target_ssim, 6), "psnr": None if exact else round(scores.target_psnr, 3)}


def versions() -> dict[str, str]:
    """Return the versions of everything that has a say in the result."""
    found = {"mlsolve": __version__, "python": platform.python_version()}
    for package in ("numpy", "numba", "opencv-python-headless", "pillow"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "unknown"
    return found


def read_layers(folder: Path) -> list[images.FloatArray]:
    """Return layer-1.png, layer-2.png, … of `folder`, each (H, W, C) float32 sRGB in [0, 1].

    Raises InputError if there are none or one is missing in between.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder: give the folder that mlsolve run wrote")
    numbers = sorted(
        int(match[1]) for entry in folder.iterdir() if (match := re.fullmatch(r"layer-(\d+)\.png", entry.name))
    )
    if not numbers:
        raise InputError(f"{folder} holds no layer-1.png: give the folder that mlsolve run wrote")
    for expected, number in enumerate(numbers, start=1):
        if number != expected:
            raise InputError(f"{folder} holds layer-{number}.png but no layer-{expected}.png: restore it")
    return [images.load(folder / f"layer-{number}.png") for number in numbers]


def check_output(folder: Path, overwrite: bool) -> None:
    """Raise OutputError if `folder` may not or cannot be written, before any work is done; leaves nothing."""
    with _guarded(folder):
        _check_replaceable(folder, overwrite)
        created = _make_parents(folder)
        try:
            stage = _stage_name(folder)
            stage.mkdir()
            stage.rmdir()
        finally:
            _remove_empty(created)


@contextmanager
def staged(folder: Path, overwrite: bool) -> Iterator[Path]:
    """Give a folder beside `folder` to write into; it takes its place at the end, or vanishes on an error."""
    check_output(folder, overwrite)
    with _guarded(folder):
        created = _make_parents(folder)
        stage = _stage_name(folder)
        try:
            stage.mkdir()
            yield stage
            # Somebody may have come in between: what they wrote is not ours to replace.
            _check_replaceable(folder, overwrite)
            _swap(stage, folder)
        except BaseException as error:
            shutil.rmtree(stage, ignore_errors=True)
            _remove_empty(created)
            if isinstance(error, OutputError):
                raise OutputError(str(error).replace(str(stage), str(folder))) from None
            raise


def _check_replaceable(folder: Path, overwrite: bool) -> None:
    """Raise OutputError unless nothing is at `folder`, or `overwrite` is set and all in it is ours."""
    if not os.path.lexists(folder):
        return
    if not overwrite:
        raise OutputError(f"{folder} exists already: choose another --out or add --overwrite")
    if not folder.is_dir() or folder.is_symlink():
        raise OutputError(f"{folder} is no folder: choose another --out")
    for entry in sorted(folder.iterdir()):
        if not _OURS.fullmatch(entry.name):
            raise OutputError(f"{folder} holds {entry.name}, which mlsolve did not write: choose another --out")


@contextmanager
def _guarded(folder: Path) -> Iterator[None]:
    """Turn what the file system refuses into one line."""
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error.strerror or error}") from None


def _swap(stage: Path, folder: Path) -> None:
    """Put `stage` in the place of `folder`; what was there goes once the new is there."""
    if not folder.exists():
        stage.rename(folder)
        return
    old = stage.with_name(stage.name + "-old")
    folder.rename(old)
    try:
        stage.rename(folder)
    except OSError:
        old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _stage_name(folder: Path) -> Path:
    absolute = folder.absolute()
    # Cut short, for a name may be as long as the file system allows.
    return absolute.with_name(f".{absolute.name[:40]}.partial-{os.getpid()}")


def _make_parents(folder: Path) -> list[Path]:
    """Create what is missing above `folder`; return what was created, the innermost first."""
    missing = [parent for parent in folder.absolute().parents if not parent.exists()]
    folder.absolute().parent.mkdir(parents=True, exist_ok=True)
    return missing


def _remove_empty(folders: list[Path]) -> None:
    for empty in folders:
        try:
            empty.rmdir()
        except OSError:
            return
