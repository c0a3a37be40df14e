"""References of codes to values, values to codes, and the averages of codes."""

from typing import Any

import numpy as np
import numpy.typing as npt


def look_up(table: npt.NDArray[np.floating], codes: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return the value of each of `codes` (any shape) in `table` (65536,)."""
    return np.array([float(table[int(code)]) for code in codes.ravel()]).reshape(codes.shape)


def nearest_codes(values: npt.NDArray[np.floating]) -> npt.NDArray[np.uint16]:
    """Return the codes nearest to `values` (any shape), clipped to [0, 1]; the product is rounded as float32."""
    scaled = np.clip(values, 0, 1).astype(np.float32) * np.float32(65535)
    return np.array([round(float(value)) for value in scaled.ravel()], dtype=np.uint16).reshape(values.shape)


def halve_codes(table: npt.NDArray[np.floating], codes: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Return the codes of the means of the values of 2×2 `codes` (h, w), (⌈h/2⌉, ⌈w/2⌉), computed in float64."""
    values = look_up(table, codes)
    height, width = values.shape
    means = [[values[y : y + 2, x : x + 2].mean() for x in range(0, width, 2)] for y in range(0, height, 2)]
    return np.asarray(np.rint(np.array(means) * 65535), dtype=np.int64)
