"""Several stacks of the same sheets: placements, gradients and terms against float64, at odd sizes."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from mlsolve_kernels import layout
from mlsolve_kernels.iteration import reference
from mlsolve_kernels.iteration.objective import Shape, one_stack
from mlsolve_kernels.iteration.reference import Arranged
from mlsolve_kernels.iteration.stepwise import StepwiseWorkspace
from mlsolve_kernels.iteration.stepwise_size import stepwise_bytes
from mlsolve_kernels.iteration.sweep import can_run
from mlsolve_kernels.layout import from_strips, strips_for, to_strips
from mlsolve_kernels.placement.cpu import carry, tables_for
from mlsolve_kernels.placement.frames import WHOLE, Frame, disc, placement_maps
from mlsolve_kernels.placement.move import STILL, move_of
from mlsolve_kernels.placement.reference import give_back, place
from mlsolve_kernels.region import Region
from mlsolve_kernels.threads import Team
from objectives import bytes_held, composite_placed, objective_of

BOUNDS, BETAS = (0.073, 1.0), (0.8, 0.95)

PLACEMENTS = [
    (0, None, (0, 0)),
    (90, None, (0, 0)),
    (180, None, (0, 0)),
    (270, None, (0, 0)),
    (0, "h", (0, 0)),
    (0, "v", (0, 0)),
    (90, "h", (2, -1)),
    (0, None, (3, -2)),
    (180, "v", (-4, 1)),
    (0, None, (0.3, -1.6)),
    (31, None, (0.5, 1)),
    (-200, "h", (0, 0)),
]
SHAPES = [(11, 11), (23, 23), (24, 24), (131, 131), (12, 39), (29, 14)]


@pytest.fixture
def team():
    team = Team(3)
    yield team
    team.close()


@pytest.fixture
def _narrow_strips(monkeypatch):
    monkeypatch.setattr(layout, "WIDEST", 8)


def moves(shape):
    """Every placement that a sheet of `shape` can have."""
    square = shape[0] == shape[1]
    return [move_of(shape, *how) for how in PLACEMENTS if square or how[0] % 180 != 90]


def carried(images, move, team, back=False, onto=None):
    """`images` (C, H, W) as the stack sees them, or what comes back from there, by the CPU's kernel."""
    strips = strips_for(*images.shape[1:])
    source = to_strips(images, strips)[np.newaxis]
    out = np.full_like(source, np.nan) if onto is None else to_strips(onto, strips)[np.newaxis]
    number, adds = np.zeros(1, np.int64), np.array([onto is not None])
    background = np.float32(0 if back else 1)
    there = placement_maps([move], WHOLE, back)
    team.run(carry, source, number, out, number, there, adds, background, strips, tables_for(strips, team.workers))
    return from_strips(out[0], strips)


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_quarter_turns_and_flips_are_those_of_numpy(rng, turns):
    image = rng.random((7, 7))
    assert move_of((7, 7), 90 * turns).exact
    np.testing.assert_array_equal(place(image, move_of((7, 7), 90 * turns)), np.rot90(image, turns))
    for flip, axis in (("h", 1), ("v", 0)):
        expected = np.rot90(np.flip(image, axis), turns)
        np.testing.assert_array_equal(place(image, move_of((7, 7), 90 * turns, flip)), expected)


def test_a_shift_goes_right_and_down_and_shows_the_box(rng):
    image = rng.random((6, 9))
    expected = np.ones((6, 9))
    expected[2:, 3:] = image[:-2, :-3]
    np.testing.assert_array_equal(place(image, move_of((6, 9), 0, None, (3, 2))), expected)


def test_a_turn_is_counter_clockwise_about_the_middle():
    """A point at three o'clock goes to twelve, past half past one."""
    image = np.ones((21, 21))
    image[10, 18] = 0
    y, x = np.unravel_index(place(image, move_of((21, 21), 45)).argmin(), (21, 21))
    assert (y, x) == (4, 16)


@pytest.mark.parametrize("shape", SHAPES[:3])
def test_inverse_and_composition(shape):
    for move in moves(shape):
        for there in (move.inverse.after(move), move.after(move.inverse)):
            np.testing.assert_allclose(there, STILL, atol=1e-12)
        if move.exact:
            assert move.inverse.exact
            assert move.inverse.after(move) == STILL


