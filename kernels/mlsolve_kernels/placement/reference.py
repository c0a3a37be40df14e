"""float64 reference of placing a sheet and of the way back, written as sums over pixels.

A place of the stack that is off the sheet sees the light box: transmittance 1. Between pixels light is interpolated
bilinearly, the light box beyond the border included.
"""

import math

import numpy as np
import numpy.typing as npt

from .move import Move

Images = npt.NDArray[np.floating]


def _weights(move: Move, y: int, x: int) -> list[tuple[int, int, float]]:
    """Return the pixels (row, column) that y, x of the stack sees, on the sheet or not, and how much of each."""
    row = move.row_y * y + move.row_x * x + move.row_0
    column = move.column_y * y + move.column_x * x + move.column_0
    top, left = math.floor(row), math.floor(column)
    down, right = row - top, column - left
    return [
        (top, left, (1 - down) * (1 - right)),
        (top, left + 1, (1 - down) * right),
        (top + 1, left, down * (1 - right)),
        (top + 1, left + 1, down * right),
    ]


def place(images: Images, move: Move) -> npt.NDArray[np.float64]:
    """Return `images` (..., H, W) as the stack sees them, in the same shape."""
    height, width = images.shape[-2:]
    result = np.zeros(images.shape)
    for y in range(height):
        for x in range(width):
            for row, column, weight in _weights(move, y, x):
                there = 0 <= row < height and 0 <= column < width
                result[..., y, x] += weight * (images[..., row, column] if there else 1.0)
    return result


def give_back(by_placed: Images, move: Move) -> npt.NDArray[np.float64]:
    """Return the gradient by the sheet, given that by the placed one, both (..., H, W): the adjoint of `place`."""
    height, width = by_placed.shape[-2:]
    result = np.zeros(by_placed.shape)
    for y in range(height):
        for x in range(width):
            for row, column, weight in _weights(move, y, x):
                if 0 <= row < height and 0 <= column < width:
                    result[..., row, column] += weight * by_placed[..., y, x]
    return result
