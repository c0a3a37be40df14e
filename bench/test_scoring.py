"""`make bench`: what scoring does to a band of three-plane codes, one operation at a time, on one thread."""

import numpy as np
import pytest

from mlsolve.scoring.codes import tables
from mlsolve_kernels.placement.move import STILL, move_of
from mlsolve_kernels.resample.cpu import area_taps
from mlsolve_kernels.scoring.cpu import (
    look_up_all,
    place_between,
    place_exactly,
    shrink_across,
    spread,
    squared_error,
)
from mlsolve_kernels.ssim.cpu import Comparison

SHAPE = 256, 2048
VALUES = 3 * SHAPE[0] * SHAPE[1]


def measure(benchmark, work):
    benchmark.pedantic(work, rounds=9, warmup_rounds=1)
    benchmark.extra_info["ns per value"] = benchmark.stats.stats.median * 1e9 / VALUES


@pytest.fixture(scope="module")
def codes():
    return np.random.default_rng(0).integers(0, 256, (*SHAPE, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def comparison(codes):
    made = Comparison(3, *SHAPE)
    for planes in (made.moving, made.fixed.image):
        spread(codes, tables(np.uint8).value, made.strips, planes, 0)
    made.fix()
    return made


def test_spreading(benchmark, codes, comparison):
    measure(benchmark, lambda: spread(codes, tables(np.uint8).value, comparison.strips, comparison.moving, 0))


def test_similarity(benchmark, comparison):
    measure(benchmark, lambda: comparison.total(slice(5, 251)))


def test_statistics(benchmark, comparison):
    measure(benchmark, comparison.fix)


def test_looking_up_all(benchmark, codes):
    out = np.empty((*SHAPE, 3), dtype=np.float32)
    measure(benchmark, lambda: look_up_all(tables(np.uint8).light, codes, out))


def test_placing_exactly(benchmark, codes):
    out, shifted = np.empty((*SHAPE, 3), dtype=np.float32), STILL._replace(row_0=2.0)
    measure(benchmark, lambda: place_exactly(tables(np.uint8).light, codes, (0, 0), shifted, (0, 0), out))


def test_placing_between_pixels(benchmark, codes):
    out, turned, columns = np.empty((*SHAPE, 3), dtype=np.float32), move_of(SHAPE, 1.0), (0, SHAPE[1])
    measure(benchmark, lambda: place_between(tables(np.uint8).encoded, codes, (0, 0), turned, 0, columns, out))


def test_squared_error(benchmark, codes):
    image = np.random.default_rng(1).random((*SHAPE, 3), dtype=np.float32)
    measure(benchmark, lambda: squared_error(image, tables(np.uint8).value, codes, None))


@pytest.mark.parametrize("width", [420, 1024])
def test_shrinking(benchmark, codes, width):
    taps, out = area_taps(SHAPE[1], width, 0, width), np.empty((3, SHAPE[0], width), dtype=np.float32)
    measure(benchmark, lambda: shrink_across(tables(np.uint8).light, codes, taps.first, taps.weights, out))
