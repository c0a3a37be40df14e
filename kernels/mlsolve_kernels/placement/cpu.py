"""Placing sheets and the way back on the CPU: every value is fetched from where its map says.

Both ways fetch, so that a value is written once and its sum has one order: the adjoint of an exact map is its inverse,
and that of a warp adds up, for a pixel of the sheet, all places of the stack that see it.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..compiled import kernel
from ..lanes import LANES, Row, ahead, load, load_one, row, store, store_one
from ..layout import FloatArray, Strips, columns
from ..ssim.stream import piece_of
from ..threads import share_of
from .frames import TURNED, WARPED, Ways

_OFF = -1
"""In place of an address: off the sheet, where the light box is seen; …"""
_BEYOND = -2
"""… beyond the image, where everything is zero."""

_FARTHEST = math.sqrt(2)
"""How far, along either axis, a place of the stack may be from one that shares a pixel of the sheet with it."""


class Tables(NamedTuple):
    """Where pixels lie in strips."""

    columns: npt.NDArray[np.int64]
    """(across, L): the column of the window that each place of a row holds, -1 beyond it."""
    offsets: npt.NDArray[np.int64]
    """(W,): where in a plane row 0 of each column lies, in the strip that answers for it."""
    scratch: npt.NDArray[np.int64]
    """(workers, L): where in a row the values of a row come from."""


def tables_for(strips: Strips, workers: int) -> Tables:
    """Return the tables of `strips` for so many workers."""
    length = strips.groups * LANES
    column = columns(strips)
    own = (column >= np.arange(strips.across)[:, np.newaxis] * strips.own) & (column < strips.width)
    own &= column < (np.arange(strips.across)[:, np.newaxis] + 1) * strips.own
    offsets = np.empty(strips.width, dtype=np.int64)
    strip, place = np.nonzero(own)
    offsets[column[own]] = strip * strips.height * length + place
    inside = (column >= 0) & (column < strips.width)
    return Tables(np.where(inside, column, -1), offsets, np.zeros((workers, length), dtype=np.int64))


def tables_bytes(strips: Strips, workers: int) -> int:
    """Return the memory that `tables_for` takes."""
    return 8 * ((strips.across + workers) * strips.groups * LANES + strips.width)


@kernel
def carry(
    source: FloatArray,
    source_numbers: npt.NDArray[np.int64],
    out: FloatArray,
    out_numbers: npt.NDArray[np.int64],
    ways: Ways,
    adds: npt.NDArray[np.bool_],
    background: np.float32,
    strips: Strips,
    tables: Tables,
    worker: int,
    workers: int,
) -> None:
    """Fetch K sheets by exact maps, and by warps if `background` is 1; one worker's share of the rows.

    source: (…, P, across, H, L), of which sheet k is number source_numbers[k]; out likewise. adds: (K,), whether what
    is fetched is added to what lies there. background: what is seen off the sheet, 1, or 0 on the way back.
    Planes are counted window by window.
    """
    planes = out.shape[1]
    of_window = planes // ways.places.shape[1]
    length = strips.groups * LANES
    scratch = row(tables.scratch, (worker,))
    start, stop = share_of(out_numbers.size * planes * strips.across * strips.height, worker, workers)
    while start < stop:
        piece = piece_of(start, stop, strips)
        k, plane = piece.plane // planes, piece.plane % planes
        window = plane // of_window
        map_, place = ways.maps[k, window], ways.places[k, window]
        there = row(source, (source_numbers[k], place[0] * of_window + plane % of_window))
        here = row(out, (out_numbers[k], plane, piece.strip))
        column = row(tables.columns, (piece.strip,))
        if place[5] == WARPED:
            if background != 0:
                _warp(there, here, map_, place, column, tables.offsets, strips, piece.first, piece.last)
            else:
                back = ways.back[k, window]
                add = adds[k]
                _unwarp(
                    there, here, map_, back, place, column, tables.offsets, strips, piece.first, piece.last, add
                )
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
    """Copy a row, or add it."""
    for at in range(0, length, LANES):
        value = load(there, at)
        if add:
            value = value + load(onto, at)
        store(onto, at, value)


@kernel
def _fetch(there: Row, addresses: Row, onto: Row, background: np.float32, add: bool, length: int) -> None:
    """Fetch a row from `addresses` after `there`."""
    nothing = np.float32(0)
    for at in range(length):
        address = load_one(addresses, at)
        value = background if address == _OFF else nothing
        if address >= 0:
            value = load_one(there, address)
        store_one(onto, at, load_one(onto, at) + value if add else value)


@kernel
def _fill(addresses: Row, onto: Row, background: np.float32, add: bool, length: int) -> None:
    """Fill a row that is off the sheet."""
    nothing = np.float32(0)
    for at in range(length):
        value = background if load_one(addresses, at) != _BEYOND else nothing
        store_one(onto, at, load_one(onto, at) + value if add else value)


@kernel
def _warp(
    there: Row,
    here: Row,
    map_: Any,
    place: Any,
    column: Row,
    offsets: Any,
    strips: Strips,
    first: int,
    last: int,
) -> None:
    """Fetch the rows first … last - 1 of a strip between pixels of the sheet."""
    length = strips.groups * LANES
    for y in range(first, last):
        for at in range(length):
            x, value = load_one(column, at), 0.0
            if x >= 0:
                # The whole image's coordinates first, so that rounding does not depend on the window.
                r = map_[0] * (y + place[1]) + map_[1] * (x + place[2]) + map_[2]
                c = map_[3] * (y + place[1]) + map_[4] * (x + place[2]) + map_[5]
                above, left = math.floor(r), math.floor(c)
                down, right = r - above, c - left
                top, aside = np.int64(above) - place[3], np.int64(left) - place[4]
                for i in range(2):
                    for j in range(2):
                        weight = (down if i == 1 else 1 - down) * (right if j == 1 else 1 - right)
                        if 0 <= top + i < strips.height and 0 <= aside + j < strips.width:
                            value += weight * load_one(there, offsets[aside + j] + (top + i) * length)
                        else:
                            value += weight
            store_one(here, y * length + at, np.float32(value))


@kernel
def _unwarp(
    there: Row,
    here: Row,
    map_: Any,
    forward: Any,
    place: Any,
    column: Row,
    offsets: Any,
    strips: Strips,
    first: int,
    last: int,
    add: bool,
) -> None:
    """Give back to the rows first … last - 1 of a strip of the sheet what the places of the stack about them saw.

    map_: from the sheet to the stack; forward: from the stack to the sheet.
    """
    length = strips.groups * LANES
    for y in range(first, last):
        for at in range(length):
            x, value = load_one(column, at), 0.0
            if x >= 0:
                whole_y, whole_x = y + place[1], x + place[2]
                middle_r = map_[0] * whole_y + map_[1] * whole_x + map_[2]
                middle_c = map_[3] * whole_y + map_[4] * whole_x + map_[5]
                for r in range(
                    np.int64(math.ceil(middle_r - _FARTHEST)), np.int64(math.floor(middle_r + _FARTHEST)) + 1
                ):
                    for c in range(
                        np.int64(math.ceil(middle_c - _FARTHEST)), np.int64(math.floor(middle_c + _FARTHEST)) + 1
                    ):
                        top, aside = r - place[3], c - place[4]
                        if 0 <= top < strips.height and 0 <= aside < strips.width:
                            down = 1 - abs(forward[0] * r + forward[1] * c + forward[2] - whole_y)
                            right = 1 - abs(forward[3] * r + forward[4] * c + forward[5] - whole_x)
                            if down > 0 and right > 0:
                                value += down * right * load_one(there, offsets[aside] + top * length)
            result = np.float32(value)
            if add:
                result = result + load_one(here, y * length + at)
            store_one(here, y * length + at, result)
