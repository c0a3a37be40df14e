"""How a level is cut: tiles cover it, windows reach far enough, and there is the memory and the disk for it."""

import dataclasses
import itertools
import math
import tracemalloc

import numpy as np
import pytest

from mlsolve.errors import DeviceMemoryError, OptionError
from mlsolve.solving import plan as planning
from mlsolve.solving.backends import CpuBackend
from mlsolve.solving.executors.resources import provided
from mlsolve.solving.plan import LOAD, MOMENTS, SAVE, Limits, least_memory, plan_level, state_on_disk, window_sides
from mlsolve.solving.rounds import Round, advance_tile
from mlsolve.solving.spec import BETAS
from mlsolve.solving.store import DiskStore
from mlsolve.solving.store.chunks import CHUNK
from mlsolve.solving.tile_coupling import TileCoupling
from mlsolve.solving.tiles import Tile, tiles_of, window_of
from mlsolve_kernels.iteration.cuda import device_bytes
from mlsolve_kernels.iteration.objective import Shape, one_stack
from mlsolve_kernels.iteration.sweep import workspace_bytes
from mlsolve_kernels.region import Region
from mlsolve_kernels.window import REACH
from objectives import composite_placed, objective_of
from test_rounds import SHAPES, prepared

EDGES = [11, CHUNK - 1, CHUNK, CHUNK + 1, CHUNK + 2 * REACH, 2 * CHUNK, 1000]


def problems(rng, count):
    """Levels of many sizes with so many layers, planes and iterations; limits of main memory, GPU and disk."""
    for number in range(count):
        height, width = (int(rng.choice([*EDGES, rng.integers(11, 3000)])) for _ in range(2))
        layers, planes = int(rng.integers(1, 5)), int(rng.choice([1, 3]))
        iterations = int(rng.choice([1, 2, 7, 60]))
        state = 24 * layers * planes * height * width
        limits = Limits(
            threads=int(rng.integers(1, 4)),
            disk=(None, None, state - 1, state)[number % 4],
            device=device_bytes(layers, 1, height, width) if number % 3 == 0 else None,
        )
        yield (height, width), (layers, planes), iterations, limits


def one_round(limits):
    """Whether the disk, as `problems` chooses it, is too small for two generations."""
    return limits.disk is not None and limits.disk % 24 != 0


def with_memory(limits, memory):
    return dataclasses.replace(limits, memory=memory)


def planned(rng, count):
    """Plans of such levels with random memory, from what just suffices to what is more than enough."""
    for shape, stack, iterations, limits in problems(rng, count):
        least, whole = least_memory(shape, stack, iterations, limits), limits.tile_bytes(*stack, shape)
        for memory in {least, whole, *(int(least * (whole / least) ** share) for share in rng.random(3))}:
            bounded = with_memory(limits, max(memory, least))
            yield shape, stack, iterations, bounded, plan_level(shape, stack, iterations, bounded)


@pytest.mark.parametrize(
    ("shape", "sides"), [((7, 9), (3, 4)), ((6, 8), (3, 4)), ((5, 5), (9, 9)), ((1, 4), (1, 1))]
)
def test_tiles_cover_an_image_once(shape, sides):
    count, regions = np.zeros(shape, dtype=int), list(tiles_of(shape, sides))
    for region in regions:
        assert region == region.grown(0, *shape)
        assert 0 < region.height <= sides[0]
        assert 0 < region.width <= sides[1]
        count[region.top : region.bottom, region.left : region.right] += 1
    assert (count == 1).all()
    assert regions == sorted(regions)
    assert all(region.top % sides[0] == region.left % sides[1] == 0 for region in regions)


def test_windows_hold_their_tiles_and_halos_and_are_of_one_size(rng):
    several = 0
    for shape, _, _, _, plan in planned(rng, 60):
        halo = REACH * plan.iterations
        regions = list(tiles_of(shape, plan.sides))
        several += len(regions) > 1
        for region in regions:
            window = window_of(region, shape, plan.window, halo)
            needed = region.grown(halo, *shape)
            assert (window.height, window.width) == plan.window
            assert 0 <= window.top <= needed.top
            assert needed.bottom <= window.bottom <= shape[0]
            assert 0 <= window.left <= needed.left
            assert needed.right <= window.right <= shape[1]
        assert plan.window == tuple(min(a, b + 2 * halo) for a, b in zip(shape, plan.sides, strict=True))
    assert several > 50


