"""A store in a folder: arrays in the format Zarr 3 and documents in JSON, all with checksums."""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import OutputError
from ...system.files import remove_folder
from . import documents
from .folder import Folder
from .refusals import damaged, missing, replaced, unwritable
from .zarr import ZarrArray


class DiskStore:
    """Arrays and documents in the folder `path`. Any number of processes and hosts may use it at the same time.

    Errors of the file system are raised as OutputError; missing or damaged files as StoreError. A process that is
    stopped and goes on later does no harm: whatever it still writes stays with the array that it had opened.
    """

    def __init__(self, path: Path, durable: bool = False) -> None:
        """Use the folder `path`, which is made if need be when something is first written.

        After that, it is not made again, nor by copies in other processes: a run that is gone stays gone.
        durable: whether every tile would survive a power cut as soon as it is written; otherwise, after `flush`.
        """
        self.path, self.durable = path, durable
        self._made = False
        self._left: list[Path] = []

    def __getstate__(self) -> dict[str, Any]:
        """Return what is sent to other processes."""
        return {**self.__dict__, "_made": True, "_left": []}

    def create(
        self, name: str, shape: tuple[int, ...], dtype: npt.DTypeLike, tile: tuple[int, int], apart: int = 0
    ) -> ZarrArray:
        """Return a new array; an existing one of this name is deleted."""
        self.remove(name)
        with self._guarded(), self._root() as root:
            return ZarrArray.create(root, name, shape, np.dtype(dtype), tile, apart, self.durable)

    def open(self, name: str, identity: str | None = None) -> ZarrArray:
        """Return an existing array. Raises StoreError if it is missing or damaged, or has another identity."""
        array = ZarrArray.open(self.path / name, self.durable)
        if identity not in (None, array.identity):
            raise replaced(array.folder)
        return array

    def remove(self, name: str) -> None:
        """Remove the array or document `name` and everything below it, even while others read and write there.

        The name is free at once. Files that are in use may keep their space until a later call.
        """
        with self._guarded():
            self._left = [one for one in self._left if remove_folder(one, 1) is not None]
            if (self.path / name).is_dir() and (left := remove_folder(self.path / name)) is not None:
                self._left.append(left)
            (self.path / (name + documents.SUFFIX)).unlink(missing_ok=True)

    def save(self, name: str, document: dict[str, Any]) -> None:
        """Write a document of plain values, atomically and durably, unless it is there already."""
        with self._guarded(), self._root() as root:
            documents.save(root, name, document, self.durable)

    def load(self, name: str) -> dict[str, Any]:
        """Return a document. Raises StoreError if it is missing or damaged."""
        path = self.path / (name + documents.SUFFIX)
        try:
            with Folder(self.path) as root:
                return documents.load(root, name)
        except FileNotFoundError:
            raise missing(path) from None
        except OSError as error:
            raise damaged(path, error) from None

    def has(self, name: str) -> bool:
        """Return whether there is a document `name`."""
        return (self.path / (name + documents.SUFFIX)).is_file()

    def flush(self) -> None:
        """Return once everything written so far would survive a power cut."""
        with self._guarded():
            if sys.platform == "linux":
                folder = os.open(self.path, os.O_RDONLY)
                try:
                    if ctypes.CDLL(None, use_errno=True).syncfs(folder) != 0:
                        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
                finally:
                    os.close(folder)
            elif hasattr(os, "sync"):
                os.sync()

    def _root(self) -> Folder:
        """Return the folder of the store, to be used in a `with` block."""
        if not self._made:
            self.path.mkdir(parents=True, exist_ok=True)
            if self.durable:
                with Folder(self.path.parent) as above:
                    above.sync()
            self._made = True
        return Folder(self.path)

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Turn errors of the file system into OutputError, whose message is one line."""
        try:
            yield
        except OutputError:
            raise
        except OSError as error:
            raise unwritable(self.path, error) from None
