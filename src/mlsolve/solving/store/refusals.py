"""What the store says when files cannot be read or written: one line, with a remedy."""

import errno
from pathlib import Path
from typing import Final

from ...errors import OutputError, StoreError, first_line

REMEDY: Final = "delete the folder of the run and run again"

GONE: Final = (errno.ENOENT, errno.ENOTDIR, errno.ESTALE)
"""Errors of a file system that mean that a folder is not there any more. ESTALE: another host removed it."""


def unwritable(path: Path, error: OSError) -> OutputError:
    """Return the error that says that `path` cannot be written, and what to do."""
    full = error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
    remedy = "free some space" if full else "allow writing to it, or choose another --out"
    return OutputError(f"{path} cannot be written: {first_line(error)}: {remedy}")


def unreadable(path: Path, error: Exception) -> StoreError:
    """Return the error that says that `path` cannot be read, and what to do."""
    return StoreError(f"{path} cannot be read ({first_line(error)}): allow reading it, or {REMEDY}")


def replaced(folder: Path) -> StoreError:
    """Return the error that says that the array in `folder` is not the one that a task was to use."""
    return StoreError(f"{folder} was removed or replaced since its task was planned: {REMEDY}")


def missing(path: Path) -> StoreError:
    """Return the error that says that a file of the store is missing."""
    return StoreError(f"{path} is missing: {REMEDY}")


def damaged(path: Path, error: Exception) -> StoreError:
    """Return the error that says that a file of the store is damaged."""
    return StoreError(f"{path} is damaged ({first_line(error)}): {REMEDY}")
