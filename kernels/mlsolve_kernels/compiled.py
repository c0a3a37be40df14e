"""How the CPU kernels are compiled.

Arithmetic is strictly IEEE: no fast-math flag is set, so LLVM may neither reorder nor fuse operations. A fused
multiply-add is written explicitly, as `fma`. So a kernel gives the same bytes however a loop is vectorised,
wherever in a row a pixel is, with any number of threads and on any machine, and NaN stays visible. The cost is not
measurable: bench/LOG.md #1.
"""

import hashlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])


def kernel(function: F) -> F:
    """Compile `function` with Numba on first use: without the GIL, cached on disk, with NumPy's division.

    `error_model="numpy"` matters: Python's check for division by zero is a branch that prevents vectorisation
    (3.5 times slower).
    """
    options = {"nogil": True, "error_model": "numpy"}
    if cache_folder() is None:
        return cast(F, numba.njit(**options)(function))
    with cached():
        return cast(F, numba.njit(cache=True, **options)(function))


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
    for source in sorted([*package.rglob("*.py"), *package.rglob("*.cu"), *package.rglob("*.cuh")]):
        digest.update(source.relative_to(package).as_posix().encode())
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


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
