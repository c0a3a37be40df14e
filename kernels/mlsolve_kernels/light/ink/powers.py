"""log2 and exp2 of sixteen float32 by multiply-adds and integers alone: the same bits on every machine.

The compiler's own would call a library that differs from system to system. The coefficients give the least maximum
error, found by reweighted least squares in float64. powers.cuh is their twin.
"""

from typing import Any

import numpy as np

from ...compiled import kernel
from ...lanes import exponent, fma, mantissa, power_of_two
from .constants import EXP2, LOG2, ROUNDER


@kernel
def of_degree_5(x: Any, c0: Any, c1: Any, c2: Any, c3: Any, c4: Any, c5: Any) -> Any:
    """Return c0 + c1 x + … + c5 x⁵ by Estrin's scheme: half the multiply-adds that wait for each other."""
    square = x * x
    return fma(fma(fma(x, c5, c4), square, fma(x, c3, c2)), square, fma(x, c1, c0))


@kernel
def of_degree_6(x: Any, c0: Any, c1: Any, c2: Any, c3: Any, c4: Any, c5: Any, c6: Any) -> Any:
    """Return c0 + c1 x + … + c6 x⁶ by Estrin's scheme."""
    square = x * x
    above = fma(square, c6, fma(x, c5, c4))
    return fma(above, square * square, fma(fma(x, c3, c2), square, fma(x, c1, c0)))


@kernel
def log2(value: Any) -> Any:
    """Return log2 of positive Lanes that are not subnormal, to 1.3e-6 of itself, or 2e-6 beyond 2^±16."""
    f = mantissa(value) - np.float32(1)
    p = of_degree_6(f, LOG2[0], LOG2[1], LOG2[2], LOG2[3], LOG2[4], LOG2[5], LOG2[6])
    return fma(p, f, exponent(value))


@kernel
def exp2(value: Any) -> Any:
    """Return 2^value of Lanes in [-126, 127], to 3e-7 of itself."""
    shifted = value + ROUNDER
    r = value - (shifted - ROUNDER)
    p = of_degree_5(r, EXP2[0], EXP2[1], EXP2[2], EXP2[3], EXP2[4], EXP2[5])
    return p * power_of_two(shifted)
