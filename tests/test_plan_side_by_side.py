"""Plans for tiles that are computed side by side: the least time; one at a time, the plans there were before."""

import dataclasses
import itertools
import math

import pytest

from mlsolve.solving import plan as planning
from mlsolve.solving.executors.processes import Processes
from mlsolve.solving.plan import LevelPlan, Limits, least_memory, plan_level, window_sides
from mlsolve.solving.store import DiskStore, MemoryStore
from mlsolve.solving.store.chunks import CHUNK
from mlsolve.solving.tile_coupling import TileCoupling
from mlsolve.solving.tiles import groups_of
from mlsolve_kernels.window import REACH
from objectives import composite_placed, objective_of
from test_arranged_rounds import solved
from test_plan import problems, with_memory

STILL = ((1, 0, 0, 1),)
HALF_TURN = (*STILL, (-1, 0, 0, -1))
FLIP = (*STILL, (1, 0, 0, -1))
OTHER_FLIP = (*STILL, (-1, 0, 0, 1))
DIAGONAL = (*STILL, (0, 1, 1, 0))
OTHER_DIAGONAL = (*STILL, (0, -1, -1, 0))
TURNS = (*HALF_TURN, (0, 1, -1, 0), (0, -1, 1, 0))
ALL = (*TURNS, (1, 0, 0, -1), (-1, 0, 0, 1), (0, 1, 1, 0), (0, -1, -1, 0))
TURNED = TileCoupling(
    REACH, TURNS, objective_of((composite_placed(1, 1, 1, (0, 1)), composite_placed(1, 1, 1, (1, 0))), 1)
)
COLOURED = TileCoupling(objective=objective_of((composite_placed(1, 1, 1),), 1, colour=1.0))
GIB = 1 << 30


