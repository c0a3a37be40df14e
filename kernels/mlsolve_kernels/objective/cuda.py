"""The iteration on a GPU: target pass, layer pass, Adam, and the sums of the terms."""

import sys
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..adam.step import Rates
from ..cuda.device import INSTALL, CupyDevice, Device, NoDeviceError, first_line
from ..cuda.geometry import SUMMING, THREADS, Grid, grid_for, pitch_of
from .terms import Objective, Terms, Weights

FloatArray = npt.NDArray[np.float32]

BATCH: Final = 10
"""Iterations asked of the device before the terms are fetched: the bus is crossed once for all of them."""


def device_bytes(count: int, planes: int, height: int, width: int) -> int:
    """Return the device memory that a workspace for `count` layers takes.

    Seven float32 a value of the layers (layer, two moments, gradient, guide and its two statistics), four a value
    of the target (with its statistics, and the gradient by the stack), and a plane in passing.
    """
    return 4 * height * pitch_of(width) * (7 * count * planes + 4 * planes + 1)


class CudaWorkspace:
    """Layers, moments and constants of one size of image on a device, allocated once."""

    batch: int = BATCH
    """Iterations that `advance` is best given at a time."""

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
        self._count, planes, self._height, self._width = guides.shape
        self._bounds, self._betas, self._device = bounds, betas, device
        self._weights = Weights.of(objective)
        self._pixels = target.size
        self._step = 0
        self._pitch = pitch_of(self._width)
        self._size = self._height, self._width, self._pitch
        self._of_target = self._grid("target_pass", planes)
        self._of_layers = self._grid("layer_pass", self._count * planes)
        self._target = self._constant(target)
        self._guides = self._constant(guides)
        whole = (self._count, planes, self._height, self._pitch)
        self._layers, self._first, self._second, self._gradient = (device.zeros(*whole) for _ in range(4))
        self._by_seen = device.zeros(*whole[1:])
        self._ssim_sums, self._error_sums = (
            device.zeros(self._of_target.blocks, dtype=np.float64) for _ in range(2)
        )
        self._guide_sums = device.zeros(self._of_layers.blocks, dtype=np.float64)
        self._table = device.zeros(BATCH, self._count + 2, dtype=np.float64)
        self._rates = device.zeros(BATCH, len(Rates._fields))
        self._turn = device.zeros(1, dtype=np.int32)
        rows = (self._layers.size // self._pitch, self._pitch)
        x, first, second, gradient = (
            array.reshape(rows) for array in (self._layers, self._first, self._second, self._gradient)
        )
        self._update = device.updater(x, (first, second), gradient, self._rates, self._turn, self._width)
        self._started = False
        self._replay: Callable[[], None] | None = None

    @property
    def layers(self) -> FloatArray:
        """The layers as they stand, (N, C, H, W) float32: a copy."""
        return self._device.download(self._layers, self._width)

    @property
    def gradient(self) -> FloatArray:
        """The gradient of the last evaluation in the per-pixel measure, (N, C, H, W) float32: a copy."""
        return self._device.download(self._gradient, self._width)

    def start(self, layers: npt.NDArray[np.floating]) -> None:
        """Begin anew from `layers` (N, C, H, W), clamped to the bounds."""
        low, high = (np.float32(bound) for bound in self._bounds)
        for images, planes in zip(layers, self._layers, strict=True):
            self._device.upload(np.clip(images, low, high).astype(np.float32, copy=False), planes)
        for moment in (self._first, self._second):
            self._device.clear(moment)
        self._step = 0

    def evaluate(self) -> Terms:
        """Measure the terms at the present layers and leave the gradient there in `gradient`."""
        self._device.clear(self._turn)
        self._target_pass()
        self._layer_pass()
        self._sum_up()
        return self._terms(1)[0]

    def iterate(self, rate: float) -> Terms:
        """Take one step at learning rate `rate`; return the terms at the layers it started from."""
        return self.advance([rate])[0]

    def advance(self, rates: Sequence[float]) -> list[Terms]:
        """Take a step at each of `rates`; return the terms that each started from.

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
            if not self._started:  # the first one compiles, which cannot be recorded
                self._started, self._replay = True, self._device.record(self._iteration)
        return self._terms(len(rates))

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
            self._ssim_sums,
            self._error_sums,
            *self._size,
            self._of_target.rows,
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
            weights.inverse_scale,
            weights.guide,
        )

    def _sum_up(self) -> None:
        self._device.launch(
            "terms",
            self._count,
            (1,),
            SUMMING,
            self._ssim_sums,
            self._error_sums,
            self._of_target.blocks,
            self._guide_sums,
            self._of_layers.blocks // self._count,
            self._table,
            self._turn,
        )

    def _launch(self, kernel: str, grid: Grid, *arguments: Any) -> None:
        blocks = (grid.planes, grid.strips, grid.pieces)
        self._device.launch(kernel, self._count, blocks, THREADS, *arguments)

    def _grid(self, kernel: str, planes: int) -> Grid:
        resident = self._device.resident(kernel, self._count, THREADS)
        return grid_for(planes, self._height, self._width, resident)

    def _constant(self, images: npt.NDArray[np.floating]) -> tuple[Any, Any, Any]:
        """Return `images` (..., H, W) on the device, their windowed means and variances."""
        shape = (*images.shape[:-1], self._pitch)
        image, mean, variance = (self._device.zeros(*shape) for _ in range(3))
        self._device.upload(images.astype(np.float32, copy=False), image)
        grid = self._grid("statistics", images.size // (self._height * self._width))
        self._launch("statistics", grid, image, mean, variance, *self._size, grid.rows)
        return image, mean, variance

    def _terms(self, number: int) -> list[Terms]:
        """Fetch the first `number` lines of the table."""
        lines = self._device.download(self._table)[:number] / self._pixels
        return [Terms(float(line[0]), float(line[1]), tuple(map(float, line[2:]))) for line in lines]


def open_gpu(graphs: bool = False) -> CupyDevice:
    """Return this machine's GPU once it has shown that it works; raises NoDeviceError.

    It takes an iteration: only then have all who have a part in it compiled and launched something. graphs: as
    in `CupyDevice`.
    """
    device = CupyDevice(graphs)
    try:
        images = np.full((1, 1, 1, 1), 0.5, dtype=np.float32)
        work = CudaWorkspace(images[0], images, Objective(1.0, 1.0, 1.0, 1.0), (0.1, 1.0), (0.9, 0.99), device)
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
