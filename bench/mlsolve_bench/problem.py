"""The problem that is timed: one target, three RGB guides, and the settings that everybody gets."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from mlsolve.pictures.colour import exposure_scale, printable_range
from mlsolve.solving.spec import BETAS
from mlsolve_kernels.iteration.objective import Objective, one_stack

FloatArray = npt.NDArray[np.float32]

LAYERS: Final = 3
PLANES: Final = 3

EXPOSURE: Final = 0.1
"""Share of the backlight that the white of the stack lets through."""

OBJECTIVE: Final = one_stack(exposure_scale(EXPOSURE), 3.0, 10.0, 1.0)
BOUNDS: Final = printable_range(0.0, 2.5)
RATE: Final = 0.01
"""Learning rate of the iterations that are timed; what it is does not change what they cost."""


@dataclass(frozen=True, eq=False)
class Problem:
    """What every opponent is given. All arrays float32, encoded transmittance in [0, 1]."""

    target: FloatArray
    """(C, H, W)."""
    guides: FloatArray
    """(N, C, H, W)."""
    objective: Objective = OBJECTIVE
    bounds: tuple[float, float] = BOUNDS
    """Printable range of encoded transmittance (low, high)."""
    betas: tuple[float, float] = BETAS
    """Decay rates of Adam's moments."""


def noise(side: int) -> Problem:
    """Return a problem of `side`×`side` random pixels, always the same; an iteration costs the same for any."""
    rng = np.random.default_rng(0)
    return Problem(
        rng.random((PLANES, side, side), dtype=np.float32),
        rng.random((LAYERS, PLANES, side, side), dtype=np.float32),
    )
