"""The iteration on a GPU: target pass, layer pass, Adam, and the sums of the terms."""

import sys
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

from ..adam.step import Rates
from ..cuda.device import INSTALL, CupyDevice, Device, NoDeviceError, first_line
from ..cuda.geometry import SUMMING, THREADS, Grid, grid_for, pitch_of
from ..exact import COARSE_BITS, ERROR_BITS, NONE, Exact
from ..placement.frames import WHOLE, Frame
from ..placement.move import Moves
from ..region import Region
from .terms import Objective, Shape, Sums, Terms, Weights, one_stack

FloatArray = npt.NDArray[np.float32]
W = TypeVar("W", bound="CudaWorkspace")

BATCH: Final = 10
"""Iterations asked of the device before the terms are fetched: the bus is crossed once for all of them."""


def device_bytes(count: int, planes: int, height: int, width: int) -> int:
    """Return the device memory that a workspace for `count` layers takes.

    Seven float32 a value of the layers (layer, two moments, gradient, guide and its two statistics), four a value
    of the target (with its statistics, and the gradient by the stack), and a plane in passing.
    """
    return 4 * height * pitch_of(width) * (7 * count * planes + 4 * planes + 1)


class CudaWorkspace:
    """Layers, moments and constants of one image, or of one tile with its halo after the other; allocated once.

    It is filled plane by plane (`put_target`, `put_guide`, `put_layer`), then `settle` says what of it counts.
    One thread at a time uses it; workspaces on devices of their own may be used side by side.
    """

    batch: int = BATCH
    """Iterations that `advance` is best given at a time, and takes at the most."""

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
        self._prepare(Shape(*guides.shape), objective, bounds, betas, device)
        for plane, image in enumerate(target):
            self.put_target(plane, image)
        for layer, images in enumerate(guides):
            for plane, image in enumerate(images):
                self.put_guide(layer, plane, image)
        self.settle()

    @classmethod
    def blank(
        cls: type[W],
        shape: Shape,
        objective: Objective,
        bounds: tuple[float, float],
        betas: tuple[float, float],
        device: Device,
    ) -> W:
        """Return one of `shape` that is still to be filled; raises OutOfDeviceMemory."""
        workspace = cls.__new__(cls)
        workspace._prepare(shape, objective, bounds, betas, device)
        return workspace

    def _prepare(
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
        self._step = 0
        self._counted = Region(0, shape.height, 0, shape.width)
        self._pitch = pitch_of(shape.width)
        self._size = shape.height, shape.width, self._pitch
        self._allocate()
        # An iteration is recorded once it has run as it is, for then all is compiled, and again when what it is
        # given has changed.
        self._recorded = False
        self._replay: Callable[[], None] | None = None

    def _allocate(self) -> None:
        (count, planes, height, _), device = self.shape, self._device
        self._of_target = self._grid("target_pass", planes)
        self._of_layers = self._grid("layer_pass", count * planes)
        stack, sheets = (planes, height, self._pitch), (count, planes, height, self._pitch)
        self._target = tuple(device.zeros(*stack) for _ in range(3))
        self._guides = tuple(device.zeros(*sheets) for _ in range(3))
        self._layers, self._first, self._second, self._gradient = (device.zeros(*sheets) for _ in range(4))
        self._by_seen = device.zeros(*stack)
        self._target_sums = device.zeros(3, self._of_target.blocks, dtype=np.int64)
        self._guide_sums = device.zeros(count, self._of_layers.blocks // count, dtype=np.int64)
        self._table = device.zeros(BATCH, count + 3, dtype=np.int64)
        self._rates = device.zeros(BATCH, len(Rates._fields))
        self._turn = device.zeros(1, dtype=np.int32)
        rows = (count * planes * height, self._pitch)
        x, first, second, gradient = (
            array.reshape(rows) for array in (self._layers, self._first, self._second, self._gradient)
        )
        self._update = device.updater(x, (first, second), gradient, self._rates, self._turn, self.shape.width)

    def put_target(self, plane: int, image: npt.NDArray[np.floating], top: int = 0) -> None:
        """Take `image` (h, W), encoded transmittance in [0, 1], as rows of plane `plane` of the target.

        top: the first of them; without it `image` is the whole plane.
        """
        self._put(image, self._target[0][plane], top)

    def put_guide(self, layer: int, plane: int, image: npt.NDArray[np.floating], top: int = 0) -> None:
        """Take `image` (h, W), encoded transmittance in [0, 1], as rows from `top` on of a plane of a guide."""
        self._put(image, self._guides[0][layer, plane], top)

    def put_layer(
        self,
        layer: int,
        plane: int,
        image: npt.NDArray[np.floating],
        moments: tuple[npt.NDArray[np.floating], npt.NDArray[np.floating]] | None = None,
        top: int = 0,
    ) -> None:
        """Take `image` (h, W), clamped to the bounds, and its moments, None for zeros, as rows of a layer."""
        low, high = (np.float32(bound) for bound in self._bounds)
        self._put(np.clip(image, low, high), self._layers[layer, plane], top)
        for number, moment in enumerate((self._first, self._second)):
            if moments is None:
                self._device.clear(moment[layer, plane, top : top + len(image)])
            else:
                self._put(moments[number], moment[layer, plane], top)

    def settle(
        self,
        step: int = 0,
        counted: Sequence[Region] | None = None,
        iterations: int | None = None,
        frames: Sequence[Frame] = WHOLE,
        image: tuple[int, int] | None = None,
    ) -> None:
        """Make ready for `advance`: all planes are in, and `step` steps were taken before.

        counted: the region whose terms are summed, None for all of it. iterations: so many will follow; of no use
        here. A window that shrinks to `counted` would change the grids, and an iteration could not be replayed; so
        all of a tile is brought up to date, and right it is where the caller's halo reaches.
        """
        self._step = step
        region = counted[0] if counted else Region(0, self.shape.height, 0, self.shape.width)
        if region != self._counted:
            self._counted, self._recorded, self._replay = region, False, None
        for constant in (self._target, self._guides):
            grid = self._grid("statistics", constant[0].size // (self.shape.height * self._pitch))
            self._launch("statistics", grid, *constant, *self._size, grid.rows)

    def take_layer(self, layer: int, plane: int, out: FloatArray, top: int = 0) -> None:
        """Put rows from `top` on of a plane of a layer as it stands into `out` (h, W)."""
        rows = self._layers[layer, plane, top : top + len(out)]
        out[...] = self._device.download(rows, self.shape.width)

    def take_moment(self, moment: int, layer: int, plane: int, out: FloatArray, top: int = 0) -> None:
        """Put rows from `top` on of the first (0) or second (1) moment of a plane of a layer into `out` (h, W)."""
        of_all = (self._first, self._second)[moment]
        out[...] = self._device.download(of_all[layer, plane, top : top + len(out)], self.shape.width)

    @property
    def layers(self) -> FloatArray:
        """The layers as they stand, (N, C, H, W) float32: a copy."""
        return self._device.download(self._layers, self.shape.width)

    @property
    def gradient(self) -> FloatArray:
        """The gradient of the last evaluation in the per-pixel measure, (N, C, H, W) float32: a copy."""
        return self._device.download(self._gradient, self.shape.width)

    def start(self, layers: npt.NDArray[np.floating]) -> None:
        """Begin anew from `layers` (N, C, H, W), clamped to the bounds."""
        for layer, images in enumerate(layers):
            for plane, image in enumerate(images):
                self.put_layer(layer, plane, image)
        self._step = 0

    def evaluate(self) -> Terms:
        """Measure the terms at the present layers and leave the gradient there in `gradient`."""
        self._device.clear(self._turn)
        self._target_pass()
        self._layer_pass()
        self._sum_up()
        return self._sums(1)[0].terms(self.pixels, self._objective)

    def iterate(self, rate: float) -> Terms:
        """Take one step at learning rate `rate`; return the terms at the layers it started from."""
        return self.advance([rate])[0].terms(self.pixels, self._objective)

    def advance(self, rates: Sequence[float], moves: Sequence[Moves] | None = None) -> list[Sums]:
        """Take a step at each of `rates`; return the sums of the terms at the layers each started from.

        Raises ValueError for more than BATCH of them.
        """
        if len(rates) > BATCH:
            raise ValueError(f"rates are {len(rates)}: give {BATCH} at the most")
        lines = np.zeros((BATCH, len(Rates._fields)), dtype=np.float32)
        for line, rate in zip(lines, rates, strict=False):
            self._step += 1
            line[:] = Rates.at(self._step, rate, self._bounds, self._betas)
        self._device.upload(lines, self._rates)
        self._device.clear(self._turn)
        for _ in rates:
            if self._replay is not None:
                self._replay()
                continue
            self._iteration()
            if not self._recorded:
                self._recorded, self._replay = True, self._device.record(self._iteration)
        return self._sums(len(rates))

    def _iteration(self) -> None:
        """Ask the device for one iteration; everything that changes from one to the next lies in its memory."""
        self._target_pass()
        self._layer_pass()
        self._update()
        self._sum_up()

    def _target_pass(self) -> None:
        weights = self._weights
        self._launch(
            "target_pass",
            self._of_target,
            self._layers,
            *self._target,
            self._by_seen,
            self._target_sums,
            *self._size,
            self._of_target.rows,
            *self._counted,
            weights.inverse_scale,
            weights.ssim,
            weights.mse,
        )

    def _layer_pass(self) -> None:
        weights = self._weights
        self._launch(
            "layer_pass",
            self._of_layers,
            self._layers,
            *self._guides,
            self._by_seen,
            self._gradient,
            self._guide_sums,
            *self._size,
            self._of_layers.rows,
            *self._counted,
            weights.inverse_scale,
            weights.guide,
        )

    def _sum_up(self) -> None:
        self._device.launch(
            "terms",
            self.shape.layers,
            (1,),
            SUMMING,
            self._target_sums,
            self._of_target.blocks,
            self._guide_sums,
            self._of_layers.blocks // self.shape.layers,
            self._table,
            self._turn,
        )

    def _launch(self, kernel: str, grid: Grid, *arguments: Any) -> None:
        blocks = (grid.planes, grid.strips, grid.pieces)
        self._device.launch(kernel, self.shape.layers, blocks, THREADS, *arguments)

    def _grid(self, kernel: str, planes: int) -> Grid:
        resident = self._device.resident(kernel, self.shape.layers, THREADS)
        return grid_for(planes, self.shape.height, self.shape.width, resident)

    def _put(self, image: npt.NDArray[np.floating], plane: Any, top: int = 0) -> None:
        """Put `image` (h, W) into `plane` (H, pitch) on the device from row `top` on."""
        self._device.upload(np.asarray(image, dtype=np.float32), plane[top : top + len(image)])

    def _sums(self, number: int) -> list[Sums]:
        """Fetch the first `number` lines of the table."""
        lines = self._device.download(self._table)[:number].tolist()
        return [_sums_of(line) for line in lines]


def _sums_of(line: list[int]) -> Sums:
    """Return the sums that a line of the table holds: terms.cu."""
    ssim, coarse, fine, *guides = (float("nan") if value == NONE else value for value in line)
    error: Exact = coarse * 2 ** (ERROR_BITS - COARSE_BITS) + fine
    return Sums((ssim,), (error,), tuple(guides))


def open_gpu(graphs: bool = False) -> CupyDevice:
    """Return this machine's GPU once it has shown that it works; raises NoDeviceError.

    It takes an iteration: only then have all who have a part in it compiled and launched something. graphs: as
    in `CupyDevice`.
    """
    device = CupyDevice(graphs)
    try:
        images = np.full((1, 1, 1, 1), 0.5, dtype=np.float32)
        work = CudaWorkspace(images[0], images, one_stack(1.0, 1.0, 1.0, 1.0), (0.1, 1.0), (0.9, 0.99), device)
        work.start(images)
        terms = work.iterate(0.01)
        if not np.allclose([*terms.guide_ssim, work.layers.mean()], [1.0, 0.5], atol=0.02):
            raise ArithmeticError(f"an iteration gives {terms}")
    except Exception as error:  # whatever driver, CuPy, Numba or NVVM raise where one is too old or missing
        device.close()
        message = f"{device.name} does not work ({first_line(error)}): bring its driver up to date, or {INSTALL}"
        raise NoDeviceError(message, mendable=True) from None
    return device


def main() -> None:
    """Say which GPU is here, or why none can be used: python -m mlsolve_kernels.objective.cuda."""
    try:
        device = open_gpu()
    except NoDeviceError as error:
        sys.exit(f"no GPU: {error}")
    print(f"{device.name}, {device.free_memory() / 1e9:.3g} GB free")


if __name__ == "__main__":
    main()
