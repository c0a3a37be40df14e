"""The eye: the CIE 1931 2° observer, adapted to the light box, as linear sRGB."""

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np

from .box import LightBox
from .sheets import Sheet
from .spectra import Array, Images, Numbers, lobes
from .stacks import transmittance

OBSERVER: Final = np.stack(
    [
        lobes((1.056, 599.8, 37.9, 31.0), (0.362, 442.0, 16.0, 26.7), (-0.065, 501.1, 20.4, 26.2)),
        lobes((0.821, 568.8, 46.9, 40.5), (0.286, 530.9, 16.3, 31.1)),
        lobes((1.217, 437.0, 11.8, 36.0), (0.681, 459.0, 26.0, 13.8)),
    ]
)
"""x̄, ȳ, z̄ at WAVES, (3, 31): Wyman, Sloan, Shirley: Simple analytic approximations to the CIE XYZ color matching
functions. Journal of Computer Graphics Techniques 2 (2013), table 1."""

XYZ_FROM_SRGB: Final = np.array(
    [[0.4123908, 0.3575843, 0.1804808], [0.2126390, 0.7151687, 0.0721923], [0.0193308, 0.1191948, 0.9505322]]
)
"""IEC 61966-2-1; the rows add up to the white D65."""
BRADFORD: Final = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


D50: Final = np.array([0.9642, 1.0, 0.8249])


def weights(spectrum: Array) -> Array:
    """Return what linear sRGB takes from the transmittance at each wavelength in front of a light, (3, 31).

    The light itself becomes 1, 1, 1: Bradford's adaptation to D65. The rows add up to 1.
    """
    return np.asarray(np.linalg.inv(XYZ_FROM_SRGB) @ _adapted(spectrum, XYZ_FROM_SRGB.sum(axis=1)))


def to_d50(box: LightBox) -> Array:
    """Return what X, Y and Z take from the transmittance at each wavelength, (3, 31); the box becomes D50."""
    return _adapted(box.spectrum, D50)


def _adapted(spectrum: Array, white: Array) -> Array:
    """Return X, Y and Z of transmittances in front of a light, which becomes `white`, (3, 31): Bradford."""
    xyz = OBSERVER * spectrum
    xyz /= xyz[1].sum()
    cones = (BRADFORD @ white) / (BRADFORD @ xyz.sum(axis=1))
    return np.asarray(np.linalg.inv(BRADFORD) @ np.diag(cones) @ BRADFORD @ xyz)


def look(spectra: Numbers, box: LightBox) -> Images:
    """Return linear sRGB, (…, 3), of transmittances at WAVES, (…, 31); the box is white. Values may be below 0."""
    return np.asarray(spectra @ weights(box.spectrum).T, dtype=np.float32)


def from_afar(light: Images, pixel: float, distance: float) -> Images:
    """Return light, (H, W, 3), as sharp as the eye sees pixels of `pixel` mm from `distance` m.

    A point is spread with a standard deviation of 0.6 minutes of arc, as through a pupil of 3 mm (Campbell,
    Gubisch: Optical quality of the human eye. Journal of Physiology 186 (1966)).
    """
    spread = distance * 1000 * np.radians(0.6 / 60) / pixel
    return np.asarray(cv2.GaussianBlur(light, (0, 0), spread, borderType=cv2.BORDER_REFLECT), dtype=np.float32)


def seen(stack: Sequence[Sheet], box: LightBox, exposure: float = 1.0, room: float = 0.0) -> Images:
    """Return what the eye sees in front of the middle of the box, (H, W, 3) linear sRGB.

    exposure: the empty box is 1/exposure times as bright as white. room: light of the room that the front reflects,
    in shares of white; the eye adapts to white and that light together.
    """
    light = look(transmittance(stack, box.reflectance), box) / exposure
    return np.asarray((light + room) / (1 + room), dtype=np.float32)
