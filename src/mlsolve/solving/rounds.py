"""A round: its plan, its tiles, and its task, which advances one tile by the iterations of the round."""

import contextlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from mlsolve_kernels.iteration.objective import Shape, Sums

from ..errors import StoreError
from .backends import Workspace
from .executors.resources import current
from .level_pictures import LevelPictures
from .loading import Source, load_layers, load_pictures, save
from .spec import Spec
from .start import Checkpoint, Guides, UpsampledLevel
from .store import Array, Store
from .tile_coupling import coupling_at, moves_of
from .tiles import Tile, frame_of, groups_of, tiles_of, window_of

Stop = Literal["iterations", "target_ssim", "patience", "callback"]
"""Why a solve, or a level of it, ended."""

Watch = Callable[[int, Sums], Stop | None]
"""Called with the number of an iteration in the round, from 0, and its sums; returns the reason to stop, if any."""

_WARM_UP: Final = 5
"""Iterations over which the learning rate rises at the start of a level. Adam's first step moves every pixel by the
full rate whatever its gradient, which does harm if the start is good (bench/LOG.md #4)."""


@dataclass(frozen=True)
class Round:
    """The plan of a round: a number of iterations on every tile of a level. A document of the store."""

    level: int
    number: int
    """From 1 in each level."""
    first: int
    """Iterations done at this level before the round."""
    iterations: int
    source: Literal["guides", "coarser", "generation"]
    """Where its layers come from: the guides, the next coarser level, or the previous round."""
    origin: str
    """The array they come from; "" for the guides."""
    factor: float
    """Factor by which the densities of the guides are reduced; 1 if the layers come from elsewhere."""
    moments: bool
    """Whether moments are written. After the last round of a level they are not needed."""
    sides: tuple[int, int]
    """Height and width of a tile."""
    window: tuple[int, int]
    """Height and width of a tile including its halo."""
    together: bool
    """Whether a tile holds all planes; otherwise it holds one."""
    bits: int | None = None
    """Bits of the code values that it leaves, if it is the last round of all; None: encoded transmittance."""
    identity: str = ""
    """The identity of the array of its result. A task writes into no other, whatever has its name by then."""

    @property
    def name(self) -> str:
        """The name in the store under which it saves its result."""
        return f"level-{self.level}/round-{self.number}"

    @property
    def state(self) -> str:
        """The name in the store of the array of its result."""
        return f"{self.name}/state"

    def save(self, store: Store) -> None:
        """Write it to `store`."""
        store.save(f"{self.name}/plan", asdict(self))

    @classmethod
    def load(cls, store: Store, level: int, number: int) -> "Round":
        """Return the plan of a round from `store`."""
        found: dict[str, Any] = store.load(f"level-{level}/round-{number}/plan")
        for name in ("sides", "window"):
            found[name] = tuple(found[name])
        return cls(**found)


def tiles_of_round(spec: Spec, plan: Round) -> list[Tile]:
    """Return the tiles of a round, in the order in which they are solved."""
    shape = spec.shapes[plan.level - 1]
    planes = [(0, spec.planes)] if plan.together else [(plane, plane + 1) for plane in range(spec.planes)]
    if plan.together and plan.sides == shape:
        return [Tile(0, spec.planes, (region,)) for region in tiles_of(shape, plan.sides)]
    facings = coupling_at(spec, plan.level).facings
    return [Tile(first, last, group) for first, last in planes for group in groups_of(shape, plan.sides, facings)]


def solve_tile(store: Store, plan: Round, tile: Tile, watch: Watch | None = None) -> list[Sums]:
    """Task: advance a tile, save its sums and return them. A tile that is already finished is not repeated.

    The sums are kept with the array of the result, so that they are of the same round. Raises StoreError if the
    round was removed or planned anew since `plan` was made.
    """
    state = store.open(plan.state, plan.identity)
    found, prefix = sums_in(state, plan, tile), () if plan.together else (tile.first,)
    if found is not None and all(state.has_tile(prefix, region) for region in tile.regions):
        return found
    state.close()
    sums = advance_tile(store, plan, tile, watch)
    state.save(_sums_name(tile), {"identity": plan.identity, "sums": sums})
    return sums


def _sums_name(tile: Tile) -> str:
    """Return the name of the document of a tile's sums, in the array of its round."""
    return f"tile-{tile.first}-{tile.region.top}-{tile.region.left}"


def sums_in(state: Array, plan: Round, tile: Tile) -> list[Sums] | None:
    """Return the sums of a tile that were saved with it; None if there are none. state: the array of its round."""
    with contextlib.suppress(StoreError, KeyError, TypeError):
        found = state.load(_sums_name(tile))
        sums = [sums_of(one) for one in found["sums"]]
        if found["identity"] == plan.identity and len(sums) == plan.iterations:
            return sums
    return None


