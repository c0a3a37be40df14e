"""Which work a batch does without, and that the bytes are the same with it.

Runs the CUDA kernels on the host.
"""

from dataclasses import replace

import numpy as np
import pytest

from cuda_host.device import HostDevice, needs_compiler
from mlsolve_kernels.iteration import cuda_arranged
from mlsolve_kernels.iteration.cuda_arranged import ArrangedCudaWorkspace
from mlsolve_kernels.iteration.objective import Objective, Shape, Stack
from mlsolve_kernels.iteration.route import Route, route_of
from mlsolve_kernels.placement.move import STILL, move_of

SIDE = 24
TURNED = move_of((SIDE, SIDE), 90)
SLANTED = move_of((SIDE, SIDE), 3)
WEIGHTS = {"stack_ssim": 3.0, "stack_mse": 10.0}
BOUNDS, BETAS = (0.073, 1.0), (0.8, 0.95)


def stack_of(*layers, leak=0.0, weighted=False, carried=()):
    weights = {**WEIGHTS, "leak": leak}
    return Stack(0.3, weights, layers, 0.7 if weighted else 1.0, weighted, bool(carried), carried)


def objective(*stacks, disc=False):
    return Objective(stacks, {"guide_ssim": 0.7}, disc, 0.78 if disc else 1.0)


ALL = (0, 1, 2)
SHARES = (0.3, 0.2, 0.4)
CASES = {
    "one stack": (objective(stack_of(*ALL)), (ALL,)),
    "one stack that hides": (objective(stack_of(*ALL, leak=0.5)), (ALL,)),
    "a round one with weights": (objective(stack_of(*ALL, weighted=True), disc=True), (ALL,)),
    "one stack with carriers": (objective(stack_of(*ALL, carried=SHARES)), (ALL,)),
    "one stack with carriers that hides": (objective(stack_of(*ALL, leak=0.5, carried=SHARES)), (ALL,)),
    "the first of two, and the second has carriers and hides": (
        objective(stack_of(*ALL), stack_of(*ALL, leak=0.5, carried=SHARES)),
        (ALL, None),
    ),
    "the first of two": (objective(stack_of(*ALL), stack_of(*ALL)), (ALL, None)),
    "the second of two, and the first hides": (objective(stack_of(*ALL, leak=0.5), stack_of(*ALL)), (None, ALL)),
    "the first of two, which hides": (objective(stack_of(*ALL, leak=0.5), stack_of(*ALL)), (ALL, None)),
    "the last of three": (objective(stack_of(*ALL), stack_of(2, 0), stack_of(*ALL)), (None, None, ALL)),
    "the first of three": (objective(stack_of(*ALL), stack_of(2, 0), stack_of(*ALL)), (ALL, None, None)),
    "two of three layers": (objective(stack_of(1, 2)), ((1, 2),)),
    "two of three layers, turned round": (objective(stack_of(2, 1)), (None,)),
}
"""The objective, and for each stack whether it lies still (its layers) or not (None)."""

THROUGH = {
    "one stack": 0,
    "one stack that hides": 0,
    "a round one with weights": 0,
    "one stack with carriers": 0,
    "the first of two": 0,
    "the second of two, and the first hides": 1,
    "the last of three": 2,
}


def moves_of(one, still):
    """Sheets that are not still lie turned, or slanted, by turns."""
    lying = (TURNED, SLANTED, move_of((SIDE, SIDE), 0, "h", (2, -1)))
    return tuple(
        tuple(STILL if of is not None else lying[(k + number) % 3] for k in range(len(stack.layers)))
        for number, (stack, of) in enumerate(zip(one.stacks, still, strict=True))
    )


@pytest.mark.parametrize("name", CASES)
def test_what_lies_still_is_read_in_place(name):
    one, still = CASES[name]
    route = route_of(one, 3, [moves_of(one, still)] * 2)
    assert route.through == THROUGH.get(name)
    straight = [list(stack.layers) == sorted(stack.layers) for stack in one.stacks]
    assert route.in_place == tuple(of is not None and ok for of, ok in zip(still, straight, strict=True))


