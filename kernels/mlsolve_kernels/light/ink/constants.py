"""The float32 constants of the light of inks, for the kernels on the CPU and for those in CUDA (cuda/source.py)."""

from typing import Final

import numpy as np

from .reference import DARKEST as _DARKEST
from .reference import GAMMA as _GAMMA

LOG2: Final = tuple(
    np.float32(one)
    for one in (
        1.442696452140808,
        -0.7213635444641113,
        0.48062676191329956,
        -0.35937172174453735,
        0.295699805021286,
        -0.26931941509246826,
        0.1716223806142807,
    )
)
"""log2(1 + f) / f for f in [√½ - 1, √2 - 1), to 1.1e-6 of itself: coefficients of 1, f, f², …"""
EXP2: Final = tuple(
    np.float32(one)
    for one in (
        1.0000001192092896,
        0.6931469440460205,
        0.24022120237350464,
        0.05550713464617729,
        0.009675540961325169,
        0.0013276466634124517,
    )
)
"""2^r for r in [-½, ½], to 8e-8 of itself."""
ROUNDER: Final = np.float32(1.5 * 2**23)
"""Added to a float32 below 2^22, it leaves the nearest integer in the lowest bits."""

GAMMA: Final = np.float32(_GAMMA)
INVERSE: Final = np.float32(1 / _GAMMA)
LESS: Final = np.float32(_GAMMA - 1)
SHARE: Final = np.float32(1 - _GAMMA)
DARKEST: Final = np.float32(_DARKEST)
BLACK: Final = np.float32(np.float64(_DARKEST) ** (1 / _GAMMA) * (1 + 1e-5))
"""Encoded, what the eye sees where there is no light: a rounding above the darkest look."""
LEAST: Final = np.float32(1e-15)
"""Encoded light is raised to this, so that its logarithm exists and its power is no subnormal number."""

FLOATS: Final = {
    "INK_ROUNDER": ROUNDER,
    "INK_GAMMA": GAMMA,
    "INK_INVERSE": INVERSE,
    "INK_LESS": LESS,
    "INK_SHARE": SHARE,
    "INK_DARKEST": DARKEST,
    "INK_BLACK": BLACK,
    "INK_LEAST": LEAST,
}
"""By their names in CUDA."""
TABLES: Final = {"INK_LOG2": LOG2, "INK_EXP2": EXP2}
"""The same of the polynomials."""
