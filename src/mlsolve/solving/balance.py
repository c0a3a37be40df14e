"""Balanced exposures: what pictures ask of the layers they share, and what those can give (docs/maths.md §10).

Turning, flipping or shifting a sheet moves its density about and neither adds nor removes any. So the mean density
of a stack is the sum of its layers', plane by plane, however they lie; and two pictures that the same layers show
must ask for the same, the brighter one by a lower exposure.
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
"""Encoded light below which a target's density is not counted: density 3.35, sRGB code 1.5 of 255. What is darker
is black to the eye and need not be matched, and a single black pixel would ask for more density than there is."""

VISIBLE: Final = 0.02
"""Difference in density that is worth a word: a twentieth of the light."""

_PLANES: Final = ("red", "green", "blue")

_SECONDARY: Final = 1e-4
"""Weight of a density beside an exponent of an exposure, where both could give way: 1 by 1e-8, its square."""

_ROUNDING: Final = 1e-7
"""Densities no farther apart are the same."""


@dataclass(frozen=True, eq=False)
class Balance:
    """Exposures at which M arrangements of N layers ask, as nearly as they can, for what layers can give."""

    exposures: tuple[float, ...]
    """Of the arrangements."""
    cast: Array
    """(M, C), mean density of the stacks less what the targets ask for: no solver removes it."""
    densities: Array
    """(N, C), the mean densities of the layers with which it is so."""
    stacks: tuple[tuple[int, ...], ...]
    """The layers of every arrangement, from 0."""
    named: tuple[bool, ...]
    """Whether the exposure was given."""
    largest: float
    """What the others may be at most."""
    limits: tuple[float, float]
    """Least and greatest density of a sheet."""

    def words(self, names: Sequence[str]) -> list[str]:
        """Return lines that tell every picture's exposure, and why, and then what pictures will lack, and why.

        names: what the M targets are called.
        """
        lines = [f"{name}: exposure {self._exposure(a, names)}" for a, name in enumerate(names)]
        for a, name in enumerate(names):
            if lack := _lack(self.cast[a]):
                lines.append(f"{name} comes out {lack} (mean density), for {self._reason(a, names)}")
        return lines

    def _exposure(self, a: int, names: Sequence[str]) -> str:
        """Return the exposure of arrangement `a`, and why it is no larger."""
        exposure = self.exposures[a]
        if self.named[a] or exposure == self.largest:
            return f"{exposure:.3g}" + (" as given" if self.named[a] else "")
        lowest = ", the lowest there is" if exposure == MIN_EXPOSURE else ""
        return f"{exposure:.3g} instead of {self.largest:.3g}{lowest}, for {self._others(a, names)}"

    def _reason(self, a: int, names: Sequence[str]) -> str:
        """Return why arrangement `a` lacks what it lacks, and what would help."""
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
        """Return what other pictures hold the layers of arrangement `a`."""
        own = {*self.stacks[a]}
        others = [names[b] for b, stack in enumerate(self.stacks) if b != a and own & {*stack}]
        return f"its layers also show {_listed(others)}"


def balance_exposures(
    stacks: Sequence[Sequence[int]],
    wanted: Array,
    guides: Array,
    exposures: Sequence[float | None],
    largest: float,
    limits: tuple[float, float],
) -> Balance:
    """Return the exposures of M arrangements of N layers at which the squares of the cast have the least sum.

    stacks: the layers of every arrangement, from 0. wanted: (M, C), mean densities of the targets at exposure 1.
    guides: (N, C), those of the guides. exposures: what is given; None: to be found, `largest` or less.
    limits: least and greatest density of a sheet. Raises OptionError for an exposure out of range.

    Of several solutions that with the exposures nearest to `largest` is taken, and of these that with the layers
    nearest to the guides. Exposures are lowered to suit each other, never all at once: of arrangements that share
    layers one stays at `largest`, unless one has its exposure given.
    """
    given = [exposure for exposure in exposures if exposure is not None]
    for exposure in (largest, *given):
        check_exposure(exposure)
    lies = np.zeros((len(stacks), len(guides)))
    for a, stack in enumerate(stacks):
        lies[a, list(stack)] = 1
    named = np.array([exposure is not None for exposure in exposures])
    low = -np.log10([largest if one is None else one for one in exposures])
    high = -np.log10([MIN_EXPOSURE if one is None else one for one in exposures])
    densities, exponents = np.clip(guides, *limits), low.copy()
    for group in _groups(lies):
        layers = np.flatnonzero(lies[group].any(axis=0))
        asked = lies[np.ix_(group, layers)], wanted[group], densities[layers]
        densities[layers], exponents[group] = _solve(*asked, limits, low[group], high[group])
    found = np.where(exponents - low < _ROUNDING, largest, 10**-exponents)
    found[high - exponents < _ROUNDING] = MIN_EXPOSURE
    found[named] = given
    cast = lies @ densities - exponents[:, np.newaxis] - wanted
    lain = tuple(tuple(stack) for stack in stacks)
    return Balance(tuple(found.tolist()), cast, densities, lain, tuple(named.tolist()), largest, limits)


def _groups(lies: Array) -> list[npt.NDArray[np.intp]]:
    """Return the arrangements in groups that have no layer in common. lies: (M, N), 1 where a layer lies."""
    joined = lies @ lies.T > 0
    for _ in range(len(lies).bit_length()):
        joined = joined @ joined  # of truth values: whether there is a way
    return [np.flatnonzero(row) for row in np.unique(joined, axis=0)]


def _solve(
    lies: Array, wanted: Array, guides: Array, limits: tuple[float, float], least: Array, most: Array
) -> tuple[Array, Array]:
    """Return the densities (N, C) of the layers and the exponents E (M,) of the exposures 10^-E of one group.

    least, most: bounds of E, (M,). One E stays at its least, as one that is given does in any case.
    """
    (stacks, _), planes, unknown = lies.shape, wanted.shape[1], guides.size
    matrix = np.hstack([np.kron(lies, np.eye(planes)), -np.kron(np.eye(stacks), np.ones((planes, 1)))])
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
        # That one stays is no convex condition: each is tried. Equal sums must not be told apart by their rounding.
        tried = [best(np.where(np.arange(stacks) == a, least, most)) for a in range(stacks)]
        _, found = min(tried, key=lambda one: round(one[0], 9))
    return found[:unknown].reshape(guides.shape), found[unknown:]


def _bounded(matrix: Array, values: Array, low: Array, high: Array, start: Array) -> Array:
    """Return an x, low ≤ x ≤ high, with the least |matrix·x - values|. start: where to begin, within the bounds.

    An active set as in BVLS (Stark & Parker 1995), after NNLS (Lawson & Hanson 1974, ch. 23.3). The matrix may have
    any rank: of the best steps the shortest is taken, and along it what was just set free leaves its bound. So the
    sum of squares falls, and no set comes twice.
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
        if rest @ rest >= cost:  # nothing is left but rounding
            return before
        cost = float(rest @ rest)
        pull = matrix.T @ rest
        gain = np.where(free | (low == high), 0, np.where(x == low, pull, -pull)) - slack
        if gain.max() <= 0:
            return x
        free[gain.argmax()] = True


