"""Reads the chunks of a PNG other than its pixels, which are skipped."""

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
"""The value of gAMA that stands for the curve of sRGB (PNG, third edition, 11.3.2.5)."""

_LARGEST_PROFILE: Final = 1 << 26
"""Maximum size of a profile in bytes: a few compressed bytes could otherwise fill the memory."""


class Facts(NamedTuple):
    """The metadata of a PNG."""

    orientation: int
    """EXIF orientation, 1 to 8."""
    colours: bytes | ColourSpace | None
    """An ICC profile, or primaries and curve; None: sRGB, or not declared."""
    frames: int
    """Number of frames of an animation, otherwise 1."""


def facts(path: Path, grey: bool, bits: int) -> Facts:
    """Return the metadata of the PNG `path`. grey: whether its pixels are grey. bits: of a code value, 8 or 16.

    It is read here because sequential decoders see only chunks before the pixels, and because libvips does not
    report broken profiles. Raises ValueError if the file ends within a chunk, so that a truncated file is found
    before any work is done, and InputError for high dynamic range.
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


def declares_resolution(path: Path) -> bool:
    """Tell whether the PNG `path` says how large its pixels are, in metres (pHYs). A damaged one does not."""
    with path.open("rb") as file, suppress(ValueError):
        for name, length in _chunks(file, path.stat().st_size):
            if name == b"pHYs":
                return length == 9 and file.read(9)[8:] == b"\x01"
            if name == b"IDAT":
                break
    return False


def _colours(chunks: dict[bytes, bytes], grey: bool, bits: int, path: Path) -> bytes | ColourSpace | None:
    """Return the colours that the chunks declare, in their order of precedence (PNG, third edition, 4.3)."""
    if len(chunks.get(b"cICP", b"")) == 4:
        primaries, transfer, _, full_range = chunks[b"cICP"]
        space = CodePoints(primaries, transfer, bool(full_range), bits).space(grey, path)
        if space is not None:
            return space
        warnings.warn(
            f"{path}: its cICP chunk has unknown code points ({primaries}, {transfer}) and is ignored",
            stacklevel=5,
        )
    if b"iCCP" in chunks:
        # A name, a zero byte, the compression method, and the profile.
        deflated = chunks[b"iCCP"].partition(b"\0")[2][1:]
        try:
            profile = zlib.decompressobj().decompress(deflated, _LARGEST_PROFILE)
            Profile(profile)
        except (zlib.error, ValueError, struct.error) as error:
            warnings.warn(f"{path}: its colour profile is ignored ({error})", stacklevel=5)
        else:
            return profile
    if b"sRGB" in chunks:
        return None
    return _gamma_and_primaries(chunks, grey)


def _gamma_and_primaries(chunks: dict[bytes, bytes], grey: bool) -> ColourSpace | None:
    """Return the colour space of gAMA and cHRM (11.3.2); None if there are none, or if gAMA is impossible."""
    if b"gAMA" not in chunks and b"cHRM" not in chunks:
        return None
    gamma = int.from_bytes(chunks[b"gAMA"][:4], "big") / 100000 if b"gAMA" in chunks else _OF_SRGB
    if gamma == 0:
        return None
    # Programs that write sRGB give its gamma as 0.45455 or a similar value.
    curve = light_from_srgb if abs(gamma / _OF_SRGB - 1) < 0.02 else power_curve(1 / gamma)
    if grey or len(chunks.get(b"cHRM", b"")) != 32:
        return ColourSpace.grey(curve) if grey else ColourSpace.of(SRGB_PRIMARIES, curve)
    numbers = [number / 100000 for number in struct.unpack(">8I", chunks[b"cHRM"])]
    white, red, green, blue = zip(numbers[::2], numbers[1::2], strict=True)
    with suppress(ValueError):
        return ColourSpace.of(Primaries(red, green, blue, white), curve)
    return ColourSpace.of(SRGB_PRIMARIES, curve)


def _chunks(file: BinaryIO, size: int) -> Iterator[tuple[bytes, int]]:
    """Yield the name and length of each chunk of `file`, positioned at the chunk's content. size: of the file."""
    at = len(SIGNATURE)
    while at + 8 <= size:
        file.seek(at)
        length, name = struct.unpack(">I4s", file.read(8))
        if at + 12 + length > size:
            raise ValueError(f"the file ends within the chunk {name.decode('latin-1')}")
        yield name, length
        if name == b"IEND":
            return
        at += 12 + length