def sums_of(document: Mapping[str, Sequence[Any]]) -> Sums:
    """Return the sums in a document, by the names of the terms."""
    return Sums((name, tuple(values)) for name, values in document.items())


def advance_tile(store: Store, plan: Round, tile: Tile, watch: Watch | None = None) -> list[Sums]:
    """Advance `tile` by the iterations of the round `plan`; return the sums of every iteration.

    It reads the pictures and the state that the round starts from, and writes the tile into the array
    `ROUND/state`: layers (and moments), (C, 1 or 3, N, H, W) float32, or codes. watch: may stop it early. If a
    callback stops it in the first round of a level, the better of the start and the present state is written: the
    first iterations of a level may raise the loss a little.

    Raises StoreError if the round was removed or planned anew since `plan` was made.
    """
    # The spec first: while the array of the result is there, it is the spec by which the round was planned.
    spec, level = Spec.load(store), plan.level
    state = store.open(plan.state, plan.identity)
    shape = spec.shapes[level - 1]
    halo = coupling_at(spec, level).reach * plan.iterations
    outer = [window_of(region, shape, plan.window, halo) for region in tile.regions]
    inner = [region.within(window) for region, window in zip(tile.regions, outer, strict=True)]
    frames = [
        frame_of(region, window, shape, plan.sides) for region, window in zip(tile.regions, outer, strict=True)
    ]
    here, windows = current(), len(outer)
    planes = (tile.last - tile.first) * windows
    work = here.workspace(Shape(spec.layers, planes, outer[0].height, outer[0].width), spec, windows, level)
    threads = here.backend.loaders

    def begin() -> None:
        load_layers(work, lambda: _source(store, spec, plan), tile, spec.layers, outer, threads)
        work.prepare(plan.first, inner, plan.iterations, frames, shape)

    load_pictures(work, lambda: LevelPictures(store, spec, level), tile, outer, threads)
    begin()
    sums, stop = _iterate(work, spec, plan, watch)
    if stop == "callback" and plan.first == 0 and _loss_rose(spec, level, sums):
        begin()
    prefix = () if plan.together else (tile.first,)
    for window, (region, within) in enumerate(zip(tile.regions, inner, strict=True)):
        with state.tile(prefix, region) as place:
            save(work, place, tile, spec.layers, within, plan.moments, window, plan.bits)
    return sums


def rate_of(spec: Spec, level: int, iteration: int) -> float:
    """Return what `iteration` (from 1) of `level` is told of the progress of its level.

    A Newton step is told the share of the iterations that is still to do, itself included. Adam is told the
    learning rate: a short rise, then the root of that share. With a tolerance every iteration has its own
    misalignment, and its error must be averaged out in the end: the rate falls with the share itself.
    """
    left = 1 - (iteration - 1) / spec.iterations
    if spec.objective_at(level).step == "newton":
        return left
    rising = min(1.0, iteration / _WARM_UP)
    return spec.options.rate * rising * (left if spec.has_tolerance else math.sqrt(left))


def _source(store: Store, spec: Spec, plan: Round) -> Source:
    if plan.source == "guides":
        return Guides(store, spec, plan.level, plan.factor)
    if plan.source == "coarser":
        return UpsampledLevel(store, spec, plan.level, plan.origin)
    return Checkpoint(store, plan.origin)


def _iterate(work: Workspace, spec: Spec, plan: Round, watch: Watch | None) -> tuple[list[Sums], Stop | None]:
    """Run the iterations of `plan`, a batch at a time, until `watch` stops it."""
    sums: list[Sums] = []
    for start in range(0, plan.iterations, work.batch):
        batch = range(start, min(start + work.batch, plan.iterations))
        numbers = range(plan.first + batch.start + 1, plan.first + batch.stop + 1)
        rates = [rate_of(spec, plan.level, number) for number in numbers]
        found = work.advance(rates, moves_of(spec, plan.level, numbers))
        sums += found
        if watch is not None:
            # Every iteration of the batch is reported, even if the first one stops the solve.
            reasons = [watch(at, one) for at, one in zip(batch, found, strict=True)]
            if stop := next((reason for reason in reasons if reason is not None), None):
                return sums, stop
    return sums, None


def _loss_rose(spec: Spec, level: int, sums: list[Sums]) -> bool:
    """Return whether the last iteration began with a higher loss than the first."""
    pixels = spec.pixels(level)
    first, last = (spec.objective.loss(one.terms(pixels, spec.objective)) for one in (sums[0], sums[-1]))
    return last > first
