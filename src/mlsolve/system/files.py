"""Files of any kind: only regular files are read; files are written completely or not at all."""

import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fnmatch import fnmatch
from pathlib import Path
from typing import BinaryIO, Final

from ..errors import InputError, OutputError, first_line

PARTIAL: Final = ".*.partial-*"
"""Pattern of the names under which files and folders are written until they are complete."""

HEAD: Final = 64
"""Bytes from which a format is recognised."""

_PAUSE: Final = 0.008
"""Seconds before a folder is tried again that could not be removed; they double each time."""


def read_head(path: Path) -> bytes:
    """Return the first bytes of the file `path`, at most HEAD of them.

    Raises InputError if `path` does not exist, is not a regular file, is empty or cannot be read.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder: give a picture file")
    if path.exists() and not path.is_file():
        raise InputError(f"{path} is not a regular file: give a picture file")
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
    """Return an error that says that the picture in `path` is truncated or damaged, with the decoder's message.

    If the message says that the decoder does not support the file, such as a compression it was built without, the
    error says that instead.
    """
    found = first_line(error).replace(f"{path}: ", "")
    if any(
        words in found.lower() for words in ("not configured", "unsupported", "not supported", "not implemented")
    ):
        return InputError(f"{path} is of an unsupported kind ({found}): save it as PNG, or TIFF with Deflate")
    return InputError(f"{path} is truncated or damaged ({found}): get a complete copy")


def partial_beside(path: Path) -> Path:
    """Return the name under which `path` is written until it is complete, in the same folder."""
    return path.with_name(partial_name(path.name))


def partial_name(name: str) -> str:
    """Return a name as `PARTIAL` for a file that will be called `name`; no thread of any process or host has it."""
    # Shortened, because the original name may already be as long as the file system allows.
    return f".{name[:40]}.partial-{secrets.token_hex(12)}"


def remove_folder(path: Path, tries: int = 6) -> Path | None:
    """Remove the folder `path` and all in it, even while others read and write there.

    It is renamed first, so that its name is free at once. What cannot be removed yet, because a file is in use or
    another process writes there, keeps a name as `PARTIAL`, which is returned; None: nothing is left. tries: how
    often to try, half a second in all for the default. OSError is passed on if the folder keeps its own name.
    """
    aside = path
    if not fnmatch(path.name, PARTIAL):
        try:
            aside = path.rename(partial_beside(path))
        except FileNotFoundError:
            return None
        except OSError:  # on a full disk there may be no room for another name
            pass
    for number in range(tries):
        if number:
            time.sleep(_PAUSE * 2**number)
        shutil.rmtree(aside, ignore_errors=True)
        if not os.path.lexists(aside):
            return None
    if aside is not path or fnmatch(path.name, PARTIAL):
        return aside
    with suppress(FileNotFoundError):
        shutil.rmtree(path)  # for its error
    return None


def remove_partials(root: Path) -> None:
    """Remove everything in `root` that is named as `PARTIAL`, files and folders."""
    for entry in list(root.rglob(PARTIAL)):
        if entry.is_dir() and not entry.is_symlink():
            remove_folder(entry)
        else:
            entry.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path`, completely or not at all. Raises OutputError if it cannot be written."""
    with refusals(path):
        partial = Partial(path)
        try:
            partial.file.write(data)
            partial.keep()
        finally:
            partial.discard()


class Partial:
    """A file beside `path` that replaces it once it is complete. OSError from the file system is passed on."""

    def __init__(self, path: Path) -> None:
        """Open a new, empty file."""
        self.path = path
        self._partial = partial_beside(path)
        self.file: BinaryIO = self._partial.open("wb")

    def keep(self) -> None:
        """Flush the file to disk, then give it its final name."""
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()
        self._partial.replace(self.path)

    def discard(self) -> None:
        """Close and remove the file, unless it was kept."""
        # On a full disk, close() tries once more to write what is left, and fails.
        with suppress(OSError):
            self.file.close()
        self._partial.unlink(missing_ok=True)


@contextmanager
def refusals(path: Path) -> Iterator[None]:
    """Turn an OSError of the file system into an OutputError of one line that names `path`."""
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}") from None
