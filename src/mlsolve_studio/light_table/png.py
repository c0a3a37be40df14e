"""PNGs in memory, of exact code values: they declare no colours, so no browser converts any."""

import struct
import zlib
from typing import Final

import numpy as np
import numpy.typing as npt

from mlsolve.pictures.decoders.png_chunks import SIGNATURE
from mlsolve.pictures.writers.png import HEADER, LAST_BLOCK, compressed_rows

_PIXELS: Final = (b"IHDR", b"PLTE", b"IDAT", b"IEND")


def png_of(codes: npt.NDArray[np.uint8]) -> bytes:
    """Return a PNG of code values, (h, w, 1 or 3) uint8 (PNG specification, 3rd edition)."""
    height, width, planes = codes.shape
    data, (adler, _), _ = compressed_rows(np.ascontiguousarray(codes))
    head = struct.pack(">IIBBBBB", width, height, 8, 0 if planes == 1 else 2, 0, 0, 0)
    stream = HEADER + data + LAST_BLOCK + struct.pack(">I", adler)
    return SIGNATURE + _chunk(b"IHDR", head) + _chunk(b"IDAT", stream) + _chunk(b"IEND", b"")


def without_colours(data: bytes) -> bytes:
    """Return the PNG `data` with nothing but its pixels: what it declares of colours, browsers may convert by."""
    kept, at = [data[: len(SIGNATURE)]], len(SIGNATURE)
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        if data[at + 4 : at + 8] in _PIXELS:
            kept.append(data[at : at + 12 + length])
        at += 12 + length
    return b"".join(kept)


def _chunk(name: bytes, content: bytes) -> bytes:
    checked = struct.pack(">I", zlib.crc32(content, zlib.crc32(name)))
    return struct.pack(">I", len(content)) + name + content + checked
