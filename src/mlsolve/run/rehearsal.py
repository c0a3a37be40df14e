"""Runs of a job at a small size, timed by stage: how long the real one takes is computed from them."""

import dataclasses
import math
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from ..errors import OutputError
from ..job.arrangements import Arrangement, Placement
from ..job.job import Job
from ..job.options import Options
from ..pictures.picture_files import save_png
from ..solving.history import Step
from ..solving.rounds import Round
from ..solving.spec import Spec
from ..solving.store import Store
from .budget import Budget
from .inputs import DECODING
from .lifecycle import begin
from .pipeline import Listener

_SIDES: Final = 96, 320, 960
"""Longer sides of the rehearsals, in pixels. The first one loads what is needed; if two larger ones follow, its
times are not used."""

_ITERATIONS: Final = 24
"""Iterations of a rehearsal: a GPU takes them in batches of ten."""

_BATCH: Final = 10

_LEAST: Final = 24
"""Shortest side of a rehearsal, in pixels."""


@dataclass(frozen=True)
class Line:
    """Seconds as a straight line over the values, pixels × planes × layers."""

    fixed: float
    each: float
    """For one value."""

    def at(self, values: float) -> float:
        """Return the seconds for so many values."""
        return self.fixed + self.each * values


@dataclass(frozen=True)
class Times:
    """What the parts of a run take here."""

    pictures: Line
    level: Line
    """The start and the end of a level."""
    iteration: Line
    writing: Line
    scoring: Line
    end: Line


def side_by_side(found: list[Times]) -> Times:
    """Return what the parts of a run take that workers share, from what each of them takes alone.

    Tiles go to whoever is free, so iterations take the mean of the paces; how many are computed side by side is the
    plan's. Decoding pictures is the caller's work, as far as it is not shared out: the rest is divided.
    """
    count = len(found)

    def mean(name: str, share: float) -> Line:
        lines = [getattr(times, name) for times in found]
        each = count / sum(1 / max(line.each, 1e-15) for line in lines)
        return Line(sum(line.fixed for line in lines) / count, each * share)

    return Times(
        pictures=mean("pictures", DECODING + (1 - DECODING) / count),
        level=mean("level", 1.0),
        iteration=mean("iteration", 1.0),
        writing=mean("writing", 1 / count),
        scoring=mean("scoring", 1 / count),
        end=mean("end", 1.0),
    )


def rehearsed(job: Job, spec: Spec, budget: Budget) -> Times:
    """Return what the parts of a run of `job` take on this machine, from runs of a few iterations at small sizes.

    spec: of the job at its own size. Pictures that do not exist are replaced by noise of as many planes. Raises
    OutputError if the system's folder for temporary files cannot be written to.
    """
    found: list[_Measured] = []
    height, width = spec.shapes[-1]
    budget = Budget(threads=budget.threads, devices=budget.gpus[:1] or None)  # small sizes are solved on one GPU
    with tempfile.TemporaryDirectory(prefix="mlsolve-estimate-") as name:
        for side in _SIDES:
            scale = min(1.0, max(side / max(height, width), _LEAST / min(height, width)))
            if found and found[-1].values == spec.layers * spec.pixels(spec.levels):
                break  # the print itself is as small
            watch = _Watch()
            small = _shrunk(job, spec, Path(name), scale)
            try:
                begin(small, Path(name) / f"of-{side}", budget, watch)
            except OutputError as error:
                reason = f"estimate cannot write to the folder for temporary files: {error}"
                raise OutputError(
                    f"{reason.partition(': choose another')[0]}: set TMPDIR to another folder"
                ) from None
            found.append(watch.ended())
    first, last = found[-2 if len(found) > 2 else 0], found[-1]
    return Times(*(_line(first, last, part.name) for part in dataclasses.fields(Times)))


@dataclass(frozen=True)
class _Measured:
    values: int
    seconds: dict[str, float]
    """By the names of the fields of `Times`."""


