"""What a run will need: pixels, memory, disk, time. It rehearses the run, in a temporary folder."""

import dataclasses
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from mlsolve_kernels.iteration.sweep import can_run

from ..job.job import Job
from ..pictures.picture_files import Picture
from ..solving.plan import LevelPlan
from ..solving.spec import Spec
from ..solving.tile_coupling import coupling_at
from ..system.memory import BYTES_PER_VALUE, available_memory
from .budget import Budget, Shares, plans, shares
from .disk import disk_bytes, states_left
from .inputs import SPOOLED
from .job_spec import opened, spec_at, spec_of_job
from .lifecycle import with_backend
from .precompile import precompile
from .rehearsal import Times, rehearsed, side_by_side
from .staff import assembled, cluster_of, linked, shares_of

if TYPE_CHECKING:
    from ..cluster.link import Link


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
    stages: dict[str, float]
    """Seconds of "start", "pictures", "solving", "writing", "scoring" and "end"."""
    backend: str
    """What computes it: "cpu" or "cuda"."""
    gpus: int
    """GPUs that it may use; small prints are solved on one of them."""
    workers: tuple[dict[str, Any], ...] = ()
    """The workers of a cluster: "address", "host", "threads", "memory" in bytes, "gpu"."""

    @property
    def seconds(self) -> float:
        """Seconds of the whole run, from typing the command to its end."""
        return sum(self.stages.values())

    def plain(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {**dataclasses.asdict(self), "seconds": self.seconds}


class Listener(Protocol):
    """Hears how far an estimate on a cluster is. Any method may raise to end it."""

    def waits_for_workers(self, ready: tuple[str, ...], present: int) -> None:
        """Called a few times a second; ready: who can take tasks; present: how many there are, not left out."""

    def rehearsed(self, done: int, workers: int) -> None:
        """So many of the workers have rehearsed the run."""


class _Nobody:
    """Hears it and does nothing."""

    def waits_for_workers(self, ready: tuple[str, ...], present: int) -> None:
        pass

    def rehearsed(self, done: int, workers: int) -> None:
        pass


NOBODY: Final[Listener] = _Nobody()


def estimate_job(
    job: Job,
    budget: Budget,
    folder: Path,
    colour: bool | None,
    loading: float = 0.0,
    listener: Listener = NOBODY,
) -> Estimate:
    """Return what `job` will need on this machine, with its state and result on the disk of `folder`.

    colour: None to open the pictures; otherwise the pictures need not exist, and count as colour (three planes)
    or grey (one). loading: the seconds that starting Python took. listener: hears from the workers of a cluster.
    """
    spec, files = _described(job, colour)
    began = time.perf_counter()
    precompile(job)
    loading += time.perf_counter() - began
    place = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists())
    with linked(budget, listener.waits_for_workers) as link:
        if link is not None:
            return _on_cluster(link, job, spec, files, budget, place, loading, listener)
    spec, gpu = with_backend(job, spec, budget.devices)
    budget = budget.on(gpu)
    parts = shares(budget, spec, job, files, states_left(spec, place))
    times = rehearsed(job, spec, budget)
    return _estimated(job, spec, files, budget, parts, times, place, loading, len(gpu.numbers))


def _on_cluster(
    link: "Link",
    job: Job,
    spec: Spec,
    files: list[Picture],
    budget: Budget,
    place: Path,
    loading: float,
    listener: Listener,
) -> Estimate:
    """Return what `job` will need on the workers behind `link`, which rehearse it side by side."""
    began = time.perf_counter()
    with (
        tempfile.TemporaryDirectory(prefix=".mlsolve-estimate-", dir=place) as name,
        assembled(link, Path(name), job, spec, budget, listener.waits_for_workers) as staff,
    ):
        loading += time.perf_counter() - began
        spec, budget = staff.spec, staff.budget
        parts = shares_of(staff, budget, spec, job, files, states_left(spec, place))
        calls = [(job, spec, dataclasses.replace(budget, cluster=None))] * staff.workers
        found = list[Times]()
        for _, times in cluster_of(staff, listener.waits_for_workers).map(rehearsed, calls, 1):
            found.append(times)
            listener.rehearsed(len(found), len(calls))
        times = side_by_side(found)
        estimate = _estimated(job, spec, files, budget, parts, times, place, loading, 0)
        # What is free here matters to no worker.
        return dataclasses.replace(estimate, workers=tuple(staff.crew.described()), memory_free=None)


def _estimated(
    job: Job,
    spec: Spec,
    files: list[Picture],
    budget: Budget,
    parts: Shares,
    times: Times,
    place: Path,
    loading: float,
    gpus: int,
) -> Estimate:
    """Return the estimate from what the parts of a run take; place: where its state will be."""
    levels = plans(spec, parts.limits)
    finest, (height, width) = levels[-1], spec.shapes[-1]
    values = spec.layers * spec.pixels(spec.levels)
    down, across = -(-height // finest.sides[0]), -(-width // finest.sides[1])
    total = budget.total
    coupling = coupling_at(spec, spec.levels).whole
    whole = parts.limits.tile_bytes(spec.layers, spec.planes, (height, width), coupling)
    if coupling.objective is None or can_run(coupling.objective):
        whole = min(BYTES_PER_VALUE * values, whole)
    return Estimate(
        (width, height),
        job.dpi,
        spec.layers,
        spec.planes,
        spec.iterations,
        spec.levels,
        (finest.sides[1], finest.sides[0]),
        down * across * (1 if finest.together else spec.planes),
        -(-spec.iterations // finest.iterations),
        finest.cost,
        whole if total is None else min(total, whole),
        available_memory(),
        whole,
        disk_bytes(spec, job, files, levels, parts.bands, SPOOLED if budget.cluster else 1),
        shutil.disk_usage(place).free,
        _stages(spec, levels, times, loading),
        spec.backend,
        gpus,
    )


def _stages(spec: Spec, levels: list[LevelPlan], times: Times, loading: float) -> dict[str, float]:
    """Return the seconds of every stage of a run."""
    values = spec.layers * spec.pixels(spec.levels)
    solving = 0.0
    for level, plan in enumerate(levels, start=1):
        own, whole = spec.layers * spec.pixels(level), plan.together and plan.sides == spec.shapes[level - 1]
        solving += spec.iterations * plan.time * times.iteration.at(own)
        if whole:  # the cost of tiles includes what loading and saving them takes
            solving += times.level.at(own)
    return {
        "start": loading,
        "pictures": times.pictures.at(values),
        "solving": solving,
        "writing": times.writing.at(values),
        "scoring": times.scoring.at(values),
        "end": times.end.at(values),
    }


def _described(job: Job, colour: bool | None) -> tuple[Spec, list[Picture]]:
    if colour is None:
        files = opened(job)
        return spec_of_job(job, files), list(files.values())
    assert job.size is not None
    pictures = len(job.targets) + len(job.guides)
    return spec_at(job, job.size, (3 if colour else 1,) * pictures), []
