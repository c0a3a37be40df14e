"""Sums over pixels that are the same to the last bit however an image is divided.

A sum of floating-point numbers depends on the order of the additions. So the value of every pixel is rounded to a
multiple of a quantum, which is coarse enough that the sum of a strip's row needs no further rounding. Additions are
then exact, as with integers: rows, strips, tiles and threads may come in any order, and the kernels return integer
numbers of quanta.

A value is rounded by adding and then subtracting a number whose last bit is the quantum (round to nearest, ties to
even). This changes the SSIM of a pixel by 2⁻¹⁹ at most, and its squared error by 2⁻³¹ at most.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

SSIM_BITS: Final = 18
"""The quantum of SSIM is 2^-SSIM_BITS. A lane of a row adds at most 44 values (layout.WIDEST), each barely above 1
at most, and float32 adds multiples of 2⁻¹⁸ exactly below 64."""

ERROR_BITS: Final = 30
"""The quantum of squared errors is 2^-ERROR_BITS. They are added in float64, exactly up to 2²² for a row."""

COARSE_BITS: Final = ERROR_BITS - 22
"""float32 has too few bits for that. So a GPU counts squared errors first in 2^-COARSE_BITS, then the remainder in
2^-ERROR_BITS. Together this gives the same quanta for errors up to 2¹⁴; the lowest exposure makes 4330 at most."""

NONE: Final = -(2**63)
"""What a GPU returns for a sum that is NaN."""


def rounder(bits: int) -> np.float32:
    """Return the float32 that rounds to 2^-bits when it is added and then subtracted."""
    return np.float32(1.5 * 2.0 ** (23 - bits))


def double_rounder(bits: int) -> float:
    """Return the float64 that rounds to 2^-bits when it is added and then subtracted."""
    return 1.5 * 2.0 ** (52 - bits)


SSIM_ROUNDER: Final = rounder(SSIM_BITS)
ERROR_ROUNDER: Final = double_rounder(ERROR_BITS)

Exact = int | float
"""An integer number of quanta; NaN if one of the summed values was NaN or infinite."""


def quanta(sums: npt.NDArray[Any], bits: int) -> Exact:
    """Return the total of row sums, all of them multiples of 2^-bits, as a number of these quanta."""
    counted = np.ravel(sums) * 2.0**bits
    if not np.isfinite(counted).all():
        return float("nan")
    # In two halves: the total of a large image may exceed 64 bits.
    high, low = np.divmod(counted.astype(np.int64), 2**32)
    return int(high.sum()) * 2**32 + int(low.sum())
