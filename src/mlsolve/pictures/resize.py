"""Resizing pictures, and fitting them to a size."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from mlsolve_kernels.resample.cpu import Taps, area_taps, cubic_taps, resample

from ..errors import OptionError
from ..ranges import choice
from .arrays import as_image
from .colour import light_from_srgb, srgb_from_light

FloatArray = npt.NDArray[np.float32]

Fit = Literal["cover", "contain", "stretch"]

Rectangle = tuple[int, int, int, int]
"""(left, top, width, height) in pixels."""


@dataclass(frozen=True)
class Geometry:
    """Which part of a picture is shown, and where in the result."""

    part: Rectangle
    """The part of the picture that is shown."""
    inner: Rectangle
    """The part of the result that it fills; the rest is white."""

    @property
    def identity(self) -> bool:
        """Whether `part` and `inner` have the same size, so that nothing is resampled."""
        return self.part[2:] == self.inner[2:]

    @property
    def shrinks(self) -> bool:
        """Whether neither side grows: then light is averaged."""
        return self.inner[2] <= self.part[2] and self.inner[3] <= self.part[3]


def fit_image(picture: npt.ArrayLike, size: tuple[int, int], fit: Fit = "cover") -> FloatArray:
    """Return `picture` fitted to `size` = (width, height) in pixels, (H, W, C) float32 sRGB in [0, 1].

    picture: (H, W), (H, W, 3) or (H, W, 4), uint8, uint16 or float in [0, 1].

    fit: "cover" fills the size and crops the excess evenly on both sides; "contain" shows the complete picture with
    white beside it; "stretch" changes the aspect ratio.

    Raises InputError for a picture that cannot be used, OptionError for an unknown fit or an impossible size.
    """
    _check_fit(fit)
    image = as_image(picture, "picture")
    geometry = fit_geometry((image.shape[1], image.shape[0]), size, fit)
    left, top, width, height = geometry.part
    shown = resize(image[top : top + height, left : left + width], geometry.inner[2:])
    left, top, width, height = geometry.inner
    if (width, height) == size:
        return shown
    result = np.ones((size[1], size[0], image.shape[2]), dtype=np.float32)
    result[top : top + height, left : left + width] = shown
    return result


def fit_geometry(source_size: tuple[int, int], size: tuple[int, int], fit: Fit = "cover") -> Geometry:
    """Return how `fit_image` fits a picture of `source_size` to `size`, both (width, height) in pixels.

    Raises OptionError for an unknown fit or an impossible size.
    """
    _check_fit(fit)
    width, height = size
    if not (isinstance(width, int) and isinstance(height, int) and min(size) >= 1):
        raise OptionError(f"size is {size}: give width and height in whole pixels")
    across, down = width / source_size[0], height / source_size[1]
    if fit == "stretch" or across == down:
        return Geometry((0, 0, *source_size), (0, 0, *size))
    if fit == "cover":
        scale = max(across, down)
        return Geometry(_middle(source_size, (width / scale, height / scale)), (0, 0, *size))
    scale = min(across, down)
    return Geometry((0, 0, *source_size), _middle(size, (source_size[0] * scale, source_size[1] * scale)))


def resize(image: FloatArray, size: tuple[int, int]) -> FloatArray:
    """Return `image`, (H, W, C) float32 sRGB in [0, 1], resized to `size` = (width, height) in pixels.

    If neither side grows, linear light is averaged over areas, as the eye does from further away. Otherwise code
    values are interpolated bicubically, and overshoot is clipped.
    """
    geometry = Geometry((0, 0, image.shape[1], image.shape[0]), (0, 0, *size))
    if geometry.identity:
        return image
    taps = area_taps if geometry.shrinks else cubic_taps
    rows = taps(image.shape[0], size[1], 0, size[1])
    columns = taps(image.shape[1], size[0], 0, size[0])
    result = np.empty((size[1], size[0], image.shape[2]), dtype=np.float32)
    for channel in range(image.shape[2]):
        plane = image[np.newaxis, :, :, channel]
        if geometry.shrinks:
            light = np.asarray(light_from_srgb(plane), dtype=np.float32)
            plane = srgb_from_light(resample(light, (0, 0), rows, columns))
        else:
            plane = resample(plane, (0, 0), rows, columns)
        result[..., channel] = np.clip(plane[0], 0, 1)
    return result


def halve(planes: FloatArray, shape: tuple[int, int]) -> FloatArray:
    """Return `planes` (…, H, W) encoded transmittance, averaged 2×2 to `shape` = (⌈H/2⌉, ⌈W/2⌉).

    The last row or column of an odd side is averaged alone, so that a pixel stays where its four pixels were.
    """
    return average(planes, shape, 2.0)


def double(planes: FloatArray, shape: tuple[int, int]) -> FloatArray:
    """Return `planes` (…, H, W) encoded transmittance at twice the size (bicubic), cropped to `shape` = (h, w)."""
    return interpolate(planes, shape, 0.5)


def average(planes: FloatArray, shape: tuple[int, int], factor: float | None = None) -> FloatArray:
    """Return `planes` (…, H, W) averaged to `shape` = (height, width).

    factor: side of the area that a pixel of the result covers, in pixels of `planes`; None: the ratio of the sides.
    """
    (height, width), (rows, columns) = planes.shape[-2:], shape
    down, across = area_taps(height, rows, 0, rows, 0, factor), area_taps(width, columns, 0, columns, 0, factor)
    return _each_plane(planes, down, across)


def interpolate(planes: FloatArray, shape: tuple[int, int], factor: float | None = None) -> FloatArray:
    """Return `planes` (…, H, W) interpolated bicubically to `shape` = (height, width).

    factor: distance between pixels of the result, in pixels of `planes`; None: the ratio of the sides.
    """
    (height, width), (rows, columns) = planes.shape[-2:], shape
    down, across = cubic_taps(height, rows, 0, rows, 0, factor), cubic_taps(width, columns, 0, columns, 0, factor)
    return _each_plane(planes, down, across)


def _each_plane(planes: FloatArray, rows: Taps, columns: Taps) -> FloatArray:
    flat = planes.reshape(-1, *planes.shape[-2:])
    result = resample(flat, (0, 0), rows, columns)
    return result.reshape(*planes.shape[:-2], *result.shape[1:])


def _check_fit(fit: str) -> None:
    choice("fit", fit, get_args(Fit))


def _middle(size: tuple[int, int], part: tuple[float, float]) -> Rectangle:
    """Return the centred rectangle of `size` with the size `part`, rounded to whole pixels, at least 1×1."""
    width, height = (min(most, max(1, round(wanted))) for most, wanted in zip(size, part, strict=True))
    return (size[0] - width) // 2, (size[1] - height) // 2, width, height
