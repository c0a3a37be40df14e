"""Stacks with carriers: the target that moves with them, the leak where sheets do not carry, against float64."""

import itertools

import numpy as np
import pytest

from cuda_host.device import HostDevice, needs_compiler
from mlsolve_kernels import layout
from mlsolve_kernels.carriers import FIXED
from mlsolve_kernels.carriers.cpu import move_target, scratch_for
from mlsolve_kernels.carriers.reference import moved_target
from mlsolve_kernels.iteration import reference
from mlsolve_kernels.iteration.cuda_arranged import ArrangedCudaWorkspace
from mlsolve_kernels.iteration.cuda_arranged_size import arranged_device_bytes
from mlsolve_kernels.iteration.objective import Shape, Stack
from mlsolve_kernels.iteration.reference import Arranged
from mlsolve_kernels.iteration.stepwise import StepwiseWorkspace
from mlsolve_kernels.iteration.stepwise_size import stepwise_bytes
from mlsolve_kernels.placement.cpu import tables_for
from mlsolve_kernels.placement.frames import WHOLE, Frame, disc, placement_maps
from mlsolve_kernels.placement.move import STILL, Drawn, move_of
from mlsolve_kernels.threads import Team
from objectives import bytes_held, objective_of
from test_arrangements import BETAS, BOUNDS, arranged_moves, orbit, tile_of, window_of
from test_arrangements import filled as filled_without

KINDS = [(0.0, False, False), (0.8, False, False), (0.5, True, False), (0.3, True, True), (0.4, False, True)]
"""Weight of the leak, whether pixels have weights, whether sheets are round."""


@pytest.fixture
def team():
    team = Team(3)
    yield team
    team.close()


@pytest.fixture
def _narrow_strips(monkeypatch):
    monkeypatch.setattr(layout, "WIDEST", 8)


def stack_of(scale, layers, leak=0.0, share=1.0, weighted=False, carried=None):
    """A stack; carried: shares of the carriers, None: it has none."""
    weights = {"stack_ssim": 3.0, "stack_mse": 10.0, "leak": leak}
    return Stack(scale, weights, layers, share, weighted, carried is not None, carried or ())


def masks_of(rng, sheets, shape):
    """Masks with values of all kinds, 0 in places, whose sum is 1 but for rounding."""
    masks = rng.random((sheets, *shape)) * (rng.random((sheets, *shape)) > 0.3)
    return (masks / np.maximum(masks.sum(axis=0), 1e-9)).astype(np.float32)


def drawn_of(shape, number=0, turn=0.0):
    """Three stacks of three, two and one sheets in a way of their own, misaligned by whole pixels or turned."""
    own, rng = arranged_moves(shape, number), np.random.default_rng(number)
    off = tuple(
        tuple(
            STILL if k == 0 else move_of(shape, turn * (k + 1), None, tuple(rng.integers(-2, 3, 2).tolist()))
            for k, _ in enumerate(sheets)
        )
        for sheets in own
    )
    moves = tuple(tuple(a.after(b) for a, b in zip(*pair, strict=True)) for pair in zip(own, off, strict=True))
    return Drawn(moves, own, off)


def case(rng, shape, planes, hide, weighted, round_):
    """An objective whose first two stacks have carriers, what it compares with, guides and layers."""
    share = float(disc(shape, Frame(0, 0), shape).mean()) if round_ else 1.0
    stacks = (
        stack_of(0.5, (0, 1, 2), hide, share, False, (0.3, 0.2, 0.1)),
        stack_of(0.4, (2, 0), 0.5 * hide, 0.6, weighted, (0.35, 0.4)),
        stack_of(0.6, (0,), 2 * hide),
    )
    objective = objective_of(stacks, 0.7, round_, share)
    targets = rng.random((3, planes, *shape))
    weights = [None, rng.random(shape) * (rng.random(shape) > 0.3) if weighted else None, None]
    carriers = [masks_of(rng, 3, shape), masks_of(rng, 2, shape), None]
    guides, layers = rng.random((3, planes, *shape)), rng.uniform(0.3, 1, (3, planes, *shape)).astype(np.float32)
    inside = disc(shape, Frame(0, 0), shape) if round_ else None
    if round_:
        layers = np.where(inside > 0, layers, np.float32(BOUNDS[1]))
    return objective, Arranged(targets, None, weights, inside, carriers), guides, layers


