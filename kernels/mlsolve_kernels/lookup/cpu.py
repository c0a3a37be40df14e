"""Table look-up of codes, on the CPU."""

import numpy as np
import numpy.typing as npt

from ..compiled import kernel
from ..layout import FloatArray


@kernel
def look_up(table: FloatArray, codes: npt.NDArray[np.uint16], out: FloatArray, top: int, left: int) -> None:
    """Write the values of `codes` (h, w) in `table` (65536,) into `out` (H, W) from row `top` and column `left` on.

    NumPy's take would first convert the codes to 64-bit integers, allocate an array and then copy it: three times
    the time (bench/LOG.md #54).
    """
    for y in range(codes.shape[0]):
        for x in range(codes.shape[1]):
            out[top + y, left + x] = table[codes[y, x]]
