"""The interface through which CUDA workspaces use a GPU: arrays, launches and one stream.

`Device` is the interface; tests have a second implementation that runs the same kernels on the host. CuPy is only
imported when a device is opened.
"""

import ctypes
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from .compiler import chip_for, compilation_of_adam, compile_kernel
from .cubin import Resources, resources_of
from .errors import CompilerError, first_line
from .geometry import OLDEST, resident_blocks

INSTALL: Final = "pip install 'mlsolve[cuda13]', or 'mlsolve[cuda12]' for drivers before 580"

Blocks = tuple[int, ...]

_loaded: dict[Any, tuple[Any, bytes]] = {}
"""Loaded kernels and their cubins, by device, name and layers. Each is loaded once per process, because drivers do
not unload them."""

_UNKNOWN: Final = Resources(255, 0, 0)
"""Assumed for a kernel whose resources are unknown: the most registers that a thread can have."""

_one_at_a_time = threading.RLock()
"""Held while a kernel is compiled and loaded."""


class NoDeviceError(Exception):
    """No GPU works; the message says what is missing and what to do."""

    def __init__(self, message: str, mendable: bool = False) -> None:
        """mendable: there is, or may be, a GPU, and what is missing can be installed."""
        super().__init__(message)
        self.mendable = mendable


class OutOfDeviceMemory(Exception):
    """The device has too little free memory for an array."""


class Device(Protocol):
    """A device that runs kernels. All operations run in the order in which they are requested."""

    name: str
    records: bool
    """Whether it records what is launched and replays it at once."""
    fuses_adam: bool
    """Whether the pass over layers is to take Adam's step, where nothing is added to its gradient afterwards."""

    @property
    def adam(self) -> str:
        """How Adam's step is compiled into the kernels, in a few words."""

    def zeros(self, *shape: int, dtype: npt.DTypeLike = np.float32) -> Any:
        """Return a new array of zeros on the device. Raises OutOfDeviceMemory."""

    def clear(self, array: Any) -> None:
        """Fill `array` with zeros."""

    def upload(self, host: npt.NDArray[Any], to: Any) -> None:
        """Copy `host` (..., n) into the first n elements of the last axis of `to`."""

    def download(self, array: Any, width: int | None = None) -> npt.NDArray[Any]:
        """Wait for all operations, then return a copy of `array`: the first `width` elements of its last axis."""

    def resident(self, kernel: str, layers: int, threads: int) -> int:
        """Return how many blocks of a kernel the device runs at the same time."""

    def launch(self, kernel: str, layers: int, grid: Blocks, threads: int, *arguments: Any) -> None:
        """Run a kernel (source.KERNELS) on arrays and scalars; an int is passed as int32, a float as float32."""

    def record(self, run: Callable[[], None]) -> Callable[[], None] | None:
        """Return a function that repeats all operations of `run` at once, or None; `run` must have run before."""

    def free_memory(self) -> int:
        """Return the bytes of memory that are free."""

    def close(self) -> None:
        """Free the memory."""