def filled(objective, arranged, guides, layers, on, path=StepwiseWorkspace):
    """A workspace that holds all of them, on a team or a device."""
    work = filled_without(objective, arranged, guides, layers, on, path)
    for number, masks in enumerate(arranged.carriers):
        for k, mask in enumerate([] if masks is None else masks):
            work.put_carrier(number, k, 0, mask)
    work.prepare()
    return work


def at(arranged, drawn):
    return Arranged(arranged.targets, drawn, arranged.weights, arranged.disc, arranged.carriers)


def assert_right(work, case_, drawn):
    """Assert that terms and gradient are those of the float64 reference."""
    objective, arranged, guides, layers = case_
    arranged = at(arranged, drawn)
    found, expected = work.evaluate(drawn), reference.terms(layers, arranged, guides, objective)
    for name in found.keys() - {"stack_mse"}:
        assert found[name] == pytest.approx(expected[name], abs=6e-6), name
    assert found["stack_mse"] == pytest.approx(expected["stack_mse"], rel=1e-5)
    assert len(found.get("leak", ())) == (6 if objective.stacks[0].weight("leak") else 0)
    gradient = reference.gradient(layers.astype(np.float64), arranged, guides, objective)
    assert np.linalg.norm(work.gradient - gradient) < 2e-5 * np.linalg.norm(gradient)


@pytest.mark.usefixtures("_narrow_strips")
@pytest.mark.parametrize("turn", [0.0, 0.7])
@pytest.mark.parametrize("shape", [(11, 11), (30, 131), (12, 39)])
def test_the_moved_target(rng, team, shape, turn):
    """Against the reference, far off and beyond the image, too."""
    strips = layout.strips_for(*shape)
    target, masks = rng.random((2, *shape)), masks_of(rng, 3, shape)
    stored, of_sheets = layout.to_strips(target, strips), layout.to_strips(masks, strips)[:, np.newaxis]
    tables, scratch = tables_for(strips, team.workers), scratch_for(strips, team.workers, 3)
    inside, out = layout.masks_of(strips).inside, np.full_like(stored, np.nan)
    for far in (0, 3, 9, 40):
        off = [STILL, move_of(shape, turn, None, (far, -2)), move_of(shape, -turn, None, (-far, far))]
        maps = placement_maps(off, WHOLE)
        team.run(move_target, stored, of_sheets, maps, inside, strips, tables, scratch, out)
        expected = moved_target(target, masks, off)
        # Where hardly any carrier arrives, the rounding of the weights between pixels shows.
        np.testing.assert_allclose(layout.from_strips(out, strips), expected, atol=4e-5 if turn else 2e-6)
        assert (out * (inside[np.newaxis, :, np.newaxis] == 0) == 0).all(), "zeros beyond the image"


def test_the_target_moves_with_its_carrier(rng):
    """Where a sheet carries all, the target goes where the sheet goes; where none arrives, it stays."""
    target, masks = rng.random((2, 9, 12)), np.zeros((2, 9, 12))
    masks[0, :, :6], masks[1, :, 6:] = 1, 1
    moved = moved_target(target, masks, [STILL, move_of((9, 12), 0, None, (3, 1))])
    np.testing.assert_allclose(moved[:, :, :6], target[:, :, :6], atol=1e-12)
    np.testing.assert_allclose(moved[:, 1:, 9:], target[:, :-1, 6:9], atol=2 * FIXED)
    np.testing.assert_allclose(moved[:, :, 6:9], target[:, :, 6:9], atol=1e-12)
    np.testing.assert_allclose(moved[:, 0, 9:], target[:, 0, 9:], atol=1e-12)


@pytest.mark.usefixtures("_narrow_strips")
@pytest.mark.parametrize(("hide", "weighted", "round_"), KINDS)
@pytest.mark.parametrize("shape", [(11, 11), (24, 24), (61, 61), (12, 39)])
def test_terms_and_gradient(rng, team, shape, hide, weighted, round_):
    case_ = case(rng, shape, 2, hide, weighted, round_ and shape[0] == shape[1])
    work = filled(*case_, team)
    for number, turn in ((0, 0.0), (4, 0.0), (8, 0.4)):
        assert_right(work, case_, drawn_of(shape, number, turn))


