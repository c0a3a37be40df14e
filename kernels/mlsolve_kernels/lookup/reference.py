"""Reference of the table look-up of codes."""

from typing import Any

import numpy as np
import numpy.typing as npt


def look_up(table: npt.NDArray[np.floating], codes: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return the value of each of `codes` (any shape) in `table` (65536,)."""
    return np.array([float(table[int(code)]) for code in codes.ravel()]).reshape(codes.shape)
