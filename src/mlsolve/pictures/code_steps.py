"""Code values of encoded transmittance: `decode`, scaled and rounded, as a table of where codes change."""

from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mlsolve_kernels.codes.cpu import to_codes

from .colour import FloatArray, decode

_ONE: Final = int(np.float32(1).view(np.uint32))
"""Non-negative floats have the order of their bits, read as integers; these are those of 1."""


@dataclass(frozen=True)
class CodeSteps:
    """Where the codes of one depth change (mlsolve_kernels.codes)."""

    floors: npt.NDArray[np.uint16]
    steps: FloatArray

    def write(self, encoded: FloatArray, out: npt.NDArray[Any], plane: int) -> None:
        """Write the codes of encoded transmittance, (h, w) float32, into plane `plane` of `out`, (h, w, planes).

        They are np.rint(decode(encoded) * highest), at a tenth of the time.
        """
        to_codes(encoded, self.floors, self.steps, out, plane)


@cache
def code_steps(bits: int) -> CodeSteps:
    """Return the table for codes of 8 or 16 bits. Takes 50 ms the first time.

    It is found by bisection on the formula itself, so that no code differs from the formula's.
    """
    highest = 2**bits - 1
    # No code is narrower than 0.8 of the mean, so that a cell of half the mean contains one step at most.
    cells = 2 * (highest + 1)
    first = _first_values(highest)
    floors = np.searchsorted(first, np.arange(cells + 1, dtype=np.float32) / np.float32(cells), side="right")
    if np.diff(floors).max() > 1:
        raise ValueError(f"codes of {bits} bits change more than once in 1/{cells}: use more cells")
    # Behind the last step nothing follows: no value is infinite.
    steps = np.append(first, np.float32(np.inf))[floors]
    return CodeSteps(floors.astype(np.uint16), steps.astype(np.float32))


def _first_values(highest: int) -> FloatArray:
    """Return the least float32 of each code from 1 to `highest`, (highest,)."""
    wanted = np.arange(1, highest + 1)
    below, above = np.zeros(highest, np.uint32), np.full(highest, _ONE, np.uint32)
    while (above - below > 1).any():
        middle = below + (above - below) // 2
        reached = np.rint(decode(middle.view(np.float32)) * np.float32(highest)) >= wanted
        above, below = np.where(reached, middle, above), np.where(reached, below, middle)
    return above.view(np.float32)
