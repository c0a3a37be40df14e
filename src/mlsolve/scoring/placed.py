"""Placed sheets: rows of a sheet as it appears in a stack, read from whichever parts of the sheet they show.

This is the counterpart of the kernels' placements (mlsolve_kernels.placement) for sRGB pictures of any size. A
placement that maps pixels onto pixels copies them. Any other interpolates encoded transmittance, as the
solver does. Beyond the sheet the light box is visible, so the value there is 1.
"""

import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mlsolve_kernels.placement.move import Move
from mlsolve_kernels.region import Region
from mlsolve_kernels.scoring.cpu import place_between, place_exactly

from ..job.arrangements import Placement
from ..pictures.colour import decode, encode
from .codes import Codes, tables

FloatArray = npt.NDArray[np.float32]

Read = Callable[[Region], npt.NDArray[Any]]
"""Returns a region of a sheet, (h, w, C)."""

ACROSS: Final = 512
"""Number of columns interpolated together. If the sheet is rotated, their pixels come from a square of it."""

_NO_PART: Final = Region(0, 0, 0, 0)


def place_sheet(image: FloatArray, placement: Placement) -> FloatArray:
    """Return `image`, (H, W, C) float32 sRGB in [0, 1], placed by `placement`; same shape and type."""
    shape = image.shape[:2]
    return placed_rows(
        lambda region: image[region.top : region.bottom, region.left : region.right], shape, placement.move(shape)
    )


def placed_rows(
    read: Read, shape: tuple[int, int], move: Move, top: int = 0, bottom: int | None = None
) -> FloatArray:
    """Return rows top … bottom - 1 of a placed sheet, (h, W, C) float32 sRGB in [0, 1].

    read: gives regions of the sheet, which has `shape` = (height, width), as float32 sRGB. bottom: None for all
    rows. For a sheet that is rotated by 90° the regions are tall instead of wide.
    """
    rows = Region(top, shape[0] if bottom is None else bottom, 0, shape[1])
    planes = read(Region(0, 1, 0, 1)).shape[2]
    out = np.empty((rows.height, rows.width, planes), dtype=np.float32)
    if not move.exact:
        _interpolate(lambda region: encode(read(region)), None, shape, move, rows, out)
        return decode(out)
    seen = part_seen(move, shape, rows)
    part = np.ascontiguousarray(read(seen if seen.height else Region(0, 1, 0, 1)))
    place_exactly(None, part, corner_of(seen), move, (rows.top, rows.left), out)
    return out


def interpolated(
    read: Callable[[Region], Codes], shape: tuple[int, int], move: Move, rows: Region, planes: int
) -> FloatArray:
    """Return `rows` of a placed sheet, interpolated between its pixels, (h, W, planes) float32 sRGB in [0, 1].

    read: gives regions of the sheet as codes.
    """
    out = np.empty((rows.height, rows.width, planes), dtype=np.float32)
    _interpolate(read, tables(read(Region(0, 1, 0, 1)).dtype).encoded, shape, move, rows, out)
    return decode(out)


def part_seen(move: Move, shape: tuple[int, int], region: Region) -> Region:
    """Return the part of a sheet of `shape` that `region` of the stack shows; without rows if it shows none.

    For interpolation the pixels around it are included, and of a sheet that is not turned all columns.
    """
    beyond = 1 if move.exact else 2
    corners = [(y, x) for y in (region.top, region.bottom - 1) for x in (region.left, region.right - 1)]
    rows = [move.row_y * y + move.row_x * x + move.row_0 for y, x in corners]
    columns = [move.column_y * y + move.column_x * x + move.column_0 for y, x in corners]
    seen = Region(
        max(0, math.floor(min(rows))),
        min(shape[0], math.floor(max(rows)) + beyond),
        max(0, math.floor(min(columns))),
        min(shape[1], math.floor(max(columns)) + beyond),
    )
    if move.exact and not move.turned:
        seen = Region(seen.top, seen.bottom, 0, shape[1])
    return seen if seen.height > 0 and seen.width > 0 else _NO_PART


def _interpolate(
    read: Read, table: FloatArray | None, shape: tuple[int, int], move: Move, rows: Region, out: FloatArray
) -> None:
    """Fill `out` (h, W, C) with `rows` of the placed sheet, in encoded transmittance."""
    for left in range(0, shape[1], ACROSS):
        columns = left, min(left + ACROSS, shape[1])
        seen = part_seen(move, shape, Region(rows.top, rows.bottom, *columns))
        part = np.ascontiguousarray(read(seen if seen.height else Region(0, 1, 0, 1)))
        place_between(table, part, corner_of(seen), move, rows.top, columns, out)


def corner_of(seen: Region) -> tuple[int, int]:
    """Return the row and the column of the first pixel that was read; far away if none is seen."""
    return (seen.top, seen.left) if seen.height else (_FAR, _FAR)


_FAR: Final = -(1 << 40)
