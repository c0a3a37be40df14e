"""Transfer curves, encoded transmittance, density limits, exposure (docs/maths.md §1).

There are three scales. *sRGB*: the code values of files and of the public interface, in [0, 1]. *Light*: linear
transmittance t in [0, 1]. *Encoded transmittance*: x = t^(1/2.2), on which the solver works, because the product of
encoded layers is the encoded light through the stack.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from mlsolve_kernels.light import pictures_of

from ..ranges import check_exposure
from .arrays import same_planes

FloatArray = npt.NDArray[np.float32]

GAMMA: Final = 2.2
"""Exponent of the encoding. It is a pure power, so encoding commutes with multiplication."""

_PIECE: Final = 1 << 15
"""Number of values to which a curve is applied at a time."""


def light_from_srgb(code: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Return linear light for sRGB `code` values in [0, 1], any shape (IEC 61966-2-1)."""
    return np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)


def srgb_from_light(light: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Return sRGB code values for linear `light` in [0, 1], any shape (IEC 61966-2-1)."""
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * np.maximum(light, 0) ** (1 / 2.4) - 0.055)


LUMINANCE: Final = (0.2126, 0.7152, 0.0722)
"""Shares of red, green and blue light in luminance (ITU-R BT.709)."""


def as_planes(image: FloatArray, planes: int) -> FloatArray:
    """Return `image` (H, W, 1 or 3), float32 sRGB in [0, 1], with `planes` planes: the grey of its luminance, or
    three times the same."""
    if image.shape[2] == planes:
        return image
    if planes == 3:
        return np.repeat(image, 3, axis=2)
    light = light_from_srgb(image) @ np.array(LUMINANCE)
    return np.asarray(srgb_from_light(np.clip(light, 0, 1)), dtype=np.float32)[..., np.newaxis]


def put_srgb(light: FloatArray, out: FloatArray, dark: npt.NDArray[np.bool_]) -> None:
    """Write `srgb_from_light(light)` into `out`, to the same bits but without new arrays.

    light: 0 or more, float32. out, dark: of the same shape; dark is overwritten.
    """
    np.power(light, 1 / 2.4, out=out)
    np.multiply(out, 1.055, out=out)
    np.subtract(out, 0.055, out=out)
    np.less_equal(light, 0.0031308, out=dark)
    np.multiply(light, 12.92, out=out, where=dark)


def put_light(srgb: FloatArray, out: FloatArray, dark: npt.NDArray[np.bool_]) -> None:
    """Write `light_from_srgb(srgb)` into `out`, to the same bits but without new arrays; arguments as above."""
    np.add(srgb, 0.055, out=out)
    np.divide(out, 1.055, out=out)
    np.power(out, 2.4, out=out)
    np.less_equal(srgb, 0.04045, out=dark)
    np.divide(srgb, 12.92, out=out, where=dark)


def encode(srgb: FloatArray) -> FloatArray:
    """Return the encoded transmittance, float32 in [0, 1], of sRGB code values in [0, 1], any shape."""
    return _piecewise(lambda code: light_from_srgb(code) ** (1 / GAMMA), srgb)


def decode(encoded: FloatArray) -> FloatArray:
    """Return the sRGB code values, float32 in [0, 1], of encoded transmittance, any shape."""
    return _piecewise(lambda value: srgb_from_light(np.clip(value, 0, 1) ** GAMMA), encoded)


def _piecewise(curve: Callable[[FloatArray], npt.NDArray[np.floating]], values: FloatArray) -> FloatArray:
    """Return curve(values), float32, computed in pieces so that intermediate results stay in the cache."""
    flat = np.ravel(values)
    result = np.empty(flat.shape, dtype=np.float32)
    for start in range(0, flat.size, _PIECE):
        result[start : start + _PIECE] = curve(flat[start : start + _PIECE])
    return result.reshape(np.shape(values))


def exposure_scale(exposure: float) -> float:
    """Return s = exposure^(1/2.2): the product of encoded layers divided by s is the stack as seen, encoded."""
    return float(exposure ** (1 / GAMMA))


def printable_range(min_density: float, max_density: float) -> tuple[float, float]:
    """Return the encoded transmittances (darkest, lightest) for optical densities D, where t = 10^-D."""
    return float(10 ** (-max_density / GAMMA)), float(10 ** (-min_density / GAMMA))


def compose(layers: "npt.ArrayLike | Sequence[npt.ArrayLike]", exposure: float = 1.0) -> FloatArray:
    """Return the stack of `layers` as seen on a light box 1/exposure times as bright as white.

    layers: (N, H, W), (N, H, W, 3) or (N, H, W, 4), or a sequence of N such pictures; sRGB code values as uint8,
    uint16 or float in [0, 1]. exposure: in [MIN_EXPOSURE, 1]. Returns (H, W, C) float32 sRGB in [0, 1].

    The linear transmittances are multiplied, divided by the exposure, clipped at white and converted to sRGB.
    Raises InputError for pictures that cannot be used or differ in size, OptionError for an exposure out of range.
    """
    check_exposure(exposure)
    return composite(same_planes(list(layers), "layer"), exposure)  # type: ignore[arg-type]


def composite(images: "Iterable[FloatArray]", exposure: float) -> FloatArray:
    """Return the stack of `images`, as `compose` does, without checks.

    images: each (h, W, C) float32 sRGB in [0, 1]; they may be a band of rows. Returns the same shape and type.
    """
    light = pictures_of().composite((light_from_srgb(image) for image in images), exposure)
    return np.asarray(srgb_from_light(light), dtype=np.float32)
