"""Reads and writes picture files of any size in bands of rows, so that little of a picture is in memory at a time.

libvips decodes most formats, libheif and Pillow the others (picture.py). The colours that a file declares (icc.py,
cicp.py, png_chunks.py) are converted to 16-bit sRGB (conversion.py). PNG and TIFF are encoded by our own writers,
so that the bytes do not depend on how many rows are passed at a time.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..system.files import write_bytes
from .arrays import FloatArray, check_size
from .picture import FORMATS, Picture, open_picture
from .writers.pdf import write_pdf
from .writers.png import PngWriter
from .writers.rows import Encoded, RowWriter
from .writers.tiff import TiffWriter

__all__ = [
    "FORMATS",
    "Encoded",
    "FloatArray",
    "Picture",
    "PngWriter",
    "RowWriter",
    "TiffWriter",
    "load_picture",
    "open_picture",
    "save_png",
    "upright",
    "write_bytes",
    "write_pdf",
]

_BAND_BYTES = 4 << 20


def load_picture(path: str | Path, cmyk_profile: str | Path | None = None) -> FloatArray:
    """Return the picture in the file `path` as (H, W, C) float32 sRGB in [0, 1], C = 1 for grey or 3.

    The format is one of FORMATS, recognised by the file's content. Of several frames or pages the first is read.
    The picture is rotated as its EXIF says, and alpha is composited over white. Colours are as the file declares
    them: by an ICC profile, by the PNG chunks cICP, sRGB, gAMA and cHRM, by the nclx box of AVIF and HEIC, or as
    CIELAB. 16-bit pictures keep their precision. cmyk_profile: an ICC profile for CMYK files that contain none;
    without it ideal inks are assumed, with a warning.

    Raises InputError, naming the file, if it contains no complete picture, if a side is shorter than 11 pixels, or
    if its content is not supported: high dynamic range (PQ, HLG), JPEG of more than 8 bits, other pixel types.
    """
    path = Path(path)
    picture = open_picture(path, None if cmyk_profile is None else Path(cmyk_profile))
    check_size(picture.size, str(path))
    width, height = picture.size
    try:
        image = np.empty((height, width, picture.planes), np.float32)
    except (MemoryError, ValueError):  # ValueError: the number of bytes overflows
        raise InputError(
            f"{path} claims {width}×{height} pixels, more than fit into memory: "
            "check whether it is damaged, or make it smaller"
        ) from None
    stored = _as_stored(image, picture.orientation)
    top = 0
    for band in picture.bands(max(1, _BAND_BYTES // (2 * stored[0].size))):
        np.divide(band, np.float32(65535), out=stored[top : top + len(band)], dtype=np.float32)
        top += len(band)
    return image


def save_png(path: Path, image: npt.NDArray[np.uint8], tagged: bool = True) -> None:
    """Write `image` (H, W), (H, W, 1) or (H, W, 3) uint8 code values as a PNG that, if `tagged`, says it is sRGB.

    The same picture gives the same bytes. Raises OutputError if the file cannot be written.
    """
    rows = image[..., np.newaxis] if image.ndim == 2 else image
    height, width, planes = rows.shape
    with PngWriter(path, (width, height), planes, 8, tagged=tagged) as writer:
        writer.write(rows)


def upright(image: npt.NDArray[Any], orientation: int) -> npt.NDArray[Any]:
    """Return an upright view of `image` (H, W, C); orientation: the EXIF orientation in which it is stored."""
    if orientation in (5, 6, 7, 8):
        image = np.swapaxes(image, 0, 1)
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    return image


def _as_stored(image: FloatArray, orientation: int) -> FloatArray:
    """Return a writable view of the upright `image` (H, W, C) in the EXIF orientation in which a file stores it."""
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    if orientation in (5, 6, 7, 8):
        image = np.swapaxes(image, 0, 1)
    return image
