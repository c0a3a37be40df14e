"""Colour differences: linear sRGB to CIELAB, and CIEDE2000."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Images = npt.NDArray[np.floating[Any]]

XYZ_FROM_SRGB: Final = (
    (0.4123907993, 0.3575843394, 0.1804807884),
    (0.2126390059, 0.7151686788, 0.0721923154),
    (0.0193308187, 0.1191947798, 0.9505321522),
)
"""XYZ, relative to a white of Y = 1, of linear sRGB light (IEC 61966-2-1 with more digits)."""

_CUBE: Final = 216 / 24389
_SLOPE: Final = 24389 / 27
"""Where CIELAB changes from the cube root to a straight line, and the slope of the line (CIE 15:2004)."""
_FAR: Final = 25.0**7


def lab_from_light(linear_srgb_hwc: Images) -> Array:
    """Return the CIELAB values L*, a*, b*, (…, 3) float64, of linear sRGB light, (…, 1) or (…, 3).

    Light 1 in all planes is the white, L* = 100 (D65). One plane is grey: a* and b* are 0. Light may be above 1.
    """
    light = np.asarray(linear_srgb_hwc, dtype=np.float64)
    if light.shape[-1] == 1:
        light = np.repeat(light, 3, axis=-1)
    return lab_from_xyz(light @ np.asarray(XYZ_FROM_SRGB).T, np.sum(XYZ_FROM_SRGB, axis=1))


def lab_from_xyz(xyz: Images, white: npt.ArrayLike) -> Array:
    """Return the CIELAB values, (…, 3) float64, of XYZ, (…, 3), relative to the XYZ of the white, (3,)."""
    ratio = np.asarray(xyz, dtype=np.float64) / np.asarray(white, dtype=np.float64)
    root = np.where(ratio > _CUBE, np.cbrt(ratio), (_SLOPE * ratio + 16) / 116)
    x, y, z = np.moveaxis(root, -1, 0)
    return np.stack((116 * y - 16, 500 * (x - y), 200 * (y - z)), axis=-1)


def delta_e00(lab1: Images, lab2: Images) -> Array:
    """Return the colour differences CIEDE2000, (…) float64, of CIELAB values, both (…, 3).

    kL = kC = kH = 1. Sharma, Wu, Dalal: The CIEDE2000 color-difference formula: implementation notes,
    supplementary test data, and mathematical observations. Color Research and Application 30 (2005), eq. 2 to 22.
    """
    l1, a1, b1 = np.moveaxis(np.asarray(lab1, dtype=np.float64), -1, 0)
    l2, a2, b2 = np.moveaxis(np.asarray(lab2, dtype=np.float64), -1, 0)
    # Near grey, a* is stretched.
    seventh = ((np.hypot(a1, b1) + np.hypot(a2, b2)) / 2) ** 7
    stretch = 1 + 0.5 * (1 - np.sqrt(seventh / (seventh + _FAR)))
    c1, c2 = np.hypot(stretch * a1, b1), np.hypot(stretch * a2, b2)
    h1 = np.arctan2(b1, stretch * a1) % (2 * np.pi)
    h2 = np.arctan2(b2, stretch * a2) % (2 * np.pi)
    # Grey has no hue: where one of the two is grey, hues do not differ and their mean is that of the other.
    grey = c1 * c2 == 0
    turn = np.where(grey, 0, (h2 - h1 + np.pi) % (2 * np.pi) - np.pi)
    apart = 2 * np.sqrt(c1 * c2) * np.sin(turn / 2)
    far = np.abs(h1 - h2) > np.pi
    hue = (h1 + h2 + np.where(far, np.where(h1 + h2 < 2 * np.pi, 2 * np.pi, -2 * np.pi), 0)) / 2
    hue = np.where(grey, h1 + h2, hue)
    lightness, chroma = (l1 + l2) / 2, (c1 + c2) / 2
    weight = (
        1
        - 0.17 * np.cos(hue - np.deg2rad(30))
        + 0.24 * np.cos(2 * hue)
        + 0.32 * np.cos(3 * hue + np.deg2rad(6))
        - 0.20 * np.cos(4 * hue - np.deg2rad(63))
    )
    blue = np.deg2rad(30) * np.exp(-(((np.rad2deg(hue) - 275) / 25) ** 2))
    seventh = chroma**7
    turned = -2 * np.sqrt(seventh / (seventh + _FAR)) * np.sin(2 * blue)
    off = (lightness - 50) ** 2
    by_lightness = (l2 - l1) / (1 + 0.015 * off / np.sqrt(20 + off))
    by_chroma = (c2 - c1) / (1 + 0.045 * chroma)
    by_hue = apart / (1 + 0.015 * chroma * weight)
    squares = by_lightness**2 + by_chroma**2 + by_hue**2 + turned * by_chroma * by_hue
    # Rounding may leave a little less than nothing.
    return np.asarray(np.sqrt(np.maximum(squares, 0)), dtype=np.float64)
