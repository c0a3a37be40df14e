"""The passes of an iteration on the CPU, each for one worker's share of the rows.

A pass reads what the one before has finished. Windows of one image lie in the planes, window by window
(placement/frames.py).
"""

from typing import Any

import numba
import numpy as np
from numba.extending import overload

from ..adam.cpu import adam_row
from ..adam.step import Rates
from ..compiled import kernel
from ..lanes import LANES, ahead, load, row, store, store_one
from ..layout import BLOCK, FloatArray, Masks, Strips, SumArray
from ..mse.cpu import blend_row, squared_error_row
from ..product.cpu import chain_stack_row, join_row, product_row
from ..ssim.stream import (
    Constant,
    Streams,
    Weighting,
    constant_rows,
    derive,
    enter_block,
    gradient_rows,
    piece_of,
    pitch_of,
    stream_of,
    weighting_at,
)
from ..threads import share_of
from ..window import RADIUS, REACH
from .terms import Weights


@kernel
def product_pass(
    layers: FloatArray, inverse_scale: np.float32, seen: FloatArray, worker: int, workers: int
) -> None:
    """Put inverse_scale · (product of `layers` (K, C, across, H, L)) into `seen` (C, across, H, L); one share."""
    count, planes, strips, height, length = layers.shape
    start, stop = share_of(planes * strips * height, worker, workers)
    for number in range(start, stop):
        place = number * length
        first = ahead(row(layers, (0,)), place)
        product_row(
            first, planes * strips * height * length, count, inverse_scale, ahead(row(seen, (0,)), place), length
        )


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


@kernel
def stack_pass(
    seen: FloatArray,
    target: Constant,
    weights: Weights,
    pixel_weights: FloatArray | None,
    masks: Masks,
    strips: Strips,
    streams: Streams,
    placed: FloatArray,
    by_sheet: FloatArray | None,
    lines: FloatArray,
    sums: tuple[SumArray, SumArray],
    worker: int,
    workers: int,
) -> None:
    """Compare a stack with its target and differentiate by its sheets: one worker's share of the rows.

    seen: (C, across, H, L), the product as seen. placed: (K, C, across, H, L), the placed sheets, which give way to
    the gradients by them in the per-pixel measure; by_sheet: what else these hold, in the same shape.
    pixel_weights: (W, across, H, L). lines: (workers, K·LANES) to work in. sums: receive the row sums of SSIM and
    of the squared error, each (C, across, H).
    """
    stream, gradient = stream_of(streams, worker, 0), row(streams.rows, (worker, 0))
    of_window = seen.shape[0] // masks.counted.shape[0]
    start, stop = share_of(seen.shape[0] * strips.across * strips.height, worker, workers)
    while start < stop:
        piece = piece_of(start, stop, strips)
        at, length, pitch = (piece.plane, piece.strip), piece.length, pitch_of(piece.length)
        window = piece.plane // of_window
        x, y, mask = row(seen, at), constant_rows(target, *at), masks_at(masks, window, piece.strip)
        weighting = weighting_at(pixel_weights, window, piece.strip)
        ssim_sums, error_sums = row(sums[0], at), row(sums[1], at)
        sheets = row(placed, (0, *at))
        for index in range(piece.first - REACH, piece.last + REACH, BLOCK):
            enter_block(x, y.image, stream.rings, piece, index)
            if index >= piece.first:
                derive(stream, y, mask, piece, index - RADIUS, ssim_sums, weighting)
            ready = index - REACH
            if ready < piece.first:
                continue
            gradient_rows(stream, y, ready, gradient, length)
            for r in range(ready, min(ready + BLOCK, piece.last)):
                x_row, y_row, here = (
                    ahead(x, r * length),
                    ahead(y.image, r * length),
                    ahead(gradient, (r - ready) * pitch),
                )
                counts = weights_of_row(weighting, r)
                store_one(error_sums, r, squared_error_row(x_row, y_row, mask.counted, length, counts))
                blend_row(weights.ssim, weights.mse, x_row, y_row, here, here, length, counts)
                chain_stack_row(
                    here,
                    ahead(sheets, r * length),
                    seen.size,
                    placed.shape[0],
                    weights.inverse_scale,
                    row_or_none(by_sheet, (0, *at), r * length),
                    row(lines, (worker,)),
                    length,
                )
        start += piece.last - piece.first


