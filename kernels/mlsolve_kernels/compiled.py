"""How the CPU kernels are compiled.

Arithmetic is strictly IEEE: no fast-math flag is set, so LLVM may neither reorder nor fuse operations. A fused
multiply-add is written explicitly, as `fma`. So a kernel gives the same bytes however a loop is vectorised,
wherever in a row a pixel is, with any number of threads and on any machine, and NaN stays visible. The cost is not
measurable: bench/LOG.md #1.
"""

import hashlib
import os
import pickle
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import llvmlite.binding
import numba
from numba.core.caching import FunctionCache
from numba.core.compiler_lock import global_compiler_lock

F = TypeVar("F", bound=Callable[..., Any])

KERNELS: Final[dict[str, Any]] = {}
"""Every kernel of this process by its name, MODULE.NAME: what Numba calls a dispatcher."""

_REMEMBERED: Final = "remembered"
"""Folder in the cache of what was loaded before."""


def kernel(function: F) -> F:
    """Compile `function` with Numba on first use: without the GIL, cached on disk, with NumPy's division.

    `error_model="numpy"` matters: Python's check for division by zero is a branch that prevents vectorisation
    (3.5 times slower).
    """
    compiled = numba.njit(nogil=True, error_model="numpy")(function)
    if cache_folder() is not None:
        compiled._cache = _Cache(function)
    KERNELS[f"{function.__module__}.{function.__qualname__}"] = compiled
    return cast(F, compiled)


class _Cache(FunctionCache):  # type: ignore[misc]
    """Numba's cache of a function, which loads what it holds without first preparing Numba to compile.

    That preparation registers all that Numba can compile, and compiles Numba's own runtime. It takes longer than
    loading all kernels of a run, and machine code needs none of it but the addresses of that runtime. If the cache
    does not hold the kernel, Numba prepares and compiles.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        """Prepare nothing yet: most kernels are part of others and are never loaded for themselves."""
        self._function = function

    def __getattr__(self, name: str) -> Any:
        """Find the files of this kernel when something is first asked for."""
        if "_impl" in vars(self) or name == "_function":
            raise AttributeError(name)
        with global_compiler_lock, cached():  # the lock, because the folder of the cache is a global setting
            super().__init__(self._function)
        return getattr(self, name)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the compiled kernel for the types `sig`; None if it must be compiled."""
        if _runtime_is_linked():
            with suppress(AttributeError, TypeError), self._guard_against_spurious_io_errors():
                found = self._load_overload(sig, target_context)
                if found is not None:
                    return found
        return super().load_overload(sig, target_context)


@cache
def _runtime_is_linked() -> bool:
    """Give LLVM the addresses of Numba's runtime, which kernels call; False if Numba keeps them elsewhere."""
    try:
        from numba.core.runtime import _nrt_python

        for name, address in _nrt_python.c_helpers.items():
            llvmlite.binding.add_symbol(name if name.startswith("_") else f"NRT_{name}", address)
    except (ImportError, AttributeError):
        return False
    return True


def remember(name: str) -> None:
    """Write down under `name`, in the cache, which kernels this process has loaded, for `load_remembered`.

    Nothing is written if a kernel was compiled: then what it calls was compiled too, which needs no loading.
    """
    folder = cache_folder()
    kernels = dict(KERNELS)  # a copy, because another thread may import more
    used = {one: kernel.signatures for one, kernel in kernels.items() if kernel.signatures}
    if folder is None or any(kernel.stats.cache_misses for kernel in kernels.values()):
        return
    partial = folder / _REMEMBERED / f"{name}.{os.getpid()}"
    with suppress(OSError):
        partial.parent.mkdir(exist_ok=True)
        partial.write_bytes(pickle.dumps(used))
        partial.replace(partial.with_name(name))


def load_remembered(name: str) -> bool:
    """Load the kernels that a process wrote down under `name`; return whether one did."""
    folder = cache_folder()
    if folder is None:
        return False
    try:
        found = pickle.loads((folder / _REMEMBERED / name).read_bytes())
        kernels = [(KERNELS[name], signatures) for name, signatures in found.items()]
    except Exception:  # damaged bytes make pickle raise almost anything; kernels are then found as usual
        return False
    for compiled, signatures in kernels:
        for signature in signatures:
            compiled.compile(signature)
    return True


@cache
def cache_folder() -> Path | None:
    """Return the folder of the compiled kernels of exactly these sources; None if no folder is writable.

    Numba notices a change in the file of a kernel, but not in the files whose functions and constants it inlined: a
    changed tap or sign would have no effect. So the name of the folder contains a digest of all sources of this
    package.
    """
    for parent in _cache_parents(Path(__file__).parent):
        folder = parent / f"kernels-{sources_digest()}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                return folder
        except OSError:
            continue
    return None


@cache
def sources_digest() -> str:
    """Return a digest of every source in this package, 16 hexadecimal digits."""
    package = Path(__file__).parent
    digest = hashlib.sha256()
    for source in sorted(_sources(package)):
        digest.update(source.relative_to(package).as_posix().encode())
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def _sources(package: Path) -> Iterator[Path]:
    """Yield every source in `package`; folders of what is compiled hold none, and many files."""
    for folder, folders, files in os.walk(package):
        folders[:] = (name for name in folders if name != "__pycache__")
        yield from (Path(folder, name) for name in files if name.endswith((".py", ".cu", ".cuh")))


def is_cached(kernel: str = "sweep.sweep") -> bool:
    """Return whether `kernel`, MODULE.NAME, is on disk, compiled from these sources: a run then starts at once."""
    folder = cache_folder()
    return folder is not None and any(folder.rglob(f"{kernel}-*.nbi"))


def _cache_parents(package: Path) -> Iterator[Path]:
    """Yield the folders to try: the user's choice, next to the sources, the user's cache."""
    if chosen := os.environ.get("NUMBA_CACHE_DIR"):
        yield Path(chosen)
    yield package / "__pycache__"
    try:
        home = Path.home()
    except RuntimeError:  # the user has no home folder
        return
    if sys.platform == "win32":
        yield Path(os.environ.get("LOCALAPPDATA", home / "AppData" / "Local")) / "mlsolve"
    elif sys.platform == "darwin":
        yield home / "Library" / "Caches" / "mlsolve"
    else:
        yield Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache") / "mlsolve"


@contextmanager
def cached() -> Iterator[None]:
    """Make functions that are decorated in this block use `cache_folder()` as their cache."""
    folder = cache_folder()
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = "" if folder is None else str(folder)
    try:
        yield
    finally:
        numba.config.CACHE_DIR = before
