"""The pass of the colour term on the CPU, one row of all planes of a layer at a time."""

from typing import Final

import numpy as np

from ...compiled import kernel
from ...exact import double_rounder
from ...lanes import LANES, Row, load, masked, rounded_total, row, store, store_one
from ...threads import share_of
from ..rows import Layers, counts_row
from .term import TERM

_ROUNDER: Final = double_rounder(TERM.bits)
_ONE: Final = np.float32(1.0)
_ZERO: Final = np.float32(0.0)


@kernel
def colour_row(
    x: Row,
    guide: Row,
    gradient: Row,
    stride: int,
    planes: int,
    weight: np.float32,
    counts: Row,
    counted: Row,
    length: int,
) -> float:
    """Return `planes` times the sum of squared chroma differences of a row; add `weight` · gradient to `gradient`.

    x, guide, gradient: the first of `planes` planes, which are `stride` float32 apart. counts, counted: (length).
    The sum is exact (exact.py).
    """
    all_planes = np.float32(planes)
    result, twice, share = 0.0, weight + weight, _ONE / all_planes
    for at in range(0, length, LANES):
        mean = load(x, at) - load(guide, at)
        for plane in range(1, planes):
            mean = mean + (load(x, plane * stride + at) - load(guide, plane * stride + at))
        mean = share * mean
        weights = all_planes * load(counts, at)
        squares = weights * _ZERO
        for plane in range(planes):
            here = plane * stride + at
            apart = (load(x, here) - load(guide, here)) - mean
            squares = squares + apart * apart
            store(gradient, here, load(gradient, here) + twice * (weights * apart))
        result += rounded_total(masked(load(counted, at), weights * squares), _ROUNDER)
    return result


@kernel
def colour_pass(work: Layers, worker: int, workers: int) -> None:
    """Add the colour term: one worker's share of the rows of all layers, windows and strips."""
    count, planes, strips, height, length = work.layers.shape
    windows = planes // work.of_window
    start, stop = share_of(count * windows * strips * height, worker, workers)
    for number in range(start, stop):
        y, strip = number % height, number // height % strips
        window, k = number // (height * strips) % windows, number // (height * strips * windows)
        at = (k, window * work.of_window, strip, y)
        total = colour_row(
            row(work.layers, at),
            row(work.guides, at),
            row(work.gradient, at),
            strips * height * length,
            work.of_window,
            work.weight,
            counts_row(work, window, strip, y),
            row(work.masks.counted, (window, strip)),
            length,
        )
        store_one(row(work.sums, at), 0, total)
