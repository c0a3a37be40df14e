"""float64 reference of placing a sheet and of the adjoint, written as sums over pixels.

Off the sheet a place of the stack shows the light box: transmittance 1. Between pixels the values are interpolated
bilinearly, at the border with the light box.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from .move import Move

Images = npt.NDArray[np.floating]
Index = npt.NDArray[np.int64]


def _sampled(move: Move, shape: tuple[int, int]) -> Iterator[tuple[Index, Index, npt.NDArray[np.float64]]]:
    """Yield (rows, columns, weights) of the four pixels from which every place of a stack is interpolated."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    row = move.row_y * y + move.row_x * x + move.row_0
    column = move.column_y * y + move.column_x * x + move.column_0
    top, left = np.floor(row).astype(np.int64), np.floor(column).astype(np.int64)
    down, right = row - top, column - left
    yield top, left, (1 - down) * (1 - right)
    yield top, left + 1, (1 - down) * right
    yield top + 1, left, down * (1 - right)
    yield top + 1, left + 1, down * right


def _on_the_sheet(rows: Index, columns: Index, shape: tuple[int, int]) -> npt.NDArray[np.bool_]:
    return np.asarray((rows >= 0) & (rows < shape[0]) & (columns >= 0) & (columns < shape[1]))


def place(images: Images, move: Move, background: float = 1.0) -> npt.NDArray[np.float64]:
    """Return the placed `images`, in the same shape (..., H, W); background: the value off the sheet."""
    shape = images.shape[-2], images.shape[-1]
    result = np.zeros(images.shape)
    for rows, columns, weights in _sampled(move, shape):
        there = _on_the_sheet(rows, columns, shape)
        values = images[..., np.where(there, rows, 0), np.where(there, columns, 0)]
        result += weights * np.where(there, values, background)
    return result


def give_back(by_placed: Images, move: Move) -> npt.NDArray[np.float64]:
    """Return the gradient by a sheet, given that by the placed sheet, both (..., H, W): the adjoint of `place`."""
    shape = by_placed.shape[-2], by_placed.shape[-1]
    result = np.zeros(by_placed.shape)
    for rows, columns, weights in _sampled(move, shape):
        there = _on_the_sheet(rows, columns, shape)
        at: Any = (..., rows[there], columns[there])
        np.add.at(result, at, (weights * by_placed)[..., there])
    return result
