"""The memory layout of images in the CPU kernels: strips of columns, with sixteen columns interleaved.

A plane is cut into strips of columns. A strip includes REACH columns of its neighbours on either side, its halo, so
that one iteration needs no other data. Outside the image the halo is zero, which is the border rule. A row of a
strip is `groups` vectors of LANES float32. Position p of the row, counted from the left end of the halo, is lane
p // groups of group p % groups:

    group 0:   p = 0, groups, 2·groups, …          group 1:   p = 1, groups + 1, 2·groups + 1, …

So the right neighbour of every pixel in a vector is in the same lane of the next vector, and the window moves along
a row as it moves down the rows: by whole vectors, each loaded once for several results. Only at the end of a lane
must values be fetched from the next lane: `blur.cpu.wrap_margins`.
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from .compiled import kernel
from .lanes import LANES, Row, load_one, row, store_one
from .region import Region
from .threads import Team, share_of
from .window import RADIUS, REACH

FloatArray = npt.NDArray[np.float32]
SumArray = npt.NDArray[np.float64]

QUAD: Final = 4
"""Groups that are blurred along a row together. The groups of a strip are a multiple of it."""

WIDEST: Final = 44
"""Most groups of a strip. The rings of four streams of this width just fill the second-level cache
(bench/LOG.md #13)."""


BLOCK: Final = RADIUS
"""Rows that kernels process together: the radius of the window, so that a window needs whole blocks of rows."""


ROWS: Final = 16
"""Rows that are rearranged together. A strip of them stays in the cache while its lanes are filled one by one."""


class Strips(NamedTuple):
    """How planes of height × width pixels are cut; a plane is stored as (across, height, groups·LANES) float32."""

    height: int
    width: int
    across: int
    """Number of strips, from left to right."""
    own: int
    """Columns that a strip owns; the last strip may own fewer. The rest is halo and padding."""
    groups: int
    """Vectors in a row of a strip, a multiple of QUAD."""


def strips_for(height: int, width: int) -> Strips:
    """Return the cut that stores the fewest values."""
    cuts = []
    for groups in range(2 * QUAD, WIDEST + 1, QUAD):
        count = -(-width // (groups * LANES - 2 * REACH))
        cuts.append((count * groups, count, groups))
    _, count, groups = min(cuts)
    return Strips(height, width, count, -(-width // count), groups)


class Arena:
    """One block of memory for the arrays of one state after another.

    The system hands out memory page by page, and clears every page: at 7087×7087 that took longer than an iteration
    (bench/LOG.md #104). Pages of the block that an earlier state has used are cleared here, ten times as fast.
    """

    def __init__(self, size: int) -> None:
        """Reserve `size` bytes. Pages that are never used take no memory."""
        self._block = aligned_zeros(max(1, size // 4))
        self._taken = self._touched = 0

    def zeros(self, size: int) -> FloatArray:
        """Return `size` float32 zeros that begin at a cache line; outside the block if that is full."""
        begin, end = self._taken, self._taken + -(-size // LANES) * LANES
        if end > len(self._block):
            return aligned_zeros(size)
        self._block[begin : max(begin, min(end, self._touched))] = 0
        self._taken, self._touched = end, max(end, self._touched)
        return self._block[begin : begin + size]

    def reset(self) -> None:
        """Take back all arrays: the state that they belong to is no longer used."""
        self._taken = 0


def stored(strips: Strips, *leading: int, arena: Arena | None = None) -> FloatArray:
    """Return zeros (*leading, across, height, groups·LANES) float32 that begin at a cache line.

    One more block of rows follows in memory, because kernels that process whole blocks read beyond the last row.
    arena: where they are taken from; None: the system.
    """
    shape = (*leading, strips.across, strips.height, strips.groups * LANES)
    size = int(np.prod(shape))
    padded = size + BLOCK * shape[-1]
    return (aligned_zeros(padded) if arena is None else arena.zeros(padded))[:size].reshape(shape)


def aligned_zeros(*shape: int) -> FloatArray:
    """Return float32 zeros of `shape` that begin at a cache line: a vector that crosses lines costs two loads."""
    line = LANES * np.dtype(np.float32).itemsize
    memory = np.zeros(int(np.prod(shape)) + LANES, dtype=np.float32)
    start = -memory.ctypes.data % line // memory.itemsize
    return memory[start : start + int(np.prod(shape))].reshape(shape)


def put_plane(
    image: npt.NDArray[np.floating],
    strips: Strips,
    plane: FloatArray,
    top: int = 0,
    bounds: tuple[float, float] = (-np.inf, np.inf),
) -> None:
    """Copy `image` (h, W) into `plane` (across, H, groups·LANES) from row `top` on, including the halos.

    bounds: the range to which values are clamped; NaN stays. Places outside the image are not changed.
    """
    low, high = (np.float32(bound) for bound in bounds)
    _spread(np.ascontiguousarray(image, dtype=np.float32), strips, plane, top, low, high)


def take_plane(plane: FloatArray, strips: Strips, image: FloatArray, top: int = 0) -> None:
    """Copy the pixels of `plane` (across, H, groups·LANES) from row `top` on into `image` (h, W)."""
    _gather(plane, strips, image, top)


def to_strips(images: npt.NDArray[np.floating], strips: Strips) -> FloatArray:
    """Return `images` (P, H, W) as planes of strips (P, across, H, groups·LANES), including the halos."""
    result = stored(strips, len(images))
    for image, plane in zip(images, result, strict=True):
        put_plane(image, strips, plane)
    return result


def from_strips(planes: FloatArray, strips: Strips) -> FloatArray:
    """Return planes of strips (..., across, H, groups·LANES) as images (..., H, W)."""
    flat = planes.reshape(-1, *planes.shape[-3:])
    result = np.empty((len(flat), strips.height, strips.width), dtype=np.float32)
    for plane, image in zip(flat, result, strict=True):
        take_plane(plane, strips, image)
    return result.reshape(*planes.shape[:-3], strips.height, strips.width)


def columns(strips: Strips) -> npt.NDArray[np.int64]:
    """Return the image column of each place of a row, (across, groups·LANES); it may be outside the image."""
    position = np.arange(strips.groups * LANES).reshape(LANES, strips.groups).T.ravel()
    return np.arange(strips.across)[:, None] * strips.own - REACH + position


class Masks(NamedTuple):
    """Which places of a row count, (across, groups·LANES) float32, 1 or 0."""

    inside: FloatArray
    """Pixels of the image; not places beyond its left or right border."""
    own: FloatArray
    """Pixels that the strip owns."""
    counted: FloatArray
    """Owned pixels whose terms are summed."""


class Window(NamedTuple):
    """Rows top … bottom - 1 of the strips left … right - 1: the part that an iteration updates."""

    top: int
    bottom: int
    left: int
    right: int


@kernel
def whole(strips: Strips) -> Window:
    """Return the window that covers the whole image."""
    return Window(0, strips.height, 0, strips.across)


def window_around(strips: Strips, region: Region, margin: int) -> Window:
    """Return the smallest window that holds `region` and `margin` pixels around it, inside the image."""
    grown = region.grown(margin, strips.height, strips.width)
    return Window(grown.top, grown.bottom, grown.left // strips.own, -(-grown.right // strips.own))


def masks_of(strips: Strips, counted: Region | None = None) -> Masks:
    """Return the masks of `strips`, each beginning at a cache line; counted: the columns that count, None: all."""
    masks = Masks(*(aligned_zeros(strips.across, strips.groups * LANES) for _ in range(3)))
    column = columns(strips)
    left = np.arange(strips.across)[:, None] * strips.own
    masks.inside[...] = (column >= 0) & (column < strips.width)
    masks.own[...] = (column >= left) & (column < np.minimum(left + strips.own, strips.width))
    first, last = (0, strips.width) if counted is None else (counted.left, counted.right)
    masks.counted[...] = masks.own * ((column >= first) & (column < last))
    return masks


@kernel
def _spread(
    image: FloatArray, strips: Strips, plane: FloatArray, top: int, low: np.float32, high: np.float32
) -> None:
    """Copy `image` (h, W), clamped to [low, high], into `plane` (across, H, groups·LANES) from row `top` on."""
    for start in range(0, image.shape[0], ROWS):
        for strip in range(strips.across):
            for lane in range(LANES):
                left = strip * strips.own - REACH + lane * strips.groups
                first, last = max(0, -left), min(strips.groups, strips.width - left)
                for y in range(start, min(start + ROWS, image.shape[0])):
                    for group in range(first, last):
                        value = image[y, left + group]
                        value = low if value < low else value
                        plane[strip, top + y, group * LANES + lane] = high if value > high else value


@kernel
def _gather(plane: FloatArray, strips: Strips, image: FloatArray, top: int) -> None:
    """Copy the owned columns of `plane` (across, H, groups·LANES) from row `top` on into `image` (h, W)."""
    for start in range(0, image.shape[0], ROWS):
        for strip in range(strips.across):
            own = min(strips.own, strips.width - strip * strips.own)
            for lane in range(LANES):
                begin = lane * strips.groups - REACH
                first, last = max(0, -begin), min(strips.groups, own - begin)
                left = strip * strips.own + begin
                for y in range(start, min(start + ROWS, image.shape[0])):
                    for group in range(first, last):
                        image[y, left + group] = plane[strip, top + y, group * LANES + lane]


@kernel
def _exchange(planes: FloatArray, strips: Strips, worker: int, workers: int) -> None:
    """Fill the halos of `planes` (P, across, H, groups·LANES) from adjacent strips; one worker's share."""
    borders = strips.across - 1
    start, stop = share_of(planes.shape[0] * borders * strips.height, worker, workers)
    for number in range(start, stop):
        column, y = number // strips.height, number % strips.height
        plane, strip = column // borders, column % borders
        left, right = row(planes, (plane, strip, y)), row(planes, (plane, strip + 1, y))
        for i in range(REACH):
            _copy(left, strips.own + i, right, i, strips.groups)
            _copy(right, REACH + i, left, REACH + strips.own + i, strips.groups)


@kernel
def _copy(source: Row, position: int, target: Row, place: int, groups: int) -> None:
    """Copy position `position` of one row to position `place` of another."""
    value = load_one(source, position % groups * LANES + position // groups)
    store_one(target, place % groups * LANES + place // groups, value)


def exchange_halos(planes: FloatArray, strips: Strips, team: Team) -> None:
    """Update the halos of `planes` (..., across, H, groups·LANES) with the pixels of adjacent strips."""
    if strips.across > 1:
        team.run(_exchange, planes.reshape(-1, *planes.shape[-3:]), strips)
