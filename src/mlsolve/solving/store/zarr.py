"""Arrays (..., H, W) on disk in the format Zarr 3, read by region and written by tile with nothing but NumPy.

A *tile* is a Zarr shard: one file, which one task writes once and renames into place when it is complete. It holds
inner chunks of CHUNK × CHUNK pixels of one plane, each followed by its CRC-32C. Their index is at the end, with its
own CRC-32C. So a region can be read without reading whole tiles, and a flipped bit is detected.
Any program that supports Zarr 3 with sharding can open the arrays (zarr-specs: v3, sharding-indexed 1.0).

Every array has an identity of its own. Whoever opened one array never reads or writes another that has taken its
name since, however long it was stopped in between.
"""

import errno
import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mlsolve_kernels.lookup.cpu import look_up
from mlsolve_kernels.region import Region

from ...errors import StoreError
from . import documents
from .array_folder import DESCRIPTION, ArrayFolder, name_of_tile
from .chunks import CHUNK, CRC_BYTES, RUN, checksum, chunk_sums, run_buffer, unpack
from .folder import Folder, write_all
from .places import Index
from .refusals import REMEDY, damaged, missing, unreadable
from .tile_file import ABSENT, TileFile

MOST_OPEN: Final = 64
"""Most tiles whose files are kept open for reading."""


