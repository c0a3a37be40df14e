"""Kaleidoscopes: one wedge of a photo, mirrored all the way round."""

import math
from collections.abc import Callable
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from ..errors import OptionError
from .drawing import Drawing, Picture

Read = Callable[[int, int, int, int], Picture]
"""(top, bottom, left, right) → that region of a photo, (h, w, 3) uint8 sRGB."""

Floats = npt.NDArray[np.floating]

BLOCK: Final = 512
"""Most rows and columns of the picture drawn at a time."""
_LEAST_BLOCK: Final = 16
_BOX: Final = 1024
"""About as many rows and columns of the photo a block is to cover."""
_PLACE_BYTES: Final = 64
"""Bytes that finding the place in the photo takes for each pixel of a block, measured."""
_BOX_BYTES: Final = 9
"""Bytes that a pixel of a box takes: it is read, and where it goes on mirrored, put together in two steps."""
_FINEST: Final = 1024
"""Places a pixel of the photo is divided into: a place so rounded is exact in float32, from wherever it counts."""


class Kaleidoscope(Drawing):
    """A photo seen through a kaleidoscope.

    Half a wedge of the picture is the photo turned, the other half the photo turned and mirrored: where a
    pixel looks is a linear function of its place, one for each half wedge.
    """

    def __init__(
        self, read: Read, photo_size: tuple[int, int], size: tuple[int, int], seed: int = 0, fold: int = 6
    ) -> None:
        """Of `size` = (width, height), of a photo of `photo_size` that is read by regions; as `kaleidoscope`."""
        if not 2 <= fold <= 64:
            raise OptionError(f"fold is {fold}: it must be from 2 to 64")
        super().__init__(size)
        self._read, self._photo_size, self._fold = read, photo_size, fold
        rng = np.random.default_rng([seed, 0x6B61])
        self._middle = np.array(photo_size) * rng.uniform(0.35, 0.65, 2)
        turn = rng.uniform(0, 2 * math.pi)
        scale = min(photo_size) / min(size) * rng.uniform(0.7, 1.0)
        self._block = min(BLOCK, max(_LEAST_BLOCK, int(_BOX / scale)))
        self._halves = scale * _half_wedges(fold, turn)

    def _draw(self, picture: Picture, top: int, left: int) -> None:
        for y in range(0, picture.shape[0], self._block):
            for x in range(0, picture.shape[1], self._block):
                block = picture[y : y + self._block, x : x + self._block]
                block[...] = self._seen(top + y, left + x, *block.shape[:2])

    def _seen(self, top: int, left: int, rows: int, columns: int) -> Picture:
        """Return the block of rows × columns that begins at (top, left)."""
        width, height = self.size
        x = np.arange(left, left + columns) - (width - 1) / 2
        y = np.arange(top, top + rows)[:, np.newaxis] - (height - 1) / 2
        half = self._half_wedge_of(x, y)
        (across_x, across_y), (down_x, down_y) = self._halves[:, :, half]
        across, x_range = _place(across_x * x + across_y * y + self._middle[0])
        down, y_range = _place(down_x * x + down_y * y + self._middle[1])
        box = self._box(*y_range, *x_range)
        return np.asarray(cv2.remap(box, across, down, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT), np.uint8)

    def _half_wedge_of(self, x: Floats, y: Floats) -> npt.NDArray[np.int64] | int:
        """Return the number of the half wedge of all pixels, or the one in which all of them lie."""
        per_turn = self._fold / math.pi
        # Half a wedge is convex: it holds a block that has its corners in it.
        corners = np.arctan2(y[[0, 0, -1, -1], 0], x[[0, -1, 0, -1]]) * per_turn
        ends = np.floor(np.concatenate([corners - 1e-9, corners + 1e-9])).astype(np.int64)
        if (ends == ends[0]).all():
            return int(ends[0]) + self._fold
        # Contiguous operands: NumPy must not choose another arctan2 for another shape.
        whole_x, whole_y = (np.ascontiguousarray(np.broadcast_to(a, (y.size, x.size))) for a in (x, y))
        return np.floor(np.arctan2(whole_y, whole_x) * per_turn).astype(np.int64) + self._fold

    def _box(self, top: int, bottom: int, left: int, right: int) -> Picture:
        """Return a region of the photo, which goes on beyond its borders mirrored."""
        width, height = self._photo_size
        if top >= 0 and left >= 0 and bottom <= height and right <= width:
            return self._read(top, bottom, left, right)
        rows, columns = _reflected(top, bottom, height), _reflected(left, right, width)
        first_row, first_column = int(rows.min()), int(columns.min())
        part = self._read(first_row, int(rows.max()) + 1, first_column, int(columns.max()) + 1)
        return part[rows - first_row][:, columns - first_column]


def block_bytes(photo_size: tuple[int, int], size: tuple[int, int], side: int) -> int:
    """Return the memory that drawing regions of `side` × `side` takes, of a picture of `size` = (width, height),
    but for the regions and what the photo takes besides the boxes read of it.
    """
    scale = min(photo_size) / min(size)  # at the most: the seed makes it smaller
    rows, columns = (min(side, BLOCK, whole) for whole in size)
    # A box lies about a block that is turned.
    box = math.sqrt(2) * min(scale * max(rows, columns), max(_BOX, _LEAST_BLOCK * scale))
    return _PLACE_BYTES * rows * columns + int(_BOX_BYTES * box * box)


def kaleidoscope(photo: Picture, size: tuple[int, int], seed: int = 0, fold: int = 6) -> Picture:
    """Return a picture of `size` = (width, height), (H, W, 3) uint8 sRGB, with `fold`-fold symmetry.

    photo: (H, W, 3) uint8 sRGB. fold: wedges, each mirrored once, 2 to 64. seed: which part of the photo
    the wedge shows. Turned about the middle by 360°/fold, a square picture looks the same. Raises
    OptionError for a fold out of range.
    """

    def read(top: int, bottom: int, left: int, right: int) -> Picture:
        return photo[top:bottom, left:right]

    return Kaleidoscope(read, (photo.shape[1], photo.shape[0]), size, seed, fold).whole()


def _half_wedges(fold: int, turn: float) -> Floats:
    """Return by what x and y are weighed to look across and down, (2, 2, 2·fold + 1), for half wedges from -π to π.

    In half wedge h, from hπ/fold on, the angle θ becomes turn + θ - hπ/fold where h is even, and is mirrored,
    turn + (h + 1)π/fold - θ, where it is odd.
    """
    half = np.arange(-fold, fold + 1)
    mirrored = half % 2 == 1
    angle = turn + np.where(mirrored, half + 1, -half) * (math.pi / fold)
    sign = np.where(mirrored, -1.0, 1.0)
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, -sign * sin], [sin, sign * cos]])


def _place(at: Floats) -> tuple[npt.NDArray[np.float32], tuple[int, int]]:
    """Return places in the photo, counted from the first sample that they need, and those samples' range.

    float32 could not tell places in a large photo apart, and OpenCV takes no side of 32768 pixels or more.
    """
    at = np.rint(at * _FINEST) / _FINEST
    first, last = math.floor(at.min()) - 1, math.floor(at.max()) + 3
    return (at - first).astype(np.float32), (first, last)


def _reflected(start: int, stop: int, length: int) -> npt.NDArray[np.int64]:
    """Return the samples of 0 … length - 1 that start … stop - 1 show: …cba|abc…xyz|zyx…."""
    index = np.arange(start, stop) % (2 * length)
    return np.asarray(np.where(index < length, index, 2 * length - 1 - index))
