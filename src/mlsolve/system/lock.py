"""A lock that lets only one process at a time work on a run."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import OutputError

NAME = "lock"


@contextmanager
def locked(root: Path, new: bool = False) -> Iterator[None]:
    """Hold the lock of the run in the folder `root`.

    new: create the folder if it does not exist. The operating system releases the lock when the process ends. If
    the folder holds nothing but the lock afterwards, it is removed. Raises OutputError if another process holds the
    lock, or if the folder cannot be written.
    """
    try:
        if new:
            root.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(root / NAME, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise OutputError(f"{root} cannot be written: {error.strerror or error}") from None
    try:
        if not _take(descriptor):
            raise OutputError(f"{root} is in use by another mlsolve process: wait for it, or stop it")
        yield
    finally:
        os.close(descriptor)
        with suppress(OSError):
            if [entry.name for entry in root.iterdir()] == [NAME]:
                (root / NAME).unlink()
                root.rmdir()


def _take(descriptor: int) -> bool:
    """Try to lock the open file, without waiting. Return whether that succeeded."""
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined, unused-ignore]
        except OSError:
            return False
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
