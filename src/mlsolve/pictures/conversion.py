"""Converts the colours of a file, as it declares them, to 16-bit sRGB code values."""

import io
import struct
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import ImageCms

from ..errors import InputError, first_line
from .colour import srgb_from_light
from .declared import cicp
from .declared.colour_space import D50, ColourSpace, Mode, to_linear_srgb
from .declared.icc import Profile
from .decoders.stored import BANDS, Stored
from .decoders.vips import image_of, pyvips

Rows = npt.NDArray[Any]
"""(h, width, bands) uint8 or uint16 codes as decoded, without alpha."""

_STEPS: Final = 1 << 16
"""Number of steps in the table from the square root of light to 16-bit code values.

A value found in it is exact or differs by one.
"""

_NAMES: Final[dict[Mode | None, str]] = {"L": "grey", "RGB": "RGB", "CMYK": "CMYK", "LAB": "CIELAB"}

_SAME: Final = 1.0
"""A conversion that changes no colour by more than this, in 8-bit code values, is taken for the identity."""

_UNREADABLE: Final = (ImageCms.PyCMSError, OSError, ValueError, struct.error, IndexError)
"""Exceptions raised when a profile is read that is not valid."""


@dataclass(frozen=True)
class Conversion:
    """A conversion to 16-bit sRGB, either applied to decoded rows or, with lcms, a step of the libvips pipeline."""

    on_rows: Callable[[Rows], npt.NDArray[np.uint16]] | None = None
    """Converts (h, width, bands) codes to (h, width, planes) uint16 sRGB."""
    in_pipeline: Callable[[Any], Any] | None = None
    """Converts a pyvips.Image of the colours to one of 16-bit sRGB."""


def conversion_of(stored: Stored, path: Path, cmyk_profile: Path | None = None) -> Conversion | None:
    """Return the conversion from the colours of `stored` to sRGB; None if they are sRGB, or are assumed to be.

    cmyk_profile: an ICC profile for CMYK files that contain none. Warns, naming `path`, if the file's profile is
    unusable and therefore ignored, and if a CMYK file has no profile. Raises InputError for high dynamic range, and
    if `cmyk_profile` is not an ICC profile for CMYK.
    """
    if stored.mode == "LAB":
        return Conversion(_from_lab)
    found = _declared(stored, path)
    if stored.mode == "CMYK" and found is None:
        if cmyk_profile is not None:
            return _named(cmyk_profile)
        warnings.warn(
            f"{path} is CMYK without a usable profile: ideal inks are assumed, which are brighter than real ones; "
            "give a profile with --cmyk-profile",
            stacklevel=5,
        )
        return Conversion(_from_ideal_inks)
    if found is None or _changes_nothing(found, stored.mode):
        return None
    return found


def _declared(stored: Stored, path: Path) -> Conversion | None:
    """Return the conversion that the file declares; None if it declares none, or none that is usable."""
    if stored.colours is None:
        return None
    try:
        if isinstance(stored.colours, ColourSpace):
            return _by_tables(stored.colours)
        return _by_profile(Profile(stored.colours), stored.mode, path)
    except InputError:
        raise
    except _UNREADABLE as error:
        warnings.warn(f"{path}: its colour profile is ignored ({_reason(error)})", stacklevel=6)
        return None


def _named(path: Path) -> Conversion:
    """Return the conversion from CMYK by the ICC profile in the file `path`; raises InputError if it has none."""
    if not path.is_file():
        raise InputError(f"cmyk-profile is {path}, which is not a file: check the name")
    try:
        return _by_profile(Profile(path.read_bytes()), "CMYK", path)
    except InputError:
        raise
    except _UNREADABLE as error:
        raise InputError(
            f"cmyk-profile is {path}, which is not an ICC profile for CMYK ({_reason(error)}): give an .icc file"
        ) from None


def _reason(error: Exception) -> str:
    """Return in words why a profile cannot be used."""
    return "it is truncated" if isinstance(error, struct.error | IndexError) else first_line(error)


def _by_profile(profile: Profile, mode: Mode, path: Path) -> Conversion:
    """Return the conversion by an ICC profile; raises ValueError if it is not for pictures of `mode`."""
    if profile.transfer is not None:
        cicp.refuse_hdr(profile.transfer, path)
    space = profile.space()
    if mode == "L" and profile.mode == "RGB" and space is not None:
        # Equal values of red, green and blue are grey, with the light that the curve gives.
        return _by_tables(ColourSpace.grey(space.curves[1]))
    if profile.mode != mode:
        raise ValueError(f"it is for {_NAMES.get(profile.mode, 'other colours')}, the picture is {_NAMES[mode]}")
    return _by_lcms(profile.data, mode) if space is None else _by_tables(space)


