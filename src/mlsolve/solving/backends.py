"""The choice of a backend, and the small interface through which the solver uses it."""

import warnings
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

import numpy as np
import numpy.typing as npt

from mlsolve_kernels.iteration.objective import Objective, Shape, Sums
from mlsolve_kernels.placement.frames import WHOLE, Frame
from mlsolve_kernels.placement.move import Placing
from mlsolve_kernels.region import Region

from ..errors import BackendError, DeviceMemoryError
from ..job.options import Options

if TYPE_CHECKING:
    from mlsolve_kernels.layout import Arena
    from mlsolve_kernels.resample.cpu import Taps

FloatArray = npt.NDArray[np.float32]

MOST_LOADERS: Final = 4
"""Most threads that fill a workspace. More would wait for the disk, and each holds a few bands of rows."""


class Workspace(Protocol):
    """The state of one image or tile: layers, moments and constants. It is allocated at once and filled later."""

    shape: Shape
    """Layers, planes, height, width."""
    batch: int
    """The most iterations that one call of `advance` takes, and the number at which it is fastest."""
    remote: bool
    """Whether what is put crosses a bus, so that it is put as in `RemoteWorkspace`."""

    def put_target(self, plane: int, image: FloatArray, top: int = 0, stack: int = 0) -> None:
        """Copy `image` (h, W), encoded transmittance, into a plane of a stack's target, from row `top` on."""

    def put_guide(self, layer: int, plane: int, image: FloatArray, top: int = 0) -> None:
        """Copy `image` (h, W), encoded transmittance, into a plane of a guide, from row `top` on."""

    def put_layer(
        self,
        layer: int,
        plane: int,
        image: FloatArray,
        moments: tuple[FloatArray, FloatArray] | None = None,
        top: int = 0,
    ) -> None:
        """Copy `image` (h, W) and its moments into a plane of a layer, from row `top` on; None: moments of zero."""

    def prepare(
        self,
        step: int = 0,
        counted: Sequence[Region] | None = None,
        iterations: int | None = None,
        frames: Sequence[Frame] = WHOLE,
        image: tuple[int, int] | None = None,
    ) -> None:
        """Prepare for `iterations` iterations after step `step`.

        counted: for each window, the region whose terms are summed; None: all of it. frames: the position of each
        window in the image. image: (height, width) of that image.
        """

    def take_layer(self, layer: int, plane: int, out: FloatArray, top: int = 0) -> None:
        """Copy the present state of a plane of a layer, from row `top` on, into `out` (h, W)."""

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

        floors, steps: where codes change (pictures.code_steps); a GPU keeps them, so they must not change.
        """

    def take_moment(self, moment: int, layer: int, plane: int, out: FloatArray, top: int = 0) -> None:
        """Copy the first (0) or second (1) moment of a plane of a layer, from row `top` on, into `out` (h, W)."""

    def advance(self, rates: Sequence[float], moves: Sequence[Placing] | None = None) -> list[Sums]:
        """Take one step for each learning rate in `rates`; return, for each, the sums of the terms before the step.

        moves: the placement of the sheets in each step; None: unmoved.
        """


class ArrangedWorkspace(Workspace, Protocol):
    """A workspace for an objective that the fused sweep cannot run."""

    def put_weights(self, stack: int, window: int, image: FloatArray, top: int = 0) -> None:
        """Copy `image` (h, W) in [0, 1] into the pixel weights of a stack in a window, from row `top` on."""

    def put_carrier(self, stack: int, sheet: int, window: int, image: FloatArray, top: int = 0) -> None:
        """Copy `image` (h, W) in [0, 1] into the mask of a sheet of a stack with carriers, from row `top` on."""


class RemoteWorkspace(Workspace, Protocol):
    """A workspace in the memory of a device.

    Its `put_target`, `put_guide`, `put_weights` and `put_carrier` take pictures as codes, uint16, too, with
    table=(65536,): their values, which must not change.
    """

    def put_resampled(
        self, layer: int, plane: int, source: FloatArray, rows: "Taps", columns: "Taps", top: int = 0
    ) -> None:
        """Fill rows of a layer, from row `top` on, with `source` (h, w) resampled; moments of zero.

        rows, columns: the taps in `source`; they must not change.
        """


def fill(workspace: Workspace, target: FloatArray, guides: FloatArray, layers: FloatArray) -> None:
    """Copy whole pictures into `workspace`: target (C, H, W), guides and layers (N, C, H, W)."""
    for plane, image in enumerate(target):
        workspace.put_target(plane, image)
    for layer, (looks, starts) in enumerate(zip(guides, layers, strict=True)):
        for plane, image in enumerate(looks):
            workspace.put_guide(layer, plane, image)
            workspace.put_layer(layer, plane, starts[plane])
    workspace.prepare()


class Backend(Protocol):
    """Makes workspaces; `close` releases what they share."""

    name: Literal["cpu", "cuda"]
    device: str | None
    """Name of the device; None for the cores of this machine."""

    loaders: int
    """Threads that may fill one of its workspaces at the same time."""

    def adam(self, objective: Objective) -> str | None:
        """Return where a device takes Adam's step and how it is compiled; None for the cores of this machine."""

    def workspace(
        self, shape: Shape, objective: Objective, bounds: tuple[float, float], windows: int = 1
    ) -> Workspace:
        """Return a workspace of `shape`. Its planes are those of `windows` windows of an image together."""

    def reserve(self, size: int) -> None:
        """Use the same main memory, `size` bytes of it, for all workspaces from now on, one after the other."""

    def free_memory(self) -> int | None:
        """Return the free bytes of the device's own memory; None if it computes in main memory."""

    def close(self) -> None:
        """End the threads and free the device memory."""


