"""The iteration on the CPU, pass by pass, for any objective.

For every stack the sheets are placed, composed and compared with the target. The gradient goes back through light
and placement to the layers, the terms of the layers add theirs, and the layers take a step. For the objectives that
`sweep` can run, it gives the same bytes.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..carriers import SPARED
from ..carriers.cpu import move_target, scratch_for
from ..lanes import LANES
from ..layout import (
    FloatArray,
    aligned_zeros,
    exchange_halos,
    from_strips,
    masks_of,
    put_plane,
)
from ..light import declared
from ..newton.cpu import SCRATCH, Bends, newton_pass
from ..placement.cpu import carry, tables_for
from ..placement.frames import WHOLE, Frame, disc, placement_maps
from ..placement.move import STILL, Drawn, Placing, as_drawn
from ..region import Region
from ..ssim.cpu import find_statistics
from ..ssim.stream import Constant
from ..terms import BY_NAME, Term, part_of
from ..terms.guide_ssim.cpu import guide_pass
from ..terms.leak.cpu import leak_pass
from ..terms.rows import Layers
from ..terms.stack_ssim.cpu import stack_pass
from .inked import Inked
from .objective import Sums, Terms, Weights, weight_of, weight_of_sheet
from .passes import adam_pass, light_back_pass, light_pass
from .state import State
from .stepwise_size import carrying_in, leaking_in


class StepwiseWorkspace(State):
    """The state of an image or a tile with its windows, and the iteration for any objective.

    In addition to the state it holds a gradient, the composite of a stack and the stack's placed sheets. If the
    leak counts, it also holds a gradient by these sheets; if not all pixels count equally, pixel weights; if the
    light couples planes, the gradients by a composite and by its sheets; if stacks have carriers, their masks, the
    pixel weights of the leak, and a target that has moved; if layers are device codes, their sheets (inked.py).
    """

    def _allocate(self) -> None:
        super()._allocate()
        (count, planes, height, _), strips, objective = self.shape, self._strips, self._objective
        self._composite = self._zeros(planes)
        self._gradient = self._zeros(*self._layers.shape[:2])
        self._stacked = [np.array(one.sheets(count), dtype=np.int64) for one in objective.stacks]
        self._aside = sorted(set(range(count)).difference(*(sheets.tolist() for sheets in self._stacked)))
        most = max(len(sheets) for sheets in self._stacked)
        self._placed = self._zeros(most, planes)
        self._lines = aligned_zeros(self._team.workers, most * LANES)
        self._tables = tables_for(strips, self._team.workers)
        self._scratch = aligned_zeros(self._team.workers, SCRATCH * count) if self._bends else None
        leaking = leaking_in(objective, count)
        self._by_sheet = self._zeros(max(leaking), planes) if leaking else None
        self._leak_sums = np.zeros((sum(leaking), planes, strips.across, height))
        self._own_passes = {term.name: _own_pass(term) for term in objective.own_passes}
        self._own_sums = {name: np.zeros((count, planes, strips.across, height)) for name in self._own_passes}
        self._pixel_weights = [self._zeros(self.windows) if one.weighted else None for one in objective.stacks]
        self._disc = self._zeros(self.windows) if objective.disc else None
        light = declared(objective.light)
        self._lights = [light.constants(one.scale) for one in objective.stacks]
        self._inked: Inked | None = None
        if objective.inks is not None:
            of_window = planes // self.windows
            self._inked = Inked(objective.inks, objective, self.shape, of_window, self._zeros, self._team)
        self._sheets = self._layers if self._inked is None else self._inked.sheets
        self._by_composite = self._zeros(planes) if light.couples_planes or self._inked is not None else None
        self._by_placed = np.zeros_like(self._placed) if light.couples_planes else None
        self._carriers = [self._zeros(one, self.windows) if one else None for one in carrying_in(objective, count)]
        self._leak_counts = [
            None if masks is None or not one.weight("leak") else self._zeros(*masks.shape[:2])
            for one, masks in zip(objective.stacks, self._carriers, strict=True)
        ]
        moves_targets = any(masks is not None for masks in self._carriers)
        self._moved = Constant(*(self._zeros(planes) for _ in range(3))) if moves_targets else None
        self._fetching = scratch_for(strips, self._team.workers, most if moves_targets else 0)

    def put_weights(self, stack: int, window: int, image: npt.NDArray[np.floating], top: int = 0) -> None:
        """Copy `image` (h, W) in [0, 1] into the pixel weights of a stack in a window, from row `top` on."""
        weights = self._pixel_weights[stack]
        assert weights is not None, "the objective says that its pixels count alike"
        put_plane(image, self._strips, weights[window], top)

    def put_carrier(
        self, stack: int, sheet: int, window: int, image: npt.NDArray[np.floating], top: int = 0
    ) -> None:
        """Copy `image` (h, W) in [0, 1] into the mask of a sheet of a stack in a window, from row `top` on."""
        masks = self._carriers[stack]
        assert masks is not None, "the objective says that the stack has no carriers"
        put_plane(image, self._strips, masks[sheet, window], top)

    def prepare(
        self,
        step: int = 0,
        counted: Sequence[Region] | None = None,
        iterations: int | None = None,
        frames: Sequence[Frame] = WHOLE,
        image: tuple[int, int] | None = None,
    ) -> None:
        """Prepare for `advance`; see State."""
        super().prepare(step, counted, iterations, frames, image)
        self._frames = tuple(frames)
        by_window = [masks_of(self._strips, region) for region in self._counted]
        self._window_masks = self._masks._replace(counted=np.stack([masks.counted for masks in by_window]))
        for sums in (self._leak_sums, *self._own_sums.values()):
            sums.fill(0)
        self._gradient.fill(0)
        if self._disc is not None:
            self._prepare_disc(image or (self.shape.height, self.shape.width))
        for number, masks in enumerate(self._carriers):
            if masks is not None:
                self._prepare_carriers(masks, self._leak_counts[number], self._pixel_weights[number])
        if self._bends is not None and self._counting is not None:
            self._find_curvatures(self._bends, self._counting)

    @property
    def _counting(self) -> FloatArray | None:
        """The weights of the pixels of the first stack, (W, across, H, L); None if all count equally."""
        return self._pixel_weights[0] if self._objective.stacks[0].weighted else self._disc

    def _prepare_carriers(
        self, masks: FloatArray, leak_counts: FloatArray | None, pixel_weights: FloatArray | None
    ) -> None:
        """Set the pixel weights of the leak to 1 - SPARED·m; clear the masks off the disc."""
        counts, _ = self._counts(self._disc if pixel_weights is None else pixel_weights)
        for sheet, mask in enumerate(masks):
            for window in range(self.windows):
                if leak_counts is not None:
                    weights = counts[min(window, len(counts) - 1)]
                    np.subtract(np.float32(1), np.float32(SPARED) * mask[window], out=leak_counts[sheet, window])
                    leak_counts[sheet, window] *= weights
                if self._disc is not None:
                    mask[window] *= self._disc[window]

    def _prepare_disc(self, image: tuple[int, int]) -> None:
        """Set pixel weights to 0 and layers to clear outside the circle of the image."""
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
        """A copy of the gradient of the last evaluation, in the per-pixel measure, (N, C, H, W) float32."""
        return from_strips(self._gradient, self._strips)

    def evaluate(self, moves: Placing | None = None) -> Terms:
        """Return the terms at the present layers; store their gradient, which `gradient` returns."""
        return self._evaluate(moves).terms(self.pixels, self._objective)

    def _evaluate(self, moves: Placing | None = None) -> Sums:
        fresh = np.ones(self.shape.layers, dtype=np.bool_)
        for layer in self._aside:
            self._gradient[layer].fill(0)
        leaking = 0
        drawn = as_drawn(tuple((STILL,) * len(sheets) for sheets in self._stacked) if moves is None else moves)
        if self._inked is not None:
            self._inked.develop(self._layers, self._masks.inside)
        for number, sheets in enumerate(self._stacked):
            leaking += self._evaluate_stack(number, sheets, drawn, ~fresh[sheets], leaking)
            fresh[sheets] = False
        self._evaluate_guides()
        for name in self._own_passes:
            self._evaluate_own(name)
        if self._inked is not None:
            self._inked.give_back(self._layers, self._disc, self._gradient)
        return self._sums()

    def _evaluate_stack(
        self, number: int, sheets: npt.NDArray[np.int64], drawn: Drawn, adds: npt.NDArray[np.bool_], leaking: int
    ) -> int:
        """Compare a stack with its target and propagate the gradient by its sheets back to the layers.

        adds: for each sheet, whether its layer already has a gradient to add to. leaking: number of sheets whose
        leak counts in the stacks before; returns their number in this stack.
        """
        run, planes, stack = self._team.run, self.shape.planes, self._objective.stacks[number]
        of_window = planes // self.windows
        placed, own = self._placed[: len(sheets)], np.arange(len(sheets))
        target = Constant(*(part[number * planes : (number + 1) * planes] for part in self._target))
        weights, light = Weights.of(self._objective, number), self._lights[number]
        pixel_weights = self._pixel_weights[number] if stack.weighted else self._disc
        common = (self._window_masks, self._strips, self._streams)
        of_maps, lying = (self._strips, self._tables), drawn.moves[number]
        if self._carriers[number] is not None and stack.weight("leak"):
            self._evaluate_alone(number, sheets, drawn.own[number], adds, leaking)
            adds = np.ones_like(adds)
        there, nothing = placement_maps(lying, self._frames), np.zeros(len(sheets), dtype=np.bool_)
        run(carry, self._sheets, sheets, placed, own, there, nothing, np.float32(1), *of_maps)
        run(light_pass, placed, light, of_window, self._composite)
        seen, inked = self._composite, self._inked
        if inked is not None:
            seen = inked.see(number, self._composite, self._masks.inside)
        by_sheet, found = None, len(sheets) if stack.weight("leak") else 0
        if found and self._carriers[number] is None:
            assert self._by_sheet is not None
            by_sheet, sums = self._by_sheet[:found], self._leak_sums[leaking : leaking + found]
            counts, step = self._counts(pixel_weights)
            run(leak_pass, placed, target, weights.leak, counts, step, *common, by_sheet, sums)
        target = self._moved_target(number, target, drawn.off[number])
        sums_of_stack = tuple(part[number * planes : (number + 1) * planes] for part in self._target_sums)
        run(
            stack_pass,
            seen,
            target,
            weights.stack_ssim,
            weights.stack_mse,
            light,
            pixel_weights,
            *common,
            placed,
            by_sheet,
            self._by_composite,
            self._lines,
            None if self._bends is None else self._bends.windowed,
            sums_of_stack,
        )
        by_placed = placed if self._by_placed is None else self._by_placed[: len(sheets)]
        if self._by_composite is not None:
            if inked is not None:
                inked.see_back(number, self._composite, self._by_composite)
            run(light_back_pass, self._by_composite, placed, light, of_window, by_sheet, by_placed, self._lines)
        back = placement_maps(lying, self._frames, back=True)
        run(carry, by_placed, own, self._gradient, sheets, back, adds, np.float32(0), *of_maps)
        return found

    def _evaluate_alone(
        self, number: int, sheets: npt.NDArray[np.int64], own: Any, adds: npt.NDArray[np.bool_], leaking: int
    ) -> None:
        """Compare each sheet of a stack with carriers alone with the target, where it is not the carrier.

        It lies as it does in the stack, without a misalignment: what it gives away when it is held alone does not
        depend on that. The gradient goes to the layers.
        """
        run, planes, nothing = self._team.run, self.shape.planes, np.zeros(len(sheets), dtype=np.bool_)
        target = Constant(*(part[number * planes : (number + 1) * planes] for part in self._target))
        counts, by_sheet = self._leak_counts[number], self._by_sheet
        assert counts is not None
        assert by_sheet is not None
        of_maps, numbers = (self._strips, self._tables), np.arange(len(sheets))
        there, back = (placement_maps(own, self._frames, back=way) for way in (False, True))
        run(carry, self._sheets, sheets, self._placed, numbers, there, nothing, np.float32(1), *of_maps)
        for k in range(len(sheets)):
            one, at = slice(k, k + 1), leaking + k
            run(
                leak_pass,
                self._placed[one],
                target,
                weight_of_sheet(self._objective, BY_NAME["leak"], number, k),
                counts[k],
                counts.shape[-1],
                self._window_masks,
                self._strips,
                self._streams,
                by_sheet[one],
                self._leak_sums[at : at + 1],
            )
        run(carry, by_sheet, numbers, self._gradient, sheets, back, adds, np.float32(0), *of_maps)

    def _moved_target(self, number: int, target: Constant, off: Any) -> Constant:
        """Return the target of a stack, moved with its carriers as the sheets are misaligned, with statistics."""
        masks, moved = self._carriers[number], self._moved
        if masks is None or moved is None or all(one == STILL for one in off):
            return target
        maps, to = placement_maps(off, self._frames), (self._tables, self._fetching, moved.image)
        self._team.run(move_target, target.image, masks, maps, self._masks.inside, self._strips, *to)
        find_statistics(moved, self._strips, self._streams, self._team)
        return moved

    def _evaluate_guides(self) -> None:
        """Compare every layer with its guide and add that to the gradient."""
        looks, by_looks = self._looks_and_gradient
        flat = looks.reshape(-1, *looks.shape[2:])
        self._team.run(
            guide_pass,
            flat,
            self._guides,
            self._weights.guide_ssim,
            self._disc,
            self._window_masks,
            self._strips,
            self._streams,
            by_looks.reshape(flat.shape),
            self._guide_sums,
            self.shape.planes,
        )

    def _evaluate_own(self, name: str) -> None:
        """Run the own pass of a term of the layers."""
        counts, step = self._counts(self._disc)
        looks, by_looks = self._looks_and_gradient
        layers = Layers(
            looks,
            self._guides.image.reshape(looks.shape),
            by_looks,
            weight_of(self._objective, BY_NAME[name]),
            counts,
            step,
            self._window_masks,
            self._strips,
            self.shape.planes // self.windows,
            self._streams.lines,
            self._own_sums[name],
        )
        self._team.run(self._own_passes[name], layers)

    @property
    def _looks_and_gradient(self) -> tuple[FloatArray, FloatArray]:
        """How the sheets look alone, and the gradient by that: for layers that are no device codes, theirs."""
        if self._inked is None:
            return self._layers, self._gradient
        return self._inked.looks, self._inked.by_looks(self._gradient)

    def _counts(self, pixel_weights: FloatArray | None) -> tuple[FloatArray, int]:
        """Return pixel weights (W, across, H or 1, L), even if all count equally, and the distance between rows."""
        if pixel_weights is None:
            return np.ascontiguousarray(self._masks.inside[np.newaxis, :, np.newaxis]), 0
        return pixel_weights, pixel_weights.shape[3]

    def _sums(self) -> Sums:
        sums, leaking = super()._sums(), len(self._leak_sums)
        if leaking:
            flat = self._leak_sums.reshape(-1, *self._leak_sums.shape[2:])
            sums["leak"] = self._by_group("leak", flat, leaking)
        for name, of_rows in self._own_sums.items():
            flat = of_rows.reshape(-1, *of_rows.shape[2:])
            sums[name] = self._by_group(name, flat, self.shape.layers)
        return sums

    def advance(self, rates: Sequence[float], moves: Sequence[Placing] | None = None) -> list[Sums]:
        """Take one step for each of `rates`, with the placements `moves` of each step; None: unmoved."""
        by_step = (None,) * len(rates) if moves is None else moves
        return [self.measure(rate, lying) for rate, lying in zip(rates, by_step, strict=True)]

    def measure(self, rate: float, moves: Placing | None = None) -> Sums:
        """Take one step at learning rate `rate`; return the sums of the terms at the layers it started from."""
        sums = self._evaluate(moves)
        if self._bends is not None:
            self._step_together(self._bends, rate)
            return sums
        flat = (self._layers.shape[0] * self._layers.shape[1], *self._layers.shape[2:])
        arrays = (self._layers, self._first, self._second, self._gradient)
        self._team.run(adam_pass, *(array.reshape(flat) for array in arrays), self._masks, self._next_rates(rate))
        exchange_halos(self._layers, self._strips, self._team)
        return sums

    def _step_together(self, bends: Bends, left: float) -> None:
        """Take a Newton step of all layers."""
        self._team.run(
            newton_pass,
            self._layers,
            self._first,
            self._second,
            self._gradient,
            self._lights[0][0],
            bends,
            self._target.mean,
            self._counting,
            self.shape.planes // self.windows,
            self._masks,
            self._scratch,
            self._next_newton(left),
        )
        exchange_halos(self._layers, self._strips, self._team)


def _own_pass(term: Term) -> Callable[..., None]:
    """Return the kernel of a term that has its own pass."""
    found: Callable[..., None] = getattr(part_of(term, "cpu"), f"{term.name}_pass")
    return found
