"""Transfer curves, encoded transmittance, density limits, exposure (docs/maths.md §1).

Three scales occur. *sRGB*: the code values of files and of the public interface, [0, 1]. *Light*: linear
transmittance t in [0, 1]. *Encoded transmittance* x = t^(1/2.2): what the solver works in, because the
product of encoded layers is the encoded light through the stack.
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
"""Exponent of the encoding. A pure power, so that it commutes with products."""

_PIECE: Final = 1 << 15
"""Values that are brought through a curve together."""


def light_from_srgb(code: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Return linear light for sRGB `code` values in [0, 1], any shape (IEC 61966-2-1)."""
    return np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)


def srgb_from_light(light: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Return sRGB code values for linear `light` in [0, 1], any shape (IEC 61966-2-1)."""
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * np.maximum(light, 0) ** (1 / 2.4) - 0.055)


def encode(srgb: FloatArray) -> FloatArray:
    """Return the encoded transmittance, float32, of sRGB code values in [0, 1], any shape."""
    return _piecewise(lambda code: light_from_srgb(code) ** (1 / GAMMA), srgb)


def decode(encoded: FloatArray) -> FloatArray:
    """Return the sRGB code values, float32 in [0, 1], of encoded transmittance, any shape."""
    return _piecewise(lambda value: srgb_from_light(np.clip(value, 0, 1) ** GAMMA), encoded)


def _piecewise(curve: Callable[[FloatArray], npt.NDArray[np.floating]], values: FloatArray) -> FloatArray:
    """Return curve(values), float32, taken in pieces: what lies between its steps then stays in the cache."""
    flat = np.ravel(values)
    result = np.empty(flat.shape, dtype=np.float32)
    for start in range(0, flat.size, _PIECE):
        result[start : start + _PIECE] = curve(flat[start : start + _PIECE])
    return result.reshape(np.shape(values))


def exposure_scale(exposure: float) -> float:
    """Return s = e^(1/2.2), by which the product of encoded layers is divided to give the stack as seen."""
    return float(exposure ** (1 / GAMMA))


def printable_range(min_density: float, max_density: float) -> tuple[float, float]:
    """Return the encoded transmittances (darkest, lightest) of optical densities D, t = 10^-D."""
    return float(10 ** (-max_density / GAMMA)), float(10 ** (-min_density / GAMMA))


def compose(layers: "npt.ArrayLike | Sequence[npt.ArrayLike]", exposure: float = 1.0) -> FloatArray:
    """Return the stack of `layers` as it is seen on a light box that is 1/exposure brighter than white.

    layers: (N, H, W), (N, H, W, 3) or (N, H, W, 4), or a sequence of N such pictures; sRGB code values as
    uint8, uint16 or float in [0, 1]. exposure: in (0, 1]. Returns (H, W, C) float32 sRGB in [0, 1]; light
    beyond white is cut off. The light through the sheets multiplies, is divided by the exposure and
    encoded again. Raises InputError for pictures that do not fit together, OptionError for the exposure.
    """
    check_exposure(exposure)
    return composite(same_planes(list(layers), "layer"), exposure)  # type: ignore[arg-type]


def composite(images: "Iterable[FloatArray]", exposure: float) -> FloatArray:
    """Return what `compose` returns of `images`, each (h, W, C) float32 sRGB in [0, 1], which may be a few rows."""
    light = pictures_of().composite((light_from_srgb(image) for image in images), exposure)
    return np.asarray(srgb_from_light(light), dtype=np.float32)
