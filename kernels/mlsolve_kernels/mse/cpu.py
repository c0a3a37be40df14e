"""Squared error and its gradient as row functions."""

import numpy as np

from ..compiled import kernel
from ..layout import FloatArray

_TWO = np.float32(2.0)


@kernel
def squared_error_row(x_row: FloatArray, y_row: FloatArray, out: FloatArray) -> None:
    """Put (x - y)² into `out` (n,)."""
    for i in range(out.size):
        difference = x_row[i] - y_row[i]
        out[i] = difference * difference


@kernel
def blend_gradient_row(
    ssim_weight: np.float32,
    mse_weight: np.float32,
    x_row: FloatArray,
    y_row: FloatArray,
    gradient: FloatArray,
) -> None:
    """Turn a row of SSIM's gradient into that of ssim_weight·(1 - SSIM) + mse_weight·MSE, in place.

    In the per-pixel measure: the gradients of the sums, not of the means.
    """
    for i in range(gradient.size):
        by_error = _TWO * (x_row[i] - y_row[i])
        gradient[i] = mse_weight * by_error - ssim_weight * gradient[i]
