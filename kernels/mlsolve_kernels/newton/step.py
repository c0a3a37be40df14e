"""The constants of a Newton step, and its scalar maths, written once for the CPU and read by the CUDA twin.

docs/maths.md §5 derives them. bench/LOG.md says how the numbers were found.
"""

import math
from typing import Any, Final, NamedTuple

import numpy as np

_PEAK: Final = 1.5
"""Share of a Newton step that is taken until `_FALLS` of a level are left. With this momentum 1.36 is the most that
a quadratic loss stands whose curvature is as assumed; most curvatures are less."""

_FALLS: Final = 0.3

_END: Final = 0.3
"""Share of `_PEAK` at the end of a level."""

_MOMENTUM: Final = 0.9

_DAMPING: Final = 0.05
"""Damping for each layer. What a stack's curvature says of one layer is less certain the more layers there are."""

_BRIGHTNESS: Final = 0.35
"""Share of the windowed error of the stack that its layers make up for in the first iteration of a level."""

_BRIGHTNESS_END: Final = (0.045, 0.5)
"""Share of `_BRIGHTNESS` at the end of a level: for each layer, and at most. With many layers broad errors die out
more slowly than with few."""

LONGEST: Final = 0.1
"""Longest move of a pixel before momentum. Where guide and layer differ much, the curvature is only a guess."""

_ONE: Final = np.float32(1)
_LONGEST: Final = np.float32(LONGEST)

LEAST_SHARE: Final = 1e-3
"""Least curvature by a layer, in that of the stack. Where a guide has no weight, a step would have no bound."""

LEAST: Final = 1e-6
"""Least curvature by a layer, where the stack has none either."""


class NewtonRates(NamedTuple):
    """The constants of one iteration, float32. The fields after `high` do not change within a level."""

    rate: np.float32
    """Share of the Newton step."""
    brightness: np.float32
    """Share of the windowed error of the stack that its layers make up for at once."""
    low: np.float32
    """Darkest printable encoded transmittance."""
    high: np.float32
    """Lightest printable encoded transmittance."""
    momentum: np.float32
    damping: np.float32
    """Share θ of the stack's own curvature that is added to that of each layer."""
    darkest: np.float32
    """Windowed target below which errors count as if it were this light."""
    farthest: np.float32
    """Largest share of itself by which the windowed stack is made up for."""

    @classmethod
    def at(cls, left: float, layers: int, bounds: tuple[float, float]) -> "NewtonRates":
        """Return the constants of an iteration of a stack of `layers` layers.

        left: share of the iterations of the level that are still to do, this one included: from 1 towards 0.
        """
        fall = 1.0 if left >= _FALLS else (1 - math.cos(math.pi * left / _FALLS)) / 2
        end = min(_BRIGHTNESS_END[0] * layers, _BRIGHTNESS_END[1])
        values = (
            _PEAK * (_END + (1 - _END) * fall),
            _BRIGHTNESS * (end + (1 - end) * left),
            *bounds,
            _MOMENTUM,
            _DAMPING * layers,
            0.02,
            0.3,
        )
        return cls(*(np.float32(value) for value in values))


def room_of(x: Any, gradient: Any, rates: Any) -> Any:
    """Return a number that is 0 if x is at a bound and its gradient pushes it outwards, and positive otherwise."""
    return min(max(x - rates.low, -gradient), max(rates.high - x, gradient))


def inverse_of(slope: Any, bend: Any, curvature: Any, rates: Any) -> Any:
    """Return 1 / D, with D = curvature + θ · bend · slope²; bend: the curvature of the loss by the stack."""
    return _ONE / (curvature + rates.damping * bend * slope * slope)


def counted_in_shift(weight: Any, layers: int) -> Any:
    """Return how much a pixel with `weight` in a mask counts for the shift of a stack of `layers` layers.

    One or two layers follow their guides where the target hardly counts. The broad errors of many layers die out
    slowly there, so the more layers there are, the less the weight matters: its root is taken, and again.
    """
    if layers <= 2:
        return weight * weight
    for _ in range(layers // 2 - 1):
        weight = math.sqrt(weight)
    return weight


def shift_of(windowed: Any, wanted: Any, counts: Any, free: Any, rates: Any) -> Any:
    """Return the share of itself by which each of `free` layers falls, to make up for the error of the stack.

    The error is the share by which the windowed stack is lighter than the windowed target, at most `farthest`.
    counts: see `counted_in_shift`.
    """
    base = max(wanted, rates.darkest)
    most = rates.farthest * base
    error = min(max(windowed - wanted, -most), most)
    return rates.brightness * counts * error / (base * max(free, _ONE))


def newton_step(
    x: Any, velocity: Any, gradient: Any, slope: Any, inverse: Any, through: Any, shift: Any, rates: Any
) -> tuple[Any, Any, Any]:
    """Return the new value of a layer, its velocity if it was not clamped, and by how much it was.

    through: what the stack takes of the step. shift: share of itself by which x falls for the brightness.
    """
    move = rates.rate * ((gradient - slope * through) * inverse)
    move = min(max(move, -_LONGEST), _LONGEST)
    speed = rates.momentum * velocity - move
    moved = x + (rates.momentum * speed - move - shift * x)
    value = min(max(moved, rates.low), rates.high)
    return value, speed, moved - value
