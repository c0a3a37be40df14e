"""Solve the levels from coarse to fine, round by round, starting or resuming wherever the store says.

After every round the store holds the finished state and a record that names it, replaced in one atomic step. A
solve that is killed resumes from there, and keeps the tiles that the unfinished round had completed.
"""

import contextlib
import math
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

import numpy as np

from mlsolve_kernels.iteration.objective import Sums
from mlsolve_kernels.region import Region

from ..errors import StoreError
from .callbacks import Listener
from .executors.base import Executor
from .history import History, Step
from .level_pictures import halve_tile, name_of
from .loading import state_type
from .plan import LevelPlan, Limits, plan_level, window_sides
from .rounds import Round, Stop, advance_tile, solve_tile, sums_in, sums_of, tiles_of_round
from .spec import Spec
from .start import UpsampledLevel, thinning
from .store import Array, Store
from .tile_coupling import coupling_at
from .tiles import Tile, tiles_of

_RECORD: Final = "progress"

_LEAST_GAIN: Final = 1e-4
"""Share of itself by which the loss must fall to count as an improvement, for `patience`."""

PICTURE_SIDE: Final = 1024
"""Side of the tiles in which pictures are stored, in pixels."""


@dataclass
class Record:
    """The progress of a solve, the checkpoint that the store holds as a document."""

    level: int = 1
    """The level that is being solved."""
    number: int = 0
    """Rounds done at this level."""
    iteration: int = 0
    """Iterations done at this level."""
    state: str = ""
    """The round that left the present state; "" before the first."""
    state_level: int = 0
    """The level of that state."""
    stop: Stop | None = None
    """Why the solve ended; None: it has not."""
    seconds: float = 0.0
    """Time spent so far."""
    sums: list[list[Any]] = field(default_factory=list)
    """For every iteration: its level and its sums."""

    def save(self, store: Store) -> None:
        """Write it to `store`."""
        store.save(_RECORD, asdict(self))

    @classmethod
    def load(cls, store: Store) -> "Record":
        """Return the record in `store`, or a new one if there is none."""
        return cls(**store.load(_RECORD)) if store.has(_RECORD) else cls()


def halve_pictures(store: Store, spec: Spec, executor: Executor, side: int = PICTURE_SIDE) -> None:
    """Compute the pictures of every level but the finest from the next finer level; side: of a tile, in pixels.

    From the first level that is one tile on, one task makes all levels of a picture.
    """
    pictures = []
    for picture, planes in enumerate(spec.picture_planes):
        arrays = [
            store.create(
                name_of(level, picture), (planes, *shape), np.uint16, (min(side, shape[0]), min(side, shape[1]))
            )
            for level, shape in enumerate(spec.shapes[:-1], start=1)
        ]
        pictures.append([*arrays, store.open(name_of(spec.levels, picture))])
    for level in range(spec.levels - 1, 0, -1):
        regions = list(tiles_of(spec.shapes[level - 1], (side, side)))
        calls = [(spec, k, level, arrays, region) for k, arrays in enumerate(pictures) for region in regions]
        for _ in executor.map(halve_tile, calls):
            pass
        if len(regions) == 1:
            break


def solve_levels(store: Store, executor: Executor, limits: Limits, listener: Listener) -> tuple[History, Record]:
    """Finish the solve in `store`, which holds its pictures; return its history and its last record.

    If the listener stops it, the record in the store stays as it was before the last round, and the next call
    resumes from there.
    """
    spec, record = Spec.load(store), Record.load(store)
    began = time.perf_counter() - record.seconds
    history = _history(spec, record)
    for step in history:
        listener.step(step)
    stack, total = (spec.layers, spec.planes), spec.iterations
    plans = [
        plan_level(shape, stack, total, limits, coupling_at(spec, level))
        for level, shape in enumerate(spec.shapes, start=1)
    ]
    executor.reserve(max(_workspace_bytes(spec, limits, *planned) for planned in enumerate(plans, start=1)))
    while record.stop is None:
        plan = _unfinished_round(store, spec, record, limits)
        if plan is None:
            _tell_what_is_lost(store, spec, record)
            plan = _begin_round(store, spec, record, plans[record.level - 1])
        sums, stop = _run_round(store, spec, plan, executor, history, listener)
        steps = _steps(spec, plan, sums)
        history += steps
        record.seconds = time.perf_counter() - began
        _commit(store, spec, record, plan, sums, stop)
        if record.stop is not None or record.level != plan.level:
            listener.end_level(store, spec, plan.level, plan.state)
    return History(history), record


def _workspace_bytes(spec: Spec, limits: Limits, level: int, plan: LevelPlan) -> int:
    """Return the bytes of main memory that the workspace of a tile of a level takes."""
    shape, coupling = spec.shapes[level - 1], coupling_at(spec, level)
    window = window_sides(shape, plan.sides, plan.iterations, coupling)
    own = coupling.whole if plan.sides == shape else coupling
    return limits.workspace_bytes(spec.layers, spec.planes if plan.together else 1, window, own)


