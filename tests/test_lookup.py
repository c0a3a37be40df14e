"""What codes mean: against the reference, in the place where it belongs and nowhere else."""

import numpy as np
import pytest

from mlsolve_kernels.lookup import cpu, reference


@pytest.mark.parametrize(("shape", "place"), [((1, 1), (0, 0)), ((128, 128), (3, 5)), ((17, 40), (120, 0))])
def test_against_the_reference(rng, shape, place):
    table = rng.random(65536, dtype=np.float32)
    codes = rng.integers(0, 65536, (shape[0], 2 * shape[1]), dtype=np.uint16)[:, ::2]
    codes[0, 0], codes[-1, -1] = 0, 65535
    out = np.full((140, 150), np.float32(-1))
    cpu.look_up(table, codes, out, *place)
    expected = np.full(out.shape, -1.0)
    (top, left), (height, width) = place, shape
    expected[top : top + height, left : left + width] = reference.look_up(table, codes)
    np.testing.assert_array_equal(out, expected)
