"""Fits inks to samples: robust, with spoiled patches left out, and tested on what it was not fitted to."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from mlsolve_kernels.light.ink.inks import Inks
from mlsolve_kernels.light.ink.reference import DARKEST

from ..errors import InputError
from ..media.media import Fit
from ..pictures.difference import delta_e00, lab_from_light
from .least_squares import Minimum, minimise
from .parameters import Model, Parameters
from .samples import Array, Samples

_LEAST: Final = {1: 6, 3: 24}
"""Kinds of patches that are needed, by the number of channels."""
_SPREADS: Final = 3.0
_CERTAIN: Final = 4.0
"""A patch is spoiled that is off by so many times the usual spread, and by so many ΔE00 at least."""
_MOST_SPOILED: Final = 0.15
"""Share of spoiled patches from which on it is not the patches that are wrong."""
_NEIGHBOURS: Final = 6
_WORST: Final = 0.5
"""Of the distance of the worst patch: those beyond are left out at once, the others are judged again."""
_ROUNDS: Final = 10
_WEAK: Final = 0.05
"""ΔE00 that a parameter's distance of 0.1 from a usual printer counts: it decides only what no patch shows."""
_STACK: Final = 3.0
"""Weight of a stack: stacks are what is looked at, and few patches show them (bench/LOG.md)."""
_REFERENCE: Final = 2.0
"""Weight of what the eye sees beside what a camera does."""
_FREE: Final = 1e-6
"""Share of a residual that a fit must leave free for it to be judged."""
_SURROUND: Final = 0.002
"""Light added before colours are compared, so that noise in black does not outweigh everything."""


Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Fitted:
    """Inks, and how well they predict the samples."""

    inks: Inks
    fit: Fit
    kept: Mask
    """Samples it was fitted to, (n,)."""
    predicted: Array
    """Light of the samples by these inks, (n, P)."""
    left_out: Array
    """ΔE00 of every sample, predicted by a fit without it and its repeats, (n,)."""

    def first(self, count: int) -> "Fitted":
        """Return what is known of the first `count` samples."""
        return replace(
            self, kept=self.kept[:count], predicted=self.predicted[:count], left_out=self.left_out[:count]
        )


def fit(samples: Samples, reflectance: float = 0.0) -> Fitted:
    """Return the inks that predict `samples` best, in ΔE00.

    reflectance: of a surface of a sheet, for stacks. Patches that neither the inks nor patches of similar colour
    explain are left out. Raises InputError for too few samples, and for samples that no inks explain.
    """
    kinds = len(np.unique(samples.groups()))
    if kinds < _LEAST[samples.planes]:
        raise InputError(f"there are {kinds} different patches: give {_LEAST[samples.planes]} or more")
    if not np.isfinite(samples.light).all():
        raise InputError("a measurement is not finite: give finite numbers")
    parameters = Parameters(samples.planes, samples.to_light, reflectance, samples.references is not None)
    problem = _Problem(samples, parameters)
    # Sheets are judged by sheets: stacks, which weigh more, bend the inks towards themselves.
    sheets = ~samples.stacked if samples.references is None else ~(samples.stacked | samples.references)
    vector, kept = parameters.start, np.ones(len(sheets), dtype=bool)
    if not sheets.all() and len(np.unique(samples.groups()[sheets])) >= _LEAST[samples.planes]:
        vector, kept, _ = problem.fit(vector, sheets, sheets)
        kept = kept | ~sheets
    vector, kept, colours = problem.fit(vector, kept, ~sheets if not sheets.all() else sheets)
    used = colours[kept]
    median, high, worst = (round(float(one), 3) for one in (np.median(used), np.percentile(used, 95), used.max()))
    report = Fit(int(kept.sum()), median, high, worst, int((~kept).sum()))
    return Fitted(parameters.inks(vector), report, kept, problem.model.light(vector), colours)


