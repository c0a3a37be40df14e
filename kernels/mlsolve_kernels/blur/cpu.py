"""The blur, vectorised: the window down a ring of rows, and along a row.

Both add the two rows or columns of equal weight before multiplying: eleven taps cost six multiply-adds and five
additions, and additions have their own execution units. Several results are computed together, so that a vector is
loaded once for all: a blur spends most of its time on loads (bench/LOG.md #6, #8).

A ring holds PERIOD rows of one strip; row r is at place r mod PERIOD. A line is one row with margins of RADIUS
groups on either side, which repeat the values of the neighbouring lanes.
"""

from typing import Final

import numpy as np

from ..compiled import kernel
from ..lanes import LANES, Lanes, Row, fma, load, load_one, store, store_one
from ..layout import BLOCK, QUAD
from ..window import RADIUS, SIZE, taps

PERIOD: Final = SIZE - 1 + BLOCK
"""Rows that a ring holds: those of the windows of one block."""

MARGIN: Final = RADIUS * LANES
"""float32 values on either side of a line."""

_OUTER: Final = tuple(np.float32(tap) for tap in taps()[:RADIUS])
_MIDDLE: Final = np.float32(taps()[RADIUS])
_LAST: Final = SIZE - 1


@kernel
def find_rows(first: int, pitch: int, places: Row) -> None:
    """Store in `places` (PERIOD,) the offsets of rows first … first + PERIOD - 1 in a ring; pitch: of its rows."""
    for k in range(PERIOD):
        store_one(places, k, (first + k) % PERIOD * pitch)


@kernel
def _sum_down(ring: Row, places: Row, top: int, at: int) -> Lanes:
    """Return the weighted sum of the rows places[top : top + SIZE] of `ring` at the vector `at`."""
    result = _MIDDLE * load(ring, load_one(places, top + RADIUS) + at)
    for k in range(RADIUS):
        pair = load(ring, load_one(places, top + k) + at) + load(ring, load_one(places, top + _LAST - k) + at)
        result = fma(_OUTER[k], pair, result)
    return result


@kernel
def sums_down(ring: Row, places: Row, at: int) -> tuple[Lanes, Lanes, Lanes, Lanes, Lanes]:
    """Return the vector `at` of BLOCK rows, blurred down; the window of the first row is places[0 : SIZE]."""
    return (
        _sum_down(ring, places, 0, at),
        _sum_down(ring, places, 1, at),
        _sum_down(ring, places, 2, at),
        _sum_down(ring, places, 3, at),
        _sum_down(ring, places, 4, at),
    )


@kernel
def _sum_along(line: Row, at: int) -> Lanes:
    """Return the weighted sum of the groups around the vector `at` of `line`."""
    result = _MIDDLE * load(line, at)
    for k in range(RADIUS):
        aside = (RADIUS - k) * LANES
        result = fma(_OUTER[k], load(line, at - aside) + load(line, at + aside), result)
    return result


@kernel
def sums_along(line: Row, at: int) -> tuple[Lanes, Lanes, Lanes, Lanes]:
    """Return QUAD vectors of `line`, blurred along it, from the vector `at` on."""
    return (
        _sum_along(line, at),
        _sum_along(line, at + LANES),
        _sum_along(line, at + 2 * LANES),
        _sum_along(line, at + 3 * LANES),
    )


@kernel
def wrap_margins(line: Row, length: int) -> None:
    """Fill the margins of `line` (length): the left one with the last groups, the right one with the first groups.

    They are shifted by one lane, so that each lane continues its neighbour. The outermost lanes receive values from
    the other end of the line. These affect only the halo, whose blurred values are not used.
    """
    for offset in range(0, MARGIN, LANES):
        store(line, offset - MARGIN, load(line, length - MARGIN + offset - 1))
        store(line, length + offset, load(line, offset + 1))


@kernel
def blur_along(line: Row, length: int, out: Row) -> None:
    """Blur `line` (length), whose margins are filled, along itself into `out` (length)."""
    for start in range(0, length, QUAD * LANES):
        sums = sums_along(line, start)
        for group in range(QUAD):
            store(out, start + group * LANES, sums[group])
