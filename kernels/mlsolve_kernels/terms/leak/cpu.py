"""The pass of the leak on the CPU: every placed sheet compared with the target of its stack."""

import numpy as np

from ...compiled import kernel
from ...lanes import LANES, Row, ahead, load, row, store
from ...layout import BLOCK, FloatArray, Masks, Strips, SumArray
from ...ssim.stream import (
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
)
from ...threads import share_of
from ...window import RADIUS, REACH
from ..rows import masks_at


@kernel
def leak_pass(
    placed: FloatArray,
    target: Constant,
    weight: np.float32,
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
    """Compute the leak of each placed sheet to the target, max(0, SSIM)², and its gradient; one worker's share.

    placed, by_sheet: (K, C, across, H, L); pixel_weights: (W, across, H or 1, L), pixel_step: distance between its
    rows; sums: (K, C, across, H), receives the row sums.
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
                scale_row(here, weight, out, length)
        start += piece.last - piece.first


@kernel
def scale_row(values: Row, factor: np.float32, out: Row, length: int) -> None:
    """Store factor · `values` in `out`, both (length)."""
    for at in range(0, length, LANES):
        store(out, at, factor * load(values, at))
