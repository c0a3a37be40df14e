"""The stack pass on the CPU: SSIM to the target as a stream of rows, and the squared error."""

import numpy as np

from ...compiled import kernel
from ...lanes import ahead, row, store_one
from ...layout import BLOCK, FloatArray, Masks, Strips, SumArray
from ...light.cpu import Planes, chain_stack_row
from ...ssim.stream import (
    Constant,
    Streams,
    constant_rows,
    derive,
    enter_block,
    gradient_rows,
    piece_of,
    pitch_of,
    stream_of,
    weighting_at,
)
from ...threads import share_of
from ...window import RADIUS, REACH
from ..rows import copy_row, masks_at, row_or_none, weights_of_row
from ..stack_mse.cpu import blend_row, squared_error_row


@kernel
def stack_pass(
    composite: FloatArray,
    target: Constant,
    ssim_weight: np.float32,
    mse_weight: np.float32,
    light: tuple[np.float32, ...],
    pixel_weights: FloatArray | None,
    masks: Masks,
    strips: Strips,
    streams: Streams,
    placed: FloatArray,
    by_sheet: FloatArray | None,
    by_composite: FloatArray | None,
    lines: FloatArray,
    windowed: FloatArray | None,
    sums: tuple[SumArray, SumArray],
    worker: int,
    workers: int,
) -> None:
    """Compare a stack with its target and compute the gradient by its sheets: one worker's share of the rows.

    composite: (C, across, H, L), encoded. placed: (K, C, across, H, L), the placed sheets; they are replaced by the
    gradients by them, in the per-pixel measure. by_sheet: a gradient to add to these, in the same shape, or None.
    by_composite: only for a light that couples planes: receives the gradient by the composite, in its shape, and
    the sheets are not changed. pixel_weights: (W, across, H, L). lines: (workers, K·LANES), work space.
    windowed: receives B[composite], in its shape; None: not wanted. sums:
    receive the row sums of SSIM and of the squared error, each (C, across, H).
    """
    stream, gradient = stream_of(streams, worker, 0), row(streams.rows, (worker, 0))
    of_window = composite.shape[0] // masks.counted.shape[0]
    start, stop = share_of(composite.shape[0] * strips.across * strips.height, worker, workers)
    while start < stop:
        piece = piece_of(start, stop, strips)
        at, length, pitch = (piece.plane, piece.strip), piece.length, pitch_of(piece.length)
        window = piece.plane // of_window
        x, y, mask = row(composite, at), constant_rows(target, *at), masks_at(masks, window, piece.strip)
        weighting = weighting_at(pixel_weights, window, piece.strip)
        ssim_sums, error_sums = row(sums[0], at), row(sums[1], at)
        sheets = row(placed, (0, *at))
        for index in range(piece.first - REACH, piece.last + REACH, BLOCK):
            enter_block(x, y.image, stream.rings, piece, index)
            if index >= piece.first:
                means = row_or_none(windowed, at, 0)
                derive(stream, y, mask, piece, index - RADIUS, ssim_sums, weighting, means)
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
                blend_row(ssim_weight, mse_weight, x_row, y_row, here, here, length, counts)
                if by_composite is not None:
                    copy_row(here, ahead(row(by_composite, at), r * length), length)
                else:
                    chain_stack_row(
                        light,
                        here,
                        ahead(sheets, r * length),
                        composite.size,
                        placed.shape[0],
                        Planes(0, 1, 0),
                        row_or_none(by_sheet, (0, *at), r * length),
                        ahead(sheets, r * length),
                        row(lines, (worker,)),
                        length,
                    )
        start += piece.last - piece.first
