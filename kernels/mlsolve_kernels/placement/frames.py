"""Windows of an image that are solved together, because placements map them onto each other.

An image that is solved whole is one window. In an image of tiles, a tile depends only on the tiles that rotations
and flips map onto it: their windows form one problem (docs/maths.md §9).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .move import Move

STRAIGHT = 0
"""Kind of map: rows map to rows, pixels to pixels."""
TURNED = 1
"""Kind of map: rows map to columns, pixels to pixels."""
WARPED = 2
"""Kind of map: pixels map to places between pixels."""


class Frame(NamedTuple):
    """The position of a window in the image."""

    top: int
    left: int
    cell: tuple[int, int] = (0, 0)
    """Row and column of its tile in half tiles from the centre of the grid. Rotations and flips map cells to
    cells."""


WHOLE = (Frame(0, 0),)
"""The frames of an image that is solved whole."""


class PlacementMaps(NamedTuple):
    """The maps of K sheets in W windows, in the form that the kernels use."""

    maps: npt.NDArray[np.float64]
    """(K, W, 6): the fields of Move, in pixels of the whole image."""
    back: npt.NDArray[np.float64]
    """(K, W, 6): the fields of the inverse."""
    places: npt.NDArray[np.int64]
    """(K, W, 6): the number of the window that the map leads to, top and left of the window it starts from, top and
    left of the window it leads to, and its kind."""


def placement_maps(moves: Sequence[Move], frames: Sequence[Frame], back: bool = False) -> PlacementMaps:
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
    return PlacementMaps(maps, inverses, places)


def disc(image: tuple[int, int], frame: Frame, size: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Return which pixels of a window are inside the largest circle of an image: (h, w) float32, 1 or 0.

    image: (height, width) of the image. frame, size: position and (height, width) of the window. The centre of a
    pixel decides.
    """
    height, width = image
    y = np.arange(frame.top, frame.top + size[0])[:, np.newaxis] - (height - 1) / 2
    x = np.arange(frame.left, frame.left + size[1]) - (width - 1) / 2
    return np.asarray(y * y + x * x <= (min(height, width) / 2) ** 2, dtype=np.float32)
