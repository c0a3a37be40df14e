"""Polygons drawn with smooth edges, in tiles, so that a large guide needs no large canvas."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from .drawing import Drawing, Picture

Polygon = tuple[npt.NDArray[np.float64], tuple[float, float, float]]
"""Corners (n, 2) as x, y in pixels, and an sRGB colour in [0, 1]."""

Code = tuple[int, int, int]
Floats = npt.NDArray[np.float64]

_FINER: Final = 4
"""Sub-pixels across a pixel."""
TILE: Final = 256
"""Rows and columns of the picture drawn at a time."""
NARROW: Final = 2048
"""Pictures up to this width are drawn in bands of their own width: there a tile ends only above and below."""
_FRACTION_BITS: Final = 6
"""Binary places of a corner's coordinate in sub-pixels."""
_MARGIN: Final = 2.0
"""Sub-pixels by which what OpenCV paints may lie beside a polygon's true border, and then some."""
_AT_ONCE: Final = 1 << 16
"""Corners times borders of the polygons whose borders are found together."""
_KEPT: Final = 1 << 23
"""Bytes of tiles that are kept, for the next region begins where this one ends within a tile."""
_POLYGONS: Final = 4_000_000
"""Bytes of polygons and their borders, of the families that there are, measured."""


class Canvas(Drawing):
    """Polygons over a background, in order.

    The outline that OpenCV paints along a polygon depends a little on where it is cut off. So tiles lie on a
    grid that is fixed for the picture, are drawn whole, and regions are put together from them.
    """

    def __init__(
        self, polygons: Sequence[Polygon], size: tuple[int, int], background: tuple[float, float, float]
    ) -> None:
        """Of `size` = (width, height) in pixels; colours are sRGB in [0, 1]."""
        super().__init__(size)
        self._across = _across(size[0])
        # The cache must not lead back here: in a cycle it would hold its tiles until garbage is looked for.
        self.tiles = Tiles(polygons, size, background)
        """What draws the tiles."""
        self._tile = lru_cache(_most_kept(self._across))(self.tiles.drawn)

    def _draw(self, picture: Picture, top: int, left: int) -> None:
        bottom, right = top + picture.shape[0], left + picture.shape[1]
        for row, y, y_end in _cuts(top, bottom, TILE):
            for column, x, x_end in _cuts(left, right, self._across):
                tile = self._tile(row, column)
                above, before = row * TILE, column * self._across
                picture[y - top : y_end - top, x - left : x_end - left] = tile[
                    y - above : y_end - above, x - before : x_end - before
                ]


class Tiles:
    """The tiles of a canvas, on their fixed grid."""

    def __init__(
        self, polygons: Sequence[Polygon], size: tuple[int, int], background: tuple[float, float, float]
    ) -> None:
        """As a Canvas is made."""
        self._size = size
        self.corners = [points * _FINER for points, _ in polygons]
        """Of every polygon, in sub-pixels."""
        self._codes = [_code(colour) for _, colour in polygons]
        self.background = _code(background)
        self._first = np.array([points.min(axis=0) for points in self.corners])
        self._last = np.array([points.max(axis=0) for points in self.corners])
        self._borders = _borders(self.corners)
        self._across = _across(size[0])

    def drawn(self, row: int, column: int) -> Picture:
        """Return a tile, by its place in the grid; cut off where the picture ends."""
        width, height = self._size
        top, left = row * TILE, column * self._across
        rows, columns = min(TILE, height - top), min(self._across, width - left)
        origin = np.array([left, top], dtype=np.float64) * _FINER
        ground, composite = self.seen(origin, origin + np.array([columns, rows]) * _FINER)
        if not composite:
            return np.broadcast_to(np.array(ground, dtype=np.uint8), (rows, columns, 3))
        canvas = np.empty((rows * _FINER, columns * _FINER, 3), dtype=np.uint8)
        canvas[0] = ground
        canvas[1:] = canvas[0]
        for number in composite:
            # Pixel centres are whole numbers for OpenCV, so a coordinate moves by half a sub-pixel.
            shifted = self.corners[number] - (origin + 0.5)
            fixed = np.round(shifted * (1 << _FRACTION_BITS)).astype(np.int32)
            cv2.fillPoly(canvas, [fixed], self._codes[number], lineType=cv2.LINE_8, shift=_FRACTION_BITS)
        return np.asarray(cv2.resize(canvas, (columns, rows), interpolation=cv2.INTER_AREA), dtype=np.uint8)

    def seen(self, first: Floats, last: Floats) -> tuple[Code, list[int]]:
        """Return the ground of the rectangle first to last, in sub-pixels, and the polygons on it, in order.

        The ground is the topmost colour that covers all of it: nothing below is seen.
        """
        first, last = first - _MARGIN, last + _MARGIN
        near = np.flatnonzero(((self._last >= first) & (self._first <= last)).all(axis=1))
        corners = np.array([first, last, [first[0], last[1]], [last[0], first[1]]])
        composite: list[int] = []
        for number in near[::-1]:
            borders = self._borders[number]
            if borders is not None:
                inside = corners @ borders[:, :2].T >= borders[:, 2]
                if inside.all():
                    return self._codes[number], composite[::-1]
                if not inside.any(axis=0).all():
                    continue  # all of the rectangle lies on the far side of one border
            composite.append(int(number))
        return self.background, composite[::-1]