@pytest.mark.usefixtures("_narrow_strips")
@pytest.mark.parametrize("shape", SHAPES)
def test_placing_and_its_adjoint(rng, team, shape):
    """Against the reference; and <Rx, y> = <x, Rᵀy> of the kernels, whose light box is an offset."""
    images, gradient = rng.random((2, *shape), dtype=np.float32), rng.normal(size=(2, *shape)).astype(np.float32)
    nothing = np.zeros_like(images)
    for move in moves(shape):
        found, given_back = carried(images, move, team), carried(gradient, move, team, back=True)
        np.testing.assert_allclose(found, place(images, move), atol=2e-7)
        np.testing.assert_allclose(given_back, give_back(gradient, move), atol=2e-6)
        offset = carried(nothing, move, team).astype(np.float64)
        left = ((found - offset) * gradient).sum()
        assert left == pytest.approx((images * given_back.astype(np.float64)).sum(), abs=2e-5)
        added = carried(gradient, move, team, back=True, onto=images)
        np.testing.assert_allclose(added, images + given_back, atol=1e-6)
        if move.exact:
            np.testing.assert_array_equal(found, place(images, move).astype(np.float32))


def stack_specs(layers, hide=0.0, weighted=False):
    """Three stacks of subsets of so many layers."""
    return (
        composite_placed(0.5, 3.0, 10.0, tuple(range(layers)), hide, 1.0),
        composite_placed(0.4, 2.0, 7.0, (layers - 1, 0), 0.0, 0.6 if weighted else 1.0, weighted),
        composite_placed(0.6, 1.0, 0.0, (0,), 2 * hide, 1.0),
    )


def arranged_moves(shape, turn=0):
    """How the sheets of `stacks_of(3)` lie, one of all placements after the other."""
    ways_of = itertools.cycle(moves(shape)[turn:] + moves(shape)[:turn])
    return tuple(tuple(itertools.islice(ways_of, count)) for count in (3, 2, 1))


def case(rng, shape, planes, hide, weighted, round_):
    """An objective, what it compares with, guides and layers."""
    share = float(disc(shape, Frame(0, 0), shape).mean()) if round_ else 1.0
    objective = objective_of(stack_specs(3, hide, weighted), 0.7, round_, share)
    targets = rng.random((3, planes, *shape))
    weights = [None, rng.random(shape) * (rng.random(shape) > 0.3) if weighted else None, None]
    guides, layers = rng.random((3, planes, *shape)), rng.uniform(0.3, 1, (3, planes, *shape)).astype(np.float32)
    inside = disc(shape, Frame(0, 0), shape) if round_ else None
    if round_:
        layers = np.where(inside > 0, layers, np.float32(BOUNDS[1]))
    return objective, Arranged(targets, None, weights, inside), guides, layers


def filled(objective, arranged, guides, layers, on, path=StepwiseWorkspace):
    """A workspace that holds all of them, on a team or a device."""
    work = path.blank(Shape(*guides.shape), objective, BOUNDS, BETAS, on)
    for number, target in enumerate(arranged.targets):
        for plane, image in enumerate(target):
            work.put_target(plane, image, stack=number)
        if objective.stacks[number].weighted:
            work.put_weights(number, 0, arranged.weights[number])
    for k, plane in np.ndindex(guides.shape[:2]):
        work.put_guide(k, plane, guides[k, plane])
        work.put_layer(k, plane, layers[k, plane])
    work.prepare()
    return work


@pytest.mark.usefixtures("_narrow_strips")
@pytest.mark.parametrize(
    ("hide", "weighted", "round_"),
    [(0.0, False, False), (0.8, False, False), (0.5, True, False), (0.3, True, True)],
)
@pytest.mark.parametrize("shape", SHAPES)
def test_terms_and_gradient(rng, team, shape, hide, weighted, round_):
    round_ = round_ and shape[0] == shape[1]  # round sheets are square
    objective, arranged, guides, layers = case(rng, shape, 2, hide, weighted, round_)
    work = filled(objective, arranged, guides, layers, team)
    for turn in (0, 4, 8) if shape[0] < 100 else (0,):
        arranged = Arranged(arranged.targets, arranged_moves(shape, turn), arranged.weights, arranged.disc)
        found, expected = work.evaluate(arranged.moves), reference.terms(layers, arranged, guides, objective)
        for name in found.keys() - {"stack_mse"}:
            assert found[name] == pytest.approx(expected[name], abs=4e-6), name
        assert found["stack_mse"] == pytest.approx(expected["stack_mse"], rel=1e-5)
        assert len(found.get("leak", ())) == (4 if hide else 0)
        gradient = reference.gradient(layers.astype(np.float64), arranged, guides, objective)
        assert np.linalg.norm(work.gradient - gradient) < 2e-5 * np.linalg.norm(gradient)


