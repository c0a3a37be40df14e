"""The chunks of a PNG, walked without reading the pixels between them."""

import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

from PIL import Image

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"

_ORIENTATION: Final = 0x0112
"""EXIF tag of the orientation, 1 to 8 (EXIF 2.3, §4.6.4)."""

_LARGEST_PROFILE: Final = 1 << 26
"""Bytes; deflated, a few could otherwise claim all memory."""


def facts(path: Path) -> tuple[int, bytes | None]:
    """Return EXIF orientation and colour profile of the PNG `path`; 1 and None if it has none.

    Decoders that go row by row see only what stands before the pixels, and libvips is silent on broken profiles.
    Raises ValueError if the file ends within a chunk, so that a cut file is noticed before any work is done.
    """
    orientation, profile = 1, None
    with path.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        for name, length in _chunks(file, size):
            if name == b"eXIf":
                exif = Image.Exif()
                exif.load(file.read(length))
                orientation = int(exif.get(_ORIENTATION, 1))
            elif name == b"iCCP":
                # A name, a zero, the way of compression, and the profile.
                deflated = file.read(length).partition(b"\0")[2][1:]
                with suppress(zlib.error):
                    profile = zlib.decompressobj().decompress(deflated, _LARGEST_PROFILE)
    return orientation, profile


def _chunks(file: BinaryIO, size: int) -> Iterator[tuple[bytes, int]]:
    """Give name and length of each chunk of `file` of `size` bytes, standing at its content."""
    at = len(SIGNATURE)
    while at + 8 <= size:
        file.seek(at)
        length, name = struct.unpack(">I4s", file.read(8))
        if at + 12 + length > size:
            raise ValueError(f"the file ends within a chunk {name.decode('latin-1')}")
        yield name, length
        if name == b"IEND":
            return
        at += 12 + length
