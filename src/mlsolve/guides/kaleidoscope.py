"""Kaleidoscopes: a wedge of a photo, repeated and mirrored around the centre."""

import math
from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from mlsolve_kernels.drawing.cpu import place

from ..errors import OptionError
from .drawing import Drawing, Picture

Read = Callable[[int, int, int, int], Picture]
"""(top, bottom, left, right) → that region of a photo, (h, w, 3) uint8 sRGB."""

Floats = npt.NDArray[np.float64]

BLOCK: Final = 512
"""Maximum number of rows and columns of the picture drawn at a time."""
_LEAST_BLOCK: Final = 16
_BOX: Final = 1024
"""Approximate number of rows and columns of the photo that a block should cover."""
_ROWS: Final = 32
"""Rows whose angles are computed at a time."""
_PLACE_BYTES: Final = 32
"""Bytes per pixel of a block needed to compute its positions in the photo, measured."""
_BOX_BYTES: Final = 9
"""Bytes per pixel of a box: it is read, and assembled in two steps where it is mirrored at the photo's border."""


class Kaleidoscope(Drawing):
    """A photo seen through a kaleidoscope.

    One half of each wedge is the photo rotated, the other half is the photo rotated and mirrored. So within a half
    wedge the position in the photo is a linear function of the position in the picture.
    """

    def __init__(
        self, read: Read, photo_size: tuple[int, int], size: tuple[int, int], seed: int = 0, fold: int = 6
    ) -> None:
        """read: returns regions of the photo. photo_size, size: (width, height) of photo and picture, in pixels.

        seed, fold: as for `kaleidoscope`. Raises OptionError for a fold out of range.
        """
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
                block[...] = self._drawn_block(top + y, left + x, *block.shape[:2])

    def _drawn_block(self, top: int, left: int, rows: int, columns: int) -> Picture:
        """Return the block of rows × columns whose first pixel is at (top, left), (rows, columns, 3) uint8 sRGB."""
        import cv2  # here, because a job of photos needs none of it

        width, height = self.size
        first = left - (width - 1) / 2, top - (height - 1) / 2
        half = self._half_wedge_of(first[0] + np.arange(columns), first[1] + np.arange(rows)[:, np.newaxis])
        across, down = np.empty((2, rows, columns), dtype=np.float32)
        box = self._box(*place(*first, self._halves, half, self._middle, across, down))
        return np.asarray(cv2.remap(box, across, down, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT), np.uint8)

    def _half_wedge_of(self, x: npt.NDArray[np.floating], y: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
        """Return the number of each pixel's half wedge, (h, w), or (1, 1) if it is the same for all pixels."""
        per_turn = self._fold / math.pi
        # A half wedge is convex, so a block whose corners are inside it is inside it.
        corners = np.arctan2(y[[0, 0, -1, -1], 0], x[[0, -1, 0, -1]]) * per_turn
        ends = np.floor(np.concatenate([corners - 1e-9, corners + 1e-9])).astype(np.int64)
        if (ends == ends[0]).all():
            return np.asarray(ends[:1, np.newaxis] + self._fold)
        found = np.empty((y.size, x.size), dtype=np.int64)
        for first in range(0, y.size, _ROWS):
            rows = slice(first, first + _ROWS)
            # Contiguous operands, so that NumPy does not use different arctan2 loops for different shapes.
            pair = (np.ascontiguousarray(np.broadcast_to(a, (len(y[rows]), x.size))) for a in (y[rows], x))
            found[rows] = np.floor(np.arctan2(*pair) * per_turn)
        found += self._fold
        return found

    def _box(self, top: int, bottom: int, left: int, right: int) -> Picture:
        """Return a region of the photo, which is continued beyond its borders by mirroring."""
        width, height = self._photo_size
        if top >= 0 and left >= 0 and bottom <= height and right <= width:
            return self._read(top, bottom, left, right)
        rows, columns = _reflected(top, bottom, height), _reflected(left, right, width)
        first_row, first_column = int(rows.min()), int(columns.min())
        part = self._read(first_row, int(rows.max()) + 1, first_column, int(columns.max()) + 1)
        return part[rows - first_row][:, columns - first_column]


def block_bytes(photo_size: tuple[int, int], size: tuple[int, int], side: int) -> int:
    """Return the bytes needed to draw a Kaleidoscope in regions of `side` × `side` pixels.

    photo_size, size: (width, height) of photo and picture, in pixels. Excludes the regions, and what the photo
    needs in addition to the boxes read from it.
    """
    scale = min(photo_size) / min(size)  # an upper bound: the seed makes it smaller
    rows, columns = (min(side, BLOCK, length) for length in size)
    # A box encloses a block that may be rotated.
    box = math.sqrt(2) * min(scale * max(rows, columns), max(_BOX, _LEAST_BLOCK * scale))
    return _PLACE_BYTES * rows * columns + int(_BOX_BYTES * box * box)


def kaleidoscope(photo: Picture, size: tuple[int, int], seed: int = 0, fold: int = 6) -> Picture:
    """Return a picture with `fold`-fold symmetry, (H, W, 3) uint8 sRGB.

    photo: (H, W, 3) uint8 sRGB. size: (width, height) in pixels. seed: determines which part of the photo the wedge
    shows. fold: number of wedges, each mirrored once, 2 to 64. A square picture looks the same when rotated about
    its centre by 360°/fold. Raises OptionError for a fold out of range.
    """

    def read(top: int, bottom: int, left: int, right: int) -> Picture:
        return photo[top:bottom, left:right]

    return Kaleidoscope(read, (photo.shape[1], photo.shape[0]), size, seed, fold).whole()


def _half_wedges(fold: int, turn: float) -> Floats:
    """Return the matrices from (x, y) in the picture to (x, y) in the photo, (2, 2, 2·fold + 1).

    One for each half wedge, from -π to π. In half wedge h, which begins at hπ/fold, the angle θ becomes
    turn + θ - hπ/fold if h is even; if h is odd, it is mirrored to turn + (h + 1)π/fold - θ.
    """
    half = np.arange(-fold, fold + 1)
    mirrored = half % 2 == 1
    angle = turn + np.where(mirrored, half + 1, -half) * (math.pi / fold)
    sign = np.where(mirrored, -1.0, 1.0)
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, -sign * sin], [sin, sign * cos]])


def _reflected(start: int, stop: int, length: int) -> npt.NDArray[np.int64]:
    """Return start … stop - 1 mirrored into the samples 0 … length - 1: …cba|abc…xyz|zyx…."""
    index = np.arange(start, stop) % (2 * length)
    return np.asarray(np.where(index < length, index, 2 * length - 1 - index))
