"""Windows of an image that are solved together, because placements carry one onto the other.

An image that is solved whole is one window. Of an image in tiles, a tile depends on the tiles that turns and flips
put under it, and on no others: these windows form one problem (docs/maths.md §9).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .move import Move

STRAIGHT = 0
"""Kinds of maps: rows onto rows; …"""
TURNED = 1
"""… rows onto columns; …"""
WARPED = 2
"""… pixels between pixels."""


class Frame(NamedTuple):
    """Where a window lies in the image."""

    top: int
    left: int
    cell: tuple[int, int] = (0, 0)
    """Row and column of its tile, counted in half tiles from the middle of all: turns and flips map cells to
    cells."""


WHOLE = (Frame(0, 0),)
"""An image that is solved whole."""


class Ways(NamedTuple):
    """The maps of K sheets in W windows, as kernels take them."""

    maps: npt.NDArray[np.float64]
    """(K, W, 6): the fields of Move, of pixels of the whole image."""
    back: npt.NDArray[np.float64]
    """(K, W, 6): those of its inverse."""
    places: npt.NDArray[np.int64]
    """(K, W, 6): the window that the map leads to, top and left of the window it comes from, top and left of the
    one it leads to, and its kind."""


def ways(moves: Sequence[Move], frames: Sequence[Frame], back: bool = False) -> Ways:
    """Return the maps from stack to sheet of K sheets in the windows `frames`; back: from sheet to stack.

    Raises KeyError if `frames` lack a window that a map leads to.
    """
    count, windows = len(moves), len(frames)
    maps, inverses = (np.empty((count, windows, 6)) for _ in range(2))
    places = np.empty((count, windows, 6), dtype=np.int64)
    numbers = {frame.cell: number for number, frame in enumerate(frames)}
    for k, move in enumerate(moves):
        inverse = move.inverse
        there, again = (inverse, move) if back else (move, inverse)
        row_y, row_x, column_y, column_x = there.facing
        kind = WARPED if not move.exact else TURNED if move.turned else STRAIGHT
        for number, frame in enumerate(frames):
            y, x = frame.cell
            to = numbers[row_y * y + row_x * x, column_y * y + column_x * x] if windows > 1 else 0
            maps[k, number], inverses[k, number] = there, again
            places[k, number] = to, frame.top, frame.left, frames[to].top, frames[to].left, kind
    return Ways(maps, inverses, places)


def disc(image: tuple[int, int], frame: Frame, size: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Return which pixels of a window lie in the largest circle of `image` = (height, width), 1 or 0, float32.

    frame, size: where the window lies, and its height and width. Their middles count.
    """
    height, width = image
    y = np.arange(frame.top, frame.top + size[0])[:, np.newaxis] - (height - 1) / 2
    x = np.arange(frame.left, frame.left + size[1]) - (width - 1) / 2
    return np.asarray(y * y + x * x <= (min(height, width) / 2) ** 2, dtype=np.float32)
