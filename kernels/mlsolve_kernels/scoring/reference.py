"""Reference of what scoring computes from code values, pixel by pixel in float64."""

import itertools
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from ..exact import ERROR_BITS
from ..placement.move import Move
from ..ssim.reference import ssim_map
from .moved import offsets_of, windows_of


def placed(values: npt.NDArray[np.floating], move: Move, shape: tuple[int, int]) -> npt.NDArray[np.float64]:
    """Return the whole placed sheet of `values` (H, W, C), interpolated bilinearly, 1 beyond the sheet."""
    result = np.empty((*shape, values.shape[2]))
    for y, x in np.ndindex(*shape):
        row = move.row_y * y + move.row_x * x + move.row_0
        column = move.column_y * y + move.column_x * x + move.column_0
        above, before = math.floor(row), math.floor(column)
        result[y, x] = sum(
            weight * _at(values, above + down, before + right)
            for down, right, weight in (
                (0, 0, (1 - (row - above)) * (1 - (column - before))),
                (0, 1, (1 - (row - above)) * (column - before)),
                (1, 0, (row - above) * (1 - (column - before))),
                (1, 1, (row - above) * (column - before)),
            )
        )
    return result


def _at(values: npt.NDArray[np.floating], row: int, column: int) -> Any:
    inside = 0 <= row < values.shape[0] and 0 <= column < values.shape[1]
    return values[row, column].astype(np.float64) if inside else 1.0


def squared_error(
    image: npt.NDArray[np.floating], other: npt.NDArray[np.floating], weights: npt.NDArray[np.floating] | None
) -> int:
    """Return the sum of weighted squared differences, (h, W, C) each, every one rounded to 2^-ERROR_BITS."""
    total = 0
    for y, x, c in np.ndindex(*image.shape):
        square = (float(image[y, x, c]) - float(other[y, x, c])) ** 2
        total += round(square * (1.0 if weights is None else float(weights[y, x])) * 2**ERROR_BITS)
    return total


def shrink_across(
    values: npt.NDArray[np.floating], first: npt.NDArray[np.int64], weights: npt.NDArray[np.floating]
) -> npt.NDArray[np.float64]:
    """Return the weighted sums along the rows of `values` (h, W, C), (C, h, n); arguments as for the kernel."""
    result = np.zeros((values.shape[2], values.shape[0], len(first)))
    for j, begin in enumerate(first):
        for k, weight in enumerate(weights[j]):
            result[:, :, j] += float(weight) * values[:, begin + k].T
    return result


def moved_ssim(
    image: npt.NDArray[np.floating],
    target: npt.NDArray[np.floating],
    pixels: int,
    weights: npt.NDArray[np.floating],
) -> float:
    """Return the SSIM of `image` to a target that may move by `pixels` (docs/maths.md §7), (C, H, W) each.

    weights: of the pixels, (H, W) in [0, 1].
    """
    height, width = weights.shape
    places, offsets = [], offsets_of(pixels)
    for down, right in itertools.product(offsets, offsets):
        rows = np.clip(np.arange(height) - down, 0, height - 1)
        columns = np.clip(np.arange(width) - right, 0, width - 1)
        places.append((ssim_map(image, target[:, rows][:, :, columns]) * weights).sum(axis=0))
    total = 0.0
    for top, bottom in itertools.pairwise(windows_of(height)):
        for left, right in itertools.pairwise(windows_of(width)):
            total += max(place[top:bottom, left:right].sum() for place in places)
    return float(total / (weights.sum() * len(image)))
