"""Code values of the layers and of the pictures they are compared with, row by row or by region.

Where rows are asked for from the top down, as bands of unmoved sheets are, they are read once and pass by: of a
print of any size only a few bands are in memory. Sheets that are turned need rows in another order; their files are
decoded into the store first.
"""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mlsolve_kernels.region import Region

from ..pictures.colour import encode, light_from_srgb
from ..solving.level_pictures import HIGHEST

Codes = npt.NDArray[Any]
"""sRGB code values, (h, w, C) uint8 or uint16."""

FloatArray = npt.NDArray[np.float32]

Wanted = Callable[[int, Region], Codes]
"""Returns a region of a layer, or of a target, guide or mask numbered as in `solving.spec`."""


class Tables(NamedTuple):
    """What the code values of a type stand for, each (256,) or (65536,) float32."""

    value: FloatArray
    """sRGB in [0, 1]."""
    light: FloatArray
    """Linear light."""
    encoded: FloatArray
    """Encoded transmittance."""


@cache
def tables(dtype: npt.DTypeLike) -> Tables:
    """Return the tables of uint8 or uint16 code values.

    Their entries are what the formulas for arrays give, to the last bit: a pixel's value depends on its code alone.
    """
    eight = np.dtype(dtype) == np.uint8
    codes = np.arange(256, dtype=np.uint16) * np.uint16(257) if eight else np.arange(65536).astype(np.uint16)
    value = np.asarray(codes / HIGHEST, dtype=np.float32)
    return Tables(value, np.asarray(light_from_srgb(value), dtype=np.float32), encode(value))


class Passing:
    """Rows of a picture that come from the top down; those that may be asked for again are kept."""

    def __init__(self, chunks: Iterator[Codes]) -> None:
        """chunks: yields the rows from first to last, (h, W, C), any number at a time."""
        self._chunks = chunks
        self._kept: list[tuple[int, Codes]] = []
        """The number of its first row, and the rows, of every chunk that is kept."""
        self._read = 0

    def take(self, top: int, bottom: int) -> Codes:
        """Return rows top … bottom - 1 in a new array, (h, W, C); `top` is never smaller than before."""
        while self._read < bottom:
            chunk = next(self._chunks)
            self._kept.append((self._read, chunk))
            self._read += len(chunk)
        self._kept = [(first, chunk) for first, chunk in self._kept if first + len(chunk) > top]
        parts = [chunk[max(0, top - first) : bottom - first] for first, chunk in self._kept if first < bottom]
        return np.concatenate(parts)
