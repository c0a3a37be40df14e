"""Code values to strips, to placed sheets, to squared errors and to shrunk rows, on the CPU, for one thread each.

Scoring runs bands of rows side by side, each in a thread of its own. Codes are (h, w, C) uint8 or uint16; a table
holds the float32 value of every code. A picture of one plane stands for a grey one: every plane reads plane 0.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from ..compiled import kernel
from ..exact import ERROR_BITS
from ..lanes import LANES
from ..layout import FloatArray, Strips
from ..placement.move import Move
from ..window import REACH

Codes = npt.NDArray[Any]
Index = npt.NDArray[np.int64]

_QUANTA = 2.0**ERROR_BITS
_BEYOND = np.float32(1.0)
"""Beyond a sheet the light box is seen."""


@kernel
def spread(image: Codes, table: FloatArray | None, strips: Strips, planes: FloatArray, top: int) -> None:
    """Copy `image` (h, W, c) into `planes` (C, across, H, L) from row `top` on, including the halos.

    table: (codes,), the values of `image`; None: `image` is float32 and holds values. Places outside the image are
    not changed.
    """
    groups, width = strips.groups, strips.width
    colour = image.shape[2] == 3 and planes.shape[0] == 3
    for y in range(image.shape[0]):
        for strip in range(strips.across):
            begin = strip * strips.own - REACH
            for lane in range(LANES):
                left = begin + lane * groups
                first, last = max(0, -left), min(groups, width - left)
                # Three planes at once, because their codes lie side by side: a third of the time.
                if colour:
                    for group in range(first, last):
                        at = group * LANES + lane
                        for c in range(3):
                            code = image[y, left + group, c]
                            planes[c, strip, top + y, at] = code if table is None else table[code]
                else:
                    for c in range(planes.shape[0]):
                        channel = min(c, image.shape[2] - 1)
                        for group in range(first, last):
                            code = image[y, left + group, channel]
                            planes[c, strip, top + y, group * LANES + lane] = code if table is None else table[code]


@kernel
def look_up_all(table: FloatArray, codes: Codes, out: FloatArray) -> None:
    """Write the values of `codes` (h, w, c) in `table` into `out` (h, w, C)."""
    height, width, planes = out.shape
    single = codes.shape[2] == 1
    for y in range(height):
        if codes.shape[2] == planes:
            for x in range(width):
                for c in range(planes):
                    out[y, x, c] = table[codes[y, x, c]]
        elif single:
            for x in range(width):
                value = table[codes[y, x, 0]]
                for c in range(planes):
                    out[y, x, c] = value


def place_exactly(
    table: FloatArray | None,
    part: Codes,
    corner: tuple[int, int],
    move: Move,
    place: tuple[int, int],
    out: FloatArray,
) -> None:
    """Write a part of a placed sheet into `out` (h, w, C), for a move that maps pixels onto pixels.

    part: of the sheet, (h', w', c); its first pixel is pixel `corner` = (row, column) of the sheet. table: the
    values of its codes; None: they are values. place: the row and column in the stack of the first pixel of `out`.
    Pixels of the stack beyond `part` become 1, the light box.
    """
    y, x = place
    row = round(move.row_y * y + move.row_x * x + move.row_0) - corner[0]
    column = round(move.column_y * y + move.column_x * x + move.column_0) - corner[1]
    down, across = (round(move.row_y), round(move.column_y)), (round(move.row_x), round(move.column_x))
    _place_exactly(table, part, (row, column), down, across, out)


@kernel
def _place_exactly(
    table: FloatArray | None,
    part: Codes,
    first: tuple[int, int],
    down: tuple[int, int],
    across: tuple[int, int],
    out: FloatArray,
) -> None:
    """Write pixel `first` + y·`down` + x·`across` of `part`, each (row, column), into pixel (y, x) of `out`."""
    height, width, channels = part.shape
    planes = out.shape[2]
    for y in range(out.shape[0]):
        row, column = first[0] + y * down[0], first[1] + y * down[1]
        for x in range(out.shape[1]):
            if 0 <= row < height and 0 <= column < width:
                for c in range(planes):
                    code = part[row, column, min(c, channels - 1)]
                    out[y, x, c] = code if table is None else table[code]
            else:
                for c in range(planes):
                    out[y, x, c] = _BEYOND
            row += across[0]
            column += across[1]


@kernel
def place_between(
    table: FloatArray | None,
    part: Codes,
    corner: tuple[int, int],
    move: Move,
    top: int,
    columns: tuple[int, int],
    out: FloatArray,
) -> None:
    """Write columns of a placed sheet into `out` (h, W, C), interpolated bilinearly between pixels of the sheet.

    part, corner: as for `place_exactly`. table: the values between which to interpolate. top: the row in the stack
    of the first row of `out`, which begins at column 0. Positions and weights are float64 and computed from the
    pixel's place in the stack, so the bytes do not depend on the part.
    """
    channels = part.shape[2]
    for i in range(out.shape[0]):
        y = float(top + i)
        for j in range(columns[0], columns[1]):
            row = move.row_y * y + move.row_x * j + move.row_0
            column = move.column_y * y + move.column_x * j + move.column_0
            above, before = math.floor(row), math.floor(column)
            down, right = row - above, column - before
            r, c = above - corner[0], before - corner[1]
            for plane in range(out.shape[2]):
                at = min(plane, channels - 1)
                corners = (
                    _value(table, part, r, c, at),
                    _value(table, part, r, c + 1, at),
                    _value(table, part, r + 1, c, at),
                    _value(table, part, r + 1, c + 1, at),
                )
                upper = (1 - right) * corners[0] + right * corners[1]
                lower = (1 - right) * corners[2] + right * corners[3]
                out[i, j, plane] = np.float32((1 - down) * upper + down * lower)


@kernel
def _value(table: FloatArray | None, part: Codes, row: int, column: int, channel: int) -> Any:
    """Return the value of a pixel of `part`, 1 beyond it."""
    if not (0 <= row < part.shape[0] and 0 <= column < part.shape[1]):
        return _BEYOND
    code = part[row, column, channel]
    return code if table is None else table[code]


@kernel
def squared_error(image: FloatArray, table: FloatArray, codes: Codes, weights: FloatArray | None) -> np.int64:
    """Return the sum of the squared differences of `image` (h, w, C) and `codes` (h, w, c), in 2^-ERROR_BITS.

    weights: of the pixels, (h, w) in [0, 1]; None: all count equally. The difference is float32, its square
    float64, and each is rounded to a whole number (ties to even), so that the sum does not depend on its order.
    """
    height, width, planes = image.shape
    single = codes.shape[2] == 1
    total = np.int64(0)
    for y in range(height):
        for x in range(width):
            for c in range(planes):
                difference = np.float64(image[y, x, c] - table[codes[y, x, 0 if single else c]])
                square = difference * difference
                if weights is not None:
                    square *= np.float64(weights[y, x])
                total += np.int64(np.rint(square * _QUANTA))
    return total


@kernel
def shrink_across(table: FloatArray, codes: Codes, first: Index, weights: FloatArray, out: FloatArray) -> None:
    """Write weighted sums along the rows of `codes` (h, w, c) into `out` (C, h, n).

    first: (n,), the first column of each output. weights: (n, taps), those of the columns from there on. Sums run
    in the order of the columns, in float32, as in resample.cpu.
    """
    planes, taps = out.shape[0], weights.shape[1]
    single = codes.shape[2] == 1
    for y in range(codes.shape[0]):
        for c in range(planes):
            at = 0 if single else c
            for j in range(len(first)):
                begin = first[j]
                value = weights[j, 0] * table[codes[y, begin, at]]
                for k in range(1, taps):
                    value += weights[j, k] * table[codes[y, begin + k, at]]
                out[c, y, j] = value
