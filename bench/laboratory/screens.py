"""Halftone screens: thresholds from 0 to 1 in a tile that repeats without seams."""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

Thresholds = npt.NDArray[np.uint16]

TILE: Final = 512
"""Side of a tile in points of the printer."""


@dataclass(frozen=True)
class Screen:
    """The screens of a sheet, one an ink."""

    kind: str = "stochastic"
    """stochastic: dots of one size at random places. am: amplitude-modulated, dots of different size in a grid."""
    angle: float = 15.0
    """Of cyan, in degrees; magenta and yellow are turned by 30° and 60° against it. Only am."""
    period: float = 5.3
    """Of the grid, in points of the printer. Only am."""
    seed: int = 0
    """Of the places; am grids are shifted by it."""

    def tile(self, ink: int) -> Thresholds:
        """Return thresholds for an ink, 0 cyan to 2 yellow, (TILE, TILE): each of 0 to 65535 about as often."""
        if self.kind == "am":
            return _grid(self.angle + 30 * ink, self.period, self.seed * 3 + ink)
        if self.kind == "stochastic":
            return _scattered(self.seed * 3 + ink)
        raise ValueError(f"kind is {self.kind!r}: use am or stochastic")


def _ranked(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the ranks of values, from 0 to below 1."""
    ranks = np.empty(values.size)
    ranks[np.argsort(values, axis=None, kind="stable")] = np.arange(values.size) / values.size
    return ranks.reshape(values.shape)


@lru_cache(maxsize=32)
def _grid(angle: float, period: float, seed: int) -> Thresholds:
    """Return round dots in a turned grid. Its waves fit into the tile a whole number of times."""
    rng = np.random.default_rng(seed)
    across = round(TILE / period * math.cos(math.radians(angle)))
    down = round(TILE / period * math.sin(math.radians(angle)))
    y, x = np.mgrid[0:TILE, 0:TILE] * (2 * math.pi / TILE)
    first, second = rng.uniform(0, 2 * math.pi, 2)
    dots = np.cos(across * x + down * y + first) + np.cos(-down * x + across * y + second)
    return (_ranked(dots + 1e-6 * rng.standard_normal(dots.shape)) * 65536).astype(np.uint16)


@lru_cache(maxsize=32)
def _scattered(seed: int) -> Thresholds:
    """Return blue noise: white noise, again and again made free of low frequencies and ranked."""
    values = np.random.default_rng(seed).random((TILE, TILE))
    rows, columns = np.meshgrid(np.fft.fftfreq(TILE), np.fft.rfftfreq(TILE), indexing="ij")
    passed = 1 - np.exp(-(rows**2 + columns**2) / (2 * 0.2**2))
    for _ in range(4):
        values = _ranked(np.fft.irfft2(np.fft.rfft2(values - 0.5) * passed, s=values.shape))
    return (values * 65536).astype(np.uint16)
