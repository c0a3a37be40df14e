"""A small run of everything, so that all is loaded and compiled before memory or time is counted."""

import dataclasses
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from mlsolve_kernels.compiled import is_cached
from mlsolve_kernels.control_groups import memory_limit
from mlsolve_kernels.lookup.cpu import look_up
from mlsolve_kernels.region import Region

from ..errors import MlsolveError, OptionError
from ..job.job import Job
from ..job.options import Options
from ..pictures.picture_files import PngWriter, load_picture
from ..report.result import Summary, write_report
from ..scoring.bands import Preview
from ..scoring.layer_files import prove
from ..solving.backends import CpuBackend
from ..solving.balancing import balanced
from ..solving.callbacks import Silent
from ..solving.executors.serial import Serial
from ..solving.level_pictures import as_codes, meaning, name_of
from ..solving.levels import descend, enlarge, halve_pictures
from ..solving.plan import Limits
from ..solving.spec import BETAS, Problem, stacks_of
from ..solving.store import DiskStore
from ..solving.store.zarr import CHUNK
from ..system.memory import in_words
from .outputs import laid_stacks

_SIDE = 24

_LOADING: Final = 45 << 20
"""Bytes that loading and running everything once takes where it is compiled, measured, rounded up."""

_COMPILING: Final = 180 << 20
"""Bytes that it takes where it is not."""


def is_compiled(job: Job | None) -> bool:
    """Tell whether most of what a run of `job` takes was compiled before."""
    return is_cached("cpu.sweep" if _small(job).objective.plain else "passes.stack_pass")


def check_room(job: Job | None) -> None:
    """Raise OptionError if the control group of this process has no room for `run_everything_once`.

    Beyond its limit the kernel ends the process, after minutes of reading the program's own pages again and again.
    """
    limit = memory_limit()
    needed, what = (_LOADING, "load") if is_compiled(job) else (_COMPILING, "compile")
    if limit is not None and limit.left < needed:
        raise OptionError(
            f"the control group {limit.group} has {in_words(limit.left)} of its {in_words(limit.limit)} of memory "
            f"left: mlsolve takes {in_words(needed)} to {what} its kernels, so raise that limit"
        )


_run_before: Final = set[Problem]()
"""What this process has run: it need not do so again."""


def run_everything_once(job: Job | None = None) -> None:
    """Solve, write and score pictures of a few pixels, in a temporary folder, as it is done for `job`.

    What sheets that lie otherwise take, or must not give a picture away, is compiled only if `job` asks for it.
    Where there is no room for a folder, the run itself loads and compiles what is missing, and holds it.
    """
    problem = _small(job)
    if problem in _run_before:
        return
    with suppress(MlsolveError, OSError), tempfile.TemporaryDirectory() as name:
        _run(Path(name), problem)
        _run_before.add(problem)


def _small(job: Job | None) -> Problem:
    """Return a problem of a few pixels that takes the kernels that `job` takes; all plain ones take the same."""
    options = Options(iterations=2, levels=2)
    shapes = (_SIDE // 2, _SIDE // 2), (_SIDE, _SIDE)
    if job is not None:
        stacks, layers, own = stacks_of(job.arrangements), len(job.guides), job.options
        options = dataclasses.replace(
            options,
            hide_weight=own.hide_weight,
            registration=min(own.registration, 1),
            registration_turn=own.registration_turn,
        )
        ones = (1,) * len(job.entries)
        problem = Problem(layers, 1, shapes, ones, options, "cpu", stacks, job.shape == "disc")
        if not problem.objective.plain:
            return problem
    return Problem(1, 1, shapes, (1, 1), options, "cpu")


def _run(folder: Path, problem: Problem) -> None:
    store, whole = DiskStore(folder / "store"), Region(0, _SIDE, 0, _SIDE)
    codes = as_codes(np.linspace(0.2, 0.8, _SIDE * _SIDE).reshape(_SIDE, _SIDE))
    problem.save(store)
    for number in range(len(problem.picture_planes)):
        picture = store.create(name_of(2, number), (1, _SIDE, _SIDE), np.uint16, (_SIDE, _SIDE))
        with picture.tile((), whole) as tile:
            tile.put((0,), codes)
    layer = np.empty((_SIDE, _SIDE), dtype=np.float32)
    executor = Serial(CpuBackend(1, BETAS))
    try:
        halve_pictures(store, problem, executor)
        problem, balance = balanced(store, problem, tune=False)
        problem.save(store)
        history, record = descend(store, executor, Limits(), Silent())
        store.open(enlarge(store, executor, record)).read((0, 0, 0), whole, layer)
    finally:
        executor.close()
    for number in range(problem.layers):
        with PngWriter(folder / f"layer-{number + 1}.png", (_SIDE, _SIDE), 1, 8) as writer:
            writer.write((as_codes(layer)[..., np.newaxis] >> 8).astype(np.uint8))
    seen = codes[..., np.newaxis]
    proof = prove(
        folder,
        laid_stacks(problem),
        lambda _, part: seen[part.top : part.bottom, part.left : part.right],
        store,
        1,
        round_sheets=problem.disc,
    )
    write_report(folder, folder, Summary(balance, 0.0, history, "iterations", 0.0, "cpu", None), proof)
    # Chunks of the store whole, and in part: Numba compiles for each.
    for part in (np.zeros((CHUNK, CHUNK), dtype=np.uint16), np.zeros((CHUNK, 2 * CHUNK), dtype=np.uint16)[:, ::2]):
        look_up(meaning(True), part, np.empty((CHUNK, CHUNK), dtype=np.float32), 0, 0)
        look_up(meaning(True).copy(), part[:, :3], np.empty((CHUNK, CHUNK), dtype=np.float32), 0, 0)
    # What is shown smaller than it is, in two portions, of one plane and of three.
    for planes in (1, 3):
        preview = Preview((_SIDE, _SIDE), _SIDE // 3)
        rows = np.full((_SIDE // 2 + 1, _SIDE, planes), 0.5, dtype=np.float32)
        preview.feed(rows)
        preview.feed(rows[2:])
    for suffix in ("jpg", "tif"):
        Image.new("RGB", (_SIDE, _SIDE)).save(folder / f"other.{suffix}")
        load_picture(folder / f"other.{suffix}")
