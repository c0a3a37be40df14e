"""`make bench`: the start of a level, for a plane of 2048×2048: look-up, halving, doubling and noise."""

import numpy as np
import pytest

from mlsolve_kernels.lookup.cpu import look_up
from mlsolve_kernels.noise.cpu import add_noise
from mlsolve_kernels.resample.cpu import area_taps, cubic_taps, resample

SIDE = 2048


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).random((1, SIDE, SIDE), dtype=np.float32)


def measure(benchmark, work, pixels):
    benchmark.pedantic(work, rounds=9, warmup_rounds=1)
    benchmark.extra_info["ns per pixel"] = benchmark.stats.stats.median * 1e9 / pixels


def test_looking_up(benchmark):
    """Look up inner chunks of the store, one after the other in the same buffer."""
    table, out = np.linspace(0, 1, 65536, dtype=np.float32), np.empty((SIDE, SIDE), dtype=np.float32)
    codes = np.random.default_rng(1).integers(0, 65536, (8, 128 * 128 + 2), dtype=np.uint16)

    def work():
        for top in range(0, SIDE, 128):
            for left in range(0, SIDE, 1024):
                look_up(table, codes, 128, 0, 0, out, top, top + 128, left, left + 1024)

    measure(benchmark, work, SIDE**2)


def test_noise(benchmark, image):
    copy = image[0].copy()
    seed, first, pitch = (np.uint64(number) for number in (1, 0, SIDE))
    measure(benchmark, lambda: add_noise(copy, seed, first, pitch, np.float32(1e-9)), SIDE**2)


def test_halving(benchmark, image):
    """Halve 2048×2048; the time is per pixel of the larger image."""
    taps = area_taps(SIDE, SIDE // 2, 0, SIDE // 2, factor=2.0)
    measure(benchmark, lambda: resample(image, (0, 0), taps, taps), SIDE**2)


def test_doubling(benchmark, image):
    """Double 1024×1024; the time is per pixel of the larger image."""
    taps = cubic_taps(SIDE // 2, SIDE, 0, SIDE, factor=0.5)
    small = np.ascontiguousarray(image[:, : SIDE // 2, : SIDE // 2])
    measure(benchmark, lambda: resample(small, (0, 0), taps, taps), SIDE**2)


@pytest.mark.parametrize("factor", [1.7, 5.3])
def test_fitting(benchmark, image, factor):
    """Shrink a picture by a fractional factor, as when a file is fitted to the size of the print."""
    target = round(SIDE / factor)
    taps = area_taps(SIDE, target, 0, target)
    measure(benchmark, lambda: resample(image, (0, 0), taps, taps), SIDE**2)
