"""PNGs in memory, of exact code values: they declare no colours, so no browser converts any."""

import struct
import zlib

import numpy as np
import numpy.typing as npt

from mlsolve.pictures.decoders.png_chunks import SIGNATURE
from mlsolve.pictures.writers.png import HEADER, LAST_BLOCK, compressed_rows


def png_of(codes: npt.NDArray[np.uint8]) -> bytes:
    """Return a PNG of code values, (h, w, 1 or 3) uint8 (PNG specification, 3rd edition)."""
    height, width, planes = codes.shape
    data, (adler, _), _ = compressed_rows(np.ascontiguousarray(codes))
    head = struct.pack(">IIBBBBB", width, height, 8, 0 if planes == 1 else 2, 0, 0, 0)
    stream = HEADER + data + LAST_BLOCK + struct.pack(">I", adler)
    return SIGNATURE + _chunk(b"IHDR", head) + _chunk(b"IDAT", stream) + _chunk(b"IEND", b"")


def _chunk(name: bytes, content: bytes) -> bytes:
    checked = struct.pack(">I", zlib.crc32(content, zlib.crc32(name)))
    return struct.pack(">I", len(content)) + name + content + checked
