"""How much memory is installed and free, how much this process uses, and whether a solve fits."""

import ctypes
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from mlsolve_kernels.control_groups import memory_limit

from ..errors import InputError, OptionError

BYTES_PER_VALUE: Final = 55
"""Peak memory per pixel, plane and layer of a solve on the CPU with all pictures in memory.

Measured by mlsolve_records.memory and rounded up.
"""

_UNITS: Final = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3, "t": 1000**4}
_BINARY: Final = {"ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}

_RETURNED: Final = 1 << 20
"""Arrays of this many bytes or more are returned to the operating system when they are freed."""


def parse_memory(text: str, name: str = "memory") -> int:
    """Return the number of bytes that `text` stands for: 4GiB, 500MB, 1.5g, 2000000.

    Raises OptionError, which calls it `name`, for anything else.
    """
    words = text.strip().lower().removesuffix("b")
    digits = words.rstrip("kmgti")
    unit = words[len(digits) :]
    factor = (_UNITS | _BINARY).get(unit)
    try:
        number = float(digits)
    except ValueError:
        number = -1.0
    if factor is None or not 0 < number < 1e15:
        raise OptionError(f"{name} is {text!r}: give a size as 4GiB, 500MiB or 2GB")
    return int(number * factor)


def as_size(size: int) -> str:
    """Return `size` in bytes, not rounded, as `parse_memory` reads it: 4GiB, 500MB, 2000001."""
    for unit in ("TiB", "TB", "GiB", "GB", "MiB", "MB"):
        number, rest = divmod(size, parse_memory(f"1{unit}"))
        if not rest:
            return f"{number}{unit}"
    return str(size)


def in_words(size: float) -> str:
    """Return `size` in bytes as readable text: 24 MiB, 1.5 GiB."""
    for unit, factor in (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20)):
        if size >= factor:
            return f"{size / factor:.3g} {unit}"
    return f"{size / 2**20:.2g} MiB"


def check_memory(size: tuple[int, int], layers: int, planes: int, images: int = 0) -> None:
    """Raise InputError if solving pictures of `size` = (width, height) in memory needs more memory than is free.

    images: how many further float32 images the arrangements hold. If the operating system does not report free
    memory, nothing is checked.
    """
    width, height = size
    needed = width * height * planes * (BYTES_PER_VALUE * layers + 4 * images)
    free = available_memory()
    if free is not None and needed > free:
        raise InputError(
            f"{layers} layers of {width}×{height} pixels need about {needed / 1e9:.3g} GB of memory, but only "
            f"{free / 1e9:.3g} GB are free: use a smaller size"
        )


def available_memory() -> int | None:
    """Return the bytes that can be allocated without swapping, or None if that is unknown.

    That is the memory the system has left, or less if the control groups of this process (as in a container) leave
    less.
    """
    limit = memory_limit()
    known = (_system_memory("available"), None if limit is None else limit.left)
    return min((size for size in known if size is not None), default=None)


def installed_memory() -> int | None:
    """Return the bytes of memory this machine has, or None if that is unknown."""
    return _system_memory("total")


def resident_memory() -> int | None:
    """Return the resident memory of this process in bytes, or None if that is unknown."""
    held = kilobytes(Path("/proc/self/status"), "VmRSS:")
    return _process_memory("rss") if held is None else held


def peak_memory() -> int | None:
    """Return the peak resident memory of this process in bytes, or None if unknown (known on Linux and Windows)."""
    held = kilobytes(Path("/proc/self/status"), "VmHWM:")
    return _process_memory("peak_wset") if held is None else held


def forget_peak() -> None:
    """Reset the peak that `peak_memory` returns, where the operating system can do that."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def return_memory_early() -> None:
    """Make the C library return freed arrays to the system at once, if it can: glibc keeps up to 32 MiB each."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            mallopt = ctypes.CDLL(None).mallopt
            mallopt(_M_MMAP_THRESHOLD, _RETURNED)
            mallopt(_M_TRIM_THRESHOLD, _RETURNED)


def trim() -> None:
    """Return memory that the C library has kept for later allocations to the system, if the library can."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)


_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3


def _system_memory(name: str) -> int | None:
    """Return the field `name` of psutil's figures for the system's memory, in bytes; None if psutil fails."""
    import psutil

    try:
        return int(getattr(psutil.virtual_memory(), name))
    except (OSError, RuntimeError):
        return None


def _process_memory(name: str) -> int | None:
    """Return the field `name` of psutil's figures for this process, in bytes; None if there is none."""
    import psutil

    try:
        return getattr(psutil.Process().memory_info(), name, None)
    except (OSError, RuntimeError, psutil.Error):
        return None


def kilobytes(path: Path, name: str) -> int | None:
    """Return the bytes that the line of `path` that begins with `name` gives in KiB; None if there is none."""
    try:
        for line in path.read_text(encoding="ascii").splitlines():
            if line.startswith(name):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        return None
    return None
