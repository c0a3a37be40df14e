"""The blur as vector functions: the window down a ring of rows, and along a row.

Both add the two rows, or columns, of equal weight before they multiply: six multiply-adds and five additions
for eleven taps, and additions have pipes of their own. Several results are formed together, for then each
vector is loaded once for all of them, and loading is what a blur spends its time on (bench/LOG.md #6, #8).

A ring is PERIOD rows of one strip: row r lies at place r mod PERIOD. A line is one row with RADIUS groups of
margin on either side, which hold what the neighbouring lanes hold.
"""

from typing import Final

import numpy as np

from ..compiled import kernel
from ..lanes import LANES, Lanes, Row, fma, load, load_one, store, store_one
from ..layout import BLOCK, QUAD
from ..window import RADIUS, SIZE, taps

PERIOD: Final = SIZE - 1 + BLOCK
"""Rows a ring remembers: the window of a block."""

MARGIN: Final = RADIUS * LANES
"""float32 values on either side of a line."""

_OUTER: Final = tuple(np.float32(tap) for tap in taps()[:RADIUS])
_MIDDLE: Final = np.float32(taps()[RADIUS])
_LAST: Final = SIZE - 1


@kernel
def find_rows(first: int, pitch: int, places: Row) -> None:
    """Put into `places` (PERIOD,) where rows first … first + PERIOD - 1 lie in a ring, its rows `pitch` apart."""
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
    """Return the vector `at` of BLOCK rows blurred down; the first has its window at places[0 : SIZE]."""
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
    """Return QUAD vectors of `line` blurred along it, from the vector `at` on."""
    return (
        _sum_along(line, at),
        _sum_along(line, at + LANES),
        _sum_along(line, at + 2 * LANES),
        _sum_along(line, at + 3 * LANES),
    )


@kernel
def wrap_margins(line: Row, length: int) -> None:
    """Fill the margins of `line` (length) with what lies there: the last groups one lane on, the first one back.

    The outermost lanes receive what belongs to the other end of the line. It reaches no farther than the
    halo, whose blurred values nobody uses.
    """
    for offset in range(0, MARGIN, LANES):
        store(line, offset - MARGIN, load(line, length - MARGIN + offset - 1))
        store(line, length + offset, load(line, offset + 1))


@kernel
def blur_along(line: Row, length: int, out: Row) -> None:
    """Put `line` (length), its margins filled, blurred along itself into `out` (length)."""
    for start in range(0, length, QUAD * LANES):
        sums = sums_along(line, start)
        for group in range(QUAD):
            store(out, start + group * LANES, sums[group])