class CupyDevice:
    """An NVIDIA GPU, used through CuPy on its own stream.

    Any thread may use it, one at a time. The current device of that thread does not matter and does not change.
    """

    def __init__(self, graphs: bool = True, fuses_adam: bool = True, number: int | None = None) -> None:
        """Open a GPU; `iteration.cuda.open_gpu` also tests that it works.

        graphs: record batches of iterations as CUDA graphs and replay them. fuses_adam: see `Device`. number: of
        the GPU, from 0 among those that CUDA_VISIBLE_DEVICES leaves; None: the current one. Raises NoDeviceError
        if it cannot be used.
        """
        self._cupy = cupy = import_cupy()
        self.records, self.fuses_adam = graphs, fuses_adam
        self.name = "the GPU" if number is None else f"GPU {number}"
        try:
            count = int(cupy.cuda.runtime.getDeviceCount())
            if number is not None and not 0 <= number < count:
                seen = "only GPU 0: use that" if count == 1 else f"GPUs 0 to {count - 1}: use one of them"
                raise NoDeviceError(f"there is no GPU {number}, the driver shows {seen}")
            self._number = int(cupy.cuda.runtime.getDevice()) if number is None else number
            properties = cupy.cuda.runtime.getDeviceProperties(self._number)
            self.name = str(properties["name"].decode())
            capability = 10 * int(properties["major"]) + int(properties["minor"])
            if capability < OLDEST:
                raise NoDeviceError(
                    f"{self.name} has compute capability {capability / 10}, 7.5 is needed: use another GPU"
                )
            self._multiprocessors = int(properties["multiProcessorCount"])
            self._shared = int(properties["sharedMemPerMultiprocessor"])
            self._chip = chip_for(capability)
            with cupy.cuda.Device(self._number):  # a stream belongs to the device that is current when it is made
                self.stream = cupy.cuda.Stream(non_blocking=True)
        except CompilerError as error:
            raise NoDeviceError(f"{error}: {INSTALL}", mendable=True) from None
        except NoDeviceError:
            raise
        except Exception as error:  # anything that driver or CuPy raise if one is too old or missing
            message = f"{self.name} does not work ({first_line(error)}): bring its driver up to date, or {INSTALL}"
            raise NoDeviceError(message, mendable=True) from None

    @property
    def adam(self) -> str:
        """How Adam's step is compiled into the kernels, in a few words."""
        with _one_at_a_time:
            return compilation_of_adam(self._chip)

    def zeros(self, *shape: int, dtype: npt.DTypeLike = np.float32) -> Any:
        """Return a new array of zeros on the device. Raises OutOfDeviceMemory."""
        with self._within():
            return self._cupy.zeros(shape, dtype=dtype)

    def clear(self, array: Any) -> None:
        """Fill `array` with zeros."""
        with self._within():
            array.fill(0)

    def upload(self, host: npt.NDArray[Any], to: Any) -> None:
        """Copy `host` (..., n) into the first n elements of the last axis of `to`, plane by plane: saves memory."""
        planes = host.reshape(-1, *host.shape[-2:]) if host.ndim > 2 else host[np.newaxis]
        onto = to.reshape(-1, *to.shape[-2:]) if to.ndim > 2 else to[np.newaxis]
        with self._within():
            if host.shape == to.shape:
                to.set(np.ascontiguousarray(host), stream=self.stream)
                self.stream.synchronize()  # the caller may free or change the host's array
                return
            for plane, place in zip(planes, onto, strict=True):
                place[..., : plane.shape[-1]] = self._cupy.asarray(np.ascontiguousarray(plane))
            self.stream.synchronize()

    def download(self, array: Any, width: int | None = None) -> npt.NDArray[Any]:
        """Wait for all operations, then return a copy of `array`: the first `width` elements of its last axis."""
        with self._within():
            if width is None or array.ndim < 3:
                result = np.asarray(array.get(stream=self.stream))
                self.stream.synchronize()
                return result if width is None else result[..., :width].copy()
            flat = array.reshape(-1, *array.shape[-2:])
            result = np.empty((*array.shape[:-1], width), dtype=array.dtype)
            for plane, place in zip(flat, result.reshape(-1, array.shape[-2], width), strict=True):
                place[...] = plane.get(stream=self.stream)[..., :width]
            return result

    def resident(self, kernel: str, layers: int, threads: int) -> int:
        """Return how many blocks of a kernel the device runs at the same time."""
        run, code = self._function(kernel, layers)
        try:
            with self._current():
                driver = self._cupy.cuda.driver
                blocks = driver.occupancyMaxActiveBlocksPerMultiprocessor(run.kernel.ptr, threads, 0)
        except Exception:  # an old CuPy or driver cannot answer: estimate it
            taken = resources_of(code, kernel) or _UNKNOWN
            blocks = resident_blocks(taken.registers, taken.shared, threads, self._shared)
        return max(1, int(blocks)) * self._multiprocessors

    def launch(self, kernel: str, layers: int, grid: Blocks, threads: int, *arguments: Any) -> None:
        """Run a kernel (source.KERNELS) on arrays and scalars; an int is passed as int32, a float as float32."""
        typed = tuple(
            np.int32(a) if isinstance(a, int) else np.float32(a) if isinstance(a, float | np.float32) else a
            for a in arguments
        )
        with self._current():
            run, _ = self._function(kernel, layers)
            run(grid, (threads,), typed)

    def record(self, run: Callable[[], None]) -> Callable[[], None] | None:
        """Return a function that replays `run` as a CUDA graph; None without graphs, or if recording fails."""
        if not self.records:
            return None
        cuda = self._cupy.cuda
        try:
            with self._current():
                self.stream.begin_capture()
                try:
                    run()
                finally:
                    graph = self.stream.end_capture()
        except (cuda.runtime.CUDARuntimeError, cuda.driver.CUDADriverError):  # nothing has run yet
            self.records = False
            return None

        def replay() -> None:
            with self._current():
                graph.launch(stream=self.stream)

        return replay

    def close(self) -> None:
        """Return to the driver all memory that no workspace holds."""
        with self._current():
            self.stream.synchronize()
            self._cupy.get_default_memory_pool().free_all_blocks()

    def free_memory(self) -> int:
        """Return the free bytes of the device, including those that CuPy keeps for reuse."""
        with self._current():
            free, _ = self._cupy.cuda.runtime.memGetInfo()
            return int(free) + int(self._cupy.get_default_memory_pool().free_bytes())

    def _function(self, kernel: str, layers: int) -> tuple[Any, bytes]:
        """Return a kernel ready to launch, and its cubin."""
        key = (self._cupy, self._number, kernel, layers)
        with _one_at_a_time:
            if key not in _loaded:
                _loaded[key] = self._load(kernel, layers)
            return _loaded[key]

    def _load(self, kernel: str, layers: int) -> tuple[Any, bytes]:
        """Compile a kernel and load it."""
        code = compile_kernel(kernel, layers, self._chip)
        with self._current(), tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / f"{kernel}.cubin"  # CuPy loads the module from a file, at the first use
            file.write_bytes(code)
            function = self._cupy.RawModule(path=str(file)).get_function(kernel)
            # Blocks keep their rows in shared memory, so prefer as much of it as possible over L1 cache.
            function.preferred_shared_memory_carveout = 100
        return function, code

    @contextmanager
    def _current(self) -> Iterator[None]:
        """Run the block on this device and stream."""
        with self._cupy.cuda.Device(self._number), self.stream:
            yield

    @contextmanager
    def _within(self) -> Iterator[None]:
        """Run the block on this stream; raise OutOfDeviceMemory if memory runs out."""
        try:
            with self._current():
                yield
        except self._cupy.cuda.memory.OutOfMemoryError:
            raise OutOfDeviceMemory from None