def test_the_reference_against_central_differences(rng):
    """All kinds of terms and placements at once, at pixels of every layer, border and middle."""
    shape = (13, 13)
    objective, arranged, guides, layers = case(rng, shape, 1, 0.8, True, True)
    arranged = Arranged(arranged.targets, arranged_moves(shape, 7), arranged.weights, arranged.disc)
    layers = layers.astype(np.float64)
    gradient = reference.gradient(layers, arranged, guides, objective)
    for k, (y, x) in itertools.product(range(3), [(0, 6), (5, 2), (6, 6), (11, 8), (0, 0)]):
        losses = []
        for step in (1e-5, -1e-5):
            moved = layers.copy()
            moved[k, 0, y, x] += step
            losses.append(objective.loss(reference.terms(moved, arranged, guides, objective)))
        slope = (losses[0] - losses[1]) / 2e-5 * layers[0].size
        if arranged.disc[y, x] == 0:
            slope = 0.0
        assert gradient[k, 0, y, x] == pytest.approx(slope, rel=1e-4, abs=1e-5)


@pytest.mark.usefixtures("_narrow_strips")
def test_threads_leave_no_trace(rng):
    found = []
    for workers in (1, 2, 5):
        team = Team(workers)
        case_ = case(np.random.default_rng(4), (61, 61), 2, 0.5, True, True)
        work = filled(*case_, team)
        sums = [work.advance([0.03], [arranged_moves((61, 61), turn)]) for turn in range(4)]
        found.append((work.layers.tobytes(), sums))
        team.close()
    assert found[0] == found[1] == found[2]


@pytest.mark.usefixtures("_narrow_strips")
def test_outside_the_disc_sheets_stay_clear(rng, team):
    objective, arranged, guides, layers = case(rng, (41, 41), 1, 0.5, True, True)
    work = filled(objective, arranged, guides, rng.random(layers.shape), team)
    work.advance([0.05] * 3, [arranged_moves((41, 41), turn) for turn in range(3)])
    outside = arranged.disc == 0
    assert (work.layers[..., outside] == BOUNDS[1]).all()
    assert (work.layers[..., ~outside] != BOUNDS[1]).mean() > 0.9


FOUR = ((0, None, (0, 0)), (90, None, (2, 1)), (180, None, (0, 0))), ((270, None, (0, -3)), (0, None, (0, 0)))


@pytest.mark.usefixtures("_narrow_strips")
@pytest.mark.parametrize(
    ("shape", "turns", "reach"),
    [
        ((150, 150), FOUR, 16),
        ((151, 151), FOUR, 16),
        (
            (150, 150),
            (((0, None, (0, 0)), (90, "h", (0, 0)), (180, "v", (0, 0))), ((0, "h", (0.4, 0)), (90, "v", (0, 0)))),
            14,
        ),
        (
            (150, 113),
            (((0, None, (0, 0)), (180, "h", (1, 2)), (0, "v", (0, 0))), ((180, None, (0, 0)), (0, "h", (0, 0)))),
            14,
        ),
    ],
)
def test_windows_that_go_together_are_the_whole(rng, team, shape, turns, reach):
    assert_windows_are_the_whole(rng, team, shape, turns, reach)


