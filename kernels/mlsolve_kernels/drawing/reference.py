"""References of averaged sub-pixels and of places in the photo of a kaleidoscope."""

from typing import Any

import numpy as np
import numpy.typing as npt


def average(numbers: npt.NDArray[Any], colours: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Return the mean colours of 4×4 sub-pixels, (h, w, 3), not rounded. Arguments as of `cpu.average`."""
    height, width = numbers.shape
    cells = colours[numbers].astype(np.float64).reshape(height // 4, 4, width // 4, 4, 3)
    return np.asarray(cells.mean(axis=(1, 3)))


def place(
    left: float,
    top: float,
    maps: npt.NDArray[np.float64],
    chosen: npt.NDArray[np.int64],
    middle: npt.NDArray[np.float64],
    shape: tuple[int, int],
) -> npt.NDArray[np.float64]:
    """Return the places (2, h, w), column and row in the photo, not rounded. Arguments as of `cpu.place`."""
    found = np.empty((2, *shape))
    for y in range(shape[0]):
        for x in range(shape[1]):
            number = chosen[0, 0] if chosen.size == 1 else chosen[y, x]
            found[:, y, x] = maps[:, :, number] @ [left + x, top + y] + middle
    return found
