"""The speed of this machine, measured within a minute.

`measure` times mlsolve's iteration at a few sizes, `compare` times it in turns with torch; everything else is
arithmetic on their results. Sizes are (width, height) in pixels, times are seconds, memory is bytes. A *value* is
one pixel of one colour plane of one layer: the cost of an iteration grows with their number.
"""

import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import Final

import numpy as np

from mlsolve.job.options import Options
from mlsolve.solving.pyramid import level_shapes
from mlsolve.system.memory import BYTES_PER_VALUE

Size = tuple[int, int]
Step = Callable[[], object]
"""One iteration."""
Tell = Callable[[str, float], None]
"""Called with the present activity, and the share of it that is done, 0 to 1."""

SIDES: Final = (150, 300, 600, 1024, 2048)
"""Sides of the squares that are measured, as far as time and memory allow."""

_SHOWN: Final = 3
_TURNS, _FEWEST_TURNS = 9, 3
"""Iterations timed at each size, and fewer if time runs out. The first iteration, which allocates, is not timed."""

_TURNS_WITH_TORCH: Final = 5

SECONDS_FOR_OURS: Final = 15.0
SECONDS_FOR_TORCH: Final = 20.0
"""Including imports (5 s with torch) and compilation (10 s, once) this takes less than a minute."""


@dataclass(frozen=True)
class Stack:
    """Number of layers, and of colour planes of each."""

    layers: int
    planes: int

    def values(self, size: Size) -> int:
        """Return the number of values at `size`."""
        return self.layers * self.planes * size[0] * size[1]

    def peak_memory(self, size: Size) -> int:
        """Return the peak memory of a solve at `size` in memory, in bytes."""
        return BYTES_PER_VALUE * self.values(size)


@dataclass(frozen=True)
class Pace:
    """The speed at one size."""

    size: Size
    seconds: float
    """Seconds of an iteration, the median of several."""
    fastest: float
    """Seconds of the fastest of them: far below the median if the machine is busy with something else."""
    per_value: float
    """The median for one value."""


@dataclass(frozen=True)
class Forecast:
    """The forecast cost of a solve in memory with default settings."""

    size: Size
    levels: int
    """Sizes from coarse to fine."""
    seconds: float
    """Seconds of all iterations of all levels, without reading and writing files."""
    memory: int
    """Peak memory in bytes."""


@dataclass(frozen=True)
class Comparison:
    """An iteration of both with three RGB layers, in turns; medians in seconds."""

    size: Size
    ours: float
    torch: float
    torch_version: str

    @property
    def ratio(self) -> float:
        """How many times faster mlsolve is."""
        return self.torch / self.ours


def forecast(size: Size, stack: Stack, paces: Sequence[Pace]) -> Forecast:
    """Return the forecast of a solve of `size` in memory with default settings, from measured `paces` in any order.

    Between the measured sizes the cost of a value is interpolated over the logarithm of the pixels; beyond them it
    is that of the nearest size.
    """
    options = Options()
    known = sorted((math.log(pace.size[0] * pace.size[1]), pace.per_value) for pace in paces)
    at, costs = zip(*known, strict=True)
    shapes = level_shapes(size[1], size[0], options.levels)
    seconds = sum(
        stack.values((width, height)) * float(np.interp(math.log(width * height), at, costs))
        for height, width in shapes
    )
    return Forecast(
        size, len(shapes), seconds * options.iterations_for(options.step_for(moved=False)), stack.peak_memory(size)
    )


@contextmanager
def iteration(side: int, stack: Stack, threads: int | None) -> Iterator[Step]:
    """Yield mlsolve's iteration on noise, `side`×`side` pixels, by the same path as in the solver."""
    from mlsolve.pictures.colour import printable_range
    from mlsolve.solving.backends import CpuBackend, fill
    from mlsolve.solving.spec import BETAS, objective_of
    from mlsolve_kernels.iteration.objective import Shape

    options = Options(threads=threads)
    objective = objective_of(options, stack.layers)
    rng = np.random.default_rng(0)
    target = rng.random((stack.planes, side, side), dtype=np.float32)
    guides = rng.random((stack.layers, stack.planes, side, side), dtype=np.float32)
    backend = CpuBackend(options.threads, BETAS)
    try:
        bounds = printable_range(options.min_density, options.max_density)
        workspace = backend.workspace(Shape(stack.layers, stack.planes, side, side), objective, bounds)
        fill(workspace, target, guides, guides)
        yield lambda: workspace.advance([1.0 if objective.step == "newton" else options.rate])[0]
    finally:
        backend.close()


