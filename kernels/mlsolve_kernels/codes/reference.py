"""References of code values, of PNG's filters and of TIFF's differences."""

from typing import Any

import numpy as np
import numpy.typing as npt


def to_codes(values: npt.NDArray[np.floating], steps: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
    """Return the codes of `values` (any shape); steps: (highest,) the least value of each code from 1 on."""
    return np.array([sum(value >= step for step in steps) for value in values.ravel()]).reshape(values.shape)


def filtered(
    codes: npt.NDArray[np.uint8], above: npt.NDArray[np.uint8] | None, pixel: int
) -> npt.NDArray[np.uint8]:
    """Return the rows `codes` (h, n) with PNG's filters, (h, 1 + n): Paeth's, and Sub where no row is above."""
    result = []
    for row in codes.astype(int):
        found = [4 if above is not None else 1]
        for x, code in enumerate(row):
            left = row[x - pixel] if x >= pixel else 0
            up = 0 if above is None else int(above[x])
            corner = 0 if above is None or x < pixel else int(above[x - pixel])
            guess = left + up - corner
            # Of equally near ones the first: left, above, corner.
            nearest = min((left, up, corner), key=lambda one: abs(guess - one)) if above is not None else left
            found.append((code - nearest) % 256)
        result.append(found)
        above = row
    return np.array(result, np.uint8)


def differences(codes: npt.NDArray[Any], side: int) -> npt.NDArray[Any]:
    """Return `codes` (h, w, planes) as a tile, (side, side, planes): padded, and differenced along rows."""
    padding = ((0, side - codes.shape[0]), (0, side - codes.shape[1]), (0, 0))
    tile = np.pad(codes.astype(int), padding, mode="edge")
    return np.diff(tile, axis=1, prepend=0).astype(codes.dtype)


def repeats(data: npt.NDArray[np.uint8]) -> int:
    """Return how many of the bytes `data` (h, n) equal the three bytes before them in their row."""
    return sum(len({*row[x - 3 : x + 1].tolist()}) == 1 for row in data for x in range(3, len(row)))
