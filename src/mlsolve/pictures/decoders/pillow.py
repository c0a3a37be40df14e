"""Decodes with Pillow what libvips cannot read: BMP, PPM as text, JPEG XL. Pillow decodes a file as a whole."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from ...errors import InputError
from ..declared.colour_space import Mode
from .stored import BANDS, Stored, rows_at_a_time
from .vips import chunks_of, converted, image_of

_EIGHT_BIT_MODES: Final = ("1", "L", "LA", "RGB", "RGBA", "RGBX", "CMYK", "P", "PA", "YCbCr", "HSV")

_ORIENTATION: Final = 0x0112
"""EXIF tag of the orientation, 1 to 8 (EXIF 2.3, §4.6.4)."""


def describe(path: Path, kind: str) -> Stored:
    """Return the description of the file `path`; only its header is read. kind: a format name of Pillow.

    Raises InputError for pixel types that are not supported, and for JPEG XL if its plugin is missing; exceptions
    of Pillow are passed on.
    """
    if kind == "JXL":
        _add_jpeg_xl(path)
    with _quiet(), Image.open(path, formats=(kind,)) as picture:
        deep = picture.mode.startswith("I;16")
        if picture.mode not in _EIGHT_BIT_MODES and not deep:
            raise InputError(f"{path} has pixels of type {picture.mode}: save it as 8- or 16-bit PNG or TIFF")
        grey = picture.mode in ("1", "L", "LA") or deep
        mode: Mode = "CMYK" if picture.mode == "CMYK" else "L" if grey else "RGB"
        alpha = picture.has_transparency_data
        size, profile = picture.size, picture.info.get("icc_profile")
        # JPEG XL is already rotated, whatever its EXIF says (ISO/IEC 18181-2), unless it is a transcoded JPEG.
        turned = kind == "JXL" and not getattr(picture, "jpeg", False)
        orientation = 1 if turned else picture.getexif().get(_ORIENTATION, 1)
        frames = getattr(picture, "n_frames", 1) if kind == "JXL" else 1
    wanted = mode + "A" if alpha else mode
    width, height = size
    row_bytes = width * (BANDS[mode] + alpha) * (2 if deep else 1)
    chunk_rows = rows_at_a_time(row_bytes, 1, height)

    def rows() -> Iterator[npt.NDArray[Any]]:
        # _quiet is entered for each step, so that it is never in effect while the caller's code runs.
        with _quiet():
            picture = Image.open(path, formats=(kind,))
        with picture:
            with _quiet():
                picture.load()
            for top in range(0, height, chunk_rows):
                with _quiet():
                    part = picture.crop((0, top, width, min(top + chunk_rows, height)))
                    array = np.asarray(part if deep else part.convert(wanted))
                array = array.astype(np.uint16) if deep else array
                yield np.ascontiguousarray(array).reshape(array.shape[0], width, -1)

    def chunks(step: Callable[[Any], Any] | None) -> Iterator[npt.NDArray[Any]]:
        if step is None:
            return rows()
        return chunks_of(converted(step, image_of(np.concatenate(list(rows()))), BANDS[mode]), chunk_rows)

    # Pillow keeps four bytes for a pixel of more than one channel, and lcms gets a second copy of the picture.
    held = 8 * width * height + 4 * width * chunk_rows
    bits: Literal[8, 16] = 16 if deep else 8
    return Stored(size, mode, alpha, bits, orientation, profile, chunks, chunk_rows, held, frames)


def _add_jpeg_xl(path: Path) -> None:
    """Enable Pillow to read JPEG XL; raises InputError if the plugin is not installed."""
    try:
        import pillow_jxl  # noqa: F401
    except ImportError:
        raise InputError(
            f"{path} is JPEG XL, which needs one more package: pip install 'mlsolve[jxl]', or save it as PNG"
        ) from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Lift Pillow's size limit and suppress its warnings.

    Its limit against decompression bombs, 179 megapixels, is too small for prints.
    """
    before = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        Image.MAX_IMAGE_PIXELS = before
