"""Carriers: masks that say which sheet of a stack carries the detail of a place (docs/maths.md §9).

They are drawn once, from small pictures, and kept as small as that: 16-bit codes of K masks per stack. Every level
reads them enlarged, region by region, as a function of the place alone.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mlsolve_kernels.placement.reference import place
from mlsolve_kernels.region import Region
from mlsolve_kernels.resample.cpu import Taps, area_taps, cubic_taps, resample, span

from ..job.depths import depths_of
from ..job.viewing import seen_shift
from .carrier_regions import carrier_masks
from .level_pictures import LevelPictures, as_codes, code_table
from .spec import Spec
from .store import Array, Store

FloatArray = npt.NDArray[np.float32]

LONGEST: Final = 300
"""Longest side of the pictures that carriers are drawn from, in pixels."""

DOCUMENT: Final = "pictures/carriers"

_OF_PLACING: Final = 180
"""Bytes of a pixel that placing a guide, or drawing masks, takes for its own arrays."""

_ROWS: Final = 4
"""Rows of a reduced picture that are made at a time."""


def name_of_masks(stack: int) -> str:
    """Return the name of the array of a stack's masks in the store, (K, h, w) uint16."""
    return f"pictures/carriers-{stack}"


def draw_carriers(store: Store, spec: Spec) -> None:
    """Draw the masks of every stack that has carriers, from the pictures in `store`, and put them there."""
    if not any(stack.carriers for stack in spec.stacks):
        return
    level, shape = _small(spec)
    scale, options = spec.scale(level), spec.options
    # A rotation moves the corners farthest.
    turn = np.radians(options.registration_turn) * np.hypot(*shape) / 2
    for number, stack in enumerate(spec.stacks):
        if not stack.carriers:
            continue
        target = _reduced(store, spec, number, level, shape)
        sheets = stack.placed(spec.layers)
        seen = seen_shift(depths_of(options, len(sheets))[-1] * scale, options.view, options.refraction)
        guides = np.empty((len(sheets), *target.shape), dtype=np.float32)
        for guide, one in zip(guides, sheets, strict=True):
            lying = np.moveaxis(_reduced(store, spec, spec.guide(one.layer - 1), level, shape), 2, 0)
            for plane, image in enumerate(lying):
                guide[..., plane] = place(image, one.move(shape, scale))
        masks = carrier_masks(
            target,
            guides,
            float(options.registration * scale + turn) + seen,
            stack.carriers,
            options.seed + number,
        )
        array = store.create(name_of_masks(number), masks.shape, np.uint16, shape)
        with array.tile((), Region(0, shape[0], 0, shape[1])) as tile:
            for k, mask in enumerate(masks):
                tile.put((k,), as_codes(mask))
    store.save(DOCUMENT, {"level": level, "shape": shape})


def carriers_bytes(spec: Spec) -> int:
    """Return the bytes of memory that `draw_carriers` needs; 0 if no stack has carriers."""
    if not any(stack.carriers for stack in spec.stacks):
        return 0
    level, (height, width) = _small(spec)
    sheets = max(len(stack.placed(spec.layers)) for stack in spec.stacks)
    rows = (_ROWS << max(0, 1 - level)) * spec.shapes[0][1]
    return height * width * (4 * spec.planes * (sheets + 1) + 8 * sheets + _OF_PLACING) + 4 * rows


