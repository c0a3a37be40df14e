"""Sheets that lie in any number of arrangements, by the CUDA kernels on the host, against float64 and the CPU.

As in test_cuda_host.py threads run in forward and in reverse order, asynchronous copies as late as allowed and at
once.
"""

import itertools

import numpy as np
import pytest

from cuda_host.device import HostDevice, needs_compiler
from mlsolve_kernels.cuda.geometry import CARRYING, OWN, pitch_of, tiles_for
from mlsolve_kernels.exact import ERROR_BITS
from mlsolve_kernels.iteration import reference
from mlsolve_kernels.iteration.cuda import BATCH
from mlsolve_kernels.iteration.cuda_arranged import ArrangedCudaWorkspace
from mlsolve_kernels.iteration.cuda_arranged_size import arranged_device_bytes
from mlsolve_kernels.iteration.cuda_state import TABLES
from mlsolve_kernels.iteration.objective import Shape
from mlsolve_kernels.iteration.reference import Arranged
from mlsolve_kernels.light.power.reference import compose_gradient
from mlsolve_kernels.placement.cuda import lines_of
from mlsolve_kernels.placement.frames import WHOLE, Frame, disc, placement_maps
from mlsolve_kernels.placement.move import move_of
from mlsolve_kernels.placement.reference import give_back, place
from mlsolve_kernels.region import Region
from mlsolve_kernels.threads import Team
from objectives import composite_placed, objective_of
from test_arrangements import (
    BETAS,
    BOUNDS,
    FOUR,
    arranged_moves,
    assert_windows_are_the_whole,
    case,
    filled,
    moves,
)

pytestmark = needs_compiler

MODES = list(itertools.product((False, True), (False, True)))
KINDS = [(0.0, False, False), (0.8, False, False), (0.5, True, False), (0.3, True, True)]
"""Weight of the leak, whether pixels have weights, whether sheets are round."""

LARGER = [(24, 24), (9, OWN + 5)]


def on_device(case_, device):
    return filled(*case_, device, ArrangedCudaWorkspace)


def table(device, host):
    array = device.zeros(*host.shape, dtype=host.dtype)
    array[...] = host
    return array


def carried(device, images, move, back=False, onto=None, turn=0):
    """`images` (C, H, W) as the stack sees them, or what comes back from there, by the CUDA kernels."""
    planes, height, width = images.shape
    shape = (1, planes, height, pitch_of(width))
    there, out = device.zeros(*shape), device.zeros(*shape)
    there[..., :width], there[..., width:], out[...] = images, np.nan, np.nan
    if onto is not None:
        out[..., :width] = onto
    lines = device.zeros(3, 1, 1, 18, dtype=np.int64)
    lines[turn] = lines_of(placement_maps([move], WHOLE, back))
    numbers, adds = (table(device, np.array([n], dtype=np.int32)) for n in (0, onto is not None))
    turns, size = table(device, np.array([turn, -1], dtype=np.int32)), (1, planes, height, width, shape[3])
    tiles = tiles_for(planes, height, width)
    if back:  # for lights that couple planes; otherwise it applies the chain rule, see below
        sheets, light = (there, there, there, numbers, adds, lines, turns, out), (0, 1.0)
        device.launch("scatter", 1, tiles, CARRYING, *sheets, *light, 0, 1, *size)
    else:
        device.launch("gather", 1, tiles, CARRYING, there, numbers, lines, turns, out, 0, 1, *size)
    if not back:
        assert not out[..., width:].any()
    assert device.intact()
    return out[0, ..., :width].copy()


