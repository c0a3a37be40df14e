"""Which backend computes, and the small interface through which the solver sees it."""

import warnings
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final, Literal, Protocol

import numpy as np
import numpy.typing as npt

from mlsolve_kernels.iteration.objective import Objective, Shape, Sums
from mlsolve_kernels.placement.frames import WHOLE, Frame
from mlsolve_kernels.placement.move import Moves
from mlsolve_kernels.region import Region

from ..errors import BackendError, DeviceMemoryError
from ..job.options import Options

FloatArray = npt.NDArray[np.float32]


MOST_LOADERS: Final = 4
"""Threads that fill a workspace: more would wait for the disk, and each holds some bands of rows."""


class Workspace(Protocol):
    """The state of one image or tile: layers, moments, constants, all allocated when it is made, filled later."""

    shape: Shape
    """Layers, planes, height, width."""
    batch: int
    """How many iterations `advance` is best given at a time, and takes at the most."""

    def put_target(self, plane: int, image: FloatArray, top: int = 0, stack: int = 0) -> None:
        """Take `image` (h, W), encoded transmittance, as rows from `top` on of a plane of a stack's target."""

    def put_guide(self, layer: int, plane: int, image: FloatArray, top: int = 0) -> None:
        """Take `image` (h, W), encoded transmittance, as rows from `top` on of a plane of a guide."""

    def put_layer(
        self,
        layer: int,
        plane: int,
        image: FloatArray,
        moments: tuple[FloatArray, FloatArray] | None = None,
        top: int = 0,
    ) -> None:
        """Take `image` (h, W) and its moments, None for zeros, as rows from `top` on of a plane of a layer."""

    def prepare(
        self,
        step: int = 0,
        counted: Sequence[Region] | None = None,
        iterations: int | None = None,
        frames: Sequence[Frame] = WHOLE,
        image: tuple[int, int] | None = None,
    ) -> None:
        """Make ready for so many iterations after `step`.

        counted: the regions whose terms are summed, one of each window, None for all. frames: where the windows lie
        in the image, whose height and width are `image`.
        """

    def take_layer(self, layer: int, plane: int, out: FloatArray, top: int = 0) -> None:
        """Put rows from `top` on of a plane of a layer as it stands into `out` (h, W)."""

    def take_moment(self, moment: int, layer: int, plane: int, out: FloatArray, top: int = 0) -> None:
        """Put rows from `top` on of the first (0) or second (1) moment of a plane of a layer into `out` (h, W)."""

    def advance(self, rates: Sequence[float], moves: Sequence[Moves] | None = None) -> list[Sums]:
        """Take a step at each learning rate of `rates`; return the sums of the terms each started from.

        moves: how the sheets lie at each of them, None for unmoved.
        """


class ArrangedWorkspace(Workspace, Protocol):
    """One whose objective the fused sweep does not take."""

    def put_weights(self, stack: int, window: int, image: FloatArray, top: int = 0) -> None:
        """Take `image` (h, W) in [0, 1] as rows from `top` on of the weights of a stack's pixels in a window."""


def fill(workspace: Workspace, target: FloatArray, guides: FloatArray, layers: FloatArray) -> None:
    """Put whole pictures into `workspace`: target (C, H, W), guides and layers (N, C, H, W)."""
    for plane, image in enumerate(target):
        workspace.put_target(plane, image)
    for layer, (looks, starts) in enumerate(zip(guides, layers, strict=True)):
        for plane, image in enumerate(looks):
            workspace.put_guide(layer, plane, image)
            workspace.put_layer(layer, plane, starts[plane])
    workspace.prepare()


class Backend(Protocol):
    """Makes workspaces; `close` gives back what they share."""

    name: Literal["cpu", "cuda"]
    device: str | None
    """What the device is called, None for the cores of this machine."""
    loaders: int
    """Threads that may fill one of its workspaces at a time."""

    def workspace(
        self, shape: Shape, objective: Objective, bounds: tuple[float, float], windows: int = 1
    ) -> Workspace:
        """Return a workspace of `shape`, whose planes are those of so many windows of an image."""

    def free_memory(self) -> int | None:
        """Return the free bytes of a memory of its own, None if it computes in main memory."""

    def close(self) -> None:
        """End threads, free device memory."""


class CpuBackend:
    """Numba kernels on the cores of this machine."""

    name: Literal["cpu", "cuda"] = "cpu"
    device: str | None = None

    def __init__(self, threads: int | None, betas: tuple[float, float]) -> None:
        """Start `threads` threads, None for one per core."""
        from mlsolve_kernels.threads import Team

        self.team = Team(threads)
        self._betas = betas
        self.loaders = min(self.team.workers, MOST_LOADERS)

    def workspace(
        self, shape: Shape, objective: Objective, bounds: tuple[float, float], windows: int = 1
    ) -> Workspace:
        """Return a workspace in main memory: one sweep over it where that takes the objective."""
        from mlsolve_kernels.iteration.stepwise import StepwiseWorkspace
        from mlsolve_kernels.iteration.sweep import CpuWorkspace, can_run

        path = CpuWorkspace if can_run(objective) else StepwiseWorkspace
        return path.blank(shape, objective, bounds, self._betas, self.team, windows)

    def free_memory(self) -> int | None:
        """Return None: it computes in main memory."""
        return None

    def close(self) -> None:
        """End the threads."""
        self.team.close()


