"""Pictures made larger, smaller, or to fit."""

from typing import Literal, get_args

import cv2
import numpy as np
import numpy.typing as npt

from .arrays import as_image
from .colour import light_from_srgb, srgb_from_light
from .errors import OptionError

FloatArray = npt.NDArray[np.float32]

Fit = Literal["cover", "contain", "stretch"]


def fit_image(picture: npt.ArrayLike, size: tuple[int, int], fit: Fit = "cover") -> FloatArray:
    """Return `picture` brought to `size` = (width, height) in pixels, (H, W, C) float32 sRGB in [0, 1].

    picture: (H, W), (H, W, 3) or (H, W, 4), uint8, uint16 or float in [0, 1].

    fit: "cover" fills the size and cuts off what sticks out, evenly on both sides; "contain" shows the
    whole picture with white beside it; "stretch" changes the proportions.

    Raises InputError for a picture that cannot be used, OptionError for an unknown fit or size.
    """
    if fit not in get_args(Fit):
        raise OptionError(f"fit is {fit!r}: use {', '.join(get_args(Fit))}")
    image = as_image(picture, "picture")
    width, height = size
    if not (isinstance(width, int) and isinstance(height, int) and min(size) >= 1):
        raise OptionError(f"size is {size}: give width and height in whole pixels")
    across, down = width / image.shape[1], height / image.shape[0]
    if fit == "stretch" or across == down:
        return resize(image, size)
    if fit == "cover":
        scale = max(across, down)
        part_width = min(image.shape[1], max(1, round(width / scale)))
        part_height = min(image.shape[0], max(1, round(height / scale)))
        left, top = (image.shape[1] - part_width) // 2, (image.shape[0] - part_height) // 2
        return resize(image[top : top + part_height, left : left + part_width], size)
    scale = min(across, down)
    inner_width = min(width, max(1, round(image.shape[1] * scale)))
    inner_height = min(height, max(1, round(image.shape[0] * scale)))
    left, top = (width - inner_width) // 2, (height - inner_height) // 2
    result = np.ones((height, width, image.shape[2]), dtype=np.float32)
    result[top : top + inner_height, left : left + inner_width] = resize(image, (inner_width, inner_height))
    return result


def resize(image: FloatArray, size: tuple[int, int]) -> FloatArray:
    """Return `image` (H, W, C) float32 sRGB in [0, 1] at `size` = (width, height).

    Smaller: area averages of light, as seen from further away. Larger: bicubic on code values, whose
    overshoot is clipped.
    """
    if (image.shape[1], image.shape[0]) == size:
        return image
    if size[0] <= image.shape[1] and size[1] <= image.shape[0]:
        light = np.asarray(light_from_srgb(image), dtype=np.float32)
        return np.asarray(srgb_from_light(_resample(light, size, cv2.INTER_AREA)), dtype=np.float32)
    return np.clip(_resample(image, size, cv2.INTER_CUBIC), 0, 1)


def halve(planes: FloatArray, shape: tuple[int, int]) -> FloatArray:
    """Return `planes` (…, H, W) encoded transmittance, averaged down to `shape` = (height, width)."""
    return _each_plane(planes, shape, cv2.INTER_AREA)


def double(planes: FloatArray, shape: tuple[int, int]) -> FloatArray:
    """Return `planes` (…, H, W) encoded transmittance, interpolated up to `shape` = (height, width), bicubic."""
    return _each_plane(planes, shape, cv2.INTER_CUBIC)


def _each_plane(planes: FloatArray, shape: tuple[int, int], method: int) -> FloatArray:
    flat = planes.reshape(-1, *planes.shape[-2:])
    result = np.empty((len(flat), *shape), dtype=np.float32)
    for plane, out in zip(flat, result, strict=True):
        out[...] = _resample(plane, shape[::-1], method)
    return result.reshape(*planes.shape[:-2], *shape)


def _resample(image: FloatArray, size: tuple[int, int], method: int) -> FloatArray:
    result = cv2.resize(np.ascontiguousarray(image), size, interpolation=method)
    return np.asarray(result, dtype=np.float32).reshape(size[1], size[0], *image.shape[2:])
