"""How sheets lie, as the CUDA kernels take it: maps of fixed point, in which sums of products are exact.

So a pixel finds the same place in whatever window it lies, without float64, which most GPUs are slow at. The
kernels are gather.cu and scatter.cu.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from .frames import Ways

FRACTION: Final = 40
"""Bits behind the point: a pixel 2¹⁷ from the middle is placed to 2⁻²³ of a pixel, and 2²⁰ pixels have 2 bits to
spare."""

PART: Final = 23
"""Bits to which a place between two pixels is rounded: as many as a float32 below 1 can always hold."""

WAY: Final = 18
"""Numbers of a line: the fields of the map, of its inverse, and of the places of `Ways`."""


def lines_of(ways: Ways) -> npt.NDArray[np.int64]:
    """Return `ways` of K sheets in W windows as lines of the kernels' table, (K, W, WAY)."""
    half = np.zeros(6, dtype=np.int64)
    half[[2, 5]] = 1 << (FRACTION - PART - 1)  # the kernels cut off what is behind PART bits
    maps, back = (np.rint(one * 2.0**FRACTION).astype(np.int64) + half for one in (ways.maps, ways.back))
    return np.concatenate([maps, back, ways.places], axis=2)
