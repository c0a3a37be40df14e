"""The problem that is timed: one target, three RGB guides, and the settings that everybody gets."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from mlsolve.errors import InputError
from mlsolve.pictures.arrays import planar
from mlsolve.pictures.colour import encode, exposure_scale, printable_range
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

GUIDES: Final = (("rosette", 1, "ember"), ("mosaic", 4, "lagoon"), ("kaleidoscope", 3, "dusk"))
"""Family, seed and palette of the guides beside the cat, those of `make demo`."""

CAT: Final = Path(__file__).parents[2] / "examples" / "chelsea.jpg"


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


def pictures(side: int) -> tuple[FloatArray, list[FloatArray]]:
    """Return the cat and its three guides, each (side, side, 3) float32 sRGB in [0, 1].

    Raises InputError where the examples are not at hand: an installed mlsolve has none, a clone does.
    """
    from mlsolve.guides import generate
    from mlsolve.pictures.picture_files import load_picture
    from mlsolve.pictures.resize import fit_image

    if not CAT.exists():
        raise InputError(f"the picture {CAT.name} is not at {CAT.parent}: run this bench from a clone of mlsolve")
    size = (side, side)
    target = fit_image(load_picture(CAT), size)
    return target, [fit_image(generate(family, size, seed, name), size) for family, seed, name in GUIDES]


def cat(side: int) -> Problem:
    """Return the problem of `pictures`."""
    target, guides = pictures(side)
    return Problem(encode(planar(target)), encode(np.stack([planar(guide) for guide in guides])))
