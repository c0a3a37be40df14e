"""`make bench`: an iteration of arrangements against the sweep of an unmoved stack, in turns; placing sheets."""

import itertools

import numpy as np
import pytest

from mlsolve_bench.problem import noise
from mlsolve_kernels.iteration.objective import Objective, Shape, Stack
from mlsolve_kernels.iteration.stepwise import StepwiseWorkspace
from mlsolve_kernels.iteration.sweep import CpuWorkspace
from mlsolve_kernels.layout import strips_for, to_strips
from mlsolve_kernels.placement.cpu import carry, tables_for
from mlsolve_kernels.placement.frames import WHOLE, placement_maps
from mlsolve_kernels.placement.move import move_of
from mlsolve_kernels.threads import Team

PLAIN, TURNED, SHIFTED = ((0,), (0,), (0,)), ((0,), (90,), (180,)), ((0,), (0, None, (3, 1)), (0, None, (-2, 3)))
OTHER, WARPED = ((270,), (0,), (0, "h")), ((0,), (0, None, (0.5, 0.3)), (1,))
CASES = {
    "sweep": (),
    "still": (PLAIN,),
    "turned": (TURNED,),
    "shifted": (SHIFTED,),
    "warped": (WARPED,),
    "two stacks": (PLAIN, TURNED),
    "three stacks": (PLAIN, TURNED, OTHER),
    "hiding": (PLAIN,),
}


@pytest.fixture(scope="module")
def team():
    team = Team()
    yield team
    team.close()


@pytest.fixture(scope="module")
def iterations(team):
    """A function that gives an iteration of a case at a size; what it is of is made once for all of a size."""
    made = {}

    def iteration(name, side):
        if made.setdefault("side", side) != side:
            made.clear()
            made["side"] = side
        if name not in made:
            made[name] = prepared(name, side, team)
        return made[name]

    return iteration


def prepared(name, side, team):
    problem = noise(side)
    one, stacks = problem.objective.stacks[0], CASES[name]
    if not stacks:
        work = CpuWorkspace(problem.target, problem.guides, problem.objective, problem.bounds, problem.betas, team)
        work.start(problem.guides)
        return lambda: work.advance([0.01])
    hide = 1.0 if name == "hiding" else 0.0
    laid = Stack(one.scale, {**one.weights, "leak": hide}, (0, 1, 2))
    objective = Objective((laid,) * len(stacks), problem.objective.weights)
    shape = Shape(*problem.guides.shape)
    work = StepwiseWorkspace.blank(shape, objective, problem.bounds, problem.betas, team)
    for stack, plane in np.ndindex(len(stacks), shape.planes):
        work.put_target(plane, problem.target[plane], stack=stack)
    for layer, plane in np.ndindex(shape.layers, shape.planes):
        work.put_guide(layer, plane, problem.guides[layer, plane])
        work.put_layer(layer, plane, problem.guides[layer, plane])
    work.prepare()
    moves = [tuple(tuple(move_of((side, side), *how) for how in stack) for stack in stacks)]
    return lambda: work.advance([0.01], moves)


@pytest.mark.parametrize("turn", [1, 2])
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("side", [600, 2048])
def test_in_turns(benchmark, side, turn, name, iterations):
    """All of them at a size, one after the other, twice; three layers in colour."""
    benchmark.group = f"{side}×{side}, arrangements in turns"
    benchmark.pedantic(iterations(name, side), rounds=9 if side < 1000 else 3, warmup_rounds=1)
    benchmark.extra_info["stacks"] = max(1, len(CASES[name]))


@pytest.mark.parametrize("back", [False, True])
@pytest.mark.parametrize("how", list(dict.fromkeys(itertools.chain(TURNED, SHIFTED, OTHER, WARPED))))
def test_moving_a_sheet(benchmark, how, back, team):
    """A sheet of three planes, 2048×2048, to the stack and back."""
    side = 2048
    strips, move = strips_for(side, side), move_of((side, side), *how)
    source = to_strips(np.random.default_rng(0).random((3, side, side), dtype=np.float32), strips)[np.newaxis]
    out, number, there = np.zeros_like(source), np.zeros(1, np.int64), placement_maps([move], WHOLE, back)
    of_ways = (np.float32(0 if back else 1), strips, tables_for(strips, team.workers))

    def bring():
        team.run(carry, source, number, out, number, there, np.array([back]), *of_ways)

    benchmark.pedantic(bring, rounds=5, warmup_rounds=1)
    benchmark.extra_info["ns per value"] = benchmark.stats.stats.median * 1e9 / (3 * side * side)
