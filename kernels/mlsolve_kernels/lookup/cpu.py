"""Looking codes up, on the CPU."""

import numpy as np
import numpy.typing as npt

from ..compiled import kernel
from ..layout import FloatArray


@kernel
def look_up(table: FloatArray, codes: npt.NDArray[np.uint16], out: FloatArray, top: int, left: int) -> None:
    """Put what `table` (65536,) says of `codes` (h, w) into `out` (H, W) from row `top` and column `left` on.

    NumPy's take would turn the codes into 64-bit numbers first, make an array, and have it copied: three times the
    time (bench/LOG.md #54).
    """
    for y in range(codes.shape[0]):
        for x in range(codes.shape[1]):
            out[top + y, left + x] = table[codes[y, x]]
