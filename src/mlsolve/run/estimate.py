"""What a run will need: pixels, memory, disk, time. It times a few iterations and starts nothing."""

import dataclasses
import shutil
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from mlsolve_kernels.iteration.objective import Shape
from mlsolve_kernels.threads import available_cores

from ..job.job import Job
from ..pictures.picture_files import Picture
from ..solving.backends import CpuBackend, fill
from ..solving.spec import BETAS, Spec
from ..solving.tile_coupling import coupling_at
from ..system.memory import BYTES_PER_VALUE, available_memory
from .budget import Budget, disk_bytes, plans, shares, states_left
from .job_spec import opened, spec_at, spec_of_job

_SIDE: Final = 600
_TURNS: Final = 12

OTHER_STAGES: Final = 45.0
"""Cost of preparing, writing and scoring, in iterations of the whole picture (bench/LOG.md #53)."""


@dataclass(frozen=True)
class Estimate:
    """What a run will need. Sizes are (width, height) in pixels; memory and disk are in bytes."""

    size: tuple[int, int]
    dpi: float | None
    layers: int
    planes: int
    iterations: int
    levels: int
    tile: tuple[int, int]
    """Of a tile at full size."""
    tiles: int
    """Tiles at full size, of all planes."""
    rounds: int
    """Rounds at full size."""
    cost: float
    """Of an iteration at full size, against one in memory."""
    memory: int
    memory_free: int | None
    memory_whole: int
    """Memory it would need without tiles."""
    disk: int
    disk_free: int
    nanoseconds: float
    """Time of an iteration on this machine for one pixel of one plane of one layer."""
    seconds: float

    def plain(self) -> dict[str, Any]:
        """Return it as plain values."""
        return dataclasses.asdict(self)


def estimate_job(job: Job, budget: Budget, folder: Path, colour: bool | None) -> Estimate:
    """Return what `job` will need on this machine, with its state and result on the disk of `folder`.

    colour: None to open the pictures; otherwise the pictures need not exist, and count as colour (three planes)
    or grey (one).
    """
    spec, files = _described(job, colour)
    place = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists())
    parts = shares(budget, spec, job, files, states_left(spec, place))
    levels = plans(spec, parts.limits)
    finest, (height, width) = levels[-1], spec.shapes[-1]
    values = spec.layers * spec.pixels(spec.levels)
    down, across = -(-height // finest.sides[0]), -(-width // finest.sides[1])
    pace = pace_of(spec, budget)
    iterations = spec.options.iterations
    solving = sum(
        spec.layers * spec.pixels(level) * plan.cost * iterations for level, plan in enumerate(levels, start=1)
    )
    total = budget.total
    coupling = coupling_at(spec, spec.levels).whole
    whole = parts.limits.tile_bytes(spec.layers, spec.planes, (height, width), coupling)
    if coupling.objective is None:
        whole = min(BYTES_PER_VALUE * values, whole)
    return Estimate(
        (width, height),
        job.dpi,
        spec.layers,
        spec.planes,
        iterations,
        spec.levels,
        (finest.sides[1], finest.sides[0]),
        down * across * (1 if finest.together else spec.planes),
        -(-iterations // finest.iterations),
        finest.cost,
        whole if total is None else min(total, whole),
        available_memory(),
        whole,
        disk_bytes(spec, job, files, levels),
        shutil.disk_usage(place).free,
        pace * 1e9,
        pace * (solving + OTHER_STAGES * values),
    )


def _described(job: Job, colour: bool | None) -> tuple[Spec, list[Picture]]:
    if colour is None:
        files = opened(job)
        return spec_of_job(job, files), list(files.values())
    assert job.size is not None
    pictures = len(job.targets) + len(job.guides)
    return spec_at(job, job.size, (3 if colour else 1,) * pictures), []


def pace_of(spec: Spec, budget: Budget) -> float:
    """Return the seconds of an iteration for one pixel of one plane of one layer, with the budget's threads."""
    rng, layers = np.random.default_rng(0), spec.layers
    backend = CpuBackend(budget.threads or available_cores(), BETAS)
    try:
        target = rng.random((1, _SIDE, _SIDE), dtype=np.float32)
        guides = rng.random((layers, 1, _SIDE, _SIDE), dtype=np.float32)
        workspace = backend.workspace(Shape(layers, 1, _SIDE, _SIDE), spec.objective, spec.bounds)
        fill(workspace, target, guides, guides)
        times = []
        for _ in range(_TURNS):
            began = time.perf_counter()
            workspace.advance([0.01])
            times.append(time.perf_counter() - began)
        return statistics.median(times[2:]) / guides.size
    finally:
        backend.close()