@dataclass(eq=False)
class ZarrArray(ArrayFolder):
    """One array in its own folder. Each thread and each process must open it separately."""

    _shards: dict[Index, tuple[int, npt.NDArray[np.uint64]]] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def create(
        cls,
        root: Folder,
        name: str,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        tile: tuple[int, int],
        apart: int,
        durable: bool = False,
    ) -> "ZarrArray":
        """Return a new array (..., H, W) without any tiles, in the new folder `name` of `root`.

        tile: height and width of a tile, rounded up to multiples of CHUNK. apart: the number of leading axes for
        which each index has its own tiles; a tile holds all indices of the other leading axes. durable: whether the
        array, and every tile once it is written, would survive a power cut. OSError is passed on.
        """
        sides = _rounded_up(tile[0]), _rounded_up(tile[1])
        array = cls(root.path / name, shape, dtype, sides, apart, secrets.token_hex(12), durable)
        if above := name.rpartition("/")[0]:
            root.make(above, durable)
        root.make_new(name)
        root.make_new(f"{name}/c")
        with root.create(f"{name}/{DESCRIPTION}") as file:
            write_all(file, array.description())
            if durable:
                os.fsync(file.fileno())
        if durable:
            root.sync(above)
            root.sync(name)
        return array

    @classmethod
    def open(cls, folder: Path, durable: bool = False) -> "ZarrArray":
        """Return the array in `folder`. Raises StoreError if there is none, or its description is damaged."""
        path = folder / DESCRIPTION
        try:
            with Folder(folder) as opened:
                text = opened.read(DESCRIPTION)
            found = json.loads(text)
            shard = found["chunk_grid"]["configuration"]["chunk_shape"]
            apart, identity = found["attributes"]["apart"], found["attributes"]["identity"]
            dtype, sides = np.dtype(found["data_type"]), tuple(shard[-2:])
            array = cls(folder, tuple(found["shape"]), dtype, sides, apart, identity, durable)
            if text != array.description():
                raise ValueError("its checksum is wrong")
            return array
        except FileNotFoundError:
            raise missing(path) from None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
            raise damaged(path, error) from None

    def read(
        self, index: Index, region: Region, out: npt.NDArray[Any], table: npt.NDArray[Any] | None = None
    ) -> npt.NDArray[Any]:
        """Read `region` of the plane `index` into `out` (h, w) and return it.

        table: maps the stored values, which must be uint16, to results; `out` must then be contiguous float32.
        Raises StoreError if a tile is missing or damaged.
        """
        pieces = _pieces(region.left, region.right)
        for down, top, bottom in _pieces(region.top, region.bottom):
            first, last = top - region.top, bottom - region.top
            for run in self._runs(pieces):
                data = self._chunks(index, down, run[0][0], len(run))
                row, column = top - down * CHUNK, run[0][1] - run[0][0] * CHUNK
                left, right = run[0][1] - region.left, run[-1][2] - region.left
                if table is None:
                    chunks = self._pixels(data)[:, row : row + last - first]
                    unpack(chunks, column, out[first:last, left:right])
                else:
                    codes = data.view(np.uint16)
                    look_up(table, codes, CHUNK, row, column, out, first, last, left, right)
        return out

    def tile(self, index: Index, region: Region) -> TileFile:
        """Return a writer for the tile `region`; index: the first `apart` indices of its planes."""
        place = self._place(index, region.top, region.left)
        return TileFile(self, place, lambda: self.forget(place))

    def has_tile(self, index: Index, region: Region) -> bool:
        """Return whether the tile was written and is undamaged."""
        place = self._place(index, region.top, region.left)
        across = self.inner[-1]
        try:
            descriptor, entries = self._shard(place)
            for row in entries.reshape(-1, across, 2):
                present = row[row[:, 0] != ABSENT]
                for start in range(0, len(present), RUN):
                    self._fetch(place, descriptor, present[start : start + RUN])
        except StoreError:
            return False
        return True

    def save(self, name: str, document: dict[str, Any]) -> None:
        """Write a document about the array, atomically and durably; it is removed with the array.

        Raises StoreError if the array was removed or replaced, OutputError if the document cannot be written.
        """
        try:
            with self.held() as folder:
                documents.save(folder, name, document, self.durable)
        except OSError as error:
            raise self.refusal(self.folder / name, error) from None

    def load(self, name: str) -> dict[str, Any]:
        """Return a document about the array. Raises StoreError if it is missing or damaged."""
        try:
            with self.held() as folder:
                return documents.load(folder, name)
        except FileNotFoundError:
            raise missing(self.folder / (name + documents.SUFFIX)) from None
        except OSError as error:
            raise unreadable(self.folder / (name + documents.SUFFIX), error) from None

    def forget(self, place: Index) -> None:
        """Close the file of a tile, because a new one has replaced it."""
        if place in self._shards:
            os.close(self._shards.pop(place)[0])

    def close(self) -> None:
        """Close the files that were opened for reading."""
        for descriptor, _ in self._shards.values():
            os.close(descriptor)
        self._shards.clear()

    def __del__(self) -> None:
        """Close any files that are still open."""
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy, or send to another process, everything but the open files: descriptors are not valid there."""
        described = (self.folder, self.shape, self.dtype, self.sides, self.apart, self.identity, self.durable)
        return ZarrArray, described

    def _place(self, index: Index, top: int, left: int) -> Index:
        """Return the place, in the grid of tiles, of pixel (top, left) of a plane."""
        together = len(self.shape) - 2 - self.apart
        return (*index[: self.apart], *(0,) * together, top // self.sides[0], left // self.sides[1])

    def _runs(self, pieces: list[tuple[int, int, int]]) -> Iterator[list[tuple[int, int, int]]]:
        """Divide the pieces of columns that `_pieces` returned into runs of at most RUN chunks within one tile."""
        across, run = self.inner[-1], 0
        for number in range(1, len(pieces) + 1):
            if number == len(pieces) or pieces[number][0] % across == 0 or number - run == RUN:
                yield pieces[run:number]
                run = number

    def _chunks(self, index: Index, down: int, across: int, count: int) -> npt.NDArray[np.uint8]:
        """Return `count` horizontally adjacent inner chunks of one tile, as `_fetch` does."""
        place = self._place(index, down * CHUNK, across * CHUNK)
        first = across % self.inner[-1]
        row = (*(0,) * self.apart, *index[self.apart :], down % self.inner[-2])
        try:
            descriptor, entries = self._shard(place)
            return self._fetch(place, descriptor, entries[row][first : first + count])
        except _StaleError:  # another host has written the same tile again
            self.forget(place)
            descriptor, entries = self._shard(place)
            return self._fetch(place, descriptor, entries[row][first : first + count])

    def _fetch(self, place: Index, descriptor: int, entries: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint8]:
        """Return inner chunks after checking their checksums, (n, bytes), each followed by its checksum.

        entries: (n, 2), their part of the tile's index.

        They are returned in a buffer that the next call overwrites: allocating memory would cost more than reading.
        """
        content = CHUNK * CHUNK * self.dtype.itemsize
        length = content + CRC_BYTES
        (offset, _), count = entries[0].tolist(), len(entries)
        if (entries[:, 1] != length).any() or (entries[:, 0] == ABSENT).any():
            raise StoreError(f"{self.path(place)} is damaged (its index is wrong): {REMEDY}")
        behind = entries[:, 0] == entries[0, 0] + np.arange(count, dtype=np.uint64) * np.uint64(length)
        data = run_buffer()[: count * length]
        runs = [(offset, data)] if behind.all() else zip(entries[:, 0].tolist(), np.split(data, count), strict=True)
        try:
            whole = all(_read_into(descriptor, part.data, at) == part.size for at, part in runs)
        except (OSError, OverflowError) as error:
            refused = unreadable(self.path(place), error)
            stale = isinstance(error, OSError) and error.errno == errno.ESTALE
            raise (_StaleError(refused) if stale else refused) from None
        chunks = data.reshape(count, length)
        expected = chunks[:, content:].copy().view("<u4")[:, 0].tolist()
        if not whole or chunk_sums(chunks) != expected:
            raise StoreError(f"{self.path(place)} is damaged (a checksum is wrong): {REMEDY}")
        return chunks

    def _pixels(self, run: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
        """Return the pixels in a run of inner chunks with their checksums, a view (n, CHUNK, CHUNK)."""
        return run[:, :-CRC_BYTES].view(self.dtype).reshape(len(run), CHUNK, CHUNK)

    def _shard(self, place: Index) -> tuple[int, npt.NDArray[np.uint64]]:
        """Return the open file of a tile and its index, (*inner, 2): the offset and length of every inner chunk."""
        known = self._shards.get(place)
        if known is not None:
            return known
        path = self.path(place)
        size = 16 * int(np.prod(self.inner)) + CRC_BYTES
        descriptor = self._opened(place)
        try:
            at = os.fstat(descriptor).st_size - size
            data = _read_at(descriptor, size, at) if at >= 0 else b""
            if len(data) != size or checksum(data[:-CRC_BYTES]) != data[-CRC_BYTES:]:
                raise StoreError(f"{path} is damaged (the checksum of its index is wrong): {REMEDY}")
            entries = np.frombuffer(data[:-CRC_BYTES], dtype="<u8").reshape(*self.inner, 2)
        except BaseException as error:
            os.close(descriptor)
            if isinstance(error, OSError):  # for example a folder, which can be opened but not read
                raise unreadable(path, error) from None
            raise
        if len(self._shards) >= MOST_OPEN:
            self.close()
        self._shards[place] = descriptor, entries
        return descriptor, entries

    def _opened(self, place: Index) -> int:
        """Return the descriptor of the file of a tile, which is one of this array."""
        path = self.path(place)
        try:
            with self.held() as folder:
                descriptor = folder.open(name_of_tile(place))
                try:
                    self.check(folder)  # again, for systems where the folder is not held but looked up by its path
                except BaseException:
                    os.close(descriptor)
                    raise
                return descriptor
        except FileNotFoundError:
            raise missing(path) from None
        except OSError as error:
            raise unreadable(path, error) from None


class _StaleError(StoreError):
    """The file of a tile was replaced while it was open: a network file system has lost it."""


def _read_at(descriptor: int, length: int, offset: int) -> bytes:
    """Return `length` bytes from `offset` on; fewer at the end of the file."""
    if hasattr(os, "pread"):
        return os.pread(descriptor, length, offset)
    os.lseek(descriptor, offset, os.SEEK_SET)
    return os.read(descriptor, length)


def _read_into(descriptor: int, buffer: memoryview, offset: int) -> int:
    """Read bytes from `offset` on into `buffer`; return their number."""
    if hasattr(os, "preadv"):
        return os.preadv(descriptor, [buffer], offset)
    data = _read_at(descriptor, len(buffer), offset)
    buffer[: len(data)] = data
    return len(data)


def _rounded_up(side: int) -> int:
    return -(-side // CHUNK) * CHUNK


def _pieces(start: int, stop: int) -> list[tuple[int, int, int]]:
    """Return (chunk, first, last + 1) for every chunk that overlaps start … stop - 1."""
    chunks = range(start // CHUNK, -(-stop // CHUNK))
    return [(chunk, max(start, chunk * CHUNK), min(stop, (chunk + 1) * CHUNK)) for chunk in chunks]
