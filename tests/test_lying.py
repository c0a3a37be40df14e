"""How sheets lie: what turns generate, how far an iteration looks, what registration draws, tiles in groups."""

import itertools

import numpy as np
import pytest

import mlsolve
from mlsolve.job.arrangements import Placement
from mlsolve.solving.spec import Spec, StackSpec
from mlsolve.solving.tile_coupling import Registration, TileCoupling, coupling_at, facings_of, moves_at, moves_of
from mlsolve.solving.tiles import cell_of, frame_of, groups_of, overhang, tiles_of, window_of
from mlsolve_kernels.iteration.sweep import can_run
from mlsolve_kernels.placement.move import STILL
from mlsolve_kernels.window import REACH


def spec(*stacks, shapes=((51, 51), (101, 101)), layers=3, **options):
    """A problem whose stacks lie as said, None for all sheets as they are."""
    stacks = tuple(StackSpec(None if place is None else tuple(place)) for place in stacks)
    planes = (1,) * (len(stacks) + layers)
    return Spec(layers, 1, shapes, planes, mlsolve.Options(levels=len(shapes), **options), "cpu", stacks)


def test_what_is_plain_looks_as_far_as_ever():
    assert coupling_at(spec(None, solver="adam"), 2) == TileCoupling()
    assert TileCoupling().reach == REACH
    assert moves_of(spec(None), 2, range(1, 4)) is None
    assert not can_run(spec(None, None).objective)
    assert not can_run(spec(None, registration=1.0).objective)
    assert not can_run(spec(None, hide_weight=1.0).objective)


@pytest.mark.parametrize(
    ("placements", "count"),
    [
        ([{}], 1),
        ([{"shift": (3.0, 1.0)}], 1),
        ([{"rotate": 180}], 2),
        ([{"flip": "h"}], 2),
        ([{"flip": "h"}, {"flip": "v"}], 4),
        ([{"rotate": 90}], 4),
        ([{"rotate": -90}], 4),
        ([{"rotate": 90, "flip": "h"}], 2),
        ([{"rotate": 90}, {"flip": "v"}], 8),
        ([{"rotate": 3}], 1),
        ([{"rotate": 87}], 4),
    ],
)
def test_the_group_that_turns_generate(placements, count):
    found = facings_of(spec([Placement(k, **how) for k, how in enumerate(placements, start=1)], None))
    assert len(found) == len(set(found)) == count
    assert found[0] == (1, 0, 0, 1)
    matrices = {facing: np.array(facing).reshape(2, 2) for facing in found}
    for a, b in itertools.product(found, found):
        assert tuple((matrices[a] @ matrices[b]).ravel().tolist()) in matrices


@pytest.mark.parametrize(
    ("how", "options", "reach"),
    [
        ({"rotate": 90}, {}, REACH),
        ({"shift": (4.0, -6.0)}, {}, REACH + 2 * 6),
        ({"shift": (4.5, 0.0)}, {}, REACH + 2 * (5 + 1)),
        ({"rotate": 180, "shift": (2.0, 0.0)}, {}, REACH + 2 * 2),
        ({}, {"registration": 2.0}, REACH + 2 * 2),
        ({}, {"registration": 2.5}, REACH + 2 * 3),
        ({"shift": (1.0, 0.0)}, {"registration": 2.0}, REACH + 2 * 3),
        # Half the diagonal of 101×101 turned by a tenth of a degree, 0.125 pixels, and between pixels.
        ({}, {"registration": 1.0, "registration_turn": 0.1}, REACH + 2 * (2 + 1)),
        ({"rotate": 30}, {}, REACH + 2 * (32 + 1)),
        # Two gaps of 5 pixels at 30° displace by 3.6 pixels.
        ({}, {"gap": (5.0,), "view": 30.0}, REACH + 2 * 4),
        ({}, {"gap": (4.0, 6.0), "view": 30.0, "registration": 2.5}, REACH + 2 * (4 + 3)),
        ({}, {"gap": (5.0,), "viewer": 500.0, "hide_weight": 1.0}, REACH),
    ],
)
def test_how_far_an_iteration_looks(how, options, reach):
    assert coupling_at(spec([Placement(1), Placement(2, **how), Placement(3)], **options), 2).reach == reach


def test_a_shift_is_half_as_far_at_the_level_below():
    found = spec([Placement(1), Placement(2, shift=(4.0, 2.0)), Placement(3)])
    assert moves_at(found, 1, 1)[0][1].row_0 == -1
    assert moves_at(found, 1, 1)[0][1].column_0 == -2
    assert coupling_at(found, 1).reach == REACH + 2 * 2