def cheapest(shape, stack, iterations, limits, coupling):
    """The plan of least cost: how plans were chosen before tiles were computed side by side."""
    layers, planes = stack
    disk, values = limits.disk, layers * planes * math.prod(shape)
    if limits.fit(layers, planes, shape, coupling.whole):
        longest = -(-iterations // -(-iterations // max(1, int(planning.LONGEST) // values)))
        if disk is not None and longest < iterations and values * 24 > disk:
            longest = iterations
        return LevelPlan(shape, shape, longest, True, 1.0)
    of_tile = planes if coupling.together else 1
    best, key = None, (True, math.inf)
    for length in planning._lengths(iterations):
        if length < iterations and disk is not None and values * 24 > disk:
            continue
        for sides, window in planning._cuts(shape, (layers, of_tile), length, limits, coupling):
            cost = planning.cost_of(shape, sides, window, length, iterations)
            long = layers * of_tile * coupling.windows * math.prod(window) * length > planning.LONGEST
            if (long, cost) < key:
                best, key = LevelPlan(sides, window, length, coupling.together, cost), (long, cost)
    return best


@pytest.mark.parametrize("coupling", [planning.PLAIN, TURNED, COLOURED])
def test_one_at_a_time_the_cheapest_is_chosen_as_before(rng, monkeypatch, coupling):
    monkeypatch.setattr(planning, "LONGEST", 1e9)
    whole = 0
    for shape, stack, iterations, limits in problems(rng, 60):
        if coupling is not planning.PLAIN:
            shape, stack = (shape[0], shape[0]), (2 if coupling is TURNED else 3, 3)
            limits = Limits(threads=limits.threads, disk=limits.disk)
        least = least_memory(shape, stack, iterations, limits, coupling)
        for factor in (1, 1.7, 6, 1000):
            given = with_memory(limits, int(factor * least))
            plan = plan_level(shape, stack, iterations, given, coupling)
            assert plan == cheapest(shape, stack, iterations, given, coupling)
            assert plan.time == plan.cost
            whole += plan.sides == shape
    assert 60 < whole < 240


def time_of(shape, stack, sides, length, iterations, at_once, planes, task):
    """Reckoned from what the words say: waves of tiles, each of the cost of a tile, and something for each tile."""
    window = window_sides(shape, sides, length, planning.PLAIN)
    cost = planning.cost_of(shape, sides, window, length, iterations)
    tiles = -(-shape[0] // sides[0]) * -(-shape[1] // sides[1]) * (stack[1] // planes)
    waves = -(-tiles // at_once)
    return cost * waves / tiles + tiles * task / (length * math.prod(shape) * math.prod(stack))


@pytest.mark.parametrize("shape", [(700, 900), (640, 130), (127, 1500)])
@pytest.mark.parametrize("at_once", [2, 3, 7])
def test_no_other_cut_takes_less_time(shape, at_once, monkeypatch):
    """Of tiles of one plane, and the whole; with a disk too small for two generations there is one round."""
    task, iterations = 3e4, 7
    monkeypatch.setattr(planning, "TASK", task)
    seen = set()
    for planes, memory, disk in itertools.product((1, 3), (3 << 20, 9 << 20, None), (None, 0)):
        limits, best, stack = Limits(memory, disk=disk, at_once=at_once), math.inf, (2, planes)
        grid = itertools.product(*(range(CHUNK, side + CHUNK, CHUNK) for side in shape), (1, 2, 3, 4, 7))
        for height, width, length in grid:
            sides = min(height, shape[0]), min(width, shape[1])
            if limits.fit(2, 1, window_sides(shape, sides, length, planning.PLAIN)) and (
                disk is None or length == iterations
            ):
                best = min(best, time_of(shape, stack, sides, length, iterations, at_once, 1, task))
        if limits.fit(*stack, shape):
            best = min(best, time_of(shape, stack, shape, iterations, iterations, at_once, planes, task))
        if best < math.inf:
            plan = plan_level(shape, stack, iterations, limits)
            of_tile = planes if plan.together else 1
            rest = plan.sides, plan.iterations, iterations, at_once, of_tile, task
            assert time_of(shape, stack, *rest) == pytest.approx(best)
            assert disk is None or plan.iterations == iterations
            seen.add(plan.sides)
    assert len(seen) > 1


def test_a_level_that_fits_is_cut_for_all_to_work():
    """By planes or by area; what they make of it is told, and it is never more than there are."""
    shape = (4096, 4096)
    for at_once, parallel in ((2, 2.0), (3, 3.0), (4, 3.0), (6, 6.0)):
        plan = plan_level(shape, (3, 3), 60, Limits(16 * GIB, at_once=at_once))
        assert not plan.together
        assert plan.parallel == parallel
        assert plan.time == pytest.approx(plan.cost / parallel)
        assert plan.time < 1
    grey = plan_level(shape, (3, 1), 60, Limits(16 * GIB, at_once=4))
    assert grey.parallel == 4.0
    assert math.prod(grey.sides) < math.prod(shape)
    coloured = plan_level(shape, (3, 3), 60, Limits(16 * GIB, at_once=2), COLOURED)
    assert (coloured.together, coloured.parallel) == (True, 2.0)


def test_a_small_level_stays_whole_where_cutting_does_not_pay():
    whole = LevelPlan((75, 75), (75, 75), 60, True, 1.0)
    for at_once in (2, 8, 256):
        assert plan_level((75, 75), (3, 3), 60, Limits(GIB, at_once=at_once)) == whole
        assert plan_level((1500, 1500), (3, 3), 60, Limits(device=8 * GIB, at_once=at_once)).together
    assert not plan_level((1500, 1500), (3, 3), 60, Limits(GIB, at_once=2)).together
    assert not plan_level((7000, 7000), (3, 3), 60, Limits(device=80 * GIB, at_once=2)).together


def test_the_whole_is_a_tile_too(monkeypatch):
    """What a tile costs beyond its values is counted for the whole as for each half: twice less once."""
    shape, stack, values = (2048, 1024), (2, 1), 2 * 2048 * 1024 * 60
    whole, half = (planning.cost_of(shape, sides, shape, 60, 60) for sides in (shape, (1024, 1024)))
    for share, parallel in ((0.95, 2.0), (1.05, 1.0)):
        monkeypatch.setattr(planning, "TASK", share * (whole - half / 2) * values)
        assert plan_level(shape, stack, 60, Limits(disk=0, at_once=2)).parallel == parallel


def test_more_at_once_never_take_longer():
    for shape, device in itertools.product(((300, 300), (4096, 4096), (20000, 10000)), (None, 40 * GIB)):
        plans = [
            plan_level(shape, (3, 3), 60, Limits(8 * GIB, device=device, at_once=at_once))
            for at_once in (1, 2, 4, 8, 32)
        ]
        times = [plan.time for plan in plans[1:]]
        assert times == sorted(times, reverse=True)
        assert times[0] <= plans[0].time * 1.1


def test_plans_keep_within_memory_and_disk(rng):
    for shape, stack, iterations, limits in problems(rng, 60):
        least, at_once = least_memory(shape, stack, iterations, limits), int(rng.integers(2, 9))
        whole = limits.tile_bytes(*stack, shape)
        for memory in (least, int(rng.integers(least, max(whole, least + 1)))):
            given = dataclasses.replace(limits, memory=memory, at_once=at_once)
            plan = plan_level(shape, stack, iterations, given)
            assert given.fit(stack[0], stack[1] if plan.together else 1, plan.window)
            if plan.iterations < iterations and limits.disk is not None:
                assert 24 * math.prod(shape) * math.prod(stack) <= limits.disk
            assert 1 <= plan.parallel <= at_once


@pytest.mark.parametrize(
    "facings", [STILL, HALF_TURN, FLIP, OTHER_FLIP, DIAGONAL, OTHER_DIAGONAL, TURNS, ALL], ids=len
)
def test_groups_are_counted_as_they_are_made(facings):
    coupling = TileCoupling(REACH, facings)
    for rows, columns in itertools.product(range(1, 6), repeat=2):
        if coupling.square and rows != columns:
            continue
        shape = 10 * rows - 3, 10 * columns - 4
        assert planning._groups(shape, (10, 10), coupling) == len(list(groups_of(shape, (10, 10), facings)))


@pytest.mark.parametrize("name", ["still", "quarter turns", "turned and flipped", "loose"])
@pytest.mark.parametrize("planes", [1, 3])
def test_levels_cut_to_be_computed_side_by_side_are_the_whole(name, planes, monkeypatch):
    seen = cut_anyway(monkeypatch)
    whole = solved(MemoryStore(), name, planes=planes, levels=1)
    assert seen.pop().together
    for at_once in (2, 5):
        assert solved(MemoryStore(), name, limits=Limits(at_once=at_once), planes=planes, levels=1) == whole
        assert seen.pop().parallel > 1


def test_two_processes_that_share_a_level_compute_the_whole(monkeypatch, tmp_path):
    seen = cut_anyway(monkeypatch)
    whole = solved(MemoryStore(), "quarter turns")
    seen.clear()
    assert solved(DiskStore(tmp_path), "quarter turns", Processes(2, 1), Limits(at_once=2)) == whole
    assert max(plan.parallel for plan in seen) > 1


def cut_anyway(monkeypatch):
    """Let tiles and halos be cheap, so that small levels are cut too; return the plans to come."""
    seen, choose = [], plan_level

    def noted(*given):
        seen.append(choose(*given))
        return seen[-1]

    monkeypatch.setattr(planning, "TASK", 0.0)
    monkeypatch.setattr(planning, "cost_of", lambda *_: 1.0)
    monkeypatch.setattr("mlsolve.solving.levels.plan_level", noted)
    return seen
