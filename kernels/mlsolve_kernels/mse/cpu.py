"""Squared error and its gradient on the CPU, as vector functions of one row."""

from typing import Final

import numpy as np

from ..compiled import kernel
from ..lanes import LANES, Row, fma, load, store, total

_TWO: Final = np.float32(2.0)
_ZERO: Final = np.float32(0.0)


@kernel
def squared_error_row(x: Row, y: Row, weight: Row, length: int) -> np.float32:
    """Return the sum of weight · (x - y)² over a row, all (length)."""
    result = load(weight, 0) * _ZERO
    for at in range(0, length, LANES):
        difference = load(x, at) - load(y, at)
        result = fma(load(weight, at) * difference, difference, result)
    return np.float32(total(result))


@kernel
def blend_row(
    ssim_weight: np.float32, mse_weight: np.float32, x: Row, y: Row, gradient: Row, out: Row, length: int
) -> None:
    """Put the gradient of ssim_weight·(1 - SSIM) + mse_weight·MSE into `out`, given that of SSIM; all (length).

    In the per-pixel measure: the gradients of the sums, not of the means.
    """
    for at in range(0, length, LANES):
        by_error = _TWO * (load(x, at) - load(y, at))
        store(out, at, mse_weight * by_error - ssim_weight * load(gradient, at))
