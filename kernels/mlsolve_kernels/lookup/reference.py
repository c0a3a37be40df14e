"""Looking codes up, plainly."""

from typing import Any

import numpy as np
import numpy.typing as npt


def look_up(table: npt.NDArray[np.floating], codes: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return what `table` (65536,) says of each of `codes`, any shape."""
    return np.array([float(table[int(code)]) for code in codes.ravel()]).reshape(codes.shape)
