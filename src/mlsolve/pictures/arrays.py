"""Converts the pictures that users pass as arrays to one form: (H, W, C) float32 sRGB in [0, 1]."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mlsolve_kernels.window import SIZE

from ..errors import InputError

FloatArray = npt.NDArray[np.float32]


def as_image(array: npt.ArrayLike, name: str) -> FloatArray:
    """Return `array` as (H, W, 1) or (H, W, 3) float32 sRGB in [0, 1]; alpha is composited over white.

    array: (H, W), or (H, W, C) with C = 1 grey, 2 grey and alpha, 3 colour, 4 colour and alpha; uint8, uint16 or
    float in [0, 1]. name: stands for the picture in error messages. Raises InputError for another shape or type,
    for values out of range, and for a side shorter than the SSIM window.
    """
    try:
        picture = np.asarray(array)
    except ValueError:
        raise InputError(f"{name} is not an array of numbers: give (H, W), (H, W, 3) or (H, W, 4)") from None
    if picture.ndim == 2:
        picture = picture[..., np.newaxis]
    if picture.ndim != 3 or picture.shape[2] not in (1, 2, 3, 4):
        raise InputError(f"{name} has shape {np.shape(array)}: give (H, W), (H, W, 3) or (H, W, 4)")
    check_size((picture.shape[1], picture.shape[0]), name)
    if picture.dtype.kind == "u" and picture.dtype.itemsize <= 2:
        picture = picture.astype(np.float32) / np.float32(np.iinfo(picture.dtype).max)
    elif np.issubdtype(picture.dtype, np.floating):
        _check_range(picture, name)
        picture = np.clip(picture, 0, 1).astype(np.float32)
    else:
        raise InputError(f"{name} is of type {picture.dtype}: give uint8, uint16 or float in [0, 1]")
    if picture.shape[2] in (2, 4):
        colour, alpha = picture[..., :-1], picture[..., -1:]
        picture = colour * alpha + (1 - alpha)
    return np.ascontiguousarray(picture, dtype=np.float32)


def check_size(size: tuple[int, int], name: str) -> None:
    """Raise InputError if a side of `size` = (width, height) is shorter than the SSIM window; name: as above."""
    if min(size) < SIZE:
        raise InputError(f"{name} is {size[0]}×{size[1]} pixels: the shorter side must be {SIZE} or more")


def same_planes(arrays: Sequence[npt.ArrayLike], name: str) -> list[FloatArray]:
    """Return `arrays` as images of the same shape, (H, W, C) float32 sRGB in [0, 1].

    If any is in colour, grey ones are repeated in three planes. The first picture is called "`name` 1" in error
    messages. Raises InputError if there are none, if the sizes differ, and as `as_image` does.
    """
    images = [as_image(array, f"{name} {number}") for number, array in enumerate(arrays, start=1)]
    if not images:
        raise InputError(f"there is no {name}: give at least one")
    for number, image in enumerate(images, start=1):
        if image.shape[:2] != images[0].shape[:2]:
            raise InputError(
                f"{name} {number} is {_size(image)}, {name} 1 is {_size(images[0])}: make them the same size"
            )
    return spread_grey(images)


def spread_grey(images: Sequence[FloatArray]) -> list[FloatArray]:
    """Return `images` (H, W, C) with the same number of planes: if any has three, grey ones are repeated."""
    planes = max(image.shape[2] for image in images)
    return [np.repeat(image, planes // image.shape[2], axis=2) for image in images]


def planar(image: FloatArray) -> FloatArray:
    """Return `image` (H, W, C) in the layout of the kernels, (C, H, W) and contiguous."""
    return np.ascontiguousarray(np.moveaxis(image, -1, 0))


def code_values(image: FloatArray, planes: int = 3) -> npt.NDArray[np.uint8]:
    """Return `image` (H, W, C) float32 in [0, 1] as (H, W, planes) uint8 code values, rounded to nearest."""
    coloured = np.repeat(image, planes // image.shape[2], axis=2)
    return np.asarray(np.rint(coloured * np.float32(255)), dtype=np.uint8)


def _check_range(picture: npt.NDArray[np.floating], name: str) -> None:
    """Raise InputError unless all values are in [0, 1]; an excess up to 1e-6, as from resampling, is accepted."""
    low, high = float(np.min(picture)), float(np.max(picture))
    if not np.isfinite([low, high]).all():
        raise InputError(f"{name} contains NaN or infinite values: replace them by values in [0, 1]")
    if low < -1e-6 or high > 1 + 1e-6:
        raise InputError(
            f"{name} contains values from {low:.4g} to {high:.4g}: float pictures must be in [0, 1], "
            "divide by the largest code value, or pass uint8 or uint16"
        )


def _size(image: FloatArray) -> str:
    return f"{image.shape[1]}×{image.shape[0]}"