def measure(
    stack: Stack,
    free: int | None,
    open_iteration: Callable[[int], AbstractContextManager[Step]],
    tell: Tell,
    clock: Callable[[], float] = time.perf_counter,
) -> list[Pace]:
    """Return the paces of the three largest sizes that time and memory allow, the smallest first.

    open_iteration: opens the iteration of a side, as `iteration` does. free: free memory in bytes, if known. It
    starts with the smallest size and continues while the next one is certain to end in time, so that a slow machine
    measures fewer and smaller sizes.
    """
    tell("getting ready", 0.0)
    with open_iteration(SIDES[0]) as iterate:
        iterate()  # compiles at the very first run, which is not timed
    ends = clock() + SECONDS_FOR_OURS
    paces: list[Pace] = []
    needed_by_value = 0.0
    for side in SIDES:
        size = (side, side)
        values = stack.values(size)
        too_large = free is not None and stack.peak_memory(size) > free
        if paces and (too_large or clock() + needed_by_value * values > ends):
            break
        tell(f"{side}×{side}", 0.0)
        began = clock()
        with open_iteration(side) as iterate:
            iterate()
            prepared = clock() - began
            times = _time_iterations(iterate, f"{side}×{side}", ends, tell, clock)
        median = statistics.median(times)
        needed_by_value = (prepared + _FEWEST_TURNS * median) / values
        paces.append(Pace(size, median, min(times), median / values))
    return paces[-_SHOWN:]


def _time_iterations(iterate: Step, name: str, ends: float, tell: Tell, clock: Callable[[], float]) -> list[float]:
    """Return the seconds of some iterations; fewer if the clock reaches `ends`."""
    times: list[float] = []
    while len(times) < _FEWEST_TURNS or (len(times) < _TURNS and clock() < ends):
        tell(name, (1 + len(times)) / (1 + _TURNS))
        began = clock()
        iterate()
        times.append(clock() - began)
    return times


def compare(threads: int, tell: Tell, clock: Callable[[], float] = time.perf_counter) -> Comparison:
    """Time mlsolve's iteration and torch's in turns, at the largest size for which there is time.

    threads: of both. Raises ImportError if torch is missing or broken.
    """
    tell("importing torch", 0.0)
    from .pair import DESCRIBED, OURS, steps
    from .turns import take_turns

    probe = steps(SIDES[0], threads, names=(DESCRIBED,))[DESCRIBED]
    probe()
    began = clock()
    probe()
    side = side_to_compare(clock() - began)
    name = f"{side}×{side}, in turns with torch"
    calls = 2 * (_TURNS_WITH_TORCH + 1)
    done = 0

    def told(iterate: Step) -> Step:
        def step() -> object:
            nonlocal done
            tell(name, min(1.0, done / calls))
            done += 1
            return iterate()

        return step

    opponents = steps(side, threads)
    seconds = take_turns({key: told(opponents[key]) for key in opponents}, _TURNS_WITH_TORCH)
    ours, torch = (statistics.median(seconds[key]) for key in (OURS, DESCRIBED))
    return Comparison((side, side), ours, torch, version("torch"))


def side_to_compare(seconds: float) -> int:
    """Return the side for the comparison, at most 600, given torch's `seconds` for an iteration at the smallest."""
    affordable = [side for side in SIDES[:3] if _seconds_with_torch(side, seconds) <= SECONDS_FOR_TORCH]
    return max(affordable, default=SIDES[0])


def _seconds_with_torch(side: int, seconds: float) -> float:
    # Torch's cost of a value doubles where its many passes no longer fit into the caches.
    return 2 * seconds * (side / SIDES[0]) ** 2 * (_TURNS_WITH_TORCH + 1)
