"""Triangulated mosaics: Delaunay triangles of jittered points, in colours that drift across the picture."""

from typing import Final

import numpy as np
import numpy.typing as npt

from .canvas import Canvas, Polygon
from .palette import Palette, shade

_ACROSS: Final = 16
"""Number of points along the shorter side."""


_POINT_BYTES: Final = 2400
"""Bytes for each point: two triangles and their borders, measured."""


def mosaic(size: tuple[int, int], seed: int, colours: Palette) -> Canvas:
    """Return a triangulated mosaic of `size` = (width, height) in pixels."""
    width, height = size
    rng = np.random.default_rng([seed, 0x6D6F])
    cell = min(width, height) / _ACROSS
    drift, turn = rng.uniform(0.6, 1.4, 2), rng.uniform(0, 2 * np.pi, 4)
    triangles = _triangles(_points(width, height, cell, rng), width, height)
    centres = triangles.mean(axis=1) / min(width, height)
    angle = 2 * np.pi * centres
    wave = np.sin(drift[0] * angle[:, 0] + turn[0]) * np.cos(drift[1] * angle[:, 1] + turn[1])
    wave += 0.5 * np.sin(1.7 * drift[1] * (angle[:, 0] + angle[:, 1]) + turn[2])
    # The drift gives the picture its large shapes; the jitter gives every triangle an edge, which SSIM responds to.
    position = 0.5 + 0.27 * wave + rng.uniform(-0.28, 0.28, len(triangles))
    polygons: list[Polygon] = [
        (corners, shade(colours, float(at))) for corners, at in zip(triangles, position, strict=True)
    ]
    return Canvas(polygons, size, shade(colours, 0.5))


def polygon_bytes(size: tuple[int, int]) -> int:
    """Return the bytes of the triangles of a mosaic of `size` = (width, height) in pixels."""
    width, height = size
    cell = min(width, height) / _ACROSS
    return _POINT_BYTES * (int(height / cell) + 5) * (int(width / cell) + 5)


def _points(width: int, height: int, cell: float, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Return jittered points of a triangular grid that extends beyond the picture, (n, 2) x, y in pixels."""
    rows, columns = int(height / cell) + 5, int(width / cell) + 5
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float64)
    x += 0.5 * (y % 2)
    grid = np.stack([x - 2, y - 2], axis=-1).reshape(-1, 2)
    return np.asarray((grid + rng.uniform(-0.34, 0.34, grid.shape)) * cell)


def _triangles(points: npt.NDArray[np.float64], width: int, height: int) -> npt.NDArray[np.float64]:
    """Return the Delaunay triangles of `points`, (n, 3, 2), in an order that depends only on the points."""
    import cv2  # here, because a job of photos needs none of it

    margin = 4 * max(width, height)
    subdivision = cv2.Subdiv2D((-margin, -margin, 3 * margin, 3 * margin))
    for x, y in points:
        subdivision.insert((float(x), float(y)))
    triangles = np.asarray(subdivision.getTriangleList(), dtype=np.float64).reshape(-1, 3, 2)
    inside = np.abs(triangles).max(axis=(1, 2)) < margin
    centres = triangles.mean(axis=1)
    order = np.lexsort((centres[:, 0], centres[:, 1]))
    return np.asarray(triangles[order][inside[order]])
