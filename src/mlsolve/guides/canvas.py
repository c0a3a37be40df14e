"""Polygons drawn with smooth edges, in bands, so that a large guide needs no large canvas."""

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

Polygon = tuple[npt.NDArray[np.float64], tuple[float, float, float]]
"""Corners (n, 2) as x, y in pixels, and an sRGB colour in [0, 1]."""

_FINER: Final = 4
"""Sub-pixels across a pixel."""
_BAND: Final = 256
"""Rows of the picture drawn at a time."""
_FRACTION_BITS: Final = 6
"""Binary places of a corner's coordinate in sub-pixels."""


def draw(
    polygons: Sequence[Polygon], size: tuple[int, int], background: tuple[float, float, float]
) -> npt.NDArray[np.uint8]:
    """Return a picture (H, W, 3) uint8 sRGB of `size` = (width, height): `polygons` over `background`, in order."""
    width, height = size
    corners = [points * _FINER for points, _ in polygons]
    spans = [(np.min(points[:, 1]), np.max(points[:, 1])) for points in corners]
    picture = np.empty((height, width, 3), dtype=np.uint8)
    for top in range(0, height, _BAND):
        rows = min(_BAND, height - top)
        band = np.empty((rows * _FINER, width * _FINER, 3), dtype=np.uint8)
        band[...] = _code(background)
        for points, (first, last), (_, colour) in zip(corners, spans, polygons, strict=True):
            if last < top * _FINER or first > (top + rows) * _FINER:
                continue
            # Pixel centres are whole numbers for OpenCV, so a coordinate moves by half a sub-pixel.
            shifted = points - [0.5, top * _FINER + 0.5]
            fixed = np.round(shifted * (1 << _FRACTION_BITS)).astype(np.int32)
            cv2.fillPoly(band, [fixed], _code(colour), lineType=cv2.LINE_8, shift=_FRACTION_BITS)
        picture[top : top + rows] = cv2.resize(band, (width, rows), interpolation=cv2.INTER_AREA)
    return picture


def _code(colour: tuple[float, float, float]) -> tuple[int, int, int]:
    red, green, blue = (round(255 * channel) for channel in colour)
    return red, green, blue
