"""One process at a time works on a run."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import OutputError

NAME = "lock"


@contextmanager
def locked(root: Path, new: bool = False) -> Iterator[None]:
    """Hold the run in `root`; new: make the folder if need be. The system lets go of it when the process ends.

    Raises OutputError if another process holds it.
    """
    try:
        if new:
            root.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(root / NAME, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise OutputError(f"{root} cannot be written: {error.strerror or error}") from None
    try:
        if not _take(descriptor):
            raise OutputError(f"{root} is being worked on by another mlsolve: wait for it, or end it")
        yield
    finally:
        os.close(descriptor)
        with suppress(OSError):  # where nothing else was left in it
            if [entry.name for entry in root.iterdir()] == [NAME]:
                (root / NAME).unlink()
                root.rmdir()


def _take(descriptor: int) -> bool:
    """Lock the open file, without waiting; tell whether it could be had."""
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
