"""How an image is divided."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from mlsolve_kernels.placement.frames import Frame
from mlsolve_kernels.region import Region


class Tile(NamedTuple):
    """What one task brings forward: regions of the planes first … last - 1."""

    first: int
    last: int
    regions: tuple[Region, ...]
    """One; or where sheets are turned and flipped those that come to lie on each other."""

    @property
    def region(self) -> Region:
        """The first of the regions."""
        return self.regions[0]


def tiles_of(shape: tuple[int, int], sides: tuple[int, int]) -> Iterator[Region]:
    """Yield the regions of `shape` = (height, width) with `sides` = (height, width), in order."""
    height, width = shape
    for top in range(0, height, sides[0]):
        for left in range(0, width, sides[1]):
            yield Region(top, min(top + sides[0], height), left, min(left + sides[1], width))


def groups_of(
    shape: tuple[int, int], sides: tuple[int, int], facings: Sequence[tuple[int, int, int, int]]
) -> Iterator[tuple[Region, ...]]:
    """Yield regions of `shape` with `sides`, grouped: those that `facings`, turns and flips, lay on each other."""
    regions = {cell_of(region, shape, sides): region for region in tiles_of(shape, sides)}
    while regions:
        y, x = next(iter(regions))
        cells = dict.fromkeys((a * y + b * x, c * y + d * x) for a, b, c, d in facings)
        yield tuple(regions.pop(cell) for cell in sorted(cells))


def cell_of(region: Region, shape: tuple[int, int], sides: tuple[int, int]) -> tuple[int, int]:
    """Return row and column of a tile in half tiles from the middle of all, which turns and flips leave alone."""
    rows, columns = (-(-side // own) for side, own in zip(shape, sides, strict=True))
    return 2 * (region.top // sides[0]) - (rows - 1), 2 * (region.left // sides[1]) - (columns - 1)


def overhang(shape: tuple[int, int], sides: tuple[int, int]) -> tuple[int, int]:
    """Return by how much the tiles of `sides` reach beyond `shape`, down and to the right.

    By so much a tile that is mirrored comes to lie beside the tile whose place it takes.
    """
    return -shape[0] % sides[0], -shape[1] % sides[1]


def window_of(region: Region, shape: tuple[int, int], window: tuple[int, int], halo: int) -> Region:
    """Return the region of `window` = (height, width) that holds `region` and its halo, as far as the image goes.

    What a window is larger than that it has above and to the left, where mirrored tiles hang over. At the image's
    borders it is shifted inwards, so that all windows are of one size and one workspace serves all.
    """
    top = min(max(region.bottom + halo - window[0], 0), shape[0] - window[0])
    left = min(max(region.right + halo - window[1], 0), shape[1] - window[1])
    return Region(top, top + window[0], left, left + window[1])


def frame_of(region: Region, outer: Region, shape: tuple[int, int], sides: tuple[int, int]) -> Frame:
    """Return where the window `outer` of a tile lies in an image of `shape`."""
    return Frame(outer.top, outer.left, cell_of(region, shape, sides))