@kernel
def likeness_pass(
    placed: FloatArray,
    target: Constant,
    weights: Weights,
    pixel_weights: FloatArray,
    pixel_step: int,
    masks: Masks,
    strips: Strips,
    streams: Streams,
    by_sheet: FloatArray,
    sums: SumArray,
    worker: int,
    workers: int,
) -> None:
    """Measure what each placed sheet alone shows of the target, max(0, SSIM)², and differentiate: one share.

    placed, by_sheet: (K, C, across, H, L); pixel_weights: (W, across, H or 1, L), pixel_step from row to row;
    sums: (K, C, across, H).
    """
    stream, gradient = stream_of(streams, worker, 0), row(streams.rows, (worker, 0))
    planes = placed.shape[1]
    of_window = planes // masks.counted.shape[0]
    start, stop = share_of(placed.shape[0] * planes * strips.across * strips.height, worker, workers)
    while start < stop:
        piece = piece_of(start, stop, strips)
        k, plane = piece.plane // planes, piece.plane % planes
        window, length, pitch = plane // of_window, piece.length, pitch_of(piece.length)
        at = (k, plane, piece.strip)
        x, y = row(placed, at), constant_rows(target, plane, piece.strip)
        mask = masks_at(masks, window, piece.strip)
        weighting = Weighting(
            row(pixel_weights, (min(window, pixel_weights.shape[0] - 1), piece.strip)), pixel_step, True
        )
        for index in range(piece.first - REACH, piece.last + REACH, BLOCK):
            enter_block(x, y.image, stream.rings, piece, index)
            if index >= piece.first:
                derive(stream, y, mask, piece, index - RADIUS, row(sums, at), weighting)
            ready = index - REACH
            if ready < piece.first:
                continue
            gradient_rows(stream, y, ready, gradient, length)
            for r in range(ready, min(ready + BLOCK, piece.last)):
                here, out = ahead(gradient, (r - ready) * pitch), ahead(row(by_sheet, at), r * length)
                scale_row(here, weights.hide, out, length)
        start += piece.last - piece.first


@kernel
def scale_row(values: Any, factor: np.float32, out: Any, length: int) -> None:
    """Put factor · `values` into `out`, both (length)."""
    for at in range(0, length, LANES):
        store(out, at, factor * load(values, at))


@kernel
def layer_pass(
    layers: FloatArray,
    guides: Constant,
    weights: Weights,
    pixel_weights: FloatArray | None,
    masks: Masks,
    strips: Strips,
    streams: Streams,
    gradient_by_layers: FloatArray,
    ssim_sums: SumArray,
    planes: int,
    worker: int,
    workers: int,
) -> None:
    """Take the gradient of the guides' SSIM from that by the stacks: one worker's share of the rows.

    layers, gradient_by_layers: (N·C, across, H, L), the second changed in place; guides: planes N·C;
    pixel_weights: (W, across, H, L), 0 where a layer must not change; ssim_sums: (N·C, across, H); planes: C.
    """
    stream, gradient = stream_of(streams, worker, 0), row(streams.rows, (worker, 0))
    of_window = planes // masks.counted.shape[0]
    start, stop = share_of(layers.shape[0] * strips.across * strips.height, worker, workers)
    while start < stop:
        piece = piece_of(start, stop, strips)
        at, length, pitch = (piece.plane, piece.strip), piece.length, pitch_of(piece.length)
        window = piece.plane % planes // of_window
        x, y, mask = row(layers, at), constant_rows(guides, *at), masks_at(masks, window, piece.strip)
        weighting = weighting_at(pixel_weights, window, piece.strip)
        row_sums = row(ssim_sums, at)
        for index in range(piece.first - REACH, piece.last + REACH, BLOCK):
            enter_block(x, y.image, stream.rings, piece, index)
            if index >= piece.first:
                derive(stream, y, mask, piece, index - RADIUS, row_sums, weighting)
            ready = index - REACH
            if ready < piece.first:
                continue
            gradient_rows(stream, y, ready, gradient, length)
            for r in range(ready, min(ready + BLOCK, piece.last)):
                join_row(
                    ahead(row(gradient_by_layers, at), r * length),
                    weights.guide,
                    ahead(gradient, (r - ready) * pitch),
                    weights_of_row(weighting, r),
                    length,
                )
        start += piece.last - piece.first


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
    """Step every pixel of `layers` in place, all (P, across, H, L); one worker's share."""
    planes, count, height, length = layers.shape
    start, stop = share_of(planes * count * height, worker, workers)
    for number in range(start, stop):
        at = (number // (count * height), number // height % count, number % height)
        own = row(masks.own, (at[1],))
        adam_row(row(layers, at), row(first, at), row(second, at), row(gradient, at), own, rates, length)
