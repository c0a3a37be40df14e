"""The iteration on the CPU, step by step, for sheets that lie in any number of arrangements.

For every stack: its sheets are placed, multiplied and compared with the target; the gradient by each placed sheet
comes back through the product and then through its placement. Then every layer is compared with its guide, and
moved. For one stack of unmoved sheets `sweep` does the same in one pass over memory, and gives the same bytes.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..exact import SSIM_BITS
from ..lanes import LANES
from ..layout import (
    BLOCK,
    FloatArray,
    aligned_zeros,
    exchange_halos,
    from_strips,
    masks_of,
    put_plane,
    stored,
    strips_for,
)
from ..placement.cpu import carry, tables_bytes, tables_for
from ..placement.frames import WHOLE, Frame, ways
from ..placement.move import STILL, Moves
from ..region import Region
from ..ssim.stream import Constant
from .passes import adam_pass, layer_pass, likeness_pass, product_pass, stack_pass
from .state import State, state_bytes
from .terms import Objective, Shape, Sums, Terms, Weights


class StepwiseWorkspace(State):
    """The state of an image or a tile with its windows, and the iteration for any arrangements of its layers.

    Besides the state it holds a gradient, the product of a stack and that stack's placed sheets; where sheets must
    not give a picture away a gradient of those as well; and weights of pixels where not all count alike.
    """

    def _allocate(self) -> None:
        super()._allocate()
        (count, planes, height, _), strips, objective = self.shape, self._strips, self._objective
        self._seen = stored(strips, planes)
        self._gradient = np.zeros_like(self._layers)
        self._stacked = [
            np.array(range(count) if one.layers is None else one.layers, dtype=np.int64) for one in objective.stacks
        ]
        self._aside = sorted(set(range(count)).difference(*(sheets.tolist() for sheets in self._stacked)))
        most = max(len(sheets) for sheets in self._stacked)
        self._placed = stored(strips, most, planes)
        self._lines = aligned_zeros(self._team.workers, most * LANES)
        self._tables = tables_for(strips, self._team.workers)
        hiding = [len(s) for s, one in zip(self._stacked, objective.stacks, strict=True) if one.hide_weight]
        self._by_sheet = stored(strips, max(hiding), planes) if hiding else None
        self._likeness_sums = np.zeros((sum(hiding), planes, strips.across, height))
        self._pixel_weights = [stored(strips, self.windows) if one.weighted else None for one in objective.stacks]
        self._disc = stored(strips, self.windows) if objective.disc else None

    def put_weights(self, stack: int, window: int, image: npt.NDArray[np.floating], top: int = 0) -> None:
        """Take `image` (h, W) in [0, 1] as rows from `top` on of the weights of a stack's pixels in a window."""
        weights = self._pixel_weights[stack]
        assert weights is not None, "the objective says that its pixels count alike"
        put_plane(image, self._strips, weights[window], top)

    def settle(
        self,
        step: int = 0,
        counted: Sequence[Region] | None = None,
        iterations: int | None = None,
        frames: Sequence[Frame] = WHOLE,
        image: tuple[int, int] | None = None,
    ) -> None:
        """Make ready for `advance`, as State says."""
        super().settle(step, counted, iterations, frames, image)
        self._frames = tuple(frames)
        by_window = [masks_of(self._strips, region) for region in self._counted]
        self._window_masks = self._masks._replace(counted=np.stack([masks.counted for masks in by_window]))
        self._likeness_sums.fill(0)
        self._gradient.fill(0)
        if self._disc is not None:
            self._settle_disc(image or (self.shape.height, self.shape.width))

    def _settle_disc(self, image: tuple[int, int]) -> None:
        """Find what of the windows lies in the circle; outside it nothing counts, and the layers are clear."""
        assert self._disc is not None
        high = np.float32(self._bounds[1])
        of_window = self.shape.planes // self.windows
        inside = self._masks.inside[:, np.newaxis] != 0
        for window, frame in enumerate(self._frames):
            put_plane(disc(image, frame, self.shape[2:]), self._strips, self._disc[window])
            outside = inside & (self._disc[window] == 0)
            for layer in self._layers:
                for plane in layer[window * of_window : (window + 1) * of_window]:
                    plane[outside] = high
            for weights in self._pixel_weights:
                if weights is not None:
                    weights[window] *= self._disc[window]

    @property
    def gradient(self) -> FloatArray:
        """The gradient of the last evaluation in the per-pixel measure, (N, C, H, W) float32: a copy."""
        return from_strips(self._gradient, self._strips)

    def evaluate(self, moves: Moves | None = None) -> Terms:
        """Measure the terms at the present layers and leave the gradient there in `gradient`."""
        return self._evaluate(moves).terms(self.pixels, self._objective)

    def _evaluate(self, moves: Moves | None = None) -> Sums:
        run, planes = self._team.run, self.shape.planes
        fresh = np.ones(self.shape.layers, dtype=np.bool_)
        for layer in self._aside:
            self._gradient[layer].fill(0)
        hidden = 0
        for number, (stack, sheets) in enumerate(zip(self._objective.stacks, self._stacked, strict=True)):
            lying = (STILL,) * len(sheets) if moves is None else moves[number]
            placed, own = self._placed[: len(sheets)], np.arange(len(sheets))
            target = Constant(*(part[number * planes : (number + 1) * planes] for part in self._target))
            weights = Weights.of(self._objective, number)
            pixel_weights = self._pixel_weights[number] if stack.weighted else self._disc
            common = (self._window_masks, self._strips, self._streams)
            of_ways = (self._strips, self._tables)
            there, nothing = ways(lying, self._frames), np.zeros(len(sheets), dtype=np.bool_)
            run(carry, self._layers, sheets, placed, own, there, nothing, np.float32(1), *of_ways)
            run(product_pass, placed, weights.inverse_scale, self._seen)
            by_sheet = None
            if stack.hide_weight and self._by_sheet is not None:
                by_sheet = self._by_sheet[: len(sheets)]
                sums = self._likeness_sums[hidden : hidden + len(sheets)]
                hidden += len(sheets)
                counts, step = self._counts(pixel_weights)
                run(likeness_pass, placed, target, weights, counts, step, *common, by_sheet, sums)
            sums_of_stack = tuple(part[number * planes : (number + 1) * planes] for part in self._target_sums)
            run(
                stack_pass,
                self._seen,
                target,
                weights,
                pixel_weights,
                *common,
                placed,
                by_sheet,
                self._lines,
                sums_of_stack,
            )
            back = ways(lying, self._frames, back=True)
            run(carry, placed, own, self._gradient, sheets, back, ~fresh[sheets], np.float32(0), *of_ways)
            fresh[sheets] = False
        flat = self._layers.reshape(-1, *self._layers.shape[2:])
        run(
            layer_pass,
            flat,
            self._guides,
            self._weights,
            self._disc,
            *common,
            self._gradient.reshape(flat.shape),
            self._guide_sums,
            planes,
        )
        return self._sums()

    def _counts(self, pixel_weights: FloatArray | None) -> tuple[FloatArray, int]:
        """Return weights of pixels (W, across, H or 1, L), even if all count alike, and the step between rows."""
        if pixel_weights is None:
            return np.ascontiguousarray(self._masks.inside[np.newaxis, :, np.newaxis]), 0
        return pixel_weights, pixel_weights.shape[3]

    def _sums(self) -> Sums:
        count = len(self._likeness_sums)
        flat = self._likeness_sums.reshape(-1, *self._likeness_sums.shape[2:])
        return super()._sums()._replace(likeness=self._by_group(flat, count, SSIM_BITS) if count else ())

    def advance(self, rates: Sequence[float], moves: Sequence[Moves] | None = None) -> list[Sums]:
        """Take a step at each of `rates`, the sheets lying as `moves` says of each, None for unmoved."""
        by_step = (None,) * len(rates) if moves is None else moves
        return [self.measure(rate, lying) for rate, lying in zip(rates, by_step, strict=True)]

    def measure(self, rate: float, moves: Moves | None = None) -> Sums:
        """Take one step at learning rate `rate`; return the sums of the terms at the layers it started from."""
        sums = self._evaluate(moves)
        flat = (self._layers.shape[0] * self._layers.shape[1], *self._layers.shape[2:])
        arrays = (self._layers, self._first, self._second, self._gradient)
        self._team.run(adam_pass, *(array.reshape(flat) for array in arrays), self._masks, self._next_rates(rate))
        exchange_halos(self._layers, self._strips, self._team)
        return sums


