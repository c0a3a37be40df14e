"""Finds a chart's markers in a picture: a disc in a ring."""

from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from .drawing import RINGS
from .samples import Array, FloatImage

_LONGEST: Final = 2400
"""Longer side in pixels of the picture that is searched."""
_DARK: Final = 0.72
"""Share of the brightness around it, as sRGB codes, below which a pixel is ink."""
_SMALLEST: Final = 40
"""Pixels of a ring with all that is inside it, at least."""
_ROUND: Final = 0.65


def find_markers(brightness: FloatImage) -> Array:
    """Return centres and radii of what looks like a marker, (n, 3) in pixels: x, y, radius.

    brightness: (H, W) sRGB code values in [0, 1]. The centre of the pixel at the top left is (0, 0).
    """
    shrunk = max(1.0, max(brightness.shape) / _LONGEST)
    height, width = (max(1, round(side / shrunk)) for side in brightness.shape)
    small = brightness
    if shrunk > 1:
        small = np.asarray(cv2.resize(brightness, (width, height), interpolation=cv2.INTER_AREA), dtype=np.float32)
    ink = (small < _DARK * _surroundings(small)).astype(np.uint8)
    contours, tree = cv2.findContours(ink, cv2.RETR_TREE, cv2.CHAIN_APPROX_NONE)
    found = []
    for number in range(len(contours)):
        hole = tree[0][number][2]
        core = tree[0][hole][2] if hole >= 0 else -1
        if core < 0 or tree[0][hole][0] >= 0 or tree[0][core][0] >= 0:
            continue
        circles = [_circle(np.asarray(contours[one])) for one in (number, hole, core)]
        if any(one is None for one in circles):
            continue
        places = np.array(circles)
        radius = places[0, 2]
        # A contour runs through the outermost pixels, half a pixel within the edge; of a hole, outside of it.
        inner = (places[1:, 2] + (-0.5, 0.5)) / (radius + 0.5)
        wanted = np.array(RINGS[1:]) / RINGS[0]
        close = np.hypot(*(places[:, :2] - places[0, :2]).T).max() < 0.2 * radius
        if close and (np.abs(inner - wanted) < 0.4 * wanted).all():
            x, y = places[:, :2].mean(axis=0)
            found.append(((x + 0.5) * shrunk - 0.5, (y + 0.5) * shrunk - 0.5, radius * shrunk))
    return np.array(found).reshape(-1, 3)


def _surroundings(picture: FloatImage) -> FloatImage:
    """Return the brightness of the brightest places around every pixel, (H, W)."""
    height, width = picture.shape
    step = max(1, max(height, width) // 200)
    coarse = cv2.resize(picture, (max(1, width // step), max(1, height // step)), interpolation=cv2.INTER_AREA)
    coarse = cv2.dilate(coarse, np.ones((17, 17), np.uint8))
    coarse = cv2.blur(coarse, (17, 17))
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.float32)


def _circle(contour: npt.NDArray[Any]) -> tuple[float, float, float] | None:
    """Return centre and radius of a contour, None if it is not round or too small."""
    area, around = cv2.contourArea(contour), cv2.arcLength(contour, True)
    if area < _SMALLEST / 8 or around == 0 or 4 * np.pi * area / around**2 < _ROUND:
        return None
    moments = cv2.moments(contour)
    return moments["m10"] / moments["m00"], moments["m01"] / moments["m00"], float(np.sqrt(area / np.pi))