def to_full_size(store: Store, executor: Executor, record: Record) -> str:
    """Upsample the layers to full size if the solve ended at a coarser level; return the name of their array."""
    spec = Spec.load(store)
    name = _origin(record)
    for level in range(record.state_level + 1, spec.levels + 1):
        shape = spec.shapes[level - 1]
        larger = f"level-{level}/enlarged"
        sides = min(PICTURE_SIDE, shape[0]), min(PICTURE_SIDE, shape[1])
        array = store.create(larger, (spec.planes, 1, spec.layers, *shape), np.float32, sides)
        calls = [(store, level, name, array, region) for region in tiles_of(shape, (PICTURE_SIDE, PICTURE_SIDE))]
        for _ in executor.map(upsample_tile, calls):
            pass
        if name != _origin(record):
            store.remove(name)
        name = larger
    return name


def upsample_tile(store: Store, level: int, origin: str, target: Array, region: Region) -> None:
    """Task: upsample `region` of `level` from the layers at the next coarser level into `target`."""
    spec = Spec.load(store)
    low, high = (np.float32(bound) for bound in spec.bounds)
    source, image = (
        UpsampledLevel(store, spec, level, origin),
        np.empty((region.height, region.width), np.float32),
    )
    with target.tile((), region) as tile:
        for plane in range(spec.planes):
            for layer in range(spec.layers):
                tile.put((plane, 0, layer), np.clip(source.read(layer, plane, region, image), low, high))


def _unfinished_round(store: Store, spec: Spec, record: Record, limits: Limits) -> Round | None:
    """Return the plan of a round that was begun and fits `limits`; None if there is none."""
    name = f"level-{record.level}/round-{record.number + 1}"
    if not store.has(f"{name}/plan"):
        return None
    with contextlib.suppress(StoreError, KeyError, TypeError, ValueError):
        plan = Round.load(store, record.level, record.number + 1)
        planes = spec.planes if plan.together else 1
        store.open(plan.state, plan.identity)
        # If the limits have changed since, the state that it was to start from may have another name.
        same = plan.first == record.iteration and plan.origin == _origin(record)
        coupling = coupling_at(spec, plan.level)
        whole = plan.sides == spec.shapes[plan.level - 1]
        if same and limits.fit(spec.layers, planes, plan.window, coupling.whole if whole else coupling):
            return plan
    return None


def _tell_what_is_lost(store: Store, spec: Spec, record: Record) -> None:
    """Warn if tiles of the next round were finished, though it is planned anew: they are solved again."""
    with contextlib.suppress(StoreError, KeyError, TypeError, ValueError):
        plan = Round.load(store, record.level, record.number + 1)
        state = store.open(plan.state, plan.identity)
        finished = sum(sums_in(state, plan, tile) is not None for tile in tiles_of_round(spec, plan))
        state.close()
        if finished:
            warnings.warn(
                f"level {plan.level}, round {plan.number} begins again, because it was planned for other memory; "
                f"tiles that are solved a second time: {finished}",
                stacklevel=3,
            )


def _begin_round(store: Store, spec: Spec, record: Record, chosen: LevelPlan) -> Round:
    """Plan the next round, create the array of its result, and return the plan."""
    left = spec.iterations - record.iteration
    iterations = min(chosen.iterations, left)
    last = iterations == left
    shape = spec.shapes[record.level - 1]
    window = window_sides(shape, chosen.sides, iterations, coupling_at(spec, record.level))
    plan = Round(
        record.level,
        record.number + 1,
        record.iteration,
        iterations,
        "generation" if record.iteration else "coarser" if record.level > 1 else "guides",
        _origin(record),
        thinning(store, spec, 1) if record.level == 1 and record.iteration == 0 else 1.0,
        not last,
        chosen.sides,
        window,
        chosen.together,
        spec.bits if last and record.level == spec.levels else None,
    )
    return _begun(store, spec, plan)


def _origin(record: Record) -> str:
    """Return the array that the next round starts from; "" for the guides."""
    return f"{record.state}/state" if record.state else ""


def _begun(store: Store, spec: Spec, plan: Round) -> Round:
    """Create the array of a round's result, (C, 1 or 3, N, H, W), and save the plan; return it complete."""
    store.remove(plan.name)
    shape = spec.planes, 3 if plan.moments else 1, spec.layers, *spec.shapes[plan.level - 1]
    state = store.create(plan.state, shape, state_type(plan.bits), plan.sides, 0 if plan.together else 1)
    plan = replace(plan, identity=state.identity)
    plan.save(store)
    return plan


