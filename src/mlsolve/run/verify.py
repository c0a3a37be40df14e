"""Score a folder of layers again, region by region, from its files."""

import dataclasses
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..job.job import Job
from ..job.options import Options
from ..scoring.bands import Scoring
from ..scoring.layer_files import score_layer_files
from ..solving.executors.threads import Threads
from ..solving.store import DiskStore, MemoryStore, Store
from .budget import Budget, shares
from .disk import layers_pass, pictures_bytes
from .inputs import make_pictures
from .job_spec import opened, planes_of_pictures, spec_at
from .outputs import codes_of, placed_stacks


def score_folder(folder: Path, job: Job) -> Scoring:
    """Return the scores of the layers in `folder` against the targets and guides of `job`, which has their size.

    Arrangements without an exposure take that of the options. The pictures are fitted to the size in memory if they
    take a quarter of it at most and the rows of the layers can pass by, else in a temporary folder beside `folder`,
    or in the system's if that cannot be written.
    """
    assert job.size is not None
    files = opened(job)
    options = _scored(job)
    spec, disc = spec_at(job, job.size, planes_of_pictures(job, files), options), job.shape == "disc"
    total, taken = Budget().total, pictures_bytes(spec)
    in_memory = total is not None and taken <= total // 4 and layers_pass(spec)
    budget = Budget(total - taken) if total is not None and in_memory else Budget()
    parts = shares(budget, spec, job, list(files.values()), None)
    with _store(folder, in_memory) as store:
        executor = Threads(parts.painters)
        try:
            spec.save(store)
            make_pictures(store, job, files, executor, parts.side, parts.held, lambda share: None)
        finally:
            executor.close()
        return score_layer_files(
            folder,
            placed_stacks(spec),
            lambda: codes_of(store, spec),
            store,
            parts.bands,
            job.options.registration,
            write=False,
            round_sheets=disc,
            inks=spec.inks,
        )


def _scored(job: Job) -> Options:
    """Return the options that matter to scores: they may be of another printer."""
    defaults = Options()
    return dataclasses.replace(
        job.options,
        levels=1,
        solver="auto",
        learning_rate=None,
        min_density=defaults.min_density,
        max_density=defaults.max_density,
        room=0.0 if job.media is None else job.options.room,
    )


@contextmanager
def _store(folder: Path, in_memory: bool) -> Iterator[Store]:
    """Yield a store for the pictures, which is gone afterwards."""
    if in_memory:
        yield MemoryStore()
        return
    with _temporary(folder) as name:
        yield DiskStore(Path(name))


def _temporary(folder: Path) -> "tempfile.TemporaryDirectory[str]":
    """Return a temporary folder, on the disk of the print if that can be written."""
    try:
        return tempfile.TemporaryDirectory(prefix=".mlsolve-verify-", dir=folder.absolute().parent)
    except OSError:
        return tempfile.TemporaryDirectory(prefix="mlsolve-verify-")