def _line(first: _Measured, last: _Measured, part: str) -> Line:
    """Return the line through two rehearsals; a part that is not longer in the larger one is taken as constant."""
    low, high = first.seconds[part], last.seconds[part]
    if last.values == first.values or high <= low:
        return Line(high, 0.0)
    each = (high - low) / (last.values - first.values)
    fixed = low - each * first.values
    return Line(fixed, each) if fixed >= 0 else Line(0.0, high / last.values)


def _shrunk(job: Job, spec: Spec, folder: Path, scale: float) -> Job:
    """Return `job` at a smaller size, with pictures that exist."""
    height, width = (max(_LEAST, round(side * scale)) for side in spec.shapes[-1])

    def entry(number: int, given: Any) -> Any:
        if not isinstance(given, Path) or given.is_file():
            return given
        path = folder / f"picture-{number}.png"
        if not path.exists():
            rng, planes = np.random.default_rng(number), spec.picture_planes[number]
            save_png(path, rng.integers(0, 256, (960, 960, planes), dtype=np.uint8))
        return path

    masks = iter(range(len(job.targets) + len(job.guides), len(spec.picture_planes)))
    arrangements = []
    for number, one in enumerate(job.arrangements):
        place = None if one.place is None else tuple(_nearer(sheet, scale) for sheet in one.place)
        mask = None if one.mask is None else entry(next(masks), one.mask)
        arrangements.append(Arrangement(entry(number, one.target), place, one.weight, one.exposure, mask))
    guides = (entry(len(arrangements) + number, guide) for number, guide in enumerate(job.guides))
    few: dict[str, Any] = {"iterations": _ITERATIONS, "levels": 1, "target_ssim": None, "patience": None}
    few["backend"] = (
        spec.backend
    )  # what the print is computed by, even if the rehearsal could be computed otherwise
    options: Options = dataclasses.replace(job.options.at_scale(scale), **few)
    return dataclasses.replace(
        job, arrangements=tuple(arrangements), guides=tuple(guides), size=(width, height), options=options
    )


def _nearer(sheet: Placement, scale: float) -> Placement:
    """Return a placement whose shift is scaled; whole pixels stay whole, because they cost less."""
    right, down = (
        math.floor(length * scale) if float(length).is_integer() else length * scale for length in sheet.shift
    )
    return dataclasses.replace(sheet, shift=(right, down))


@dataclass
class _Watch(Listener):
    """Notes when the parts of a run end."""

    values: int = 0
    at: dict[str, float] = field(default_factory=dict)
    steps: list[float] = field(default_factory=list)

    def begin(self, spec: Spec, cost: list[float]) -> None:
        self.values = spec.layers * spec.pixels(spec.levels)
        self.at["begin"] = time.perf_counter()

    def stage(self, name: str, share: float) -> None:
        self.at[name] = time.perf_counter()

    def begin_round(self, plan: Round, tiles: int) -> None:
        self.at.setdefault("round", time.perf_counter())

    def step(self, step: Step) -> bool:
        self.steps.append(time.perf_counter())
        return False

    def end_level(self, store: Store, spec: Spec, level: int, layers: str) -> None:
        self.at["level"] = time.perf_counter()

    def ended(self) -> _Measured:
        """Return what was measured, now that the run has ended."""
        at, end = self.at, time.perf_counter()
        iteration = (self.steps[-1] - self.steps[_BATCH - 1]) / (len(self.steps) - _BATCH)
        solved = at["level"] - at["round"]
        seconds = {
            "pictures": at["pictures"] - at["begin"],
            "level": max(0.0, solved - iteration * len(self.steps)),
            "iteration": iteration,
            "writing": at["writing"] - at["level"],
            "scoring": at["scoring"] - at["writing"],
            "end": end - at["scoring"],
        }
        return _Measured(self.values, seconds)
