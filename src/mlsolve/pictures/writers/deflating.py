"""Deflate for differences of codes, and the checksum of a stream that was compressed in parts."""

import zlib
from collections.abc import Iterable
from typing import Final

import numpy as np
import numpy.typing as npt

WHOLE: Final = zlib.MAX_WBITS
RAW: Final = -zlib.MAX_WBITS
"""A stream with header and checksum; or without, a part of one that others join."""

_LEVEL: Final = 3
_MEMORY: Final = 9
_ADLER_BASE: Final = 65521

_REPEATED: Final = 1 / 16
"""Share of bytes that repeat three before them, from which on run lengths make a part smaller.

Layers resemble noise: without run lengths they are up to 5 % smaller, and take three quarters of the time
(bench/LOG.md #100).
"""


def deflated(data: npt.NDArray[np.uint8], repeats: int, kind: int) -> bytes:
    """Return `data`, contiguous, compressed; without its end if `kind` is RAW, so that another part may follow.

    repeats: how many bytes equal the three before them. zlib searches for no repetitions but runs: noise has none,
    and so the bytes do not depend on how the processor computes hashes.
    """
    strategy = zlib.Z_RLE if repeats > _REPEATED * data.size else zlib.Z_HUFFMAN_ONLY
    stream = zlib.compressobj(_LEVEL, zlib.DEFLATED, kind, _MEMORY, strategy)
    end = zlib.Z_FINISH if kind == WHOLE else zlib.Z_SYNC_FLUSH
    return stream.compress(data.data) + stream.flush(end)


def joined_adler(parts: Iterable[tuple[int, int]]) -> int:
    """Return the Adler-32 of data from (Adler-32, length) of its parts, in order (RFC 1950, section 8.2).

    The low half is 1 plus the sum of all bytes. The high half is the sum of the low half after every byte; each of
    a later part grows by the sum of the bytes before the part.
    """
    low, high = 1, 0
    for adler, length in parts:
        high += (adler >> 16) + length * (low - 1)
        low += (adler & 0xFFFF) - 1
    return high % _ADLER_BASE << 16 | low % _ADLER_BASE