def _run_round(
    store: Store,
    spec: Spec,
    plan: Round,
    executor: Executor,
    history: Sequence[Step],
    listener: Listener,
) -> tuple[list[Sums], Stop | None]:
    """Run a round; return the sums of its iterations, and the reason to stop after the last one, if any.

    If a setting ends a round of several tiles early, the round is run again with fewer iterations. If the listener
    does, it ends with the round.
    """
    tiles = tiles_of_round(spec, plan)
    before = [step for step in history if step.level == plan.level]
    reasons: list[Stop | None] = []

    def judge(sums: Sums) -> Stop | None:
        """Report one more iteration of the whole image; return the reason to stop, if any."""
        step = _step(spec, plan, plan.first + len(reasons), sums)
        before.append(step)
        reason = reason_to_stop(spec, before)
        reasons.append("callback" if listener.step(step) and reason is None else reason)
        return reasons[-1]

    if len(tiles) == 1 and executor.workers == 1 and not executor.apart:

        def watch(at: int, sums: Sums) -> Stop | None:
            listener.iteration(plan, tiles[0], at)
            return judge(sums)

        listener.begin_round(plan, 1)
        found = advance_tile(store, plan, tiles[0], watch)
        listener.tile(plan, tiles[0])
        return found, next((reason for reason in reasons if reason is not None), None)

    sums = _run_tiles(store, plan, tiles, executor, listener)
    for number, one in enumerate(sums, start=1):
        stop = judge(one)
        if stop == "callback":
            # The round is done, so it is kept. A shorter one in the store would be taken up by a resumed solve.
            continue
        if stop is not None and number < len(sums):
            shorter = _begun(store, spec, replace(plan, iterations=number, moments=False))
            return _run_tiles(store, shorter, tiles, executor, listener), stop
        if stop is not None:
            return sums, stop
    return sums, "callback" if "callback" in reasons else None


def _run_tiles(store: Store, plan: Round, tiles: list[Tile], executor: Executor, listener: Listener) -> list[Sums]:
    """Advance every tile of a round; return the sums over all of them."""
    listener.begin_round(plan, len(tiles))
    calls: list[tuple[Any, ...]] = []
    reports = executor.workers == 1 and not executor.apart
    for tile in tiles:
        call = (store, plan, tile)
        calls.append((*call, _reporter(plan, tile, listener)) if reports else call)
    totals: list[Sums] = []
    for number, sums in executor.map(solve_tile, calls):
        totals = [a.plus(b) for a, b in zip(totals, sums, strict=True)] if totals else sums
        listener.tile(plan, tiles[number])
    return totals


def _reporter(plan: Round, tile: Tile, listener: Listener) -> Callable[[int, Sums], None]:
    return lambda at, _: listener.iteration(plan, tile, at)


def _commit(store: Store, spec: Spec, record: Record, plan: Round, sums: list[Sums], stop: Stop | None) -> None:
    """Make the result of the round the present state, in one atomic step, and remove the state before it."""
    store.flush()
    old = record.state
    record.state, record.state_level = plan.name, plan.level
    record.sums += [[plan.level, one] for one in sums]
    record.iteration, record.number = record.iteration + len(sums), plan.number
    if stop == "callback":
        record.stop = stop
        return
    if plan.level == spec.levels and (stop or record.iteration == spec.iterations):
        record.stop = stop or "iterations"
    elif stop or record.iteration == spec.iterations:
        record.level, record.iteration, record.number = plan.level + 1, 0, 0
    record.save(store)
    if old:
        store.remove(old)


def _history(spec: Spec, record: Record) -> list[Step]:
    """Return the steps that a record holds."""
    counts = dict.fromkeys(range(1, spec.levels + 1), 0)
    steps = []
    for level, sums in record.sums:
        steps.append(_step_of(spec, level, counts[level], sums_of(sums)))
        counts[level] += 1
    return steps


def _steps(spec: Spec, plan: Round, sums: list[Sums]) -> list[Step]:
    return [_step(spec, plan, plan.first + number, one) for number, one in enumerate(sums)]


def _step(spec: Spec, plan: Round, before: int, sums: Sums) -> Step:
    return _step_of(spec, plan.level, before, sums)


def _step_of(spec: Spec, level: int, before: int, sums: Sums) -> Step:
    """Return the step that follows `before` others at `level`."""
    terms = sums.terms(spec.pixels(level), spec.objective)
    total, shape = spec.iterations, spec.shapes[level - 1]
    return Step(level, spec.levels, before + 1, total, shape, spec.objective.loss(terms), terms)


def reason_to_stop(spec: Spec, steps: Sequence[Step]) -> Stop | None:
    """Return why a level should end after `steps`, all its steps so far; None to continue."""
    options, last = spec.options, steps[-1]
    at_full_size = last.level == last.levels
    if at_full_size and options.target_ssim is not None and last.target_ssim >= options.target_ssim:
        return "target_ssim"
    if options.patience is not None and _without_gain(steps) >= options.patience:
        return "patience"
    return None


def _without_gain(steps: Sequence[Step]) -> int:
    """Return how many steps ago the loss last improved by more than _LEAST_GAIN of itself."""
    best, best_iteration = math.inf, 0
    for step in steps:
        if step.loss < best * (1 - _LEAST_GAIN):
            best, best_iteration = step.loss, step.iteration
    return steps[-1].iteration - best_iteration