class CpuBackend:
    """Numba kernels on the cores of this machine."""

    name: Literal["cpu", "cuda"] = "cpu"
    device: str | None = None

    def __init__(self, threads: int | None, betas: tuple[float, float]) -> None:
        """Start `threads` threads; None: one per core."""
        from mlsolve_kernels.threads import Team

        self.team = Team(threads)
        self._betas = betas
        self._arena: Arena | None = None
        self.loaders = min(self.team.workers, MOST_LOADERS)

    def reserve(self, size: int) -> None:
        """Use the same main memory for all workspaces from now on; 0: give it back.

        A workspace is then no longer valid once the next one is made. Where the system refuses so much address
        space, each has memory of its own.
        """
        from mlsolve_kernels.layout import Arena

        self._arena = None  # frees the old one first
        if size:
            with suppress(MemoryError):
                self._arena = Arena(size)

    def workspace(
        self, shape: Shape, objective: Objective, bounds: tuple[float, float], windows: int = 1
    ) -> Workspace:
        """Return a workspace in main memory, with the fused sweep if that can run the objective."""
        from mlsolve_kernels.iteration.stepwise import StepwiseWorkspace
        from mlsolve_kernels.iteration.sweep import CpuWorkspace, can_run

        path = CpuWorkspace if can_run(objective) else StepwiseWorkspace
        if self._arena is not None:
            self._arena.reset()
        return path.blank(shape, objective, bounds, self._betas, self.team, windows, self._arena)

    def free_memory(self) -> int | None:
        """Return None: it computes in main memory."""
        return None

    def adam(self, objective: Objective) -> str | None:
        """Return None: nothing here is compiled apart."""
        return None

    def close(self) -> None:
        """End the threads."""
        self.team.close()


class CudaBackend:
    """CUDA kernels on an NVIDIA GPU (docs/gpu.md)."""

    name: Literal["cpu", "cuda"] = "cuda"
    loaders = 1

    def __init__(
        self,
        betas: tuple[float, float],
        device: Any = None,
        graphs: bool = True,
        fuses_adam: bool = True,
        number: int | None = None,
    ) -> None:
        """Open the GPU, or use `device`, a mlsolve_kernels.cuda.device.Device that a test supplies.

        graphs: replay batches of iterations as CUDA graphs. fuses_adam: take Adam's step in the pass over layers.
        Both are for comparisons; the result is the same up to rounding. number: of the GPU; None: the current one.
        Raises BackendError if it does not work.
        """
        self._device = open_device(graphs, fuses_adam, number) if device is None else device
        self._betas = betas
        self.device: str | None = self._device.name

    def adam(self, objective: Objective) -> str | None:
        """Return where the device takes Adam's step and how it is compiled, in a few words."""
        from mlsolve_kernels.iteration.cuda_iteration import adam_on

        return adam_on(self._device, objective)

    def check_memory(self, shape: Shape, objective: Objective | None = None) -> None:
        """Raise DeviceMemoryError if the device has less free memory than a solve of `shape` needs.

        objective: None: one that the fused sweep can run.
        """
        needed, free = device_need(shape, objective), self._device.free_memory()
        if needed > free:
            raise DeviceMemoryError(_too_little(self._device.name, shape, needed, free))

    def workspace(
        self, shape: Shape, objective: Objective, bounds: tuple[float, float], windows: int = 1
    ) -> Workspace:
        """Return a workspace in device memory. Raises DeviceMemoryError if there is too little."""
        from mlsolve_kernels.cuda.device import OutOfDeviceMemory
        from mlsolve_kernels.iteration.cuda import CudaWorkspace
        from mlsolve_kernels.iteration.cuda_arranged import ArrangedCudaWorkspace
        from mlsolve_kernels.iteration.sweep import can_run

        path = CudaWorkspace if can_run(objective) else ArrangedCudaWorkspace
        with suppress(OutOfDeviceMemory):
            return path.blank(shape, objective, bounds, self._betas, self._device, windows)
        # The exception keeps the arrays of the failed attempt alive, so their memory is free only from here on.
        needed = device_need(shape, objective, windows)
        raise DeviceMemoryError(_too_little(self._device.name, shape, needed, self._device.free_memory()))

    def reserve(self, size: int) -> None:
        """Do nothing: workspaces are in device memory."""

    def free_memory(self) -> int | None:
        """Return the free bytes on the device."""
        return int(self._device.free_memory())

    def close(self) -> None:
        """Free the device memory."""
        self._device.close()


