"""A store in a folder: arrays in the format Zarr 3 and documents in JSON, all with checksums."""

import ctypes
import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import google_crc32c
import numpy as np
import numpy.typing as npt

from ...errors import OutputError, StoreError, first_line
from ...system.files import Partial
from .zarr import REMEDY, ZarrArray, unwritable

_SUFFIX: Final = ".json"


class DiskStore:
    """Arrays and documents in the folder `path`. Any number of processes may use it at the same time.

    Errors of the file system are raised as OutputError; missing or damaged files as StoreError.
    """

    def __init__(self, path: Path) -> None:
        """Use the folder `path`, which need not exist yet."""
        self.path = path

    def create(
        self, name: str, shape: tuple[int, ...], dtype: npt.DTypeLike, tile: tuple[int, int], apart: int = 0
    ) -> ZarrArray:
        """Return a new array; an existing one of this name is deleted."""
        self.remove(name)
        with self._guarded():
            return ZarrArray.create(self.path / name, shape, np.dtype(dtype), tile, apart)

    def open(self, name: str) -> ZarrArray:
        """Return an existing array. Raises StoreError if it is missing or damaged."""
        return ZarrArray.open(self.path / name)

    def remove(self, name: str) -> None:
        """Remove the array or document `name` and everything below it."""
        with self._guarded():
            if (self.path / name).is_dir():
                shutil.rmtree(self.path / name)
            (self.path / (name + _SUFFIX)).unlink(missing_ok=True)

    def save(self, name: str, document: dict[str, Any]) -> None:
        """Write a document of plain values, atomically and durably, unless it is there already."""
        body = json.dumps(document, ensure_ascii=False)
        text = json.dumps({"crc32c": google_crc32c.value(body.encode()), "document": body})
        path = self.path / (name + _SUFFIX)
        with suppress(OSError):
            if path.read_bytes() == text.encode():
                return
        with self._guarded():
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = Partial(path)
            try:
                partial.file.write(text.encode())
                partial.keep()
            finally:
                partial.discard()
            _sync_folder(path.parent)

    def load(self, name: str) -> dict[str, Any]:
        """Return a document. Raises StoreError if it is missing or damaged."""
        path = self.path / (name + _SUFFIX)
        try:
            found = json.loads(path.read_bytes())
            body = found["document"].encode()
            if google_crc32c.value(body) != found["crc32c"]:
                raise ValueError("its checksum is wrong")
            document: dict[str, Any] = json.loads(body)
            return document
        except FileNotFoundError:
            raise StoreError(f"{path} is missing: {REMEDY}") from None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise StoreError(f"{path} is damaged ({first_line(error)}): {REMEDY}") from None

    def has(self, name: str) -> bool:
        """Return whether there is a document `name`."""
        return (self.path / (name + _SUFFIX)).is_file()

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

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Turn errors of the file system into OutputError, whose message is one line."""
        try:
            yield
        except OutputError:
            raise
        except OSError as error:
            raise unwritable(self.path, error) from None


def _sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable. Windows offers no call for this and needs none."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