@pytest.mark.parametrize("shape", [(11, 11), (24, 24), (33, 33), (12, 39), (70, 14)])
def test_placing_and_its_adjoint(rng, folder, shape):
    """Against the reference; and <Rx, y> = <x, Rᵀy> of the kernels, whose light box is an offset."""
    images, gradient = rng.random((2, *shape), dtype=np.float32), rng.normal(size=(2, *shape)).astype(np.float32)
    devices = [HostDevice(folder, reverse=reverse) for reverse in (False, True)]
    for turn, move in enumerate(moves(shape)):
        expected, right = place(images, move), give_back(gradient, move)
        for device in devices:
            found = carried(device, images, move, turn=turn % 3)
            given_back = carried(device, gradient, move, back=True, turn=turn % 2)
            np.testing.assert_allclose(found, expected, atol=3e-7)
            np.testing.assert_allclose(given_back, right, atol=2e-6)
            if move.exact:
                np.testing.assert_array_equal(found, expected.astype(np.float32))
                np.testing.assert_array_equal(given_back, right.astype(np.float32))
        offset = carried(devices[0], np.zeros_like(images), move).astype(np.float64)
        left = ((found - offset) * gradient).sum()
        assert left == pytest.approx((images * given_back.astype(np.float64)).sum(), abs=2e-5)
        added = carried(devices[0], gradient, move, back=True, onto=images)
        np.testing.assert_array_equal(added, images + given_back)


@pytest.mark.parametrize("degrees", [0.01, 44.9, 45, 46, 89.99, 135, 200, 314.5])
def test_no_turn_loses_light(folder, degrees):
    """What all places of the stack see of the pixels about the middle is 1 a pixel; the box is 1 to them all."""
    move, device = move_of((41, 41), degrees, "v", (0.37, -0.81)), HostDevice(folder)
    seen = np.ones((1, 41, 41), dtype=np.float32)
    assert (carried(device, seen, move) == 1).all()
    given_back = carried(device, seen, move, back=True)
    np.testing.assert_allclose(given_back, give_back(seen, move), atol=2e-6)
    assert given_back[0, 12:29, 12:29].mean() == pytest.approx(1, abs=2e-3)


def test_places_far_from_the_middle_are_right(folder):
    """Fixed point has the digits for a sheet of 120000 pixels, of which a window is looked at."""
    side = 120_001
    move = move_of((side, side), 0.3, None, (0.25, 0.5))
    frame = Frame(side - 400, side - 900)
    line = lines_of(placement_maps([move], (frame,)))[0, 0].tolist()
    for y, x in ((side - 400, side - 900), (side - 1, 7), (3, side - 2)):
        row = (line[0] * y + line[1] * x + line[2]) / 2.0**40
        column = (line[3] * y + line[4] * x + line[5]) / 2.0**40
        assert row == pytest.approx(move.row_y * y + move.row_x * x + move.row_0, abs=1e-6)
        assert column == pytest.approx(move.column_y * y + move.column_x * x + move.column_0, abs=1e-6)


@pytest.mark.parametrize("sheets", [1, 3])
def test_the_chain_rule_where_the_gradient_is_carried_back(rng, folder, sheets):
    """To the layers that the sheets show, here in reverse order; with a leak, and added to what is there."""
    placed, by_seen = rng.random((sheets, 2, 13, 40), dtype=np.float32), rng.normal(size=(2, 13, 40))
    more, present = rng.normal(size=(2, *placed.shape)).astype(np.float32)
    expected = compose_gradient(placed, 0.25, by_seen)
    moves_of = [move_of((13, 40), degrees, flip) for degrees, flip in ((0, None), (180, None), (0, "h"))][:sheets]
    numbers = np.arange(sheets, dtype=np.int32)[::-1]
    for leaks, adds in itertools.product((0, 1), (0, 1)):
        device = HostDevice(folder, reverse=leaks != adds)
        arrays = [device.zeros(*images.shape[:-1], 64) for images in (placed, by_seen, more, present)]
        for array, images in zip(arrays, (placed, by_seen, more, present), strict=True):
            array[...], array[..., :40] = np.nan, images
        *sources, out = arrays
        lines = table(device, lines_of(placement_maps(moves_of, WHOLE, True))[np.newaxis])
        where = table(device, numbers), table(device, np.full(sheets, adds, dtype=np.int32)), lines
        turns, tiles = table(device, np.zeros(2, dtype=np.int32)), tiles_for(sheets * 2, 13, 40)
        size = 0, sheets, 1, 2, 13, 40, 64
        device.launch(
            "chain_scatter", sheets, tiles, CARRYING, *sources, *where, turns, out, leaks, np.float32(4), *size
        )
        for k, move in enumerate(moves_of):
            right = give_back((expected[k] + leaks * more[k]).astype(np.float32), move)
            right = right + adds * present[numbers[k]]
            np.testing.assert_allclose(out[numbers[k], ..., :40], right, atol=2e-6)
        assert np.isnan(out[..., 40:]).all()
        assert device.intact()