def canvas_bytes(size: tuple[int, int]) -> int:
    """Return the memory that drawing a Canvas of `size` = (width, height) takes, but for the regions drawn."""
    width, height = size
    across = _across(width)
    tile = 3 * min(TILE, height) * across
    kept = min(_most_kept(across) * tile, 3 * width * height)
    return _POLYGONS + (_FINER * _FINER + 1) * tile + kept


def _across(width: int) -> int:
    """Return the columns of a tile."""
    return width if width <= NARROW else TILE


def _most_kept(across: int) -> int:
    """Return how many tiles are kept, four at least: the bands that a region of 1024 rows falls into."""
    return max(4, _KEPT // (3 * TILE * across))


def _cuts(start: int, stop: int, step: int) -> Iterator[tuple[int, int, int]]:
    """Yield the tiles that start … stop - 1 falls into, as number, first and last + 1 within the range."""
    for number in range(start // step, -(-stop // step)):
        yield number, max(start, number * step), min(stop, (number + 1) * step)


def _borders(polygons: Sequence[Floats]) -> list[Floats | None]:
    """Return (n, 3) a, b, c for each convex polygon: within it, a·x + b·y ≥ c for all. None: it is not convex."""
    borders: list[Floats | None] = [None] * len(polygons)
    counts = np.array([len(corners) for corners in polygons])
    for members in _groups(counts):
        corners = np.stack([polygons[number] for number in members])
        following = np.roll(corners, -1, axis=1)
        along = following - corners
        area = np.sum(corners[..., 0] * following[..., 1] - corners[..., 1] * following[..., 0], axis=1)
        inward = np.stack([-along[..., 1], along[..., 0]], axis=-1) * np.sign(area)[:, np.newaxis, np.newaxis]
        least = np.sum(inward * corners, axis=2)
        reached = np.min(corners @ inward.transpose(0, 2, 1), axis=1)  # by the corner furthest out
        convex = (reached >= least - 1e-6 * np.abs(area)[:, np.newaxis]).all(axis=1)
        lines = np.concatenate([inward, least[..., np.newaxis]], axis=2)
        for number, line, use in zip(members, lines, convex, strict=True):
            borders[number] = line if use else None
    return borders


def _groups(counts: npt.NDArray[np.int64]) -> Iterator[list[int]]:
    """Yield the numbers of polygons of as many corners, many at a time: there may be thousands of triangles."""
    for count in np.unique(counts):
        members = np.flatnonzero(counts == count).tolist()
        most = max(1, _AT_ONCE // int(count) ** 2)
        for first in range(0, len(members), most):
            yield members[first : first + most]


def _code(colour: tuple[float, float, float]) -> Code:
    red, green, blue = (round(255 * channel) for channel in colour)
    return red, green, blue
