"""The only place that reads or writes picture files.

Pillow opens a file: it knows EXIF orientation, colour profiles and CMYK and notices cut files. It holds
8 bits a channel, so pictures with 16 are taken from OpenCV's decoder instead.
"""

import io
import os
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from .arrays import as_image
from .errors import InputError, OutputError

FloatArray = npt.NDArray[np.float32]

_COMPRESSION: Final = (cv2.IMWRITE_PNG_COMPRESSION, 3, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE)
"""Layers are all but noise, where zlib looks for repetitions in vain: this way files are smaller than by Pillow's
defaults, and written in a third of the time."""

_HEADER_ENDS: Final = 33
"""Bytes of a PNG before the second chunk: the signature, and IHDR with its length, name and checksum."""

_SAYS_SRGB: Final = struct.pack(">I5sI", 1, b"sRGB\0", zlib.crc32(b"sRGB\0"))
"""A chunk that says the picture is sRGB, rendering intent perceptual (PNG specification, 11.3.2.5)."""

FORMATS: Final = ("PNG", "JPEG", "TIFF", "WEBP", "BMP", "PPM")
"""Formats that are read, by content, whatever the file is called."""


def load(path: Path) -> FloatArray:
    """Return the picture in the file `path` as (H, W, C) float32 sRGB in [0, 1], C = 1 for grey or 3.

    Turned as its EXIF orientation says, converted to sRGB if it carries a colour profile, alpha laid over
    white, CMYK converted. Raises InputError, naming the file, if there is no whole picture in it.
    """
    data = _read(path)
    with _unlimited_pixels():
        try:
            with warnings.catch_warnings():
                # Pillow warns of what it finds odd on its way to an error; the error says it all.
                warnings.simplefilter("ignore")
                picture = Image.open(io.BytesIO(data), formats=FORMATS)
                picture.load()
        except UnidentifiedImageError:
            raise InputError(
                f"{path} is no picture mlsolve can read: give PNG, JPEG, TIFF, WebP, BMP or PPM"
            ) from None
        except Exception as error:
            # Decoders raise whatever they stumble over (OSError, SyntaxError, struct.error, …).
            raise InputError(f"{path} is cut off or damaged ({_first_line(error)}): get a whole copy") from None
        array: npt.NDArray[Any] | None = None
        # Profiles are converted in 8 bits only, and right colours matter more than fine ones.
        profile = _foreign_profile(picture, path)
        if profile is None:
            array = _sixteen_bits(data, picture)
        if array is None:
            array = _eight_bits(picture, profile, path)
    return as_image(array, str(path))


