"""The squared error of a stack and its gradient on the CPU, vectorised, one row at a time."""

from typing import Final

import numpy as np

from ...compiled import kernel
from ...exact import ERROR_ROUNDER
from ...lanes import LANES, Row, load, masked, rounded_total, store

_TWO: Final = np.float32(2.0)


@kernel
def squared_error_row(x: Row, y: Row, counted: Row, length: int, weights: Row | None = None) -> float:
    """Return the exact sum (exact.py) of (x - y)² over a row where `counted` is not 0; all arguments (length).

    weights: of the pixels; None if all count equally.
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
    """Store the gradient of ssim_weight·(1 - SSIM) + mse_weight·MSE in `out`, given that of SSIM; all (length).

    Gradients are in the per-pixel measure: of sums, not of means. weights: of the pixels' squared errors; None if
    all count equally.
    """
    for at in range(0, length, LANES):
        by_error = _TWO * (load(x, at) - load(y, at))
        if weights is not None:
            by_error = load(weights, at) * by_error
        store(out, at, mse_weight * by_error - ssim_weight * load(gradient, at))
