"""Settings of all PyTorch opponents: threads, a suitable malloc, and torch.compile if it works."""

import ctypes
from functools import cache
from typing import Final

import torch

from mlsolve_kernels.iteration.cuda import BATCH

torch._dynamo.config.recompile_limit = 64  # one compilation per size; the default limit is eight

_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_MAX: Final = -4
"""Parameters of mallopt(3), with the numbers of glibc's malloc.h."""


def use_threads(threads: int) -> None:
    """Make torch use `threads` threads and keep the memory that it frees."""
    torch.set_num_threads(threads)
    torch.backends.cudnn.allow_tf32 = False  # a ten-bit mantissa would solve a different problem and fail the check
    keep_freed_memory()


def batch_on(device: str) -> int:
    """Return the iterations of torch on `device` between two readings of the terms: as many as in mlsolve."""
    return BATCH if device == "cuda" else 1


def keep_freed_memory() -> None:
    """Make malloc keep the memory that torch frees, because torch allocates its temporaries at every iteration.

    glibc returns large blocks to the system, which hands them out again page by page, cleared. This took more than
    half of the time of the strongest opponent (bench/LOG.md). Without glibc this does nothing.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(_M_MMAP_MAX, 0)
    mallopt(_M_TRIM_THRESHOLD, -1)


@cache
def why_not_compiled(device: str) -> str | None:
    """Return in one line why torch.compile does not work for `device` here; None if it does."""
    try:
        torch.compile(lambda x: 2 * x + 1)(torch.ones(64, device=device))
    except Exception as error:  # anything the toolchain raises: no g++, no Triton, an old compiler
        lines = str(error).strip().splitlines()
        return f"torch.compile does not work here ({lines[0] if lines else type(error).__name__}): install g++"
    return None
