"""What codes mean, and which codes values have: against the reference, in their place and nowhere else."""

import numpy as np
import pytest

from mlsolve.solving.level_pictures import code_table
from mlsolve_kernels.lookup import cpu, reference
from mlsolve_kernels.resample.cpu import area_taps, resample


@pytest.mark.parametrize(
    ("shape", "first", "place"),
    [
        ((1, 1), (0, 0), (0, 0)),
        ((128, 384), (0, 0), (3, 5)),
        ((17, 300), (100, 27), (120, 0)),
        ((1, 3), (127, 125), (7, 9)),
    ],
)
def test_against_the_reference(rng, shape, first, place):
    table = rng.random(65536, dtype=np.float32)
    codes = rng.integers(0, 65536, (128, 384), dtype=np.uint16)
    codes[first], codes[-1, -1] = 0, 65535
    blocks = np.zeros((-(-(first[1] + shape[1]) // 128), 128 * 128 + 2), dtype=np.uint16)
    for number, block in enumerate(blocks):
        block[: 128 * 128] = codes[:, 128 * number : 128 * (number + 1)].ravel()
    out = np.full((140, 400), np.float32(-1))
    (top, left), (height, width) = place, shape
    expected = np.full(out.shape, -1.0)
    part = codes[first[0] : first[0] + height, first[1] : first[1] + width]
    expected[top : top + height, left : left + width] = reference.look_up(table, part)
    cpu.look_up(table, blocks, 128, *first, out, top, top + height, left, left + width)
    np.testing.assert_array_equal(out, expected)


def test_the_nearest_codes(rng):
    """Every code is nearest to its own value, halves go to the even one, and what is outside is clipped."""
    codes = np.arange(65536)
    between = np.array([-1, -0.0, 0.5 / 65535, 1.5 / 65535, 1 - 0.4 / 65535, 1, 2])
    values = np.concatenate([codes / 65535, between, rng.random(5000)]).astype(np.float32)
    found = np.empty(len(values), dtype=np.uint16)
    cpu.nearest_codes(values, found)
    np.testing.assert_array_equal(found, reference.nearest_codes(values))
    np.testing.assert_array_equal(found[:65536], codes)


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (2, 1), (5, 7), (64, 34), (37, 130)])
@pytest.mark.parametrize("full_size", [True, False])
def test_halving(rng, shape, full_size):
    """As exactly as by looking up, resampling and going back to codes."""
    table, codes = code_table(full_size), rng.integers(0, 65536, shape, dtype=np.uint16)
    out = np.empty([-(-side // 2) for side in shape], dtype=np.uint16)
    cpu.halve_codes(table, codes, out)
    rows, columns = (area_taps(side, -(-side // 2), 0, -(-side // 2), factor=2.0) for side in shape)
    values = np.clip(resample(table[codes][np.newaxis], (0, 0), rows, columns)[0], 0, 1)
    np.testing.assert_array_equal(out, np.rint(values * np.float32(65535)))
    assert np.abs(out - reference.halve_codes(table, codes)).max() <= 1
