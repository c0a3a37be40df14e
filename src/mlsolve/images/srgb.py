"""The colours of a stored picture, made sRGB."""

import io
import warnings
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

from .files import first_line
from .stored import BANDS, Mode, Stored

Transform = ImageCms.ImageCmsTransform


def to_srgb(stored: Stored, path: Path) -> Transform | None:
    """Return the way from the profile of `stored` to sRGB: none if it is sRGB itself, or has none or a broken one.

    A profile that is of no use is passed over with a warning that names `path`.
    """
    if not stored.profile:
        return None
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(stored.profile))
        # Most pictures carry some edition of sRGB: their code values are left untouched.
        if "srgb" in ImageCms.getProfileDescription(profile).lower():
            return None
        return ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), stored.mode, "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError) as error:
        warnings.warn(f"{path}: its colour profile is passed over ({first_line(error)})", stacklevel=4)
        return None


def in_srgb(chunk: npt.NDArray[Any], stored: Stored, transform: Transform | None) -> npt.NDArray[np.uint16]:
    """Return `chunk` (h, w, channels) of `stored` as (h, w, planes) uint16 sRGB code values, alpha over white."""
    channels = BANDS[stored.mode]
    colours, alpha = chunk[..., :channels], chunk[..., channels:]
    if transform is not None or stored.mode == "CMYK":
        # lcms works in 8 bits here, and right colours matter more than fine ones.
        if colours.dtype == np.uint16:
            colours = (colours >> 8).astype(np.uint8)
        colours = _converted(colours, stored.mode, transform)
    codes = _sixteen_bits(colours)
    if not stored.alpha:
        return np.ascontiguousarray(codes)
    return _over_white(codes, _sixteen_bits(alpha))


def _converted(colours: npt.NDArray[np.uint8], mode: Mode, transform: Transform | None) -> npt.NDArray[np.uint8]:
    height, width = colours.shape[:2]
    picture = Image.frombuffer(mode, (width, height), np.ascontiguousarray(colours), "raw", mode, 0, 1)
    if transform is not None:
        picture = ImageCms.applyTransform(picture, transform) or picture
    return np.asarray(picture.convert("L" if mode == "L" else "RGB")).reshape(height, width, -1)


def _sixteen_bits(codes: npt.NDArray[Any]) -> npt.NDArray[np.uint16]:
    return codes if codes.dtype == np.uint16 else codes * np.uint16(257)


_WHITE: Final = np.uint32(65535)


def _over_white(codes: npt.NDArray[np.uint16], alpha: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint16]:
    """Return `codes` (h, w, planes) under `alpha` (h, w, 1) over white, rounded to the nearest."""
    through = alpha.astype(np.uint32)
    # The largest sum is 65535² + 32767, which just fits.
    mixed = codes * through + _WHITE * (_WHITE - through) + np.uint32(32767)
    return np.asarray(mixed // _WHITE, dtype=np.uint16)
