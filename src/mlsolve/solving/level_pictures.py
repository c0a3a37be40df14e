"""Targets and guides as tasks read them: by level, plane and region, from 16-bit codes in the store.

Pictures are numbered: targets, then guides, then masks (spec.py). At full size the codes are sRGB code values,
exactly as in files of 8 or 16 bits. At coarser levels they are encoded transmittance. In both cases a table maps
codes to values, so that the value of a pixel depends on its code alone.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from copy import copy
from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mlsolve_kernels.lookup.cpu import halve_codes, nearest_codes
from mlsolve_kernels.region import Region

from ..pictures.arrays import planar
from ..pictures.colour import GAMMA, light_from_srgb
from .spec import Spec
from .store import Array, MemoryStore, Store
from .tiles import tiles_of

FloatArray = npt.NDArray[np.float32]
CodeArray = npt.NDArray[np.uint16]

CODES: Final = 1 << 16
HIGHEST: Final = np.float32(CODES - 1)


def name_of(level: int, picture: int) -> str:
    """Return the name of a picture's array in the store."""
    return f"pictures/level-{level}/picture-{picture}"


@cache
def code_table(full_size: bool) -> FloatArray:
    """Return the encoded transmittance of every code, (65536,) float32."""
    values = np.arange(CODES) / float(HIGHEST)
    # In float64, because the last bit of a float32 power depends on the processor.
    return (light_from_srgb(values) ** (1 / GAMMA) if full_size else values).astype(np.float32)


def table_of(spec: Spec, level: int, picture: int = 0) -> FloatArray:
    """Return the code table of a picture at `level`, (65536,): encoded transmittances, or weights in [0, 1]."""
    weights = picture >= len(spec.stacks) + spec.layers
    return code_table(level == spec.levels and not weights)


class LevelPictures:
    """The pictures of one level."""

    def __init__(self, store: Store, spec: Spec, level: int) -> None:
        """Open the pictures of `level`."""
        self.store, self.spec, self.level = store, spec, level
        self._planes = spec.picture_planes
        self._arrays: list[Array] = [store.open(name_of(level, k)) for k in range(len(self._planes))]
        self._tables = [table_of(spec, level, k) for k in range(len(self._planes))]

    def read(self, picture: int, plane: int, region: Region, out: FloatArray) -> FloatArray:
        """Read the encoded transmittance of a region, or its weights, into `out` (h, w) and return it."""
        return self.read_by(self._tables[picture], picture, plane, region, out)

    def read_by(self, table: FloatArray, picture: int, plane: int, region: Region, out: FloatArray) -> FloatArray:
        """Read a region into `out` (h, w), its codes replaced by their values in `table`; return it."""
        self._read(picture, plane, region, out, table)
        return out

    def read_codes(self, picture: int, plane: int, region: Region, out: CodeArray) -> FloatArray:
        """Read the codes of a region into `out` (h, w); return the table of their values, (65536,)."""
        self._read(picture, plane, region, out)
        return self._tables[picture]

    def _read(
        self, picture: int, plane: int, region: Region, out: npt.NDArray[Any], table: FloatArray | None = None
    ) -> None:
        self._arrays[picture].read((min(plane, self._planes[picture] - 1),), region, out, table)


def store_pictures(store: MemoryStore, spec: Spec, images: Sequence[FloatArray]) -> None:
    """Store `images` (H, W, C), sRGB or weights in [0, 1], as the pictures of the problem at full size."""
    shape = spec.shapes[-1]
    for number, image in enumerate(images):
        array = store.create(name_of(spec.levels, number), (image.shape[2], *shape), np.uint16, shape)
        for codes, plane in zip(array.data, planar(image), strict=True):
            codes[...] = as_codes(plane)


def halve_tile(spec: Spec, picture: int, level: int, arrays: Sequence[Array], region: Region) -> None:
    """Task: compute `region` of a picture at `level` from the next finer level; each pixel is the mean of four.

    arrays: those of the picture, from the coarsest level on. If the region is all of the picture, the task goes on
    to the coarsest level, from what it holds.
    """
    height, width = spec.shapes[level]
    fine = Region(2 * region.top, min(2 * region.bottom, height), 2 * region.left, min(2 * region.right, width))
    coarser = [Region(0, rows, 0, columns) for rows, columns in spec.shapes[: level - 1]]
    regions = (
        [*coarser, region]
        if region == Region(0, spec.shapes[level - 1][0], 0, spec.shapes[level - 1][1])
        else [region]
    )
    source = copy(arrays[level])  # each thread must open it separately
    with ExitStack() as tiles:
        targets = []
        for at, part in zip(range(level, 0, -1), regions[::-1], strict=False):
            targets.append(
                (table_of(spec, at + 1, picture), tiles.enter_context(arrays[at - 1].tile((), part)), part)
            )
        for plane in range(spec.picture_planes[picture]):
            codes = source.read((plane,), fine, np.empty((fine.height, fine.width), dtype=np.uint16))
            for table, tile, part in targets:
                halved = np.empty((part.height, part.width), dtype=np.uint16)
                halve_codes(table, codes, halved)
                tile.put((plane,), halved)
                codes = halved


def as_codes(values: npt.NDArray[np.floating[Any]]) -> CodeArray:
    """Return `values` in [0, 1] as the nearest codes."""
    if values.dtype != np.float32:
        return np.asarray(np.rint(np.clip(values, 0, 1) * HIGHEST), dtype=np.uint16)
    codes = np.empty(values.shape, dtype=np.uint16)
    nearest_codes(values.reshape(-1), codes.reshape(-1))
    return codes


def histogram(store: Store, spec: Spec, level: int, picture: int) -> npt.NDArray[np.int64]:
    """Return how often every code occurs in all planes of a picture at `level`, (65536,)."""
    array, side = store.open(name_of(level, picture)), 512
    counts = np.zeros(CODES, dtype=np.int64)
    for region in tiles_of(spec.shapes[level - 1], (side, side)):
        part = np.empty((region.height, region.width), dtype=np.uint16)
        for plane in range(spec.picture_planes[picture]):
            counts += np.bincount(array.read((plane,), region, part).ravel(), minlength=CODES)
    return counts
