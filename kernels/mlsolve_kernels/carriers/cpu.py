"""The target that moves with its carriers, on the CPU."""

import math

import numpy as np
import numpy.typing as npt

from ..compiled import kernel
from ..lanes import LANES, Row, load_one, row, store_one
from ..layout import FloatArray, Strips
from ..placement.cpu import Tables
from ..placement.frames import WARPED, PlacementMaps
from ..ssim.stream import piece_of
from ..threads import share_of
from . import FIXED

_FIXED = np.float32(FIXED)


def scratch_for(strips: Strips, workers: int, sheets: int) -> npt.NDArray[np.int64]:
    """Return the work space of `move_target` for stacks of up to `sheets` sheets, (workers, sheets, L)."""
    return np.zeros((workers, sheets, strips.groups * LANES), dtype=np.int64)


def scratch_bytes(strips: Strips, workers: int, sheets: int) -> int:
    """Return the bytes that `scratch_for` allocates."""
    return 8 * workers * sheets * strips.groups * LANES


@kernel
def move_target(
    target: FloatArray,
    masks: FloatArray,
    off: PlacementMaps,
    strips: Strips,
    tables: Tables,
    scratch: npt.NDArray[np.int64],
    out: FloatArray,
    worker: int,
    workers: int,
) -> None:
    """Put the target of a stack together from itself, moved as its carriers are; one worker's share of the rows.

    target, out: (P, across, H, L), planes window by window. masks: (K, W, across, H, L). off: the maps of the K
    misalignments, which turn by small angles at most, so that a window maps to itself. scratch: of `scratch_for`.
    """
    planes, sheets = target.shape[0], masks.shape[0]
    of_window = planes // masks.shape[1]
    length = strips.groups * LANES
    start, stop = share_of(planes * strips.across * strips.height, worker, workers)
    while start < stop:
        piece = piece_of(start, stop, strips)
        window = piece.plane // of_window
        there, here = row(target, (piece.plane,)), row(out, (piece.plane, piece.strip))
        column = row(tables.columns, (piece.strip,))
        warped = False
        for k in range(sheets):
            warped = warped or off.places[k, window, 5] == WARPED
            aside, addresses = np.int64(off.maps[k, window, 5]), row(scratch, (worker, k))
            for at in range(length):
                x = load_one(column, at)
                inside = x >= 0 and 0 <= x + aside < strips.width
                store_one(addresses, at, tables.offsets[x + aside] if inside else np.int64(-1))
        for y in range(piece.first, piece.last):
            for at in range(length):
                x = load_one(column, at)
                if x < 0:
                    store_one(here, y * length + at, np.float32(0))
                    continue
                own = load_one(there, tables.offsets[x] + y * length)
                total, weight = _FIXED * own, _FIXED
                for k in range(sheets):
                    mask = row(masks, (k, window))
                    if warped:
                        part, share = _between(there, mask, off, k, window, y, x, tables, strips)
                        total += part
                        weight += share
                        continue
                    r, address = y + np.int64(off.maps[k, window, 2]), load_one(row(scratch, (worker, k)), at)
                    if address >= 0 and 0 <= r < strips.height:
                        share = load_one(mask, address + r * length)
                        total += share * load_one(there, address + r * length)
                        weight += share
                store_one(here, y * length + at, total / weight)
        start += piece.last - piece.first


@kernel
def _between(
    target: Row,
    mask: Row,
    off: PlacementMaps,
    k: int,
    window: int,
    y: int,
    x: int,
    tables: Tables,
    strips: Strips,
) -> tuple[np.float32, np.float32]:
    """Return m·T and m between pixels, at the place of the target that sheet k has moved to place (y, x)."""
    map_, place = off.maps[k, window], off.places[k, window]
    # Coordinates of the whole image come first, so that rounding does not depend on the window.
    r = map_[0] * (y + place[1]) + map_[1] * (x + place[2]) + map_[2]
    c = map_[3] * (y + place[1]) + map_[4] * (x + place[2]) + map_[5]
    above, left = math.floor(r), math.floor(c)
    down, right = np.float32(r - above), np.float32(c - left)
    top, aside = np.int64(above) - place[3], np.int64(left) - place[4]
    total, weight, one = np.float32(0), np.float32(0), np.float32(1)
    for i in range(2):
        for j in range(2):
            if 0 <= top + i < strips.height and 0 <= aside + j < strips.width:
                address = tables.offsets[aside + j] + (top + i) * strips.groups * LANES
                near = (down if i == 1 else one - down) * (right if j == 1 else one - right)
                share = near * load_one(mask, address)
                total += share * load_one(target, address)
                weight += share
    return total, weight
