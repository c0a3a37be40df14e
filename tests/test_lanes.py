"""The vectors that the CPU kernels are written in."""

import math
import operator

import numpy as np
import pytest

from mlsolve_kernels.compiled import kernel
from mlsolve_kernels.lanes import (
    LANES,
    ahead,
    fma,
    load,
    load_even,
    load_odd,
    load_one,
    masked,
    prefetch,
    row,
    store,
    store_one,
    total,
)

_HALF = np.float32(0.5)


@kernel
def _arithmetic(a, b, out):
    x, y = load(row(a, (0,)), 0), load(row(b, (0,)), 0)
    results = (x + y, x - y, x * y, x / y, -x, math.sqrt(y), max(x, y), min(x, y), masked(y, x), fma(x, y, x))
    for i in range(10):
        store(row(out, (i,)), 0, results[i])


@kernel
def _with_scalars(a, out):
    x = load(row(a, (0,)), 0)
    results = (x + _HALF, _HALF - x, x * _HALF, _HALF / x, max(x, _HALF), min(_HALF, x), fma(_HALF, x, _HALF))
    for i in range(7):
        store(row(out, (i,)), 0, results[i])


@kernel
def _total(a):
    return total(load(row(a, (0,)), 0))


@kernel
def _places(cube, numbers, out):
    """Addresses: of a row in three dimensions, further on, one value, of another type."""
    here = row(cube, (1, 2))
    prefetch(here, 1_000_000)
    store(row(out, (0,)), 0, load(here, 3))
    store(row(out, (1,)), 0, load(ahead(here, 5), 0))
    store_one(row(out, (2,)), 4, load_one(here, load_one(row(numbers, (2,)), 1)))
    store(row(out, (3,)), 0, _HALF)
    store(row(out, (4,)), 0, load_even(here, 3))
    store(row(out, (5,)), 0, load_odd(here, 3))


@pytest.fixture
def pair(rng):
    """Two vectors as arrays of one row; among them negative numbers, NaN and zero."""
    a, b = rng.normal(size=(2, 1, LANES)).astype(np.float32)
    b = np.abs(b)
    a[0, 3], b[0, 5], b[0, 7] = np.nan, np.nan, 0
    return a, b


@np.errstate(divide="ignore", invalid="ignore")
def test_arithmetic_is_numpys_bit_for_bit(pair):
    a, b = pair
    out = np.empty((10, LANES), dtype=np.float32)
    _arithmetic(a, b, out)
    a, b = a[0], b[0]
    expected = [op(a, b) for op in (operator.add, operator.sub, operator.mul, operator.truediv)]
    expected += [-a, np.sqrt(b), np.where(b > a, b, a), np.where(b < a, b, a), np.where(b == 0, 0, a)]
    for found, wanted in zip(out, expected, strict=False):
        np.testing.assert_array_equal(found, wanted)


def test_a_nan_in_the_first_place_survives_max_and_min(pair):
    a, b = pair
    out = np.empty((10, LANES), dtype=np.float32)
    _arithmetic(a, b, out)
    assert np.isnan(out[6, 3])
    assert np.isnan(out[7, 3])


def test_a_scalar_goes_into_all_lanes(pair):
    a = np.abs(np.nan_to_num(pair[0])) + np.float32(0.1)
    out = np.empty((7, LANES), dtype=np.float32)
    _with_scalars(a, out)
    a, half = a[0], _HALF
    expected = [a + half, half - a, a * half, half / a, np.maximum(a, half), np.minimum(a, half)]
    np.testing.assert_array_equal(out[:6], expected)
    np.testing.assert_array_equal(out[6], (half * a.astype(np.float64) + half).astype(np.float32))


@kernel
def _multiply_add(a, c, out):
    x = load(row(a, (0,)), 0)
    store(row(out, (0,)), 0, fma(x, x, load(row(c, (0,)), 0)))


def test_multiply_adds_are_rounded_once():
    """(1 + ε)² - (1 + 2ε) is ε², which a rounded square has lost."""
    epsilon = 2.0**-20
    a = np.full((1, LANES), 1 + epsilon, dtype=np.float32)
    c = np.full((1, LANES), -(1 + 2 * epsilon), dtype=np.float32)
    out = np.empty((1, LANES), dtype=np.float32)
    _multiply_add(a, c, out)
    assert (a * a + c == 0).all()
    assert (out == epsilon**2).all()


def test_total_adds_halves(rng):
    a = rng.random((1, LANES), dtype=np.float32)
    halves = a[0]
    while halves.size > 1:
        halves = halves[: halves.size // 2] + halves[halves.size // 2 :]
    assert np.float32(_total(a)) == halves[0]


def test_places(rng):
    cube = rng.random((3, 4, 40), dtype=np.float32)
    numbers = np.array([[0, 0], [0, 0], [0, 11]], dtype=np.int64)
    out = np.zeros((6, LANES), dtype=np.float32)
    _places(cube, numbers, out)
    np.testing.assert_array_equal(out[0], cube[1, 2, 3 : 3 + LANES])
    np.testing.assert_array_equal(out[1], cube[1, 2, 5 : 5 + LANES])
    assert out[2].tolist() == [0, 0, 0, 0, cube[1, 2, 11], *[0] * 11]
    assert out[3].tolist() == [0.5] * LANES
    np.testing.assert_array_equal(out[4], cube[1, 2, 3 : 3 + 2 * LANES : 2])
    np.testing.assert_array_equal(out[5], cube[1, 2, 4 : 4 + 2 * LANES : 2])