def driver_is_here() -> bool:
    """Return whether NVIDIA's driver is installed; fast if it is not."""
    with suppress(OSError):
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
        return True
    return False


def gpu_count() -> int:
    """Return how many GPUs the driver shows, those that CUDA_VISIBLE_DEVICES leaves; 0 if none can be used."""
    try:
        return int(import_cupy().cuda.runtime.getDeviceCount())
    except NoDeviceError:
        return 0


def import_cupy() -> Any:
    """Return CuPy if it finds a device. Raises NoDeviceError if not."""
    if not driver_is_here():
        raise NoDeviceError(f"there is no NVIDIA driver here: use --backend cpu, or install one and {INSTALL}")
    if find_spec("cupy") is None:
        raise NoDeviceError(f"CuPy is not installed: {INSTALL}", mendable=True)
    try:
        import cupy

        if cupy.cuda.runtime.getDeviceCount() < 1:
            raise NoDeviceError("the NVIDIA driver shows no GPU: use --backend cpu")
    except NoDeviceError:
        raise
    except Exception as error:  # importing and calling native code can fail in many ways
        message = f"no NVIDIA GPU can be used ({first_line(error)}): bring the driver up to date, or {INSTALL}"
        raise NoDeviceError(message, mendable="NoDevice" not in str(error)) from None
    return cupy
