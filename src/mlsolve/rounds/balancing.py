"""What the pictures themselves decide before a solve: balanced exposures, and how much of a target counts."""

import dataclasses
from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from mlsolve_kernels.objective.cpu import disc
from mlsolve_kernels.placement.frames import Frame
from mlsolve_kernels.region import Region

from ..balance import FLOOR, Balance, balance_exposures
from ..colour import GAMMA
from ..errors import InputError
from ..store import Store
from .pictures import LevelPictures
from .problem import Problem

Array = npt.NDArray[np.float64]

_ROWS: Final = 64
"""Rows that are looked at together."""

_LOOKED_AT: Final = 1 << 20
"""Pixels of the largest level that is looked at: means change little from there on."""


def balanced(store: Store, problem: Problem) -> tuple[Problem, Balance]:
    """Return `problem` with every exposure and share named, and how they came about; its pictures are in `store`."""
    level = max(
        (number for number, (height, width) in enumerate(problem.shapes, start=1) if height * width <= _LOOKED_AT),
        default=1,
    )
    shape = problem.shapes[level - 1]
    bands = [Region(top, min(top + _ROWS, shape[0]), 0, shape[1]) for top in range(0, shape[0], _ROWS)]
    pictures, pixels = LevelPictures(store, problem, level), shape[0] * shape[1]

    def mean(picture: int, plane: int, value: Callable[[Array], Array]) -> float:
        """Return the sum of `value` of a plane, of round sheets of what lies in the circle, over all pixels."""
        total = 0.0
        for band in bands:
            found = np.empty((band.height, band.width), dtype=np.float32)
            values = value(pictures.read(picture, plane, band, found).astype(np.float64))
            total += float((values * _counted(problem, shape, band)).sum())
        return total / pixels

    def densities(picture: int) -> list[float]:
        """Return the mean density of every plane."""
        sums = (mean(picture, plane, _density) for plane in range(problem.planes))
        return [total / circle for total in sums]

    circle = sum(float(_counted(problem, shape, band).sum()) for band in bands) / pixels
    count = len(problem.stacks)
    shares = [
        mean(problem.mask(a), 0, lambda weights: weights) if stack.masked else circle
        for a, stack in enumerate(problem.stacks)
    ]
    if min(shares) == 0:
        raise InputError(
            f"the mask of arrangement {shares.index(0) + 1} is black everywhere: nothing of its target would count"
        )
    options = problem.options
    found = balance_exposures(
        [[one.layer - 1 for one in stack.placed(problem.layers)] for stack in problem.stacks],
        np.array([densities(a) for a in range(count)]),
        np.array([densities(problem.guide(k)) for k in range(problem.layers)]),
        [stack.exposure for stack in problem.stacks],
        options.exposure,
        (options.min_density, options.max_density),
    )
    stacks = tuple(
        dataclasses.replace(stack, exposure=exposure, share=share)
        for stack, exposure, share in zip(problem.stacks, found.exposures, shares, strict=True)
    )
    return dataclasses.replace(problem, stacks=stacks, disc_share=circle), found


def _density(values: Array) -> Array:
    return np.asarray(-GAMMA * np.log10(np.maximum(values, FLOOR)))


def _counted(problem: Problem, shape: tuple[int, int], band: Region) -> Array:
    """Return 1 where pixels of a band count, 0 outside the circle of round sheets."""
    if not problem.disc:
        return np.ones((band.height, band.width))
    return disc(shape, Frame(band.top, band.left), (band.height, band.width)).astype(np.float64)
