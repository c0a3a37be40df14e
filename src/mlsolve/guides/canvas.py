"""Anti-aliased polygons, drawn in tiles, so that a large guide does not need a large canvas."""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from mlsolve_kernels.drawing.cpu import ACROSS, average

from .drawing import Drawing, Kept, Picture

Polygon = tuple[npt.NDArray[np.float64], tuple[float, float, float]]
"""Corners (n, 2) as x, y in pixels, and an sRGB colour in [0, 1]."""

Code = tuple[int, int, int]
Floats = npt.NDArray[np.float64]

TILE: Final = 256
"""Rows and columns of a tile."""
NARROW: Final = 2048
"""Pictures up to this width are drawn in tiles as wide as the picture: a tile then ends only above and below."""
_FRACTION_BITS: Final = 6
"""Number of binary places of a corner's coordinates, which are in sub-pixels."""
_MARGIN: Final = 2.0
"""Maximum distance in sub-pixels, rounded up, between a polygon's exact border and what OpenCV paints."""
_BATCH: Final = 1 << 16
"""Corners times borders of the polygons whose borders are computed together."""
_CACHE_BYTES: Final = 1 << 23
"""Bytes of tiles to keep: the next region often begins in the tile in which this one ends."""


class Canvas(Drawing):
    """Polygons painted over a background, in order.

    The outline that OpenCV paints along a polygon depends slightly on where the polygon is clipped. Therefore tiles
    form a fixed grid and are always drawn completely, and regions are assembled from them.
    """

    def __init__(
        self, polygons: Sequence[Polygon], size: tuple[int, int], background: tuple[float, float, float]
    ) -> None:
        """size: (width, height) in pixels. background: sRGB in [0, 1]."""
        super().__init__(size)
        self._across = _tile_width(size[0])
        # The cache must not refer to self: in a reference cycle its tiles would live until garbage collection.
        self.tiles = Tiles(polygons, size, background)
        """What draws the tiles."""
        self._tile = Kept(self.tiles.drawn, _cached_tiles(self._across))

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
    """The tiles of a canvas on their fixed grid."""

    def __init__(
        self, polygons: Sequence[Polygon], size: tuple[int, int], background: tuple[float, float, float]
    ) -> None:
        """As a Canvas is made."""
        self._size = size
        self.corners = [points * ACROSS for points, _ in polygons]
        """Corners of every polygon, in sub-pixels."""
        self._codes = _codes([colour for _, colour in polygons])
        (self.background,) = _codes([background])
        starts = np.cumsum([0, *(len(points) for points in self.corners[:-1])])
        together = np.concatenate(self.corners)
        self._first, self._last = np.minimum.reduceat(together, starts), np.maximum.reduceat(together, starts)
        self._borders, self._convex = _borders(self.corners)
        self._across = _tile_width(size[0])

    def drawn(self, row: int, column: int) -> Picture:
        """Return the tile at `row` and `column` of the grid, (h, w, 3) uint8 sRGB, clipped to the picture."""
        import cv2  # here, because a job of photos needs none of it

        width, height = self._size
        top, left = row * TILE, column * self._across
        rows, columns = min(TILE, height - top), min(self._across, width - left)
        origin = np.array([left, top], dtype=np.float64) * ACROSS
        ground, visible = self._visible(origin, origin + np.array([columns, rows]) * ACROSS)
        if not visible:
            return np.broadcast_to(np.array(ground, dtype=np.uint8), (rows, columns, 3))
        colours = {ground: 0}
        numbers = [colours.setdefault(self._codes[polygon], len(colours)) for polygon in visible]
        # Painted are the numbers of colours: a third of the bytes, or two thirds.
        canvas = np.zeros((rows * ACROSS, columns * ACROSS), dtype=np.uint8 if len(colours) <= 256 else np.uint16)
        for polygon, number in zip(visible, numbers, strict=True):
            # OpenCV has pixel centres at whole numbers, so coordinates are shifted by half a sub-pixel.
            shifted = self.corners[polygon] - (origin + 0.5)
            fixed = np.round(shifted * (1 << _FRACTION_BITS)).astype(np.int32)
            cv2.fillPoly(canvas, [fixed], (number,), lineType=cv2.LINE_8, shift=_FRACTION_BITS)
        picture = np.empty((rows, columns, 3), dtype=np.uint8)
        average(canvas, np.array(list(colours), dtype=np.uint8), picture)
        return picture

    def _visible(self, first: Floats, last: Floats) -> tuple[Code, list[int]]:
        """Return the ground colour of a rectangle and the numbers of the polygons visible on it, in order.

        first, last: its corners (x, y), in sub-pixels. The ground is the topmost colour that covers all of the
        rectangle; nothing below it is visible.
        """
        first, last = first - _MARGIN, last + _MARGIN
        near = np.flatnonzero(((self._last >= first) & (self._first <= last)).all(axis=1))
        across, down, least = self._borders[:, near]
        by_x, by_y = (across * first[0], across * last[0]), (down * first[1], down * last[1])
        covered = (np.minimum(*by_x) + np.minimum(*by_y) >= least).all(axis=1) & self._convex[near]
        outside = (np.maximum(*by_x) + np.maximum(*by_y) < least).any(axis=1)
        ground, top = self.background, -1
        if covered.any():
            top = int(np.flatnonzero(covered)[-1])
            ground = self._codes[near[top]]
        return ground, near[top + 1 :][~outside[top + 1 :]].tolist()