class Carriers:
    """The masks of all stacks, at the size of one level."""

    def __init__(self, store: Store, spec: Spec, level: int) -> None:
        """Open the masks in `store`, if a stack has any."""
        self._shape, self._masks = spec.shapes[level - 1], dict[int, Array]()
        self._taps: tuple[Region, Taps, Taps] | None = None
        if any(stack.carriers for stack in spec.stacks):
            self._factor = 2.0 ** (store.load(DOCUMENT)["level"] - level)
            for number, stack in enumerate(spec.stacks):
                if stack.carriers:
                    self._masks[number] = store.open(name_of_masks(number))

    def read(self, stack: int, sheet: int, region: Region, out: npt.NDArray[Any]) -> FloatArray:
        """Read a region of the mask of a sheet into `out` (h, w): values in [0, 1] if float32, codes if uint16.

        Return the table of the values of codes, (65536,) float32.
        """
        array, table = self._masks[stack], code_table(False)
        if self._taps is None or self._taps[0] != region:
            (height, width), factor = array.shape[1:], self._factor
            rows = cubic_taps(height, self._shape[0], region.top, region.bottom, factor=factor)
            columns = cubic_taps(width, self._shape[1], region.left, region.right, factor=factor)
            self._taps = region, rows, columns
        _, rows, columns = self._taps
        (top, bottom), (left, right) = span(rows), span(columns)
        part = np.empty((1, bottom - top, right - left), dtype=np.float32)
        array.read((sheet,), Region(top, bottom, left, right), part[0], table)
        codes = as_codes(resample(part, (top, 0), rows, columns._replace(first=columns.first - left))[0])
        if out.dtype == np.uint16:
            out[...] = codes
            return table
        for line, values in zip(out, codes, strict=True):  # row by row: take() copies its indices to int64
            np.take(table, values, out=line, mode="clip")
        return table


def whole_masks(store: Store, stack: int) -> FloatArray:
    """Return the masks of a stack as they are kept, (K, h, w) float32 in [0, 1]."""
    array, table = store.open(name_of_masks(stack)), code_table(False)
    masks = np.empty(array.shape, dtype=np.float32)
    for k, mask in enumerate(masks):
        array.read((k,), Region(0, mask.shape[0], 0, mask.shape[1]), mask, table)
    return masks


def copy_carriers(store: Store, spec: Spec, to: Store) -> None:
    """Copy the masks of all stacks from `store` into another."""
    for number, stack in enumerate(spec.stacks):
        if stack.carriers:
            masks = whole_masks(store, number)
            shape = masks.shape[1], masks.shape[2]
            with to.create(name_of_masks(number), masks.shape, np.uint16, shape).tile(
                (), Region(0, shape[0], 0, shape[1])
            ) as tile:
                for k, mask in enumerate(masks):
                    tile.put((k,), as_codes(mask))
            to.save(DOCUMENT, store.load(DOCUMENT))


def _small(spec: Spec) -> tuple[int, tuple[int, int]]:
    """Return the level that carriers are drawn at, and its (height, width).

    It is the finest level with no side longer than LONGEST. If there is none, level 1 is halved until it is as
    small; that level has no pictures, and its number is 0 or less.
    """
    for level in range(spec.levels, 0, -1):
        if max(spec.shapes[level - 1]) <= LONGEST:
            return level, spec.shapes[level - 1]
    level, (height, width) = 1, spec.shapes[0]
    while max(height, width) > LONGEST:
        level, height, width = level - 1, -(-height // 2), -(-width // 2)
    return level, (height, width)


def _reduced(store: Store, spec: Spec, picture: int, level: int, shape: tuple[int, int]) -> FloatArray:
    """Return a target or guide at the level that `_small` returned, (h, w, C) encoded transmittance."""
    pictures, result = LevelPictures(store, spec, max(level, 1)), np.empty((*shape, spec.planes), dtype=np.float32)
    height, width = spec.shapes[max(level, 1) - 1]
    factor = 2.0 ** (1 - min(level, 1))
    columns = area_taps(width, shape[1], 0, shape[1], factor=factor)
    for plane in range(spec.planes):
        for top in range(0, shape[0], _ROWS):
            bottom = min(top + _ROWS, shape[0])
            rows = area_taps(height, shape[0], top, bottom, factor=factor)
            first, last = span(rows)
            part = np.empty((last - first, width), dtype=np.float32)
            pictures.read(picture, plane, Region(first, last, 0, width), part)
            result[top:bottom, :, plane] = resample(part[np.newaxis], (first, 0), rows, columns)[0]
    return result
