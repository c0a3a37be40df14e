"""What a photograph says about a chart: the light through every patch, after checks of the photograph."""

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..pictures.colour import light_from_srgb, srgb_from_light
from .drawing import RINGS
from .layout import Layout, Rectangle
from .registering import Place, register
from .samples import Array, FloatImage

FINEST: Final = 8.0
"""Pixels a mm of a rectified chart, at most."""
_INNER: Final = 0.5
"""Share of a patch's side that is measured: it may be printed, cut and laid a few mm off."""
_PARTS: Final = 5
_CLIPPED: Final = 0.985
_DIM: Final = 0.35
"""sRGB codes of clear film from which on a picture is clipped, and below which it is too dark."""
_BLURRED: Final = 0.9
"""Width in mm over which an edge rises from a tenth to nine tenths, at most; clear gaps are 2 mm wide."""
_DEGREE: Final = 4
"""Degree of the surface that stands for the box where there is no picture of it."""
_BASE: Final = 0.04
"""Density of clear film that is assumed where there is no picture of the empty box: PET and acrylic pass 0.92."""
_UNEVEN: Final = 0.08
"""Unevenness of clear film on the box compared with the empty box, at most."""


@dataclass(frozen=True)
class Reading:
    """What one photograph says."""

    named: str
    place: Place
    picture: FloatImage
    """The rectified chart, (H, W, 3) sRGB, -1 outside the photograph."""
    scale: float
    """Its pixels a mm."""
    light: Array
    """Light through the layout's patches relative to the empty box, (n, 3); NaN of those outside the photograph."""
    noise: Array
    """Standard deviation of the light from part to part of a patch, (n,)."""
    blur: float
    """Width in mm over which edges rise."""


def read(
    layout: Layout, picture: FloatImage, named: str, empty: FloatImage | None, dark: FloatImage | None
) -> Reading:
    """Return what `picture` says, (H, W, 3) sRGB in [0, 1].

    empty, dark: of the box without the chart and with the lens covered, from the same camera, of the same shape.
    Raises InputError, naming the picture, if the chart is not found, and if a picture is clipped, dim or blurred.
    """
    place = register(layout, picture, named)
    scale = min(FINEST, place.scale)
    nothing = np.zeros((), np.float32) if dark is None else place.rectified(_linear(dark), layout, scale)
    light, shown = _rectified(picture, place, layout, scale, nothing)
    blur = _blur(layout, shown, scale)
    if blur > _BLURRED:
        raise InputError(
            f"{named} is blurred, edges are {blur:.1f} mm wide: focus, hold the camera still, go closer"
        )
    points = layout.clear_points()
    _check_brightness(_at_points(shown, points, scale), named, "clear film")
    rectangles = [_inner(one.where) for one in layout.patches]
    middles = np.array([(x + width / 2, y + height / 2) for x, y, width, height in rectangles])
    values, noise = _patches(light, rectangles, scale)
    clear = _at_points(light, points, scale)
    if empty is None:
        flat = _surface(points, clear, middles) * 10**_BASE
    else:
        box, codes = _rectified(empty, place, layout, scale, nothing)
        _check_brightness(_at_points(codes, points, scale), "the picture of the empty box", "it")
        _check_box(clear / _at_points(box, points, scale), named)
        flat, _ = _patches(box, rectangles, scale)
    return Reading(named, place, shown, scale, values / flat, noise / flat.mean(axis=1), blur)


def _rectified(
    picture: FloatImage, place: Place, layout: Layout, scale: float, nothing: FloatImage
) -> tuple[FloatImage, FloatImage]:
    """Return the rectified chart as light above `nothing`, NaN outside the picture, and as sRGB codes, there -1.

    It is light that is interpolated: the dots of a halftone would be too dark as a mean of codes.
    """
    light = place.rectified(_linear(picture), layout, scale)
    outside = light < 0
    codes = np.where(outside, -1, srgb_from_light(light)).astype(np.float32)
    return np.where(outside, np.nan, light - nothing).astype(np.float32), codes


@cache
def _light_of_codes() -> FloatImage:
    """Return the light of every sRGB code of 16 bits, (65536,)."""
    return np.asarray(light_from_srgb(np.arange(65536) / 65535), dtype=np.float32)


def _linear(codes: FloatImage) -> FloatImage:
    """Return the light of sRGB codes in [0, 1]."""
    return np.asarray(_light_of_codes()[np.rint(codes * np.float32(65535)).astype(np.uint16)], dtype=np.float32)


def _inner(where: Rectangle) -> Rectangle:
    """Return the middle of a patch."""
    x, y, width, height = where
    side = (1 - _INNER) / 2
    return x + side * width, y + side * height, width * _INNER, height * _INNER


