"""Decodes files of any size row by row with libvips.

Its buffers are kept small: no operation cache, one thread, and requests of as many rows as its decoders produce in
a step. libvips drops rows that were decoded in advance after each request, and the decoders of PNG, JPEG and TIFF
strips cannot go back. So a request must not end within a step.
"""

import math
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from ...errors import InputError
from ..declared.colour_space import Mode
from . import tiff_tags
from .stored import BANDS, Stored, rows_at_a_time

STEP: Final = 16
"""Rows that the sequential decoders of libvips produce in a step."""

LARGEST_STRIP: Final = 128
"""TIFF strips of up to this many rows are decoded by libvips as a whole, larger ones row by row if possible."""

_MODES: Final[dict[str, Mode]] = {
    "b-w": "L",
    "grey16": "L",
    "srgb": "RGB",
    "rgb16": "RGB",
    "rgb": "RGB",
    "cmyk": "CMYK",
    "lab": "LAB",
}

_LOADERS: Final = {
    "PNG": "pngload",
    "JPEG": "jpegload",
    "TIFF": "tiffload",
    "WEBP": "webpload",
    "GIF": "gifload",
    "AVIF": "heifload",
}
KINDS: Final = tuple(_LOADERS)
"""Formats that libvips decodes."""

_WITHOUT_LIMITS: Final = ("PNG", "JPEG", "TIFF", "AVIF")
"""Formats for which libvips has size limits, meant for servers, which are lifted for prints."""

_TYPES: Final = {"float": "F", "double": "F", "int": "I", "uint": "I"}
"""Names in error messages of libvips' pixel types other than uchar and ushort."""

_FORMATS: Final = {"uint8": "uchar", "uint16": "ushort", "float32": "float", "float64": "double"}
"""libvips' names of NumPy's types."""

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

_YCBCR, _CIELAB, _ICCLAB = 6, 8, 9
"""Photometric interpretations (TIFF 6.0, section 21; Adobe Photoshop TIFF Technical Notes, 2002)."""


def describe(path: Path, kind: str) -> Stored:
    """Return the description of the file `path`; only its header is read. kind: one of KINDS.

    Raises InputError for pixels that are neither 8 nor 16 bits; exceptions of libvips, and ValueError or
    struct.error for a damaged TIFF directory, are passed on.
    """
    tags = tiff_tags.read(path, _WANTED) if kind == "TIFF" else {}
    image = _open(path, kind, tags)
    width, height = image.width, image.height
    if image.format not in ("uchar", "ushort"):
        name = _TYPES.get(image.format, image.format)
        raise InputError(f"{path} has pixels of type {name}: save it as 8- or 16-bit PNG or TIFF")
    bits: Literal[8, 16] = 16 if image.format == "ushort" else 8
    mode = _MODES.get(image.interpretation, "RGB" if image.bands >= 3 else "L")
    alpha = _alpha(image.bands - BANDS[mode], tags)
    channels = BANDS[mode] + alpha
    row_bytes = width * image.bands * bits // 8
    step = _step(tags, height) if kind == "TIFF" else STEP
    chunk_rows = rows_at_a_time(row_bytes, step, height)

    def chunks(step: Callable[[Any], Any] | None) -> Iterator[npt.NDArray[Any]]:
        source = _open(path, kind, tags)
        if channels < source.bands:
            source = source.extract_band(0, n=channels)
        return chunks_of(converted(step, source, BANDS[mode]), chunk_rows)

    return Stored(
        size=(width, height),
        mode=mode,
        alpha=alpha,
        bits=bits,
        orientation=1 if kind == "AVIF" else _field(image, "orientation", 1),
        colours=_field(image, "icc-profile-data", None),
        chunks=chunks,
        chunk_rows=chunk_rows,
        held=_held(path, image, kind, tags, row_bytes, step, chunk_rows),
        frames=_field(image, "n-pages", 1),
    )


def chunks_of(image: Any, rows: int) -> Iterator[npt.NDArray[Any]]:
    """Yield the pixels of a pyvips.Image from the top, `rows` rows at a time, (h, width, bands) uint8 or uint16."""
    values = np.uint16 if image.format == "ushort" else np.uint8
    for top in range(0, image.height, rows):
        part = image.crop(0, top, image.width, min(rows, image.height - top))
        yield np.frombuffer(part.write_to_memory(), values).reshape(-1, image.width, image.bands)


def converted(step: Callable[[Any], Any] | None, image: Any, bands: int) -> Any:
    """Return `image` with its first `bands` bands converted by `step`, and alpha, the band after them, in 16 bits.

    step: converts a pyvips.Image to 16-bit sRGB; None: return the image unchanged.
    """
    if step is None:
        return image
    if image.bands == bands:
        return step(image)
    alpha = image.extract_band(bands)
    deep = (alpha * 257).cast("ushort") if alpha.format == "uchar" else alpha
    return step(image.extract_band(0, n=bands)).bandjoin(deep)


