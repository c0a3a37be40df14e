"""The target that moves with its carriers, on the CPU."""

import math

import numpy as np
import numpy.typing as npt

from ..compiled import kernel
from ..lanes import LANES, Row, ahead, load, load_one, row, store, store_one
from ..layout import FloatArray, Strips
from ..placement.cpu import Tables
from ..placement.frames import WARPED, PlacementMaps
from ..ssim.stream import piece_of
from ..threads import share_of
from . import FIXED

_FIXED = np.float32(FIXED)
_NOWHERE = -(1 << 62)
"""Instead of an offset: outside the image."""


def scratch_for(strips: Strips, workers: int, sheets: int) -> npt.NDArray[np.int64]:
    """Return the work space of `move_target` for stacks of up to `sheets` sheets, (workers, sheets + 1, L)."""
    return np.zeros((workers, sheets + 1, strips.groups * LANES), dtype=np.int64)


def scratch_bytes(strips: Strips, workers: int, sheets: int) -> int:
    """Return the bytes that `scratch_for` allocates."""
    return 8 * workers * (sheets + 1) * strips.groups * LANES


@kernel
def move_target(
    target: FloatArray,
    masks: FloatArray,
    off: PlacementMaps,
    inside: FloatArray,
    strips: Strips,
    tables: Tables,
    scratch: npt.NDArray[np.int64],
    out: FloatArray,
    worker: int,
    workers: int,
) -> None:
    """Put the target of a stack together from itself, moved as its carriers are; one worker's share of the rows.

    target, out: (P, across, H, L), planes window by window. masks: (K, W, across, H, L). off: the maps of the K
    misalignments, which turn by small angles at most, so that a window maps to itself. inside: (across, L), 1 in
    the image, 0 beyond (`Masks.inside`). scratch: of `scratch_for`.
    """
    planes, sheets = target.shape[0], masks.shape[0]
    of_window = planes // masks.shape[1]
    length = strips.groups * LANES
    shifts = row(scratch, (worker, sheets))
    start, stop = share_of(planes * strips.across * strips.height, worker, workers)
    while start < stop:
        piece = piece_of(start, stop, strips)
        window = piece.plane // of_window
        there, here = row(target, (piece.plane,)), row(out, (piece.plane, piece.strip))
        column, counted = row(tables.columns, (piece.strip,)), row(inside, (piece.strip,))
        # Columns are shifted by whole vectors, as far as these are in the strip: from `low` to `high`.
        low, high, warped = 0, strips.groups, False
        for k in range(sheets):
            warped = warped or off.places[k, window, 5] == WARPED
            aside, addresses = int(off.maps[k, window, 5]), row(scratch, (worker, k))
            low, high = max(low, -aside), min(high, strips.groups - aside)
            for at in range(length):
                x = load_one(column, at)
                within = x >= 0 and 0 <= x + aside < strips.width
                store_one(addresses, at, tables.offsets[x + aside] if within else np.int64(-1))
        if warped or low >= high:
            low, high = 0, 0
        for y in range(piece.first, piece.last):
            for k in range(sheets):
                r = y + np.int64(off.maps[k, window, 2])
                shift = r * length + np.int64(off.maps[k, window, 5]) * LANES
                store_one(shifts, k, shift if 0 <= r < strips.height else _NOWHERE)
            strip, onto = piece.strip * strips.height * length, ahead(here, y * length)
            for at in range(low * LANES, high * LANES, LANES):
                sums = _FIXED * load(there, strip + y * length + at)
                weights = _FIXED + np.float32(0) * load(counted, at)
                for k in range(sheets):
                    shift = load_one(shifts, k)
                    if shift != _NOWHERE:
                        shares = load(row(masks, (k, window, piece.strip)), shift + at)
                        sums = sums + shares * load(there, strip + shift + at)
                        weights = weights + shares
                store(onto, at, sums / weights * load(counted, at))
            for edge in range(2):
                first, last = (0, low * LANES) if edge == 0 else (high * LANES, length)
                for at in range(first, last):
                    x, value = load_one(column, at), np.float32(0)
                    if x >= 0:
                        total, weight = _FIXED * load_one(there, tables.offsets[x] + y * length), _FIXED
                        for k in range(sheets):
                            mask, share, part = row(masks, (k, window)), np.float32(0), np.float32(0)
                            address, shift = load_one(row(scratch, (worker, k)), at), load_one(shifts, k)
                            if warped:
                                part, share = _between(there, mask, off, k, window, y, x, tables, strips)
                            elif address >= 0 and shift != _NOWHERE:
                                address += (y + np.int64(off.maps[k, window, 2])) * length
                                share = load_one(mask, address)
                                part = share * load_one(there, address)
                            total += part
                            weight += share
                        value = total / weight
                    store_one(onto, at, value)
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
