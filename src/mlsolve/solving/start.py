"""Initial layers of a level: the guides, or the upsampled result of the coarser level."""

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mlsolve_kernels.light import pictures_of
from mlsolve_kernels.light.ink.inks import Inks
from mlsolve_kernels.light.ink.reference import develop
from mlsolve_kernels.noise.cpu import add_noise
from mlsolve_kernels.region import Region
from mlsolve_kernels.resample.cpu import Taps, cubic_taps, resample, span

from ..pictures.colour import printable_range
from .level_pictures import LevelPictures, histogram, table_of
from .spec import Spec
from .store import Store

FloatArray = npt.NDArray[np.float32]

NOISE: Final = 1 / 255
"""Width of the noise that is added to the guides at the start, so that layers with equal guides can diverge."""

_GREYS: Final = 1025
"""Greys that are developed to find those wanted."""

_FLOOR: Final = 0.1
"""Encoded light to which darker pixels of a target are raised: near-black pixels need not be matched."""


def thinning(store: Store, spec: Spec, level: int) -> float:
    """Return the factor of all densities at which no stack of guides is darker than its target needs.

    It is decided by the stack that is darkest relative to its target, and is 1 if none is too dark. Sixteen stacked
    guides let no light through, and without light there is no gradient (16 layers: SSIM to the target 0.25 without
    this, 0.99 with it).
    """
    table = table_of(spec, level).astype(np.float64)

    def mean(picture: int, logarithm: npt.NDArray[np.float64]) -> float:
        counts = histogram(store, spec, level, picture)
        occur = np.flatnonzero(counts)  # the sum is exact, so it is the same without the zeros
        return math.fsum((counts[occur] * logarithm[occur]).tolist()) / int(counts.sum())

    clipped = np.log(np.clip(table, *printable_range(*spec.densities)))
    sheets = [mean(spec.guide(k), clipped) for k in range(spec.layers)]
    factor, light = 1.0, pictures_of(spec.objective.light)
    for number, stack in enumerate(spec.stacks):
        scale = spec.objective.stacks[number].scale
        wanted = mean(number, np.log(scale * np.maximum(table, _FLOOR)))
        densities = [sheets[one.layer - 1] for one in stack.placed(spec.layers)]
        factor = min(factor, light.thinning(densities, wanted))
    return factor


def greys(inks: Inks, wanted: npt.NDArray[np.float64]) -> list[npt.NDArray[np.float64]]:
    """Return for every band the value of equal channels at which it is as `wanted`, encoded; each (n,).

    It is where a solve starts, so it need not be right for colours: crosstalk counts as if all channels were equal.
    """
    values = np.linspace(0, 1, _GREYS)
    bands = develop(np.broadcast_to(values, (inks.planes, 1, _GREYS)), inks)[:, 0]
    return [np.interp(wanted, band, values) for band in bands]


class Guides:
    """Layers that start at their guides, with lower density and a little noise."""

    def __init__(self, store: Store, spec: Spec, level: int, factor: float) -> None:
        """factor: of the densities, as `thinning` returns it."""
        self._pictures = LevelPictures(store, spec, level)
        clipped = np.clip(table_of(spec, level).astype(np.float64), *printable_range(*spec.densities))
        wanted = clipped**factor
        if spec.inks is None:
            self._tables = [wanted.astype(np.float32)] * spec.planes
        else:
            self._tables = [one.astype(np.float32) for one in greys(spec.inks, wanted)]
        self._problem, self._level = spec, level

    def read(self, layer: int, plane: int, region: Region, out: FloatArray) -> FloatArray:
        """Read a region of a plane of a layer into `out` (h, w) and return it."""
        height, width = self._problem.shapes[self._level - 1]
        self._pictures.read_by(self._tables[plane], self._problem.guide(layer), plane, region, out)
        first = ((layer * self._problem.planes + plane) * height + region.top) * width + region.left
        seed = np.uint64(self._problem.options.seed)
        add_noise(out, seed, np.uint64(first), np.uint64(width), np.float32(NOISE))
        return out


class UpsampledLevel:
    """Layers that start at the result of the coarser level, upsampled by 2."""

    def __init__(self, store: Store, spec: Spec, level: int, name: str) -> None:
        """name: the array with the layers of the next coarser level, (C, S, N, H, W)."""
        self._layers = store.open(name)
        self._coarse, self._fine = spec.shapes[level - 2 : level]
        self._part = np.empty((0, 0), dtype=np.float32)
        self._of: Region | None = None

    def read(self, layer: int, plane: int, region: Region, out: FloatArray) -> FloatArray:
        """Read a region of a plane of a layer into `out` (h, w) and return it."""
        part, rows, columns = self.read_coarse(layer, plane, region)
        resample(part[np.newaxis], (0, 0), rows, columns, out=out[np.newaxis])
        return out

    def read_coarse(self, layer: int, plane: int, region: Region) -> tuple[FloatArray, Taps, Taps]:
        """Return what a region of a plane of a layer is made of, (h, w), until the next call; and the taps in it.

        As long as the region is the same, the taps are the same objects.
        """
        if region != self._of:
            self._of = region
            rows = cubic_taps(self._coarse[0], self._fine[0], region.top, region.bottom, factor=0.5)
            columns = cubic_taps(self._coarse[1], self._fine[1], region.left, region.right, factor=0.5)
            (top, bottom), (left, right) = span(rows), span(columns)
            self._region = Region(top, bottom, left, right)
            self._taps = rows._replace(first=rows.first - top), columns._replace(first=columns.first - left)
            shape = self._region.height, self._region.width
            if self._part.shape != shape:  # else it is used again: new memory costs more than reading
                self._part = np.empty(shape, dtype=np.float32)
        self._layers.read((plane, 0, layer), self._region, self._part)
        return self._part, *self._taps


class Checkpoint:
    """Layers, and moments if there are any, as the previous round saved them."""

    def __init__(self, store: Store, name: str) -> None:
        """name: the array, (C, S, N, H, W); S is 1 (layers) or 3 (layers and both moments)."""
        self._state = store.open(name)

    @property
    def has_moments(self) -> bool:
        """Whether it holds moments."""
        return self._state.shape[1] == 3

    def read(self, layer: int, plane: int, region: Region, out: FloatArray) -> FloatArray:
        """Read a region of a plane of a layer into `out` (h, w) and return it."""
        return self.read_kind(0, layer, plane, region, out)

    def read_kind(self, kind: int, layer: int, plane: int, region: Region, out: FloatArray) -> FloatArray:
        """Read a region of a layer (0), its first (1) or second moment (2) into `out` (h, w) and return it."""
        found: Any = self._state.read((plane, kind, layer), region, out)
        return np.asarray(found)
