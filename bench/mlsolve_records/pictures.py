"""Real pictures as a problem: the cat of the examples and three guides, those of `make demo`."""

from pathlib import Path
from typing import Final

import numpy as np

from mlsolve.errors import InputError
from mlsolve.pictures.arrays import planar
from mlsolve.pictures.colour import encode
from mlsolve_bench.problem import FloatArray, Problem

GUIDES: Final = (("rosette", 1, "ember"), ("mosaic", 4, "lagoon"), ("kaleidoscope", 3, "dusk"))
"""Family, seed and palette of the generated guides for the cat."""

CAT: Final = Path(__file__).parents[2] / "examples" / "chelsea.jpg"


def pictures(side: int) -> tuple[FloatArray, list[FloatArray]]:
    """Return the cat and its three guides, each (side, side, 3) float32 sRGB in [0, 1].

    Raises InputError if the examples are not available.
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
