"""Colours as a file declares them → sRGB code values of 16 bits, as a step of libvips' pipeline."""

import io
import struct
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import ImageCms

from ..errors import InputError
from . import cicp
from .colour_space import D50, ColourSpace, to_linear_srgb
from .files import first_line
from .icc import Profile
from .stored import BANDS, Mode, Stored
from .vips import image_of, pyvips

Conversion = Callable[[Any], Any]
"""pyvips.Image with the channels of a `Stored` → one with sRGB of 16 bits, and alpha of 16 bits if there is any."""

_STEPS: Final = 1 << 16
"""Steps of the root of light by which code values are looked up, as many as libvips allows: what is found is the
right code value or one beside it."""

_SAME: Final = 1.0
"""Code values of 8 bits up to which colours that come out are those that went in, whatever a profile is called."""


def conversion_of(stored: Stored, path: Path, cmyk_profile: Path | None = None) -> Conversion | None:
    """Return the way from the colours of `stored` to sRGB; None if they are sRGB, or nothing better is known.

    cmyk_profile: an ICC profile for inks without one of their own. Warns, naming `path`, of a profile that is of no
    use and is passed over, and of inks that no profile describes. Raises InputError for high dynamic range, and for
    a `cmyk_profile` that is none.
    """
    if stored.mode == "LAB":
        return lambda image: _with_alpha(image, 3, _from_lab)
    found = _from_colours(stored, path)
    if stored.mode == "CMYK" and found is None:
        found = _named(cmyk_profile) if cmyk_profile is not None else None
        if found is None:
            warnings.warn(
                f"{path} is CMYK without a profile, its inks are taken for ideal ones: name one by --cmyk-profile",
                stacklevel=5,
            )
    if found is None or _changes_nothing(found, stored.mode):
        return None
    convert, bands = found, BANDS[stored.mode]
    return lambda image: _with_alpha(image, bands, convert)


def _from_colours(stored: Stored, path: Path) -> Conversion | None:
    """Return the way from what the file says of its colours, if it says anything that can be used."""
    if stored.colours is None:
        return None
    try:
        if isinstance(stored.colours, ColourSpace):
            return _by_tables(stored.colours)
        return _by_profile(Profile(stored.colours), stored.mode, path)
    except InputError:
        raise
    except (ImageCms.PyCMSError, OSError, ValueError, struct.error, IndexError) as error:
        warnings.warn(f"{path}: its colour profile is passed over ({first_line(error)})", stacklevel=6)
        return None


def _named(path: Path) -> Conversion:
    """Return the way from inks by the profile in the file `path`; raises InputError if there is none in it."""
    try:
        return _by_profile(Profile(path.read_bytes()), "CMYK", path)
    except InputError:
        raise
    except (ImageCms.PyCMSError, OSError, ValueError, struct.error, IndexError) as error:
        raise InputError(
            f"cmyk-profile is {path}, which is no ICC profile for CMYK ({first_line(error)}): give an .icc file"
        ) from None


def _by_profile(profile: Profile, mode: Mode, path: Path) -> Conversion:
    """Return the way by an ICC profile; raises ValueError if it is not one for pictures of `mode`."""
    if profile.transfer is not None:
        cicp.refuse_hdr(profile.transfer, path)
    space = profile.space()
    if mode == "L" and profile.mode == "RGB" and space is not None:
        # Equal values of red, green and blue are grey, and as light as the curve says.
        return _by_tables(ColourSpace.grey(space.curves[1]))
    if profile.mode != mode:
        raise ValueError(f"it is for {profile.mode or 'other colours'}, the picture is {mode}")
    return _by_lcms(profile.data, mode) if space is None else _by_tables(space)


def _by_tables(space: ColourSpace) -> Conversion:
    """Return the way by curve, matrix and curve."""
    matrix = None if space.to_xyz is None else to_linear_srgb(space.to_xyz)

    def convert(colours: Any) -> Any:
        codes = 65536 if colours.format == "ushort" else 256
        light = colours.maplut(image_of(space.light(codes)[np.newaxis].astype(np.float32)))
        return _encoded(light if matrix is None else light.recomb(image_of(matrix)))

    return convert


def _by_lcms(profile: bytes, mode: Mode) -> Conversion:
    """Return the way by lcms; raises PyCMSError if it cannot take this profile."""
    # libvips would pass over what is broken, and say nothing.
    opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    ImageCms.buildTransform(opened, ImageCms.createProfile("sRGB"), mode, "RGB")

    def convert(colours: Any) -> Any:
        names = {"L": ("b-w", "grey16"), "RGB": ("srgb", "rgb16"), "CMYK": ("cmyk", "cmyk")}[mode]
        named = colours.copy(interpretation=names[colours.format == "ushort"])
        named.set_type(pyvips().GValue.blob_type, "icc-profile-data", profile)
        srgb = named.icc_transform("srgb", embedded=True, depth=16, intent="perceptual")
        return srgb.extract_band(1) if mode == "L" else srgb

    return convert


def _from_lab(lab: Any) -> Any:
    """Return sRGB of L*a*b* under D50, the white of TIFF files (TIFF 6.0, section 23)."""
    xyz = lab.copy(interpretation="lab").Lab2XYZ(temp=list(100 * D50))
    return _encoded(xyz.recomb(image_of(to_linear_srgb(np.eye(3) / 100))))


def _encoded(light: Any) -> Any:
    """Return sRGB code values of 16 bits of linear light; what is out of gamut is cut off plane by plane."""
    steps = (light.clamp() ** 0.5 * (_STEPS - 1) + 0.5).cast("ushort")
    return steps.maplut(image_of(_code_values())).copy(interpretation="grey16" if light.bands == 1 else "rgb16")


@cache
def _code_values() -> Any:
    """Return the code value of 16 bits at every step, (1, steps, 1) (IEC 61966-2-1)."""
    light = (np.arange(_STEPS) / (_STEPS - 1)) ** 2
    values = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.rint(values * 65535).astype(np.uint16)[np.newaxis, :, np.newaxis]


def _with_alpha(image: Any, bands: int, convert: Conversion) -> Any:
    """Return `image` with its first `bands` converted, the one behind them as alpha of 16 bits."""
    if image.bands == bands:
        return convert(image)
    alpha = image.extract_band(bands)
    deep = (alpha * 257).cast("ushort") if alpha.format == "uchar" else alpha.cast("ushort")
    return convert(image.extract_band(0, n=bands)).bandjoin(deep)


def _changes_nothing(convert: Conversion, mode: Mode) -> bool:
    """Whether colours come out as they go in: then code values are left untouched, to the last bit."""
    if mode == "CMYK":
        return False
    ramp = np.arange(256, dtype=np.uint8)
    grid = np.stack(np.meshgrid(*3 * [ramp[::17]], indexing="ij"), axis=-1).reshape(-1, 3)
    probe = ramp[:, np.newaxis] if mode == "L" else np.concatenate([grid, np.repeat(ramp[:, np.newaxis], 3, 1)])
    found = convert(image_of(probe[np.newaxis]))
    codes = np.frombuffer(found.write_to_memory(), np.uint16).reshape(probe.shape)
    return bool(np.abs(codes / 257 - probe).max() <= _SAME)
