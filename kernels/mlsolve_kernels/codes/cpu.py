"""Code values and their differences, on the CPU."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..compiled import kernel
from ..layout import FloatArray

SUB: Final = np.uint8(1)
PAETH: Final = np.uint8(4)
"""The types of a row's filter (PNG specification, 3rd edition, section 9)."""

_ZERO: Final = np.float32(0)
_ONE: Final = np.float32(1)


@kernel
def to_codes(
    values: FloatArray, floors: npt.NDArray[np.uint16], steps: FloatArray, out: npt.NDArray[Any], plane: int
) -> None:
    """Write the codes of `values` (h, w) into plane `plane` of `out` (h, w, planes), uint8 or uint16.

    floors, steps: (cells + 1,). Values in [0, 1] are divided into equal cells, a power of two, so that finding the
    cell of a value is exact. A value in cell c has the code floors[c], or one more from the value steps[c] on.
    Values outside [0, 1] count as the nearer end, NaN as 0.
    """
    cells = np.float32(floors.size - 1)
    for y in range(values.shape[0]):
        for x in range(values.shape[1]):
            value = values[y, x]
            value = value if value > _ZERO else _ZERO
            value = value if value < _ONE else _ONE
            cell = np.uint32(value * cells)
            out[y, x, plane] = floors[cell] + (value >= steps[cell])


@kernel
def filtered(
    codes: npt.NDArray[np.uint8],
    above: npt.NDArray[np.uint8],
    first: np.uint8,
    pixel: int,
    out: npt.NDArray[np.uint8],
) -> int:
    """Write the bytes of rows, `codes` (h, n), with Paeth's filter into `out` (h, 1 + n).

    Returns how many of its bytes equal the three before them in their row.

    above: (n,) the row above the first, zeros for the filter SUB. first: the type of the first row's filter, PAETH
    or SUB. pixel: bytes per pixel.
    """
    count = 0
    for y in range(codes.shape[0]):
        row, before, into = codes[y], codes[y - 1] if y else above, out[y]
        into[0] = PAETH if y else first
        for x in range(pixel):
            into[1 + x] = row[x] - before[x]
        _paeth(row[pixel:], row[:-pixel], before[pixel:], before[:-pixel], into[1 + pixel :])
        count += _repeats(into)
    return count


@kernel
def differences(codes: npt.NDArray[Any], start: int, pixel: int, out: npt.NDArray[Any]) -> None:
    """Write rows, `codes` (h, n), from value `start` on into a tile, `out` (H, N), as differences along the rows.

    pixel: values per pixel. The last row and the last pixel of a row are repeated where the tile is larger; then
    every pixel but the first of a row becomes its difference from the pixel to the left, modulo the type's range.
    """
    rows, stop = codes.shape[0], min(start + out.shape[1], codes.shape[1])
    for y in range(out.shape[0]):
        row, into = codes[min(y, rows - 1), start:stop], out[y]
        into[:pixel] = row[:pixel]
        _subtract(row[pixel:], row[:-pixel], into[pixel:])
        into[row.size :] = 0


@kernel
def repeats(data: npt.NDArray[np.uint8]) -> int:
    """Return how many of the bytes `data` (h, n) equal the three bytes before them in their row."""
    count = 0
    for y in range(data.shape[0]):
        count += _repeats(data[y])
    return count


@kernel
def _paeth(
    codes: npt.NDArray[np.uint8],
    lefts: npt.NDArray[np.uint8],
    ups: npt.NDArray[np.uint8],
    corners: npt.NDArray[np.uint8],
    out: npt.NDArray[np.uint8],
) -> None:
    """Write `codes` less the nearest of three neighbours, all (n,). Views from 0 on, so that LLVM vectorises it."""
    for x in range(codes.size):
        left, up, corner = np.int16(lefts[x]), np.int16(ups[x]), np.int16(corners[x])
        by_left, by_up = np.int16(up - corner), np.int16(left - corner)
        by_corner = np.int16(by_left + by_up)
        by_left = max(by_left, np.int16(-by_left))
        by_up = max(by_up, np.int16(-by_up))
        by_corner = max(by_corner, np.int16(-by_corner))
        guess = up if by_up <= by_corner else corner
        guess = left if (by_left <= by_up) & (by_left <= by_corner) else guess
        out[x] = codes[x] - np.uint8(guess)


@kernel
def _subtract(codes: npt.NDArray[Any], lefts: npt.NDArray[Any], out: npt.NDArray[Any]) -> None:
    for x in range(codes.size):
        out[x] = codes[x] - lefts[x]


@kernel
def _repeats(row: npt.NDArray[np.uint8]) -> int:
    count = np.uint32(0)
    one, two, three, four = row[:-3], row[1:-2], row[2:-1], row[3:]
    for x in range(one.size):
        count += np.uint32(((one[x] ^ two[x]) | (two[x] ^ three[x]) | (three[x] ^ four[x])) == 0)
    return int(count)
