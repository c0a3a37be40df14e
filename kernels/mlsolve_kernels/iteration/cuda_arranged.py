"""The iteration on a GPU for any number of arrangements: twin of StepwiseWorkspace in stepwise.py.

For every stack the sheets are placed, composed and compared with the target. The gradient goes back through light
and placement to the layers. Then the gradients of their terms are added, and they take a step.
"""

import itertools
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..cuda.geometry import CARRYING, Grid, tiles_for
from ..cuda.source import WEIGHTED, kernel_of
from ..light import LIGHTS, declared
from ..placement.cuda import MAP_FIELDS, lines_of
from ..placement.frames import WHOLE, Frame, placement_maps
from ..placement.move import STILL, Drawn, Placing, as_drawn
from ..region import Region
from ..terms import BY_NAME
from .cuda_arranged_size import most_leaking, sheets_of, weights_of
from .cuda_carriers import CudaCarriers, carrying
from .cuda_inked import CudaInked
from .cuda_iteration import BATCH, CudaIteration
from .cuda_state import FloatArray
from .objective import Weights, weight_of, weight_of_sheet
from .route import Route, route_of


class _Pass(NamedTuple):
    """How a marching pass is launched."""

    kernel: str
    layers: int
    """The number of layers for which it is compiled."""
    grid: Grid
    pixel_weights: Any
    """(windows, H, pitch) on the device; an arbitrary array if all pixels count equally."""


