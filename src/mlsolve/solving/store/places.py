"""The interface of a store, its arrays and their tiles."""

from types import TracebackType
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from mlsolve_kernels.region import Region

Index = tuple[int, ...]


class TileWriter(Protocol):
    """Writes one tile of an array, image by image, in a `with` block. At its end the whole tile appears at once."""

    def put(self, index: Index, image: npt.NDArray[Any], top: int = 0) -> None:
        """Write `image` (h, w), the tile's part of the plane `index` of the array, or some rows of it.

        top: the first of these rows, a multiple of the side of the store's inner chunks.
        """

    def __enter__(self) -> "TileWriter":
        """Begin."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish the tile; discard it if there was an error."""


class Array(Protocol):
    """An array (..., H, W) that is read by region and written by tile."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    identity: str
    """Random; no other array has it, not even one that takes its name later."""

    def read(
        self, index: Index, region: Region, out: npt.NDArray[Any], table: npt.NDArray[Any] | None = None
    ) -> npt.NDArray[Any]:
        """Read `region` of the plane `index` into `out` (h, w) and return it.

        table: maps the stored values to results; None: the stored values.
        """

    def tile(self, index: Index, region: Region) -> TileWriter:
        """Return a writer for the tile `region` of the planes whose indices begin with `index`.

        It may be written more than once, also at the same time, with the same values. Raises StoreError if the
        array was removed or replaced meanwhile.
        """

    def has_tile(self, index: Index, region: Region) -> bool:
        """Return whether that tile was written and is undamaged."""

    def save(self, name: str, document: dict[str, Any]) -> None:
        """Write a document about the array, atomically; it is removed with it.

        Raises StoreError if the array was removed or replaced meanwhile.
        """

    def load(self, name: str) -> dict[str, Any]:
        """Return a document about the array. Raises StoreError if it is missing or damaged."""

    def close(self) -> None:
        """Close the files that reading opened."""


class Store(Protocol):
    """Holds arrays and documents under names like paths."""

    def create(
        self,
        name: str,
        shape: tuple[int, ...],
        dtype: npt.DTypeLike,
        tile: tuple[int, int],
        apart: int = 0,
    ) -> Array:
        """Return a new array; an existing one of this name is deleted.

        tile: height and width of a tile. apart: the number of leading axes for which each index has its own tiles.
        """

    def open(self, name: str, identity: str | None = None) -> Array:
        """Return an existing array. Raises StoreError if it is missing or damaged, or has another identity.

        identity: None: any.
        """

    def remove(self, name: str) -> None:
        """Remove the array or document `name` and everything below it."""

    def save(self, name: str, document: dict[str, Any]) -> None:
        """Write a document of plain values, atomically."""

    def load(self, name: str) -> dict[str, Any]:
        """Return a document. Raises StoreError if it is missing or damaged."""

    def has(self, name: str) -> bool:
        """Return whether there is a document `name`."""

    def flush(self) -> None:
        """Return once everything written so far would survive a power cut."""
