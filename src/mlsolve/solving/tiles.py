"""The division of an image into tiles, and the windows around them."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from mlsolve_kernels.placement.frames import Frame
from mlsolve_kernels.region import Region


class Tile(NamedTuple):
    """The part of an image that one task advances: regions of the planes first … last - 1."""

    first: int
    last: int
    regions: tuple[Region, ...]
    """One region; or several that rotations and flips of the sheets map onto each other."""

    @property
    def region(self) -> Region:
        """The first of the regions."""
        return self.regions[0]


def tiles_of(shape: tuple[int, int], sides: tuple[int, int]) -> Iterator[Region]:
    """Yield regions of `sides` = (height, width) that cover `shape` = (height, width), row by row."""
    height, width = shape
    for top in range(0, height, sides[0]):
        for left in range(0, width, sides[1]):
            yield Region(top, min(top + sides[0], height), left, min(left + sides[1], width))


def groups_of(
    shape: tuple[int, int], sides: tuple[int, int], facings: Sequence[tuple[int, int, int, int]]
) -> Iterator[tuple[Region, ...]]:
    """Yield the regions of `shape` with `sides` in groups that the rotations and flips `facings` couple."""
    regions = {cell_of(region, shape, sides): region for region in tiles_of(shape, sides)}
    while regions:
        y, x = next(iter(regions))
        cells = dict.fromkeys((a * y + b * x, c * y + d * x) for a, b, c, d in facings)
        yield tuple(regions.pop(cell) for cell in sorted(cells))


def cell_of(region: Region, shape: tuple[int, int], sides: tuple[int, int]) -> tuple[int, int]:
    """Return the row and column of a tile in half tiles from the centre of the grid, which stays in place."""
    rows, columns = (-(-whole // side) for whole, side in zip(shape, sides, strict=True))
    return 2 * (region.top // sides[0]) - (rows - 1), 2 * (region.left // sides[1]) - (columns - 1)


def overhang(shape: tuple[int, int], sides: tuple[int, int]) -> tuple[int, int]:
    """Return how far the tiles of `sides` extend beyond `shape`, (down, right), in pixels.

    A mirrored tile is displaced by this much from the tile that it is mapped to.
    """
    return -shape[0] % sides[0], -shape[1] % sides[1]


def window_of(region: Region, shape: tuple[int, int], window: tuple[int, int], halo: int) -> Region:
    """Return the region of size `window` = (height, width) that holds `region` and its halo, inside the image.

    A window that is larger than needed extends upwards and to the left, where mirrored tiles overhang. At the
    borders of the image it is shifted inwards, so that all windows have the same size and share one workspace.
    """
    top = min(max(region.bottom + halo - window[0], 0), shape[0] - window[0])
    left = min(max(region.right + halo - window[1], 0), shape[1] - window[1])
    return Region(top, top + window[0], left, left + window[1])


def frame_of(region: Region, outer: Region, shape: tuple[int, int], sides: tuple[int, int]) -> Frame:
    """Return the frame of a tile in an image of `shape`: the position of its window `outer`, and its cell."""
    return Frame(outer.top, outer.left, cell_of(region, shape, sides))
