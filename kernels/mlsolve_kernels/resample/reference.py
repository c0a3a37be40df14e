"""float64 reference of resampling: one dense matrix for each axis."""

import math

import numpy as np
import numpy.typing as npt

SHARPNESS = -0.75
"""The free parameter of the bicubic kernel (Keys 1981), with the same value as in OpenCV."""


def area_matrix(source: int, target: int, factor: float | None = None) -> npt.NDArray[np.float64]:
    """Return a matrix (target, source): row j averages the samples, weighted by how much [j·f, (j+1)·f) covers.

    f: `factor`, or source/target; at least 1. Sample i covers [i, i+1); anything after the last sample is left out.
    """
    f = source / target if factor is None else factor
    matrix = np.zeros((target, source))
    for j in range(target):
        for i in range(source):
            matrix[j, i] = max(0.0, min(i + 1, (j + 1) * f) - max(i, j * f))
    return np.asarray(matrix / matrix.sum(axis=1, keepdims=True))


def cubic_matrix(source: int, target: int, factor: float | None = None) -> npt.NDArray[np.float64]:
    """Return (target, source): row j interpolates at (j + ½)·f - ½; border samples go on for ever."""
    f = source / target if factor is None else factor
    matrix = np.zeros((target, source))
    for j in range(target):
        at = (j + 0.5) * f - 0.5
        for i in range(math.floor(at) - 1, math.floor(at) + 3):
            matrix[j, min(max(i, 0), source - 1)] += cubic(at - i)
    return matrix


def cubic(distance: float) -> float:
    """Return the bicubic kernel at `distance` samples from its centre (Keys 1981, equation 4 with a free a)."""
    a, d = SHARPNESS, abs(distance)
    if d <= 1:
        return (a + 2) * d**3 - (a + 3) * d**2 + 1
    return a * (d**3 - 5 * d**2 + 8 * d - 4) if d < 2 else 0.0


def resample(
    source: npt.NDArray[np.floating], rows: npt.NDArray[np.float64], columns: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return `source` (..., h, w) resampled by the matrices `rows` (H, h) and `columns` (W, w), (..., H, W)."""
    return np.asarray(rows @ np.asarray(source, dtype=np.float64) @ columns.T)
