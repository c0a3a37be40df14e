"""Small solves of many sets of guides: every picture is brought to all levels once, and all solves share them."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mlsolve_kernels.region import Region

from ..pictures.arrays import spread_grey
from ..pictures.colour import decode
from ..solving.backends import CpuBackend
from ..solving.balancing import balanced
from ..solving.callbacks import Callbacks
from ..solving.executors.serial import Serial
from ..solving.history import Step
from ..solving.level_pictures import LevelPictures, as_codes, halve_tile, name_of, store_pictures
from ..solving.levels import solve_levels, to_full_size
from ..solving.plan import Limits
from ..solving.pyramid import level_shapes
from ..solving.spec import BETAS, Spec, StackSpec
from ..solving.store import MemoryStore

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Choice:
    """A set of guides, and how the sheets are placed."""

    guides: tuple[int, ...]
    """Numbers of the candidates, one for each layer."""
    stacks: tuple[StackSpec, ...]
    """The arrangements, with shifts in pixels of the finest level."""


class Shelf:
    """Targets, candidates and masks at the levels of a small problem. Threads may use it at the same time."""

    def __init__(
        self,
        spec: Spec,
        targets: Sequence[FloatArray],
        candidates: Sequence[FloatArray],
        masks: Sequence[FloatArray] = (),
    ) -> None:
        """spec: how to solve, at the size of the pictures.

        targets, candidates: (H, W, C) float32 sRGB in [0, 1]. masks: (H, W, 1) float32 in [0, 1].
        """
        colour = spread_grey([*targets, *candidates])
        height, width, self._planes = colour[0].shape
        self._spec, self._targets, self._candidates = spec, len(targets), len(candidates)
        self.shapes = tuple(level_shapes(height, width, None))
        planes = tuple(picture.shape[2] for picture in (*colour, *masks))
        everything = dataclasses.replace(
            spec, layers=len(candidates), planes=self._planes, shapes=self.shapes, picture_planes=planes
        )
        self._store = MemoryStore()
        store_pictures(self._store, everything, [*colour, *masks])
        self._finest = [MemoryStore() for _ in self.shapes]
        """For each level, its pictures as they are stored at the finest level of a problem: as sRGB."""
        self._halve(everything)

    def _halve(self, spec: Spec) -> None:
        """Make the pictures of all levels from those of the finest."""
        levels = len(self.shapes)
        for picture, planes in enumerate(spec.picture_planes):
            arrays = [
                self._store.create(name_of(level, picture), (planes, *shape), np.uint16, shape)
                for level, shape in enumerate(self.shapes[:-1], start=1)
            ]
            arrays.append(self._store.open(name_of(levels, picture)))
            self._finest[-1].share(name_of(levels, picture), arrays[-1])
            if levels > 1:
                halve_tile(spec, picture, levels - 1, arrays, Region(0, self.shapes[-2][0], 0, self.shapes[-2][1]))
        masks = self._targets + self._candidates
        for level, shape in enumerate(self.shapes[:-1], start=1):
            pictures, whole = LevelPictures(self._store, spec, level), Region(0, shape[0], 0, shape[1])
            values = np.empty(shape, dtype=np.float32)
            for picture, planes in enumerate(spec.picture_planes):
                codes = self._finest[level - 1].create(name_of(level, picture), (planes, *shape), np.uint16, shape)
                for plane in range(planes):
                    pictures.read(picture, plane, whole, values)
                    codes.data[plane] = as_codes(values if picture >= masks else decode(values))

    def level_of(self, longest: int) -> int:
        """Return the finest level with no side longer than `longest` pixels, else the coarsest."""
        return max((k for k, shape in enumerate(self.shapes, start=1) if max(shape) <= longest), default=1)

    def solve(self, choice: Choice, level: int, iterations: int) -> Step:
        """Return the last of `iterations` steps at `level`, after as many at each coarser level."""
        return self._solve(choice, level, iterations, False)[0]

    def layers(self, choice: Choice) -> tuple[Step, FloatArray, Spec]:
        """Solve at the finest level as a run does; return the last step, the layers, and the spec with exposures.

        The layers are in encoded transmittance, (N, C, H, W).
        """
        return self._solve(choice, len(self.shapes), None, True)

    def _solve(
        self, choice: Choice, level: int, iterations: int | None, wanted: bool
    ) -> tuple[Step, FloatArray, Spec]:
        """Return the last step, the layers if they are `wanted`, else nothing, and the spec."""
        store = MemoryStore()
        spec = self._begin(store, choice, level, iterations)
        executor = Serial(CpuBackend(1, BETAS))
        try:
            history, record = solve_levels(store, executor, Limits(), Callbacks())
            name = to_full_size(store, executor, record) if wanted else ""
        finally:
            executor.close()
        layers = store.open(name).data[:, 0] if wanted else np.empty((0, 0, 0, 0), dtype=np.float32)
        return history[-1], np.swapaxes(layers, 0, 1), spec

    def _begin(self, store: MemoryStore, choice: Choice, level: int, iterations: int | None) -> Spec:
        """Put the problem of a choice into `store`, its finest level being `level`; return its spec.

        iterations: at each level, by Adam, with which few of them rank choices well (bench/LOG.md); None: as a run.
        """
        scale = 0.5 ** (len(self.shapes) - level)
        # Carriers would have to be drawn for every choice. They hardly change which guides suit.
        stacks = tuple(dataclasses.replace(one.scaled(scale), carriers=0, carried=()) for one in choice.stacks)
        masks, first = sum(one.masked for one in stacks), self._targets + self._candidates
        options = dataclasses.replace(
            self._spec.options.at_scale(scale),
            iterations=self._spec.options.iterations if iterations is None else iterations,
            solver=self._spec.options.solver if iterations is None else "adam",
            levels=level,
            target_ssim=None,
            patience=None,
            backend="cpu",
        )
        numbers = [
            *range(self._targets),
            *(self._targets + one for one in choice.guides),
            *range(first, first + masks),
        ]
        for k in range(1, level + 1):
            held = self._finest[level - 1] if k == level else self._store
            for picture, number in enumerate(numbers):
                store.share(name_of(k, picture), held.open(name_of(k, number)))
        spec = dataclasses.replace(
            self._spec,
            layers=len(choice.guides),
            planes=self._planes,
            shapes=self.shapes[:level],
            picture_planes=(*[self._planes] * (len(numbers) - masks), *[1] * masks),
            options=options,
            stacks=stacks,
            backend="cpu",
        )
        if len(stacks) > 1 or masks or spec.disc:
            spec, _ = balanced(store, spec, tune=False)
        spec.save(store)
        return spec
