"""Placing sheets, and the adjoint, on the CPU: every value is fetched from the place that its map gives.

Both directions fetch, so that every value is written once and its sum has a fixed order. The adjoint of an exact
map is its inverse. The adjoint of a warp sums, for a pixel of the sheet, over all places of the stack that were
interpolated from it.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..compiled import kernel
from ..lanes import LANES, Row, ahead, load, load_one, row, store, store_one
from ..layout import FloatArray, Strips, columns
from ..ssim.stream import Piece, piece_of
from ..threads import share_of
from .frames import TURNED, WARPED, PlacementMaps

_OFF = -1
"""Instead of an address: off the sheet, where the light box shows."""
_BEYOND = -2
"""Instead of an address: outside the image, where everything is zero."""

_FARTHEST = math.sqrt(2)
"""Largest distance, along either axis, from a pixel of the sheet to a place of the stack interpolated from it."""


_SEEING = 3
"""Places in a row that may be interpolated from one pixel: at most 3 whole numbers fit into 2·√2."""


class Tables(NamedTuple):
    """The positions of pixels in strips, and work space."""

    columns: npt.NDArray[np.int64]
    """(across, L): the column of the window that each place of a row holds; -1 outside the window."""
    offsets: npt.NDArray[np.int64]
    """(W,): the offset in a plane of row 0 of each column, in the strip that owns the column."""
    scratch: npt.NDArray[np.int64]
    """(workers, L): the offsets from which the values of a row are fetched."""
    weights: FloatArray
    """(workers, LANES): the weight of each place that was interpolated from a pixel."""


class Colours(NamedTuple):
    """The colour planes of a window."""

    number: int
    own: int
    """Number of the plane of this piece."""
    stride: int
    """Distance between planes, in float32."""


def tables_for(strips: Strips, workers: int) -> Tables:
    """Return the tables of `strips` for `workers` workers."""
    length = strips.groups * LANES
    column = columns(strips)
    own = (column >= np.arange(strips.across)[:, np.newaxis] * strips.own) & (column < strips.width)
    own &= column < (np.arange(strips.across)[:, np.newaxis] + 1) * strips.own
    offsets = np.empty(strips.width, dtype=np.int64)
    strip, place = np.nonzero(own)
    offsets[column[own]] = strip * strips.height * length + place
    inside = (column >= 0) & (column < strips.width)
    scratch, weights = np.zeros((workers, length), dtype=np.int64), np.zeros((workers, LANES), dtype=np.float32)
    return Tables(np.where(inside, column, -1), offsets, scratch, weights)


def tables_bytes(strips: Strips, workers: int) -> int:
    """Return the bytes that `tables_for` allocates."""
    return 8 * ((strips.across + workers) * strips.groups * LANES + strips.width) + 4 * workers * LANES


@kernel
def carry(
    source: FloatArray,
    source_numbers: npt.NDArray[np.int64],
    out: FloatArray,
    out_numbers: npt.NDArray[np.int64],
    placement: PlacementMaps,
    adds: npt.NDArray[np.bool_],
    background: np.float32,
    strips: Strips,
    tables: Tables,
    worker: int,
    workers: int,
) -> None:
    """Fetch K placed sheets, or the gradients by K layers; one worker's share of the rows.

    source: (…, P, across, H, L); sheet k is source[source_numbers[k]], and likewise for out. adds: (K,), whether
    the result is added to `out` instead of replacing it. background: the value off the sheet: 1 for sheets, 0 for
    gradients. Planes are ordered window by window.
    """
    planes = out.shape[1]
    of_window = planes // placement.places.shape[1]
    length = strips.groups * LANES
    scratch = row(tables.scratch, (worker,))
    start, stop = share_of(out_numbers.size * planes * strips.across * strips.height, worker, workers)
    while start < stop:
        piece = piece_of(start, stop, strips)
        k, plane = piece.plane // planes, piece.plane % planes
        window = plane // of_window
        map_, place = placement.maps[k, window], placement.places[k, window]
        there = row(source, (source_numbers[k], place[0] * of_window + plane % of_window))
        here = row(out, (out_numbers[k], plane, piece.strip))
        column = row(tables.columns, (piece.strip,))
        if place[5] == WARPED:
            # Addresses and weights are the same for all colours, so each colour's piece takes all colours of some
            # rows.
            colours = Colours(of_window, plane % of_window, strips.across * strips.height * length)
            there = row(source, (source_numbers[k], place[0] * of_window))
            here = row(out, (out_numbers[k], window * of_window, piece.strip))
            if background != 0 or _shifts(map_):
                _warp(there, here, map_, place, column, tables, strips, piece, colours, background, adds[k])
            else:
                back = placement.back[k, window]
                _unwarp(there, here, map_, back, place, column, tables, strips, piece, colours, adds[k], worker)
        elif place[5] == TURNED:
            for at in range(length):
                x, address = load_one(column, at), _BEYOND
                if x >= 0:
                    r = np.int64(map_[1] * (x + place[2]) + map_[2]) - place[3]
                    address = r * length if 0 <= r < strips.height else _OFF
                store_one(scratch, at, address)
            for y in range(piece.first, piece.last):
                c = np.int64(map_[3] * (y + place[1]) + map_[5]) - place[4]
                onto = ahead(here, y * length)
                if 0 <= c < strips.width:
                    _fetch(ahead(there, tables.offsets[c]), scratch, onto, background, adds[k], length)
                else:
                    _fill(scratch, onto, background, adds[k], length)
        else:
            aside = np.int64(map_[5]) + place[2] - place[4]
            same = map_[4] == 1 and aside == 0
            for at in range(length):
                x, address = load_one(column, at), _BEYOND
                if x >= 0:
                    c = np.int64(map_[4] * (x + place[2]) + map_[5]) - place[4]
                    address = tables.offsets[c] if 0 <= c < strips.width else _OFF
                store_one(scratch, at, address)
            for y in range(piece.first, piece.last):
                r = np.int64(map_[0] * (y + place[1]) + map_[2]) - place[3]
                onto = ahead(here, y * length)
                if not 0 <= r < strips.height:
                    _fill(scratch, onto, background, adds[k], length)
                elif same:
                    _copy(ahead(there, (piece.strip * strips.height + r) * length), onto, adds[k], length)
                else:
                    _fetch(ahead(there, r * length), scratch, onto, background, adds[k], length)
        start += piece.last - piece.first


@kernel
def _copy(there: Row, onto: Row, add: bool, length: int) -> None:
    """Copy a row, or add it to `onto`."""
    for at in range(0, length, LANES):
        value = load(there, at)
        if add:
            value = value + load(onto, at)
        store(onto, at, value)


@kernel
def _fetch(there: Row, addresses: Row, onto: Row, background: np.float32, add: bool, length: int) -> None:
    """Fetch a row: each value from its address, an offset from `there`."""
    nothing = np.float32(0)
    for at in range(length):
        address = load_one(addresses, at)
        value = background if address == _OFF else nothing
        if address >= 0:
            value = load_one(there, address)
        store_one(onto, at, load_one(onto, at) + value if add else value)


@kernel
def _fill(addresses: Row, onto: Row, background: np.float32, add: bool, length: int) -> None:
    """Fill a row that is entirely off the sheet."""
    nothing = np.float32(0)
    for at in range(length):
        value = background if load_one(addresses, at) != _BEYOND else nothing
        store_one(onto, at, load_one(onto, at) + value if add else value)


@kernel
def _shifts(map_: Any) -> bool:
    """Return whether a map only shifts: its adjoint is then a fetch by the opposite shift."""
    return bool(map_[0] == 1 and map_[1] == 0 and map_[3] == 0 and map_[4] == 1)


@kernel
def _warp(
    there: Row,
    here: Row,
    map_: Any,
    place: Any,
    column: Row,
    tables: Tables,
    strips: Strips,
    piece: Piece,
    colours: Colours,
    background: np.float32,
    add: bool,
) -> None:
    """Interpolate rows of a strip between pixels of the sheet: all colours of every colours.number-th row."""
    length, offsets = piece.length, tables.offsets
    for y in range(piece.first, piece.last):
        if y % colours.number != colours.own:
            continue
        for at in range(length):
            x = load_one(column, at)
            # Coordinates of the whole image come first, so that rounding does not depend on the window.
            r = map_[0] * (y + place[1]) + map_[1] * (x + place[2]) + map_[2]
            c = map_[3] * (y + place[1]) + map_[4] * (x + place[2]) + map_[5]
            above, left = math.floor(r), math.floor(c)
            down, right = np.float32(r - above), np.float32(c - left)
            top, aside = np.int64(above) - place[3], np.int64(left) - place[4]
            inner = 0 <= top < strips.height - 1 and 0 <= aside < strips.width - 1
            for colour in range(colours.number):
                plane, value = ahead(there, colour * colours.stride), np.float32(0)
                if x >= 0 and inner:
                    one, other = top * length + offsets[aside], top * length + offsets[aside + 1]
                    upper = _mix(load_one(plane, one), load_one(plane, other), right)
                    lower = _mix(load_one(plane, one + length), load_one(plane, other + length), right)
                    value = _mix(upper, lower, down)
                elif x >= 0:
                    value = _at_the_edge(plane, top, aside, down, right, offsets, strips, background)
                onto = colour * colours.stride + y * length + at
                store_one(here, onto, load_one(here, onto) + value if add else value)


@kernel
def _mix(one: np.float32, other: np.float32, share: np.float32) -> np.float32:
    """Interpolate between two values: share 0 gives `one`, 1 gives `other`."""
    return np.float32((np.float32(1) - share) * one + share * other)


@kernel
def _at_the_edge(
    there: Row,
    top: int,
    aside: int,
    down: np.float32,
    right: np.float32,
    offsets: Any,
    strips: Strips,
    background: np.float32,
) -> np.float32:
    """Interpolate between four pixels, some of which are off the sheet."""
    value = np.float32(0)
    for i in range(2):
        for j in range(2):
            one = np.float32(1)
            weight = (down if i == 1 else one - down) * (right if j == 1 else one - right)
            if 0 <= top + i < strips.height and 0 <= aside + j < strips.width:
                value += weight * load_one(there, offsets[aside + j] + (top + i) * strips.groups * LANES)
            else:
                value += weight * background
    return value


@kernel
def _unwarp(
    there: Row,
    here: Row,
    map_: Any,
    forward: Any,
    place: Any,
    column: Row,
    tables: Tables,
    strips: Strips,
    piece: Piece,
    colours: Colours,
    add: bool,
    worker: int,
) -> None:
    """The adjoint of `_warp`: for each pixel of some rows of the sheet, sum over the places of the stack around it.

    map_: from the sheet to the stack; forward: from the stack to the sheet. Of 3 × 3 places those with a positive
    weight count; the others are a pixel or more away.
    """
    length, offsets = piece.length, tables.offsets
    addresses, weights = row(tables.scratch, (worker,)), row(tables.weights, (worker,))
    for y in range(piece.first, piece.last):
        if y % colours.number != colours.own:
            continue
        for at in range(length):
            x, seen = load_one(column, at), 0
            if x >= 0:
                whole_y, whole_x = y + place[1], x + place[2]
                r = math.ceil(map_[0] * whole_y + map_[1] * whole_x + map_[2] - _FARTHEST)
                c = math.ceil(map_[3] * whole_y + map_[4] * whole_x + map_[5] - _FARTHEST)
                row_of = forward[0] * r + forward[1] * c + (forward[2] - whole_y)
                column_of = forward[3] * r + forward[4] * c + (forward[5] - whole_x)
                top, aside = np.int64(r) - place[3], np.int64(c) - place[4]
                for i in range(_SEEING):
                    for j in range(_SEEING):
                        down = 1 - abs(row_of + i * forward[0] + j * forward[1])
                        right = 1 - abs(column_of + i * forward[3] + j * forward[4])
                        there_is = 0 <= top + i < strips.height and 0 <= aside + j < strips.width
                        if down > 0 and right > 0 and there_is:
                            store_one(weights, seen, np.float32(down * right))
                            store_one(addresses, seen, offsets[aside + j] + (top + i) * length)
                            seen += 1
            for colour in range(colours.number):
                value = np.float32(0)
                for number in range(seen):
                    address = colour * colours.stride + load_one(addresses, number)
                    value += load_one(weights, number) * load_one(there, address)
                onto = colour * colours.stride + y * length + at
                store_one(here, onto, load_one(here, onto) + value if add else value)
