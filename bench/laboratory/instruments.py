"""Instruments that touch the sheet: a densitometer and a spectrophotometer.

Both measure what `transmittance` returns, without light that a box would reflect.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .box import LightBox
from .eye import to_d50
from .spectra import WAVES, Array, Images, lobes


class Place(NamedTuple):
    """A patch to measure."""

    name: str
    codes: Sequence[Sequence[int]]
    """Device codes of its sheets, the lowest first: one or two of (r, g, b)."""
    where: tuple[int, int, int, int]
    """Top, left, height, width in pixels."""


@dataclass(frozen=True)
class Densitometer:
    """Measures transmission densities relative to nothing between lamp and head."""

    noise: float = 0.008
    """Standard deviation of a density."""
    seed: int = 0

    def bands(self) -> Array:
        """Return what the red, green and blue filters and the sensor pass at WAVES, (3, 31): like status A."""
        found = np.stack([lobes((1.0, 620, 12, 14)), lobes((1.0, 535, 15, 16)), lobes((1.0, 440, 13, 16))])
        return np.asarray(found / found.sum(axis=1, keepdims=True))

    def table(self, through: Images, places: Sequence[Place]) -> str:
        """Return a CSV with the columns name, r, g, b, r2, g2, b2, Dr, Dg, Db, two decimals as the display has."""
        rng = np.random.default_rng((self.seed, 5))
        lines = ["name,r,g,b,r2,g2,b2,Dr,Dg,Db"]
        for place, spectrum in zip(places, _spectra(through, places), strict=True):
            densities = -np.log10(spectrum @ self.bands().T) + self.noise * rng.standard_normal(3)
            lines.append(_line(place, [f"{one:.2f}" for one in densities]))
        return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Spectrophotometer:
    """Measures transmittances at WAVES relative to nothing between lamp and head."""

    noise: float = 0.001
    """Standard deviation of a transmittance."""
    seed: int = 0

    def table(self, through: Images, places: Sequence[Place]) -> str:
        """Return a CSV with the columns name, r, g, b, r2, g2, b2, 400, 410, …, 700."""
        rng = np.random.default_rng((self.seed, 6))
        lines = ["name,r,g,b,r2,g2,b2," + ",".join(f"{wave:.0f}" for wave in WAVES)]
        for place, spectrum in zip(places, _spectra(through, places), strict=True):
            measured = np.maximum(spectrum + self.noise * rng.standard_normal(len(WAVES)), 0)
            lines.append(_line(place, [f"{one:.4f}" for one in measured]))
        return "\n".join(lines) + "\n"

    def emitted(self, box: LightBox) -> str:
        """Return a CSV with the columns nm, power: what the box emits, in shares of its peak."""
        rng = np.random.default_rng((self.seed, 8))
        power = box.spectrum / box.spectrum.max() + self.noise * rng.standard_normal(len(WAVES))
        rows = [f"{wave:.0f},{max(one, 0):.4f}" for wave, one in zip(WAVES, power, strict=True)]
        return "\n".join(["nm,power", *rows]) + "\n"


@dataclass(frozen=True)
class Colorimeter:
    """Measures colour on the box itself, as those for displays do, relative to the empty box."""

    noise: float = 0.0005
    """Standard deviation of X, Y and Z, as a share of the box's."""
    seed: int = 0

    def table(self, through: Images, places: Sequence[Place], box: LightBox) -> str:
        """Return a CSV with the columns name, r, g, b, r2, g2, b2, X, Y, Z: in per cent, the box adapted to D50."""
        rng = np.random.default_rng((self.seed, 7))
        lines = ["name,r,g,b,r2,g2,b2,X,Y,Z"]
        adapted = to_d50(box)
        for place, spectrum in zip(places, _spectra(through, places), strict=True):
            measured = adapted @ spectrum + self.noise * rng.standard_normal(3)
            lines.append(_line(place, [f"{100 * one:.3f}" for one in measured]))
        return "\n".join(lines) + "\n"


def _spectra(through: Images, places: Sequence[Place]) -> list[Array]:
    """Return the mean transmittances of places, (31,) each."""
    found = []
    for top, left, height, width in (place.where for place in places):
        found.append(through[top : top + height, left : left + width].mean(axis=(0, 1), dtype=np.float64))
    return found


def _line(place: Place, values: list[str]) -> str:
    codes = [str(code) for sheet in place.codes for code in sheet]
    return ",".join([place.name, *codes, *[""] * (6 - len(codes)), *values])
