"""The only place that reads or writes picture files, of any size: in bands of rows, little of them held at a time.

libvips decodes; Pillow converts colours by profile, and decodes what libvips does not know. What is written is
put together here, so that its bytes are the same however the rows come.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..arrays import FloatArray, check_size
from .files import write_bytes
from .picture import FORMATS, Picture, open_picture
from .png import PngWriter
from .tiff import TiffWriter

__all__ = [
    "FORMATS",
    "FloatArray",
    "Picture",
    "PngWriter",
    "TiffWriter",
    "load",
    "open_picture",
    "save_png",
    "upright",
    "write_bytes",
]

_BAND_BYTES = 4 << 20


def load(path: Path) -> FloatArray:
    """Return the picture in the file `path` as (H, W, C) float32 sRGB in [0, 1], C = 1 for grey or 3.

    Turned as its EXIF orientation says, converted to sRGB if it carries a colour profile, alpha laid over
    white, CMYK converted. Raises InputError, naming the file, if there is no whole picture in it.
    """
    picture = open_picture(path)
    check_size(picture.size, str(path))
    width, height = picture.size
    image = np.empty((height, width, picture.planes), np.float32)
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
