"""The iteration on the CPU, step by step: product, target pass, layer pass, Adam.

Each pass reads what the one before has finished. `sweep` does the same in one pass over memory; this path
is for what comes between the product and the layers, and it leaves the gradient to be looked at.
"""

import numpy as np

from ..adam.cpu import adam_row
from ..adam.step import Rates
from ..compiled import kernel
from ..lanes import ahead, row, store_one
from ..layout import BLOCK, FloatArray, Masks, Strips, SumArray, exchange_halos, from_strips
from ..mse.cpu import blend_row, squared_error_row
from ..product.cpu import chain_row, product_row
from ..ssim.stream import (
    Constant,
    Streams,
    constant_rows,
    derive,
    enter_block,
    gradient_rows,
    mask_rows,
    piece_of,
    pitch_of,
    stream_of,
)
from ..threads import share_of
from ..window import RADIUS, REACH
from .state import State
from .terms import Sums, Terms, Weights


@kernel
def product_pass(
    layers: FloatArray, inverse_scale: np.float32, seen: FloatArray, worker: int, workers: int
) -> None:
    """Put inverse_scale · (product of `layers` (N, C, across, H, L)) into `seen` (C, across, H, L); one share."""
    count, planes, strips, height, length = layers.shape
    start, stop = share_of(planes * strips * height, worker, workers)
    for number in range(start, stop):
        place = number * length
        first = ahead(row(layers, (0,)), place)
        product_row(
            first, planes * strips * height * length, count, inverse_scale, ahead(row(seen, (0,)), place), length
        )


@kernel
def target_pass(
    seen: FloatArray,
    target: Constant,
    weights: Weights,
    masks: Masks,
    strips: Strips,
    streams: Streams,
    by_seen: FloatArray,
    sums: tuple[SumArray, SumArray],
    worker: int,
    workers: int,
) -> None:
    """Compare the stack with the target and differentiate: one worker's share of the rows.

    seen: (C, across, H, L), the product as seen. by_seen: receives the gradient by `seen` in the per-pixel
    measure. sums: receive the row sums of SSIM and of the squared error, each (C, across, H).
    """
    stream, gradient = stream_of(streams, worker, 0), row(streams.rows, (worker, 0))
    start, stop = share_of(seen.shape[0] * strips.across * strips.height, worker, workers)
    while start < stop:
        piece = piece_of(start, stop, strips)
        at, length, pitch = (piece.plane, piece.strip), piece.length, pitch_of(piece.length)
        x, y, mask = row(seen, at), constant_rows(target, *at), mask_rows(masks, piece.strip)
        ssim_sums, error_sums = row(sums[0], at), row(sums[1], at)
        for index in range(piece.first - REACH, piece.last + REACH, BLOCK):
            enter_block(x, y.image, stream.rings, piece, index)
            if index >= piece.first:
                derive(stream, y, mask, piece, index - RADIUS, ssim_sums)
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
                store_one(error_sums, r, squared_error_row(x_row, y_row, mask.counted, length))
                out = ahead(row(by_seen, at), r * length)
                blend_row(weights.ssim, weights.mse, x_row, y_row, here, out, length)
        start += piece.last - piece.first


@kernel
def layer_pass(
    layers: FloatArray,
    guides: Constant,
    by_seen: FloatArray,
    weights: Weights,
    masks: Masks,
    strips: Strips,
    streams: Streams,
    out: FloatArray,
    ssim_sums: SumArray,
    worker: int,
    workers: int,
) -> None:
    """Differentiate by the layers: the guides' SSIM and what comes back through the product.

    layers, out: (N·C, across, H, L); guides: planes N·C; by_seen: (C, across, H, L); ssim_sums: (N·C, across, H).
    """
    planes = by_seen.shape[0]
    stream, gradient = stream_of(streams, worker, 0), row(streams.rows, (worker, 0))
    start, stop = share_of(layers.shape[0] * strips.across * strips.height, worker, workers)
    while start < stop:
        piece = piece_of(start, stop, strips)
        at, length, pitch = (piece.plane, piece.strip), piece.length, pitch_of(piece.length)
        k, plane = piece.plane // planes, piece.plane % planes
        x, y, mask, row_sums = (
            row(layers, at),
            constant_rows(guides, *at),
            mask_rows(masks, piece.strip),
            row(ssim_sums, at),
        )
        for index in range(piece.first - REACH, piece.last + REACH, BLOCK):
            enter_block(x, y.image, stream.rings, piece, index)
            if index >= piece.first:
                derive(stream, y, mask, piece, index - RADIUS, row_sums)
            ready = index - REACH
            if ready < piece.first:
                continue
            gradient_rows(stream, y, ready, gradient, length)
            for r in range(ready, min(ready + BLOCK, piece.last)):
                chain_row(
                    ahead(row(by_seen, (plane, piece.strip)), r * length),
                    ahead(row(layers, (plane, piece.strip)), r * length),
                    by_seen.size,
                    layers.shape[0] // planes,
                    k,
                    weights.inverse_scale,
                    weights.guide,
                    ahead(gradient, (r - ready) * pitch),
                    ahead(row(out, at), r * length),
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


class StepwiseWorkspace(State):
    """The state of one level and the step-by-step iteration; allocates two planes and a gradient more."""

    def _allocate(self) -> None:
        super()._allocate()
        self._seen, self._by_seen = np.zeros_like(self._target.image), np.zeros_like(self._target.image)
        self._gradient = np.zeros_like(self._layers)

    @property
    def gradient(self) -> FloatArray:
        """The gradient of the last evaluation in the per-pixel measure, (N, C, H, W) float32: a copy."""
        return from_strips(self._gradient, self._strips)

    def evaluate(self) -> Terms:
        """Measure the terms at the present layers and leave the gradient there in `gradient`."""
        return self._evaluate().terms(self.pixels)

    def _evaluate(self) -> Sums:
        run, weights = self._team.run, self._weights
        flat = self._layers.reshape(-1, *self._layers.shape[2:])
        common = (weights, self._masks, self._strips, self._streams)
        run(product_pass, self._layers, weights.inverse_scale, self._seen)
        run(target_pass, self._seen, self._target, *common, self._by_seen, self._target_sums)
        run(
            layer_pass,
            flat,
            self._guides,
            self._by_seen,
            *common,
            self._gradient.reshape(flat.shape),
            self._guide_sums,
        )
        return self._sums()

    def measure(self, rate: float) -> Sums:
        """Take one step at learning rate `rate`; return the sums of the terms at the layers it started from."""
        sums = self._evaluate()
        flat = (self._layers.shape[0] * self._layers.shape[1], *self._layers.shape[2:])
        arrays = (self._layers, self._first, self._second, self._gradient)
        self._team.run(adam_pass, *(array.reshape(flat) for array in arrays), self._masks, self._next_rates(rate))
        exchange_halos(self._layers, self._strips, self._team)
        return sums
