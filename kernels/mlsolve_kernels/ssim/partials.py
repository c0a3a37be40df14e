"""The scalar maths of SSIM at one pixel, written once for every backend (docs/maths.md §3).

Plain Python on float32 scalars: Numba compiles it for the CPU, and the CUDA kernels repeat it line by line.
Divisions are slow, so all results share the one quotient weight / (d1·d2).
"""

from typing import Any, Final

import numpy as np

from ..window import C1, C2

_C1: Final = np.float32(C1)
_C2: Final = np.float32(C2)


def ssim_partials(
    mean_x: Any, square_x: Any, product_xy: Any, mean_y: Any, variance_y: Any, weight: Any
) -> tuple[Any, Any, Any, Any]:
    """Return SSIM at a pixel and the partial derivatives that its gradient needs there.

    Arguments: the windowed means B[x], B[x²], B[x·y], B[y], the windowed variance of y, and the weight of the
    pixel's SSIM, 1 inside the image and 0 outside, by which all results are multiplied.
    Results: S, q, dS/dv_x and dS/dc, where q is the total derivative by B[x], that is
    dS/dm_x - 2 m_x dS/dv_x - m_y dS/dc. The gradient of sum(S) is B[q] + 2 x B[dS/dv_x] + y B[dS/dc].
    """
    square_mean = mean_x * mean_x
    product_mean = mean_x * mean_y
    covariance = product_xy - product_mean
    a1 = (product_mean + product_mean) + _C1
    a2 = (covariance + covariance) + _C2
    d1 = (square_mean + mean_y * mean_y) + _C1
    d2 = ((square_x - square_mean) + variance_y) + _C2
    inverse = weight / (d1 * d2)
    half_by_covariance = a1 * inverse
    value = half_by_covariance * a2
    by_variance = -(value * inverse * d1)
    half_q = (mean_y * (a2 - a1) + mean_x * value * (d1 - d2)) * inverse
    return value, half_q + half_q, by_variance, half_by_covariance + half_by_covariance
