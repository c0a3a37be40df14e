"""Decodes HEIC, the format of phone cameras, with libheif; reads the colours declared by AVIF, a related format."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from ..declared.cicp import CodePoints
from ..declared.colour_space import ColourSpace, Mode
from .stored import BANDS, Stored, rows_at_a_time
from .vips import chunks_of, converted, image_of, scaled_to_white

_LARGEST_SIDE: Final = 10_000_000
"""Maximum side of a picture in libvips, in pixels."""


def describe(path: Path) -> Stored:
    """Return the description of the primary picture in the HEIC file `path`; only the header is read.

    Raises InputError for high dynamic range; exceptions of libheif are passed on.
    """
    file = _file(path)
    picture = file[file.primary_index]
    alpha = "A" in picture.mode.split(";")[0]
    grey = picture.mode.startswith("L")
    mode: Mode = "L" if grey else "RGB"
    bits: Literal[8, 16] = 16 if picture.info["bit_depth"] > 8 else 8
    width, height = picture.size
    channels = BANDS[mode] + alpha
    row_bytes = width * channels * bits // 8
    chunk_rows = rows_at_a_time(row_bytes, 1, height)

    def chunks(step: Callable[[Any], Any] | None) -> Iterator[npt.NDArray[Any]]:
        opened = _primary(path)
        # Rows are padded to whole words. The memory belongs to libheif and is freed together with `opened`.
        pixels = np.array(opened)[:, :width].reshape(height, width, channels)
        image = scaled_to_white(image_of(pixels), picture.info["bit_depth"])
        return chunks_of(converted(step, image, BANDS[mode]), chunk_rows)

    # The planes as coded, and the pixels decoded from them.
    held = 6 * bits // 8 * width * height + 2 * chunk_rows * row_bytes
    # libheif has already rotated the picture; the EXIF orientation does not apply (ISO/IEC 23008-12).
    colours = _colours(picture, path, grey)
    return Stored((width, height), mode, alpha, bits, 1, colours, chunks, chunk_rows, held, len(file))


def check_sides(path: Path) -> None:
    """Raise ValueError if the HEIC or AVIF file `path` claims impossible sides.

    Otherwise libvips would print a complaint to standard error.
    """
    if max(_primary(path).size) > _LARGEST_SIDE:
        raise ValueError(f"a picture of {'×'.join(map(str, _primary(path).size))} pixels")


def colours_of(path: Path, grey: bool) -> bytes | ColourSpace | None:
    """Return the colours that the AVIF file `path` declares; grey: whether the decoded picture is grey.

    Returns an ICC profile or a colour space; None if it declares neither. Raises InputError for high dynamic range.
    """
    return _colours(_primary(path), path, grey)


def _colours(picture: Any, path: Path, grey: bool) -> bytes | ColourSpace | None:
    """Return the profile of an opened `picture`, or else its primaries and curve; None if it declares neither."""
    numbers, space = picture.info.get("nclx_profile"), None
    if numbers:
        points = CodePoints(numbers["color_primaries"], numbers["transfer_characteristics"])
        space = points.space(grey, path)
    profile = picture.info.get("icc_profile")
    return bytes(profile) if profile else space


def _primary(path: Path) -> Any:
    """Return the primary picture of `path`, not yet decoded."""
    file = _file(path)
    return file[file.primary_index]


def _file(path: Path) -> Any:
    """Return the pictures of `path`, not yet decoded."""
    import pi_heif

    pi_heif.options.THUMBNAILS = pi_heif.options.DEPTH_IMAGES = False
    # Its default limits, meant for servers, reject the 200-megapixel pictures of some phones.
    pi_heif.options.DISABLE_SECURITY_LIMITS = True
    return pi_heif.open_heif(path, convert_hdr_to_8bit=False, hdr_to_16bit=True)
