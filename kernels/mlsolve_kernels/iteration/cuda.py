"""The iteration on a GPU for a single stack of all layers, unmoved: stack pass, layer pass, and Adam.

The iteration for any arrangements is in cuda_arranged.py.
"""

import sys
from collections.abc import Callable
from functools import partial

import numpy as np

from ..cuda.device import INSTALL, CupyDevice, NoDeviceError, gpu_count
from ..cuda.errors import first_line
from ..cuda.geometry import pitch_of
from ..cuda.source import kernel_of
from .cuda_iteration import BATCH, CudaIteration
from .cuda_state import state_bytes
from .objective import Shape, Step, one_stack

__all__ = ["BATCH", "CudaWorkspace", "device_bytes", "open_gpu"]


def device_bytes(count: int, planes: int, height: int, width: int, step: Step = "adam") -> int:
    """Return the bytes of device memory of a workspace for `count` layers.

    That is the state of one stack (cuda_state.py), and one more float32 per value of the target: the gradient by
    the composite.
    """
    return state_bytes(Shape(count, planes, height, width), 1, step) + 4 * height * pitch_of(width) * planes


class CudaWorkspace(CudaIteration):
    """The state of one image or tile, and the iteration for an objective that the sweep can run (sweep.py)."""

    def _allocate(self) -> None:
        super()._allocate()
        (count, planes, height, _), device, light = self.shape, self._device, self._objective.light
        self._stack_pass = kernel_of("stack_pass", light)
        self._layer_pass, self._layer_step = (kernel_of(name, light) for name in ("layer_pass", "layer_step"))
        self._of_stack = self._grid(self._stack_pass, planes)
        self._of_layers = self._grid(self._layer_step if self._steps else self._layer_pass, count * planes)
        self._by_composite = device.zeros(planes, height, self._pitch)

    def _passes(self, steps: bool) -> dict[str, Callable[[], None]]:
        return {"stack pass": self._compare_stack, "layer pass": partial(self._compare_layers, steps)}

    def _compare_stack(self) -> None:
        weights, planes = self._weights, self.shape.planes
        self._launch(
            self._stack_pass,
            self._of_stack,
            self._layers,
            *self._target,
            self._by_composite,  # no pixel weights: any array
            self._by_composite,
            *self._sums_to(0),
            planes,
            *self._size,
            self._of_stack.rows,
            self._lights[0],
            weights.stack_ssim,
            weights.stack_mse,
        )

    def _compare_layers(self, steps: bool) -> None:
        planes = self.shape.planes
        self._launch(
            self._layer_step if steps else self._layer_pass,
            self._of_layers,
            self._layers,
            *self._guides,
            self._by_composite,  # no pixel weights: any array
            self._by_composite,
            self._gradient,  # no other gradient: any array
            self._gradient,
            self._first,
            self._second,
            self._rates,
            *self._sums_to(3),
            planes,
            planes,
            *self._size,
            self._of_layers.rows,
            self._lights[0],
            self._weights.guide_ssim,
        )


def open_gpu(graphs: bool = True, fuses_adam: bool = True, number: int | None = None) -> CupyDevice:
    """Return a GPU of this machine after a test that it works. Raises NoDeviceError if it does not.

    The test runs one iteration, because only then has every library compiled and launched something. graphs,
    fuses_adam, number: see `CupyDevice`.
    """
    device = CupyDevice(graphs, fuses_adam, number)
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
    """Print which GPUs are available, or why none can be used: python -m mlsolve_kernels.iteration.cuda."""
    works = False
    for number in range(max(1, gpu_count())):
        try:
            device = open_gpu(number=number)
        except NoDeviceError as error:
            print(f"no GPU {number}: {error}", file=sys.stderr)
            continue
        print(f"{number}: {device.name}, {device.free_memory() / 1e9:.3g} GB free")
        device.close()
        works = True
    if not works:
        sys.exit(2)


if __name__ == "__main__":
    main()
