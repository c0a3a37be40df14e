"""Where a chart lies in a photograph: perspective, lens, which way round, and whether it is the right one."""

import itertools
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from ..errors import InputError
from .layout import PREAMBLE, Layout
from .markers import find_markers
from .samples import Array, FloatImage

_MOST: Final = 12
"""Candidates for markers that are looked at."""
_FEWEST: Final = 5
"""Markers that must be seen, of six; the four in the corners among them."""
_CONTRAST: Final = 0.15
"""Between the cells of the code, in sRGB codes, at least."""
_NEAR: Final = 4.0
"""Distance in mm of a marker at the side from where those in the corners have it, at most."""
_DISTORTION: Final = 0.12
"""Largest distortion of a lens, as the share by which a corner of the picture is displaced."""
_COARSEST: Final = 2.5
"""Pixels a mm that a picture must have."""


@dataclass(frozen=True)
class Place:
    """Where a chart lies in a picture."""

    homography: Array
    """From mm on the chart to pixels of a picture without distortion, (3, 3)."""
    distortion: float
    """Of the lens: at the radius r of a corner it displaces by this share of r, towards the middle if above 0."""
    size: tuple[int, int]
    """Width and height of the picture in pixels."""
    mirrored: bool
    """Whether the sheet is seen from its back."""
    scale: float
    """Pixels a mm."""

    def pixels(self, places: npt.ArrayLike) -> Array:
        """Return pixels in the picture, (…, 2), of places on the chart in mm, (…, 2)."""
        at = np.asarray(places, dtype=np.float64)
        straight = at @ self.homography[:, :2].T + self.homography[:, 2]
        straight = straight[..., :2] / straight[..., 2:]
        middle, radius = _middle(self.size)
        off = (straight - middle) / radius
        bent = off
        for _ in range(4):
            bent = off / (1 + self.distortion * np.sum(bent**2, axis=-1, keepdims=True))
        return np.asarray(bent * radius + middle, dtype=np.float64)

    def rectified(self, picture: FloatImage, layout: Layout, scale: float) -> FloatImage:
        """Return the chart in `picture` (H, W, C) as seen from straight above, with `scale` pixels a mm."""
        width, height = (round(side * scale) for side in layout.size)
        y, x = np.mgrid[0:height, 0:width]
        places = self.pixels(np.stack([(x + 0.5) / scale, (y + 0.5) / scale], axis=-1)).astype(np.float32)
        border = cv2.BORDER_CONSTANT
        found = cv2.remap(picture, places, None, cv2.INTER_LINEAR, borderMode=border, borderValue=(-1, -1, -1))  # type: ignore[call-overload]
        return np.asarray(found, dtype=np.float32).reshape(height, width, -1)


def register(layout: Layout, picture: FloatImage, named: str) -> Place:
    """Return where the chart lies in `picture`, (H, W, 3) sRGB in [0, 1].

    The four corners may be in any of eight positions: turned, and seen from the back. The code at the top tells
    which. Raises InputError if the chart is not found, or if it is another one.
    """
    grey = np.ascontiguousarray(picture.mean(axis=2), dtype=np.float32)
    found = find_markers(grey)
    if len(found) < _FEWEST:
        raise _too_few(layout, len(found), named)
    usual = np.median(found[:, 2])
    found = found[np.argsort(np.abs(np.log(found[:, 2] / usual)), kind="stable")][:_MOST, :2]
    homography = _corners(layout, grey, found, named)
    size = (picture.shape[1], picture.shape[0])
    place = _refined(layout, Place(homography, 0.0, size, _turns(homography), 1.0), found, named)
    across = np.linalg.norm(np.diff(place.pixels(layout.markers[:4]), axis=0), axis=1)
    scale = float((across / np.linalg.norm(np.diff(np.array(layout.markers[:4]), axis=0), axis=1)).min())
    if scale < _COARSEST:
        raise InputError(
            f"{named} shows the chart with {scale:.1f} pixels a mm: go closer, or use a finer picture, "
            f"{_COARSEST:g} or more are needed"
        )
    return Place(place.homography, place.distortion, size, place.mirrored, scale)