def device_need(shape: Shape, objective: Objective | None = None, windows: int = 1) -> int:
    """Return the bytes of GPU memory that a workspace needs; objective: None: one that the fused sweep can run."""
    from mlsolve_kernels.iteration.cuda import device_bytes
    from mlsolve_kernels.iteration.cuda_arranged_size import arranged_device_bytes
    from mlsolve_kernels.iteration.sweep import can_run

    if objective is None or can_run(objective):
        return device_bytes(*shape, "adam" if objective is None else objective.step)
    return arranged_device_bytes(shape, objective, windows)


def _too_little(name: str, shape: Shape, needed: int, free: int) -> str:
    layers, _, height, width = shape
    return (
        f"{layers} layers of {width}×{height} pixels need {needed / 1e9:.3g} GB of memory on the {name}, "
        f"{free / 1e9:.3g} GB are free: use --backend cpu or a smaller size"
    )


def open_device(graphs: bool = True, fuses_adam: bool = True, number: int | None = None) -> Any:
    """Return a GPU of this machine; number: from 0, None: the current one.

    Raises BackendError; its message says what is missing and what to do.
    """
    from mlsolve_kernels.cuda.device import NoDeviceError
    from mlsolve_kernels.iteration.cuda import open_gpu

    try:
        return open_gpu(graphs, fuses_adam, number)
    except NoDeviceError as error:
        refused = BackendError(f"backend is cuda: {error}")
        refused.mendable = error.mendable
        raise refused from None


def may_use_gpu(name: str) -> bool:
    """Return whether the backend `name` ("auto", "cpu" or "cuda") may use a GPU; does not query the GPU."""
    from mlsolve_kernels.cuda.device import driver_is_here

    return name != "cpu" and driver_is_here()


def open_backend(
    options: Options, betas: tuple[float, float], shape: Shape, objective: Objective | None = None
) -> Backend:
    """Return the backend that `options` request, ready to make workspaces up to `shape` for `objective`.

    "auto" takes a working GPU, otherwise the CPU. If the GPU has too little memory, it warns and takes the CPU.
    Raises BackendError if a requested backend is not available, DeviceMemoryError if it has too little memory.
    """
    if options.backend != "cpu":
        try:
            backend = CudaBackend(betas)
            backend.check_memory(shape, objective)
            return backend
        except BackendError as error:
            give_up_gpu(options.backend, error)
    return CpuBackend(options.threads, betas)


def give_up_gpu(name: str, error: BackendError) -> None:
    """Raise `error`, why no GPU is used, unless the backend `name` is "auto": then warn, if it can be mended."""
    if name == "cuda":
        raise error
    if isinstance(error, DeviceMemoryError):
        warn_of_fallback(error)
    elif error.mendable:
        reason = str(error).removeprefix("backend is cuda: ")
        warnings.warn(f"not using the GPU: {reason}", stacklevel=5)


def warn_of_fallback(error: DeviceMemoryError) -> None:
    """Warn that a solve runs on the CPU because the GPU has too little memory."""
    reason = str(error).split(": use")[0]
    warnings.warn(f"{reason}: computing on the CPU", stacklevel=4)
