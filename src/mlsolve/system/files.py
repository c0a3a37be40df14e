"""Files as such: read only if they are regular ones, written whole or not at all."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

from ..errors import InputError, OutputError, first_line

PARTIAL: Final = ".*.partial-*"
"""Pattern of the names of what is not whole yet."""

HEAD: Final = 64
"""Bytes a format is known by."""


def read_head(path: Path) -> bytes:
    """Return the first bytes of `path`, HEAD of them at most; raise InputError if it is no file with a content."""
    if path.is_dir():
        raise InputError(f"{path} is a folder: give a picture file")
    if path.exists() and not path.is_file():
        raise InputError(f"{path} is no regular file: give a picture file")
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: check the name") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {first_line(error)}") from None
    if not head:
        raise InputError(f"{path} is empty: give a picture file")
    return head


def damaged(path: Path, error: BaseException | str) -> InputError:
    """Return the error that says that there is no whole picture in `path`, and what the decoder found.

    Or that it is of a kind that the decoder does not know, such as a compression it was built without.
    """
    found = first_line(error).replace(f"{path}: ", "")
    if any(
        words in found.lower() for words in ("not configured", "unsupported", "not supported", "not implemented")
    ):
        return InputError(f"{path} is of a kind that is not read ({found}): save it as PNG, or TIFF with Deflate")
    return InputError(f"{path} is cut off or damaged ({found}): get a whole copy")


def partial_beside(path: Path) -> Path:
    """Return the name under which what is to become `path` is written: beside it, and this thread's alone."""
    # Cut short, for a name may be as long as the file system allows.
    return path.with_name(f".{path.name[:40]}.partial-{os.getpid()}-{threading.get_ident()}")


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path`, whole or not at all; raise OutputError, in one line, if it cannot be."""
    with refusals(path):
        partial = Partial(path)
        try:
            partial.file.write(data)
            partial.keep()
        finally:
            partial.discard()


class Partial:
    """A file beside `path` that takes its place once it is whole. Raises OSError where the file system does."""

    def __init__(self, path: Path) -> None:
        """Open it, empty."""
        self.path = path
        self._partial = partial_beside(path)
        self.file: BinaryIO = self._partial.open("wb")

    def keep(self) -> None:
        """Put the file in its place, on disc before it gets its name."""
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()
        self._partial.replace(self.path)

    def discard(self) -> None:
        """Remove the file, unless it was kept."""
        # What a full disc did not take, closing tries to write once more.
        with suppress(OSError):
            self.file.close()
        self._partial.unlink(missing_ok=True)


@contextmanager
def refusals(path: Path) -> Iterator[None]:
    """Turn what the file system refuses into an OutputError of one line."""
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}") from None
