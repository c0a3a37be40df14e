"""A problem solved small, to see what comes of other exposures or placements: a tenth of a second each."""

import dataclasses
from collections.abc import Sequence
from typing import Final

import numpy as np

from mlsolve_kernels.region import Region

from ..backends import CpuBackend
from ..colour import decode
from ..history import Step
from ..model import Placement
from ..store import MemoryStore, Store
from .descent import descend
from .executors import Serial
from .pictures import LevelPictures, as_codes, name_of
from .plan import Limits
from .problem import BETAS, Problem, StackOf
from .silent import Silent

LONGEST: Final = 96
"""Longest side of what is solved, in pixels, where there is a level so small. For the two pictures of
bench/results/hard-cases.md the exposure with the least loss there has the least loss at full size."""


class Trial:
    """A problem of which the coarse levels are solved, as often as one likes."""

    def __init__(self, store: Store, problem: Problem, longest: int = LONGEST) -> None:
        """Take the pictures of the levels whose sides are no longer than `longest` from `store`."""
        fitting = [level for level, shape in enumerate(problem.shapes, start=1) if max(shape) <= longest]
        finest = max(fitting, default=1)
        options = dataclasses.replace(problem.options, levels=finest, target_ssim=None, patience=None)
        self._problem = dataclasses.replace(problem, shapes=problem.shapes[:finest], options=options, backend="cpu")
        self._scale = problem.scale(finest)
        self._store = MemoryStore()
        for level in range(1, finest + 1):
            height, width = problem.shapes[level - 1]
            pictures, whole = LevelPictures(store, problem, level), Region(0, height, 0, width)
            for picture, planes in enumerate(problem.picture_planes):
                codes = self._store.create(
                    name_of(level, picture), (planes, height, width), np.uint16, (height, width)
                )
                for plane in range(planes):
                    values = np.empty((height, width), dtype=np.float32)
                    pictures.read(picture, plane, whole, values)
                    # The finest level of a problem holds sRGB, but for weights (pictures.py).
                    if level == finest and picture < len(problem.stacks) + problem.layers:
                        values = decode(values)
                    codes.data[plane] = as_codes(values)

    def solve(self, stacks: Sequence[StackOf]) -> Step:
        """Return what the last iteration of the problem measured, had it these stacks."""
        scaled = tuple(dataclasses.replace(stack, place=_scaled(stack, self._scale)) for stack in stacks)
        for name in ("progress", *(f"level-{level}" for level in range(1, self._problem.levels + 1))):
            self._store.remove(name)
        options = self._problem.options
        reach = dataclasses.replace(options, registration=options.registration * self._scale)
        dataclasses.replace(self._problem, stacks=scaled, options=reach).save(self._store)
        executor = Serial(CpuBackend(None, BETAS))
        try:
            history, _ = descend(self._store, executor, Limits(), Silent())
        finally:
            executor.close()
        return history[-1]


def _scaled(stack: StackOf, scale: float) -> tuple[Placement, ...] | None:
    """Return how the sheets of a stack lie where a pixel at full size is `scale` pixels."""
    if stack.place is None:
        return None
    return tuple(
        dataclasses.replace(one, shift=(one.shift[0] * scale, one.shift[1] * scale)) for one in stack.place
    )
