"""The scalar maths of SSIM at one pixel, written once for every backend (docs/maths.md §3).

Plain Python on float32 scalars: Numba compiles it for the CPU, and the CUDA kernels mirror it line by
line. Divisions are dear, so the one quotient 1 / (d1·d2) serves them all.
"""

from typing import Any, Final

import numpy as np

from ..window import C1, C2

_C1: Final = np.float32(C1)
_C2: Final = np.float32(C2)
_TWO: Final = np.float32(2.0)
_ONE: Final = np.float32(1.0)


def ssim_partials(
    mean_x: Any, square_x: Any, product_xy: Any, mean_y: Any, variance_y: Any
) -> tuple[Any, Any, Any, Any]:
    """Return SSIM at a pixel and what its gradient needs there.

    In: the windowed means B[x], B[x²], B[x·y], B[y] and the windowed variance of y.
    Out: S, q, dS/dv_x and dS/dc, where q is the whole derivative by B[x], that is
    dS/dm_x - 2 m_x dS/dv_x - m_y dS/dc. The gradient of sum(S) is B[q] + 2 x B[dS/dv_x] + y B[dS/dc].
    """
    square_mean_x = mean_x * mean_x
    product_mean = mean_x * mean_y
    a1 = _TWO * product_mean + _C1
    a2 = _TWO * (product_xy - product_mean) + _C2
    d1 = square_mean_x + mean_y * mean_y + _C1
    d2 = (square_x - square_mean_x) + variance_y + _C2
    inverse = _ONE / (d1 * d2)
    value = a1 * a2 * inverse
    by_variance = -(value * (d1 * inverse))
    by_covariance = _TWO * a1 * inverse
    by_mean = _TWO * (mean_y * a2 * inverse - mean_x * value * (d2 * inverse))
    q = by_mean - _TWO * mean_x * by_variance - mean_y * by_covariance
    return value, q, by_variance, by_covariance
