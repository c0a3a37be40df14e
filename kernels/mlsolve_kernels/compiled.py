"""How the CPU kernels are compiled.

Strict IEEE arithmetic: no fast-math flag is set, so LLVM may neither reorder nor fuse what is
written, and where a fused multiply-add is wanted it is written as `fma`. A kernel's bytes therefore
do not depend on how a loop was vectorised, on where in a row a pixel falls, on the number of threads
or on the machine; NaN stays visible. It costs nothing measurable: bench/LOG.md #1.
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
    """Compile `function` with Numba on first use: nogil, cached on disk, division as NumPy divides.

    `error_model="numpy"` matters: Python's zero-division check is a branch that keeps loops from
    being vectorised (3.5 times slower).
    """
    options = {"nogil": True, "error_model": "numpy"}
    if cache_folder() is None:
        return cast(F, numba.njit(**options)(function))
    with cached():
        return cast(F, numba.njit(cache=True, **options)(function))


@cache
def cache_folder() -> Path | None:
    """Return the folder that holds the compiled kernels of exactly these sources, or None if none is writable.

    Numba notices a change in the file that holds a kernel, but not in the files whose functions and
    constants it inlined: a changed tap or sign would go on running as it was. So the folder carries
    a digest of every source in this package.
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
    """Tell whether `kernel`, MODULE.NAME, compiled from these sources lies on disk: then a run starts at once."""
    folder = cache_folder()
    return folder is not None and any(folder.rglob(f"{kernel}-*.nbi"))


def _cache_parents(package: Path) -> Iterator[Path]:
    """Yield the folders to try: the user's choice, beside the sources, the user's cache."""
    if chosen := os.environ.get("NUMBA_CACHE_DIR"):
        yield Path(chosen)
    yield package / "__pycache__"
    try:
        home = Path.home()
    except RuntimeError:  # a user without a home
        return
    if sys.platform == "win32":
        yield Path(os.environ.get("LOCALAPPDATA", home / "AppData" / "Local")) / "mlsolve"
    elif sys.platform == "darwin":
        yield home / "Library" / "Caches" / "mlsolve"
    else:
        yield Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache") / "mlsolve"


@contextmanager
def cached() -> Iterator[None]:
    """Point Numba's cache at `cache_folder()` while functions are decorated; a dispatcher keeps what it saw."""
    folder = cache_folder()
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = "" if folder is None else str(folder)
    try:
        yield
    finally:
        numba.config.CACHE_DIR = before