def save_png(path: Path, image: npt.NDArray[np.uint8]) -> None:
    """Write `image` (H, W), (H, W, 1) or (H, W, 3) uint8 sRGB code values as a PNG that says it is sRGB.

    The same picture gives the same bytes. Raises OutputError if the file cannot be written.
    """
    colour = image.ndim == 3 and image.shape[2] == 3
    _, encoded = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if colour else image, _COMPRESSION)
    data = encoded.tobytes()
    write_bytes(path, data[:_HEADER_ENDS] + _SAYS_SRGB + data[_HEADER_ENDS:])


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path`, whole or not at all; raise OutputError, in one line, if it cannot be."""
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    try:
        try:
            partial.write_bytes(data)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}") from None


def _read(path: Path) -> bytes:
    """Return the bytes of `path`, or raise InputError."""
    if path.is_dir():
        raise InputError(f"{path} is a folder: give a picture file")
    if path.exists() and not path.is_file():
        raise InputError(f"{path} is no regular file: give a picture file")
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: check the name") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {_first_line(error)}") from None
    if not data:
        raise InputError(f"{path} is empty: give a picture file")
    return data


def _eight_bits(
    picture: Image.Image, profile: ImageCms.ImageCmsProfile | None, path: Path
) -> npt.NDArray[np.uint8]:
    """Return a loaded 8-bit picture as (H, W) or (H, W, C) uint8 sRGB; profile: its own, if it is not sRGB."""
    turned = ImageOps.exif_transpose(picture)
    if turned.mode not in _EIGHT_BIT_MODES:
        raise InputError(f"{path} holds pixels of type {turned.mode}: save it as 8- or 16-bit PNG or TIFF")
    grey = turned.mode in ("1", "L", "LA")
    alpha: Image.Image | None = None
    if turned.has_transparency_data:
        with_alpha = turned.convert("LA" if grey else "RGBA")
        alpha, turned = with_alpha.getchannel("A"), with_alpha.convert("L" if grey else "RGB")
    elif turned.mode != "CMYK":
        turned = turned.convert("L" if grey else "RGB")
    if profile is not None:
        turned = _to_srgb(turned, profile, path)
    turned = turned.convert("L" if grey else "RGB")
    return np.asarray(turned) if alpha is None else np.dstack([np.asarray(turned), np.asarray(alpha)])


_EIGHT_BIT_MODES: Final = ("1", "L", "LA", "RGB", "RGBA", "RGBX", "CMYK", "P", "PA", "YCbCr", "LAB", "HSV")


def _foreign_profile(picture: Image.Image, path: Path) -> ImageCms.ImageCmsProfile | None:
    """Return the colour profile to convert `picture` from: none for sRGB itself, or if it is broken."""
    data = picture.info.get("icc_profile")
    if not data:
        return None
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(data))
        # Most pictures carry some edition of sRGB: their code values are left untouched.
        return None if "srgb" in ImageCms.getProfileDescription(profile).lower() else profile
    except (ImageCms.PyCMSError, OSError, ValueError) as error:
        _pass_over(path, error)
        return None


def _to_srgb(picture: Image.Image, profile: ImageCms.ImageCmsProfile, path: Path) -> Image.Image:
    """Return `picture` (L, RGB or CMYK) as RGB, converted from `profile`; a useless profile is passed over."""
    try:
        converted = ImageCms.profileToProfile(picture, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, ValueError) as error:
        _pass_over(path, error)
        return picture
    return picture if converted is None else converted


def _pass_over(path: Path, error: Exception) -> None:
    warnings.warn(f"{path}: its colour profile is passed over ({_first_line(error)})", stacklevel=5)


def _sixteen_bits(data: bytes, picture: Image.Image) -> npt.NDArray[np.uint16] | None:
    """Return a picture of 16 bits a channel as (H, W, C) uint16, or None if it has fewer.

    OpenCV leaves the orientation to us (IMREAD_UNCHANGED) and gives blue first.
    """
    if picture.format == "PNG":
        bits = data[24]  # in the header chunk, behind width and height
    elif picture.format == "TIFF":
        bits = int(np.max(picture.getexif().get(_BITS_PER_SAMPLE, 8)))
    else:
        return None
    if bits != 16:
        return None
    # OpenCV warns on standard error of tags it passes over.
    before = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
    decoded = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    cv2.utils.logging.setLogLevel(before)
    if decoded is None or decoded.dtype != np.uint16:
        return None
    if decoded.ndim == 3 and decoded.shape[2] >= 3:
        decoded = decoded[..., [2, 1, 0, 3][: decoded.shape[2]]]
    return np.asarray(_turn(decoded, picture.getexif().get(_ORIENTATION, 1)))


_BITS_PER_SAMPLE: Final = 0x0102
"""TIFF tag of the bits a channel has."""

_ORIENTATION: Final = 0x0112
"""EXIF tag of the orientation, 1 to 8 (EXIF 2.3, §4.6.4)."""


def _turn(array: npt.NDArray[Any], orientation: int) -> npt.NDArray[Any]:
    """Return `array` (H, W, …) upright, given its EXIF orientation."""
    if orientation in (5, 6, 7, 8):
        array = np.swapaxes(array, 0, 1)
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    return np.ascontiguousarray(array)


@contextmanager
def _unlimited_pixels() -> Iterator[None]:
    """Let Pillow open prints of any size: its guard against decompression bombs stops at 179 megapixels."""
    before = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = before


def _first_line(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text).splitlines()[0]