class ArrangedCudaWorkspace(CudaIteration):
    """The state of an image or a tile with its windows, and the iteration for any arrangements of its layers.

    In addition to the state it holds the gradient by the composite of a stack and the stack's placed sheets. If the
    leak counts, it also holds a gradient by these sheets; if not all pixels count equally, pixel weights; if the
    light couples planes, the composite; if stacks have carriers, these (cuda_carriers.py); if layers are device
    codes, their sheets (cuda_inked.py).
    """

    def _allocate(self) -> None:
        super()._allocate()
        (count, planes, height, _), device, objective = self.shape, self._device, self._objective
        self._sheets = sheets_of(objective, count)
        everywhere = list(itertools.chain(*self._sheets))
        self._numbers = self._uploaded(np.array(everywhere, dtype=np.int32))
        self._firsts = np.cumsum([0, *map(len, self._sheets)]).tolist()
        self._route = route_of(objective, count, ())
        self._adds: dict[Route, Any] = {}
        # Sheets to places and back; with carriers their misalignment, and both ways without it.
        tables = 5 if any(carrying(objective, count)) else 2
        sizes = BATCH, len(everywhere), self.windows, MAP_FIELDS
        self._lines = device.zeros(tables, *sizes, dtype=np.int64)
        self._corners = device.zeros(self.windows, 2, dtype=np.int32)
        self._frames: tuple[Frame, ...] = WHOLE
        self._by_composite = device.zeros(planes, height, self._pitch)
        self._placed = device.zeros(max(map(len, self._sheets)), planes, height, self._pitch)
        leaking = most_leaking(objective, count)
        self._by_sheet = device.zeros(leaking, planes, height, self._pitch) if leaking else None
        couples = declared(objective.light).couples_planes
        self._composite = device.zeros(planes, height, self._pitch) if couples else None
        weights = weights_of(objective)
        self._pixel_weights = device.zeros(weights, self.windows, height, self._pitch) if weights else None
        self._carriers = CudaCarriers(device, objective, self.shape, self.windows)
        inks = objective.inks
        self._inked = None if inks is None else CudaInked(inks, device, objective, self.shape, self.windows)
        self._plan()

    def _plan(self) -> None:
        """Choose the grids of all passes, and the first group that each adds its sums to."""
        planes, objective = self.shape.planes, self._objective
        weights = [self._weights_of(number) for number in range(len(objective.stacks))]
        # If what is seen is computed beforehand, the pass handles it like a single sheet.
        beforehand = self._composite is not None or (self._inked is not None and self._inked.sees)
        self._stack_passes = [
            self._pass("stack_pass", 1, planes, of_pixels)
            if beforehand
            else self._pass("stack_pass", len(sheets), planes, of_pixels, objective.light)
            for sheets, of_pixels in zip(self._sheets, weights, strict=True)
        ]
        self._layer_passes: dict[str, _Pass] = {}
        self._leak_passes = {
            number: self._pass("leak_pass", 1, len(self._sheets[number]) * planes, weights[number])
            for number, stack in enumerate(objective.stacks)
            if stack.weight("leak")
        }
        self._alone_passes = {
            number: [self._pass("leak_pass", 1, planes, of_sheet) for of_sheet in of_pixels]
            for number, of_pixels in enumerate(self._carriers.leak_weights)
            if of_pixels is not None
        }
        names = [group.term for group in self._groups]
        before = [len(self._sheets[number]) for number in self._leak_passes]
        leaks = np.cumsum([names.index("leak") if before else 0, *before]).tolist()
        self._leak_groups = dict(zip(self._leak_passes, leaks, strict=False))
        self._own_groups = {term.name: names.index(term.name) for term in objective.own_passes}

    def _pass(
        self, kernel: str, layers: int, planes: int, pixel_weights: Any, light: str = LIGHTS[0].name
    ) -> _Pass:
        """Return how a pass over `planes` planes is launched; pixel_weights: None if all pixels count equally."""
        kernel = kernel_of(kernel if pixel_weights is None else kernel + WEIGHTED, light)
        anything = self._by_composite if pixel_weights is None else pixel_weights
        return _Pass(kernel, layers, self._grid(kernel, planes, layers), anything)

    def _weights_of(self, number: int) -> Any:
        """Return the pixel weights of a stack on the device, (windows, H, pitch); None if all count equally."""
        objective = self._objective
        if self._pixel_weights is None:
            return None
        if objective.stacks[number].weighted:
            return self._pixel_weights[objective.disc + sum(one.weighted for one in objective.stacks[:number])]
        return self._pixel_weights[0] if objective.disc else None

    @property
    def _counting(self) -> tuple[Any, int, int]:
        weights = self._weights_of(0)
        return super()._counting if weights is None else (weights, 1, self.shape.planes // self.windows)

    def put_weights(
        self, stack: int, window: int, image: npt.NDArray[Any], top: int = 0, table: FloatArray | None = None
    ) -> None:
        """Copy `image` (h, W), weights in [0, 1] or codes, into those of a stack in a window, from row `top` on."""
        assert self._objective.stacks[stack].weighted, "the objective says that its pixels count alike"
        self._put(image, self._weights_of(stack)[window], top, table)

    def put_carrier(
        self, stack: int, sheet: int, window: int, image: npt.NDArray[Any], top: int = 0, table: Any = None
    ) -> None:
        """Copy `image` (h, W), in [0, 1] or codes, into the mask of a sheet of a stack, from row `top` on."""
        masks = self._carriers.masks[stack]
        assert masks is not None, "the objective says that the stack has no carriers"
        self._put(image, masks[sheet, window], top, table)

    def prepare(
        self,
        step: int = 0,
        counted: Sequence[Region] | None = None,
        iterations: int | None = None,
        frames: Sequence[Frame] = WHOLE,
        image: tuple[int, int] | None = None,
    ) -> None:
        """Prepare for `advance`; see CudaState."""
        super().prepare(step, counted, iterations, frames, image)
        self._frames = tuple(frames)
        if self._objective.disc:
            self._prepare_disc(image or (self.shape.height, self.shape.width))
        for number in range(len(self._sheets)):
            self._carriers.prepare(number, self._weights_of(number), self._disc_weights)
        if self._newton is not None and self._counting[1]:
            self._find_curvatures(self._newton)

    def _prepare_disc(self, image: tuple[int, int]) -> None:
        """Set pixel weights to 0 and layers to clear outside the circle of the image."""
        (count, planes, height, width), device = self.shape, self._device
        device.upload(np.array([frame[:2] for frame in self._frames], dtype=np.int32), self._corners)
        device.launch(
            "disc",
            1,
            tiles_for(self.windows, height, width),
            CARRYING,
            self._pixel_weights,
            weights_of(self._objective),
            self._layers,
            count,
            planes // self.windows,
            self._corners,
            *image,
            float(self._bounds[1]),
            *self._size,
        )

    def _take_moves(self, moves: Sequence[Placing | None]) -> None:
        drawn = [None if placing is None else as_drawn(placing) for placing in moves]
        lying = [None if one is None else one.moves for one in drawn]
        self._route = route_of(self._objective, self.shape.layers, lying)
        if self._route not in self._adds:
            both = self._route.adds, self._route.alone_adds or self._route.adds
            self._adds[self._route] = self._uploaded(np.array(both, dtype=np.int32))
        lines = np.zeros(self._lines.shape, dtype=np.int64)
        for turn, one in enumerate(drawn):
            same = turn > 0 and one == drawn[turn - 1]
            lines[:, turn] = lines[:, turn - 1] if same else self._lines_of(one)
        self._device.upload(lines, self._lines)

    def _lines_of(self, drawn: Drawn | None) -> npt.NDArray[np.int64]:
        """Return the map lines of all sheets of all stacks, (2 or 5, sheets, windows, MAP_FIELDS), as `_lines`."""
        if drawn is None:
            drawn = as_drawn(tuple((STILL,) * len(sheets) for sheets in self._sheets))
        tables = [(drawn.moves, False), (drawn.moves, True)]
        if len(self._lines) > len(tables):
            tables += [(drawn.off, False), (drawn.own, False), (drawn.own, True)]
        every = [[lines_of(placement_maps(one, self._frames, back)) for one in lying] for lying, back in tables]
        return np.array([np.concatenate(stacks) for stacks in every])

    @property
    def _recording(self) -> Hashable:
        return self._route

    def _passes(self, steps: bool) -> dict[str, Callable[[], None]]:
        through = self._route.through
        # The layer pass still needs what the stack whose gradient it takes through the light has found.
        order = sorted(range(len(self._sheets)), key=lambda number: number == through)
        inked, passes = self._inked, dict[str, Callable[[], None]]()
        if inked is not None:
            passes["develop"] = partial(inked.develop, self._layers)
        passes |= {f"stack {number + 1}": partial(self._measure_stack, number) for number in order}
        passes["layer pass"] = partial(self._compare_layers, steps)
        for name, number in self._own_groups.items():
            passes[f"{name} pass"] = partial(self._launch_own, name, number)
        if inked is not None:
            back = partial(inked.give_back, self._layers, self._disc_weights, self._gradient)
            passes["develop back"] = back
        return passes

    @property
    def _through(self) -> Any:
        """What the sheets let through, of which stacks are composed: the layers, unless these are device codes."""
        return self._layers if self._inked is None else self._inked.sheets

    @property
    def _looks_and_gradient(self) -> tuple[Any, Any]:
        """How the sheets look alone, and the gradient by that: for layers that are no device codes, theirs."""
        if self._inked is None:
            return self._layers, self._gradient
        return self._inked.looks, self._inked.by_looks(self._gradient)

    def _compare_layers(self, steps: bool) -> None:
        """Compare the layers with their guides; store the gradient of the loss by them, or take the step."""
        (looks, out), planes, route = self._looks_and_gradient, self.shape.planes, self._route
        by_layers, light = out, 1.0
        if route.through is None:
            one, by_stacks = self._layer_pass("guide", steps), out
        else:
            one, by_stacks = self._layer_pass("layer_more" if route.more else "layer", steps), self._by_composite
            light = self._lights[route.through]
            if route.more and len(self._sheets) == 1:
                by_layers = self._by_sheet
        if route.through is None or (route.more and by_layers is out):
            for layer in route.unused:
                self._device.clear(self._gradient[layer])
        self._launch(
            one.kernel,
            one.grid,
            looks,
            *self._guides,
            one.pixel_weights,
            by_stacks,
            by_layers,
            out,
            self._first,
            self._second,
            self._rates,
            *self._sums_to(3 * len(self._sheets)),
            planes,
            planes // self.windows,
            *self._size,
            one.grid.rows,
            light,
            self._weights.guide_ssim,
            layers=one.layers,
        )

    def _layer_pass(self, form: str, steps: bool) -> _Pass:
        """Return how a form of the layer pass is launched: "guide", "layer" or "layer_more"."""
        name = f"{form}_{'step' if steps else 'pass'}"
        if name not in self._layer_passes:
            layers, planes, light = self.shape.layers, self.shape.planes, LIGHTS[0].name
            compiled_for = 1 if form == "guide" else layers
            light = light if form == "guide" else self._objective.light
            self._layer_passes[name] = self._pass(name, compiled_for, layers * planes, self._disc_weights, light)
        return self._layer_passes[name]

    def _measure_stack(self, number: int) -> None:
        """Compare a stack with its target, and leave the gradient by its sheets to the layers or the layer pass."""
        planes, weights = self.shape.planes, Weights.of(self._objective, number)
        of_window, constant = planes // self.windows, self._lights[number]
        target = tuple(part[number * planes : (number + 1) * planes] for part in self._target)
        alone = number in self._alone_passes
        if alone:
            self._measure_alone(number, target)
        x = placed = self._place(number)
        if number in self._leak_passes and not alone:
            group = self._leak_groups[number]
            leak = self._leak_passes[number]
            self._march(leak, placed, target, self._by_sheet, group, (planes, of_window), weights.leak)
        if self._composite is not None:
            x = self._composite
            self._through_light("compose", number, placed, x, constant)
            constant = 1.0
        elif self._inked is not None and self._inked.sees:
            x, constant = self._inked.see(number, placed, constant), 1.0
        target = self._moved_target(number, target)
        constants = constant, weights.stack_ssim, weights.stack_mse
        self._march(self._stack_passes[number], x, target, self._by_composite, 3 * number, (of_window,), *constants)
        if number != self._route.through:
            self._give_back(number, placed)

    def _measure_alone(self, number: int, target: tuple[Any, ...]) -> None:
        """Compare each sheet alone, without its misalignment, with the target where it is not the carrier."""
        planes, group, placed = self.shape.planes, self._leak_groups[number], self._placed
        of_planes, by_sheet, count = (planes, planes // self.windows), self._by_sheet, len(self._sheets[number])
        assert by_sheet is not None
        self._carry("gather", 1, number, self._through, self._numbers, self._lines[3], self._turns, placed)
        for k, one in enumerate(self._alone_passes[number]):
            weight = weight_of_sheet(self._objective, BY_NAME["leak"], number, k)
            self._march(one, placed[k], target, by_sheet[k], group + k, of_planes, weight)
        to = self._numbers, self._adds[self._route][1], self._lines[4], self._turns, self._gradient
        self._carry("scatter", count, number, by_sheet, self._by_composite, by_sheet, *to, 0, 1.0)

    def _moved_target(self, number: int, target: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return the target of a stack, moved with its carriers if it has any, with its statistics."""
        if self._carriers.masks[number] is None:
            return target
        where = self._firsts[number], self._firsts[-1]
        self._carriers.move(number, target[0], self._lines[2], self._turns, where)
        grid, moved = self._grid("statistics", self.shape.planes), self._carriers.moved
        self._launch("statistics", grid, *moved, *self._size, grid.rows)
        return moved

    def _place(self, number: int) -> Any:
        """Return the sheets of a stack as they lie there, (sheets, planes, H, pitch) on the device."""
        sheets = self._sheets[number]
        if self._route.in_place[number]:
            return self._through[sheets[0] : sheets[0] + len(sheets)]
        placed = self._placed[: len(sheets)]
        self._carry("gather", 1, number, self._through, self._numbers, self._lines[0], self._turns, placed)
        return placed

    def _give_back(self, number: int, placed: Any) -> None:
        """Add the gradient by the placed sheets of a stack to that of the layers."""
        leaks = int(number in self._leak_passes and number not in self._alone_passes)
        constant, light = self._lights[number], self._objective.light
        by_sheet = self._by_sheet if leaks else self._by_composite  # without a leak any array
        back, count = kernel_of("chain_scatter", light), len(self._sheets[number])
        if self._inked is not None:
            self._inked.see_back(number, self._by_composite)
        if self._composite is not None:
            back = "scatter"
            self._through_light("chain", number, placed, self._by_composite, by_sheet, leaks, constant)
        to = self._numbers, self._adds[self._route][0], self._lines[1], self._turns, self._gradient
        self._carry(back, count, number, placed, self._by_composite, by_sheet, *to, leaks, constant)

    def _carry(self, kernel: str, layers: int, number: int, *arguments: Any) -> None:
        """Launch a kernel that carries the sheets of a stack to their places, or what is found there back."""
        planes, height, width = self.shape[1:]
        tiles = tiles_for(len(self._sheets[number]) * planes, height, width)
        where = self._firsts[number], self._firsts[-1], self.windows, planes, *self._size
        self._device.launch(kernel, layers, tiles, CARRYING, *arguments, *where)

    def _through_light(self, kernel: str, number: int, *arguments: Any) -> None:
        """Launch a kernel of a light that couples planes; a thread has two pixels."""
        planes, height, _ = self.shape[1:]
        blocks = (-(-(planes * height * self._pitch // 2) // CARRYING),)
        size = planes, planes // self.windows, height, self._pitch
        name, count = kernel_of(kernel, self._objective.light), len(self._sheets[number])
        self._device.launch(name, count, blocks, CARRYING, *arguments, *size)

    def _march(
        self, one: _Pass, x: Any, y: tuple[Any, ...], out: Any, group: int, planes: tuple[int, ...], *constants: Any
    ) -> None:
        """Compare `x` with `y`, an image and its statistics; the sums go to groups from `group` on."""
        sizes = *planes, *self._size, one.grid.rows
        arguments = x, *y, one.pixel_weights, out, *self._sums_to(group), *sizes, *constants
        self._launch(one.kernel, one.grid, *arguments, layers=one.layers)

    def _launch_own(self, name: str, group: int) -> None:
        """Run the own pass of a term of the layers (terms/layers.cuh)."""
        (looks, by_looks), disc = self._looks_and_gradient, self._disc_weights
        self._device.launch(
            f"{name}_pass" if disc is None else f"{name}_pass{WEIGHTED}",
            1,
            tiles_for(self.shape.layers * self.windows, *self.shape[2:]),
            CARRYING,
            looks,
            self._guides[0],
            self._by_composite if disc is None else disc,
            by_looks,
            *self._sums_to(group),
            self.windows,
            self.shape.planes // self.windows,
            *self._size,
            weight_of(self._objective, BY_NAME[name]),
        )

    @property
    def _disc_weights(self) -> Any:
        """Which pixels of the windows are inside the circle, (windows, H, pitch), 1 or 0; None: no disc."""
        return self._pixel_weights[0] if self._objective.disc and self._pixel_weights is not None else None
