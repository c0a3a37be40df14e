"""Decoding through libvips, which takes a file of any size in rows.

Its own buffers are kept small: no cache of operations, one thread, and rows asked for in the steps in which its
decoders make them. What a decoder made ahead is lost after each request, and those of PNG, JPEG and
strips cannot go back, so a request that ends within a step would fail.
"""

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from . import tiff_tags
from .stored import BANDS, Mode, Stored, rows_at_a_time

STEP: Final = 16
"""Rows that libvips' sequential decoders make at a time."""

LARGEST_STRIP: Final = 128
"""Rows of a TIFF strip up to which libvips decodes it whole; larger ones it takes row by row, if it can."""

_MODES: Final[dict[str, Mode]] = {
    "b-w": "L",
    "grey16": "L",
    "srgb": "RGB",
    "rgb16": "RGB",
    "rgb": "RGB",
    "cmyk": "CMYK",
}

_TYPES: Final = {"float": "F", "double": "F", "int": "I", "uint": "I"}
"""How messages call what is neither uchar nor ushort."""

_EXTRA_SAMPLES, _ROWS_PER_STRIP, _STRIP_BYTES, _TILE_HEIGHT = 338, 278, 279, 323
_PHOTOMETRIC, _PLANAR, _COMPRESSION = 262, 284, 259
"""Tags (TIFF 6.0, Appendix A)."""

_WANTED: Final = (
    _EXTRA_SAMPLES,
    _ROWS_PER_STRIP,
    _STRIP_BYTES,
    _TILE_HEIGHT,
    _PHOTOMETRIC,
    _PLANAR,
    _COMPRESSION,
)

Tags = dict[int, npt.NDArray[np.uint64]]

_YCBCR: Final = 6


def describe(path: Path, kind: str) -> Stored:
    """Return what the file `path` of kind PNG, JPEG, TIFF or WEBP holds; only its header is read.

    Raises InputError for pixels that are neither 8 nor 16 bits, and whatever libvips and Pillow raise.
    """
    tags = tiff_tags.read(path, _WANTED) if kind == "TIFF" else {}
    image = _open(path, kind)
    width, height = image.width, image.height
    if image.format not in ("uchar", "ushort"):
        name = _TYPES.get(image.format, image.format)
        raise InputError(f"{path} holds pixels of type {name}: save it as 8- or 16-bit PNG or TIFF")
    bits: Literal[8, 16] = 16 if image.format == "ushort" else 8
    mode = _MODES.get(image.interpretation, "RGB" if image.bands >= 3 else "L")
    alpha = _alpha(image.bands - BANDS[mode], tags)
    channels = BANDS[mode] + alpha
    row_bytes = width * image.bands * bits // 8
    step = _step(tags, height) if kind == "TIFF" else STEP
    chunk_rows = rows_at_a_time(row_bytes, step, height)

    def chunks() -> Iterator[npt.NDArray[Any]]:
        source = _open(path, kind)
        if channels < source.bands:
            source = source.extract_band(0, n=channels)
        for top in range(0, height, chunk_rows):
            part = source.crop(0, top, width, min(chunk_rows, height - top))
            data = part.write_to_memory()
            yield np.frombuffer(data, np.uint16 if bits == 16 else np.uint8).reshape(-1, width, channels)

    return Stored(
        size=(width, height),
        mode=mode,
        alpha=alpha,
        bits=bits,
        orientation=_field(image, "orientation", 1),
        profile=_field(image, "icc-profile-data", None),
        chunks=chunks,
        chunk_rows=chunk_rows,
        held=_held(image, kind, tags, row_bytes, step, chunk_rows),
    )


def _open(path: Path, kind: str) -> Any:
    """Return the pyvips.Image of `path`; sRGB if it is stored as L*a*b*."""
    vips = _pyvips()
    load = {"PNG": "pngload", "JPEG": "jpegload", "TIFF": "tiffload", "WEBP": "webpload"}[kind]
    # libvips' limits are there for servers: prints of any size are welcome here.
    options = {} if kind == "WEBP" else {"unlimited": True}
    image = vips.Operation.call(load, str(path), access="sequential", fail_on="error", **options)
    return image.colourspace("srgb") if image.interpretation in ("lab", "labs") else image


def _pyvips() -> Any:
    """Return the module, loaded when the first file is opened and told to hold little."""
    before = os.environ.get("VIPS_CONCURRENCY")
    # Buffers grow with the threads, which are counted when the library starts.
    os.environ["VIPS_CONCURRENCY"] = "1"
    try:
        import pyvips
    finally:
        if before is None:
            del os.environ["VIPS_CONCURRENCY"]
        else:
            os.environ["VIPS_CONCURRENCY"] = before
    pyvips.cache_set_max(0)
    return pyvips


def _field(image: Any, name: str, default: Any) -> Any:
    return image.get(name) if image.get_typeof(name) else default


def _alpha(extra: int, tags: Tags) -> bool:
    """Return whether the first of `extra` channels beyond the colours is alpha."""
    if extra < 1:
        return False
    # Unless a TIFF says otherwise (0: something else), of a channel too many everybody makes alpha. Colours that
    # are multiplied by it (1) libvips divides again.
    told = tags.get(_EXTRA_SAMPLES)
    return told is None or not len(told) or bool(told[0])


def _step(tags: Tags, height: int) -> int:
    """Return the rows that libvips decodes at a time from a TIFF: a row of tiles, a strip, or STEP."""
    if _TILE_HEIGHT in tags:
        return _first(tags, _TILE_HEIGHT, STEP)
    strip = max(1, min(_first(tags, _ROWS_PER_STRIP, height), height))
    in_one_plane = _first(tags, _PLANAR, 1) == 1
    row_by_row = strip > LARGEST_STRIP and in_one_plane and _first(tags, _PHOTOMETRIC, 0) != _YCBCR
    if row_by_row:
        return STEP
    return math.lcm(strip, STEP) if strip < STEP else strip


def _first(tags: Tags, tag: int, default: int) -> int:
    return int(tags[tag][0]) if tag in tags and len(tags[tag]) else default


def _held(image: Any, kind: str, tags: Tags, row_bytes: int, step: int, chunk_rows: int) -> int:
    """Return the bytes that libvips and the library of the format hold, at most: measured, and rounded up."""
    whole = row_bytes * int(image.height)
    if kind == "WEBP":
        return 8 * int(image.width) * int(image.height)
    steps = 6 if _TILE_HEIGHT in tags else 40 if kind == "JPEG" else 12
    buffers = steps * step * row_bytes + 2 * chunk_rows * row_bytes
    if kind == "TIFF":
        # A compressed strip is fetched as a whole, however large.
        compressed = _first(tags, _COMPRESSION, 1) != 1
        return buffers + (int(tags[_STRIP_BYTES].max()) if compressed and _STRIP_BYTES in tags else 0)
    if _field(image, "interlaced", 0):
        # PNG holds the pixels, JPEG two bytes for each coefficient.
        return buffers + whole * (2 if kind == "JPEG" else 1)
    return buffers