def disc(image: tuple[int, int], frame: Frame, size: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Return which pixels of a window lie in the largest circle of `image` = (height, width), 1 or 0, float32.

    frame, size: where the window lies, and its height and width. Their middles count.
    """
    height, width = image
    y = np.arange(frame.top, frame.top + size[0])[:, np.newaxis] - (height - 1) / 2
    x = np.arange(frame.left, frame.left + size[1]) - (width - 1) / 2
    return np.asarray(y * y + x * x <= (min(height, width) / 2) ** 2, dtype=np.float32)


def stepwise_bytes(shape: Shape, workers: int, objective: Objective, windows: int = 1) -> int:
    """Return the memory that a `StepwiseWorkspace` of `shape` for a team of so many workers takes."""
    strips = strips_for(shape.height, shape.width)
    sheets = [shape.layers if one.layers is None else len(one.layers) for one in objective.stacks]
    hiding = [count for count, one in zip(sheets, objective.stacks, strict=True) if one.hide_weight]
    planes = shape.planes * (shape.layers + 1 + max(sheets) + max(hiding, default=0))
    weights = windows * (objective.disc + sum(one.weighted for one in objective.stacks))
    plane = (strips.across * strips.height + BLOCK) * strips.groups * LANES
    row_sums = sum(hiding) * shape.planes * strips.across * strips.height
    masks = (windows + 3) * strips.across * strips.groups * LANES
    state = state_bytes(shape, workers, len(objective.stacks))
    return state + 4 * ((planes + weights) * plane + masks) + 8 * row_sums + tables_bytes(strips, workers)
