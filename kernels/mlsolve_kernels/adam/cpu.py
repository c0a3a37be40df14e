"""Adam on the CPU, vectorised, one row at a time."""

from ..compiled import kernel
from ..lanes import LANES, Row, load, masked, prefetch, store
from ..layout import BLOCK
from .step import Rates, adam_step

_step = kernel(adam_step)


@kernel
def adam_row(x: Row, first: Row, second: Row, gradient: Row, own: Row, rates: Rates, length: int) -> None:
    """Take one step of one row in place, all arguments (length); where `own` is 0, x becomes 0.

    `gradient` is in the per-pixel measure (docs/maths.md §5), so that epsilon has the same effect at every size.
    """
    for at in range(0, length, LANES):
        # Prefetch the block below; otherwise the arithmetic would wait for memory (bench/LOG.md #12).
        prefetch(first, BLOCK * length + at)
        prefetch(second, BLOCK * length + at)
        moved, mean, square = _step(load(x, at), load(first, at), load(second, at), load(gradient, at), rates)
        store(x, at, masked(load(own, at), moved))
        store(first, at, mean)
        store(second, at, square)