def assert_right(work, case_, turn=0):
    """Assert that terms and gradient, the sheets lying in one of many ways, are those of the float64 reference."""
    objective, arranged, guides, layers = case_
    shape = layers.shape[2:]
    arranged = Arranged(arranged.targets, arranged_moves(shape, turn), arranged.weights, arranged.disc)
    found, expected = work.evaluate(arranged.moves), reference.terms(layers, arranged, guides, objective)
    for name in found.keys() - {"stack_mse"}:
        assert found[name] == pytest.approx(expected[name], abs=4e-6), name
    assert found["stack_mse"] == pytest.approx(expected["stack_mse"], rel=1e-5)
    assert len(found.get("leak", ())) == (4 if objective.stacks[0].weight("leak") else 0)
    gradient = reference.gradient(layers.astype(np.float64), arranged, guides, objective)
    assert np.linalg.norm(work.gradient - gradient) < 2e-5 * np.linalg.norm(gradient)


@pytest.mark.parametrize(("hide", "weighted", "round_"), KINDS)
@pytest.mark.parametrize("shape", [(11, 11), *(pytest.param(shape, marks=pytest.mark.slow) for shape in LARGER)])
def test_terms_and_gradient(rng, folder, shape, hide, weighted, round_):
    round_ = round_ and shape[0] == shape[1]  # round sheets are square
    case_ = case(rng, shape, 2, hide, weighted, round_)
    for turn, both in ((0, (MODES[0], MODES[3])), (7, (MODES[1], MODES[2]))):
        found = set()
        for reverse, early in both:
            device = HostDevice(folder, reverse=reverse, early=early, resident=4 + 9 * reverse)
            work = on_device(case_, device)
            if found:
                work.evaluate(arranged_moves(shape, turn))
            else:
                assert_right(work, case_, turn)
            found.add(work.gradient.tobytes())
            assert device.intact()
        assert len(found) == 1


@pytest.mark.parametrize(
    ("shape", "turns", "reach"),
    [
        ((151, 151), FOUR, 16),
        (
            (150, 150),
            (((0, None, (0, 0)), (90, "h", (0, 0)), (180, "v", (0, 0))), ((0, "h", (0.4, 0)), (90, "v", (0, 0)))),
            14,
        ),
    ],
)
def test_windows_that_go_together_are_the_whole(rng, folder, shape, turns, reach):
    assert_windows_are_the_whole(rng, HostDevice(folder, resident=20), shape, turns, reach, ArrangedCudaWorkspace)


def test_iterations_are_those_of_the_cpu(rng, folder):
    """A batch and a half, the sheets lying otherwise in each."""
    case_, team = case(rng, (31, 31), 2, 0.5, True, True), Team(2)
    rates, lying = [0.03 / (1 + t) for t in range(15)], [arranged_moves((31, 31), t % 12) for t in range(15)]
    here, there = on_device(case_, HostDevice(folder)), filled(*case_, team)
    found = here.advance(rates[:BATCH], lying[:BATCH]) + here.advance(rates[BATCH:], lying[BATCH:])
    expected = there.advance(rates, lying)
    team.close()
    # Where a gradient is next to nothing its sign is chance, and Adam first takes the whole rate by the sign.
    assert np.abs(here.layers - there.layers).mean() < 1e-5
    objective = case_[0]
    for sums, right in zip(found, expected, strict=True):
        assert all(isinstance(value, int) for term in sums.values() for value in term)
        losses = [objective.loss(one.terms(here.pixels, objective)) for one in (sums, right)]
        assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    outside = case_[1].disc == 0
    assert (here.layers[..., outside] == np.float32(BOUNDS[1])).all()
    assert not here._layers[..., 31:].any()  # the padding, of which nobody is given anything


