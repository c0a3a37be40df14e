"""How an image is divided."""

from collections.abc import Iterator
from typing import NamedTuple

from mlsolve_kernels.region import Region


class Tile(NamedTuple):
    """What one task brings forward: a region of the planes first … last - 1."""

    first: int
    last: int
    region: Region


def tiles_of(shape: tuple[int, int], sides: tuple[int, int]) -> Iterator[Region]:
    """Yield the regions of `shape` = (height, width) with `sides` = (height, width), in order."""
    height, width = shape
    for top in range(0, height, sides[0]):
        for left in range(0, width, sides[1]):
            yield Region(top, min(top + sides[0], height), left, min(left + sides[1], width))


def window_of(region: Region, shape: tuple[int, int], window: tuple[int, int], halo: int) -> Region:
    """Return the region of `window` = (height, width) that holds `region` and its halo, as far as the image goes.

    At the image's borders it is shifted inwards, so that all windows are of one size and one workspace serves all.
    """
    top = min(max(region.top - halo, 0), shape[0] - window[0])
    left = min(max(region.left - halo, 0), shape[1] - window[1])
    return Region(top, top + window[0], left, left + window[1])
