"""Shared by the CPU passes of all terms: masks, pixel weights, and the arguments of a pass over layers."""

from typing import Any, NamedTuple

import numba
import numpy as np
from numba.extending import overload

from ..blur.cpu import wrap_margins
from ..compiled import kernel
from ..lanes import LANES, Row, ahead, load, row, store
from ..layout import FloatArray, Masks, Strips, SumArray
from ..ssim.stream import Weighting, line_of


class Layers(NamedTuple):
    """The arguments of the pass of a term over layers (docs/adding-a-term.md).

    There are N layers of P planes, the planes of all windows, window by window (placement/frames.py). Rows are
    stored in strips of columns (layout.py).
    """

    layers: FloatArray
    """(N, P, across, H, L), encoded transmittance; must not change."""
    guides: FloatArray
    """(N, P, across, H, L), encoded transmittance."""
    gradient: FloatArray
    """(N, P, across, H, L): the gradient of the loss in the per-pixel measure, to which the term adds its own."""
    weight: np.float32
    """The weight of the term, by which its gradient is multiplied."""
    counts: FloatArray
    """(W or 1, across, H or 1, L): pixel weights from 0 to 1, 0 outside the image. Access: `counts_row`."""
    counts_step: int
    """Distance between rows of `counts`, in float32; 0 if all rows are equal."""
    masks: Masks
    """Which places of a row count; counted: (W, across, L)."""
    strips: Strips
    """How planes are cut into strips."""
    of_window: int
    """Planes of a window: the colour planes of the tile."""
    lines: FloatArray
    """(workers, 3, …): work space of three lines with margins per worker. Access: `line_of` (ssim/stream.py)."""
    sums: SumArray
    """(N, P, across, H): receives the row sums over the counted pixels, in multiples of the term's quantum."""


@kernel
def counts_row(work: Layers, window: int, strip: int, y: int) -> Row:
    """Return the Row of the pixel weights of row `y` of a strip of a window."""
    window = min(window, work.counts.shape[0] - 1)
    return ahead(row(work.counts, (window, strip)), y * work.counts_step)


@kernel
def copy_row(values: Row, out: Row, length: int) -> None:
    """Copy `values` to `out`, both (length)."""
    for at in range(0, length, LANES):
        store(out, at, load(values, at))


@kernel
def line_with_margins(work: Layers, worker: int, number: int, values: Row, length: int) -> Row:
    """Copy a row to line `number` (0 to 2) of a worker, fill its margins and return it.

    The pixels d columns to the right of those at `at` are then at `at + d·LANES`, for d from -RADIUS to RADIUS.
    """
    line = line_of(row(work.lines, (worker,)), number, length)
    copy_row(values, line, length)
    wrap_margins(line, length)
    return line


@kernel
def masks_at(masks: Masks, window: int, strip: int) -> Masks:
    """Return the Rows of the masks of one strip of one window; masks.counted: (W, across, L)."""
    return Masks(row(masks.inside, (strip,)), row(masks.own, (strip,)), row(masks.counted, (window, strip)))


def weights_of_row(weighting: Weighting | None, r: int) -> Any:
    """Return the Row of the weights of row `r`; None if all count equally. For kernels, like `weighting_at`."""
    raise NotImplementedError


@overload(weights_of_row, strict=False)  # type: ignore[untyped-decorator, unused-ignore]
def _weights_of_row(weighting: Any, r: Any) -> Any:
    if isinstance(weighting, numba.types.NoneType):
        return lambda weighting, r: None
    return lambda weighting, r: ahead(weighting.weights, r * weighting.step)


def row_or_none(planes: FloatArray | None, at: tuple[int, ...], offset: int) -> Any:
    """Return the Row `offset` after planes[*at]; None if planes is None. For kernels, like `weighting_at`."""
    raise NotImplementedError


@overload(row_or_none, strict=False)  # type: ignore[untyped-decorator, unused-ignore]
def _row_or_none(planes: Any, at: Any, offset: Any) -> Any:
    if isinstance(planes, numba.types.NoneType):
        return lambda planes, at, offset: None
    return lambda planes, at, offset: ahead(row(planes, at), offset)
