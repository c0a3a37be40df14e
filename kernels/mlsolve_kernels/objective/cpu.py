"""The iteration on the CPU, step by step: product, target pass, layer pass, Adam.

Each pass reads what the one before has finished, so rows may be shared out among threads in any way
and every pixel comes out the same.
"""

import numpy as np
import numpy.typing as npt

from ..adam.cpu import adam_rows
from ..adam.step import Rates
from ..blur.cpu import BLOCK
from ..compiled import kernel
from ..layout import MARGIN, FloatArray, bordered, interior, strip_count, strip_width
from ..mse.cpu import blend_gradient_row, squared_error_row
from ..product.cpu import multiply_row, product_rows
from ..ssim.cpu import (
    Constant,
    Stream,
    advance,
    blur_partials,
    constant,
    gradient_row,
    new_streams,
    stream_of,
    strip_of,
    sum_row,
)
from ..threads import Team, share_of
from ..window import REACH
from .terms import Objective, Terms


@kernel
def target_pass(
    seen: FloatArray,
    target: Constant,
    weights: tuple[np.float32, np.float32],
    streams: Stream,
    by_seen: FloatArray,
    sums: tuple[FloatArray, FloatArray],
    step: int,
    worker: int,
    workers: int,
) -> None:
    """Compare the stack with the target and differentiate: one worker's share of the rows.

    seen: (C, H, W + 2·MARGIN), the product as seen. weights: of SSIM and of MSE. by_seen: receives the
    gradient by `seen` in the per-pixel measure. sums: receive the row sums of SSIM and of the squared
    error, each (C, strips, H).
    """
    planes, height, stored = seen.shape
    ssim_sums, error_sums = sums
    width = stored - 2 * MARGIN
    stream = stream_of(streams, worker)
    start, stop = share_of(planes * height * ((width + step - 1) // step), worker, workers)
    while start < stop:
        plane, number, strip = strip_of(start, stop, height, width, step)
        columns = slice(strip.left + MARGIN, strip.right + MARGIN)
        for index in range(strip.first - REACH, strip.last + REACH, BLOCK):
            advance(seen[plane], target, plane, strip, index, stream, ssim_sums[plane, number])
            ready = index - REACH
            if ready < strip.first:
                continue
            blur_partials(stream, ready, strip.right - strip.left)
            for row in range(ready, min(ready + BLOCK, strip.last)):
                x_row, y_row = seen[plane, row, columns], target.image[plane, row, columns]
                out = by_seen[plane, row, columns]
                gradient_row(x_row, y_row, stream, row - ready, out)
                blend_gradient_row(weights[0], weights[1], x_row, y_row, out)
                error = stream.rows[0, 0, : out.size]
                squared_error_row(x_row, y_row, error)
                error_sums[plane, number, row] = sum_row(error)
        start += strip.last - strip.first


@kernel
def layer_pass(
    layers: FloatArray,
    guides: Constant,
    by_seen: FloatArray,
    weights: tuple[np.float32, np.float32],
    streams: Stream,
    gradient: FloatArray,
    ssim_sums: FloatArray,
    step: int,
    worker: int,
    workers: int,
) -> None:
    """Differentiate by the layers: the guides' SSIM and what comes back through the product.

    layers, gradient: (N, C, H, W + 2·MARGIN); guides: planes N·C; by_seen: (C, H, W + 2·MARGIN);
    weights: of the guides and of the product, the latter 1/scale; ssim_sums: (N·C, strips, H).
    """
    count, planes, height, stored = layers.shape
    guide_weight, inverse_scale = weights
    width = stored - 2 * MARGIN
    stream = stream_of(streams, worker)
    start, stop = share_of(count * planes * height * ((width + step - 1) // step), worker, workers)
    while start < stop:
        member, number, strip = strip_of(start, stop, height, width, step)
        k, plane = member // planes, member % planes
        columns = slice(strip.left + MARGIN, strip.right + MARGIN)
        for index in range(strip.first - REACH, strip.last + REACH, BLOCK):
            advance(layers[k, plane], guides, member, strip, index, stream, ssim_sums[member, number])
            ready = index - REACH
            if ready < strip.first:
                continue
            blur_partials(stream, ready, strip.right - strip.left)
            for row in range(ready, min(ready + BLOCK, strip.last)):
                out = gradient[k, plane, row, columns]
                x_row, y_row = layers[k, plane, row, columns], guides.image[member, row, columns]
                gradient_row(x_row, y_row, stream, row - ready, out)
                through_product = stream.rows[0, 0, : out.size]
                by_seen_row = by_seen[plane, row, columns]
                for i in range(out.size):
                    through_product[i] = inverse_scale * by_seen_row[i]
                for other in range(count):
                    if other != k:
                        multiply_row(layers[other, plane, row, columns], through_product)
                for i in range(out.size):
                    out[i] = through_product[i] - guide_weight * out[i]
        start += strip.last - strip.first


class CpuWorkspace:
    """Everything one size of image needs, allocated once; `iterate` allocates nothing of image size.

    Holds 7 planes of float32 per layer and colour (layer, two moments, gradient, guide and its two
    statistics) and 5 per colour of the target.
    """

    def __init__(
        self,
        target: npt.NDArray[np.floating],
        guides: npt.NDArray[np.floating],
        objective: Objective,
        bounds: tuple[float, float],
        betas: tuple[float, float],
        team: Team,
    ) -> None:
        """Prepare to solve for `target` (C, H, W) and `guides` (N, C, H, W), encoded transmittance in [0, 1].

        bounds: the printable range of encoded transmittance (low, high), 0 < low < high ≤ 1.
        betas: the decay rates of Adam's moments.
        """
        count, planes, height, width = guides.shape
        self._objective = objective
        self._bounds = bounds
        self._betas = betas
        self._team = team
        self._step = 0
        self._strip = strip_width(width)
        self._target = constant(np.asarray(target, dtype=np.float32), team)
        self._guides = constant(np.asarray(guides, dtype=np.float32).reshape(-1, height, width), team)
        self._layers, self._first, self._second, self._gradient = (bordered(guides.shape) for _ in range(4))
        self._seen, self._by_seen = bordered(target.shape), bordered(target.shape)
        self._streams = new_streams(team.workers, width)
        strips = strip_count(width)
        self._target_sums = tuple(np.zeros((planes, strips, height), dtype=np.float32) for _ in range(2))
        self._guide_sums = np.zeros((count * planes, strips, height), dtype=np.float32)

    @property
    def layers(self) -> FloatArray:
        """The layers as they stand, (N, C, H, W) float32: a view, changed by `iterate`."""
        return interior(self._layers)

    @property
    def gradient(self) -> FloatArray:
        """The gradient of the last evaluation in the per-pixel measure, (N, C, H, W) float32: a view."""
        return interior(self._gradient)

    def start(self, layers: npt.NDArray[np.floating]) -> None:
        """Begin anew from `layers` (N, C, H, W), clamped to the bounds."""
        self.layers[...] = np.clip(layers, np.float32(self._bounds[0]), np.float32(self._bounds[1]))
        self._first.fill(0)
        self._second.fill(0)
        self._step = 0

    def evaluate(self) -> Terms:
        """Measure the terms at the present layers and leave the gradient there in `gradient`."""
        weights, run = self._objective, self._team.run
        inverse_scale = np.float32(1 / weights.scale)
        run(product_rows, self._layers, inverse_scale, self._seen)
        run(
            target_pass,
            self._seen,
            self._target,
            (np.float32(weights.ssim_weight), np.float32(weights.mse_weight)),
            self._streams,
            self._by_seen,
            self._target_sums,
            self._strip,
        )
        run(
            layer_pass,
            self._layers,
            self._guides,
            self._by_seen,
            (np.float32(weights.guide_weight), inverse_scale),
            self._streams,
            self._gradient,
            self._guide_sums,
            self._strip,
        )
        return self._terms()

    def iterate(self, rate: float) -> Terms:
        """Take one step at learning rate `rate`; return the terms at the layers it started from."""
        terms = self.evaluate()
        self._step += 1
        rates = Rates.at(self._step, rate, self._bounds, self._betas)
        self._team.run(adam_rows, self._layers, self._first, self._second, self._gradient, rates)
        return terms

    def _terms(self) -> Terms:
        """Add the row sums up in float64, in a fixed order."""
        count, planes, height, width = self.layers.shape
        size = planes * height * width
        ssim, error = (float(sums.sum(dtype=np.float64)) / size for sums in self._target_sums)
        by_layer = self._guide_sums.reshape(count, -1).sum(axis=1, dtype=np.float64) / size
        return Terms(ssim, error, tuple(float(value) for value in by_layer))
