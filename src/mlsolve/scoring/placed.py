"""Placed sheets: rows of a sheet as it appears in a stack, read from whichever parts of the sheet they show.

This is the counterpart of the kernels' placements (mlsolve_kernels.placement) for sRGB pictures of any size. A
placement that maps pixels onto pixels copies them. Any other interpolates encoded transmittance, as the
solver does. Beyond the sheet the light box is visible, so the value there is 1.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mlsolve_kernels.placement.move import Move
from mlsolve_kernels.region import Region

from ..job.arrangements import Placement
from ..pictures.colour import composite, decode, encode

FloatArray = npt.NDArray[np.float32]

Read = Callable[[Region], FloatArray]
"""Returns a region of a sheet, (h, w, C) float32 sRGB in [0, 1]."""

ACROSS: Final = 512
"""Number of columns interpolated together. If the sheet is rotated, their pixels come from a square of it."""


def place_sheet(image: FloatArray, placement: Placement) -> FloatArray:
    """Return `image`, (H, W, C) float32 sRGB in [0, 1], placed by `placement`; same shape and type."""
    shape = image.shape[:2]
    return placed_rows(
        lambda region: image[region.top : region.bottom, region.left : region.right], shape, placement.move(shape)
    )


def composite_placed(layers: Sequence[FloatArray], place: Sequence[Placement], exposure: float) -> FloatArray:
    """Return the stack of the placed layers at `exposure`, (H, W, C) float32 sRGB in [0, 1].

    layers: each (H, W, C) float32 sRGB in [0, 1]. place: the placement of each sheet of the stack.
    """
    return composite([place_sheet(layers[one.layer - 1], one) for one in place], exposure)


def placed_rows(
    read: Read, shape: tuple[int, int], move: Move, top: int = 0, bottom: int | None = None
) -> FloatArray:
    """Return rows top … bottom - 1 of a placed sheet, (h, W, C) float32 sRGB in [0, 1].

    read: gives regions of the unplaced sheet, whose shape is `shape` = (height, width). move: its placement.
    bottom: None for the last row of the sheet.
    """
    bottom = shape[0] if bottom is None else bottom
    if move.exact:
        return _exact(read, shape, move, Region(top, bottom, 0, shape[1]))
    parts = [
        _interpolated(read, shape, move, Region(top, bottom, left, min(left + ACROSS, shape[1])))
        for left in range(0, shape[1], ACROSS)
    ]
    return np.concatenate(parts, axis=1)


def _exact(read: Read, shape: tuple[int, int], move: Move, region: Region) -> FloatArray:
    """Return `region` of the placed sheet, for a move that maps pixels onto pixels."""
    down, across = np.arange(region.top, region.bottom), np.arange(region.left, region.right)
    if move.turned:
        rows, columns = move.row_x * across + move.row_0, move.column_y * down + move.column_0
    else:
        rows, columns = move.row_y * down + move.row_0, move.column_x * across + move.column_0
    found = _part(read, shape, rows.astype(np.int64), columns.astype(np.int64))
    return np.ascontiguousarray(np.swapaxes(found, 0, 1)) if move.turned else found


def _part(read: Read, shape: tuple[int, int], rows: Any, columns: Any) -> FloatArray:
    """Return the pixels at `rows` × `columns` of the sheet, which are consecutive numbers; 1 beyond the sheet."""
    inside = [(line >= 0) & (line < side) for line, side in zip((rows, columns), shape, strict=True)]
    some = [line[there] for line, there in zip((rows, columns), inside, strict=True)]
    if not (some[0].size and some[1].size):
        # All of it is beyond the sheet: read one pixel just to know the number of planes.
        planes = read(Region(0, 1, 0, 1)).shape[2]
        return np.ones((len(rows), len(columns), planes), dtype=np.float32)
    corner = Region(int(some[0].min()), int(some[0].max()) + 1, int(some[1].min()), int(some[1].max()) + 1)
    part = read(corner)
    result = np.ones((len(rows), len(columns), part.shape[2]), dtype=np.float32)
    pixels = part[some[0][:, np.newaxis] - corner.top, some[1] - corner.left]
    result[np.ix_(inside[0], inside[1])] = pixels
    return result


def _interpolated(read: Read, shape: tuple[int, int], move: Move, region: Region) -> FloatArray:
    """Return `region` of the placed sheet, bilinearly interpolated between pixels of the sheet."""
    y, x = np.arange(region.top, region.bottom)[:, np.newaxis], np.arange(region.left, region.right)
    row, column = (
        move.row_y * y + move.row_x * x + move.row_0,
        move.column_y * y + move.column_x * x + move.column_0,
    )
    first = math.floor(row.min()), math.floor(column.min())
    last = math.floor(row.max()) + 2, math.floor(column.max()) + 2
    part = encode(_part(read, shape, np.arange(first[0], last[0]), np.arange(first[1], last[1])))
    above, left = np.floor(row), np.floor(column)
    down, right = ((at - whole)[..., np.newaxis] for at, whole in ((row, above), (column, left)))
    i, j = above.astype(np.int64) - first[0], left.astype(np.int64) - first[1]
    upper = (1 - right) * part[i, j] + right * part[i, j + 1]
    lower = (1 - right) * part[i + 1, j] + right * part[i + 1, j + 1]
    return decode(((1 - down) * upper + down * lower).astype(np.float32))
