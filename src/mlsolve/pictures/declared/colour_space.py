"""RGB and grey colour spaces by their primaries and curves, and the way from them to linear sRGB.

Knows nothing of files; icc.py and cicp.py read these out of them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating[Any]]

Mode = Literal["L", "RGB", "CMYK", "LAB"]
"""What the channels of a picture are, alpha left out."""

Curve = Callable[[FloatArray], FloatArray]
"""Code values in [0, 1] → light in [0, 1]."""

D50: Final = np.array([0.9642, 1.0, 0.8249])
"""XYZ of the white that ICC profiles and CIELAB in files refer to (ICC.1:2022, 7.2.16)."""

_BRADFORD: Final = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
"""XYZ to the responses of cones in which whites are adapted (ICC.1:2022, annex E)."""


_LEAST_DETERMINANT: Final = 1e-3
_LARGEST_FACTOR: Final = 10.0
"""Of primaries as XYZ, where sRGB has 0.2, and on the way to linear sRGB, where the widest spaces have 3."""


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
    """What code values mean.

    to_xyz: (3, 3), linear light of the planes to XYZ under D50; None: grey. curves: of each plane, one for grey.
    """

    to_xyz: FloatArray | None
    curves: tuple[Curve, ...]

    def __post_init__(self) -> None:
        """Raise ValueError for primaries that hardly differ: any noise would become colours."""
        if self.to_xyz is None:
            return
        if abs(np.linalg.det(self.to_xyz)) < _LEAST_DETERMINANT or (
            np.abs(to_linear_srgb(self.to_xyz)).max() > _LARGEST_FACTOR
        ):
            raise ValueError("primaries that hardly differ")

    @classmethod
    def of(cls, primaries: Primaries, curve: Curve) -> "ColourSpace":
        """Return the RGB space of `primaries` and one curve for all planes; raises ValueError if there is none."""
        return cls(xyz_of(primaries), (curve, curve, curve))

    @classmethod
    def grey(cls, curve: Curve) -> "ColourSpace":
        """Return the space of grey pictures."""
        return cls(None, (curve,))

    def light(self, codes: int) -> FloatArray:
        """Return the light of every code value of `codes` (256 or 65536), one column for each plane."""
        values = np.arange(codes) / (codes - 1)
        return np.stack([np.clip(curve(values), 0.0, 1.0) for curve in self.curves], axis=-1)


def xyz_of(primaries: Primaries) -> FloatArray:
    """Return the matrix (3, 3) from linear RGB of `primaries` to XYZ under D50.

    The white is adapted by Bradford's transform, as ICC profiles do it. Raises ValueError for chromaticities that
    span no colours.
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
    """Return the matrix (3, 3) to linear sRGB, from what `to_xyz` takes to XYZ under D50."""
    return np.asarray(np.linalg.solve(_SRGB_XYZ, to_xyz))


def _xyz(x: float, y: float) -> npt.NDArray[Any]:
    """Return XYZ of a chromaticity, Y being 1; raises ValueError if there is none."""
    if not 1e-6 < y <= 1 or not -1 <= x <= 1:
        raise ValueError(f"a chromaticity of {x:g}, {y:g}")
    return np.array([x / y, 1.0, (1 - x - y) / y])


_SRGB_XYZ: Final = xyz_of(SRGB_PRIMARIES)
