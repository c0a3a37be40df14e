"""Arrays (..., H, W) on disk in the format Zarr 3, read by region and written by tile with nothing but NumPy.

A *tile* is a Zarr shard: one file, which one task writes once and renames into place when it is complete. It holds
inner chunks of CHUNK × CHUNK pixels of one plane, each followed by its CRC-32C. Their index is at the end, with its
own CRC-32C. So a region can be read without reading whole tiles, and a flipped bit is detected.
Any program that supports Zarr 3 with sharding can open the arrays (zarr-specs: v3, sharding-indexed 1.0).
"""

import errno
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import google_crc32c
import numpy as np
import numpy.typing as npt

from mlsolve_kernels.lookup.cpu import look_up
from mlsolve_kernels.region import Region

from ...errors import OutputError, StoreError, first_line
from ...system.files import partial_beside
from .chunks import CHUNK, CRC_BYTES, RUN, checksum, chunk_sums, pack, run_buffer, unpack
from .places import Index

_ABSENT: Final = 2**64 - 1
"""Offset and length of a chunk that lies entirely outside the array."""

MOST_OPEN: Final = 64
"""Most tiles whose files are kept open for reading."""

_LITTLE: Final = {"name": "bytes", "configuration": {"endian": "little"}}
_CHECKED: Final = {"name": "crc32c"}
REMEDY: Final = "delete the folder of the run and run again"


