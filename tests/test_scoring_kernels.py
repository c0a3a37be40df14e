"""What scoring computes from code values, against references of pixel by pixel and the formulas of whole arrays."""

import itertools

import numpy as np
import pytest

from mlsolve.pictures.colour import encode, light_from_srgb, put_light, put_srgb, srgb_from_light
from mlsolve.scoring.codes import Passing, tables
from mlsolve.scoring.desk import SheetRows
from mlsolve.scoring.placed import part_seen
from mlsolve_kernels.exact import ERROR_BITS
from mlsolve_kernels.layout import from_strips, to_strips
from mlsolve_kernels.placement.move import STILL, move_of
from mlsolve_kernels.region import Region
from mlsolve_kernels.resample.cpu import area_taps, resample
from mlsolve_kernels.scoring import reference
from mlsolve_kernels.scoring.cpu import (
    look_up_all,
    place_between,
    place_exactly,
    shrink_across,
    spread,
    squared_error,
)
from mlsolve_kernels.ssim.cpu import Comparison, comparison_bytes, ssim_sums
from mlsolve_kernels.threads import Team

KINDS = [(np.uint8, 1), (np.uint8, 3), (np.uint16, 1), (np.uint16, 3)]


def drawn(rng, kind, channels, shape=(23, 31)):
    return rng.integers(0, np.iinfo(kind).max, (*shape, channels), dtype=kind, endpoint=True)


