"""The folder of an array on disk: its description, its identity, and the check that it still is this array."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import google_crc32c
import numpy as np

from ...errors import OutputError, StoreError
from .chunks import CHUNK
from .folder import Folder
from .places import Index
from .refusals import GONE, replaced, unwritable

DESCRIPTION: Final = "zarr.json"
"""The file that describes an array."""

_LITTLE: Final = {"name": "bytes", "configuration": {"endian": "little"}}
_CHECKED: Final = {"name": "crc32c"}


@dataclass(eq=False)
class ArrayFolder:
    """What is known of an array (..., H, W) on disk, and how to reach its folder."""

    folder: Path
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    sides: tuple[int, int]
    """Height and width of a tile, multiples of CHUNK."""
    apart: int
    """The number of leading axes for which each index has its own tiles."""
    identity: str
    """See `Array`."""
    durable: bool = False
    """Whether what is written would survive a power cut at once."""

    @property
    def inner(self) -> tuple[int, ...]:
        """Inner chunks of a tile along every axis."""
        return (1,) * self.apart + self.shape[self.apart : -2] + (self.sides[0] // CHUNK, self.sides[1] // CHUNK)

    def path(self, place: Index) -> Path:
        """Return the file of the tile at `place` in the grid of tiles."""
        return self.folder / name_of_tile(place)

    @contextmanager
    def held(self) -> Iterator[Folder]:
        """Hold the folder of this array open, in a `with` block; what is done in it is done to this array.

        Raises StoreError if the array was removed or replaced.
        """
        try:
            folder = Folder(self.folder)
        except OSError as error:
            if error.errno in GONE:
                raise replaced(self.folder) from None
            raise
        with folder:
            self.check(folder)
            yield folder

    def check(self, folder: Folder) -> None:
        """Raise StoreError unless `folder` holds this array. OSError is passed on."""
        try:
            found = folder.read(DESCRIPTION)
        except OSError as error:
            if error.errno in GONE:
                raise replaced(self.folder) from None
            raise
        if found != self.description():
            raise replaced(self.folder)

    def refusal(self, path: Path, error: OSError) -> StoreError | OutputError:
        """Return the error for `path` in the array that could not be written, or is not there any more."""
        return replaced(self.folder) if error.errno in GONE else unwritable(path, error)

    def description(self) -> bytes:
        """Return the content of zarr.json."""
        return _described(self.shape, self.dtype.name, self.sides, self.apart, self.identity)


@lru_cache(64)
def _described(shape: tuple[int, ...], dtype: str, tile: tuple[int, int], apart: int, identity: str) -> bytes:
    """Return the content of zarr.json, which includes its own checksum."""
    leading = (1,) * (len(shape) - 2)
    shard = (1,) * apart + shape[apart:-2] + tile
    sharding = {
        "chunk_shape": [*leading, CHUNK, CHUNK],
        "codecs": [_LITTLE, _CHECKED],
        "index_codecs": [_LITTLE, _CHECKED],
        "index_location": "end",
    }
    description = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(shape),
        "data_type": dtype,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(shard)}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": 0,
        "codecs": [{"name": "sharding_indexed", "configuration": sharding}],
        "attributes": {"apart": apart, "identity": identity},
    }
    described = json.dumps(description, indent=1)
    crc = google_crc32c.value(described.encode())
    description["attributes"] = {"apart": apart, "identity": identity, "crc32c": crc}
    return json.dumps(description, indent=1).encode()


def name_of_tile(place: Index) -> str:
    """Return the name of the file of the tile at `place`, in the folder of its array."""
    return "/".join(("c", *map(str, place)))