class _Problem:
    """Residuals in units of ΔE00."""

    def __init__(self, samples: Samples, parameters: Parameters) -> None:
        self.samples, self.parameters = samples, parameters
        self.model = Model(samples, parameters)
        # The eye sees no negative light, of colours beyond sRGB, and neither does the model.
        self._measured = lab_from_light(np.maximum(samples.light, DARKEST) + _SURROUND)
        self._metric = metric(self._measured)
        self._groups = samples.groups()
        self._worth = np.where(samples.stacked, _STACK, 1.0)
        if samples.references is not None:
            self._worth *= np.where(samples.references, _REFERENCE, 1.0)

    def residuals(self, vector: Array) -> Array:
        """Return the residuals of the samples, (n, 3)."""
        off = lab_from_light(self.model.light(vector) + _SURROUND) - self._measured
        return np.asarray(np.einsum("nij,nj->ni", self._metric, off), dtype=np.float64)

    def solve(self, start: Array, weights: Array, iterations: int) -> Minimum:
        """Return the minimum for these weights of the samples, (n,)."""
        low, high = self.parameters.bounds
        usual = self.parameters.start
        weighed = (weights * self._worth)[:, np.newaxis]

        def residuals(vector: Array) -> Array:
            off = (self.residuals(vector) * weighed).ravel()
            return np.concatenate([off, (vector - usual) * (_WEAK / 0.1)])

        return minimise(residuals, start, low, high, iterations)

    def fit(self, start: Array, kept: Mask, suspect: Mask) -> tuple[Array, Mask, Array]:
        """Return the parameters for the samples in `kept` but spoiled ones, which are kept then, and their ΔE00.

        suspect: samples that may be spoiled. The ΔE00 is that of a fit without the sample and its repeats. Raises
        InputError if too many are.
        """
        weights = kept.astype(np.float64)
        vector = start
        for _ in range(8):  # Huber's weights: no patch pulls more than its neighbours
            vector = self.solve(vector, weights, 15).vector
            off = np.linalg.norm(self.residuals(vector), axis=1)
            weights = kept * np.minimum(1, 2 * np.median(off[kept]) / np.maximum(off, 1e-9)) ** 0.5
        for _ in range(_ROUNDS):
            found = self.solve(vector, kept.astype(np.float64), 60)
            vector = found.vector
            standard, colours = self.without(found, kept)
            spoiled = kept & suspect & _spoiled(self.samples, standard, kept)
            if not spoiled.any():
                break
            kept = kept & ~spoiled
            if (left_out := suspect & ~kept).sum() > _MOST_SPOILED * len(kept):
                raise InputError(
                    f"{left_out.sum()} of {suspect.sum()} patches fit no printer: check that the codes belong to "
                    "the measurements, that the printer did no colour management, and that the chart is clean"
                )
        return vector, kept, colours

    def without(self, found: Minimum, kept: Mask) -> tuple[Array, Array]:
        """Return standard residuals, (n, 3), and the ΔE00 that a fit without a sample and its repeats leaves, (n,).

        The fit is not repeated: of a sample i, (1 - H_ii)^-1 r_i with H = J (J'J)^-1 J' is what linear least
        squares leave (Cook, Technometrics 19, 1977), and near its minimum the problem is nearly linear. Standard
        residuals, (1 - H_ii)^-1/2 r_i, spread alike: samples that alone decide something are not suspect for it.
        """
        count = len(kept)
        residuals = self.residuals(found.vector)
        inverse = np.linalg.pinv(found.jacobian.T @ found.jacobian, hermitian=True)
        jacobian = found.jacobian[: 3 * count].reshape(count, 3, -1)
        alone, standard = residuals.copy(), residuals.copy()
        for group in np.unique(self._groups[kept]):
            (at,) = np.nonzero(kept & (self._groups == group))
            block = jacobian[at].reshape(3 * len(at), -1)
            hat = block @ inverse @ block.T
            left, sides = np.linalg.eigh(np.eye(len(hat)) - hat)
            turned = sides.T @ residuals[at].ravel()
            for power, into in ((1.0, alone), (0.5, standard)):
                scale = np.where(left > _FREE, np.maximum(left, _FREE) ** -power, 0)
                into[at] = (sides @ (scale * turned)).reshape(len(at), 3)
        lab = self._measured + np.linalg.solve(self._metric, alone[..., np.newaxis])[..., 0]
        return standard, delta_e00(lab, self._measured)


def metric(lab: Array) -> Array:
    """Return matrices M, (n, 3, 3), for which |M d| is the ΔE00 between `lab`, (n, 3), and lab + d, d small."""
    step = 0.05
    units = np.eye(3) * step
    square = np.empty((len(lab), 3, 3))
    for i in range(3):
        square[:, i, i] = delta_e00(lab - units[i] / 2, lab + units[i] / 2) ** 2
    for i, j in ((0, 1), (0, 2), (1, 2)):
        both = (units[i] + units[j]) / 2
        cross = delta_e00(lab - both, lab + both) ** 2 - square[:, i, i] - square[:, j, j]
        square[:, i, j] = square[:, j, i] = cross / 2
    square = square / step**2 + 1e-6 * np.eye(3)
    values, vectors = np.linalg.eigh(square)
    return np.asarray(
        np.sqrt(np.maximum(values, 1e-6))[:, :, np.newaxis] * np.swapaxes(vectors, 1, 2), dtype=np.float64
    )


def _spoiled(samples: Samples, off_by: Array, kept: Mask) -> Mask:
    """Return which samples are spoiled, (n,): far from the prediction, and not as patches of similar codes are.

    What the model cannot follow it misses in whole regions of colour; dust, scratches and glare hit one patch.
    """
    places = np.moveaxis(np.nan_to_num(samples.codes, nan=1.5), 1, 0).reshape(len(kept), -1)
    (at,) = np.nonzero(kept)
    distance = np.abs(places[at][:, np.newaxis] - places[at]).sum(axis=2)
    np.fill_diagonal(distance, np.inf)
    near = at[np.argsort(distance, axis=1, kind="stable")[:, :_NEIGHBOURS]]
    off = np.linalg.norm(off_by[at], axis=1)
    apart = np.linalg.norm(off_by[at] - np.median(off_by[near], axis=1), axis=1)
    far = np.minimum(_far(off), _far(apart))
    found = np.zeros(len(kept), dtype=bool)
    # The worst first: they draw the fit away from patches that are good.
    found[at] = far > max(1.0, _WORST * far.max())
    return found


def _far(distances: Array) -> Array:
    """Return distances in units of what makes a patch a spoiled one."""
    return np.asarray(distances / max(_CERTAIN, _SPREADS * float(np.median(distances))), dtype=np.float64)
