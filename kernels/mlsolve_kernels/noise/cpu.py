"""Uniform noise as a function of a pixel's position, on the CPU."""

from typing import Final

import numpy as np

from ..compiled import kernel
from ..layout import FloatArray

_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_FIRST: Final = np.uint64(0xBF58476D1CE4E5B9)
_SECOND: Final = np.uint64(0x94D049BB133111EB)
_A: Final = np.uint64(30)
_B: Final = np.uint64(27)
_C: Final = np.uint64(31)
_TOP: Final = np.uint64(40)
_ONE: Final = np.uint64(1)
_UNIT: Final = np.float32(2.0**-24)
_HALF: Final = np.float32(0.5)


@kernel
def add_noise(image: FloatArray, seed: np.uint64, first: np.uint64, pitch: np.uint64, width: np.float32) -> None:
    """Add uniform noise in [-width/2, width/2) to `image` (H, W), in place.

    Pixel (y, x) uses number first + y·pitch + x of the sequence of `seed` (SplitMix64, reference.py).
    """
    for y in range(image.shape[0]):
        place = first + np.uint64(y) * pitch + _ONE
        for x in range(image.shape[1]):
            z = seed + (place + np.uint64(x)) * _GOLDEN
            z = (z ^ (z >> _A)) * _FIRST
            z = (z ^ (z >> _B)) * _SECOND
            z = z ^ (z >> _C)
            uniform = np.float32(z >> _TOP) * _UNIT
            image[y, x] += width * (uniform - _HALF)