def _by_tables(space: ColourSpace) -> Conversion:
    """Return the conversion by curves, a matrix and the sRGB curve."""
    matrix = None if space.to_xyz is None else to_linear_srgb(space.to_xyz).astype(np.float32)

    @cache
    def tables(codes: int) -> npt.NDArray[np.float32]:
        return np.ascontiguousarray(space.light(codes).astype(np.float32).T)

    def convert(rows: Rows) -> npt.NDArray[np.uint16]:
        curves = tables(65536 if rows.dtype == np.uint16 else 256)
        planes = [curve[rows[..., plane]] for plane, curve in enumerate(curves)]
        light = np.stack(planes, axis=-1)
        return _encoded(light if matrix is None else light @ matrix.T)

    return Conversion(convert)


def _by_lcms(profile: bytes, mode: Mode) -> Conversion:
    """Return the conversion by lcms; raises PyCMSError if lcms rejects the profile."""
    # Checked here, because libvips silently ignores a broken profile.
    opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    ImageCms.buildTransform(opened, ImageCms.createProfile("sRGB"), mode, "RGB")

    def convert(colours: Any) -> Any:
        names = {"L": ("b-w", "grey16"), "RGB": ("srgb", "rgb16"), "CMYK": ("cmyk", "cmyk")}[mode]
        named = colours.copy(interpretation=names[colours.format == "ushort"])
        named.set_type(pyvips().GValue.blob_type, "icc-profile-data", profile)
        srgb = named.icc_transform("srgb", embedded=True, depth=16, intent="perceptual")
        return srgb.extract_band(1) if mode == "L" else srgb

    return Conversion(in_pipeline=convert)


def _from_lab(rows: Rows) -> npt.NDArray[np.uint16]:
    """Return sRGB for CIELAB `rows` (h, width, 3) under D50, the white of TIFF files (TIFF 6.0, section 23).

    Rows are encoded as in ICC profiles (ICC.1:2022, 6.3.4.2), those of 16 bits as in version 2: a* and b* start at
    -128, and the L* of white is 65280.
    """
    unit = np.float32(256 if rows.dtype == np.uint16 else 1)
    lightness, a, b = (rows[..., k].astype(np.float32) / unit for k in range(3))
    y = (lightness * np.float32(100 / 255) + 16) / 116
    roots = np.stack([y + (a - 128) / 500, y, y - (b - 128) / 200], axis=-1)
    # The inverse of CIE 15:2004, 8.2.1.
    line = (roots - np.float32(4 / 29)) * np.float32(3 * (6 / 29) ** 2)
    xyz = np.where(roots > np.float32(6 / 29), roots**3, line) * D50.astype(np.float32)
    return _encoded(xyz @ to_linear_srgb(np.eye(3)).astype(np.float32).T)


def _from_ideal_inks(rows: Rows) -> npt.NDArray[np.uint16]:
    """Return sRGB for CMYK `rows` (h, width, 4) of ideal inks: red is (1 - C)·(1 - K), and so on for M and Y."""
    white = 65535 if rows.dtype == np.uint16 else 255
    left = (white - rows.astype(np.uint32)).astype(np.uint32)
    through = left[..., :3] * left[..., 3:]  # at most 65535²
    if white == 255:
        through *= 65535 // 255
    return np.asarray((through + np.uint32(white // 2)) // np.uint32(white), dtype=np.uint16)


def _encoded(light: npt.NDArray[np.float32]) -> npt.NDArray[np.uint16]:
    """Return linear `light` as 16-bit sRGB code values, clipped to the gamut plane by plane. Overwrites `light`."""
    np.clip(light, 0, 1, out=light)
    np.sqrt(light, out=light)
    light *= np.float32(_STEPS - 1)
    light += np.float32(0.5)
    return np.asarray(_code_values()[light.astype(np.uint16)])


@cache
def _code_values() -> npt.NDArray[np.uint16]:
    """Return the 16-bit code value of every step, (_STEPS,)."""
    light = (np.arange(_STEPS) / (_STEPS - 1)) ** 2
    return np.asarray(np.rint(srgb_from_light(light) * 65535), dtype=np.uint16)


def _changes_nothing(conversion: Conversion, mode: Mode) -> bool:
    """Return whether `conversion` leaves colours unchanged: then code values are kept exactly as they are."""
    if mode == "CMYK":
        return False
    ramp = np.arange(256, dtype=np.uint8)
    grid = np.stack(np.meshgrid(*3 * [ramp[::17]], indexing="ij"), axis=-1).reshape(1, -1, 3)
    greys = np.repeat(ramp[np.newaxis, :, np.newaxis], BANDS[mode], axis=2)
    probe = greys if mode == "L" else np.concatenate([grid, greys], axis=1)
    if conversion.on_rows is not None:
        codes = conversion.on_rows(probe)
    else:
        assert conversion.in_pipeline is not None
        found = conversion.in_pipeline(image_of(probe))
        codes = np.frombuffer(found.write_to_memory(), np.uint16).reshape(probe.shape)
    return bool(np.abs(codes / 257 - probe).max() <= _SAME)
