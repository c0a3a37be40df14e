"""Whether a solve fits into this machine's memory, asked before anything large is allocated."""

from pathlib import Path
from typing import Final

from .errors import InputError

BYTES_PER_VALUE: Final = 65
"""Peak memory of a run on the CPU for each pixel, plane and layer, measured by mlsolve_bench.memory, rounded up."""


def check_memory(size: tuple[int, int], layers: int, planes: int) -> None:
    """Raise InputError if solving `size` = (width, height) needs more memory than is free.

    Where the system does not tell what is free, nothing is checked.
    """
    width, height = size
    needed = BYTES_PER_VALUE * width * height * planes * layers
    free = available_memory()
    if free is not None and needed > free:
        raise InputError(
            f"{layers} layers of {width}×{height} pixels need about {needed / 1e9:.3g} GB of memory, "
            f"{free / 1e9:.3g} GB are free: use a smaller size"
        )


def available_memory() -> int | None:
    """Return the bytes that can be had without swapping, or None where the system does not tell; Linux does."""
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        return None
    return None
