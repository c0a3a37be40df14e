"""The passes of an iteration on the CPU that belong to no term: light and Adam.

Each call runs one worker's share of the rows.

A pass reads the finished results of the pass before it. Planes are ordered window by window (placement/frames.py).
"""

import numpy as np

from ..adam.cpu import adam_row
from ..adam.step import Rates
from ..compiled import kernel
from ..lanes import ahead, row
from ..layout import FloatArray, Masks
from ..light.cpu import Planes, chain_stack_row, compose_row
from ..terms.rows import row_or_none
from ..threads import share_of


@kernel
def light_pass(
    placed: FloatArray,
    light: tuple[np.float32, ...],
    of_window: int,
    composite: FloatArray,
    worker: int,
    workers: int,
) -> None:
    """Compose the sheets `placed` (K, C, across, H, L) into `composite` (C, across, H, L); one worker's share.

    of_window: planes of a window.
    """
    count, planes, strips, height, length = placed.shape
    start, stop = share_of(planes * strips * height, worker, workers)
    plane = strips * height * length
    for number in range(start, stop):
        place, own = number * length, number // (strips * height) % of_window
        first = ahead(row(placed, (0,)), place)
        compose_row(
            light,
            first,
            planes * plane,
            count,
            Planes(own, of_window, plane),
            ahead(row(composite, (0,)), place),
            length,
        )


@kernel
def light_back_pass(
    by_composite: FloatArray,
    placed: FloatArray,
    light: tuple[np.float32, ...],
    of_window: int,
    by_sheet: FloatArray | None,
    out: FloatArray,
    lines: FloatArray,
    worker: int,
    workers: int,
) -> None:
    """Store the gradients by the sheets `placed` in `out`, given that by the composite; one worker's share.

    Only for lights that couple planes. For others, the stack pass computes these gradients, too. placed, out: (K,
    C, across, H, L). by_sheet: gradients to add, in the same shape, or None. lines: (workers, K·LANES), work space.
    """
    count, planes, strips, height, length = placed.shape
    start, stop = share_of(planes * strips * height, worker, workers)
    plane = strips * height * length
    for number in range(start, stop):
        place, own = number * length, number // (strips * height) % of_window
        chain_stack_row(
            light,
            ahead(row(by_composite, (0,)), place),
            ahead(row(placed, (0,)), place),
            planes * plane,
            count,
            Planes(own, of_window, plane),
            row_or_none(by_sheet, (0,), place),
            ahead(row(out, (0,)), place),
            row(lines, (worker,)),
            length,
        )


@kernel
def adam_pass(
    layers: FloatArray,
    first: FloatArray,
    second: FloatArray,
    gradient: FloatArray,
    masks: Masks,
    rates: Rates,
    worker: int,
    workers: int,
) -> None:
    """Take one Adam step of every pixel of `layers` in place, all (P, across, H, L); one worker's share."""
    planes, count, height, length = layers.shape
    start, stop = share_of(planes * count * height, worker, workers)
    for number in range(start, stop):
        at = (number // (count * height), number // height % count, number % height)
        own = row(masks.own, (at[1],))
        adam_row(row(layers, at), row(first, at), row(second, at), row(gradient, at), own, rates, length)
