"""The only place that reads or writes picture files, of any size: in bands of rows, little of them held at a time.

libvips decodes most formats, libheif and Pillow the others (picture.py). What a file says of its colours (icc.py,
cicp.py, png_chunks.py) is converted to sRGB in 16 bits (conversion.py). What is written is put together here, so
that its bytes are the same however the rows come.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..system.files import write_bytes
from .arrays import FloatArray, check_size
from .picture import FORMATS, Picture, open_picture
from .writers.png import PngWriter
from .writers.tiff import TiffWriter

__all__ = [
    "FORMATS",
    "FloatArray",
    "Picture",
    "PngWriter",
    "TiffWriter",
    "load_picture",
    "open_picture",
    "save_png",
    "upright",
    "write_bytes",
]

_BAND_BYTES = 4 << 20


def load_picture(path: str | Path, cmyk_profile: str | Path | None = None) -> FloatArray:
    """Return the picture in the file `path` as (H, W, C) float32 sRGB in [0, 1], C = 1 for grey or 3.

    One of FORMATS, known by its content: of several frames or pages the first, turned as the file says, alpha laid
    over white. Colours are those the file declares: by an ICC profile, by the chunks cICP, sRGB, gAMA and cHRM of
    PNG, by the nclx box of AVIF and HEIC, or as CIELAB; 16 bits stay 16 bits. cmyk_profile: an ICC profile for CMYK
    that carries none; without it, inks are taken for ideal ones, with a warning.

    Raises InputError, naming the file, if there is no whole picture in it, if it is smaller than 11 pixels, or if
    it holds what is not read: high dynamic range (PQ, HLG), JPEG of more than 8 bits, pixels of other types.
    """
    path = Path(path)
    picture = open_picture(path, None if cmyk_profile is None else Path(cmyk_profile))
    check_size(picture.size, str(path))
    width, height = picture.size
    try:
        image = np.empty((height, width, picture.planes), np.float32)
    except (MemoryError, ValueError):  # ValueError: more than can be counted
        raise InputError(
            f"{path} says that it has {width}×{height} pixels, more than there is memory for: "
            "see whether it is damaged, or make it smaller"
        ) from None
    stored = _as_stored(image, picture.orientation)
    top = 0
    for band in picture.bands(max(1, _BAND_BYTES // (2 * stored[0].size))):
        np.divide(band, np.float32(65535), out=stored[top : top + len(band)], dtype=np.float32)
        top += len(band)
    return image


def save_png(path: Path, image: npt.NDArray[np.uint8]) -> None:
    """Write `image` (H, W), (H, W, 1) or (H, W, 3) uint8 sRGB code values as a PNG that says it is sRGB.

    The same picture gives the same bytes. Raises OutputError if the file cannot be written.
    """
    rows = image[..., np.newaxis] if image.ndim == 2 else image
    height, width, planes = rows.shape
    with PngWriter(path, (width, height), planes, 8) as writer:
        writer.write(rows)


def upright(image: npt.NDArray[Any], orientation: int) -> npt.NDArray[Any]:
    """Return `image` (H, W, C), as it lies in a file of that EXIF orientation, as it is to be seen: a view."""
    if orientation in (5, 6, 7, 8):
        image = np.swapaxes(image, 0, 1)
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    return image


def _as_stored(image: FloatArray, orientation: int) -> FloatArray:
    """Return `image` (H, W, C), upright, as it lies in a file of that EXIF orientation: a view to write into."""
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    if orientation in (5, 6, 7, 8):
        image = np.swapaxes(image, 0, 1)
    return image
