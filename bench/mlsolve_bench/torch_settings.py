"""What all torch opponents are given: threads, a malloc that suits them, torch.compile if it works."""

import ctypes
from functools import cache
from typing import Final

import torch

from mlsolve_kernels.iteration.cuda import BATCH

torch._dynamo.config.recompile_limit = 64  # one compilation a size; the default gives up after eight

_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_MAX: Final = -4
"""Parameters of mallopt(3), as glibc's malloc.h numbers them."""


def use_threads(threads: int) -> None:
    """Let torch compute with `threads` threads, and keep the memory that it frees."""
    torch.set_num_threads(threads)
    torch.backends.cudnn.allow_tf32 = False  # ten bits of mantissa would be another problem, and fail the check
    keep_freed_memory()


def batch_on(device: str) -> int:
    """Return how many iterations torch takes on `device` between two readings of the terms: as many as ours."""
    return BATCH if device == "cuda" else 1


def keep_freed_memory() -> None:
    """Have malloc keep what torch frees: torch allocates its temporaries anew at every iteration.

    glibc gives large blocks back to the system, which hands them out again page by page, cleared: more than half of
    the time of the strongest opponent (bench/LOG.md). Elsewhere than under glibc nothing happens.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(_M_MMAP_MAX, 0)
    mallopt(_M_TRIM_THRESHOLD, -1)


@cache
def why_not_compiled(device: str) -> str | None:
    """Return why torch.compile does not work for `device` here, in one line, or None if it does."""
    try:
        torch.compile(lambda x: 2 * x + 1)(torch.ones(64, device=device))
    except Exception as error:  # whatever the toolchain raises: no g++, no Triton, a compiler too old
        lines = str(error).strip().splitlines()
        return f"torch.compile does not work here ({lines[0] if lines else type(error).__name__}): install g++"
    return None
