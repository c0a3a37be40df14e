"""RGB and grey colour spaces, given by primaries and curves, and their conversion to linear sRGB.

Knows nothing about files; icc.py and cicp.py read colour spaces from them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating[Any]]

Mode = Literal["L", "RGB", "CMYK", "LAB"]
"""The meaning of a picture's channels, without alpha."""

Curve = Callable[[FloatArray], FloatArray]
"""Maps code values in [0, 1] to light in [0, 1]."""

D50: Final = np.array([0.9642, 1.0, 0.8249])
"""XYZ of the reference white of ICC profiles and of CIELAB in files (ICC.1:2022, 7.2.16)."""

_BRADFORD: Final = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
"""Matrix from XYZ to the cone responses in which white is adapted (ICC.1:2022, annex E)."""

_LEAST_DETERMINANT: Final = 1e-3
"""Minimum determinant of the matrix to XYZ; that of sRGB is 0.2."""
_LARGEST_FACTOR: Final = 10.0
"""Maximum entry of the matrix to linear sRGB; the widest colour spaces have 3."""


class Primaries(NamedTuple):
    """CIE 1931 chromaticities (x, y) of red, green, blue and white."""

    red: tuple[float, float]
    green: tuple[float, float]
    blue: tuple[float, float]
    white: tuple[float, float]


D65: Final = (0.3127, 0.3290)
SRGB_PRIMARIES: Final = Primaries((0.640, 0.330), (0.300, 0.600), (0.150, 0.060), D65)


@dataclass(frozen=True)
class ColourSpace:
    """The meaning of code values.

    to_xyz: (3, 3), from linear light of the planes to XYZ under D50; None: grey. curves: one for each plane.
    """

    to_xyz: FloatArray | None
    curves: tuple[Curve, ...]

    def __post_init__(self) -> None:
        """Raise ValueError if the primaries are nearly equal: noise would be amplified into colours."""
        if self.to_xyz is None:
            return
        if abs(np.linalg.det(self.to_xyz)) < _LEAST_DETERMINANT or (
            np.abs(to_linear_srgb(self.to_xyz)).max() > _LARGEST_FACTOR
        ):
            raise ValueError("primaries that hardly differ")

    @classmethod
    def of(cls, primaries: Primaries, curve: Curve) -> "ColourSpace":
        """Return the RGB space of `primaries`, with the same curve for all planes.

        Raises ValueError if the primaries span no colours, or are nearly equal.
        """
        return cls(xyz_of(primaries), (curve, curve, curve))

    @classmethod
    def grey(cls, curve: Curve) -> "ColourSpace":
        """Return the colour space of grey pictures with this curve."""
        return cls(None, (curve,))

    def light(self, codes: int) -> FloatArray:
        """Return the light in [0, 1] of all code values, (codes, planes); codes: their number, 256 or 65536."""
        values = np.arange(codes) / (codes - 1)
        return np.stack([np.clip(curve(values), 0.0, 1.0) for curve in self.curves], axis=-1)


def xyz_of(primaries: Primaries) -> FloatArray:
    """Return the matrix (3, 3) from linear RGB of `primaries` to XYZ under D50.

    White is adapted with the Bradford transform, as in ICC profiles. Raises ValueError for chromaticities that span
    no colours.
    """
    columns = np.array([_xyz(*point) for point in primaries[:3]]).T
    white = _xyz(*primaries.white)
    if abs(np.linalg.det(columns)) < 1e-6:
        raise ValueError("primaries that lie on one line")
    matrix = columns * np.linalg.solve(columns, white)
    gains = (_BRADFORD @ D50) / (_BRADFORD @ white)
    return np.asarray(np.linalg.inv(_BRADFORD) @ np.diag(gains) @ _BRADFORD @ matrix)


def power_curve(exponent: float) -> Curve:
    """Return the curve light = value ** exponent."""
    return lambda values: values**exponent


def to_linear_srgb(to_xyz: FloatArray) -> FloatArray:
    """Return the matrix (3, 3) to linear sRGB from the colours that `to_xyz` (3, 3) maps to XYZ under D50."""
    return np.asarray(np.linalg.solve(_SRGB_XYZ, to_xyz))


def _xyz(x: float, y: float) -> npt.NDArray[Any]:
    """Return the XYZ of a chromaticity, with Y = 1; raises ValueError if the chromaticity is impossible."""
    if not 1e-6 < y <= 1 or not -1 <= x <= 1:
        raise ValueError(f"a chromaticity of {x:g}, {y:g}")
    return np.array([x / y, 1.0, (1 - x - y) / y])


_SRGB_XYZ: Final = xyz_of(SRGB_PRIMARIES)
