"""Printers: from device codes to sheets."""

from dataclasses import dataclass, field

import numpy as np

from .films import Film
from .inks import InkSet, dyes, process_inks
from .screens import Screen
from .sheets import Sheet
from .spectra import Codes, Images


@dataclass(frozen=True)
class HalftonePrinter:
    """A printer that sets points of ink or none."""

    inks: InkSet = field(default_factory=process_inks)
    film: Film = field(default_factory=Film)
    gain: float = 0.16
    """By how much a half tone covers more than half, because dots spread."""
    screens: tuple[Screen, ...] = tuple(Screen(seed=at) for at in range(8))
    """Of the sheets one by one; beyond the last from the first again."""
    uneven: float = 0.01
    """Standard deviation of what is printed, from place to place over some pixels, as a share of the ink."""
    seed: int = 0

    def print(self, codes: Codes, sheet: int = 0, fine: int = 16) -> Sheet:
        """Return the printed sheet number `sheet` of device codes (H, W, 3), 255 without ink.

        fine: points along the side of a pixel. A printer of 1200 dpi has 48 in a pixel of 1 mm.
        """
        asked = _ink(codes)
        covered = asked + 4 * self.gain * asked * (1 - asked)
        covered *= _unevenness(codes.shape, self.uneven, self.seed + sheet)
        screen = self.screens[sheet % len(self.screens)]
        return Sheet(self.film, self.inks, np.asarray(np.clip(covered, 0, 1), dtype=np.float32), screen, fine)


@dataclass(frozen=True)
class ContinuousPrinter:
    """A printer of dyes whose amount varies without dots, as dye sublimation, or inkjet with light inks."""

    inks: InkSet = field(default_factory=dyes)
    film: Film = field(default_factory=Film)
    gamma: float = 1.6
    """Exponent from the ink that codes ask for to the amount."""
    uneven: float = 0.01
    """Standard deviation of what is printed, from place to place over some pixels, as a share of the ink."""
    seed: int = 0

    def print(self, codes: Codes, sheet: int = 0, fine: int = 16) -> Sheet:
        """Return the printed sheet number `sheet` of device codes (H, W, 3), 255 without ink. fine: unused."""
        amounts = _ink(codes) ** self.gamma * _unevenness(codes.shape, self.uneven, self.seed + sheet)
        return Sheet(self.film, self.inks, np.asarray(amounts, dtype=np.float32))


def _ink(codes: Codes) -> Images:
    """Return how much ink codes ask for, from 0 to 1."""
    if codes.dtype != np.uint8 or codes.ndim != 3 or codes.shape[2] != 3:
        raise ValueError(f"codes are {codes.dtype} {codes.shape}: give uint8 (H, W, 3)")
    return np.asarray(1 - codes.astype(np.float32) / 255, dtype=np.float32)


def _unevenness(shape: tuple[int, ...], deviation: float, seed: int) -> Images:
    """Return factors about 1, smooth over 4 pixels, (H, W, 3)."""
    height, width = shape[:2]
    rng = np.random.default_rng((seed, 20))
    coarse = rng.standard_normal((height // 4 + 2, width // 4 + 2, 3)).astype(np.float32)
    y, x = np.arange(height) / 4, np.arange(width) / 4
    top, left = y.astype(int), x.astype(int)
    down, right = (y - top)[:, np.newaxis, np.newaxis], (x - left)[:, np.newaxis]
    above = coarse[top][:, left] * (1 - right) + coarse[top][:, left + 1] * right
    below = coarse[top + 1][:, left] * (1 - right) + coarse[top + 1][:, left + 1] * right
    return np.asarray(1 + deviation * (above * (1 - down) + below * down), dtype=np.float32)
