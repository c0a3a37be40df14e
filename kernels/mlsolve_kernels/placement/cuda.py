"""Placement maps for the CUDA kernels, as fixed-point numbers, for which sums of products are exact.

So a pixel gets the same place in every window, without float64, which is slow on most GPUs. The kernels are
gather.cu and scatter.cu.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from .frames import PlacementMaps

FRACTION: Final = 40
"""Bits after the point: a pixel 2¹⁷ from the centre is placed to 2⁻²³ of a pixel, and 2²⁰ pixels leave 2 bits to
spare."""

PART: Final = 23
"""Bits to which the fraction of a place is rounded: as many as a float32 below 1 can always hold."""

MAP_FIELDS: Final = 18
"""Numbers of a line: the fields of the map, of its inverse, and of the places of `PlacementMaps`."""


def lines_of(placement: PlacementMaps) -> npt.NDArray[np.int64]:
    """Return the maps of K sheets in W windows as lines of the kernels' table, (K, W, MAP_FIELDS) int64."""
    half = np.zeros(6, dtype=np.int64)
    half[[2, 5]] = 1 << (FRACTION - PART - 1)  # the kernels truncate to PART bits
    maps, back = (np.rint(one * 2.0**FRACTION).astype(np.int64) + half for one in (placement.maps, placement.back))
    return np.concatenate([maps, back, placement.places], axis=2)
