"""Scoring a folder of layers again, by region, from its files."""

import json
import tempfile
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..job.job import Job
from ..scoring.bands import Proof
from ..scoring.layer_files import prove
from ..solving.backends import CpuBackend
from ..solving.executors.serial import Serial
from ..solving.spec import BETAS, Problem, stacks_of
from ..solving.store import DiskStore
from .budget import Machine, shares
from .inputs import make_pictures
from .outputs import codes_of, laid_stacks
from .pipeline import opened, planes_of_pictures


def score_folder(folder: Path, job: Job) -> Proof:
    """Return what the layers in `folder` score against targets and guides of `job`, whose size is theirs.

    Arrangements that name no exposure have that of the options. The pictures are brought to that size in a
    temporary folder beside it, or where the system keeps such.
    """
    assert job.size is not None
    files = opened(job)
    planes = planes_of_pictures(job, files)
    shape, stacks = (job.size[1], job.size[0]), stacks_of(job.arrangements)
    disc = job.shape == "disc"
    problem = Problem(len(job.guides), max(planes), (shape,), planes, job.options, "cpu", stacks, disc)
    parts = shares(Machine(), problem, job, list(files.values()), None)
    with _temporary(folder) as name:
        store, executor = DiskStore(Path(name)), Serial(CpuBackend(1, BETAS))
        try:
            problem.save(store)
            make_pictures(store, job, files, executor, parts.side, lambda number, share: None)
        finally:
            executor.close()
        wanted, registration = codes_of(store, problem), job.options.registration
        return prove(
            folder,
            laid_stacks(problem),
            wanted,
            store,
            rows=parts.rows,
            registration=registration,
            write=False,
            round_sheets=disc,
        )


def exposures_of(folder: Path, arrangements: int) -> list[float] | None:
    """Return the exposures that result.json in `folder` tells of so many arrangements, None if there is none.

    Raises InputError if it is damaged, or tells of another number.
    """
    path = folder / "result.json"
    if not path.exists():
        return None
    try:
        report: Any = json.loads(path.read_text(encoding="utf-8"))
        found = [float(one["exposure"]) for one in report["arrangements"]]
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(f"{path} is damaged: delete it, and give --exposure") from None
    if len(found) != arrangements:
        raise InputError(f"{path} tells of {len(found)} arrangements, job.toml of {arrangements}: run anew")
    return found


def _temporary(folder: Path) -> "tempfile.TemporaryDirectory[str]":
    """Return a temporary folder, on the disk where the print lies if that can be written to."""
    try:
        return tempfile.TemporaryDirectory(prefix=".mlsolve-verify-", dir=folder.absolute().parent)
    except OSError:
        return tempfile.TemporaryDirectory(prefix="mlsolve-verify-")