@pytest.mark.parametrize("tolerance", [0.4, 1.0, 2.5, 3.0])
def test_what_is_drawn_keeps_within_the_tolerance(tolerance):
    """The first sheet is still; whole pixels; as far one way as the other; all of the range is used."""
    loose = Registration(spec(None, registration=tolerance), 2)
    drawn = [loose.moves(iteration, 0, 3) for iteration in range(1, 2001)]
    assert all(moves[0] == STILL for moves in drawn)
    shifts = np.array([[(move.row_0, move.column_0) for move in moves[1:]] for moves in drawn])
    assert (shifts == np.rint(shifts)).all()
    assert np.abs(shifts).max() == np.ceil(tolerance)
    assert np.abs(shifts.mean(axis=0)).max() < 0.15
    # Of whole pixels -n … n, all as likely, the square is n (n + 1) / 3 in the mean.
    low, high = np.floor(tolerance), np.ceil(tolerance)
    share = tolerance - low
    expected = (1 - share) * low * (low + 1) / 3 + share * high * (high + 1) / 3
    assert (shifts**2).mean() == pytest.approx(expected, rel=0.08)
    assert abs(np.corrcoef(shifts.reshape(len(drawn), -1).T) - np.eye(4)).max() < 0.1


def test_what_is_drawn_depends_on_seed_level_iteration_and_stack_alone():
    one, other = (spec(None, None, registration=5.0, seed=seed) for seed in (1, 2))
    first = Registration(one, 2).moves(7, 0, 3)
    assert Registration(one, 2).moves(7, 0, 3) == first
    assert Registration(one, 2).moves(7, 0, 2) == first[:2]
    for different in (
        Registration(other, 2).moves(7, 0, 3),
        Registration(one, 2).moves(8, 0, 3),
        Registration(one, 2).moves(7, 1, 3),
        Registration(one, 1).moves(7, 0, 3),
    ):
        assert different != first


def test_turns_are_drawn_between_pixels():
    found = spec(None, registration=1.0, registration_turn=0.5)
    moves = [Registration(found, 2).moves(iteration, 0, 2)[1] for iteration in range(1, 200)]
    angles = np.degrees(np.arcsin([move.row_x for move in moves]))
    assert np.abs(angles).max() < 0.5
    assert np.abs(angles).max() > 0.45
    assert angles.std() == pytest.approx(0.5 / np.sqrt(3), rel=0.15)
    assert not any(move.exact for move in moves)


FLIPS, TURNS = ((1, 0, 0, 1), (1, 0, 0, -1)), ((1, 0, 0, 1), (0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0))
ALL = (*TURNS, (1, 0, 0, -1), (-1, 0, 0, 1), (0, 1, 1, 0), (0, -1, -1, 0))


@pytest.mark.parametrize(
    ("shape", "sides", "facings"),
    [
        ((100, 130), (32, 50), FLIPS),
        ((96, 96), (32, 32), TURNS),
        ((101, 101), (32, 32), TURNS),
        ((101, 101), (26, 26), ALL),
        ((77, 77), (77, 77), ALL),
    ],
)
def test_groups_cover_an_image_once_and_windows_hold_what_turns_lay_there(shape, sides, facings):
    """Every turn lays a window's needs, its tile and halo, into the window whose cell it leads to."""
    halo, hang = 7, overhang(shape, sides)
    window = tuple(min(side, own + beyond + 2 * halo) for side, own, beyond in zip(shape, sides, hang, strict=True))
    count = np.zeros(shape, dtype=int)
    for group in groups_of(shape, sides, facings):
        cells = {cell_of(region, shape, sides): region for region in group}
        outer = {cell: window_of(region, shape, window, halo) for cell, region in cells.items()}
        for (y, x), region in cells.items():
            count[region.top : region.bottom, region.left : region.right] += 1
            assert frame_of(region, outer[y, x], shape, sides).cell == (y, x)
            assert (outer[y, x].height, outer[y, x].width) == window
            for a, b, c, d in facings:
                other = outer[a * y + b * x, c * y + d * x]
                needed = region.grown(halo, *shape)
                corners = np.array([(needed.top, needed.left), (needed.bottom - 1, needed.right - 1)])
                middle = (np.array(shape) - 1) / 2
                turned = (corners - middle) @ np.array([[a, c], [b, d]]) + middle
                assert (turned.min(axis=0) >= (other.top, other.left)).all()
                assert (turned.max(axis=0) < (other.bottom, other.right)).all()
    assert (count == 1).all()
    assert len(list(tiles_of(shape, sides))) == sum(len(group) for group in groups_of(shape, sides, facings))