def test_one_move_in_a_batch_is_enough():
    one, still = CASES["one stack"]
    lying = ((STILL, STILL, TURNED),)
    assert route_of(one, 3, [moves_of(one, still), lying]).through is None
    assert route_of(one, 3, [None, None]).through == 0


def test_gradients_are_added_to_those_of_earlier_stacks():
    one, still = CASES["the first of two"]
    route = route_of(one, 3, [moves_of(one, still)])
    assert (route.adds[3:], route.unused, route.more) == ((False,) * 3, (), True)
    route = route_of(one, 3, [moves_of(one, (None, None))])
    assert (route.adds, route.unused, route.more) == ((False,) * 3 + (True,) * 3, (), False)
    one, still = CASES["two of three layers"]
    assert route_of(one, 3, [moves_of(one, still)]).unused == (0,)


def always_carried(one, layers, moves):
    """The route that does without nothing."""
    numbers = [layer for stack in one.stacks for layer in stack.sheets(layers)]
    alone = tuple(layer in numbers[:place] for place, layer in enumerate(numbers))
    own = [stack.carriers and stack.weight("leak") > 0 for stack in one.stacks for _ in stack.sheets(layers)]
    adds = tuple(later or first for later, first in zip(alone, own, strict=True))
    unused = tuple(layer for layer in range(layers) if layer not in numbers)
    return Route((False,) * len(one.stacks), None, adds, unused, False, alone)


def solved(one, moves, device):
    rng = np.random.default_rng(4)
    shape = (3, 1, SIDE, SIDE)
    work = ArrangedCudaWorkspace.blank(Shape(*shape), one, BOUNDS, BETAS, device)
    images = rng.random((len(one.stacks) + 6, SIDE, SIDE), dtype=np.float32)
    for number, stack in enumerate(one.stacks):
        work.put_target(0, images[number], stack=number)
        if stack.weighted:
            work.put_weights(number, 0, images[number])
        for sheet in range(3 if stack.carriers else 0):
            work.put_carrier(number, sheet, 0, images[sheet] / 3)
    for layer in range(3):
        work.put_guide(layer, 0, images[-1 - layer])
        work.put_layer(layer, 0, images[-4 - layer])
    work.prepare()
    work.evaluate(moves)
    gradient = work.gradient
    sums = work.advance([0.05, 0.02, 0.03], [moves] * 3)
    return gradient, work.layers, [dict(one) for one in sums]


@needs_compiler
@pytest.mark.parametrize("fuses_adam", [True, False])
@pytest.mark.parametrize("name", CASES)
def test_the_bytes_do_not_depend_on_the_route(folder, monkeypatch, name, fuses_adam):
    one, still = CASES[name]
    moves = moves_of(one, still)
    found = solved(one, moves, HostDevice(folder, fuses_adam=fuses_adam))
    monkeypatch.setattr(cuda_arranged, "route_of", always_carried)
    expected = solved(one, moves, HostDevice(folder, fuses_adam=fuses_adam, reverse=True))
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])
    assert found[2] == expected[2]


@needs_compiler
def test_a_move_may_come_and_go(folder):
    """Batches with another route each, on one workspace: as if each had been the only way."""
    one, _ = CASES["the first of two"]
    one = replace(one, stacks=one.stacks[:1])
    ways = [((STILL,) * 3,), ((TURNED, STILL, STILL),)] * 2
    together = solved_by_parts(one, [ways[:2], ways[2:]], HostDevice(folder))
    apart = solved_by_parts(one, [[way] for way in ways], HostDevice(folder))
    np.testing.assert_array_equal(together, apart)


def solved_by_parts(one, parts, device):
    images = np.random.default_rng(4).random((7, SIDE, SIDE), dtype=np.float32)
    work = ArrangedCudaWorkspace.blank(Shape(3, 1, SIDE, SIDE), one, BOUNDS, BETAS, device)
    work.put_target(0, images[0])
    for layer in range(3):
        work.put_guide(layer, 0, images[1 + layer])
        work.put_layer(layer, 0, images[4 + layer])
    work.prepare()
    for moves in parts:
        work.advance([0.05] * len(moves), moves)
    return work.layers
