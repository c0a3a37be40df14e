"""How images lie in the memory of the CPU kernels."""

import numpy as np
import pytest

from mlsolve_kernels import layout
from mlsolve_kernels.lanes import LANES
from mlsolve_kernels.layout import (
    BLOCK,
    QUAD,
    Arena,
    aligned_zeros,
    columns,
    exchange_halos,
    from_strips,
    masks_of,
    put_plane,
    stored,
    strips_for,
    to_strips,
)
from mlsolve_kernels.threads import Team
from mlsolve_kernels.window import REACH

WIDTHS = [1, 11, 108, 109, 130, 217, 600, 620, 621, 1024, 4096]


@pytest.mark.parametrize("width", WIDTHS)
def test_strips_hold_the_image_and_its_halos(width):
    strips = strips_for(7, width)
    assert strips.groups % QUAD == 0
    assert strips.groups <= layout.WIDEST
    assert strips.own + 2 * REACH <= strips.groups * LANES
    assert (strips.across - 1) * strips.own < width <= strips.across * strips.own
    assert strips.own >= REACH or strips.across == 1


def test_little_is_stored_beside_the_image():
    for width in (600, 1024, 2048, 4096, 7087):
        strips = strips_for(1, width)
        assert strips.across * strips.groups * LANES < 1.13 * width


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("widest", [8, 44])
def test_there_and_back(rng, monkeypatch, width, widest):
    monkeypatch.setattr(layout, "WIDEST", widest)
    images = rng.random((2, 3, width), dtype=np.float32)
    strips = strips_for(3, width)
    planes = to_strips(images, strips)
    np.testing.assert_array_equal(from_strips(planes, strips), images)


def test_every_place_holds_its_column_halos_included(rng, monkeypatch):
    monkeypatch.setattr(layout, "WIDEST", 8)
    image = rng.random((1, 2, 300), dtype=np.float32)
    strips = strips_for(2, 300)
    assert strips.across == 3
    column, planes = columns(strips), to_strips(image, strips)
    inside = (column >= 0) & (column < 300)
    for strip in range(3):
        expected = np.where(inside[strip], image[0][:, np.clip(column[strip], 0, 299)], 0)
        np.testing.assert_array_equal(planes[0, strip], expected)
        assert {column[strip].min() + REACH} == {strip * strips.own}


def test_neighbours_are_in_the_next_vector():
    column = columns(strips_for(1, 600))[0].reshape(-1, LANES)
    assert (np.diff(column, axis=0) == 1).all()
    assert (np.diff(column, axis=1) == len(column)).all()


def test_masks_share_the_image_out(monkeypatch):
    monkeypatch.setattr(layout, "WIDEST", 8)
    strips = strips_for(1, 250)
    masks, column = masks_of(strips), columns(strips)
    assert sorted(column[masks.own == 1]) == list(range(250))
    np.testing.assert_array_equal(masks.inside == 1, (column >= 0) & (column < 250))


@pytest.mark.parametrize("width", [109, 217, 250])
@pytest.mark.parametrize("workers", [1, 3])
def test_halos_are_what_the_neighbours_hold(rng, monkeypatch, width, workers):
    monkeypatch.setattr(layout, "WIDEST", 8)
    images = rng.random((2, 5, width), dtype=np.float32)
    strips = strips_for(5, width)
    planes = to_strips(images, strips)
    expected = planes.copy()
    planes *= masks_of(strips).own[:, np.newaxis]
    assert not np.array_equal(planes, expected)
    team = Team(workers)
    exchange_halos(planes, strips, team)
    team.close()
    column = columns(strips)
    left = np.arange(strips.across)[:, None] * strips.own
    reached = (column >= left - REACH) & (column < left + strips.own + REACH)
    np.testing.assert_array_equal(planes, expected * reached[:, np.newaxis])


def test_a_block_of_rows_behind_the_last_one_may_be_read():
    strips = strips_for(3, 40)
    planes = stored(strips, 2)
    behind = planes.base.ctypes.data + planes.base.nbytes - (planes.ctypes.data + planes.nbytes)
    assert behind >= BLOCK * planes.strides[-2]


def test_arrays_begin_at_a_cache_line():
    for size in (1, 5, 1000, 10**6):
        assert aligned_zeros(size).ctypes.data % 64 == 0


def test_an_arena_gives_the_same_memory_again_as_zeros():
    """Cleared where it was used before, at cache lines, and from elsewhere when it is full."""
    arena, place = Arena(4 * 4096), None
    for turn in range(3):
        first, second = arena.zeros(1000), arena.zeros(2001)
        assert first.ctypes.data % 64 == second.ctypes.data % 64 == 0
        assert second.ctypes.data - first.ctypes.data == 4 * 1008
        assert (first == 0).all()
        assert (second == 0).all()
        assert place in (None, first.ctypes.data)
        place = first.ctypes.data
        first[:], second[:] = turn + 1, turn + 1
        elsewhere = arena.zeros(3000)
        assert (elsewhere == 0).all()
        assert not np.shares_memory(elsewhere, arena._block)
        arena.reset()


def test_images_in_an_arena_have_their_block_of_rows_behind():
    strips, arena = strips_for(9, 40), Arena(1 << 20)
    one, other = stored(strips, 2, arena=arena), stored(strips, 2, arena=arena)
    assert one.shape == stored(strips, 2).shape
    behind = other.ctypes.data - one.ctypes.data - one.nbytes
    assert behind >= 4 * BLOCK * strips.groups * LANES


def test_values_are_clamped_on_their_way_and_nan_stays(rng):
    image = rng.normal(0.5, 0.5, (5, 33)).astype(np.float32)
    image[2, 7] = np.nan
    strips = strips_for(5, 33)
    plane = stored(strips)
    put_plane(image, strips, plane, bounds=(0.1, 0.8))
    low, high = np.float32(0.1), np.float32(0.8)
    np.testing.assert_array_equal(from_strips(plane[np.newaxis], strips)[0], np.clip(image, low, high))
    assert (plane == 0).any()  # beyond the image nothing is clamped
