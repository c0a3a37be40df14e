"""Scoring a folder of layers again, by region, from its files."""

import tempfile
from pathlib import Path

from ..backends import CpuBackend
from ..folder import prove
from ..job import Job
from ..rounds.executors import Serial
from ..rounds.problem import BETAS, Problem
from ..scores import Scores
from ..store import DiskStore
from .inputs import make_pictures
from .machine import Machine, shares
from .output import codes_of
from .run import opened, planes_of_pictures


def score_folder(folder: Path, job: Job) -> Scores:
    """Return what the layers in `folder` score against target and guides of `job`, whose size is theirs.

    The pictures are brought to that size in a temporary folder beside it, or where the system keeps such.
    """
    assert job.size is not None
    files = opened(job)
    planes = planes_of_pictures(job, files)
    shape = job.size[1], job.size[0]
    problem = Problem(len(job.guides), max(planes), (shape,), planes, job.options, "cpu")
    parts = shares(Machine(), problem, job, list(files.values()), None)
    with _temporary(folder) as name:
        store, executor = DiskStore(Path(name)), Serial(CpuBackend(1, BETAS))
        try:
            problem.save(store)
            make_pictures(store, job, files, executor, parts.side, lambda number, share: None)
        finally:
            executor.close()
        rows = parts.rows
        return prove(folder, job.options.exposure, codes_of(store, problem), rows=rows, sink=lambda _: None).scores


def _temporary(folder: Path) -> "tempfile.TemporaryDirectory[str]":
    """Return a temporary folder, on the disk where the print lies if that can be written to."""
    try:
        return tempfile.TemporaryDirectory(prefix=".mlsolve-verify-", dir=folder.absolute().parent)
    except OSError:
        return tempfile.TemporaryDirectory(prefix="mlsolve-verify-")
