"""The numbers of inks as one vector within bounds, and the light they predict (as light/ink/reference.py does)."""

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Final

import numpy as np

from mlsolve_kernels.light.ink.inks import DEGREE, Inks
from mlsolve_kernels.light.ink.reference import DARKEST, gain

from ..media.media import MAX_DENSITY
from ..pictures.colour import GAMMA
from .samples import Array, Samples

_TO_ENCODED: Final = math.log(10) / GAMMA
"""Natural logarithms of encoded transmittance in a density of 1."""
DARKEST_CURVE: Final = 5.5
"""Density that no ink is fitted beyond; profiles end at MAX_DENSITY."""
_PALEST: Final = 1 - 1e-5
"""Encoded transmittance that a channel's ink has at most, so that it is an ink."""
_CROSSTALK: Final = 0.15
"""Share of a channel's density that the other bands see of a usual printer."""
_DIGITS: Final = 6
assert DARKEST_CURVE < MAX_DENSITY


@dataclass(frozen=True)
class Parameters:
    """How a vector of parameters is divided; all its entries have plain bounds.

    In order: densities of the base, (P); falls of density between control points of the curves, (P, C, DEGREE); the
    matrix from bands to what the instrument sees, and what the matrix to the eye has beyond it, both without their
    diagonals: their rows add up to 1 and to 0.
    """

    planes: int
    to_light: Array | None
    """What the instrument sees, (P, P): fixed, or None where it is found."""
    reflectance: float = 0.0
    by_eye: bool = False
    """There are references, so the matrix to the eye is found as well; else it is what the instrument sees."""

    @cached_property
    def parts(self) -> tuple[slice, ...]:
        """Where base, curves and the two matrices lie in the vector."""
        planes = self.planes
        others = planes * (planes - 1)
        sizes = [planes, planes**2 * DEGREE, others if self.to_light is None else 0, others if self.by_eye else 0]
        return tuple(slice(int(a), int(b)) for a, b in pairwise(np.cumsum([0, *sizes])))

    @property
    def bounds(self) -> tuple[Array, Array]:
        """Lowest and highest values."""
        base, curves, seen, beyond = self.parts
        low, high = np.zeros(beyond.stop), np.ones(beyond.stop)
        high[base], high[curves] = 2.0, DARKEST_CURVE / DEGREE * 3
        for matrix in (seen, beyond):
            low[matrix], high[matrix] = -1.0, 1.0
        return low, high

    @property
    def start(self) -> Array:
        """A printer that is like many: where a fit begins, and what it keeps to where nothing is measured."""
        base, curves, _, beyond = self.parts
        start = np.zeros(beyond.stop)
        seen = _CROSSTALK + (1 - _CROSSTALK) * np.eye(self.planes)
        start[base], start[curves] = 0.04, np.repeat(seen.ravel(), DEGREE) * (1.6 / DEGREE)
        return start

    def spread(self, vector: Array) -> tuple[Array, Array, Array, Array]:
        """Return base (P,), control points (P, C, DEGREE + 1), encoded; bands to instrument and to eye, (P, P)."""
        base, curves, seen, beyond = self.parts
        falls = vector[curves].reshape(self.planes, self.planes, DEGREE)
        densities = np.cumsum(falls[..., ::-1], axis=2)[..., ::-1]
        points = np.ones((self.planes, self.planes, DEGREE + 1))
        points[..., :-1] = np.exp(-_TO_ENCODED * np.minimum(densities, DARKEST_CURVE))
        instrument = self._matrix(vector[seen], 1) if self.to_light is None else self.to_light
        eye = instrument + self._matrix(vector[beyond], 0) if self.by_eye else instrument
        return np.exp(-_TO_ENCODED * vector[base]), points, instrument, eye

    def _matrix(self, others: Array, total: float) -> Array:
        """Return the matrix, (P, P), of what is beside its diagonal; its rows add up to `total`."""
        found = np.zeros((self.planes, self.planes))
        found[~np.eye(self.planes, dtype=bool)] = others
        return np.asarray(found + np.diag(total - found.sum(axis=1)), dtype=np.float64)

    def inks(self, vector: Array) -> Inks:
        """Return the inks that a vector stands for."""
        base, points, _, eye = self.spread(vector)
        own = np.arange(self.planes)
        points[own, own, :-1] = np.minimum(points[own, own, :-1], _PALEST)
        curves = tuple(tuple(tuple(map(float, curve)) for curve in band) for band in points)
        to_eye = tuple(tuple(map(float, row)) for row in eye.round(_DIGITS))
        return Inks(tuple(map(float, base)), curves, to_eye, self.reflectance)


class Model:
    """Predicts samples. What does not change between predictions is computed once."""

    def __init__(self, samples: Samples, parameters: Parameters) -> None:
        """Prepare for the codes of these samples."""
        values = samples.values[..., np.newaxis]
        powers = np.arange(DEGREE + 1)
        ways = np.array([math.comb(DEGREE, k) for k in powers], dtype=np.float64)
        self._basis = ways * values**powers * (1 - values) ** (DEGREE - powers)
        self._stacked = samples.stacked[:, np.newaxis]
        self._any = bool(self._stacked.any())
        self._by_eye = None if samples.references is None else samples.references[:, np.newaxis]
        self._parameters = parameters

    def light(self, vector: Array) -> Array:
        """Return the light through the samples as it was measured, (n, P), for a vector of parameters."""
        base, points, instrument, eye = self._parameters.spread(vector)
        inked = np.log(np.einsum("sncd,bcd->snbc", self._basis, points))
        bands = (np.log(base) + inked.sum(axis=3)) * GAMMA
        total = bands[0] + np.where(self._stacked, bands[1], 0) if self._any else bands[0]
        light = np.exp(total)
        if self._any and self._parameters.reflectance:
            light = light * np.where(self._stacked, gain(np.exp(total / 2), 2, self._parameters.reflectance)[0], 1)
        measured = light @ instrument.T
        if self._by_eye is not None:
            measured = np.where(self._by_eye, light @ eye.T, measured)
        return np.asarray(np.maximum(measured, DARKEST), dtype=np.float64)
