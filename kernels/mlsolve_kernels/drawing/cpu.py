"""Sub-pixels averaged to pixels, and places in the photo of a kaleidoscope, on the CPU."""

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..compiled import kernel

Float64Array = npt.NDArray[np.float64]

ACROSS: Final = 4
"""Sub-pixels of a pixel in each direction."""

FINEST: Final = 1024.0
"""Positions are rounded to 1/1024 of a pixel of the photo: then they are exact in float32, relative to any box."""

_FOUR: Final = np.uint64(4)
_ROUND: Final = np.uint64(7)
_ONE: Final = np.uint64(1)
_NONE: Final = np.uint64(0)


def average(numbers: npt.NDArray[Any], colours: npt.NDArray[np.uint8], out: npt.NDArray[np.uint8]) -> None:
    """Write the mean colour of every 4×4 sub-pixels to `out` (h, w, 3), halves rounded to even.

    numbers: (4·h, 4·w) contiguous, uint8 or uint16, for every sub-pixel the number of its colour. colours: (n, 3).
    """
    if numbers.dtype == np.uint8:
        _average(numbers.view(np.uint32), np.uint64(8), np.uint64(0x01010101), colours, out)
    else:
        _average(numbers.view(np.uint64), np.uint64(16), np.uint64(0x0001000100010001), colours, out)


@kernel
def _average(
    cells: npt.NDArray[Any],
    bits: np.uint64,
    repeated: np.uint64,
    colours: npt.NDArray[np.uint8],
    out: npt.NDArray[np.uint8],
) -> None:
    """Average as `average` does; cells: (4·h, w), four sub-pixels of `bits` bits each, side by side."""
    mask = (_ONE << bits) - _ONE
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            first, second = np.uint64(cells[4 * y, x]), np.uint64(cells[4 * y + 1, x])
            third, fourth = np.uint64(cells[4 * y + 2, x]), np.uint64(cells[4 * y + 3, x])
            only = first & mask
            if first == second and second == third and third == fourth and first == only * repeated:
                for channel in range(3):
                    out[y, x, channel] = colours[only, channel]
                continue
            red, green, blue = _NONE, _NONE, _NONE
            for four in (first, second, third, fourth):
                for _ in range(4):
                    number = four & mask
                    four >>= bits
                    red += np.uint64(colours[number, 0])
                    green += np.uint64(colours[number, 1])
                    blue += np.uint64(colours[number, 2])
            out[y, x, 0] = _sixteenth(red)
            out[y, x, 1] = _sixteenth(green)
            out[y, x, 2] = _sixteenth(blue)


@kernel
def _sixteenth(total: np.uint64) -> np.uint8:
    """Return total / 16, halves rounded to even."""
    return np.uint8((total + _ROUND + ((total >> _FOUR) & _ONE)) >> _FOUR)


@kernel
def place(
    left: float,
    top: float,
    maps: Float64Array,
    chosen: npt.NDArray[np.int64],
    middle: Float64Array,
    across: npt.NDArray[np.float32],
    down: npt.NDArray[np.float32],
) -> tuple[int, int, int, int]:
    """Write the place in a photo of every pixel of a block (h, w): its column to `across`, its row to `down`.

    left, top: the first pixel relative to the middle of the picture. maps: (2, 2, n), the matrices from there to
    the photo. chosen: the number of each pixel's matrix, (h, w), or (1, 1) if it is the same for all. middle: the
    place (x, y) of the middle. Places are rounded to 1/FINEST and relative to the first sample that they need:
    float32 is too coarse for positions in a large photo. Returns (top, bottom, left, right) of those samples.
    """
    height, width = across.shape
    same = chosen.shape[0] * chosen.shape[1] == 1 and height * width > 1
    least_x, most_x, least_y, most_y = math.inf, -math.inf, math.inf, -math.inf
    # Rounding keeps order, so with one matrix the extremes are at the corners.
    for y in range(0, height, max(1, height - 1) if same else 1):
        for x in range(0, width, max(1, width - 1) if same else 1):
            number = chosen[0, 0] if same else chosen[y, x]
            at_x = _at(maps[0, 0, number], maps[0, 1, number], left + x, top + y, middle[0])
            at_y = _at(maps[1, 0, number], maps[1, 1, number], left + x, top + y, middle[1])
            least_x, most_x = min(least_x, at_x), max(most_x, at_x)
            least_y, most_y = min(least_y, at_y), max(most_y, at_y)
    first_x, first_y = math.floor(least_x) - 1, math.floor(least_y) - 1
    for y in range(height):
        for x in range(width):
            number = chosen[0, 0] if same else chosen[y, x]
            at_x = _at(maps[0, 0, number], maps[0, 1, number], left + x, top + y, middle[0])
            at_y = _at(maps[1, 0, number], maps[1, 1, number], left + x, top + y, middle[1])
            across[y, x], down[y, x] = np.float32(at_x - first_x), np.float32(at_y - first_y)
    return first_y, math.floor(most_y) + 3, first_x, math.floor(most_x) + 3


@kernel
def _at(by_x: float, by_y: float, x: float, y: float, middle: float) -> float:
    """Return one coordinate of a place, rounded to 1/FINEST."""
    return np.rint((by_x * x + by_y * y + middle) * FINEST) / FINEST  # type: ignore[no-any-return, unused-ignore]
