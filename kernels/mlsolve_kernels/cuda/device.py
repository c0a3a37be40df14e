"""A GPU as the CUDA workspace sees it: arrays, launches, one stream. CuPy is imported when a device is opened.

`Device` is the interface; tests have a second one that runs the same kernels on the host.
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

from .compiler import CompilerError, chip_for, compile_kernel
from .cubin import Resources, resources_of
from .geometry import resident_blocks

OLDEST: Final = 75
"""Oldest compute capability that is supported: Turing, the oldest that CUDA 13 knows."""

INSTALL: Final = "pip install 'mlsolve[cuda13]', or 'mlsolve[cuda12]' for drivers before 580"

Blocks = tuple[int, ...]

_loaded: dict[Any, tuple[Any, bytes]] = {}
"""Kernels that are loaded and their cubins, by device, name and layers: once in a process, for a driver does not
let go of them."""

_UNKNOWN: Final = Resources(255, 0, 0)
"""What a kernel may take that says nothing of itself: as many registers as a thread can have."""

_one_at_a_time = threading.RLock()
"""Held while a kernel is compiled and loaded, and while Numba launches, which compiles at the first launch: its
dispatcher is one for all devices."""


class NoDeviceError(Exception):
    """There is no GPU that works; the message says what is missing and what to do."""

    def __init__(self, message: str, mendable: bool = False) -> None:
        """mendable: a GPU is here, or may be, and something that can be installed is missing."""
        super().__init__(message)
        self.mendable = mendable


class OutOfDeviceMemory(Exception):
    """The device has no memory left for an array."""


class Device(Protocol):
    """Where kernels run. Everything happens in the order it is asked for."""

    name: str

    def zeros(self, *shape: int, dtype: npt.DTypeLike = np.float32) -> Any:
        """Return a new array on the device; raises OutOfDeviceMemory."""

    def clear(self, array: Any) -> None:
        """Fill `array` with zeros."""

    def upload(self, host: npt.NDArray[Any], to: Any) -> None:
        """Copy `host` (..., n) into the first n of the last axis of `to`."""

    def download(self, array: Any, width: int | None = None) -> npt.NDArray[Any]:
        """Return a copy of `array`, of its last axis the first `width`, once all that was asked for is done."""

    def resident(self, kernel: str, layers: int, threads: int) -> int:
        """Return how many blocks of a kernel run at a time."""

    def launch(self, kernel: str, layers: int, grid: Blocks, threads: int, *arguments: Any) -> None:
        """Run a kernel (source.KERNELS) on arrays and scalars; whole numbers become int32, others float32."""

    def updater(
        self, x: Any, moments: tuple[Any, Any], gradient: Any, rates: Any, turn: Any, width: int
    ) -> Callable[[], None]:
        """Return what runs adam.cuda.update on arrays (rows, pitch)."""

    def record(self, run: Callable[[], None]) -> Callable[[], None] | None:
        """Return what does at once all that `run` asks of the device, or None; `run` must have run before."""

    def free_memory(self) -> int:
        """Return the bytes that can still be had."""

    def close(self) -> None:
        """Give memory back."""


class CupyDevice:
    """An NVIDIA GPU through CuPy and numba-cuda, on a stream of its own.

    Any thread may use it, one at a time; which device is current in that thread does not matter, and stays.
    """

    def __init__(self, graphs: bool = False) -> None:
        """Open the current device; `iteration.cuda.open_gpu` proves that it works.

        graphs: record an iteration as a CUDA graph and replay it. Raises NoDeviceError.
        """
        self._cupy = cupy = import_cupy()
        self._graphs = graphs
        self.name = "the GPU"
        try:
            self._number = int(cupy.cuda.runtime.getDevice())
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
            self.stream = cupy.cuda.Stream(non_blocking=True)
            from numba import cuda as numba_cuda

            from ..adam.cuda import THREADS, grid_for, update

            numba_cuda.current_context()
            self._numba_stream = numba_cuda.external_stream(self.stream.ptr)
            self._as_numba: Callable[[Any], Any] = lambda array: numba_cuda.as_cuda_array(array, sync=False)
        except CompilerError as error:
            raise NoDeviceError(f"{error}: {INSTALL}", mendable=True) from None
        except NoDeviceError:
            raise
        except Exception as error:  # whatever driver, CuPy or Numba raise where one of them is too old or missing
            message = f"{self.name} does not work ({first_line(error)}): bring its driver up to date, or {INSTALL}"
            raise NoDeviceError(message, mendable=True) from None
        self._update, self._update_grid, self._update_threads = update, grid_for, THREADS

    def zeros(self, *shape: int, dtype: npt.DTypeLike = np.float32) -> Any:
        """Return a new array on the device; raises OutOfDeviceMemory."""
        with self._within():
            return self._cupy.zeros(shape, dtype=dtype)

    def clear(self, array: Any) -> None:
        """Fill `array` with zeros."""
        with self._within():
            array.fill(0)

    def upload(self, host: npt.NDArray[Any], to: Any) -> None:
        """Copy `host` (..., n) into the first n of the last axis of `to`, plane by plane: it needs no more."""
        planes = host.reshape(-1, *host.shape[-2:]) if host.ndim > 2 else host[np.newaxis]
        onto = to.reshape(-1, *to.shape[-2:]) if to.ndim > 2 else to[np.newaxis]
        with self._within():
            if host.shape == to.shape:
                to.set(np.ascontiguousarray(host), stream=self.stream)
                self.stream.synchronize()  # the host's array may go away
                return
            for plane, place in zip(planes, onto, strict=True):
                place[..., : plane.shape[-1]] = self._cupy.asarray(np.ascontiguousarray(plane))
            self.stream.synchronize()

    def download(self, array: Any, width: int | None = None) -> npt.NDArray[Any]:
        """Return a copy of `array`, of its last axis the first `width`, once all that was asked for is done."""
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
        """Return how many blocks of a kernel run at a time."""
        run, code = self._function(kernel, layers)
        try:
            with self._current():
                driver = self._cupy.cuda.driver
                blocks = driver.occupancyMaxActiveBlocksPerMultiprocessor(run.kernel.ptr, threads, 0)
        except Exception:  # a CuPy that does not have it, a driver that does not know: a grid can be estimated
            taken = resources_of(code, kernel) or _UNKNOWN
            blocks = resident_blocks(taken.registers, taken.shared, threads, self._shared)
        return max(1, int(blocks)) * self._multiprocessors

    def launch(self, kernel: str, layers: int, grid: Blocks, threads: int, *arguments: Any) -> None:
        """Run a kernel (source.KERNELS) on arrays and scalars; whole numbers become int32, others float32."""
        typed = tuple(
            np.int32(a) if isinstance(a, int) else np.float32(a) if isinstance(a, float | np.float32) else a
            for a in arguments
        )
        with self._current():
            run, _ = self._function(kernel, layers)
            run(grid, (threads,), typed)

    def updater(
        self, x: Any, moments: tuple[Any, Any], gradient: Any, rates: Any, turn: Any, width: int
    ) -> Callable[[], None]:
        """Return what runs adam.cuda.update on arrays (rows, pitch); to Numba they are handed once."""
        with self._current(), _one_at_a_time:
            arrays = [self._as_numba(array) for array in (x, *moments, gradient, rates, turn)]
            launch = self._update[self._update_grid(x.shape[0], width), self._update_threads, self._numba_stream]
        columns = np.int32(width)

        def update() -> None:
            with self._current(), _one_at_a_time:  # Numba takes the context that CuPy made current
                launch(*arrays, columns)

        return update

    def record(self, run: Callable[[], None]) -> Callable[[], None] | None:
        """Return the CUDA graph of what `run` asks for, or None where graphs are not wanted."""
        if not self._graphs:
            return None
        with self._current():
            self.stream.begin_capture()
            try:
                run()
            finally:
                graph = self.stream.end_capture()

        def replay() -> None:
            with self._current():
                graph.launch(stream=self.stream)

        return replay

    def close(self) -> None:
        """Give memory that no workspace holds back to the driver."""
        with self._current():
            self.stream.synchronize()
            self._cupy.get_default_memory_pool().free_all_blocks()

    def free_memory(self) -> int:
        """Return the free bytes of the device, those that CuPy keeps for reuse among them."""
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
            file = Path(folder) / f"{kernel}.cubin"  # a module is loaded from a file, at the first question
            file.write_bytes(code)
            function = self._cupy.RawModule(path=str(file)).get_function(kernel)
            # A block keeps its rows in shared memory: as much of it as there is, and the rest for the L1 cache.
            function.preferred_shared_memory_carveout = 100
        return function, code

    @contextmanager
    def _current(self) -> Iterator[None]:
        """Do what follows on our device and stream."""
        with self._cupy.cuda.Device(self._number), self.stream:
            yield

    @contextmanager
    def _within(self) -> Iterator[None]:
        """Do what follows on our stream; say in our words if memory runs out."""
        try:
            with self._current():
                yield
        except self._cupy.cuda.memory.OutOfMemoryError:
            raise OutOfDeviceMemory from None


def driver_is_here() -> bool:
    """Tell whether NVIDIA's driver is installed; takes no time where it is not."""
    with suppress(OSError):
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
        return True
    return False


def import_cupy() -> Any:
    """Return CuPy if it sees a device; raises NoDeviceError."""
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
    except Exception as error:  # an import of native code, and calls into it, can fail in many ways
        message = f"no NVIDIA GPU can be used ({first_line(error)}): bring the driver up to date, or {INSTALL}"
        raise NoDeviceError(message, mendable="NoDevice" not in str(error)) from None
    return cupy


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says, or its name."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