def errors_of(target, sheets, weights, scale):
    """The sum of weighed squared errors in quanta, as exact.py would have it, in float32 and float64."""
    seen = np.float32(1 / scale) * sheets[0]
    for sheet in sheets[1:]:
        seen = seen * sheet
    squared = (weights * ((seen - target) * (seen - target))).astype(np.float64)
    return int(np.rint(squared * 2.0**ERROR_BITS).astype(np.int64).sum())


def test_sums_of_regions_add_up(rng, folder):
    """To the quantum, and weighed errors are those of exact.py."""
    objective, arranged, _, layers = case_ = case(rng, (23, OWN + 3), 1, 0.5, True, False)
    lying = arranged_moves(layers.shape[2:], 0)
    work = on_device(case_, HostDevice(folder, resident=20))
    whole, total = work.advance([0.0], [lying])[0], None
    for (top, bottom), (left, right) in itertools.product([(0, 13), (13, 23)], [(0, 1), (1, 70), (70, OWN + 3)]):
        work.start(layers)
        work.prepare(0, (Region(top, bottom, left, right),))
        found = work.advance([0.0], [lying])[0]
        total = found if total is None else total.plus(found)
    assert total == whole
    for number, stack in enumerate(objective.stacks):
        assert all(move.exact for move in lying[number])
        sheets = [place(layers[k], move) for k, move in zip(stack.layers, lying[number], strict=True)]
        weights = np.float32(1) if arranged.weights[number] is None else np.float32(arranged.weights[number])
        errors = errors_of(np.float32(arranged.targets[number]), np.float32(sheets), weights, stack.scale)
        assert whole["stack_mse"][number] == errors


def test_what_is_no_number_is_seen_where_it_lies(rng, folder):
    case_ = case(rng, (30, 30), 1, 0.5, False, False)
    layers = case_[3].copy()
    layers[0, 0, 4, 25] = np.nan
    work = on_device((*case_[:3], layers), HostDevice(folder))
    lying = tuple((move_of((30, 30), degrees),) for degrees in (90, 0, 0))
    lying = tuple(one * count for one, count in zip(lying, (3, 2, 1), strict=True))
    # Turned, the pixel lies at 4, 4 of the first stack.
    for region, nans in ((Region(3, 6, 3, 6), (True, False, False)), (Region(3, 6, 24, 27), (False, True, True))):
        work.prepare(0, (region,))
        sums = work.advance([0.0], [lying])[0]
        work.start(layers)
        assert tuple(map(np.isnan, sums["stack_ssim"])) == tuple(map(np.isnan, sums["stack_mse"])) == nans
        assert tuple(map(np.isnan, sums["leak"])) == (nans[0], False, False, nans[2])
        assert tuple(map(np.isnan, sums["guide_ssim"])) == (nans[1], False, False)


