"""What memory there is, what this process holds of it, and whether a solve fits."""

import ctypes
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from mlsolve_kernels.control_groups import memory_limit

from ..errors import InputError, OptionError

BYTES_PER_VALUE: Final = 55
"""Peak memory of a solve of pictures in memory on the CPU for each pixel, plane and layer, measured by
mlsolve_records.memory, rounded up."""

_UNITS: Final = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3, "t": 1000**4}
_BINARY: Final = {"ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}

_RETURNED: Final = 1 << 20
"""Arrays from this many bytes on go back to the system when they are freed."""


def parse_memory(text: str, name: str = "memory") -> int:
    """Return the bytes that `text` names: 4GiB, 500MB, 1.5g, 2000000. Raises OptionError for anything else."""
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


def in_words(size: float) -> str:
    """Return so many bytes as people read them: 24 MiB, 1.5 GiB."""
    for unit, factor in (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20)):
        if size >= factor:
            return f"{size / factor:.3g} {unit}"
    return f"{size / 2**20:.2g} MiB"


def check_memory(size: tuple[int, int], layers: int, planes: int, images: int = 0) -> None:
    """Raise InputError if solving `size` = (width, height) in memory needs more than is free.

    images: float32 ones that arrangements hold besides. Where the system does not tell what is free, nothing is
    checked.
    """
    width, height = size
    needed = width * height * planes * (BYTES_PER_VALUE * layers + 4 * images)
    free = available_memory()
    if free is not None and needed > free:
        raise InputError(
            f"{layers} layers of {width}×{height} pixels need about {needed / 1e9:.3g} GB of memory, "
            f"{free / 1e9:.3g} GB are free: use a smaller size"
        )


def available_memory() -> int | None:
    """Return the bytes that can be had without swapping, or None where the system does not tell.

    That is what the system has left, or less if the control groups of this process leave less, as in a container.
    """
    limit = memory_limit()
    known = (_of_the_system("available"), None if limit is None else limit.left)
    return min((size for size in known if size is not None), default=None)


def installed_memory() -> int | None:
    """Return the bytes of memory this machine has, or None where the system does not tell."""
    return _of_the_system("total")


def resident_memory() -> int | None:
    """Return the bytes this process holds now, or None where the system does not tell."""
    held = kilobytes(Path("/proc/self/status"), "VmRSS:")
    return _of_this_process("rss") if held is None else held


def peak_memory() -> int | None:
    """Return the most bytes this process has held, or None where the system does not tell: Linux and Windows do."""
    held = kilobytes(Path("/proc/self/status"), "VmHWM:")
    return _of_this_process("peak_wset") if held is None else held


def forget_peak() -> None:
    """Let `peak_memory` count from here on, where the system can."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def return_memory_early() -> None:
    """Tell the C library to give freed arrays back at once, where it can be told: glibc keeps up to 32 MiB each."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            mallopt = ctypes.CDLL(None).mallopt
            mallopt(_M_MMAP_THRESHOLD, _RETURNED)
            mallopt(_M_TRIM_THRESHOLD, _RETURNED)


def trim() -> None:
    """Give back what the C library has kept for the next allocation, where it can be told to."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)


_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3


def _of_the_system(name: str) -> int | None:
    """Return what psutil calls `name` of the system's memory, in bytes; None where it finds nothing out."""
    import psutil

    try:
        return int(getattr(psutil.virtual_memory(), name))
    except (OSError, RuntimeError):
        return None


def _of_this_process(name: str) -> int | None:
    """Return what psutil calls `name` of this process' memory, in bytes; None where it finds nothing out."""
    import psutil

    try:
        return getattr(psutil.Process().memory_info(), name, None)
    except (OSError, RuntimeError, psutil.Error):
        return None


def kilobytes(path: Path, name: str) -> int | None:
    """Return in bytes what a file of /proc gives in kilobytes on the line `name`; None where there is none."""
    try:
        for line in path.read_text(encoding="ascii").splitlines():
            if line.startswith(name):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        return None
    return None
