"""The state of an iteration on the CPU, shared by all its variants."""

from collections.abc import Sequence
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

from ..adam.step import Rates
from ..codes.cpu import to_codes
from ..exact import Exact, quanta
from ..lanes import LANES
from ..layout import (
    BLOCK,
    Arena,
    FloatArray,
    SumArray,
    Window,
    from_strips,
    masks_of,
    put_plane,
    stored,
    strips_for,
    take_plane,
    whole,
    window_around,
)
from ..light import declared
from ..newton.cpu import Bends, find_curvatures
from ..newton.step import NewtonRates
from ..placement.frames import WHOLE, Frame
from ..placement.move import Placing
from ..region import Region
from ..ssim.cpu import find_statistics
from ..ssim.stream import Constant, new_streams, streams_bytes
from ..terms import BY_NAME
from ..threads import Team
from ..window import REACH
from .objective import Objective, Shape, Step, Sums, Terms, Weights

S = TypeVar("S", bound="State")

_CODED: Final = 1 << 16
"""Approximate pixels that become codes at a time: few enough to stay in a cache, and to need no budget."""


def state_bytes(shape: Shape, workers: int, stacks: int = 1, step: Step = "adam") -> int:
    """Return the bytes of a state of `shape` with `stacks` targets, for a team of `workers` workers."""
    strips = strips_for(shape.height, shape.width)
    length = strips.groups * LANES
    rows = strips.across * strips.height + BLOCK
    values = (6 * shape.layers + (3 if step == "adam" else 5) * stacks) * shape.planes
    row_sums = (shape.layers + 2 * stacks) * shape.planes * strips.across * strips.height
    return 4 * values * rows * length + 8 * row_sums + streams_bytes(workers, shape.layers + 1, strips)