def test_the_disc_is_that_of_the_cpu(rng, folder):
    """Of windows of an image of any size, rows and columns apart."""
    objective = objective_of(
        (composite_placed(0.5, 1, 1, (0,), 0.0, 0.5, True), composite_placed(0.5, 1, 1, (1,), 0.0, 0.5, True)),
        1,
        True,
        0.7,
    )
    for image in ((50, 50), (51, 51), (50, 61)):
        shape = Shape(2, 4, 21, 34)
        frames = (Frame(0, 3, (-1, -1)), Frame(29, 16, (1, 1)))
        device = HostDevice(folder)
        work = ArrangedCudaWorkspace.blank(shape, objective, BOUNDS, BETAS, device, 2)
        weights, layers = rng.random((2, 2, 21, 34)), rng.uniform(0.1, 0.9, (2, 4, 21, 34)).astype(np.float32)
        for stack, window in np.ndindex(2, 2):
            work.put_weights(stack, window, weights[stack, window])
        for k, plane in np.ndindex(2, 4):
            work.put_layer(k, plane, layers[k, plane])
        work.prepare(0, None, None, frames, image)
        expected = np.stack([disc(image, frame, (21, 34)) for frame in frames])
        assert 0.1 < expected.mean() < 0.95
        # The weights of pixels come back from nowhere, and the padding neither.
        np.testing.assert_array_equal(work._pixel_weights[0, ..., :34], expected)
        np.testing.assert_array_equal(work._pixel_weights[1:, ..., :34], weights.astype(np.float32) * expected)
        inside = expected.repeat(2, axis=0) > 0
        np.testing.assert_array_equal(work.layers, np.where(inside, layers, np.float32(BOUNDS[1])))
        assert not work._pixel_weights[..., 34:].any()
        assert not work._layers[..., 34:].any()
        assert device.intact()


def test_a_layer_that_lies_nowhere_keeps_to_its_guide(rng, folder):
    objective, arranged, guides, layers = case(rng, (20, 20), 1, 0.0, False, False)
    objective = objective_of(objective.stacks[1:], 0.7)
    arranged = Arranged(arranged.targets[1:], arranged_moves((20, 20), 3)[1:])
    work = on_device((objective, arranged, guides, layers), HostDevice(folder))
    gradient = reference.gradient(layers.astype(np.float64), arranged, guides, objective)
    for _ in range(2):
        work.evaluate(arranged.moves)
        assert np.linalg.norm(work.gradient - gradient) < 2e-5 * np.linalg.norm(gradient)


def test_a_workspace_is_filled_again_and_nothing_is_allocated(rng, folder, monkeypatch):
    device = HostDevice(folder)
    cases = [case(np.random.default_rng(seed), (26, 26), 1, 0.5, True, True) for seed in (0, 1)]
    lying = [arranged_moves((26, 26), turn) for turn in (5, 9)]
    fresh = [on_device(case_, device) for case_ in cases]
    expected = [(work.advance([0.03, 0.02], lying), work.layers.tobytes()) for work in fresh]
    monkeypatch.setattr(device, "zeros", lambda *_, **__: pytest.fail("allocated"))
    monkeypatch.setattr(ArrangedCudaWorkspace, "blank", lambda *_: fresh[0])
    for case_, right in zip(cases, expected, strict=True):
        work = on_device(case_, device)
        assert (work.advance([0.03, 0.02], lying), work.layers.tobytes()) == right


def test_sheets_that_are_not_said_to_lie_anywhere(rng, folder):
    """No moves are unmoved sheets; too few of them are refused."""
    case_ = case(rng, (16, 16), 1, 0.0, False, False)
    unmoved = tuple((move_of((16, 16)),) * count for count in (3, 2, 1))
    found = []
    for lying in (None, [unmoved] * 2):
        work = on_device(case_, HostDevice(folder))
        found.append((work.advance([0.03, 0.02], lying), work.layers.tobytes()))
    assert found[0] == found[1]
    with pytest.raises(ValueError, match="zip"):
        work.advance([0.03, 0.02], [unmoved])


@pytest.mark.parametrize("kind", KINDS)
def test_device_memory_is_what_is_said(rng, folder, kind):
    """All arrays of a workspace together take what is asked for beforehand, the plane in passing left out."""
    taken = []

    class Counting(HostDevice):
        def zeros(self, *shape, dtype=np.float32):
            array = super().zeros(*shape, dtype=dtype)
            taken.append(array.nbytes)
            return array

    case_ = case(rng, (200, 200), 1, *kind)
    ArrangedCudaWorkspace.blank(Shape(3, 4, 200, 200), case_[0], BOUNDS, BETAS, Counting(folder), 2)
    plane = 4 * 200 * pitch_of(200)
    said = arranged_device_bytes(Shape(3, 4, 200, 200), case_[0], 2) - TABLES
    assert said - plane <= sum(taken) <= said