def test_the_reference_against_central_differences(rng):
    """At pixels of every layer, border and middle; the target does not depend on the layers."""
    shape = (13, 13)
    objective, arranged, guides, layers = case(rng, shape, 1, 0.8, True, True)
    arranged, layers = at(arranged, drawn_of(shape, 7, 0.5)), layers.astype(np.float64)
    gradient = reference.gradient(layers, arranged, guides, objective)
    for k, (y, x) in itertools.product(range(3), [(0, 6), (5, 2), (6, 6), (11, 8), (0, 0)]):
        losses = []
        for step in (1e-5, -1e-5):
            moved = layers.copy()
            moved[k, 0, y, x] += step
            losses.append(objective.loss(reference.terms(moved, arranged, guides, objective)))
        slope = (losses[0] - losses[1]) / 2e-5 * layers[0].size
        expected = 0.0 if arranged.disc[y, x] == 0 else slope
        assert gradient[k, 0, y, x] == pytest.approx(expected, rel=1e-4, abs=1e-5)


@pytest.mark.usefixtures("_narrow_strips")
def test_threads_leave_no_trace():
    found = []
    for workers in (1, 2, 5):
        team = Team(workers)
        case_ = case(np.random.default_rng(4), (61, 61), 2, 0.5, True, True)
        work = filled(*case_, team)
        sums = [work.advance([0.03], [drawn_of((61, 61), turn, 0.3 * (turn % 2))]) for turn in range(4)]
        found.append((work.layers.tobytes(), sums))
        team.close()
    assert found[0] == found[1] == found[2]


@pytest.mark.usefixtures("_narrow_strips")
@pytest.mark.parametrize("turn", [0.0, 0.3])
def test_windows_that_go_together_are_the_whole(rng, team, turn):
    assert_windows_are_the_whole(rng, team, turn)


def assert_windows_are_the_whole(rng, on, turn, path=StepwiseWorkspace):
    """Tiles that turns lay on each other, advanced together while their target moves: the bytes of the whole."""
    shape, rates, halo = (150, 150), [0.04, 0.03], 2 * (10 + 2 * 4)
    stacks = (
        stack_of(0.5, (0, 1, 2), 0.4, carried=(0.3, 0.3, 0.3)),
        stack_of(0.4, (1, 0), 0.7, 0.5, True, (0.2, 0.2)),
    )
    objective = objective_of(stacks, 0.7)
    own = (
        (STILL, move_of(shape, 90), move_of(shape, 0, "h")),
        (move_of(shape, 270), move_of(shape, 180)),
    )
    steps = []
    for number in range(2):
        off = drawn_of(shape, number, turn).off[:2]
        moves = tuple(tuple(a.after(b) for a, b in zip(*pair, strict=True)) for pair in zip(own, off, strict=True))
        steps.append(Drawn(moves, own, off))
    weights, carriers = [None, rng.random(shape)], [masks_of(rng, 3, shape), masks_of(rng, 2, shape)]
    arranged = Arranged(rng.random((2, 1, *shape)), None, weights, None, carriers)
    guides, layers = rng.random((3, 1, *shape)), rng.uniform(0.3, 1, (3, 1, *shape)).astype(np.float32)
    whole = filled(objective, arranged, guides, layers, on, path)
    sums = whole.advance(rates, steps)
    total = None
    for cells in {frozenset(orbit(cell, own)) for cell in itertools.product((-1, 1), (-1, 1))}:
        cells = sorted(cells)
        parts = [tile_of(shape, cell) for cell in cells]
        outer = [window_of(part, shape, halo) for part in parts]
        work = path.blank(
            Shape(3, len(cells), outer[0].height, outer[0].width), objective, BOUNDS, BETAS, on, len(cells)
        )
        for w, region in enumerate(outer):
            here = np.s_[region.top : region.bottom, region.left : region.right]
            for k in range(3):
                work.put_guide(k, w, guides[k, 0][here])
                work.put_layer(k, w, layers[k, 0][here])
            for number, masks in enumerate(carriers):
                work.put_target(w, arranged.targets[number, 0][here], stack=number)
                for k, mask in enumerate(masks):
                    work.put_carrier(number, k, w, mask[here])
            work.put_weights(1, w, weights[1][here])
        frames = [Frame(region.top, region.left, cell) for region, cell in zip(outer, cells, strict=True)]
        counted = [part.within(region) for part, region in zip(parts, outer, strict=True)]
        work.prepare(0, counted, 2, frames, shape)
        found = work.advance(rates, steps)
        total = found if total is None else [a.plus(b) for a, b in zip(total, found, strict=True)]
        for w, (part, inner) in enumerate(zip(parts, counted, strict=True)):
            a = whole.layers[:, 0, part.top : part.bottom, part.left : part.right]
            b = work.layers[:, w, inner.top : inner.bottom, inner.left : inner.right]
            assert a.tobytes() == b.tobytes()
    assert total == sums