def _nearest(point: Array, weights: Array, matrix: Array, values: Array, low: Array, high: Array) -> Array:
    """Return the x, low ≤ x ≤ high and matrix·x = values, with the least |weights·(x - point)|; there must be one.

    Least distance programming (Lawson & Hanson 1974, ch. 23.4): what is left over in the dual, again a bounded
    problem, points there. The multipliers of equations may have either sign.
    """
    sides = np.vstack([matrix, np.eye(point.size), -np.eye(point.size)]) / weights
    dual = np.vstack([sides.T, np.concatenate([values - matrix @ point, low - point, point - high])])
    least = np.repeat([-math.inf, 0.0], [len(values), 2 * point.size])
    aim = np.append(np.zeros(point.size), 1.0)
    multipliers = _bounded(dual, aim, least, np.full(least.shape, math.inf), np.zeros(least.shape))
    rest = aim - dual @ multipliers
    nearest = np.clip(point - rest[:-1] / (rest[-1] * weights), low, high)
    return _bounded(matrix, values, low, high, nearest)  # what rounding has cost


def _lack(cast: Array) -> str:
    """Return what a viewer sees of `cast`, (C,), nothing if that is too little: "0.06 too dark in red"."""
    if np.ptp(cast) <= VISIBLE:  # a cast of grey is none
        return _strength(float(cast.mean()))
    parts = zip(map(_strength, cast.tolist()), _PLANES, strict=True)
    return _listed([f"{strength} in {plane}" for strength, plane in parts if strength])


def _strength(cast: float) -> str:
    return f"{abs(cast):.2f} too {'dark' if cast > 0 else 'light'}" if abs(cast) > VISIBLE else ""


def _listed(parts: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]]))
