"""Codes to values by a table, values to the nearest codes, and codes averaged by their values, on the CPU."""

from typing import Final

import numpy as np
import numpy.typing as npt

from ..compiled import kernel
from ..layout import FloatArray

_HALF: Final = np.float32(0.5)
_NOTHING: Final = np.float32(0)
_ALL: Final = np.float32(1)
_HIGHEST: Final = np.float32(65535)


@kernel
def look_up(
    table: FloatArray,
    blocks: npt.NDArray[np.uint16],
    side: int,
    row: int,
    column: int,
    out: FloatArray,
    top: int,
    bottom: int,
    left: int,
    right: int,
) -> None:
    """Write the values in `table` (65536,) of codes into rows top … bottom - 1, columns left … right - 1 of `out`.

    blocks: (n, side² or more), each begins with a block of side × side codes; they are beside each other. row,
    column: of the first code, in the first block. NumPy's take would first convert the codes to 64-bit integers,
    allocate an array and then copy it: three times the time (bench/LOG.md #54).
    """
    for block in range(blocks.shape[0]):
        first = column if block == 0 else 0
        count = min(side - first, right - left)
        for y in range(top, bottom):
            at = (row + y - top) * side + first
            for x in range(count):
                out[y, left + x] = table[blocks[block, at + x]]
        left += count


@kernel
def nearest_codes(values: FloatArray, codes: npt.NDArray[np.uint16]) -> None:
    """Write the codes nearest to `values` (n,) in [0, 1] into `codes` (n,); values outside are clipped.

    Halves are rounded to even.
    """
    for i in range(len(values)):
        codes[i] = _code(values[i])


@kernel
def halve_codes(table: FloatArray, codes: npt.NDArray[np.uint16], out: npt.NDArray[np.uint16]) -> None:
    """Average 2×2 `codes` (h, w) by their values in `table` (65536,); write the nearest codes to `out`.

    out: (⌈h/2⌉, ⌈w/2⌉). The last row or column of an odd side is averaged alone. The order is that of `resample` by
    `area_taps`: first across, then down.
    """
    height, width = codes.shape
    for y in range(out.shape[0]):
        upper, lower = 2 * y, min(2 * y + 1, height - 1)
        for x in range(width // 2):
            above = _HALF * table[codes[upper, 2 * x]] + _HALF * table[codes[upper, 2 * x + 1]]
            below = _HALF * table[codes[lower, 2 * x]] + _HALF * table[codes[lower, 2 * x + 1]]
            out[y, x] = _code(_HALF * above + _HALF * below)
        if width % 2:
            above, below = table[codes[upper, width - 1]], table[codes[lower, width - 1]]
            out[y, width // 2] = _code(_HALF * above + _HALF * below)


@kernel
def _code(value: np.float32) -> np.uint16:
    """Return the code nearest to `value`, clipped to [0, 1]."""
    return np.uint16(np.rint(min(max(value, _NOTHING), _ALL) * _HIGHEST))
