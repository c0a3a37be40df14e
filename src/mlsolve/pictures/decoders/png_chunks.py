"""The chunks of a PNG, walked without reading the pixels between them."""

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from PIL import Image

from ..colour import light_from_srgb
from ..declared.cicp import CodePoints
from ..declared.colour_space import SRGB_PRIMARIES, ColourSpace, Primaries, power_curve
from ..declared.icc import Profile

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"

_ORIENTATION: Final = 0x0112
"""EXIF tag of the orientation, 1 to 8 (EXIF 2.3, §4.6.4)."""

_WANTED: Final = (b"eXIf", b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"acTL")

_OF_SRGB: Final = 0.45455
"""The gAMA that stands for sRGB's curve (PNG, third edition, 11.3.2.5)."""

_LARGEST_PROFILE: Final = 1 << 26
"""Bytes; deflated, a few could otherwise claim all memory."""


class Facts(NamedTuple):
    """What a PNG says of itself beside its pixels."""

    orientation: int
    """Of its EXIF, 1 to 8."""
    colours: bytes | ColourSpace | None
    """A profile, or primaries and curve; None: sRGB, or nothing is said."""
    frames: int
    """Of an animation."""


def facts(path: Path, grey: bool, bits: int) -> Facts:
    """Return what the PNG `path` says of itself; grey: whether its pixels have no colour; bits: of a code value.

    Decoders that go row by row see only what stands before the pixels, and libvips is silent on broken profiles.
    Raises ValueError if the file ends within a chunk, so that a cut file is noticed before any work is done, and
    InputError for high dynamic range.
    """
    found: dict[bytes, bytes] = {}
    with path.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        for name, length in _chunks(file, size):
            if name in _WANTED and name not in found:
                found[name] = file.read(length)
    exif = Image.Exif()
    exif.load(found.get(b"eXIf", b""))
    frames = int.from_bytes(found[b"acTL"][:4], "big") if b"acTL" in found else 1
    return Facts(int(exif.get(_ORIENTATION, 1)), _colours(found, grey, bits, path), frames)


def _colours(chunks: dict[bytes, bytes], grey: bool, bits: int, path: Path) -> bytes | ColourSpace | None:
    """Return what the chunks say of colours, by their order of precedence (PNG, third edition, 4.3)."""
    if len(chunks.get(b"cICP", b"")) == 4:
        primaries, transfer, _, full_range = chunks[b"cICP"]
        space = CodePoints(primaries, transfer, bool(full_range), bits).space(grey, path)
        if space is not None:
            return space
        warnings.warn(
            f"{path}: its colours are declared by unknown numbers ({primaries}, {transfer}) and passed over",
            stacklevel=5,
        )
    if b"iCCP" in chunks:
        # A name, a zero, the way of compression, and the profile.
        deflated = chunks[b"iCCP"].partition(b"\0")[2][1:]
        try:
            profile = zlib.decompressobj().decompress(deflated, _LARGEST_PROFILE)
            Profile(profile)
        except (zlib.error, ValueError, struct.error) as error:
            warnings.warn(f"{path}: its colour profile is passed over ({error})", stacklevel=5)
        else:
            return profile
    if b"sRGB" in chunks:
        return None
    return _gamma_and_primaries(chunks, grey)


def _gamma_and_primaries(chunks: dict[bytes, bytes], grey: bool) -> ColourSpace | None:
    """Return what gAMA and cHRM say (11.3.2); None where they say nothing, or nothing that is possible."""
    if b"gAMA" not in chunks and b"cHRM" not in chunks:
        return None
    gamma = int.from_bytes(chunks[b"gAMA"][:4], "big") / 100000 if b"gAMA" in chunks else _OF_SRGB
    if gamma == 0:
        return None
    # Writers of sRGB give its gamma as 0.45455, or thereabouts.
    curve = light_from_srgb if abs(gamma / _OF_SRGB - 1) < 0.02 else power_curve(1 / gamma)
    if grey or len(chunks.get(b"cHRM", b"")) != 32:
        return ColourSpace.grey(curve) if grey else ColourSpace.of(SRGB_PRIMARIES, curve)
    numbers = [number / 100000 for number in struct.unpack(">8I", chunks[b"cHRM"])]
    white, red, green, blue = zip(numbers[::2], numbers[1::2], strict=True)
    with suppress(ValueError):
        return ColourSpace.of(Primaries(red, green, blue, white), curve)
    return ColourSpace.of(SRGB_PRIMARIES, curve)


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
