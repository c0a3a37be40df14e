"""Adam on a GPU, compiled by Numba from the same scalar step as on the CPU (step.py)."""

from typing import Any, Final

import numba
import numpy as np
from numba import cuda

from ..compiled import cache_folder, cached
from .step import Rates, adam_step

THREADS: Final = 256
"""Threads of a block, along a row."""

_ROWS: Final = 4
"""Rows that a block processes, so that its threads read the rates once for several pixels."""

_MOST_BLOCKS: Final = 65535
"""Most blocks of a grid in its second dimension."""

# numba-cuda (0.30) uses this name when it first compiles; NumPy 2.5 has removed it.
vars(np).setdefault("row_stack", np.vstack)

# Numba warns about every launch that does not fill the device, which is normal at the coarse levels.
numba.config.CUDA_LOW_OCCUPANCY_WARNINGS = 0

with cached():
    _step = cuda.jit(device=True, inline="always")(adam_step)

    @cuda.jit(cache=cache_folder() is not None)  # type: ignore[untyped-decorator, unused-ignore]
    def update(x: Any, first: Any, second: Any, gradient: Any, rates: Any, turn: Any, width: int) -> None:
        """Take one step of the first `width` pixels of every row in place, with line turn[0] of `rates`.

        x, first, second, gradient: (rows, pitch) float32; `gradient` in the per-pixel measure. rates: (n, 8)
        float32, each line a `Rates`. turn: (1,) int32. Launch: grid_for(rows, width), blocks of THREADS.
        """
        column = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
        if column >= width:
            return
        t = turn[0]
        now = Rates(
            rates[t, 0],
            rates[t, 1],
            rates[t, 2],
            rates[t, 3],
            rates[t, 4],
            rates[t, 5],
            rates[t, 6],
            rates[t, 7],
        )
        for row in range(cuda.blockIdx.y, x.shape[0], cuda.gridDim.y):
            moved, mean, square = _step(
                x[row, column], first[row, column], second[row, column], gradient[row, column], now
            )
            x[row, column] = moved
            first[row, column] = mean
            second[row, column] = square


def grid_for(rows: int, width: int) -> tuple[int, int]:
    """Return the grid of `update` for arrays of `rows` rows and `width` columns."""
    return -(-width // THREADS), min(-(-rows // _ROWS), _MOST_BLOCKS)
