"""Sheets as they lie in a stack, of any size: rows of a placed sheet, from whatever parts of it are seen there.

The placements of the kernels (mlsolve_kernels.placement) for pictures in sRGB: whole pixels are moved as they are;
between pixels encoded transmittance is interpolated, as the solver does it. Off the sheet the light box is seen.
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
"""Gives a region (h, w, C) of a sheet, float32 sRGB in [0, 1]."""

ACROSS: Final = 512
"""Columns that are interpolated together: of a turned sheet a square is read for them."""


def place_sheet(image: FloatArray, placement: Placement) -> FloatArray:
    """Return `image` (H, W, C), float32 sRGB in [0, 1], as it is seen where it lies as `placement` says."""
    shape = image.shape[:2]
    return placed_rows(
        lambda region: image[region.top : region.bottom, region.left : region.right], shape, placement.move(shape)
    )


def composite_placed(layers: Sequence[FloatArray], place: Sequence[Placement], exposure: float) -> FloatArray:
    """Return the stack that layers (H, W, C), float32 sRGB in [0, 1], show at `exposure` where they lie so."""
    return composite([place_sheet(layers[one.layer - 1], one) for one in place], exposure)


def placed_rows(
    read: Read, shape: tuple[int, int], move: Move, top: int = 0, bottom: int | None = None
) -> FloatArray:
    """Return rows top … bottom - 1, (h, W, C), of a sheet of `shape` = (height, width) that lies as `move` says."""
    bottom = shape[0] if bottom is None else bottom
    if move.exact:
        return _exact(read, shape, move, Region(top, bottom, 0, shape[1]))
    parts = [
        _between(read, shape, move, Region(top, bottom, left, min(left + ACROSS, shape[1])))
        for left in range(0, shape[1], ACROSS)
    ]
    return np.concatenate(parts, axis=1)


def _exact(read: Read, shape: tuple[int, int], move: Move, region: Region) -> FloatArray:
    """Return a region whose pixels are pixels of the sheet."""
    down, across = np.arange(region.top, region.bottom), np.arange(region.left, region.right)
    if move.turned:
        rows, columns = move.row_x * across + move.row_0, move.column_y * down + move.column_0
    else:
        rows, columns = move.row_y * down + move.row_0, move.column_x * across + move.column_0
    found = _part(read, shape, rows.astype(np.int64), columns.astype(np.int64))
    return np.ascontiguousarray(np.swapaxes(found, 0, 1)) if move.turned else found


def _part(read: Read, shape: tuple[int, int], rows: Any, columns: Any) -> FloatArray:
    """Return the pixels where `rows` and `columns`, each one after the other, cross; white off the sheet."""
    inside = [(line >= 0) & (line < side) for line, side in zip((rows, columns), shape, strict=True)]
    some = [line[there] for line, there in zip((rows, columns), inside, strict=True)]
    if not (some[0].size and some[1].size):
        # What is off the sheet altogether has as many planes as the sheet all the same.
        planes = read(Region(0, 1, 0, 1)).shape[2]
        return np.ones((len(rows), len(columns), planes), dtype=np.float32)
    corner = Region(int(some[0].min()), int(some[0].max()) + 1, int(some[1].min()), int(some[1].max()) + 1)
    part = read(corner)
    result = np.ones((len(rows), len(columns), part.shape[2]), dtype=np.float32)
    pixels = part[some[0][:, np.newaxis] - corner.top, some[1] - corner.left]
    result[np.ix_(inside[0], inside[1])] = pixels
    return result


def _between(read: Read, shape: tuple[int, int], move: Move, region: Region) -> FloatArray:
    """Return a region whose pixels lie between those of the sheet."""
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
