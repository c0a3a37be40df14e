"""A store in memory, for pictures that fit."""

import secrets
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from mlsolve_kernels.region import Region

from ...errors import StoreError
from .places import Index


class MemoryArray:
    """An array in memory."""

    def __init__(self, data: npt.NDArray[Any]) -> None:
        """`data`: (..., H, W)."""
        self.data = data
        self.shape, self.dtype = data.shape, data.dtype
        self.identity = secrets.token_hex(12)
        self._documents: dict[str, dict[str, Any]] = {}

    def read(
        self, index: Index, region: Region, out: npt.NDArray[Any], table: npt.NDArray[Any] | None = None
    ) -> npt.NDArray[Any]:
        """Read `region` of the plane `index` into `out` (h, w) and return it; table: maps values to results."""
        part = self._part(index, region)
        if table is None:
            out[...] = part
        else:
            for line, values in zip(out, part, strict=True):  # row by row: take() copies its indices to int64
                np.take(table, values, out=line, mode="clip")
        return out

    def has_tile(self, index: Index, region: Region) -> bool:
        """Return False: memory does not record which tiles were written, so they are computed again."""
        return False

    def save(self, name: str, document: dict[str, Any]) -> None:
        """Keep a document about the array."""
        self._documents[name] = document

    def load(self, name: str) -> dict[str, Any]:
        """Return a document about the array. Raises StoreError if it is missing."""
        if name not in self._documents:
            raise StoreError(f"there is no {name} in memory")
        return self._documents[name]

    def close(self) -> None:
        """Do nothing: there are no files to close."""

    def tile(self, index: Index, region: Region) -> "_MemoryTile":
        """Return a writer for the tile `region`."""
        return _MemoryTile(self, region)

    def _part(self, index: Index, region: Region) -> npt.NDArray[Any]:
        plane: npt.NDArray[Any] = self.data[index]
        return plane[region.top : region.bottom, region.left : region.right]


class _MemoryTile:
    def __init__(self, array: MemoryArray, region: Region) -> None:
        self._array, self._region = array, region

    def put(self, index: Index, image: npt.NDArray[Any], top: int = 0) -> None:
        self._array._part(index, self._region)[top : top + len(image)] = image

    def __enter__(self) -> "_MemoryTile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


class MemoryStore:
    """Arrays and documents in dictionaries."""

    def __init__(self) -> None:
        """Start empty."""
        self._arrays: dict[str, MemoryArray] = {}
        self._documents: dict[str, dict[str, Any]] = {}

    def create(
        self, name: str, shape: tuple[int, ...], dtype: npt.DTypeLike, tile: tuple[int, int], apart: int = 0
    ) -> MemoryArray:
        """Return a new array of zeros."""
        self._arrays[name] = array = MemoryArray(np.zeros(shape, dtype=dtype))
        return array

    def share(self, name: str, array: MemoryArray) -> None:
        """Hold an array of another store as `name`, without a copy."""
        self._arrays[name] = array

    def open(self, name: str, identity: str | None = None) -> MemoryArray:
        """Return an existing array. Raises StoreError if it is missing or has another identity."""
        if name not in self._arrays or identity not in (None, self._arrays[name].identity):
            raise StoreError(f"there is no {name} in memory")
        return self._arrays[name]

    def remove(self, name: str) -> None:
        """Remove the array or document `name` and everything below it."""
        for held in (self._arrays, self._documents):
            for key in [key for key in held if key == name or key.startswith(f"{name}/")]:
                del held[key]

    def save(self, name: str, document: dict[str, Any]) -> None:
        """Keep a document."""
        self._documents[name] = document

    def load(self, name: str) -> dict[str, Any]:
        """Return a document. Raises StoreError if it is missing."""
        if name not in self._documents:
            raise StoreError(f"there is no {name} in memory")
        return self._documents[name]

    def has(self, name: str) -> bool:
        """Return whether there is a document `name`."""
        return name in self._documents

    def flush(self) -> None:
        """Do nothing: memory does not survive a power cut."""
