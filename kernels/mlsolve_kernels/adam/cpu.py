"""Adam on the CPU."""

from ..compiled import kernel
from ..layout import MARGIN, FloatArray
from ..threads import share_of
from .step import Rates, adam_step

_step = kernel(adam_step)


@kernel
def adam_row(x: FloatArray, first: FloatArray, second: FloatArray, gradient: FloatArray, rates: Rates) -> None:
    """Step one row, all (n,), in place."""
    for i in range(x.size):
        x[i], first[i], second[i] = _step(x[i], first[i], second[i], gradient[i], rates)


@kernel
def adam_rows(
    layers: FloatArray,
    first: FloatArray,
    second: FloatArray,
    gradient: FloatArray,
    rates: Rates,
    worker: int,
    workers: int,
) -> None:
    """Step every pixel of `layers` in place; one worker's share of the rows.

    All arrays (N, C, H, W + 2·MARGIN) float32; the margins are left alone. `gradient` is in the
    per-pixel measure (docs/maths.md §5), so that epsilon means the same at every size.
    """
    _, planes, height, stored = layers.shape
    columns = slice(MARGIN, stored - MARGIN)
    start, stop = share_of(layers.shape[0] * planes * height, worker, workers)
    for number in range(start, stop):
        k, plane, index = number // (planes * height), number // height % planes, number % height
        adam_row(
            layers[k, plane, index, columns],
            first[k, plane, index, columns],
            second[k, plane, index, columns],
            gradient[k, plane, index, columns],
            rates,
        )
