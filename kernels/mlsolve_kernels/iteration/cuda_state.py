"""The images, layers and moments of an image or a tile on a GPU: how they are put there and taken back."""

from collections.abc import Sequence
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

from ..cuda.device import Device
from ..cuda.geometry import CARRYING, THREADS, Grid, grid_for, pitch_of, tiles_for
from ..light import declared
from ..newton.cuda import NewtonOnDevice, Sheets, newton_bytes
from ..placement.frames import WHOLE, Frame
from ..region import Region
from ..resample.cpu import Taps
from .objective import Objective, Shape, Step, Weights

FloatArray = npt.NDArray[np.float32]
S = TypeVar("S", bound="CudaState")

TABLES: Final = (2 + 4) * (2**17 + 1) + 2 * 4 * 2**16
"""Most bytes of tables on the device: where codes of sixteen bits change, values of pictures and of weights."""


def state_bytes(shape: Shape, stacks: int, step: Step = "adam") -> int:
    """Return the bytes of device memory of a state of `shape` with `stacks` targets, without its sums.

    It has seven float32 per value of the layers (layer, two moments, gradient, guide and its two statistics), three
    per value of a target (with its statistics), one temporary plane, and the tables of codes.
    """
    plane = 4 * shape.height * pitch_of(shape.width)
    newton = 0 if step == "adam" else newton_bytes(shape.planes, shape.height, shape.width)
    return plane * (7 * shape.layers * shape.planes + 3 * stacks * shape.planes + 1) + newton + TABLES