def _patches(light: FloatImage, rectangles: list[Rectangle], scale: float) -> tuple[Array, Array]:
    """Return the light of rectangles in mm, (n, 3), and the deviation of their parts, (n,).

    A rectangle is divided into _PARTS × _PARTS parts. It has the median of their means: dust and scratches spoil a
    few parts, and a mean does justice to the dots of a halftone.
    """
    values, noise = np.empty((len(rectangles), 3)), np.empty(len(rectangles))
    for at, (x, y, width, height) in enumerate(rectangles):
        part = light[round(y * scale) : round((y + height) * scale), round(x * scale) : round((x + width) * scale)]
        rows, columns = (side // _PARTS for side in part.shape[:2])
        if min(rows, columns) >= 2:
            whole = part[: rows * _PARTS, : columns * _PARTS].reshape(_PARTS, rows, _PARTS, columns, 3)
            part = whole.mean(axis=(1, 3))
        parts = part.reshape(-1, 3)
        values[at] = np.median(parts, axis=0)
        noise[at] = 1.4826 * np.median(np.abs(parts[:, 1] - values[at, 1]))
    return values, noise


def _at_points(picture: FloatImage, points: Array, scale: float) -> Array:
    """Return the medians of a square mm around points in mm, (n, 3)."""
    return _patches(picture, [(x - 0.5, y - 0.5, 1.0, 1.0) for x, y in points], scale)[0]


def _check_brightness(codes: Array, named: str, what: str) -> None:
    """Refuse a picture whose clear film, sRGB codes (n, 3), is clipped or dim."""
    clipped = (codes.max(axis=1) > _CLIPPED).mean()
    if clipped > 0.02:
        raise InputError(
            f"{named} is clipped, {what} is white in {100 * clipped:.0f} % of its places: expose 1 to 2 stops less"
        )
    if np.median(codes.max(axis=1)) < _DIM:
        raise InputError(f"{named} is too dark, {what} has code {255 * np.median(codes):.0f} of 255: expose more")


def _check_box(share: Array, named: str) -> None:
    """Refuse pictures of clear film and of the box that do not belong together; share: their ratio, (n, 3)."""
    middle = np.nanmedian(share, axis=0)
    if middle.max() > 1.03 or middle.max() < 0.5:
        raise InputError(
            f"{named} has clear film {100 * middle.max():.0f} % as bright as the empty box: take both pictures "
            "with the same exposure and white balance, locked"
        )
    uneven = float(np.nanpercentile(np.abs(share / middle - 1), 90))
    if uneven > _UNEVEN:
        raise InputError(
            f"{named} and the picture of the empty box differ by {100 * uneven:.0f} % from place to place: "
            "take both from the same place, without moving camera, box or lamps"
        )


def _surface(points: Array, values: Array, wanted: Array) -> Array:
    """Return a smooth surface through values at points, (n, 3), at others, (m, 3): a polynomial of their logs."""
    middle, reach = points.mean(axis=0), np.ptp(points, axis=0).max() / 2
    powers = [(i, j) for i in range(_DEGREE + 1) for j in range(_DEGREE + 1 - i)]

    def terms(at: Array) -> Array:
        x, y = ((at - middle) / reach).T
        return np.stack([x**i * y**j for i, j in powers], axis=1)

    good = np.isfinite(values).all(axis=1)
    logs, basis = np.log(np.maximum(values[good], 1e-4)), terms(points[good])
    weights = np.ones((len(logs), 1))
    for _ in range(6):  # dust and scratches pull little
        found = np.linalg.lstsq(basis * weights, logs * weights, rcond=None)[0]
        off = np.abs(basis @ found - logs).max(axis=1, keepdims=True)
        weights = np.minimum(1, 2 * np.median(off) / np.maximum(off, 1e-9))
    return np.asarray(np.exp(terms(wanted) @ found), dtype=np.float64)


def _blur(layout: Layout, picture: FloatImage, scale: float) -> float:
    """Return the width in mm over which the outer edges of markers rise from a tenth to nine tenths (median)."""
    inside, outside = (RINGS[0] + RINGS[1]) / 2, RINGS[0] + 1.6
    radii = np.arange(inside, outside, 0.02)
    angles = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    widths = []
    for x, y in layout.markers:
        # Each ray by itself, because a marker that is not where it was meant would smear their mean.
        across = (
            (x + radii[:, np.newaxis] * np.cos(angles)) * scale - 0.5,
            (y + radii[:, np.newaxis] * np.sin(angles)) * scale - 0.5,
        )
        rays = _sampled(picture[..., 1], *across)
        low, high = rays.min(axis=0), rays.max(axis=0)
        share = (rays - low) / np.maximum(high - low, 1e-6)
        widths += [
            radii[np.argmax(one > 0.9)] - radii[len(radii) - 1 - np.argmax(one[::-1] < 0.1)] for one in share.T
        ]
    return float(np.median(widths))


def _sampled(picture: npt.NDArray[np.float32], x: Array, y: Array) -> Array:
    """Return a picture between its pixels, linearly."""
    x = np.clip(x, 0, picture.shape[1] - 1.001)
    y = np.clip(y, 0, picture.shape[0] - 1.001)
    left, top = x.astype(np.int64), y.astype(np.int64)
    right, down = x - left, y - top
    above = picture[top, left] * (1 - right) + picture[top, left + 1] * right
    below = picture[top + 1, left] * (1 - right) + picture[top + 1, left + 1] * right
    return np.asarray(above * (1 - down) + below * down, dtype=np.float64)
