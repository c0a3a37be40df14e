"""float64 reference of SSIM and its gradient (Wang et al. 2004, eq. 13; docs/maths.md §3)."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..blur.reference import blur
from ..window import C1, C2

Array = npt.NDArray[np.float64]


class Statistics(NamedTuple):
    """Windowed means, variances and covariance of two images, each (..., H, W) float64."""

    mean_x: Array
    mean_y: Array
    variance_x: Array
    variance_y: Array
    covariance: Array


def statistics(x: npt.NDArray[np.floating], y: npt.NDArray[np.floating]) -> Statistics:
    """Return the windowed statistics of `x` and `y` (..., H, W), values in [0, 1]."""
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    mean_x, mean_y = blur(x), blur(y)
    return Statistics(
        mean_x, mean_y, blur(x * x) - mean_x**2, blur(y * y) - mean_y**2, blur(x * y) - mean_x * mean_y
    )


def ssim_map(x: npt.NDArray[np.floating], y: npt.NDArray[np.floating]) -> Array:
    """Return SSIM at every pixel of `x` and `y` (..., H, W); its mean is the index."""
    s = statistics(x, y)
    luminance = (2 * s.mean_x * s.mean_y + C1) / (s.mean_x**2 + s.mean_y**2 + C1)
    structure = (2 * s.covariance + C2) / (s.variance_x + s.variance_y + C2)
    return luminance * structure


def ssim_gradient(
    x: npt.NDArray[np.floating], y: npt.NDArray[np.floating], weights: npt.NDArray[np.floating] | float = 1.0
) -> Array:
    """Return the gradient of the SUM of `weights · ssim_map(x, y)` with respect to `x`, (..., H, W)."""
    s = statistics(x, y)
    a1, a2 = 2 * s.mean_x * s.mean_y + C1, 2 * s.covariance + C2
    d1, d2 = s.mean_x**2 + s.mean_y**2 + C1, s.variance_x + s.variance_y + C2
    value = a1 * a2 / (d1 * d2)
    by_variance = -value / d2
    by_covariance = 2 * a1 / (d1 * d2)
    by_mean = 2 * s.mean_y * a2 / (d1 * d2) - 2 * s.mean_x * value / d1
    through_mean = by_mean - 2 * s.mean_x * by_variance - s.mean_y * by_covariance
    return blur(weights * through_mean) + 2 * x * blur(weights * by_variance) + y * blur(weights * by_covariance)
