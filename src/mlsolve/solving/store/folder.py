"""A folder that is held open: what is done in it happens there, whatever becomes of its name meanwhile.

A process may be stopped for minutes between two calls. If it used paths, it could go on in a folder that has taken
the name of the one it began with. Names relative to an open folder cannot lead there.
"""

import errno
import os
from contextlib import suppress
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Final

RELATIVE: Final = {os.open, os.mkdir, os.rename, os.unlink} <= os.supports_dir_fd
"""Whether the system knows names relative to an open folder. Windows does not, and uses paths."""

_BINARY: Final = getattr(os, "O_BINARY", 0)

_UNABLE: Final = (errno.EINVAL, getattr(errno, "ENOTSUP", errno.EINVAL))
"""Errors of file systems that offer no call to make the names in a folder durable, such as SMB."""


class Folder:
    """The folder `path`, to be used in a `with` block. OSError from the file system is passed on.

    Names are relative to it, with "/" between their parts; "" is the folder itself.
    """

    def __init__(self, path: Path) -> None:
        """Open the folder. Raises FileNotFoundError if there is none, at the latest when it is used."""
        self.path = path
        self._descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY) if RELATIVE else None

    def __enter__(self) -> "Folder":
        """Return it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        if self._descriptor is not None:
            os.close(self._descriptor)

    def make(self, name: str, durable: bool = False) -> None:
        """Make the folder `name` and those on the way to it, unless they are there.

        durable: return once their names would survive a power cut, also those that another process made.
        """
        self._make(name)
        if durable:
            parts = name.split("/")
            for depth in range(len(parts)):
                self.sync("/".join(parts[:depth]))

    def make_new(self, name: str) -> None:
        """Make the folder `name`. Raises FileExistsError if it is there."""
        os.mkdir(self._at(name), dir_fd=self._descriptor)

    def create(self, name: str) -> FileIO:
        """Return a new file, unbuffered. Raises FileExistsError if it is there."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY
        return FileIO(os.open(self._at(name), flags, 0o666, dir_fd=self._descriptor), "w")

    def open(self, name: str) -> int:
        """Return the descriptor of a file to read."""
        return os.open(self._at(name), os.O_RDONLY | _BINARY, dir_fd=self._descriptor)

    def read(self, name: str) -> bytes:
        """Return the content of a file."""
        try:
            return self._read(name)
        except OSError as error:
            if error.errno != errno.ESTALE:
                raise
        return self._read(name)  # another host has replaced it while it was open

    def replace(self, partial: str, name: str) -> None:
        """Give the file `partial` the name `name`, in place of a file that may have it."""
        os.replace(self._at(partial), self._at(name), src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)

    def discard(self, name: str) -> None:
        """Remove the file `name` if it can be removed."""
        with suppress(OSError):
            os.unlink(self._at(name), dir_fd=self._descriptor)

    def sync(self, name: str = "") -> None:
        """Make the names in the folder `name` durable. Windows offers no call for this and needs none."""
        if os.name != "posix":
            return
        descriptor = os.open(self._at(name), os.O_RDONLY, dir_fd=self._descriptor)
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno not in _UNABLE:
                raise
        finally:
            os.close(descriptor)

    def _read(self, name: str) -> bytes:
        with FileIO(self.open(name)) as file:
            return file.readall()

    def _make(self, name: str) -> None:
        above = name.rpartition("/")[0]
        try:
            self.make_new(name)
        except FileExistsError:
            return
        except FileNotFoundError:
            if not above:  # the folder itself has been removed
                raise
            self._make(above)
            self._make(name)

    def _at(self, name: str) -> str:
        """Return what the system is told: a relative name, or a path where it only knows paths."""
        return str(self.path / name) if self._descriptor is None else name or "."


def write_all(file: FileIO, data: bytes | memoryview) -> None:
    """Write all of `data`; raise OSError if the disk takes only a part of it."""
    if file.write(data) != memoryview(data).nbytes:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