class ZarrArray:
    """One array in its own folder. Each thread and each process must open it separately."""

    def __init__(
        self, folder: Path, shape: tuple[int, ...], dtype: np.dtype[Any], tile: tuple[int, int], apart: int
    ) -> None:
        """Describe the array in `folder`; see `create`."""
        self.folder, self.shape, self.dtype = folder, shape, dtype
        self._tile, self._apart = tile, apart
        self._shards: dict[Index, tuple[int, npt.NDArray[np.uint64]]] = {}

    @classmethod
    def create(
        cls, folder: Path, shape: tuple[int, ...], dtype: np.dtype[Any], tile: tuple[int, int], apart: int
    ) -> "ZarrArray":
        """Return a new array (..., H, W) without any tiles.

        tile: height and width of a tile, rounded up to multiples of CHUNK. apart: the number of leading axes for
        which each index has its own tiles; a tile holds all indices of the other leading axes.
        """
        array = cls(folder, shape, dtype, (_rounded_up(tile[0]), _rounded_up(tile[1])), apart)
        (folder / "c").mkdir(parents=True)
        (folder / "zarr.json").write_text(array._metadata(), encoding="utf-8")
        return array

    @classmethod
    def open(cls, folder: Path) -> "ZarrArray":
        """Return the array in `folder`. Raises StoreError if there is none, or its description is damaged."""
        path = folder / "zarr.json"
        try:
            text = path.read_text(encoding="utf-8")
            found = json.loads(text)
            shard = found["chunk_grid"]["configuration"]["chunk_shape"]
            apart = found["attributes"]["apart"]
            array = cls(folder, tuple(found["shape"]), np.dtype(found["data_type"]), tuple(shard[-2:]), apart)
            if text != array._metadata():
                raise ValueError("its checksum is wrong")
            return array
        except FileNotFoundError:
            raise StoreError(f"{path} is missing: {REMEDY}") from None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
            raise StoreError(f"{path} is damaged ({first_line(error)}): {REMEDY}") from None

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

    def tile(self, index: Index, region: Region) -> "_ZarrTile":
        """Return a writer for the tile `region`; index: the first `apart` indices of its planes."""
        return _ZarrTile(self, self._place(index, region.top, region.left), region)

    def has_tile(self, index: Index, region: Region) -> bool:
        """Return whether the tile was written and is undamaged."""
        place = self._place(index, region.top, region.left)
        across = self.inner[-1]
        try:
            descriptor, entries = self._shard(place)
            for row in entries.reshape(-1, across, 2):
                present = row[row[:, 0] != _ABSENT]
                for start in range(0, len(present), RUN):
                    self._fetch(place, descriptor, present[start : start + RUN])
        except StoreError:
            return False
        return True

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
        return ZarrArray, (self.folder, self.shape, self.dtype, self._tile, self._apart)

    @property
    def inner(self) -> tuple[int, ...]:
        """Inner chunks of a tile along every axis."""
        return (1,) * self._apart + self.shape[self._apart : -2] + (self._tile[0] // CHUNK, self._tile[1] // CHUNK)

    def path(self, place: Index) -> Path:
        """Return the file of the tile at `place` in the grid of tiles."""
        return self.folder.joinpath("c", *map(str, place))

    def _place(self, index: Index, top: int, left: int) -> Index:
        """Return the place, in the grid of tiles, of pixel (top, left) of a plane."""
        together = len(self.shape) - 2 - self._apart
        return (*index[: self._apart], *(0,) * together, top // self._tile[0], left // self._tile[1])

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
        descriptor, entries = self._shard(place)
        first = across % self.inner[-1]
        row = entries[(*(0,) * self._apart, *index[self._apart :], down % self.inner[-2])]
        return self._fetch(place, descriptor, row[first : first + count])

    def _fetch(self, place: Index, descriptor: int, entries: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint8]:
        """Return inner chunks after checking their checksums, (n, bytes), each followed by its checksum.

        entries: (n, 2), their part of the tile's index.

        They are returned in a buffer that the next call overwrites: allocating memory would cost more than reading.
        """
        content = CHUNK * CHUNK * self.dtype.itemsize
        length = content + CRC_BYTES
        (offset, _), count = entries[0].tolist(), len(entries)
        if (entries[:, 1] != length).any() or (entries[:, 0] == _ABSENT).any():
            raise StoreError(f"{self.path(place)} is damaged (its index is wrong): {REMEDY}")
        behind = entries[:, 0] == entries[0, 0] + np.arange(count, dtype=np.uint64) * np.uint64(length)
        data = run_buffer()[: count * length]
        runs = [(offset, data)] if behind.all() else zip(entries[:, 0].tolist(), np.split(data, count), strict=True)
        try:
            whole = all(_read_into(descriptor, part.data, at) == part.size for at, part in runs)
        except (OSError, OverflowError) as error:
            raise _unreadable(self.path(place), error) from None
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
        try:
            descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        except FileNotFoundError:
            raise StoreError(f"{path} is missing: {REMEDY}") from None
        except OSError as error:
            raise _unreadable(path, error) from None
        try:
            at = os.fstat(descriptor).st_size - size
            data = _read_at(descriptor, size, at) if at >= 0 else b""
            if len(data) != size or checksum(data[:-CRC_BYTES]) != data[-CRC_BYTES:]:
                raise StoreError(f"{path} is damaged (the checksum of its index is wrong): {REMEDY}")
            entries = np.frombuffer(data[:-CRC_BYTES], dtype="<u8").reshape(*self.inner, 2)
        except BaseException as error:
            os.close(descriptor)
            if isinstance(error, OSError):  # for example a folder, which can be opened but not read
                raise _unreadable(path, error) from None
            raise
        if len(self._shards) >= MOST_OPEN:
            self.close()
        self._shards[place] = descriptor, entries
        return descriptor, entries

    def _metadata(self) -> str:
        """Return the text of zarr.json."""
        return _metadata_of(self.shape, self.dtype.name, self._tile, self._apart)


@lru_cache(64)
def _metadata_of(shape: tuple[int, ...], dtype: str, tile: tuple[int, int], apart: int) -> str:
    """Return the text of zarr.json, which includes its own checksum."""
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
        "attributes": {"apart": apart},
    }
    described = json.dumps(description, indent=1)
    description["attributes"] = {"apart": apart, "crc32c": google_crc32c.value(described.encode())}
    return json.dumps(description, indent=1)


class _ZarrTile:
    """Writes one tile: the chunks as they arrive, then the index, and last it renames the file into place."""

    def __init__(self, array: ZarrArray, place: Index, region: Region) -> None:
        self._array, self._place, self._region = array, place, region
        self._path = array.path(place)
        self._partial = partial_beside(self._path)
        self._entries = np.full((*array.inner, 2), _ABSENT, dtype="<u8")
        self._at = 0

    def put(self, index: Index, image: npt.NDArray[Any], top: int = 0) -> None:
        """Write `image` (h, w), the tile's part of a plane or some rows of it; chunks are padded with zeros."""
        inside = (*(0,) * self._array._apart, *index[self._array._apart :])
        content = CHUNK * CHUNK * self._array.dtype.itemsize
        width = image.shape[1]
        for down in range(0, image.shape[0], CHUNK):
            for left in range(0, width, RUN * CHUNK):
                part = image[down : down + CHUNK, left : left + RUN * CHUNK]
                count = -(-part.shape[1] // CHUNK)
                run = run_buffer()[: count * (content + CRC_BYTES)].reshape(count, -1)
                pack(part, self._array._pixels(run))
                sums = np.array(chunk_sums(run), dtype="<u4")
                run[:, content:] = sums.view(np.uint8).reshape(count, CRC_BYTES)
                self._write(run.data)
                first = left // CHUNK
                entries = self._entries[(*inside, (top + down) // CHUNK)][first : first + count]
                entries[:, 0], entries[:, 1] = self._at + np.arange(count) * run.shape[1], run.shape[1]
                self._at += run.size

    def __enter__(self) -> "_ZarrTile":
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._partial.open("wb", buffering=0)
        except OSError as error:
            raise unwritable(self._path, error) from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                index = self._entries.tobytes()
                self._write(index + checksum(index))
                self._file.close()
                self._partial.replace(self._path)
                self._array.forget(self._place)
        except OutputError:
            raise
        except OSError as refused:
            raise unwritable(self._path, refused) from None
        finally:
            with suppress(OSError):  # the earlier error is the one to report
                self._file.close()
            with suppress(OSError):
                self._partial.unlink(missing_ok=True)

    def _write(self, data: bytes | memoryview) -> None:
        try:
            written = self._file.write(data)
        except OSError as error:
            raise unwritable(self._path, error) from None
        if written != memoryview(data).nbytes:  # the disk is full
            raise unwritable(self._path, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))


def unwritable(path: Path, error: OSError) -> OutputError:
    """Return the error that says that `path` cannot be written, and what to do."""
    full = error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
    remedy = "free some space" if full else "allow writing to it, or choose another --out"
    return OutputError(f"{path} cannot be written: {first_line(error)}: {remedy}")


def _unreadable(path: Path, error: Exception) -> StoreError:
    return StoreError(f"{path} cannot be read ({first_line(error)}): allow reading it, or {REMEDY}")


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
