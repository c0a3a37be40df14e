"""Spectra, XYZ and densities as linear sRGB light relative to the light box."""

from typing import Final

import numpy as np

from ..pictures.difference import XYZ_FROM_SRGB
from .samples import Array

GENERIC_TO_EYE: Final = ((1.25, -0.22, -0.03), (-0.08, 1.14, -0.06), (0.0, -0.10, 1.10))
"""From what a densitometer's red, green and blue pass to linear sRGB: the matrix of the included profile
inkjet-film, for densities do not say what the eye sees."""
D50: Final = (0.9642, 1.0, 0.8249)
"""XYZ of the white that XYZ are relative to."""
_BRADFORD: Final = ((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296))

_LOBES: Final = (
    ((1.056, 599.8, 37.9, 31.0), (0.362, 442.0, 16.0, 26.7), (-0.065, 501.1, 20.4, 26.2)),
    ((0.821, 568.8, 46.9, 40.5), (0.286, 530.9, 16.3, 31.1)),
    ((1.217, 437.0, 11.8, 36.0), (0.681, 459.0, 26.0, 13.8)),
)
"""The CIE 1931 colour-matching functions as sums of lobes: height, centre, widths below and above it in nm (Wyman,
Sloan, Shirley: Simple analytic approximations to the CIE XYZ color matching functions. JCGT 2 (2013), table 1)."""


def light_from_spectra(spectra: Array, wavelengths: Array, box: Array | None = None) -> Array:
    """Return linear sRGB, (n, 3), of transmittances, (n, w), at equally spaced `wavelengths` in nm, (w,).

    box: what the light box emits at these wavelengths, (w,), in any unit; None: as much at all. It is white.
    """
    weights = np.array([sum(_lobe(wavelengths, *lobe) for lobe in lobes) for lobes in _LOBES])
    weights /= weights.sum(axis=1, keepdims=True)
    if box is not None:
        weights *= box / (weights[1] @ box)
    return light_from_xyz(spectra @ weights.T, (weights[0].sum(), weights[1].sum(), weights[2].sum()))


def light_from_xyz(xyz: Array, white: tuple[float, float, float]) -> Array:
    """Return linear sRGB, (n, 3), of XYZ, (n, 3), relative to a white: that becomes 1, 1, 1 (Bradford)."""
    cones = np.array(_BRADFORD)
    srgb = np.array(XYZ_FROM_SRGB)
    scale = (cones @ srgb.sum(axis=1)) / (cones @ np.array(white))
    adapted = np.linalg.inv(cones) @ np.diag(scale) @ cones
    return np.asarray(xyz @ (np.linalg.inv(srgb) @ adapted).T, dtype=np.float64)


def _lobe(wavelengths: Array, height: float, centre: float, below: float, above: float) -> Array:
    width = np.where(wavelengths < centre, below, above)
    return np.asarray(height * np.exp(-0.5 * ((wavelengths - centre) / width) ** 2), dtype=np.float64)
