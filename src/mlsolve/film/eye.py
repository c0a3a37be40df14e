"""How the eye sees the light that has passed sheets of a printer and film (docs/maths.md §12)."""

from typing import Final

import numpy as np
import numpy.typing as npt

from mlsolve_kernels.light.ink.inks import Inks
from mlsolve_kernels.light.ink.reference import gain

FloatArray = npt.NDArray[np.float32]

_OCTAVES, _STEPS = 24, 32
"""The table of gains reaches down to light of 2^-24, in 32 steps an octave: within 0.1 % of the light."""

_DARKEST: Final = np.float32(2.0**-_OCTAVES)


class Eye:
    """Turns light in bands into linear sRGB, and counts light that is reflected between sheets and by the front."""

    def __init__(self, inks: Inks, sheets: int) -> None:
        """sheets: the largest number of sheets that can lie over each other."""
        self.room = inks.room
        """Light of the room, as a share of the white of a stack."""
        self.reflects = inks.reflectance > 0 and sheets > 1
        """Whether light is reflected between sheets."""
        # Grey is held in three equal planes.
        mix = np.array(inks.to_eye) if inks.planes == 3 else np.eye(3)
        self._mix = np.asarray(mix.T, dtype=np.float32)
        light = 2.0 ** (-np.arange(_OCTAVES * _STEPS + 1) / _STEPS)
        counts = range(1, sheets + 1)
        rows = [np.ones_like(light), *(gain(light ** (1 / n), n, inks.reflectance)[0] for n in counts)]
        self._gains = np.array(rows, dtype=np.float32)

    def see(self, through: FloatArray, counts: FloatArray) -> FloatArray:
        """Return what the eye sees of light `through` sheets in bands, both (h, w, 3), without that of the room.

        counts: the number of sheets over each other, (h, w), from 0 to `sheets`; used only if light is reflected.
        As linear sRGB the light of saturated colours can be negative.
        """
        if self.reflects:
            steps = np.rint(-_STEPS * np.log2(np.clip(through, _DARKEST, 1))).astype(np.intp)
            through = through * self._gains[np.rint(counts).astype(np.intp)[..., np.newaxis], steps]
        return np.asarray(through @ self._mix, dtype=np.float32)

    def unveil(self, stack: FloatArray) -> FloatArray:
        """Return the light of a picture of a stack, as linear sRGB, without that of the room, which it contains."""
        return np.asarray(stack * np.float32(1 + self.room) - np.float32(self.room), dtype=np.float32)

    def veil(self, light: FloatArray, share: float) -> FloatArray:
        """Return `light` from the light box with that of the room, so that the bare box stays as bright.

        light: in units of the white that the eye is adapted to. share: of the room against this white, compared
        with what it is against the white of a stack.
        """
        room = self.room * share
        return np.asarray((light + np.float32(room)) / np.float32(1 + room), dtype=np.float32)