def test_memory_of_a_workspace(rng, team):
    """What is told is what its arrays hold, to a few per cent."""
    case_ = case(rng, (200, 200), 2, 0.5, True, True)
    work = filled(*case_, team)
    told = stepwise_bytes(Shape(*case_[2].shape), team.workers, case_[0])
    assert bytes_held(work) == pytest.approx(told, rel=0.02)


@needs_compiler
@pytest.mark.parametrize(("hide", "weighted", "round_"), KINDS)
@pytest.mark.parametrize("shape", [(24, 24), (11, 39)])
def test_cuda_terms_and_gradient(rng, tmp_path, shape, hide, weighted, round_):
    case_ = case(rng, shape, 2, hide, weighted, round_ and shape[0] == shape[1])
    for number, turn, mode in ((0, 0.0, False), (8, 0.4, True)):
        device = HostDevice(tmp_path, reverse=mode, early=mode)
        work = filled(*case_, device, ArrangedCudaWorkspace)
        assert_right(work, case_, drawn_of(shape, number, turn))
        assert device.intact()


@needs_compiler
@pytest.mark.parametrize("turn", [0.0, 0.3])
def test_cuda_windows_that_go_together_are_the_whole(rng, tmp_path, turn):
    assert_windows_are_the_whole(rng, HostDevice(tmp_path), turn, ArrangedCudaWorkspace)


@needs_compiler
def test_cuda_steps_are_those_of_the_cpu(rng, tmp_path, team):
    """Batches of different misalignments, one of them none: what a GPU leaves is what the CPU leaves."""
    case_ = case(rng, (24, 24), 2, 0.5, True, True)
    works = filled(*case_, team), filled(*case_, HostDevice(tmp_path), ArrangedCudaWorkspace)
    steps = [drawn_of((24, 24), turn) for turn in (0, 0, 4)]
    still = [tuple((STILL,) * len(stack) for stack in steps[0].moves)]
    found = [
        [one.terms(24 * 24 * 2, case_[0]) for one in work.advance([0.02] * 4, [*steps, *still])] for work in works
    ]
    for a, b in zip(*found, strict=True):
        assert a.keys() == b.keys()
        for name in a:
            assert a[name] == pytest.approx(b[name], abs=3e-4), name
    assert np.abs(works[0].layers - works[1].layers).mean() < 1e-3


def test_memory_on_a_device(rng, tmp_path):
    """What is told of the carriers is what they add."""
    case_ = case(rng, (40, 50), 2, 0.5, True, False)
    plain = objective_of(
        [stack_of(0.5, one.layers, one.weight("leak"), one.share, one.weighted) for one in case_[0].stacks], 0.7
    )
    held = []

    class Counting(HostDevice):
        def zeros(self, *shape, dtype=np.float32):
            if len(shape) > 2 and np.dtype(dtype) == np.float32:
                held[-1] += int(np.prod(shape)) * 4
            return super().zeros(*shape, dtype=dtype)

    shape = Shape(*case_[2].shape)
    for objective in (case_[0], plain):
        held.append(0)
        ArrangedCudaWorkspace.blank(shape, objective, BOUNDS, BETAS, Counting(tmp_path))
    told = [arranged_device_bytes(shape, objective) for objective in (case_[0], plain)]
    assert held[0] - held[1] == told[0] - told[1] > 0
