"""The guide pass on the CPU: every layer compared with its guide."""

import numpy as np

from ...compiled import kernel
from ...lanes import LANES, Row, ahead, load, masked, row, store
from ...layout import BLOCK, FloatArray, Masks, Strips, SumArray
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
from ..rows import masks_at, weights_of_row


@kernel
def join_row(gradient: Row, guide_weight: np.float32, by_ssim: Row, counts: Row | None, length: int) -> None:
    """Subtract guide_weight times the gradient of a layer's SSIM to its guide from `gradient`, all (length).

    counts: 0 where the layer must not change; None: it may change everywhere.
    """
    for at in range(0, length, LANES):
        whole = load(gradient, at) - guide_weight * load(by_ssim, at)
        if counts is not None:
            whole = masked(load(counts, at), whole)
        store(gradient, at, whole)


@kernel
def guide_pass(
    layers: FloatArray,
    guides: Constant,
    weight: np.float32,
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
    """Subtract the weighted gradient of the guides' SSIM from the gradient of the stacks: one worker's share.

    layers, gradient_by_layers: (N·C, across, H, L), the second changed in place; guides: N·C planes;
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
                    weight,
                    ahead(gradient, (r - ready) * pitch),
                    weights_of_row(weighting, r),
                    length,
                )
        start += piece.last - piece.first
