"""The two halves of the blur as row functions, and the ring of rows between them.

A row is blurred along itself, put into a ring, and blurred down the ring once the rows below it have
come. A ring is (2·SIZE, L): row r lies at r mod SIZE and SIZE rows further on as well, so that any
SIZE rows in succession lie one under the other and the taps are at fixed distances.
"""

from typing import Final

import numpy as np

from ..compiled import fma, kernel
from ..layout import FloatArray
from ..window import SIZE, taps

RING_ROWS: Final = 2 * SIZE

_TAPS: Final = tuple(np.float32(tap) for tap in taps())
_ZERO: Final = np.float32(0.0)


@kernel
def blur_along(row: FloatArray, ring: FloatArray, index: int) -> None:
    """Blur `row` (n + 2·RADIUS,) along itself into row `index` of `ring` (2·SIZE, ≥ n).

    The result's pixel i has its window in the middle of row[i : i + SIZE].
    """
    count = row.size - (SIZE - 1)
    first = ring[index % SIZE]
    second = ring[index % SIZE + SIZE]
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
    ring[index % SIZE, :] = _ZERO
    ring[index % SIZE + SIZE, :] = _ZERO


@kernel
def blur_down(ring: FloatArray, index: int, out: FloatArray) -> None:
    """Blur the rows index - RADIUS … index + RADIUS of `ring` (2·SIZE, ≥ n) down into `out` (n,)."""
    start = (index - SIZE // 2) % SIZE
    rows = ring[start : start + SIZE]
    for i in range(out.size):
        total = _ZERO
        for k in range(SIZE):
            total = fma(_TAPS[k], rows[k, i], total)
        out[i] = total
