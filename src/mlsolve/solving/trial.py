"""Trial solves at a small size, to compare exposures or placements: a tenth of a second each."""

import dataclasses
from collections.abc import Sequence
from typing import Final

import numpy as np

from mlsolve_kernels.region import Region
from mlsolve_kernels.threads import available_cores

from ..pictures.colour import decode
from .backends import CpuBackend
from .callbacks import Callbacks
from .carriers import copy_carriers
from .executors.serial import Serial
from .history import Step
from .level_pictures import LevelPictures, as_codes, name_of
from .levels import solve_levels
from .plan import Limits
from .spec import BETAS, Spec, StackSpec
from .store import MemoryStore, Store
from .tile_coupling import coupling_at

LONGEST: Final = 96
"""Longest side of a trial in pixels, if there is a level so small. For the two pictures of
bench/results/hard-cases.md, the exposure with the lowest loss in a trial has the lowest loss at full size, too."""

_MOST: Final = 1 << 16
"""Most pixels of the coarsest level for a trial, so that time and memory do not grow with the print."""


def level_tried(spec: Spec, longest: int = LONGEST) -> int | None:
    """Return the finest level with no side longer than `longest`, else the coarsest; None if that is too large."""
    fitting = [level for level, shape in enumerate(spec.shapes, start=1) if max(shape) <= longest]
    if not fitting and spec.shapes[0][0] * spec.shapes[0][1] > _MOST:
        return None
    return max(fitting, default=1)


def trial_bytes(spec: Spec) -> int:
    """Return the bytes of memory that a trial needs; 0 if there is none."""
    level = level_tried(spec)
    if level is None:
        return 0
    height, width = spec.shapes[level - 1]
    working = Limits(threads=available_cores()).tile_bytes(
        spec.layers, spec.planes, (height, width), coupling_at(spec, level).whole
    )
    # Pictures as codes, layers, and layers of the next coarser level. A level has 1/4 of the next one's pixels.
    stored = 2 * sum(spec.picture_planes) + 8 * spec.layers * spec.planes
    return working + stored * height * width * 4 // 3


class Trial:
    """The coarse levels of a problem, which can be solved any number of times."""

    def __init__(self, store: Store, spec: Spec, longest: int = LONGEST) -> None:
        """Copy from `store` the pictures of the levels with no side longer than `longest`."""
        finest = level_tried(spec, longest) or 1
        # The default number of iterations: the result must not depend on how long the print is solved.
        options = dataclasses.replace(spec.options, levels=finest, iterations=None, target_ssim=None, patience=None)
        self._problem = dataclasses.replace(spec, shapes=spec.shapes[:finest], options=options, backend="cpu")
        self._scale = spec.scale(finest)
        self._store = MemoryStore()
        copy_carriers(store, spec, self._store)
        for level in range(1, finest + 1):
            height, width = spec.shapes[level - 1]
            pictures, whole = LevelPictures(store, spec, level), Region(0, height, 0, width)
            for picture, planes in enumerate(spec.picture_planes):
                codes = self._store.create(
                    name_of(level, picture), (planes, height, width), np.uint16, (height, width)
                )
                for plane in range(planes):
                    values = np.empty((height, width), dtype=np.float32)
                    pictures.read(picture, plane, whole, values)
                    # The finest level of a problem holds sRGB codes, except in masks (level_pictures.py).
                    if level == finest and picture < len(spec.stacks) + spec.layers:
                        values = decode(values)
                    codes.data[plane] = as_codes(values)

    def solve(self, stacks: Sequence[StackSpec]) -> Step:
        """Solve with `stacks`, given at full size; return the last step."""
        scaled = tuple(stack.scaled(self._scale) for stack in stacks)
        for name in ("progress", *(f"level-{level}" for level in range(1, self._problem.levels + 1))):
            self._store.remove(name)
        reach = self._problem.options.at_scale(self._scale)
        dataclasses.replace(self._problem, stacks=scaled, options=reach).save(self._store)
        executor = Serial(CpuBackend(None, BETAS))
        try:
            history, _ = solve_levels(self._store, executor, Limits(), Callbacks())
        finally:
            executor.close()
        return history[-1]