def test_a_plan_keeps_within_memory_and_disk(rng):
    """Tiles are whole chunks of the store, or as large as the level."""
    for shape, stack, iterations, limits, plan in planned(rng, 100):
        planes = stack[1] if plan.together else 1
        assert limits.tile_bytes(stack[0], planes, plan.window) <= limits.memory
        assert limits.fit(stack[0], planes, plan.window)
        if limits.device is not None:
            assert device_bytes(stack[0], planes, *plan.window) <= limits.device
        if plan.iterations < iterations and limits.disk is not None:
            assert state_on_disk(plan, stack, shape, iterations, 8) <= limits.disk
        assert all(side == own or own % CHUNK == 0 for side, own in zip(shape, plan.sides, strict=True))


def test_rounds_are_of_about_equal_length(rng):
    """No shorter ones would be as few: so many iterations are never left that a round is all but empty."""
    lengths = set()
    for _, _, iterations, _, plan in planned(rng, 60):
        rounds = math.ceil(iterations / plan.iterations)
        assert 1 <= plan.iterations <= iterations
        assert plan.iterations == math.ceil(iterations / rounds)
        lengths.add(plan.iterations)
    assert len(lengths) > 5


def test_the_least_memory_is_the_least(rng):
    for shape, stack, iterations, limits in problems(rng, 120):
        least = least_memory(shape, stack, iterations, limits)
        plan = plan_level(shape, stack, iterations, with_memory(limits, least))
        assert plan.iterations == iterations or not one_round(limits)
        with pytest.raises(OptionError) as error:
            plan_level(shape, stack, iterations, with_memory(limits, least - 1))
        message = str(error.value)
        assert message.startswith(f"memory is {(least - 1) / 2**20:.3g} MiB for a tile: give it ")
        assert "\n" not in message
        named = int(message.split()[-4]) * 2**20
        assert least <= named < least + 2**20


def test_a_gpu_without_room_for_a_tile_is_told_of():
    shape, stack = (700, 900), (3, 3)
    side = CHUNK + 2 * REACH
    least = device_bytes(3, 1, side, side)
    assert plan_level(shape, stack, 20, Limits(device=least)).sides == (CHUNK, CHUNK)
    for memory in (None, 1 << 40):
        with pytest.raises(DeviceMemoryError, match="too little free memory for a tile: use --backend cpu"):
            plan_level(shape, stack, 20, Limits(memory, device=least - 1))
    assert plan_level(shape, stack, 20, Limits(device=device_bytes(3, 3, *shape))).together


@pytest.mark.parametrize(("threads", "window"), [(1, (148, 300)), (4, (40, 700))])
def test_a_workspace_takes_the_memory_that_is_told(threads, window):
    backend, shape = CpuBackend(threads, BETAS), Shape(3, 2, *window)
    what = shape, one_stack(1.0, 1.0, 1.0, 1.0), (0.1, 1.0)
    backend.workspace(*what)  # what this loads stays
    tracemalloc.start()
    try:
        work = backend.workspace(*what)
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
        backend.close()
    assert work.shape == shape
    assert held <= workspace_bytes(shape, threads) <= 1.04 * held
    few, many = (Limits(threads=count).tile_bytes(3, 2, window) for count in (threads + 60, threads + 90))
    assert held < few
    assert many - few == pytest.approx(workspace_bytes(shape, 90) - workspace_bytes(shape, 60))