class State:
    """Layers, moments and constants of one image, or of tiles with their halos in turn. It is allocated once.

    It has six float32 per pixel, plane and layer: layer, two moments, guide and its two statistics; three more per
    pixel, plane and stack for the target; and a few per cent for the halos of the strips. For a Newton step the
    moments are the velocity and the curvature by the layer, and there are two more for the target: the curvature by
    the stack, and its windowed mean.

    It is filled plane by plane (`put_target`, `put_guide`, `put_layer`); then `prepare` sets which part counts.
    Several windows of one image (placement/frames.py) are stored like more planes, window by window.
    """

    batch: int = 1
    """The best number of iterations for one call of `advance`: the terms of each are available when it ends."""

    remote: bool = False
    """Whether what is put should have few bytes: here they need not travel."""

    windows: int = 1
    """Windows of one image that its planes hold."""

    _arena: Arena | None = None

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
        self._make(Shape(*guides.shape), objective, bounds, betas, team)
        for plane, image in enumerate(target):
            self.put_target(plane, image)
        for layer, images in enumerate(guides):
            for plane, image in enumerate(images):
                self.put_guide(layer, plane, image)
        self.prepare()

    @classmethod
    def blank(
        cls: type[S],
        shape: Shape,
        objective: Objective,
        bounds: tuple[float, float],
        betas: tuple[float, float],
        team: Team,
        windows: int = 1,
        arena: Arena | None = None,
    ) -> S:
        """Return a state of `shape` that must still be filled; shape.planes: the planes of all windows together.

        arena: where its images are; None: in memory of their own.
        """
        state = cls.__new__(cls)
        state.windows, state._arena = windows, arena
        state._make(shape, objective, bounds, betas, team)
        return state

    def _make(
        self,
        shape: Shape,
        objective: Objective,
        bounds: tuple[float, float],
        betas: tuple[float, float],
        team: Team,
    ) -> None:
        self.shape = shape
        self.pixels = shape.planes * shape.height * shape.width
        self._bounds = bounds
        self._betas = betas
        self._team = team
        self._step = 0
        self._objective = objective
        self._weights = Weights.of(objective)
        self._light = declared(objective.light).constants(objective.stacks[0].scale)
        self._strips = strips_for(shape.height, shape.width)
        self._allocate()

    def _allocate(self) -> None:
        (count, planes, height, _), strips = self.shape, self._strips
        targets = len(self._objective.stacks) * planes
        self._target = Constant(*(self._zeros(targets) for _ in range(3)))
        self._guides = Constant(*(self._zeros(count * planes) for _ in range(3)))
        self._layers, self._first, self._second = (self._zeros(count, planes) for _ in range(3))
        self._streams = new_streams(self._team.workers, count + 1, strips)
        self._target_sums = tuple(np.zeros((targets, strips.across, height)) for _ in range(2))
        self._guide_sums = np.zeros((count * planes, strips.across, height))
        newton = self._objective.step == "newton"
        self._bends = Bends(*(self._zeros(targets) for _ in range(2))) if newton else None

    def _zeros(self, *leading: int) -> FloatArray:
        """Return zeros for images of this state, (*leading, across, H, groups·LANES)."""
        return stored(self._strips, *leading, arena=self._arena)

    def put_target(self, plane: int, image: npt.NDArray[np.floating], top: int = 0, stack: int = 0) -> None:
        """Copy `image` (h, W), encoded transmittance in [0, 1], into a plane of a stack's target.

        top: its first row; by default `image` is the whole plane. As in the other `put` methods, several threads
        may copy different rows at the same time.
        """
        put_plane(image, self._strips, self._target.image[stack * self.shape.planes + plane], top)

    def put_guide(self, layer: int, plane: int, image: npt.NDArray[np.floating], top: int = 0) -> None:
        """Copy `image` (h, W), encoded transmittance in [0, 1], into a plane of a guide, from row `top` on."""
        put_plane(image, self._strips, self._guides.image[layer * self.shape.planes + plane], top)

    def put_layer(
        self,
        layer: int,
        plane: int,
        image: npt.NDArray[np.floating],
        moments: tuple[npt.NDArray[np.floating], npt.NDArray[np.floating]] | None = None,
        top: int = 0,
    ) -> None:
        """Copy `image` (h, W), clamped to the bounds, and its moments (None: zeros) into a layer."""
        put_plane(image, self._strips, self._layers[layer, plane], top, self._bounds)
        # Of a Newton step the second one is the curvature, which `prepare` finds.
        for number, moment in enumerate((self._first, self._second) if self._bends is None else (self._first,)):
            if moments is None:
                moment[layer, plane, :, top : top + len(image)] = 0
            else:
                put_plane(moments[number], self._strips, moment[layer, plane], top)

    def prepare(
        self,
        step: int = 0,
        counted: Sequence[Region] | None = None,
        iterations: int | None = None,
        frames: Sequence[Frame] = WHOLE,
        image: tuple[int, int] | None = None,
    ) -> None:
        """Prepare for `advance`, once all planes are filled and after `step` steps.

        counted: for each window, the region whose terms are summed; None: all of it. iterations: the number of
        iterations that will follow. Each updates only the pixels on which `counted` still depends; None: all pixels
        are always updated, as for an image without neighbours. frames: the position of each window in the image.
        image: (height, width) of that image; None: those of this state.
        """
        self._step = step
        whole_of = Region(0, self.shape.height, 0, self.shape.width)
        self._counted = tuple(counted) if counted is not None else (whole_of,) * self.windows
        self._to_come = iterations
        self._masks = masks_of(self._strips, None if counted is None else self._counted[0])
        for sums in (*self._target_sums, self._guide_sums):
            sums.fill(0)
        for constant in (self._target, self._guides):
            find_statistics(constant, self._strips, self._streams, self._team)
        if self._bends is not None:
            self._find_curvatures(self._bends, None)

    def _find_curvatures(self, bends: Bends, weights: FloatArray | None) -> None:
        """Find the curvatures of a level; weights: of the target's pixels, None if all count equally."""
        factors = self._weights.stack_ssim, self._weights.stack_mse, self._weights.guide_ssim
        out = bends.curvature, self._second.reshape(-1, *self._second.shape[2:])
        find_curvatures(
            (self._target.variance, self._guides.variance),
            factors,
            weights,
            self.shape.planes // self.windows,
            self._masks,
            self._strips,
            self._streams,
            out,
            self._team,
        )

    def take_layer(self, layer: int, plane: int, out: FloatArray, top: int = 0) -> None:
        """Copy the present state of a plane of a layer, from row `top` on, into `out` (h, W)."""
        take_plane(self._layers[layer, plane], self._strips, out, top)

    def take_codes(
        self,
        layer: int,
        plane: int,
        floors: npt.NDArray[np.uint16],
        steps: FloatArray,
        out: npt.NDArray[Any],
        top: int = 0,
    ) -> None:
        """Copy the codes of a plane of a layer, from row `top` on, into `out` (h, W), uint8 or uint16.

        floors, steps: (cells + 1,), see `to_codes` in codes/cpu.py.
        """
        height, width = out.shape
        rows = min(height, max(1, _CODED // width))
        buffer = np.empty((rows, width), dtype=np.float32)
        for first in range(0, height, rows):
            part = out[first : first + rows]
            values = buffer[: len(part)]
            self.take_layer(layer, plane, values, top + first)
            to_codes(values, floors, steps, part[..., np.newaxis], 0)

    def take_moment(self, moment: int, layer: int, plane: int, out: FloatArray, top: int = 0) -> None:
        """Copy the first (0) or second (1) moment of a plane of a layer, from row `top` on, into `out` (h, W)."""
        take_plane((self._first, self._second)[moment][layer, plane], self._strips, out, top)

    @property
    def layers(self) -> FloatArray:
        """A copy of the present layers, (N, C, H, W) float32."""
        return from_strips(self._layers, self._strips)

    def start(self, layers: npt.NDArray[np.floating]) -> None:
        """Restart from `layers` (N, C, H, W), clamped to the bounds."""
        for layer, images in enumerate(layers):
            for plane, image in enumerate(images):
                self.put_layer(layer, plane, image)
        self._step = 0

    def measure(self, rate: float) -> Sums:
        """Take one step at learning rate `rate`; return the sums of the terms at the layers it started from.

        rate: for a Newton step the share of the level's iterations that are still to do, from 1 towards 0.
        """
        raise NotImplementedError("each path has its own")

    def iterate(self, rate: float) -> Terms:
        """Take one step at learning rate `rate`; return the terms at the layers it started from."""
        return self.measure(rate).terms(self.pixels, self._objective)

    def advance(self, rates: Sequence[float], moves: Sequence[Placing] | None = None) -> list[Sums]:
        """Take one step for each of `rates`; return, for each, the sums of the terms before the step.

        moves: the placement of the sheets of every stack in each of these steps; None: unmoved.
        """
        return [self.measure(rate) for rate in rates]

    def _next_rates(self, rate: float) -> Rates:
        """Count a step of Adam and return its constants."""
        self._step += 1
        return Rates.at(self._step, rate, self._bounds, self._betas)

    def _next_newton(self, left: float) -> NewtonRates:
        """Count a Newton step and return its constants."""
        self._step += 1
        return NewtonRates.at(left, self.shape.layers, self._bounds)

    def _next_window(self) -> Window:
        """Return the window that must be correct after the next iteration."""
        if self._to_come is None:
            return whole(self._strips)
        self._to_come -= 1
        return window_around(self._strips, self._counted[0], REACH * self._to_come)

    def _sums(self) -> Sums:
        """Add up the row sums."""
        stacks, layers = len(self._objective.stacks), self.shape.layers
        return Sums(
            stack_ssim=self._by_group("stack_ssim", self._target_sums[0], stacks),
            stack_mse=self._by_group("stack_mse", self._target_sums[1], stacks),
            guide_ssim=self._by_group("guide_ssim", self._guide_sums, layers),
        )

    def _by_group(self, term: str, sums: SumArray, groups: int) -> tuple[Exact, ...]:
        """Return the total of each group of a term's row sums (groups·planes, across, H), over the counted rows."""
        bits = BY_NAME[term].bits
        by_window = sums.reshape(groups, self.windows, -1, *sums.shape[1:])
        rows = [by_window[:, w, ..., one.top : one.bottom] for w, one in enumerate(self._counted)]
        return tuple(sum(quanta(part[group], bits) for part in rows) for group in range(groups))