def _corners(layout: Layout, grey: FloatImage, found: Array, named: str) -> Array:
    """Return the perspective from the four markers in the corners, (3, 3)."""
    corners = np.array(layout.markers[:4], dtype=np.float32)
    quads = []
    for chosen in itertools.combinations(range(len(found)), 4):
        four = found[list(chosen)]
        hull = cv2.convexHull(four.astype(np.float32)).reshape(-1, 2)
        if len(hull) == 4:
            quads.append((float(cv2.contourArea(hull)), hull))
    quads.sort(key=lambda one: -one[0])
    other = False
    for area, hull in quads:
        if area < 0.3 * quads[0][0]:
            break
        for turned, backwards in itertools.product(range(4), (1, -1)):
            pixels = np.ascontiguousarray(np.roll(hull[::backwards], turned, axis=0))
            homography = np.asarray(cv2.getPerspectiveTransform(corners, pixels), dtype=np.float64)
            bits = _bits(layout, grey, homography)
            if bits == layout.bits:
                return homography
            # Markers at the sides make other quadrangles, where a code may be read by chance.
            other |= area > 0.95 * quads[0][0] and bits is not None and bits[: len(PREAMBLE)] == PREAMBLE
    if other:
        raise InputError(f"{named} shows another chart than that of chart.json: give the one written with it")
    raise InputError(
        f"{named} shows {len(found)} markers, but not the code at the top of the chart: have the whole chart in "
        "the picture, sharp and without reflections"
    )


def _bits(layout: Layout, grey: FloatImage, homography: Array) -> tuple[int, ...] | None:
    """Return what the cells of the code show by this perspective, None if they show nothing."""
    places = np.array([(x + width / 2, y + height / 2) for x, y, width, height in layout.cells])
    pixels = places @ homography[:, :2].T + homography[:, 2]
    if (np.abs(pixels[:, 2]) < 1e-9).any():
        return None
    x, y = np.rint(pixels[:, :2] / pixels[:, 2:]).astype(np.int64).T
    if min(x.min(), y.min()) < 1 or x.max() >= grey.shape[1] - 1 or y.max() >= grey.shape[0] - 1:
        return None
    shown = np.mean([grey[y + j, x + i] for j in (-1, 0, 1) for i in (-1, 0, 1)], axis=0)
    low, high = shown.min(), shown.max()
    return tuple(map(int, shown < (low + high) / 2)) if high - low > _CONTRAST else None


def _too_few(layout: Layout, count: int, named: str) -> InputError:
    return InputError(
        f"{named} shows {count} of the {len(layout.markers)} markers: have the whole chart in the picture, sharp, "
        "on the light box, without reflections"
    )


def _refined(layout: Layout, place: Place, found: Array, named: str) -> Place:
    """Return a place that fits all markers, those at the sides too; with them the lens's distortion is found.

    One marker may be hidden. Raises InputError if more are: markers at the sides may have been taken for corners.
    """
    markers = np.array(layout.markers)
    pixels = place.pixels(markers)
    scale = np.linalg.norm(pixels[1] - pixels[0]) / np.linalg.norm(markers[1] - markers[0])
    distances = np.linalg.norm(pixels[:, np.newaxis] - found, axis=2)
    seen = distances.min(axis=1) < _NEAR * scale
    at = found[distances.argmin(axis=1)]
    if seen.sum() < _FEWEST:
        raise _too_few(layout, int(seen.sum()), named)
    if seen.sum() < len(markers):
        return place
    best = min((_bent(place, markers, at, share) for share in _search(place, markers, at)), key=lambda one: one[0])
    return best[1]


def _search(place: Place, markers: Array, at: Array) -> tuple[float, ...]:
    """Return distortions to choose from: none, and the best one by golden sections."""
    low, high = -_DISTORTION, _DISTORTION
    ratio = (5**0.5 - 1) / 2
    for _ in range(18):
        one, other = high - ratio * (high - low), low + ratio * (high - low)
        if _bent(place, markers, at, one)[0] < _bent(place, markers, at, other)[0]:
            high = other
        else:
            low = one
    return (0.0, (low + high) / 2)


def _bent(place: Place, markers: Array, at: Array, distortion: float) -> tuple[float, Place]:
    """Return the root mean square of the distances from the markers at this distortion, and the place."""
    middle, radius = _middle(place.size)
    off = (at - middle) / radius
    straight = off * (1 + distortion * np.sum(off**2, axis=1, keepdims=True)) * radius + middle
    homography, _ = cv2.findHomography(markers, straight)
    found = Place(np.asarray(homography, dtype=np.float64), distortion, place.size, place.mirrored, place.scale)
    error = float(np.sqrt(np.mean((found.pixels(markers) - at) ** 2)))
    # Six markers determine nine numbers only just: without need the lens is straight.
    return error + 2.0 * abs(distortion), found


def _middle(size: tuple[int, int]) -> tuple[Array, float]:
    """Return the middle of a picture in pixels, and the distance of its corners."""
    return np.array([(size[0] - 1) / 2, (size[1] - 1) / 2]), float(np.hypot(*size)) / 2


def _turns(homography: Array) -> bool:
    """Tell whether a perspective mirrors."""
    return bool(np.linalg.det(homography) * homography[2, 2] < 0)
