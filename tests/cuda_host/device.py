"""The CUDA kernels on the host: a `Device` that compiles their sources with g++ behind shim.h and runs them."""

import contextlib
import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
from numba import types

from mlsolve_kernels.adam.step import Rates, adam_step
from mlsolve_kernels.compiled import kernel
from mlsolve_kernels.cuda.source import USUAL, source

SHIM = Path(__file__).with_name("shim.h")

PLAIN = ("-O1", "-DPOISON")
SANITIZED = (
    "-O1",
    "-g",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=undefined",
    "-fno-omit-frame-pointer",
)

COMMAND = (
    "g++",
    # Some distributions turn it on; glibc would stop the shim, which changes stacks and fills all of .bss.
    "-U_FORTIFY_SOURCE",
    "-std=c++20",
    "-ffp-contract=off",
    "-fno-gnu-unique",
    "-fPIC",
    "-shared",
    "-w",
    "-mfma",
)

ALIGNMENT = 256
GUARD = 65536
"""Bytes on either side of an array that a fault may reach without harm to the tests."""

Edit = Callable[[str], str]


def compiler() -> str | None:
    """The path of g++, if there is one."""
    return shutil.which("g++")


needs_compiler = pytest.mark.skipif(
    compiler() is None, reason="needs g++ to run CUDA kernels on the host: install g++"
)

BUILT = Path(__file__).parents[2] / ".pytest_cache" / "cuda_host"
"""Where libraries are kept from one run of the tests to the next, under a digest of all that goes into them."""

KEPT = 7 * 24 * 3600
"""Seconds that a library is kept that nobody asks for."""


class BuildError(Exception):
    """A source that g++ does not compile. No AssertionError: a fault that does not compile was not noticed."""


@cache
def compiler_version() -> str:
    """What g++ says of itself."""
    return subprocess.run(["g++", "--version"], capture_output=True, text=True, check=True).stdout


def build(
    folder: Path,
    name: str,
    layers: int,
    flags: tuple[str, ...] = PLAIN,
    edit: Edit = lambda text: text,
    chip: int = USUAL,
) -> Path:
    """Compile kernel `name` for the host unless it was before; return the library, a copy of its own in `folder`.

    A library has one shared memory: devices that are used at the same time need copies. Raises BuildError.
    """
    text = "\n".join(
        [
            f'#include "{SHIM.name}"',
            edit(source(name, layers, chip)),
            '#line 1 "export"',
            f"SHIM_EXPORT({name})",
            "",
        ]
    )
    parts = (str(COMMAND), str(flags), str(compiler()), compiler_version(), SHIM.read_text(), text)
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:24]
    library = folder / f"{name}-{layers}-{digest}.so"
    if not library.exists():
        kept = BUILT / library.name
        if not kept.exists():
            BUILT.mkdir(parents=True, exist_ok=True)
            _compile(text, flags, kept)
        os.utime(kept)
        shutil.copyfile(kept, library)
    return library


def _compile(text: str, flags: tuple[str, ...], library: Path) -> None:
    """Compile `text` to `library`, which is there when it is whole: others may build the same."""
    with tempfile.TemporaryDirectory(dir=library.parent) as folder:
        source_file, made = Path(folder, "kernel.cpp"), Path(folder, "kernel.so")
        source_file.write_text(text)
        command = [*COMMAND, *flags, f"-I{SHIM.parent}", str(source_file), "-o", str(made)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise BuildError(done.stderr[:4000])
        made.replace(library)


def forget_old_builds() -> None:
    """Remove the libraries that no run of the tests has asked for in a week."""
    for path in BUILT.glob("*.so"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > KEPT:
                path.unlink()


class LaunchError(AssertionError):
    """A block that CUDA would not bring to its end: a barrier that some do not reach, a misaligned copy."""


_step = kernel(adam_step)


@numba.cfunc(types.void(types.CPointer(types.float32), *(types.float32,) * 12))
def adam_step_on_host(moved, x, first, second, gradient, rate, b1, b2, c1, c2, epsilon, low, high):
    moved[0], moved[1], moved[2] = _step(
        x, first, second, gradient, Rates(rate, b1, b2, c1, c2, epsilon, low, high)
    )


class HostDevice:
    """Runs the kernels on the host, threads in order or in reverse, copies late or early."""

    name = "host"
    records = False
    adam = "compiled by Numba for the CPU"

    def __init__(
        self,
        folder: Path,
        *,
        reverse: bool = False,
        early: bool = False,
        resident: int = 8,
        flags: tuple[str, ...] = PLAIN,
        edits: dict[str, Edit] | None = None,
        fuses_adam: bool = True,
        chip: int = USUAL,
    ) -> None:
        self.fuses_adam, self.chip = fuses_adam, chip
        self.folder, self.reverse, self.early, self._resident, self.flags = folder, reverse, early, resident, flags
        self.edits = edits or {}
        self.grids: dict[str, tuple[int, ...]] = {}
        """The blocks that each kernel was launched with last."""
        self._guards: list[np.ndarray] = []
        self._libraries: dict[tuple[str, int], Any] = {}

    def zeros(self, *shape: int, dtype: Any = np.float32) -> Any:
        """Aligned as device memory is; NaN on either side, or for the sanitizer nothing."""
        guard = 0 if self.flags == SANITIZED else GUARD
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        room = np.full(size + 2 * guard + ALIGNMENT, 0xFF, dtype=np.uint8)
        start = -(room.ctypes.data + guard) % ALIGNMENT + guard
        if guard:
            self._guards += [room[:start], room[start + size :]]
        else:  # what lies behind the array is nobody's
            room = np.zeros(size, dtype=np.uint8)
            start = 0
            assert room.ctypes.data % 16 == 0
        array = room[start : start + size].view(dtype).reshape(shape)
        array[...] = 0
        return array

    def intact(self) -> bool:
        """Tell whether nothing was written beside the arrays."""
        return all((guard == 0xFF).all() for guard in self._guards)

    def clear(self, array: Any) -> None:
        array[...] = 0

    def upload(self, host: Any, to: Any) -> None:
        assert host.dtype == to.dtype
        to[..., : host.shape[-1]] = host

    def download(self, array: Any, width: int | None = None) -> Any:
        return array[..., :width].copy()

    def resident(self, kernel: str, layers: int, threads: int) -> int:
        return self._resident

    def launch(self, kernel: str, layers: int, grid: tuple[int, ...], threads: int, *arguments: Any) -> None:
        self.grids[kernel] = grid
        library = self._libraries.get((kernel, layers))
        if library is None:
            path = build(
                self.folder, kernel, layers, self.flags, self.edits.get(kernel, lambda text: text), self.chip
            )
            library = self._libraries[kernel, layers] = ctypes.CDLL(str(path))
            library.shim_take(ctypes.c_void_p(adam_step_on_host.address))
        values = [self._argument(a) for a in arguments]
        pointers = (ctypes.c_void_p * len(values))(*(ctypes.addressof(value) for value in values))
        blocks = (ctypes.c_uint * 3)(*grid, *(1,) * (3 - len(grid)))
        if library.shim_launch(blocks, threads, int(self.reverse), int(self.early), pointers) != 0:
            raise LaunchError(kernel)

    @staticmethod
    def _argument(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            assert value.flags.c_contiguous
            return ctypes.c_void_p(value.ctypes.data)
        return ctypes.c_int(value) if isinstance(value, int) else ctypes.c_float(value)

    def record(self, run: Any) -> None:
        return None

    def close(self) -> None:
        pass
