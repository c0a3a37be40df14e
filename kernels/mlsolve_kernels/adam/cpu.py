"""Adam on the CPU, as a vector function of one row."""

from ..compiled import kernel
from ..lanes import LANES, Row, load, masked, prefetch, store
from ..layout import BLOCK
from .step import Rates, adam_step

_step = kernel(adam_step)


@kernel
def adam_row(x: Row, first: Row, second: Row, gradient: Row, own: Row, rates: Rates, length: int) -> None:
    """Step one row, all (length), in place; where `own` is 0, x becomes 0.

    `gradient` is in the per-pixel measure (docs/maths.md §5), so that epsilon means the same at every size.
    """
    for at in range(0, length, LANES):
        # The block below, or the memory would keep the arithmetic waiting (bench/LOG.md #12).
        prefetch(first, BLOCK * length + at)
        prefetch(second, BLOCK * length + at)
        moved, mean, square = _step(load(x, at), load(first, at), load(second, at), load(gradient, at), rates)
        store(x, at, masked(load(own, at), moved))
        store(first, at, mean)
        store(second, at, square)
