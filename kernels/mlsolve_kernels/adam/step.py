"""The scalar maths of one Adam step, written once for every backend.

Plain Python on float32 scalars: Numba compiles it for the CPU, numba-cuda for a GPU.
"""

import math
from typing import Any, NamedTuple

import numpy as np


class Rates(NamedTuple):
    """The constants of one iteration, float32."""

    rate: np.float32
    """Learning rate α."""
    blend_first: np.float32
    """1 - β1."""
    blend_second: np.float32
    """1 - β2."""
    correct_first: np.float32
    """1 / (1 - β1^t), where t is the number of this step, from 1."""
    correct_second: np.float32
    """1 / (1 - β2^t)."""
    epsilon: np.float32
    low: np.float32
    """Darkest printable encoded transmittance."""
    high: np.float32
    """Lightest printable encoded transmittance."""

    @classmethod
    def at(
        cls,
        step: int,
        rate: float,
        bounds: tuple[float, float],
        betas: tuple[float, float],
        epsilon: float = 1e-8,
    ) -> "Rates":
        """Return the constants of step `step` (from 1) at learning rate `rate`."""
        first, second = betas
        values = (
            rate,
            1 - first,
            1 - second,
            1 / (1 - first**step),
            1 / (1 - second**step),
            epsilon,
            *bounds,
        )
        return cls(*(np.float32(value) for value in values))


def adam_step(x: Any, first: Any, second: Any, gradient: Any, rates: Any) -> tuple[Any, Any, Any]:
    """Return the new value, first moment and second moment of one pixel."""
    first = first + rates.blend_first * (gradient - first)
    second = second + rates.blend_second * (gradient * gradient - second)
    root = math.sqrt(second * rates.correct_second)
    moved = x - rates.rate * (first * rates.correct_first) / (root + rates.epsilon)
    return min(max(moved, rates.low), rates.high), first, second
