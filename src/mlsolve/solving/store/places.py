"""A store as tasks see it."""

from types import TracebackType
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from mlsolve_kernels.region import Region

Index = tuple[int, ...]


class TileWriter(Protocol):
    """Takes one tile of an array, image by image; in a `with` block, at whose end it is there as a whole."""

    def put(self, index: Index, image: npt.NDArray[Any], top: int = 0) -> None:
        """Take `image` (h, w), the tile's part of the plane `index` of the array, or rows of it.

        top: the first of them, a multiple of the store's inner chunks.
        """

    def __enter__(self) -> "TileWriter":
        """Begin."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish the tile; leave nothing of it if there was an error."""


class Array(Protocol):
    """An array (..., H, W) that is read by region and written by tile."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def read(
        self, index: Index, region: Region, out: npt.NDArray[Any], table: npt.NDArray[Any] | None = None
    ) -> npt.NDArray[Any]:
        """Put `region` of the plane `index` into `out` (h, w) and return it; table: what each value means."""

    def tile(self, index: Index, region: Region) -> TileWriter:
        """Return what takes the tile `region` of the planes that begin with `index`."""

    def has_tile(self, index: Index, region: Region) -> bool:
        """Tell whether that tile is there, whole and undamaged."""

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
        """Return a new array; what was there goes. tile: its height and width. apart: of how many of the leading
        axes each index makes tiles of its own."""

    def open(self, name: str) -> Array:
        """Return an array that is there; raises StoreError if it is not, or damaged."""

    def remove(self, name: str) -> None:
        """Remove an array, or all below `name`."""

    def save(self, name: str, document: dict[str, Any]) -> None:
        """Put a document of plain values, whole or not at all."""

    def load(self, name: str) -> dict[str, Any]:
        """Return a document; raises StoreError if it is not there, or damaged."""

    def has(self, name: str) -> bool:
        """Tell whether there is a document `name`."""

    def flush(self) -> None:
        """Return when all that was written would survive a power cut."""
