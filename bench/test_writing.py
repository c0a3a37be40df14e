"""`make bench`: what writing a layer takes besides deflate: codes, PNG's filter, TIFF's differences; 128 rows."""

import numpy as np
import pytest

from mlsolve.pictures.code_steps import code_steps
from mlsolve_kernels.codes.cpu import PAETH, differences, filtered

ROWS, WIDTH = 128, 2048


def measure(benchmark, work):
    benchmark.pedantic(work, rounds=9, warmup_rounds=1)
    benchmark.extra_info["ns per value"] = benchmark.stats.stats.median * 1e9 / (ROWS * WIDTH * 3)


@pytest.fixture(scope="module")
def codes():
    return np.random.default_rng(0).integers(0, 256, (ROWS, WIDTH * 3)).astype(np.uint8)


@pytest.mark.parametrize("bits", [8, 16])
def test_codes(benchmark, bits):
    values = np.random.default_rng(0).random((ROWS, WIDTH), dtype=np.float32)
    out, steps = np.empty((ROWS, WIDTH, 3), np.uint8 if bits == 8 else np.uint16), code_steps(bits)
    measure(benchmark, lambda: [steps.write(values, out, plane) for plane in range(3)])


def test_filter(benchmark, codes):
    out = np.empty((ROWS, 1 + WIDTH * 3), np.uint8)
    measure(benchmark, lambda: filtered(codes, codes[-1], PAETH, 3, out))


def test_differences(benchmark, codes):
    out = np.empty((ROWS, WIDTH * 3), np.uint8)
    measure(benchmark, lambda: differences(codes, 0, 3, out))
