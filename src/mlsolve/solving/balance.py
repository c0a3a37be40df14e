"""Balanced exposures: the exposures at which targets that share sheets need the same density (docs/maths.md §10).

Rotating, flipping or shifting a sheet moves its density but does not change the total. So the mean density of a
stack is the sum of the mean densities of its layers, plane by plane, for every placement. Targets that share all
their sheets therefore need the same mean density. A brighter target gets there by a lower exposure.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from ..ranges import MIN_EXPOSURE, check_exposure

Array = npt.NDArray[np.float64]

FLOOR: Final = 0.03
"""Encoded light to which darker pixels of a target are raised: density 3.35, sRGB code 1.5 of 255. Anything darker
looks black and need not be matched. Without a floor, a single black pixel would need more density than exists."""

VISIBLE: Final = 0.02
"""Difference in density that is worth reporting: a twentieth of the light."""

_PLANES: Final = ("red", "green", "blue")

_SECONDARY: Final = 1e-4
"""Weight of a layer's density, against 1 for the exponent of an exposure, where either could change. It enters
squared: 1e-8 against 1."""

_ROUNDING: Final = 1e-7
"""Densities that differ by less than this are equal."""


@dataclass(frozen=True, eq=False)
class Balance:
    """Exposures at which the layers come closest to the densities that M arrangements of N layers need."""

    exposures: tuple[float, ...]
    """One for each arrangement, from 0.0001 to 1."""
    cast: Array
    """(M, C), mean density of each stack minus that of its target. No solver can remove it."""
    densities: Array
    """(N, C), the mean densities of the layers that lead to this cast."""
    stacks: tuple[tuple[int, ...], ...]
    """The layers of every arrangement, counted from 0."""
    named: tuple[bool, ...]
    """Whether each exposure was given."""
    largest: float
    """Upper bound of the exposures that were not given."""
    limits: tuple[float, float]
    """Lowest and highest density of a sheet."""

    def words(self, names: Sequence[str]) -> list[str]:
        """Return lines that report every exposure, then every cast, each with its reason.

        names: the names of the M targets.
        """
        lines = [f"{name}: exposure {self._exposure(a, names)}" for a, name in enumerate(names)]
        for a, name in enumerate(names):
            if lack := _lack(self.cast[a]):
                lines.append(f"{name} comes out {lack} (mean density), because {self._reason(a, names)}")
        return lines

    def _exposure(self, a: int, names: Sequence[str]) -> str:
        """Return the exposure of arrangement `a`, and why it is no larger."""
        exposure = self.exposures[a]
        if self.named[a] or exposure == self.largest:
            return f"{exposure:.3g}" + (" as given" if self.named[a] else "")
        lowest = ", the lowest there is" if exposure == MIN_EXPOSURE else ""
        return f"{exposure:.3g} instead of {self.largest:.3g}{lowest}, because {self._others(a, names)}"

    def _reason(self, a: int, names: Sequence[str]) -> str:
        """Return the reason for the cast of arrangement `a`, and what would help."""
        reasons, cast, stack = [], self.cast[a], sorted(self.stacks[a])
        stuck: list[int] = []
        for sign, bound, words in (1, self.limits[0], "clearer"), (-1, self.limits[1], "darker"):
            at_bound = (abs(self.densities - bound) < _ROUNDING) & (sign * cast > VISIBLE)
            if layers := [k for k in stack if at_bound[k].any()]:
                numbers = _listed([str(k + 1) for k in layers])
                reasons.append(f"layer{'s'[: len(layers) - 1]} {numbers} can be no {words} than density {bound:g}")
                stuck += layers
        if {*stuck} != {*stack}:
            reasons.append(self._others(a, names))
        right = self.exposures[a] * 10 ** -float(cast.mean())
        fits = abs(cast.mean()) > VISIBLE and MIN_EXPOSURE <= right <= 1
        return " and ".join(reasons) + (f"; exposure {right:.3g} would suit it" if fits else "")

    def _others(self, a: int, names: Sequence[str]) -> str:
        """Return which other pictures use layers of arrangement `a`."""
        layers = {*self.stacks[a]}
        others = [names[b] for b, stack in enumerate(self.stacks) if b != a and layers & {*stack}]
        return f"its layers also show {_listed(others)}"


def balance_exposures(
    stacks: Sequence[Sequence[int]],
    wanted: Array,
    guides: Array,
    exposures: Sequence[float | None],
    largest: float,
    limits: tuple[float, float],
) -> Balance:
    """Return the exposures of M arrangements of N layers that minimise the sum of squares of the cast.

    stacks: the layers of every arrangement, counted from 0. wanted: (M, C), mean densities of the targets at
    exposure 1. guides: (N, C), mean densities of the guides. exposures: given exposures; None: to be found, at most
    `largest`. limits: lowest and highest density of a sheet. Raises OptionError for an exposure out of range.

    If there are several solutions, it takes the exposures nearest to `largest`, then the layers nearest to the
    guides. Exposures are lowered only relative to each other: among arrangements that share layers, one stays at
    `largest` unless an exposure is given.
    """
    given = [exposure for exposure in exposures if exposure is not None]
    for exposure in (largest, *given):
        check_exposure(exposure)
    members = np.zeros((len(stacks), len(guides)))
    for a, stack in enumerate(stacks):
        members[a, list(stack)] = 1
    named = np.array([exposure is not None for exposure in exposures])
    low = -np.log10([largest if one is None else one for one in exposures])
    high = -np.log10([MIN_EXPOSURE if one is None else one for one in exposures])
    densities, exponents = np.clip(guides, *limits), low.copy()
    for group in _groups(members):
        layers = np.flatnonzero(members[group].any(axis=0))
        asked = members[np.ix_(group, layers)], wanted[group], densities[layers]
        densities[layers], exponents[group] = _solve(*asked, limits, low[group], high[group])
    found = np.where(exponents - low < _ROUNDING, largest, 10**-exponents)
    found[high - exponents < _ROUNDING] = MIN_EXPOSURE
    found[named] = given
    cast = members @ densities - exponents[:, np.newaxis] - wanted
    layers_of = tuple(tuple(stack) for stack in stacks)
    return Balance(tuple(found.tolist()), cast, densities, layers_of, tuple(named.tolist()), largest, limits)


def _groups(members: Array) -> list[npt.NDArray[np.intp]]:
    """Return the arrangements in groups that share no layer. members: (M, N), 1 where a stack holds a layer."""
    joined = members @ members.T > 0
    for _ in range(len(members).bit_length()):
        joined = joined @ joined  # Boolean product: whether a path connects two arrangements
    return [np.flatnonzero(row) for row in np.unique(joined, axis=0)]


def _solve(
    members: Array, wanted: Array, guides: Array, limits: tuple[float, float], least: Array, most: Array
) -> tuple[Array, Array]:
    """Return the densities (N, C) of the layers and the exponents E (M,) of the exposures 10^-E of one group.

    least, most: bounds of E, (M,); they are equal for a given exposure. At least one E stays at its lower bound.
    """
    (stacks, _), planes, unknown = members.shape, wanted.shape[1], guides.size
    matrix = np.hstack([np.kron(members, np.eye(planes)), -np.kron(np.eye(stacks), np.ones((planes, 1)))])
    point = np.concatenate([guides.ravel(), least])
    weights = np.where(np.arange(point.size) < unknown, _SECONDARY, 1.0)
    low = np.concatenate([np.full(unknown, limits[0]), least])

    def best(most: Array) -> tuple[float, Array]:
        """Return the sum of squares and the unknowns."""
        high = np.concatenate([np.full(unknown, limits[1]), most])
        fitted = matrix @ _bounded(matrix, wanted.ravel(), low, high, point)
        found = _nearest(point, weights, matrix, fitted, low, high)
        return float(np.square(fitted - wanted.ravel()).sum()), found

    _, found = best(most)
    if np.all(found[unknown:] - least > _ROUNDING):
        # That one E stays at its bound is not a convex condition, so each is tried. Rounding the sums keeps equal
        # ones equal.
        tried = [best(np.where(np.arange(stacks) == a, least, most)) for a in range(stacks)]
        _, found = min(tried, key=lambda one: round(one[0], 9))
    return found[:unknown].reshape(guides.shape), found[unknown:]


def _bounded(matrix: Array, values: Array, low: Array, high: Array, start: Array) -> Array:
    """Return an x, low ≤ x ≤ high, that minimises |matrix·x - values|. start: initial x, within the bounds.

    An active-set method as in BVLS (Stark & Parker 1995), after NNLS (Lawson & Hanson 1974, ch. 23.3). The matrix
    may have any rank: among the best steps it takes the shortest, along which a variable that was just freed leaves
    its bound. So the sum of squares falls, and no active set repeats.
    """
    x, cost = start.copy(), math.inf
    free = (low < x) & (x < high)
    slack = 1e-13 * np.linalg.norm(matrix, axis=0) * max(1.0, float(np.linalg.norm(values)))
    while True:
        before = x.copy()
        while free.any():
            step = np.zeros_like(x)
            step[free] = np.linalg.lstsq(matrix[:, free], values - matrix @ x, rcond=1e-12)[0]
            bound, room = np.where(step > 0, high, low), np.full(x.shape, math.inf)
            np.divide(bound - x, step, out=room, where=step != 0)
            reach = room.min()
            if reach >= 1:
                x += step
                break
            stopped = room <= reach
            x = np.where(stopped, bound, x + reach * step)
            free &= ~stopped
        rest = values - matrix @ x
        if rest @ rest >= cost:  # only rounding errors are left
            return before
        cost = float(rest @ rest)
        pull = matrix.T @ rest
        gain = np.where(free | (low == high), 0, np.where(x == low, pull, -pull)) - slack
        if gain.max() <= 0:
            return x
        free[gain.argmax()] = True


def _nearest(point: Array, weights: Array, matrix: Array, values: Array, low: Array, high: Array) -> Array:
    """Return the x that minimises |weights·(x - point)| with low ≤ x ≤ high and matrix·x = values; one must exist.

    Least distance programming (Lawson & Hanson 1974, ch. 23.4): the residual of the dual, again a bounded problem,
    points to it. The multipliers of the equations may have either sign.
    """
    sides = np.vstack([matrix, np.eye(point.size), -np.eye(point.size)]) / weights
    dual = np.vstack([sides.T, np.concatenate([values - matrix @ point, low - point, point - high])])
    least = np.repeat([-math.inf, 0.0], [len(values), 2 * point.size])
    aim = np.append(np.zeros(point.size), 1.0)
    multipliers = _bounded(dual, aim, least, np.full(least.shape, math.inf), np.zeros(least.shape))
    rest = aim - dual @ multipliers
    nearest = np.clip(point - rest[:-1] / (rest[-1] * weights), low, high)
    return _bounded(matrix, values, low, high, nearest)  # corrects rounding errors


def _lack(cast: Array) -> str:
    """Return `cast` (C,) in words, such as "0.06 too dark in red"; an empty text if it is not visible."""
    if np.ptp(cast) <= VISIBLE:  # the same in all planes: a difference in brightness, not in colour
        return _strength(float(cast.mean()))
    parts = zip(map(_strength, cast.tolist()), _PLANES, strict=True)
    return _listed([f"{strength} in {plane}" for strength, plane in parts if strength])


def _strength(cast: float) -> str:
    return f"{abs(cast):.2f} too {'dark' if cast > 0 else 'light'}" if abs(cast) > VISIBLE else ""


def _listed(parts: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]]))
