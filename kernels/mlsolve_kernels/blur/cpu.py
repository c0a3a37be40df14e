"""The two halves of the blur as row functions, and the ring of rows between them.

A row is blurred along itself, put into a ring, and once the rows below it have come, BLOCK rows at a time
are blurred down the ring: then each row of the ring is loaded once for all of them, and loading is what the
blur spends its time on (bench/LOG.md #6). A ring is (2·PERIOD, L): row r lies at r mod PERIOD and PERIOD rows
further on as well, so that any PERIOD rows in succession lie one under the other.
"""

from typing import Final

import numpy as np

from ..compiled import fma, kernel
from ..layout import FloatArray
from ..window import SIZE, taps

BLOCK: Final = 4
"""Rows that are blurred down together."""

PERIOD: Final = 16
"""Rows a ring remembers: SIZE - 1 + BLOCK at least."""

RING_ROWS: Final = 2 * PERIOD

_TAPS: Final = tuple(np.float32(tap) for tap in taps())
_ZERO: Final = np.float32(0.0)


@kernel
def blur_along(row: FloatArray, ring: FloatArray, index: int) -> None:
    """Blur `row` (n + 2·RADIUS,) along itself into row `index` of `ring` (2·PERIOD, ≥ n).

    The result's pixel i has its window in the middle of row[i : i + SIZE].
    """
    count = row.size - (SIZE - 1)
    first = ring[index % PERIOD]
    second = ring[index % PERIOD + PERIOD]
    for i in range(count):
        total = _ZERO
        for k in range(SIZE):
            total = fma(_TAPS[k], row[i + k], total)
        first[i] = total
    for i in range(count):
        second[i] = first[i]


@kernel
def skip_row(ring: FloatArray, index: int) -> None:
    """Put zeros into row `index` of `ring`: a row beyond the border of the image."""
    ring[index % PERIOD, :] = _ZERO
    ring[index % PERIOD + PERIOD, :] = _ZERO


@kernel
def blur_down(ring: FloatArray, index: int, count: int, out: FloatArray) -> None:
    """Blur down into the first `count` columns of `out` (BLOCK, ≥ count): rows index … index + BLOCK - 1.

    The rows from index - RADIUS to index + BLOCK - 1 + RADIUS must lie in `ring` (2·PERIOD, ≥ count).
    """
    start = (index - SIZE // 2) % PERIOD
    rows = ring[start : start + SIZE - 1 + BLOCK]
    out_0, out_1, out_2, out_3 = out[0], out[1], out[2], out[3]
    for i in range(count):
        # All four before any is stored, so that what they share is loaded once.
        row_0, row_1 = _window(rows, 0, i), _window(rows, 1, i)
        row_2, row_3 = _window(rows, 2, i), _window(rows, 3, i)
        out_0[i] = row_0
        out_1[i] = row_1
        out_2[i] = row_2
        out_3[i] = row_3


@kernel
def _window(rows: FloatArray, top: int, i: int) -> np.float32:
    """Return the weighted sum of rows top … top + SIZE - 1 at column `i`."""
    total = _ZERO
    for k in range(SIZE):
        total = fma(_TAPS[k], rows[top + k, i], total)
    return total
