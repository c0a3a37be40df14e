"""Writes one tile of an array on disk: chunks as they arrive, then the index; last, the file gets its name."""

import os
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ...system.files import partial_name
from .array_folder import ArrayFolder, name_of_tile
from .chunks import CHUNK, CRC_BYTES, RUN, checksum, chunk_sums, pack, run_buffer
from .folder import write_all
from .places import Index

ABSENT: Final = 2**64 - 1
"""Offset and length of a chunk that lies entirely outside the array."""


class TileFile:
    """Writes a tile in a `with` block, and refuses to write into any other array than the one it was given.

    Raises StoreError if the array was removed or replaced, OutputError if the file cannot be written.
    """

    def __init__(self, array: ArrayFolder, place: Index, done: Callable[[], None]) -> None:
        """Write the tile at `place` of `array`; done: called once it is in its place."""
        self._array, self._done = array, done
        self._path, self._name = array.path(place), name_of_tile(place)
        self._above = self._name.rpartition("/")[0]
        self._partial = f"{self._above}/{partial_name(self._path.name)}"
        self._entries = np.full((*array.inner, 2), ABSENT, dtype="<u8")
        self._at = 0

    def put(self, index: Index, image: npt.NDArray[Any], top: int = 0) -> None:
        """Write `image` (h, w), the tile's part of a plane or some rows of it; chunks are padded with zeros."""
        inside = (*(0,) * self._array.apart, *index[self._array.apart :])
        content = CHUNK * CHUNK * self._array.dtype.itemsize
        width = image.shape[1]
        for down in range(0, image.shape[0], CHUNK):
            for left in range(0, width, RUN * CHUNK):
                part = image[down : down + CHUNK, left : left + RUN * CHUNK]
                count = -(-part.shape[1] // CHUNK)
                run = run_buffer()[: count * (content + CRC_BYTES)].reshape(count, -1)
                pack(part, run[:, :content].view(self._array.dtype).reshape(count, CHUNK, CHUNK))
                sums = np.array(chunk_sums(run), dtype="<u4")
                run[:, content:] = sums.view(np.uint8).reshape(count, CRC_BYTES)
                self._write(run.data)
                first = left // CHUNK
                entries = self._entries[(*inside, (top + down) // CHUNK)][first : first + count]
                entries[:, 0], entries[:, 1] = self._at + np.arange(count) * run.shape[1], run.shape[1]
                self._at += run.size

    def __enter__(self) -> "TileFile":
        """Open a new file beside the tile's."""
        try:
            with self._array.held() as folder:
                folder.make(self._above, self._array.durable)
                self._file = folder.create(self._partial)
        except OSError as error:
            raise self._array.refusal(self._path, error) from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish the tile; discard it if there was an error."""
        kept = False
        try:
            if kind is None:
                index = self._entries.tobytes()
                write_all(self._file, index + checksum(index))
                self._keep()
                kept = True
        except OSError as refused:
            raise self._array.refusal(self._path, refused) from None
        finally:
            if not kept:
                with suppress(OSError):  # the earlier error is the one to report
                    self._file.close()
                with suppress(OSError):
                    (self._array.folder / self._partial).unlink(missing_ok=True)

    def _keep(self) -> None:
        """Give the file its name, and make it durable before and after that if the array is to be durable."""
        if self._array.durable:
            os.fsync(self._file.fileno())
        self._file.close()
        # If the array was replaced after `held` looked, there is no such partial file in the new one.
        with self._array.held() as folder:
            folder.replace(self._partial, self._name)
            if self._array.durable:
                folder.sync(self._above)
        self._done()

    def _write(self, data: bytes | memoryview) -> None:
        try:
            write_all(self._file, data)
        except OSError as error:
            raise self._array.refusal(self._path, error) from None
