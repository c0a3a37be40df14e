"""Binary screens: a coverage becomes dots of full ink, whose size (AM) or number (FM) follows it.

A pattern is a function of the place, the sheet and the ink, so that bytes do not depend on how rows are cut. Sheets
need different ones: where equal dots coincide, half on half passes half of the light and not a quarter.
"""

import itertools
import math
from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from .inks import SOLID
from .shop import Shop

_STEPS: Final = 4096
"""Steps of coverage between which an AM threshold is interpolated."""
_TILE: Final = 128
"""Side of a tile of FM thresholds in dots; larger ones repeat less visibly, and take longer to make."""
_ROUNDS: Final = 12
_AT_ONCE: Final = 4
"""Rows of an AM screen that are computed together."""


class Screen:
    """The pattern of one ink of one sheet."""

    def __init__(self, shop: Shop, number: int, count: int) -> None:
        """number: of this pattern, from 0, among the `count` of all inks of all sheets."""
        self._shop, self.number = shop, number
        self.angle = 90.0 * number / count
        """Angle of an AM screen in degrees, clockwise: all are different, as far from each other as can be."""

    @property
    def device_dpi(self) -> float:
        """Pixels per inch of the device."""
        return self._shop.device_dpi

    def described(self) -> str:
        """Return the pattern in words."""
        if self._shop.screen == "am":
            return f"{self._shop.lines:g} lines per inch at {self.angle:.1f}°"
        return f"dots of {self._shop.dot:g} mm, pattern {self.number + 1}"

    def ink(self, coverage: npt.NDArray[np.uint16], top: int) -> npt.NDArray[np.bool_]:
        """Return where ink is for `coverage` (h, w), 0 to SOLID, a value for each pixel of the device.

        top: the number of its first row.
        """
        return self.rows(self.wanted(coverage), np.arange(len(coverage)), (0, top))

    def wanted(self, coverage: npt.NDArray[np.uint16]) -> npt.NDArray[Any]:
        """Return what the pattern is compared with where `coverage`, 0 to SOLID, is asked for; the same shape."""
        if self._shop.screen == "fm":
            return coverage
        return _spots()[(coverage.astype(np.uint32) * _STEPS + SOLID // 2) // SOLID]

    def rows(
        self, wanted: npt.NDArray[Any], which: npt.NDArray[np.intp], corner: tuple[int, int]
    ) -> npt.NDArray[np.bool_]:
        """Return where ink is, (h, w) bool.

        wanted: (n, w), what `wanted` returned for rows of a layer, as wide as the device has them. which: (h,), the
        number of the row in `wanted` that each row of the device shows. corner: (x, y) of the first pixel.
        """
        out = np.empty((len(which), wanted.shape[1]), np.bool_)
        if self._shop.screen == "am":
            self._modulated(wanted, which, corner, out)
            return out
        side = max(1, round(self._shop.dot / 25.4 * self._shop.device_dpi))
        tile = _thresholds(self.number)
        down = (corner[1] + np.arange(len(which))) // side
        across = (corner[0] + np.arange(wanted.shape[1])) // side % _TILE
        # Rows of the same dots and the same pixels of the layer are equal.
        begins = np.flatnonzero(np.diff(down, prepend=-1) | np.diff(which, prepend=-1))
        for begin, end in itertools.pairwise((*begins.tolist(), len(which))):
            out[begin:end] = wanted[which[begin]] > tile[down[begin] % _TILE, across]
        return out

    def _modulated(
        self,
        wanted: npt.NDArray[np.float32],
        which: npt.NDArray[np.intp],
        corner: tuple[int, int],
        out: npt.NDArray[np.bool_],
    ) -> None:
        """Store where cos u + cos v exceeds what is wanted; u, v: along and across the screen."""
        wave = 2 * math.pi * self._shop.lines / self._shop.device_dpi
        angle = math.radians(self.angle)
        height, width = out.shape
        x, y = corner[0] + np.arange(width) + 0.5, corner[1] + np.arange(height) + 0.5
        # cos(a + b) = cos a · cos b - sin a · sin b, with a along the row: two products a pixel.
        parts = []
        for cosine, sine in ((math.cos(angle), math.sin(angle)), (-math.sin(angle), math.cos(angle))):
            along, down = wave * cosine * x, wave * sine * y
            for add, wave_of in ((np.add, np.cos), (np.subtract, np.sin)):
                parts.append(
                    (add, wave_of(down).astype(np.float32)[:, np.newaxis], wave_of(along).astype(np.float32))
                )
        # A few rows at a time, which stay in the cache.
        sums, product = (np.empty((_AT_ONCE, width), np.float32) for _ in range(2))
        for start in range(0, height, _AT_ONCE):
            rows = slice(start, min(start + _AT_ONCE, height))
            sums_here, product_here = (one[: rows.stop - rows.start] for one in (sums, product))
            sums_here[...] = 0
            for add, down_wave, along_wave in parts:
                np.multiply(down_wave[rows], along_wave, out=product_here)
                add(sums_here, product_here, out=sums_here)
            np.greater(sums_here, wanted[which[rows]], out=out[rows])


@cache
def _spots() -> npt.NDArray[np.float32]:
    """Return the value that cos u + cos v exceeds on a share k / _STEPS of the plane, (_STEPS + 1,)."""
    wave = np.cos((np.arange(1024) + 0.5) * (math.pi / 1024))
    sums = np.sort(np.add.outer(wave, wave).ravel())[::-1]
    at = np.arange(1, _STEPS) * (sums.size // _STEPS)
    return np.concatenate(([3.0], (sums[at - 1] + sums[at]) / 2, [-3.0])).astype(np.float32)


@cache
def _thresholds(seed: int) -> npt.NDArray[np.uint16]:
    """Return a tile of thresholds, (_TILE, _TILE) from 0 to below SOLID, each as often: blue noise.

    White noise loses its low frequencies and is ranked again, several times over; so dots keep away from each other
    at every coverage, and no grain is seen.
    """
    noise = np.random.default_rng([0x5C4EE7, seed]).random((_TILE, _TILE))
    frequency = np.hypot(np.fft.fftfreq(_TILE)[:, np.newaxis], np.fft.fftfreq(_TILE))
    passed = 1 - np.exp(-((frequency / 0.32) ** 2) / 2)
    for _ in range(_ROUNDS):
        filtered = np.fft.ifft2(np.fft.fft2(noise) * passed).real
        ranks = np.empty(noise.size)
        ranks[np.argsort(np.round(filtered, 9), axis=None, kind="stable")] = np.arange(noise.size)
        noise = ranks.reshape(noise.shape) / noise.size
    return np.asarray(noise * noise.size * (SOLID / noise.size), dtype=np.uint16)
