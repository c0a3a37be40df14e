"""Inner chunks in memory: packed into runs for the file, unpacked again, and their checksums."""

import threading
from typing import Any, Final

import google_crc32c
import numpy as np
import numpy.typing as npt

CHUNK: Final = 128
"""Side of an inner chunk. At the border of a region, up to CHUNK - 1 rows or columns are read in vain."""

CRC_BYTES: Final = 4
"""Bytes of the CRC-32C that follows every inner chunk."""

RUN: Final = 8
"""Most inner chunks that are read or written at once, if they are contiguous in the file."""

RUN_BYTES: Final = RUN * (CHUNK * CHUNK * 4 + CRC_BYTES)
"""Bytes of memory for such a run, in every thread that reads or writes."""

_COMPILED: Final = google_crc32c.implementation == "c"

_here = threading.local()


def run_buffer() -> npt.NDArray[np.uint8]:
    """Return this thread's buffer of RUN_BYTES bytes for a run of chunks."""
    if not hasattr(_here, "run"):
        _here.run = np.empty(RUN_BYTES, dtype=np.uint8)
    found: npt.NDArray[np.uint8] = _here.run
    return found


def pack(part: npt.NDArray[Any], chunks: npt.NDArray[Any]) -> None:
    """Copy `part` (h, w), at most CHUNK rows, into `chunks` (n, CHUNK, CHUNK), padded with zeros."""
    rows, width = part.shape
    whole, rest = divmod(width, CHUNK)
    chunks[:whole, :rows] = part[:, : whole * CHUNK].reshape(rows, whole, CHUNK).transpose(1, 0, 2)
    if rest:
        chunks[whole, :rows, :rest] = part[:, whole * CHUNK :]
        chunks[whole, :rows, rest:] = 0
    chunks[:, rows:] = 0


def unpack(chunks: npt.NDArray[Any], before: int, out: npt.NDArray[Any]) -> None:
    """Copy the columns from `before` on of adjacent chunks, (n, h, CHUNK), into `out` (h, w)."""
    width, done = out.shape[1], 0
    for chunk in chunks:
        part = chunk[:, before : before + width - done]
        out[:, done : done + part.shape[1]] = part
        before, done = 0, done + part.shape[1]


def checksum(data: bytes) -> bytes:
    """Return the CRC-32C of `data` as it is stored."""
    return int(google_crc32c.value(data)).to_bytes(CRC_BYTES, "little")


def chunk_sums(chunks: npt.NDArray[np.uint8]) -> list[int]:
    """Return the CRC-32C of every chunk of a run, (n, bytes of a chunk + CRC_BYTES), without its last bytes.

    The compiled library reads an array in place, the other one only bytes.
    """
    contents = chunks[:, :-CRC_BYTES]
    return [int(google_crc32c.value(content if _COMPILED else content.tobytes())) for content in contents]
