"""Squared error of a stack and its gradient on the CPU, as vector functions of one row."""

from typing import Final

import numpy as np

from ...compiled import kernel
from ...exact import ERROR_ROUNDER
from ...lanes import LANES, Row, load, masked, rounded_total, store

_TWO: Final = np.float32(2.0)


@kernel
def squared_error_row(x: Row, y: Row, counted: Row, length: int, weights: Row | None = None) -> float:
    """Return the sum of (x - y)² over a row, all (length), where `counted` is not 0: exact.py.

    weights: of the pixels, None if all count alike.
    """
    result = 0.0
    for at in range(0, length, LANES):
        difference = load(x, at) - load(y, at)
        square = difference * difference
        if weights is not None:
            square = load(weights, at) * square
        result += rounded_total(masked(load(counted, at), square), ERROR_ROUNDER)
    return result


@kernel
def blend_row(
    ssim_weight: np.float32,
    mse_weight: np.float32,
    x: Row,
    y: Row,
    gradient: Row,
    out: Row,
    length: int,
    weights: Row | None = None,
) -> None:
    """Put the gradient of ssim_weight·(1 - SSIM) + mse_weight·MSE into `out`, given that of SSIM; all (length).

    In the per-pixel measure: the gradients of the sums, not of the means. weights: of the pixels' squared errors,
    None if all count alike.
    """
    for at in range(0, length, LANES):
        by_error = _TWO * (load(x, at) - load(y, at))
        if weights is not None:
            by_error = load(weights, at) * by_error
        store(out, at, mse_weight * by_error - ssim_weight * load(gradient, at))