def valued(codes, planes=3):
    """Their sRGB values, as a division gives them."""
    highest = np.iinfo(codes.dtype).max
    return np.repeat(codes / np.float64(highest), planes // codes.shape[2], axis=2)


def planar(image):
    return np.ascontiguousarray(np.moveaxis(image, -1, 0), dtype=np.float32)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_tables_hold_what_the_formulas_give(kind):
    """To the last bit: of 8-bit codes those of the 16-bit codes that stand for them."""
    codes = np.arange(np.iinfo(kind).max + 1) * (257 if kind == np.uint8 else 1)
    values = np.asarray(codes.astype(np.uint16) / np.float32(65535), dtype=np.float32)
    found = tables(kind)
    np.testing.assert_array_equal(found.value, values)
    np.testing.assert_array_equal(found.light, light_from_srgb(values).astype(np.float32))
    np.testing.assert_array_equal(found.encoded, encode(values))


def test_curves_in_place_give_the_same_bits(rng):
    values = np.concatenate([rng.random(100_003, dtype=np.float32) ** 3, np.float32([0, 1, 0.0031308, 0.04045])])
    out, dark = np.empty_like(values), np.empty(values.shape, dtype=bool)
    put_srgb(values, out, dark)
    np.testing.assert_array_equal(out, srgb_from_light(values).astype(np.float32))
    put_light(values, out, dark)
    np.testing.assert_array_equal(out, light_from_srgb(values).astype(np.float32))


@pytest.mark.parametrize(("kind", "channels"), KINDS)
@pytest.mark.parametrize(("shape", "planes"), [((23, 31), 3), ((12, 1500), 3), ((11, 11), 1)])
def test_codes_are_spread_like_images(rng, kind, channels, shape, planes):
    """Into strips, halos and all, from the row that is asked for on; grey into every plane."""
    if planes < channels:
        channels = planes
    codes = drawn(rng, kind, channels, shape)
    comparison = Comparison(planes, *shape)
    table = tables(kind).value
    values = np.empty((*shape, planes), dtype=np.float32)
    look_up_all(table, codes, values)
    np.testing.assert_allclose(values, valued(codes, planes), atol=1e-7)
    expected = to_strips(planar(values), comparison.strips)
    spread(codes[4:], table, comparison.strips, comparison.moving, 4)
    assert (comparison.moving[:, :, :4] == 0).all()
    spread(codes[:4], table, comparison.strips, comparison.moving, 0)
    np.testing.assert_array_equal(comparison.moving, expected)
    spread(values, None, comparison.strips, comparison.fixed.image, 0)
    np.testing.assert_array_equal(comparison.fixed.image, expected)
    np.testing.assert_array_equal(from_strips(comparison.moving, comparison.strips), planar(values))


@pytest.mark.parametrize("weighted", [False, True])
def test_comparisons_are_the_sums_of_ssim(rng, weighted):
    """In buffers that hold another picture before."""
    x, y, z = (rng.random((3, 40, 57), dtype=np.float32) for _ in range(3))
    weights = rng.random((40, 57), dtype=np.float32) if weighted else None
    comparison, team, rows = Comparison(3, 40, 57), Team(1), slice(5, 33)
    strips = None if weights is None else to_strips(weights[np.newaxis], comparison.strips)
    for one, other in ((z, x), (x, y), (z, y)):
        comparison.moving[...] = to_strips(one, comparison.strips)
        comparison.fixed.image[...] = to_strips(other, comparison.strips)
        comparison.fix()
        expected = sum(ssim_sums(one, other, team, Region(5, 33, 0, 57), weights))
        assert comparison.total(rows, strips) == expected
    held = comparison.moving.nbytes + sum(part.nbytes for part in comparison.fixed) + comparison._sums.nbytes
    assert held < comparison_bytes(3, 40, 57) < 2 * held


EXACT = [
    move_of((23, 23), 90.0 * quarters, flip, shift)
    for quarters, flip, shift in itertools.product(range(4), (None, "h", "v"), ((0, 0), (3, -2), (0, 40)))
]
BETWEEN = [move_of((23, 23), 12.0), move_of((23, 23), 95.0, "h", (0.25, 3)), move_of((23, 23), 0.0, None, (2.5, 0))]


@pytest.mark.parametrize(("kind", "channels"), KINDS)
@pytest.mark.parametrize("move", [STILL, *EXACT[::4], *BETWEEN])
def test_placed_sheets_are_those_of_the_reference(rng, kind, channels, move):
    """All of it, and rows of it from the part of the sheet that they show."""
    shape, codes = (23, 23), drawn(rng, kind, channels, (23, 23))
    table = tables(kind).value
    expected = reference.placed(valued(codes), move, shape)
    for top, bottom in ((0, 23), (0, 7), (7, 20), (22, 23)):
        rows = Region(top, bottom, 0, 23)
        seen, out = part_seen(move, shape, rows), np.full((bottom - top, 23, 3), np.nan, dtype=np.float32)
        part = np.ascontiguousarray(codes[seen.top : seen.bottom, seen.left : seen.right])
        if not seen.height:
            np.testing.assert_array_equal(expected[top:bottom], 1)
        elif move.exact:
            place_exactly(table, part, (seen.top, seen.left), move, (top, 0), out)
            np.testing.assert_allclose(out, expected[top:bottom], atol=1e-7)
        else:
            for columns in ((0, 9), (9, 23)):
                place_between(table, part, (seen.top, seen.left), move, top, columns, out)
            np.testing.assert_allclose(out, expected[top:bottom], atol=1e-6)


@pytest.mark.parametrize("move", [STILL, *EXACT, *BETWEEN])
def test_rows_of_sheets_are_values_and_light(rng, move):
    """Of every kind of placement, pieces of rows are parts of the whole; beyond the sheet is the light box."""
    codes, shape = drawn(rng, np.uint8, 3, (23, 23)), (23, 23)

    def layer(number, region):
        assert number == 4
        return codes[region.top : region.bottom, region.left : region.right]

    rows = SheetRows(shape, 4, move, Region(3, 20, 0, 23), layer, 3)
    expected = reference.placed(valued(codes), move, shape)[3:20]
    if not move.exact:  # between pixels, encoded transmittance is interpolated
        expected = reference.placed(tables(np.uint8).encoded[codes], move, shape)[3:20] ** 2.2
        expected = srgb_from_light(expected)
    assert (rows.codes is None) == (move != STILL)
    for first, length in ((0, 17), (5, 4)):
        out, dark = np.empty((length, 23, 3), dtype=np.float32), np.empty((length, 23, 3), dtype=bool)
        rows.put_values(first, out)
        np.testing.assert_allclose(out, expected[first : first + length], atol=2e-6)
        rows.put_light(first, out, dark)
        np.testing.assert_allclose(out, light_from_srgb(expected[first : first + length]), atol=4e-6)


@pytest.mark.parametrize(("kind", "channels"), KINDS)
@pytest.mark.parametrize("weighted", [False, True])
def test_squared_errors_are_whole_numbers(rng, kind, channels, weighted):
    codes, image = drawn(rng, kind, channels), rng.random((23, 31, 3), dtype=np.float32)
    weights = rng.random((23, 31), dtype=np.float32) if weighted else None
    found = squared_error(image, tables(kind).value, codes, weights)
    expected = reference.squared_error(image, valued(codes), weights)
    assert abs(int(found) - expected) < 2e-7 * expected
    parts = [
        squared_error(image[a:b], tables(kind).value, codes[a:b], None if weights is None else weights[a:b])
        for a, b in ((0, 1), (1, 15), (15, 23))
    ]
    assert sum(map(int, parts)) == int(found)
    assert abs(int(found) / 2**ERROR_BITS / image.size - 1 / 6) < 0.1


@pytest.mark.parametrize(("kind", "channels"), KINDS)
def test_rows_are_shrunk_as_resampling_does_it(rng, kind, channels):
    """To the last bit, and near the reference."""
    codes, taps = drawn(rng, kind, channels), area_taps(31, 12, 0, 12)
    found = np.empty((3, 23, 12), dtype=np.float32)
    shrink_across(tables(kind).light, codes, taps.first, taps.weights, found)
    values = np.empty((23, 31, 3), dtype=np.float32)
    look_up_all(tables(kind).light, codes, values)
    still = area_taps(23, 23, 0, 23)
    np.testing.assert_array_equal(found, resample(planar(values), (0, 0), still, taps))
    np.testing.assert_allclose(found, reference.shrink_across(values, *taps), atol=1e-6)


def test_rows_that_pass_by_are_kept_as_long_as_they_may_be_asked_for(rng):
    whole = drawn(rng, np.uint8, 3, (40, 5))
    ends = [0, 7, 8, 20, 21, 40]
    chunks = [whole[a:b] for a, b in itertools.pairwise(ends)]
    passing = Passing(iter(chunks))
    for top, bottom in ((0, 3), (0, 9), (2, 12), (7, 30), (29, 40), (39, 40)):
        found = passing.take(top, bottom)
        np.testing.assert_array_equal(found, whole[top:bottom])
        assert found.flags.owndata
        assert sum(len(chunk) for _, chunk in passing._kept) <= 40 - top + 19
    with pytest.raises(StopIteration):
        passing.take(39, 41)