class CudaState:
    """Layers, moments and constants of one image, or of tiles with their halos in turn. It is allocated once.

    It is filled plane by plane (`put_target`, `put_guide`, `put_layer`); then `prepare` sets which part counts.
    Several windows of one image (placement/frames.py) are stored like more planes, window by window.
    Only one thread at a time may use it. States on separate devices may be used in parallel.
    """

    windows: int = 1
    """Windows of one image that its planes hold."""

    remote: bool = True
    """Whether what is put should have few bytes, because they cross a bus."""

    def __init__(
        self,
        target: npt.NDArray[np.floating],
        guides: npt.NDArray[np.floating],
        objective: Objective,
        bounds: tuple[float, float],
        betas: tuple[float, float],
        device: Device,
    ) -> None:
        """Prepare to solve for `target` (C, H, W) and `guides` (N, C, H, W), encoded transmittance in [0, 1].

        bounds: the printable range of encoded transmittance (low, high), 0 < low < high ≤ 1.
        betas: the decay rates of Adam's moments. Raises OutOfDeviceMemory.
        """
        self._make(Shape(*guides.shape), objective, bounds, betas, device)
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
        device: Device,
        windows: int = 1,
    ) -> S:
        """Return a state of `shape` that must still be filled; shape.planes: the planes of all windows together.

        Raises OutOfDeviceMemory.
        """
        state = cls.__new__(cls)
        state.windows = windows
        state._make(shape, objective, bounds, betas, device)
        return state

    def _make(
        self,
        shape: Shape,
        objective: Objective,
        bounds: tuple[float, float],
        betas: tuple[float, float],
        device: Device,
    ) -> None:
        self.shape = shape
        self.pixels = shape.planes * shape.height * shape.width
        self._bounds, self._betas, self._device = bounds, betas, device
        self._objective = objective
        self._weights = Weights.of(objective)
        light = declared(objective.light)
        self._lights = [float(light.constants(stack.scale)[0]) for stack in objective.stacks]
        self._step = 0
        self._pitch = pitch_of(shape.width)
        self._size = shape.height, shape.width, self._pitch
        self._tables: dict[int, tuple[npt.NDArray[Any], Any]] = {}
        self._taps: tuple[Taps, Taps, list[Any]] | None = None
        self._allocate()

    def _allocate(self) -> None:
        (count, planes, height, _), device, stacks = self.shape, self._device, self._objective.stacks
        sheets = (count, planes, height, self._pitch)
        self._target = tuple(device.zeros(len(stacks) * planes, height, self._pitch) for _ in range(3))
        self._guides = tuple(device.zeros(*sheets) for _ in range(3))
        self._first, self._second = (device.zeros(*sheets) for _ in range(2))
        # The layers, and what the pass over layers leaves: their gradient or, if it takes the step, new layers.
        self._sides = tuple(device.zeros(*sheets) for _ in range(2))
        self._side = 0
        self._counted = device.zeros(self.windows, 4, dtype=np.int32)
        self._newton = None
        if self._objective.step == "newton":
            self._newton = NewtonOnDevice(device, self.shape, self._lights[0])

    @property
    def _layers(self) -> Any:
        """The present layers on the device."""
        return self._sides[self._side]

    @property
    def _moments(self) -> tuple[Any, ...]:
        """What is put with a layer. Of a Newton step the second one is the curvature, which `prepare` finds."""
        return (self._first, self._second) if self._newton is None else (self._first,)

    @property
    def _gradient(self) -> Any:
        """The gradient of the last evaluation on the device; the next iteration may overwrite it with layers."""
        return self._sides[1 - self._side]

    def put_target(
        self,
        plane: int,
        image: npt.NDArray[Any],
        top: int = 0,
        stack: int = 0,
        table: FloatArray | None = None,
    ) -> None:
        """Copy `image` (h, W), encoded transmittance in [0, 1], into a plane of a stack's target.

        top: its first row; by default `image` is the whole plane. table: (65536,), the values of the codes, if
        `image` has codes, uint16. It must not change, because the device keeps it.
        """
        self._put(image, self._target[0][stack * self.shape.planes + plane], top, table)

    def put_guide(
        self, layer: int, plane: int, image: npt.NDArray[Any], top: int = 0, table: FloatArray | None = None
    ) -> None:
        """Copy `image` (h, W), encoded transmittance or codes, into a plane of a guide, from row `top` on."""
        self._put(image, self._guides[0][layer, plane], top, table)

    def put_layer(
        self,
        layer: int,
        plane: int,
        image: npt.NDArray[np.floating],
        moments: tuple[npt.NDArray[np.floating], npt.NDArray[np.floating]] | None = None,
        top: int = 0,
    ) -> None:
        """Copy `image` (h, W), clamped to the bounds, and its moments (None: zeros) into a layer."""
        low, high = (np.float32(bound) for bound in self._bounds)
        self._put(np.clip(image, low, high), self._layers[layer, plane], top)
        for number, moment in enumerate(self._moments):
            if moments is None:
                self._device.clear(moment[layer, plane, top : top + len(image)])
            else:
                self._put(moments[number], moment[layer, plane], top)

    def put_resampled(
        self, layer: int, plane: int, source: FloatArray, rows: Taps, columns: Taps, top: int = 0
    ) -> None:
        """Resample `source` (h, w) into rows of a layer, from row `top` on, clamped; their moments become 0.

        rows, columns: the taps in `source`. They must not change, because the device keeps the last ones.
        """
        device, (height, down), (width, across) = self._device, rows.weights.shape, columns.weights.shape
        kept = self._taps
        if kept is None or kept[0] is not rows or kept[1] is not columns:
            parts = (part for taps in (rows, columns) for part in (taps.first.astype(np.int32), taps.weights))
            kept = self._taps = rows, columns, [self._uploaded(part) for part in parts]
        into = slice(top, top + height)
        source, out, sizes = (
            self._uploaded(source),
            self._layers[layer, plane, into],
            (down, across, source.shape[1]),
        )
        arguments = source, *kept[2], out, *sizes, *self._bounds, height, width, self._pitch
        device.launch("resample", 1, tiles_for(1, height, width), CARRYING, *arguments)
        for moment in self._moments:
            device.clear(moment[layer, plane, into])

    def prepare(
        self,
        step: int = 0,
        counted: Sequence[Region] | None = None,
        iterations: int | None = None,
        frames: Sequence[Frame] = WHOLE,
        image: tuple[int, int] | None = None,
    ) -> None:
        """Prepare for `advance`, once all planes are filled and after `step` steps.

        counted: for each window, the region whose terms are summed; None: all of it. iterations: not used here. A
        window that shrinks towards `counted` would change the grids, so that an iteration could not be replayed.
        Instead the whole tile is always updated; the result is exact inside the caller's halo. frames: the position
        of each window in the image. image: (height, width) of that image; None: those of this state.
        """
        self._step = step
        whole = Region(0, self.shape.height, 0, self.shape.width)
        regions = (whole,) * self.windows if counted is None else counted
        self._device.upload(np.array(regions, dtype=np.int32), self._counted)
        for constant in (self._target, self._guides):
            self._find_statistics(*constant)
        if self._newton is not None:
            self._find_curvatures(self._newton)

    def _find_statistics(self, image: Any, mean: Any, variance: Any) -> None:
        """Store the windowed mean and variance of `image`, planes on the device."""
        grid = self._grid("statistics", image.size // (self.shape.height * self._pitch))
        self._launch("statistics", grid, image, mean, variance, *self._size, grid.rows)

    def _find_curvatures(self, newton: NewtonOnDevice) -> None:
        weights = (float(self._weights.stack_ssim), float(self._weights.stack_mse), float(self._weights.guide_ssim))
        variances = self._target[2], self._guides[2]
        newton.find_curvatures(variances, self._sheets_on, weights, self._counting, self._find_statistics)

    @property
    def _sheets_on(self) -> Sheets:
        """The layers and what a Newton step needs of them."""
        return Sheets(self._layers, self._first, self._second, self._gradient)

    @property
    def _counting(self) -> tuple[Any, int, int]:
        """The pixel weights of the first stack, whether they count, and the planes of a window."""
        return self._target[0], 0, self.shape.planes // self.windows

    def take_layer(self, layer: int, plane: int, out: FloatArray, top: int = 0) -> None:
        """Copy the present state of a plane of a layer, from row `top` on, into `out` (h, W)."""
        rows = self._layers[layer, plane, top : top + len(out)]
        out[...] = self._device.download(rows, self.shape.width)

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

        floors, steps: (cells + 1,), see `to_codes` in codes/cpu.py; they must not change, because the device keeps
        them. Only the codes cross the bus. Raises OutOfDeviceMemory.
        """
        device, (height, width) = self._device, out.shape
        rows, codes = self._layers[layer, plane, top : top + height], device.zeros(height, width, dtype=out.dtype)
        tables, size = (self._kept(floors), self._kept(steps)), (floors.size - 1, height, width, self._pitch)
        tiles = tiles_for(1, height, width)
        device.launch("codes", 1, tiles, CARRYING, rows, *tables, codes, out.dtype.itemsize, *size)
        out[...] = device.download(codes)

    def take_moment(self, moment: int, layer: int, plane: int, out: FloatArray, top: int = 0) -> None:
        """Copy the first (0) or second (1) moment of a plane of a layer, from row `top` on, into `out` (h, W)."""
        of_all = (self._first, self._second)[moment]
        out[...] = self._device.download(of_all[layer, plane, top : top + len(out)], self.shape.width)

    @property
    def layers(self) -> FloatArray:
        """A copy of the present layers, (N, C, H, W) float32."""
        return self._device.download(self._layers, self.shape.width)

    @property
    def gradient(self) -> FloatArray:
        """A copy of the gradient of the last evaluation, in the per-pixel measure, (N, C, H, W) float32."""
        return self._device.download(self._gradient, self.shape.width)

    def start(self, layers: npt.NDArray[np.floating]) -> None:
        """Restart from `layers` (N, C, H, W), clamped to the bounds."""
        for layer, images in enumerate(layers):
            for plane, image in enumerate(images):
                self.put_layer(layer, plane, image)
        self._step = 0

    def _kept(self, table: npt.NDArray[Any]) -> Any:
        """Return `table` on the device, where it is kept once it has been uploaded."""
        if id(table) not in self._tables:
            self._tables[id(table)] = table, self._uploaded(table)  # both, so that no other table gets its number
        return self._tables[id(table)][1]

    def _uploaded(self, host: npt.NDArray[Any]) -> Any:
        """Return a copy of `host` on the device."""
        array = self._device.zeros(*host.shape, dtype=host.dtype)
        self._device.upload(host, array)
        return array

    def _put(self, image: npt.NDArray[Any], plane: Any, top: int = 0, table: FloatArray | None = None) -> None:
        """Copy `image` (h, W) into `plane` (H, pitch) on the device, from row `top` on; table: see `put_target`."""
        (height, width), rows = image.shape, plane[top : top + len(image)]
        if table is None:
            self._device.upload(np.asarray(image, dtype=np.float32), rows)
            return
        codes, tiles = self._uploaded(image), tiles_for(1, height, width)
        size = height, width, self._pitch
        self._device.launch("look_up", 1, tiles, CARRYING, codes, self._kept(table), rows, *size)

    def _launch(self, kernel: str, grid: Grid, *arguments: Any, layers: int | None = None) -> None:
        """Launch a marching kernel; layers: the number for which it is compiled, None: all layers."""
        blocks = (grid.planes, grid.strips, grid.pieces)
        self._device.launch(kernel, layers or self.shape.layers, blocks, THREADS, *arguments)

    def _grid(self, kernel: str, planes: int, layers: int | None = None) -> Grid:
        resident = self._device.resident(kernel, layers or self.shape.layers, THREADS)
        return grid_for(planes, self.shape.height, self.shape.width, resident)
