"""`mlsolve suggest --from`: guides that suit the pictures, out of many."""

import dataclasses
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mlsolve.errors import InputError, OptionError

from .echo import echo
from .options import Given
from .progress import COMPILING
from .request import job_of

if TYPE_CHECKING:
    from mlsolve.job.job import Job
    from mlsolve.suggesting.guides import Proposal, Proposals

_BETWEEN_LINES: Final = 5.0
"""Seconds between lines of progress where there is no terminal."""


def propose_guides(given: Given) -> None:
    """Find the best guides, write the folder of proposals, and print them."""
    from mlsolve.report.folder import check_output
    from mlsolve.suggesting.guides import propose
    from mlsolve.suggesting.writing import JOB, SHEET, write_proposals

    if "guide" in given:
        raise OptionError("--guide and --from are both given: --from chooses all guides, leave --guide out")
    job, layers = _job(given)
    folder = given.get("out") or Path(f"{job.target.stem}-guides")
    check_output(folder, given["overwrite"])
    compile_kernels(job)
    with _progress() as tell:
        found = propose(job, given["candidates"], layers, tell=tell)
    for line in (*found.left_out, *found.alike):
        echo(f"mlsolve: warning: {line}", err=True)
    write_proposals(found, folder, given["overwrite"])
    if given["json"]:
        echo(json.dumps(_plain(found, folder), indent=2, ensure_ascii=False))
        return
    height, width = found.best[0].step.shape
    echo(f"{found.candidates} candidates, {found.measured} small solves; scores predicted at {width}×{height}:")
    for number, one in enumerate(found.best, start=1):
        for line in _lines(number, one):
            echo(line)
    echo(f"\n{folder / SHEET} shows them; to print the first: mlsolve run {folder / JOB}")
    if len(found.best) > 1:
        echo(f"the others: job-2.toml{f' to job-{len(found.best)}.toml' if len(found.best) > 2 else ''}")


def _job(given: Given) -> tuple["Job", int]:
    """Return the job that is asked for, with guides to be replaced, and the number of its layers."""
    from mlsolve.job.arrangements import Arrangement
    from mlsolve.job.job import own_guides

    targets = given.get("target", [])
    rest = {name: value for name, value in given.items() if name != "target"}
    if len(targets) > 1:
        if "job" in given or any(target.suffix.lower() == ".toml" for target in targets):
            raise OptionError("several pictures and a job file are given: name the pictures in the job file")
        if "mask" in given:
            raise OptionError("--mask is for one picture: give several ones a mask in a job file")
    job = job_of({**rest, "target": targets[0]} if targets else rest, "suggest")
    layers = len(job.guides)  # of the job file, or as many as --layers
    if len(targets) > 1:
        job = dataclasses.replace(job, arrangements=tuple(Arrangement(target) for target in targets))
    return dataclasses.replace(job, guides=own_guides(layers, 0)), layers


@contextmanager
def _progress() -> Iterator[Callable[[str, int], None]]:
    """Give a function that shows what is being done and the number of solves so far."""
    if sys.stderr.isatty():
        from rich.console import Console

        with Console(stderr=True).status("reading pictures") as status:
            yield lambda what, solves: status.update(_words(what, solves))
        return
    last = time.monotonic()

    def tell(what: str, solves: int) -> None:
        nonlocal last
        if time.monotonic() - last >= _BETWEEN_LINES:
            last = time.monotonic()
            echo(_words(what, solves), err=True)

    yield tell


def _words(what: str, solves: int) -> str:
    return f"{what}, {solves} small solves" if solves else what


def _lines(number: int, one: "Proposal") -> list[str]:
    """Return a proposal in words."""
    step, job = one.step, one.job
    if len(job.targets) == 1:
        stacks = f"{step.target_ssim:.3f}"
    else:
        stacks = ", ".join(
            f"{path.name} {ssim:.3f}" for path, ssim in zip(job.targets, step.stack_ssim, strict=True)
        )
    lines = [f"\n{number}  {', '.join(one.names)}"]
    lines.append(f"   loss {step.loss:.3f}, SSIM {stacks}, guides {step.mean_guide_ssim:.3f}")
    for path, arrangement in zip(job.targets, job.arrangements, strict=True):
        if arrangement.place is not None:
            lines.append(f"   {path.name}: layers {'; '.join(each.words() for each in arrangement.place)}")
    return lines


def _plain(found: "Proposals", folder: Path) -> dict[str, Any]:
    from mlsolve.job.job import placement_table

    def plain(one: "Proposal") -> dict[str, Any]:
        places = [each.place for each in one.job.arrangements]
        return {
            "guides": [entry if isinstance(entry, str) else str(entry) for entry in one.job.guides],
            "loss": one.step.loss,
            "stack_ssim": one.step.stack_ssim,
            "guide_ssim": one.step.guide_ssim,
            "exposures": one.exposures,
            "place": [None if place is None else [placement_table(each) for each in place] for place in places],
        }

    height, width = found.best[0].step.shape
    return {
        "folder": str(folder),
        "candidates": found.candidates,
        "solves": found.measured,
        "size": [width, height],
        "left_out": found.left_out,
        "alike": found.alike,
        "best": [plain(one) for one in found.best],
    }


def compile_kernels(job: "Job") -> None:
    """Compile or load the kernels of small solves of `job`, and say so if it takes long."""
    from mlsolve.run.precompile import check_room, is_compiled, precompile

    # Most small solves take Adam's step, whatever the run would take.
    solved = dataclasses.replace(job, options=dataclasses.replace(job.options, solver="adam"))
    check_room(solved)
    if not is_compiled(solved):
        echo(COMPILING, err=True)
    precompile(solved)


def refuse_without_from(given: Given) -> None:
    """Raise an error for what only goes with --from, where that is not given."""
    if "out" in given:
        raise OptionError("--out goes with --from, which writes proposals: leave it out")
    if len(given.get("target", [])) > 1:
        raise InputError("several pictures are given: add --from FOLDER to choose their guides, or give a job file")
