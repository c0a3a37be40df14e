"""The sRGB profiles that are embedded in written files; they are the same bytes every time."""

import struct
from functools import cache
from typing import Final

from PIL import ImageCms

_DATE: Final = slice(24, 36)
_NUMBER: Final = slice(84, 100)
_SIGNED: Final = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)
"""Header fields (ICC.1, 7.2): the date of creation, which would change from day to day; the profile ID, a checksum
that may be zero; and the fixed date that is written instead."""

_TAG_TABLE: Final = 128


@cache
def srgb_profile() -> bytes:
    """Return the ICC profile of sRGB, for colour pictures."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    data[_DATE], data[_NUMBER] = _SIGNED, bytes(16)
    return bytes(data)


@cache
def grey_profile() -> bytes:
    """Return an ICC profile for grey pictures, with the curve of sRGB."""
    colour = srgb_profile()
    (count,) = struct.unpack_from(">I", colour, _TAG_TABLE)
    tags = {}
    for number in range(count):
        name, start, length = struct.unpack_from(">4sII", colour, _TAG_TABLE + 4 + 12 * number)
        tags[name] = colour[start : start + length]
    kept = {name: tags[name] for name in (b"desc", b"cprt", b"wtpt")} | {b"kTRC": tags[b"rTRC"]}
    start = _TAG_TABLE + 4 + 12 * len(kept)
    table, body = struct.pack(">I", len(kept)), b""
    for name, content in kept.items():
        table += struct.pack(">4sII", name, start + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    head = bytearray(colour[:_TAG_TABLE])
    head[0:4] = struct.pack(">I", start + len(body))
    head[16:20] = b"GRAY"
    return bytes(head) + table + body
