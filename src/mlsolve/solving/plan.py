"""The size of tiles and the length of rounds of a level: the fastest plan that memory and disk allow.

In a round of K iterations a tile needs a halo of K times the reach of one iteration. Long rounds compute much of
the halo twice; short rounds read and write the state often. The unit of cost is one iteration of one value (a pixel
of one plane of one layer). Where tiles are computed side by side, the time is that of the waves they come in: five
tiles on four GPUs take as long as eight.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from mlsolve_kernels.iteration.objective import Shape
from mlsolve_kernels.iteration.stepwise_size import stepwise_bytes
from mlsolve_kernels.iteration.sweep import can_run, workspace_bytes

from ..errors import DeviceMemoryError, OptionError
from .backends import MOST_LOADERS
from .loading import ARRAYS, band_rows
from .store.chunks import CHUNK, RUN_BYTES
from .tile_coupling import TileCoupling
from .tiles import overhang

LOAD: Final = 3.0
"""Cost of reading one value of a tile and its halo, pictures included, and of computing the statistics."""
SAVE: Final = 1.5
"""Cost of writing one value."""
MOMENTS: Final = 4.0
"""Additional cost of reading and writing its moments."""

LONGEST: Final = 4e11
"""Most values times iterations of a task, about ten minutes: the work that a killed run loses in each process."""

TASK: Final = 5e6
"""Cost of each tile beyond its values, where tiles are computed side by side: 8 ms of eight cores. A tile of one
iteration takes so long to read the plan, open arrays, and write and flush its files. Tiles do not share it: one
process hands them out, and the threads that use GPUs take turns at it."""
TASK_ON_GPU: Final = 5e8
"""The same on a GPU: 8 ms of the processor, and as much for tables that cross the bus and a first batch that is
launched kernel by kernel, in values of a GPU that does 3e10 a second. Not measured."""

BYTES: Final = 4
"""Bytes of a float32."""


PLAIN: Final = TileCoupling()


@dataclass(frozen=True)
class Limits:
    """The resources of this machine that a solve may use."""

    memory: int | None = None
    """Bytes of main memory for a tile; None: no limit."""
    threads: int = 1
    """Threads that advance a tile."""
    disk: int | None = None
    """Bytes for the states on disk; None: they are not on disk, or there is enough space."""
    device: int | None = None
    """Bytes of GPU memory for a tile; None: no GPU is used."""
    at_once: int = 1
    """Tiles that are computed side by side, each as fast as one alone: one for each GPU, process or worker."""

    def tile_bytes(self, layers: int, planes: int, window: tuple[int, int], coupling: TileCoupling = PLAIN) -> int:
        """Return the peak bytes of main memory for advancing a tile; window: (height, width) including the halo."""
        loaders = 1 if self.device is not None else min(self.threads, MOST_LOADERS)
        rows = min(band_rows(*window, loaders), window[0])
        passing = loaders * (ARRAYS * BYTES * rows * window[1] + RUN_BYTES)
        return self.workspace_bytes(layers, planes, window, coupling) + passing

    def workspace_bytes(
        self, layers: int, planes: int, window: tuple[int, int], coupling: TileCoupling = PLAIN
    ) -> int:
        """Return the bytes of main memory that the workspace of a tile takes."""
        if self.device is not None:
            return 0
        shape = Shape(layers, planes * coupling.windows, *window)
        if coupling.objective is None or can_run(coupling.objective):
            step = "adam" if coupling.objective is None else coupling.objective.step
            return workspace_bytes(shape, self.threads, step)
        return stepwise_bytes(shape, self.threads, coupling.objective, coupling.windows)

    def fit(self, layers: int, planes: int, window: tuple[int, int], coupling: TileCoupling = PLAIN) -> bool:
        """Return whether there is enough memory for such a tile."""
        if self.device is not None and coupling.device_need(layers, planes, window) > self.device:
            return False
        return self.memory is None or self.tile_bytes(layers, planes, window, coupling) <= self.memory


@dataclass(frozen=True)
class LevelPlan:
    """How a level is solved."""

    sides: tuple[int, int]
    """Height and width of a tile."""
    window: tuple[int, int]
    """Height and width of a tile including its halo."""
    iterations: int
    """Iterations of a round; the last round may have fewer."""
    together: bool
    """Whether a tile holds all planes; otherwise it holds one."""
    cost: float
    """Cost of one iteration of one value, relative to a solve in memory."""
    parallel: float = 1.0
    """Tiles computed at the same time, on average over a round: 2.5 if five tiles are computed by four GPUs."""

    @property
    def time(self) -> float:
        """Time of one iteration of one value, relative to a solve in memory by one GPU, process or worker."""
        return self.cost / self.parallel


def plan_level(
    shape: tuple[int, int], stack: tuple[int, int], iterations: int, limits: Limits, coupling: TileCoupling = PLAIN
) -> LevelPlan:
    """Return the fastest plan for a level of `shape` = (height, width) and `stack` = (layers, planes).

    coupling: how the arrangements couple tiles. Raises OptionError if even the smallest tile needs more memory,
    DeviceMemoryError if the GPU has too little memory for it.
    """
    layers, planes = stack
    disk, alone = limits.disk, limits.at_once == 1
    of_tile = planes if coupling.together else 1
    best, key = None, (True, math.inf)
    if limits.fit(layers, planes, shape, coupling.whole):
        best = _whole(shape, stack, iterations, disk)
        if alone:
            return best
        # Compared with tiles, the whole is loaded and saved as well.
        cost = cost_of(shape, shape, shape, best.iterations, iterations)
        long = layers * planes * math.prod(shape) * best.iterations > LONGEST
        key = long, cost + _fixed(shape, stack, 1, best.iterations, limits)
    for length in _lengths(iterations):
        if length < iterations and disk is not None and _state(layers * planes * math.prod(shape), True) > disk:
            continue
        for sides, window in _cuts(shape, (layers, of_tile), length, limits, coupling):
            cost = cost_of(shape, sides, window, length, iterations)
            long = layers * of_tile * coupling.windows * window[0] * window[1] * length > LONGEST
            tasks = _groups(shape, sides, coupling) * (planes // of_tile)
            parallel = tasks / _parts(tasks, limits.at_once)
            time = cost if alone else cost / parallel + _fixed(shape, stack, tasks, length, limits)
            if (long, time) < key:
                best, key = LevelPlan(sides, window, length, coupling.together, cost, parallel), (long, time)
    if best is None:
        least, memory = least_memory(shape, stack, iterations, limits, coupling), limits.memory
        if memory is None or memory >= least:
            raise DeviceMemoryError("the GPU has too little free memory for a tile: use --backend cpu")
        advice = -(-least // 2**20)  # rounded up, so that the figure is enough
        raise OptionError(f"memory is {memory / 2**20:.3g} MiB for a tile: give it {advice} MiB or more")
    return best


def _whole(shape: tuple[int, int], stack: tuple[int, int], iterations: int, disk: int | None) -> LevelPlan:
    """Return the plan of a level that is one tile of all planes, in rounds that are not too long."""
    values = math.prod(stack) * math.prod(shape)
    rounds = _parts(iterations, max(1, int(LONGEST) // values))
    longest = _parts(iterations, rounds)
    if disk is not None and longest < iterations and _state(values, True) > disk:
        longest = iterations
    return LevelPlan(shape, shape, longest, True, 1.0)


def _fixed(shape: tuple[int, int], stack: tuple[int, int], tasks: int, length: int, limits: Limits) -> float:
    """Return the cost of so many tasks a round beyond their values, for each value and iteration of all rounds."""
    task = TASK if limits.device is None else TASK_ON_GPU
    return task * tasks / (length * math.prod(stack) * math.prod(shape))


def _groups(shape: tuple[int, int], sides: tuple[int, int], coupling: TileCoupling) -> int:
    """Return into how many groups `tiles.groups_of` puts the tiles of a plane.

    By Burnside's lemma: the mean number of tiles that a rotation or flip leaves in place.
    """
    rows, columns = (_parts(whole, side) for whole, side in zip(shape, sides, strict=True))
    kept = 0
    for a, b, c, d in coupling.facings:
        if b == c == 0:
            kept += (rows if a == 1 else rows % 2) * (columns if d == 1 else columns % 2)
        else:  # a quarter turn or a flip about a diagonal: the grid is square
            kept += rows if b == c else rows % 2
    return kept // coupling.windows


def least_memory(
    shape: tuple[int, int], stack: tuple[int, int], iterations: int, limits: Limits, coupling: TileCoupling = PLAIN
) -> int:
    """Return the bytes that the smallest useful tile needs: one inner chunk, in the shortest possible round."""
    layers, planes = stack
    height, width = shape
    tight = limits.disk is not None and _state(layers * planes * height * width, True) > limits.disk
    window = window_sides(shape, (CHUNK, CHUNK), iterations if tight else 1, coupling)
    of_tile = planes if coupling.together else 1
    whole = limits.tile_bytes(layers, of_tile, shape, coupling.whole)
    return min(limits.tile_bytes(layers, of_tile, window, coupling), whole)


def window_sides(
    shape: tuple[int, int], sides: tuple[int, int], length: int, coupling: TileCoupling
) -> tuple[int, int]:
    """Return the height and width of a tile of `sides` including the halo of `length` iterations."""
    halo = 2 * coupling.reach * length
    hang = overhang(shape, sides) if coupling.windows > 1 else (0, 0)
    height, width = (
        min(whole, side + beyond + halo) for whole, side, beyond in zip(shape, sides, hang, strict=True)
    )
    return height, width


def state_on_disk(
    plan: LevelPlan, stack: tuple[int, int], shape: tuple[int, int], iterations: int, bits: int
) -> int:
    """Return the peak bytes of the states of the last level on disk: the present state and the next one.

    bits: of the code values that the last round leaves.
    """
    values = stack[0] * stack[1] * shape[0] * shape[1]
    return _state(values, True) if plan.iterations < iterations else values * bits // 8


def _state(values: int, moments: bool) -> int:
    """Return the bytes of two states with moments, or of one without: the last of the level."""
    return values * BYTES * (6 if moments else 1)


def _lengths(iterations: int) -> list[int]:
    """Return the lengths of rounds worth considering: those that divide the iterations into equal parts."""
    return sorted({-(-iterations // rounds) for rounds in range(1, iterations + 1)})


def _cuts(
    shape: tuple[int, int], stack: tuple[int, int], length: int, limits: Limits, coupling: TileCoupling
) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Yield (sides, window) of tiles that fit; tiles in the last row and column are about as large as the others.

    stack: the layers and planes of a tile.
    """
    most, chunks = _parts(shape[1], CHUNK), _parts(shape[0], CHUNK)

    def cut(down: int, across: int) -> tuple[tuple[int, int], tuple[int, int]]:
        sides = min(shape[0], down * CHUNK), min(shape[1], across * CHUNK)
        return sides, window_sides(shape, sides, length, coupling)

    for across in sorted({_parts(most, parts) for parts in range(1, most + 1)}):
        if coupling.windows > 1:  # no binary search: the overhang of mirrored tiles is not monotonic
            heights = (
                [across] if coupling.square else sorted({_parts(chunks, parts) for parts in range(1, chunks + 1)})
            )
            cuts = (cut(down, across) for down in heights)
            for sides, window in cuts:
                # A single tile is coupled to no other.
                if limits.fit(*stack, window, coupling.whole if sides == shape else coupling):
                    yield sides, window
            continue
        low, high = 0, chunks
        while low < high:  # the tallest column of chunks that fits
            middle = (low + high + 1) // 2
            if limits.fit(*stack, cut(middle, across)[1], coupling):
                low = middle
            else:
                high = middle - 1
        if low == 0:
            continue
        # Not only the tallest: if the last row of tiles is nearly empty, lower tiles may cost less.
        for down in sorted({_parts(chunks, parts) for parts in range(_parts(chunks, low), chunks + 1)}):
            yield cut(down, across)


def _parts(whole: int, part: int) -> int:
    """Return the number of parts; the last one may be smaller."""
    return -(-whole // part)


def cost_of(
    shape: tuple[int, int], sides: tuple[int, int], window: tuple[int, int], length: int, iterations: int
) -> float:
    """Return the cost of one iteration of one value, relative to a solve in memory."""
    tiles = _parts(shape[0], sides[0]) * _parts(shape[1], sides[1])
    inner, outer = sides[0] * sides[1], window[0] * window[1]
    # The halo shrinks from iteration to iteration. Columns are dropped in whole strips, which saves about half of
    # what rows save.
    extra = window[0] - sides[0], window[1] - sides[1]
    shrinking = (sides[0] + 0.5 * extra[0]) * (sides[1] + 0.75 * extra[1])
    moments = MOMENTS if length < iterations else 0.0
    work = length * shrinking + (LOAD + moments / 2) * outer + (SAVE + moments / 2) * inner
    return work * tiles / (length * shape[0] * shape[1])
