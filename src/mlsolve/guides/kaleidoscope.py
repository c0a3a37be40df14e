"""Kaleidoscopes: one wedge of a photo, mirrored all the way round."""

import math

import cv2
import numpy as np
import numpy.typing as npt

from ..errors import OptionError


def kaleidoscope(
    photo: npt.NDArray[np.uint8], size: tuple[int, int], seed: int = 0, fold: int = 6
) -> npt.NDArray[np.uint8]:
    """Return a picture of `size` = (width, height), (H, W, 3) uint8 sRGB, with `fold`-fold symmetry.

    photo: (H, W, 3) uint8 sRGB. fold: wedges, each mirrored once, 2 to 64. seed: which part of the photo
    the wedge shows. Turned about the middle by 360°/fold, a square picture looks the same. Raises
    OptionError for a fold out of range.
    """
    if not 2 <= fold <= 64:
        raise OptionError(f"fold is {fold}: it must be from 2 to 64")
    width, height = size
    rng = np.random.default_rng([seed, 0x6B61])
    rows, columns = photo.shape[:2]
    middle = np.array([columns, rows]) * rng.uniform(0.35, 0.65, 2)
    turn = rng.uniform(0, 2 * math.pi)
    scale = min(rows, columns) / min(size) * rng.uniform(0.7, 1.0)

    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    x, y = x - np.float32((width - 1) / 2), y - np.float32((height - 1) / 2)
    radius = np.hypot(x, y) * np.float32(scale)
    wedge = np.float32(2 * math.pi / fold)
    angle = np.arctan2(y, x) % wedge
    angle = np.minimum(angle, wedge - angle) + np.float32(turn)
    across = radius * np.cos(angle) + np.float32(middle[0])
    down = radius * np.sin(angle) + np.float32(middle[1])
    return np.asarray(
        cv2.remap(photo, across, down, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT), dtype=np.uint8
    )