class CudaBackend:
    """CUDA kernels on an NVIDIA GPU (docs/gpu.md)."""

    name: Literal["cpu", "cuda"] = "cuda"
    loaders = 1

    def __init__(self, betas: tuple[float, float], device: Any = None, graphs: bool = False) -> None:
        """Open the GPU, or take `device`, a mlsolve_kernels.cuda.device.Device, which tests bring.

        graphs: replay an iteration as a CUDA graph. Raises BackendError if there is no GPU that works.
        """
        self._device = open_device(graphs) if device is None else device
        self._betas = betas
        self.device: str | None = self._device.name

    def check_memory(self, shape: Shape, objective: Objective | None = None) -> None:
        """Raise DeviceMemoryError if the device has less free memory than a solve of `shape` takes.

        objective: None for one that the sweep takes.
        """
        needed, free = device_need(shape, objective), self._device.free_memory()
        if needed > free:
            raise DeviceMemoryError(_too_little(self._device.name, shape, needed, free))

    def workspace(
        self, shape: Shape, objective: Objective, bounds: tuple[float, float], windows: int = 1
    ) -> Workspace:
        """Return a workspace in the device's memory; raises DeviceMemoryError."""
        from mlsolve_kernels.cuda.device import OutOfDeviceMemory
        from mlsolve_kernels.iteration.cuda import CudaWorkspace
        from mlsolve_kernels.iteration.cuda_arranged import ArrangedCudaWorkspace
        from mlsolve_kernels.iteration.sweep import can_run

        path = CudaWorkspace if can_run(objective) else ArrangedCudaWorkspace
        with suppress(OutOfDeviceMemory):
            return path.blank(shape, objective, bounds, self._betas, self._device, windows)
        # Only here is what the attempt had taken free again: an exception holds it.
        needed = device_need(shape, objective, windows)
        raise DeviceMemoryError(_too_little(self._device.name, shape, needed, self._device.free_memory()))

    def free_memory(self) -> int | None:
        """Return the free bytes on the device."""
        return int(self._device.free_memory())

    def close(self) -> None:
        """Give the device's memory back."""
        self._device.close()


def device_need(shape: Shape, objective: Objective | None = None, windows: int = 1) -> int:
    """Return the memory of a GPU that a workspace takes; objective: None for one that the sweep takes."""
    from mlsolve_kernels.iteration.cuda import device_bytes
    from mlsolve_kernels.iteration.cuda_arranged import arranged_device_bytes
    from mlsolve_kernels.iteration.sweep import can_run

    if objective is None or can_run(objective):
        return device_bytes(*shape)
    return arranged_device_bytes(shape, objective, windows)


def _too_little(name: str, shape: Shape, needed: int, free: int) -> str:
    layers, _, height, width = shape
    return (
        f"{layers} layers of {width}×{height} pixels need {needed / 1e9:.3g} GB of memory on the {name}, "
        f"{free / 1e9:.3g} GB are free: use --backend cpu or a smaller size"
    )


def open_device(graphs: bool = False) -> Any:
    """Return this machine's GPU; raises BackendError, saying what is missing and what to do."""
    from mlsolve_kernels.cuda.device import NoDeviceError
    from mlsolve_kernels.iteration.cuda import open_gpu

    try:
        return open_gpu(graphs)
    except NoDeviceError as error:
        refused = BackendError(f"backend is cuda: {error}")
        refused.mendable = error.mendable
        raise refused from None


def may_use_gpu(name: str) -> bool:
    """Tell, without asking the GPU, whether the backend `name` ("auto", "cpu" or "cuda") may turn out to be one."""
    from mlsolve_kernels.cuda.device import driver_is_here

    return name != "cpu" and driver_is_here()


def open_backend(
    options: Options, betas: tuple[float, float], shape: Shape, objective: Objective | None = None
) -> Backend:
    """Return the backend that `options` ask for, ready to make workspaces up to `shape` for `objective`.

    auto: a GPU that works; without one the CPU, and with one too small the CPU with a warning.
    Raises BackendError where the backend asked for cannot be had, DeviceMemoryError where it is too small.
    """
    if options.backend != "cpu":
        try:
            backend = CudaBackend(betas)
            backend.check_memory(shape, objective)
            return backend
        except DeviceMemoryError as error:
            if options.backend == "cuda":
                raise
            warn_of_fallback(error)
        except BackendError as error:
            if options.backend == "cuda":
                raise
            if error.mendable:
                reason = str(error).removeprefix("backend is cuda: ")
                warnings.warn(f"not using the GPU: {reason}", stacklevel=4)
    return CpuBackend(options.threads, betas)


def warn_of_fallback(error: DeviceMemoryError) -> None:
    """Say why a solve that might have run on the GPU runs on the CPU."""
    reason = str(error).split(": use")[0]
    warnings.warn(f"{reason}: computing on the CPU", stacklevel=4)