@pytest.mark.parametrize("threads", [1, 3])
def test_advancing_a_tile_takes_the_memory_that_is_told(tmp_path, threads):
    """Measured, at its peak; the second time, for the first one compiles."""
    store, sides, tile = DiskStore(tmp_path), (256, 256), Tile(0, 1, (Region(0, 256, 0, 256),))
    prepared(store)
    window = min(SHAPES[1][0], 256 + 6 * REACH), min(SHAPES[1][1], 256 + 6 * REACH)
    plan = Round(2, 1, 0, 3, "guides", "", 1.0, True, sides, window, False)
    state = store.create(plan.state, (3, 3, 2, *SHAPES[1]), np.float32, sides, 1)
    plan = dataclasses.replace(plan, identity=state.identity)
    told = Limits(threads=threads).tile_bytes(2, 1, window)
    with provided(CpuBackend(threads, BETAS)) as resources:
        advance_tile(store, plan, tile)
        resources.drop()
        tracemalloc.start()
        try:
            advance_tile(store, plan, tile)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    tables = 5 << 17  # of what codes mean, and chunks in passing: they are counted apart
    seldom_at_once = 0.8 if threads == 1 else 0.5
    assert seldom_at_once * told < peak <= told + tables
    assert Limits(device=1).tile_bytes(2, 1, window) < 0.5 * told


@pytest.mark.parametrize("memory", [None, 40 << 20])
def test_a_disk_too_small_for_two_generations_has_one_round(monkeypatch, memory):
    """One without moments is all that is written then; a byte more than two take, and there are several again."""
    shape, stack, iterations = (1500, 1300), (3, 3), 60
    two = 2 * 3 * 4 * 9 * 1500 * 1300
    monkeypatch.setattr(planning, "LONGEST", 1e9)
    roomy = plan_level(shape, stack, iterations, Limits(memory, disk=two))
    assert roomy.iterations < iterations
    assert roomy == plan_level(shape, stack, iterations, Limits(memory))
    assert state_on_disk(roomy, stack, shape, iterations, 8) == two
    needed = least_memory(shape, stack, iterations, Limits(disk=two - 1))
    enough = None if memory is None else max(memory, needed)
    tight = plan_level(shape, stack, iterations, Limits(enough, disk=two - 1))
    assert tight.iterations == iterations
    assert state_on_disk(tight, stack, shape, iterations, 16) == two // 12


def test_what_fits_is_solved_whole_at_a_cost_of_one():
    shape, stack = (600, 700), (3, 3)
    needed = Limits().tile_bytes(*stack, shape)
    for memory in (None, needed, 1 << 40):
        plan = plan_level(shape, stack, 60, Limits(memory))
        assert plan == planning.LevelPlan(shape, shape, 60, True, 1.0)
    assert not plan_level(shape, stack, 60, Limits(needed - 1)).together


def test_a_plane_at_a_time_costs_what_loading_and_saving_cost():
    shape, stack = (600, 700), (3, 3)
    limits = Limits(Limits().tile_bytes(3, 1, shape))
    plan = plan_level(shape, stack, 60, limits)
    assert (plan.sides, plan.window, plan.iterations, plan.together) == (shape, shape, 60, False)
    assert plan.cost == pytest.approx(1 + (LOAD + SAVE) / 60)
    rounds = planning.cost_of(shape, shape, shape, 20, 60)
    assert rounds == pytest.approx(1 + (LOAD + SAVE + MOMENTS) / 20)
    halo = planning.cost_of(shape, (300, 256), (400, 356), 5, 60)
    outer, inner = 400 * 356, 300 * 256
    expected = 5 * 350 * 331 + (LOAD + MOMENTS / 2) * outer + (SAVE + MOMENTS / 2) * inner
    assert halo == pytest.approx(6 * expected / (5 * 600 * 700))


def test_no_task_works_longer_than_the_longest(monkeypatch, rng):
    """Whole levels by shorter rounds, tiles by being smaller as well; but where the disk allows no second round."""
    shorter = 0
    for shape, stack, iterations, limits, plan in planned(rng, 60):
        longest = float(10 ** rng.uniform(5, 8))
        with monkeypatch.context() as patch:
            patch.setattr(planning, "LONGEST", longest)
            bounded = plan_level(shape, stack, iterations, limits)
        layers = math.prod(stack) if bounded.together else stack[0]
        work = layers * math.prod(bounded.window)
        shortest = iterations if one_round(limits) else 1
        if bounded.together:
            assert work * bounded.iterations <= longest or bounded.iterations == shortest
        elif work * bounded.iterations > longest:
            smallest = [min(side, CHUNK + 2 * REACH * shortest) for side in shape]
            assert stack[0] * math.prod(smallest) * shortest > longest
        shorter += bounded.iterations < plan.iterations
    assert shorter > 20
    assert plan_level((100, 100), (1, 1), 60, Limits()).iterations == 60


