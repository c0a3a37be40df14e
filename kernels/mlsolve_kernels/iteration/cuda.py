"""The iteration on a GPU for a single stack of all layers, unmoved: target pass, layer pass, Adam, and the sums.

The iteration for any arrangements is in cuda_arranged.py.
"""

import sys
from collections.abc import Sequence

import numpy as np

from ..cuda.device import INSTALL, CupyDevice, NoDeviceError, first_line
from ..cuda.geometry import SUMMING, pitch_of
from ..cuda.source import kernel_of
from ..placement.frames import WHOLE, Frame
from ..region import Region
from .cuda_state import BATCH, CudaState, state_bytes
from .objective import Shape, one_stack

__all__ = ["BATCH", "CudaWorkspace", "device_bytes", "open_gpu"]


def device_bytes(count: int, planes: int, height: int, width: int) -> int:
    """Return the bytes of device memory of a workspace for `count` layers.

    That is the state of one stack (cuda_state.py), and one more float32 per value of the target: the gradient by
    the composite.
    """
    return state_bytes(Shape(count, planes, height, width), 1) + 4 * height * pitch_of(width) * planes


class CudaWorkspace(CudaState):
    """The state of one image or tile, and the iteration for an objective that the sweep can run (sweep.py)."""

    def _allocate(self) -> None:
        super()._allocate()
        (count, planes, height, width), device, light = self.shape, self._device, self._objective.light
        self._counted = Region(0, height, 0, width)
        self._of_target = self._grid(kernel_of("target_pass", light), planes)
        self._of_layers = self._grid(kernel_of("layer_pass", light), count * planes)
        self._by_composite = device.zeros(planes, height, self._pitch)
        self._target_sums = device.zeros(3, self._of_target.blocks, dtype=np.int64)
        self._guide_sums = device.zeros(count, self._of_layers.blocks // count, dtype=np.int64)

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
        region = counted[0] if counted else Region(0, self.shape.height, 0, self.shape.width)
        if region != self._counted:
            self._counted, self._recorded, self._replay = region, False, None

    def _measure(self) -> None:
        self._target_pass()
        self._layer_pass()

    def _target_pass(self) -> None:
        weights = self._weights
        self._launch(
            kernel_of("target_pass", self._objective.light),
            self._of_target,
            self._layers,
            *self._target,
            self._by_composite,
            self._target_sums,
            *self._size,
            self._of_target.rows,
            *self._counted,
            self._lights[0],
            weights.stack_ssim,
            weights.stack_mse,
        )

    def _layer_pass(self) -> None:
        weights = self._weights
        self._launch(
            kernel_of("layer_pass", self._objective.light),
            self._of_layers,
            self._layers,
            *self._guides,
            self._by_composite,
            self._gradient,
            self._guide_sums,
            *self._size,
            self._of_layers.rows,
            *self._counted,
            self._lights[0],
            weights.guide_ssim,
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


def open_gpu(graphs: bool = False) -> CupyDevice:
    """Return this machine's GPU after a test that it works. Raises NoDeviceError if it does not.

    The test runs one iteration, because only then has every library compiled and launched something. graphs: see
    `CupyDevice`.
    """
    device = CupyDevice(graphs)
    try:
        images = np.full((1, 1, 1, 1), 0.5, dtype=np.float32)
        work = CudaWorkspace(images[0], images, one_stack(1.0, 1.0, 1.0, 1.0), (0.1, 1.0), (0.9, 0.99), device)
        work.start(images)
        terms = work.iterate(0.01)
        if not np.allclose([*terms["guide_ssim"], work.layers.mean()], [1.0, 0.5], atol=0.02):
            raise ArithmeticError(f"an iteration gives {terms}")
    except Exception as error:  # anything that driver, CuPy, Numba or NVVM raise if one is too old or missing
        device.close()
        message = f"{device.name} does not work ({first_line(error)}): bring its driver up to date, or {INSTALL}"
        raise NoDeviceError(message, mendable=True) from None
    return device


def main() -> None:
    """Print which GPU is available, or why none can be used: python -m mlsolve_kernels.iteration.cuda."""
    try:
        device = open_gpu()
    except NoDeviceError as error:
        sys.exit(f"no GPU: {error}")
    print(f"{device.name}, {device.free_memory() / 1e9:.3g} GB free")


if __name__ == "__main__":
    main()
