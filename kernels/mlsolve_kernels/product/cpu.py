"""The product of the layers and its chain rule on the CPU."""

import numpy as np

from ..compiled import kernel
from ..layout import MARGIN, FloatArray
from ..threads import share_of


@kernel
def product_rows(layers: FloatArray, inverse_scale: np.float32, out: FloatArray, worker: int, workers: int) -> None:
    """Put inverse_scale · (product of the layers) into `out`; one worker's share of the rows.

    layers: (N, C, H, W + 2·MARGIN) float32; out: (C, H, W + 2·MARGIN), its margins stay zero.
    """
    count, planes, height, stored = layers.shape
    columns = slice(MARGIN, stored - MARGIN)
    start, stop = share_of(planes * height, worker, workers)
    for number in range(start, stop):
        plane, index = number // height, number % height
        row = out[plane, index, columns]
        first = layers[0, plane, index, columns]
        for i in range(row.size):
            row[i] = inverse_scale * first[i]
        for k in range(1, count):
            multiply_row(layers[k, plane, index, columns], row)


@kernel
def multiply_row(factor: FloatArray, out: FloatArray) -> None:
    """Multiply `out` (n,) by `factor` (n,) in place."""
    for i in range(out.size):
        out[i] *= factor[i]
