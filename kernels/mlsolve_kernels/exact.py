"""Sums over pixels that come out the same, to the last bit, however an image is divided.

A sum of floating-point numbers depends on the order in which they are added. So every pixel's value is rounded
to a multiple of a quantum so coarse that no sum of a strip's row has to be rounded again: adding is then as exact
as with whole numbers, rows, strips, tiles and threads may come in any order, and what leaves the kernels is whole
numbers of quanta.

Rounding is by adding a number whose last place is the quantum, and taking it away again (round to nearest, ties to
even). Of a pixel's SSIM it takes 2⁻¹⁹ at the most, of its squared error 2⁻³¹.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

SSIM_BITS: Final = 18
"""SSIM is counted in 2^-SSIM_BITS: a lane of a row adds at most 44 of them (layout.WIDEST), each 1 or a hair more,
and float32 adds multiples of 2⁻¹⁸ exactly below 64."""

ERROR_BITS: Final = 30
"""Squared errors are counted in 2^-ERROR_BITS, in float64: exact to 2²² for a row."""

COARSE_BITS: Final = ERROR_BITS - 22
"""float32 has not the digits for that: a GPU first counts squared errors in 2^-COARSE_BITS, and what is left of
them in 2^-ERROR_BITS. Together they are the same quanta, up to 2¹⁴ a pixel; the least exposure makes 4330."""

NONE: Final = -(2**63)
"""What a GPU returns for a sum that is no number."""


def rounder(bits: int) -> np.float32:
    """Return the float32 that rounds to 2^-bits when it is added and taken away again."""
    return np.float32(1.5 * 2.0 ** (23 - bits))


def double_rounder(bits: int) -> float:
    """Return the float64 that rounds to 2^-bits when it is added and taken away again."""
    return 1.5 * 2.0 ** (52 - bits)


SSIM_ROUNDER: Final = rounder(SSIM_BITS)
ERROR_ROUNDER: Final = double_rounder(ERROR_BITS)

Exact = int | float
"""A whole number of quanta; not a number, where what was summed was none."""


def quanta(sums: npt.NDArray[Any], bits: int) -> Exact:
    """Return the total of row sums, all of them multiples of 2^-bits, in these."""
    counted = np.ravel(sums) * 2.0**bits
    if not np.isfinite(counted).all():
        return float("nan")
    # In two halves: the whole of a large image may be beyond 64 bits.
    high, low = np.divmod(counted.astype(np.int64), 2**32)
    return int(high.sum()) * 2**32 + int(low.sum())