def assert_windows_are_the_whole(rng, on, shape, turns, reach, path=StepwiseWorkspace, inks=None):
    """The tiles that turns and flips lay on each other, advanced together: the bytes of the whole inside."""
    rates, count, planes = [0.04, 0.03], 2, 1 if inks is None else inks.planes
    stacks = (composite_placed(0.5, 3.0, 10.0, (0, 1, 2)), composite_placed(0.4, 2.0, 7.0, (1, 0), 0.0, 0.5, True))
    objective = replace(objective_of(stacks, 0.7), inks=inks)
    lying = tuple(tuple(move_of(shape, *how) for how in stack) for stack in turns)
    weights = [None, rng.random(shape)]
    arranged = Arranged(rng.random((2, planes, *shape)), lying, weights)
    guides, layers = rng.random((3, planes, *shape)), rng.uniform(0.3, 1, (3, planes, *shape)).astype(np.float32)
    whole = filled(objective, arranged, guides, layers, on, path)
    sums = whole.advance(rates, [lying] * count)
    total = None
    for cells in {frozenset(orbit(cell, lying)) for cell in itertools.product((-1, 1), (-1, 1))}:
        cells = sorted(cells)
        halo, parts = reach * count, [tile_of(shape, cell) for cell in cells]
        outer = [window_of(part, shape, halo) for part in parts]
        height, width = outer[0].height, outer[0].width
        every = Shape(3, planes * len(cells), height, width)
        work = path.blank(every, objective, BOUNDS, BETAS, on, len(cells))
        for w, region in enumerate(outer):
            at = np.s_[region.top : region.bottom, region.left : region.right]
            for plane in range(planes):
                for k in range(3):
                    work.put_guide(k, w * planes + plane, guides[k, plane][at])
                    work.put_layer(k, w * planes + plane, layers[k, plane][at])
                for number in range(2):
                    work.put_target(w * planes + plane, arranged.targets[number, plane][at], stack=number)
            work.put_weights(1, w, weights[1][at])
        frames = [Frame(region.top, region.left, cell) for region, cell in zip(outer, cells, strict=True)]
        counted = [part.within(region) for part, region in zip(parts, outer, strict=True)]
        work.prepare(0, counted, count, frames, shape)
        found = work.advance(rates, [lying] * count)
        total = found if total is None else [a.plus(b) for a, b in zip(total, found, strict=True)]
        for w, (part, inner) in enumerate(zip(parts, counted, strict=True)):
            own = slice(w * planes, (w + 1) * planes)
            a = whole.layers[:, :, part.top : part.bottom, part.left : part.right]
            b = work.layers[:, own, inner.top : inner.bottom, inner.left : inner.right]
            assert a.tobytes() == b.tobytes()
    assert total == sums


def orbit(cell, lying):
    """The cells that turns and flips lay on `cell`, one after the other."""
    found, new = {cell}, [cell]
    while new:
        y, x = new.pop()
        for move in itertools.chain(*lying):
            for a, b, c, d in (move.facing, move.inverse.facing):
                other = (a * y + b * x, c * y + d * x)
                if other not in found:
                    found.add(other)
                    new.append(other)
    return found


def tile_of(shape, cell):
    """The quarter of an image that a cell is; the first row of tiles is larger by one where the height is odd."""
    (top, bottom), (left, right) = (
        (0, (side + 1) // 2) if way < 0 else ((side + 1) // 2, side) for side, way in zip(shape, cell, strict=True)
    )
    return Region(top, bottom, left, right)


def window_of(region, shape, halo):
    """A window of one size for all, one pixel more than the halo, for tiles of odd images mirror but nearly."""
    sides = [(side + 1) // 2 + halo + 2 for side in shape]
    top = min(max(region.top - halo - 1, 0), shape[0] - sides[0])
    left = min(max(region.left - halo - 1, 0), shape[1] - sides[1])
    return Region(top, top + sides[0], left, left + sides[1])


def test_memory_of_a_workspace(rng, team):
    """What is told is what its arrays hold, to a few per cent."""
    objective, arranged, guides, layers = case(rng, (200, 200), 2, 0.5, True, True)
    work = filled(objective, arranged, guides, layers, team)
    told = stepwise_bytes(Shape(*guides.shape), team.workers, objective)
    assert bytes_held(work) == pytest.approx(told, rel=0.02)


def test_what_is_plain():
    assert can_run(one_stack(0.5, 3, 10, 1))
    assert not can_run(objective_of((composite_placed(0.5, 3, 10, (0, 1)),), 1))
    assert not can_run(objective_of((composite_placed(0.5, 3, 10, None, 0.0, 0.5, True),), 1))
    assert not can_run(objective_of((composite_placed(0.5, 3, 10),), 1, True, 0.8))
    assert not can_run(objective_of((composite_placed(0.5, 3, 10), composite_placed(0.5, 3, 10)), 1))
