"""Colour differences ΔE00 of pictures that come in bands, counted so that bands may be added in any order."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from mlsolve_kernels.light.ink.inks import Inks
from mlsolve_kernels.light.ink.reference import GAMMA, develop

from ..pictures.colour import light_from_srgb
from ..pictures.difference import delta_e00, lab_from_light
from .scores import ColourDifference

Counts = npt.NDArray[np.int64]
Values = npt.NDArray[np.floating]

STEP: Final = 0.05
"""ΔE00 to which differences are rounded."""
_BINS: Final = 2001
"""Up to 100; larger differences count as 100."""
_VISIBLE: Final = 2.3
"""ΔE00 from which a colour that cannot be reached counts as lacking: one just noticeable difference."""
_MOST: Final = 1 << 20
"""Pixels of a picture of which about so many are looked at; they lie in a grid."""
_PIECE: Final = 1 << 14
"""Pixels that are compared at a time."""


@dataclass(frozen=True)
class Reach:
    """The light in bands, relative to white, that something can let through: of a stack or of a sheet."""

    inks: Inks
    darkest: tuple[float, ...]
    lightest: tuple[float, ...]
    room: float
    """Light of the room, as a share of the white."""

    @classmethod
    def of(cls, inks: Inks, sheets: int, exposure: float, room: float) -> "Reach":
        """Return what `sheets` sheets can let through at `exposure`."""
        bands = [develop(np.full((inks.planes, 1, 1), value), inks)[:, 0, 0] ** GAMMA for value in (0.0, 1.0)]
        darkest, lightest = (tuple((band**sheets / exposure).tolist()) for band in bands)
        return cls(inks, darkest, lightest, room)

    def nearest(self, light: Values) -> Values:
        """Return the light that can be seen instead of `light`, (n, P): each band clipped to its range.

        Crosstalk within a sheet, which forbids some combinations, is not considered.
        """
        to_eye = np.array(self.inks.to_eye)
        bands = ((1 + self.room) * light - self.room) @ np.linalg.inv(to_eye).T
        clipped = np.clip(bands, self.darkest, self.lightest)
        return np.asarray(np.clip((clipped @ to_eye.T + self.room) / (1 + self.room), 0, 1))


class Differences:
    """The differences between a picture and what was wanted, and which of that cannot be reached."""

    def __init__(self, size: tuple[int, int], reach: Reach) -> None:
        """size: (width, height) in pixels."""
        self._stride = max(1, math.ceil(math.sqrt(size[0] * size[1] / _MOST)))
        self._reach = reach
        self._counts = np.zeros((2, _BINS), dtype=np.int64)

    def counted(self, top: int, found: Values, wanted: Values, weights: Values | None = None) -> Counts:
        """Return how often differences occur in rows from `top` on, (2, bins), for `add`; nothing changes here.

        found, wanted: (h, W, 1 or 3), sRGB in [0, 1]. weights: of pixels, (h, W); those below a half do not count.
        """
        step, first = self._stride, -top % self._stride
        chosen = slice(first, None, step), slice(0, None, step)
        inside = None if weights is None else (np.asarray(weights)[chosen] >= 0.5).ravel()
        counts = np.zeros((2, _BINS), dtype=np.int64)
        pair = [np.asarray(one)[chosen].reshape(-1, one.shape[2]) for one in (found, wanted)]
        if inside is not None:
            pair = [one[inside] for one in pair]
        for start in range(0, len(pair[0]), _PIECE):
            seen, target = (light_from_srgb(one[start : start + _PIECE].astype(np.float64)) for one in pair)
            target = np.broadcast_to(target, (len(target), max(target.shape[1], self._reach.inks.planes)))
            lab = lab_from_light(target)
            nearest = self._reach.nearest(target)
            for row, other in enumerate((seen, nearest)):
                counts[row] += _histogram(delta_e00(lab_from_light(other), lab))
        return counts

    def add(self, counts: Counts) -> None:
        """Add what `counted` returned."""
        self._counts += counts

    @property
    def found(self) -> ColourDifference:
        """Median and 95th percentile, and the share of what was wanted that cannot be reached."""
        differences, beyond = self._counts
        total = max(1, int(differences.sum()))
        cumulated = np.cumsum(differences)
        median, high = (float(np.searchsorted(cumulated, share * total) * STEP) for share in (0.5, 0.95))
        lacking = beyond[math.ceil(_VISIBLE / STEP) :].sum() / total
        return ColourDifference(round(median, 2), round(high, 2), float(lacking))


def _histogram(differences: npt.NDArray[np.float64]) -> Counts:
    numbers = np.minimum(np.rint(differences / STEP), _BINS - 1).astype(np.int64)
    return np.bincount(numbers, minlength=_BINS)