def canvas_bytes(size: tuple[int, int]) -> int:
    """Return the bytes needed to draw a Canvas of `size` = (width, height) in regions.

    Excludes the regions, and the polygons with their borders.
    """
    width, height = size
    across = _tile_width(width)
    tile = 3 * min(TILE, height) * across
    kept = min(_cached_tiles(across) * tile, 3 * width * height)
    # Up to two bytes for each sub-pixel, and the tile.
    return (2 * ACROSS * ACROSS + 3) * (tile // 3) + kept


def _tile_width(width: int) -> int:
    """Return the number of columns of a tile in a picture of this `width`."""
    return width if width <= NARROW else TILE


def _cached_tiles(across: int) -> int:
    """Return how many tiles of `across` columns to keep: at least four, which cover a region of 1024 rows."""
    return max(4, _CACHE_BYTES // (3 * TILE * across))


def _cuts(start: int, stop: int, step: int) -> Iterator[tuple[int, int, int]]:
    """Yield (number, start, stop) of each tile of `step` pixels that overlaps start … stop - 1, clipped to it."""
    for number in range(start // step, -(-stop // step)):
        yield number, max(start, number * step), min(stop, (number + 1) * step)


def _borders(polygons: Sequence[Floats]) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Return the borders of the polygons, (3, polygons, most corners) a, b, c, and which polygons are convex.

    Inside a convex polygon, a·x + b·y ≥ c holds for each of its borders. It holds everywhere for what fills the
    array, and for other polygons.
    """
    counts = np.array([len(corners) for corners in polygons])
    borders = np.zeros((3, len(polygons), int(counts.max())))
    borders[2] = -np.inf
    convex = np.zeros(len(polygons), dtype=np.bool_)
    for members in _groups(counts):
        corners = np.stack([polygons[number] for number in members])
        following = np.roll(corners, -1, axis=1)
        along = following - corners
        area = np.sum(corners[..., 0] * following[..., 1] - corners[..., 1] * following[..., 0], axis=1)
        inward = np.stack([-along[..., 1], along[..., 0]], axis=-1) * np.sign(area)[:, np.newaxis, np.newaxis]
        least = np.sum(inward * corners, axis=2)
        reached = np.min(corners @ inward.transpose(0, 2, 1), axis=1)  # by the outermost corner
        use = (reached >= least - 1e-6 * np.abs(area)[:, np.newaxis]).all(axis=1)
        chosen = np.array(members)[use]
        convex[chosen] = True
        borders[:2, chosen, : corners.shape[1]] = inward[use].transpose(2, 0, 1)
        borders[2, chosen, : corners.shape[1]] = least[use]
    return borders, convex


def _groups(counts: npt.NDArray[np.int64]) -> Iterator[list[int]]:
    """Yield the numbers of polygons with equally many corners, in batches: there may be thousands of triangles."""
    for count in np.unique(counts):
        members = np.flatnonzero(counts == count).tolist()
        most = max(1, _BATCH // int(count) ** 2)
        for first in range(0, len(members), most):
            yield members[first : first + most]


def _codes(colours: Sequence[tuple[float, float, float]]) -> list[Code]:
    """Return sRGB colours in [0, 1] as codes of eight bits."""
    return [(red, green, blue) for red, green, blue in np.rint(255 * np.array(colours)).astype(int).tolist()]
