"""Settings that the pictures decide before a solve: balanced exposures, and the share of a target that counts."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from mlsolve_kernels.placement.frames import Frame, disc
from mlsolve_kernels.region import Region

from ..errors import InputError
from ..pictures.colour import GAMMA
from ..ranges import MIN_EXPOSURE
from .balance import FLOOR, Balance, balance_exposures
from .carriers import Carriers
from .level_pictures import LevelPictures
from .spec import Spec, StackSpec
from .store import Store
from .trial import Trial, level_tried

Array = npt.NDArray[np.float64]

_STEPS: Final = (2**0.5, 2**0.25)
"""Factors by which exposures are varied in search of a lower loss."""

_ROWS: Final = 64
"""Rows that are read at a time."""

_LOOKED_AT: Final = 1 << 20
"""Most pixels of the level that is measured. Means change little at larger levels."""


def balanced(store: Store, spec: Spec, tune: bool = True) -> tuple[Spec, Balance]:
    """Return `spec` with every exposure and share set, and the balance they come from; `store` holds the pictures.

    tune: whether to try the exposures that the mean densities suggest, and others near them, by solving a small
    level; this needs a level small enough. Raises InputError if a mask is black everywhere.
    """
    level = max(
        (number for number, (height, width) in enumerate(spec.shapes, start=1) if height * width <= _LOOKED_AT),
        default=1,
    )
    shape = spec.shapes[level - 1]
    bands = [Region(top, min(top + _ROWS, shape[0]), 0, shape[1]) for top in range(0, shape[0], _ROWS)]
    pictures, pixels = LevelPictures(store, spec, level), shape[0] * shape[1]

    def mean(picture: int, plane: int, value: Callable[[Array], Array]) -> float:
        """Return the sum of `value` over a plane, for round sheets inside the circle, divided by all its pixels."""
        total = 0.0
        for band in bands:
            found = np.empty((band.height, band.width), dtype=np.float32)
            values = value(pictures.read(picture, plane, band, found).astype(np.float64))
            total += float((values * _counted(spec, shape, band)).sum())
        return total / pixels

    def densities(picture: int) -> list[float]:
        """Return the mean density of every plane."""
        sums = (mean(picture, plane, _density) for plane in range(spec.planes))
        return [total / circle for total in sums]

    circle = sum(float(_counted(spec, shape, band).sum()) for band in bands) / pixels
    count = len(spec.stacks)
    shares = [
        mean(spec.mask(a), 0, lambda weights: weights) if stack.masked else circle
        for a, stack in enumerate(spec.stacks)
    ]
    if min(shares) == 0:
        raise InputError(
            f"the mask of arrangement {shares.index(0) + 1} is black everywhere: nothing of its target would count"
        )
    carriers = Carriers(store, spec, level)

    def carried(a: int, sheet: int) -> float:
        """Return the sum of a sheet's mask, weighted as the target's pixels are, divided by all its pixels."""
        total = 0.0
        for band in bands:
            mask, weights = np.empty((2, band.height, band.width), dtype=np.float32)
            carriers.read(a, sheet, band, mask)
            if spec.stacks[a].masked:
                mask *= pictures.read(spec.mask(a), 0, band, weights)
            total += float((mask.astype(np.float64) * _counted(spec, shape, band)).sum())
        return total / pixels

    options = spec.options
    wanted = np.array([densities(a) for a in range(count)])
    guides = np.array([densities(spec.guide(k)) for k in range(spec.layers)])
    found = balance_exposures(
        [[one.layer - 1 for one in stack.placed(spec.layers)] for stack in spec.stacks],
        wanted,
        guides,
        [stack.exposure for stack in spec.stacks],
        options.exposure,
        spec.densities,
    )
    shared = tuple(
        dataclasses.replace(
            stack,
            share=share,
            carried=tuple(carried(a, k) for k, _ in enumerate(stack.placed(spec.layers))) if stack.carriers else (),
        )
        for a, (stack, share) in enumerate(zip(spec.stacks, shares, strict=True))
    )
    spec = dataclasses.replace(spec, stacks=shared, disc_share=circle)
    free = [
        a
        for a, (named, e) in enumerate(zip(found.named, found.exposures, strict=True))
        if not named and e < found.largest
    ]
    if tune and free and level_tried(spec) is not None:
        exposures = _tuned(Trial(store, spec), spec.stacks, list(found.exposures), free, found.largest)
        again = balance_exposures(found.stacks, wanted, guides, exposures, options.exposure, found.limits)
        # The trials chose the exposures, so the mean of the cast over the planes is intended; only colour is left.
        cast = again.cast - again.cast.mean(axis=1, keepdims=True)
        found = dataclasses.replace(found, exposures=tuple(exposures), cast=cast, densities=again.densities)
    return dataclasses.replace(spec, stacks=_exposed(spec.stacks, found.exposures)), found


def _exposed(stacks: Sequence[StackSpec], exposures: Sequence[float]) -> tuple[StackSpec, ...]:
    pairs = zip(stacks, exposures, strict=True)
    return tuple(dataclasses.replace(stack, exposure=exposure) for stack, exposure in pairs)


def _tuned(
    trial: Trial, stacks: Sequence[StackSpec], exposures: list[float], free: list[int], largest: float
) -> list[float]:
    """Return exposures with a lower loss in a small solve; only those of the stacks `free` change.

    Mean densities are not the whole story. Black areas can take more density than they need without a visible
    difference. And regions that a rotation swaps need similar brightness, not only the same mean.
    """

    def loss(tried: list[float]) -> float:
        return trial.solve(_exposed(stacks, tried)).loss

    least = loss(exposures)
    for factor in _STEPS:
        for a in free:
            for step in (1 / factor, factor):
                while True:
                    tried = list(exposures)
                    tried[a] = min(largest, max(MIN_EXPOSURE, tried[a] * step))
                    found = loss(tried) if tried != exposures else least
                    if not found < least:
                        break
                    exposures, least = tried, found
    return exposures


def _density(values: Array) -> Array:
    return np.asarray(-GAMMA * np.log10(np.maximum(values, FLOOR)))


def _counted(spec: Spec, shape: tuple[int, int], band: Region) -> Array:
    """Return which pixels of a band count, (h, W): 1, or 0 outside the circle of round sheets."""
    if not spec.disc:
        return np.ones((band.height, band.width))
    return disc(shape, Frame(band.top, band.left), (band.height, band.width)).astype(np.float64)