def image_of(array: npt.NDArray[Any]) -> Any:
    """Return `array`, (h, w, bands) or (h, w) uint8, uint16, float32 or float64, as a pyvips.Image."""
    height, width, *bands = array.shape
    format_ = _FORMATS[array.dtype.name]
    return pyvips().Image.new_from_memory(np.ascontiguousarray(array).data, width, height, *bands or [1], format_)


def _open(path: Path, kind: str, tags: Tags) -> Any:
    """Return the pyvips.Image of `path`; L*a*b* is encoded as in ICC profiles, however the file encodes it.

    For tiled TIFF warnings count as errors, because libvips only warns of a damaged tile and makes it black.
    """
    options: dict[str, Any] = {"access": "sequential", "fail_on": "warning" if _TILE_HEIGHT in tags else "error"}
    if kind in _WITHOUT_LIMITS:
        options["unlimited"] = True
    if _first(tags, _PHOTOMETRIC, 0) == _CIELAB:
        return _signed_lab(path, options)
    image = pyvips().Operation.call(_LOADERS[kind], str(path), **options)
    if kind == "AVIF":
        return scaled_to_white(image, _field(image, "bits-per-sample", 16))
    if _first(tags, _PHOTOMETRIC, 0) == _ICCLAB and image.bands >= 3:
        return image.copy(interpretation="lab")
    return image


def _signed_lab(path: Path, options: dict[str, Any]) -> Any:
    """Return the L*a*b* of a TIFF whose a* and b* are signed, encoded as in ICC profiles.

    libvips cannot open such a file of 8 bits, and misreads some of 16 bits. But it opens a copy in memory whose tag
    is changed to the other kind of L*a*b*.
    """
    at, layout = tiff_tags.place_of(path, _PHOTOMETRIC)
    content = bytearray(path.read_bytes())
    struct.pack_into(layout, content, at, _ICCLAB)
    image = pyvips().Image.tiffload_buffer(content, **options)
    deep, more = image.format == "ushort", image.bands - 3
    signs = 32768 if deep else 128
    codes = image ^ [0, signs, signs, *more * [0]]
    if deep:  # here the L* of white is 65535
        codes = (codes * [65280 / 65535, 1, 1, *more * [1]] + [0.5, 0, 0, *more * [0]]).cast("ushort")
    return codes.copy(interpretation="lab")


def scaled_to_white(image: Any, bits: int) -> Any:
    """Return a 16-bit `image`, of which only the upper `bits` are used, scaled so that white is 65535.

    An 8-bit image, or one that uses all 16 bits, is returned unchanged.
    """
    if image.format != "ushort" or bits >= 16:
        return image
    highest = (1 << 16) - (1 << 16 - bits)
    return (image * (65535 / highest) + 0.5).cast("ushort").copy(interpretation=image.interpretation)


def pyvips() -> Any:
    """Return the module pyvips, which is loaded on first use and set up to use little memory."""
    before = os.environ.get("VIPS_CONCURRENCY")
    # Buffers grow with the number of threads, which is fixed when the library is loaded.
    os.environ["VIPS_CONCURRENCY"] = "1"
    try:
        import pyvips as module
    finally:
        if before is None:
            del os.environ["VIPS_CONCURRENCY"]
        else:
            os.environ["VIPS_CONCURRENCY"] = before
    module.cache_set_max(0)
    return module


def _field(image: Any, name: str, default: Any) -> Any:
    return image.get(name) if image.get_typeof(name) else default


def _alpha(extra: int, tags: Tags) -> bool:
    """Return whether the first of `extra` channels in addition to the colours is alpha."""
    if extra < 1:
        return False
    # By convention an extra channel is alpha, unless a TIFF declares it as something else (0). If colours are
    # premultiplied by alpha (1), libvips divides them again.
    declared = tags.get(_EXTRA_SAMPLES)
    return declared is None or not len(declared) or bool(declared[0])


def _step(tags: Tags, height: int) -> int:
    """Return how many rows libvips decodes in a step from a TIFF: a row of tiles, a strip, or STEP."""
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


def _held(path: Path, image: Any, kind: str, tags: Tags, row_bytes: int, step: int, chunk_rows: int) -> int:
    """Return the peak memory in bytes of libvips and the format's library, measured and rounded up."""
    whole = row_bytes * int(image.height)
    if kind in ("WEBP", "GIF", "AVIF"):
        return (16 if kind == "AVIF" else 8) * int(image.width) * int(image.height)
    steps = 6 if _TILE_HEIGHT in tags else 40 if kind == "JPEG" else 12
    buffers = steps * step * row_bytes + 2 * chunk_rows * row_bytes
    if kind == "TIFF":
        if _first(tags, _PHOTOMETRIC, 0) == _CIELAB:  # the file is in memory, and libvips copies it
            buffers += 2 * path.stat().st_size
        # A compressed strip is read as a whole, however large.
        compressed = _first(tags, _COMPRESSION, 1) != 1
        return buffers + (int(tags[_STRIP_BYTES].max()) if compressed and _STRIP_BYTES in tags else 0)
    if _field(image, "interlaced", 0):
        # PNG holds the pixels, JPEG two bytes for each coefficient.
        return buffers + whole * (2 if kind == "JPEG" else 1)
    return buffers
