"""What the pictures themselves decide before a solve: balanced exposures, and how much of a target counts."""

import dataclasses
from typing import Final

import numpy as np
import numpy.typing as npt

from mlsolve_kernels.objective.cpu import disc
from mlsolve_kernels.placement.frames import Frame
from mlsolve_kernels.region import Region

from ..balance import FLOOR, Balance, balance_exposures
from ..colour import GAMMA
from ..store import Store
from .pictures import LevelPictures
from .problem import Problem

_LOOKED_AT: Final = 1 << 20
"""Pixels of the largest level that is looked at: means change little from there on."""


def balanced(store: Store, problem: Problem) -> tuple[Problem, Balance]:
    """Return `problem` with every exposure and share named, and how they came about; its pictures are in `store`."""
    level = max(
        (number for number, (height, width) in enumerate(problem.shapes, start=1) if height * width <= _LOOKED_AT),
        default=1,
    )
    shape = problem.shapes[level - 1]
    circle = disc(shape, Frame(0, 0), shape) != 0 if problem.disc else np.ones(shape, dtype=bool)
    pictures = LevelPictures(store, problem, level)

    def image(picture: int, plane: int) -> npt.NDArray[np.float64]:
        whole = np.empty(shape, dtype=np.float32)
        return pictures.read(picture, plane, Region(0, shape[0], 0, shape[1]), whole)[circle].astype(np.float64)

    def densities(picture: int) -> list[float]:
        """Return the mean density of every plane."""
        planes = (image(picture, plane) for plane in range(problem.planes))
        return [float((-GAMMA * np.log10(np.maximum(values, FLOOR))).mean()) for values in planes]

    count = len(problem.stacks)
    shares = [
        float(image(problem.mask(a), 0).sum() / circle.size) if stack.masked else float(circle.mean())
        for a, stack in enumerate(problem.stacks)
    ]
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
    return dataclasses.replace(problem, stacks=stacks, disc_share=float(circle.mean())), found