def test_more_memory_never_costs_more(rng):
    for shape, stack, iterations, limits in problems(rng, 60):
        least, whole = least_memory(shape, stack, iterations, limits), limits.tile_bytes(*stack, shape)
        memories = sorted(rng.integers(least, whole, 8, endpoint=True).tolist())
        costs = [plan_level(shape, stack, iterations, with_memory(limits, memory)).cost for memory in memories]
        assert costs == sorted(costs, reverse=True)


@pytest.mark.parametrize("shape", [(700, 900), (640, 130), (127, 1500)])
def test_no_other_cut_into_chunks_is_cheaper(shape):
    stack, iterations = (2, 3), 7
    for memory in (3 << 20, 5 << 20, 9 << 20):
        limits, best = Limits(memory), math.inf
        grid = itertools.product(*(range(CHUNK, side + CHUNK, CHUNK) for side in shape), (1, 2, 3, 4, 7))
        for height, width, length in grid:
            sides = min(height, shape[0]), min(width, shape[1])
            window = tuple(min(a, b + 2 * REACH * length) for a, b in zip(shape, sides, strict=True))
            if limits.fit(stack[0], 1, window):
                best = min(best, planning.cost_of(shape, sides, window, length, iterations))
        if best < math.inf:
            assert plan_level(shape, stack, iterations, limits).cost == pytest.approx(best)


def test_one_tile_alone_has_no_windows_beside_it():
    """A plane that turns lay on itself takes one window; it is the least where four tiles with halos take more."""
    facings = ((1, 0, 0, 1), (0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0))
    lying = TileCoupling(
        REACH, facings, objective_of((composite_placed(1, 1, 1, (0, 1)), composite_placed(1, 1, 1, (1, 0))), 1)
    )
    shape, stack, limits = (200, 200), (2, 3), Limits()
    alone = limits.tile_bytes(2, 1, shape, lying.whole)
    assert alone < limits.tile_bytes(2, 1, window_sides(shape, (CHUNK, CHUNK), 1, lying), lying)
    assert least_memory(shape, stack, 6, limits, lying) == alone
    plan = plan_level(shape, stack, 6, Limits(alone), lying)
    assert (plan.sides, plan.window, plan.iterations, plan.together) == (shape, shape, 6, False)
    with pytest.raises(OptionError, match="give it"):
        plan_level(shape, stack, 6, Limits(alone - 1), lying)
    large = (1024, 1024)
    tiles = plan_level(large, stack, 6, Limits(least_memory(large, stack, 6, limits, lying)), lying)
    assert (tiles.sides, tiles.iterations) == ((CHUNK, CHUNK), 1)


def test_a_term_that_couples_planes_has_tiles_with_all_of_them():
    """And their memory, and that of the least tile, is that of all planes."""
    objective = objective_of((composite_placed(1, 1, 1),), 1, colour=1.0)
    lying, shape, stack = TileCoupling(objective=objective), (900, 1100), (3, 3)
    apart = TileCoupling(objective=objective_of((composite_placed(1, 1, 1, (0, 1, 2)),), 1))
    assert lying.together
    assert not apart.together
    least = least_memory(shape, stack, 12, Limits(), lying)
    assert least > 2 * least_memory(shape, stack, 12, Limits(), apart)
    for memory in (least, 2 * least, 4 * least):
        plan = plan_level(shape, stack, 12, Limits(memory), lying)
        assert plan.together
        assert plan.sides != shape
        assert Limits().tile_bytes(3, 3, plan.window, lying) <= memory
        assert not plan_level(shape, stack, 12, Limits(memory), apart).together
    with pytest.raises(OptionError, match="give it"):
        plan_level(shape, stack, 12, Limits(least - 2**20), lying)
