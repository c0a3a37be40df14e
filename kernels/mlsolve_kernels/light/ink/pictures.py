"""The light of inks for pictures outside an iteration: code values of layers as what their sheets let through.

On the CPU alone, in float64; a pixel's value depends on nothing but its codes.
"""

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ...compiled import kernel
from .inks import Inks
from .reference import GAMMA, curve

Codes = npt.NDArray[Any]
FloatArray = npt.NDArray[np.float32]
Array = npt.NDArray[np.float64]

_GAMMA: Final = GAMMA
_HIGHEST: Final = 65535.0


class Film(NamedTuple):
    """What kernels know of inks here."""

    base: Array
    """(B,): the logarithm of the encoded transmittance of the clear sheet."""
    curves: Array
    """(B, C, codes): the logarithm of the encoded transmittance of every channel's ink, by its code."""
    to_eye: Array
    """(P, B)."""
    reflectance: float


def film_of(inks: Inks, values: npt.NDArray[np.floating]) -> Film:
    """Return what kernels know of inks; values: the layer value in [0, 1] of every code, (256,) or (65536,)."""
    return Film(
        np.log(np.array(inks.base)),
        np.array([[np.log(curve(points, values)) for points in band] for band in inks.curves]),
        np.array(inks.to_eye, dtype=np.float64),
        float(inks.reflectance),
    )


@kernel
def _code_of_light(light: float) -> np.uint16:
    """Return the 16-bit sRGB code of linear light, clipped to [0, 1]."""
    light = min(max(light, 0.0), 1.0)
    srgb = 12.92 * light if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055
    return np.uint16(srgb * _HIGHEST + 0.5)


@kernel
def develop_codes(film: Film, codes: Codes, out: Codes) -> None:
    """Store the light that a sheet lets through in bands in `out`, (h, W, B) uint16 sRGB codes.

    codes: of a layer, (h, W, C) uint8 or uint16.
    """
    height, width, channels = codes.shape
    for y in range(height):
        for x in range(width):
            for b in range(channels):
                density = film.base[b]
                for i in range(channels):
                    density += film.curves[b, i, codes[y, x, i]]
                out[y, x, b] = _code_of_light(np.exp(_GAMMA * density))


@kernel
def look_codes(film: Film, light: FloatArray, room: float, bands: Codes, out: Codes) -> None:
    """Store how a sheet looks alone in `out`, (h, W, P) uint16 sRGB codes.

    light: of every code, (65536,). bands: what `develop_codes` left, (h, W, B). room: light of the room, as a share
    of the white of the sheet.
    """
    height, width, planes = bands.shape
    for y in range(height):
        for x in range(width):
            for p in range(planes):
                seen = room
                for b in range(planes):
                    seen += film.to_eye[p, b] * light[bands[y, x, b]]
                out[y, x, p] = _code_of_light(seen / (1 + room))


@kernel
def see_light(film: Film, sheets: int, exposure: float, room: float, light: FloatArray) -> None:
    """Turn the light in bands that `sheets` sheets let through into what the eye sees, in place, clipped to [0, 1].

    light: (h, W, B), the product of the sheets. exposure: in (0, 1]. room: light of the room, as a share of white.
    """
    height, width, planes = light.shape
    bands = np.empty(planes)
    for y in range(height):
        for x in range(width):
            for b in range(planes):
                own = max(float(light[y, x, b]), 0.0)
                bands[b] = own / exposure * _gain(own, sheets, film.reflectance)
            for p in range(planes):
                seen = room
                for b in range(planes):
                    seen += film.to_eye[p, b] * bands[b]
                light[y, x, p] = min(max(seen / (1 + room), 0.0), 1.0)


@kernel
def _gain(light: float, sheets: int, reflectance: float) -> float:
    """Return what light reflected between equally dense sheets adds, as a factor; see `gain` in reference.py."""
    if reflectance == 0 or sheets == 1:
        return 1.0
    t = min(light ** (1 / sheets), (1 - reflectance) / (1 + reflectance))
    own = reflectance * (1 + (t / (1 - reflectance)) ** 2)
    factor, behind = 1.0, own
    for _ in range(sheets - 1):
        multiple = 1 / (1 - behind * own)
        factor *= multiple
        behind = own + t * t * behind * multiple
    return factor
