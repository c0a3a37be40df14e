"""The problem that is timed: one target, three RGB guides, and settings shared by all opponents."""

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
"""Share of the backlight that passes through the white of the stack."""

OBJECTIVE: Final = one_stack(exposure_scale(EXPOSURE), 3.0, 10.0, 1.0)
BOUNDS: Final = printable_range(0.0, 2.5)
RATE: Final = 0.01
"""Learning rate of the timed iterations; it does not affect their cost."""


@dataclass(frozen=True, eq=False)
class Problem:
    """The input of every opponent. All arrays are float32, encoded transmittance in [0, 1]."""

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
    """Return a fixed problem of `side`×`side` random pixels; the cost of an iteration does not depend on them."""
    rng = np.random.default_rng(0)
    return Problem(
        rng.random((PLANES, side, side), dtype=np.float32),
        rng.random((LAYERS, PLANES, side, side), dtype=np.float32),
    )
