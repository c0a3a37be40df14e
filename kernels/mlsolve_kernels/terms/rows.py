"""What the CPU passes of the terms share: masks and weights of pixels, and what a pass over layers is given."""

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
    """What the pass of a term over layers is given (docs/adding-a-term.md).

    N layers of P planes: those of all windows, window by window (placement/frames.py). Rows lie in strips of
    columns (layout.py).
    """

    layers: FloatArray
    """(N, P, across, H, L), encoded transmittance; must not change."""
    guides: FloatArray
    """(N, P, across, H, L), encoded transmittance."""
    gradient: FloatArray
    """(N, P, across, H, L): the gradient of the loss in the per-pixel measure, to which the term adds its own."""
    weight: np.float32
    """By which the term's gradient is multiplied."""
    counts: FloatArray
    """(W or 1, across, H or 1, L): what each pixel counts, 0 to 1, 0 beyond the image; by `counts_row`."""
    counts_step: int
    """From a row of these to the next, in float32; 0 if all rows are alike."""
    masks: Masks
    """Which places of a row count; counted: (W, across, L)."""
    strips: Strips
    """How planes are cut."""
    of_window: int
    """Planes of a window: the colour planes of the tile."""
    lines: FloatArray
    """(workers, 3, …): three lines with margins for each worker to work in; by `line_of` (ssim/stream.py)."""
    sums: SumArray
    """(N, P, across, H): receive the sums of the rows that count, in multiples of the term's quantum."""


@kernel
def counts_row(work: Layers, window: int, strip: int, y: int) -> Row:
    """Return the Row of what the pixels of row `y` of a strip of a window count."""
    window = min(window, work.counts.shape[0] - 1)
    return ahead(row(work.counts, (window, strip)), y * work.counts_step)


@kernel
def copy_row(values: Row, out: Row, length: int) -> None:
    """Copy `values` to `out`, both (length)."""
    for at in range(0, length, LANES):
        store(out, at, load(values, at))


@kernel
def line_with_margins(work: Layers, worker: int, number: int, values: Row, length: int) -> Row:
    """Copy a row to line `number`, 0 to 2, of a worker, and return it: neighbours then lie ±LANES from each other.

    Pixel x + d of the pixels at `at` is at `at + d·LANES`, for d from -RADIUS to RADIUS.
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
    """Return the Row of the weights of row `r`, None if all pixels count alike; for kernels, as `weighting_at`."""
    raise NotImplementedError


@overload(weights_of_row, strict=False)  # type: ignore[untyped-decorator, unused-ignore]
def _weights_of_row(weighting: Any, r: Any) -> Any:
    if isinstance(weighting, numba.types.NoneType):
        return lambda weighting, r: None
    return lambda weighting, r: ahead(weighting.weights, r * weighting.step)


def row_or_none(planes: FloatArray | None, at: tuple[int, ...], offset: int) -> Any:
    """Return the Row `offset` after planes[*at], None if there are no planes; for kernels, as `weighting_at`."""
    raise NotImplementedError


@overload(row_or_none, strict=False)  # type: ignore[untyped-decorator, unused-ignore]
def _row_or_none(planes: Any, at: Any, offset: Any) -> Any:
    if isinstance(planes, numba.types.NoneType):
        return lambda planes, at, offset: None
    return lambda planes, at, offset: ahead(row(planes, at), offset)
