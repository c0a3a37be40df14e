"""What the stacks look like at the end of a level, from the layers in the store."""

from functools import partial

import numpy as np
import numpy.typing as npt

from mlsolve_kernels.region import Region

from ..pictures.colour import composite, decode
from ..scoring.codes import tables
from ..scoring.placed import placed_rows
from ..scoring.previews import Preview
from ..solving.spec import Spec
from ..solving.store import Store

_ROWS = 128
"""Rows that are composed together."""


def level_previews(
    store: Store, spec: Spec, level: int, layers: str, longest: int
) -> tuple[npt.NDArray[np.uint8], ...]:
    """Return every stack as seen on the light box at `level`, (h, w, C) uint8 sRGB.

    layers: the array that holds the level's layers, (C, 1 or 3, N, H, W) encoded transmittance or code values.
    longest: the longer side of a preview at the most, in pixels.
    """
    array, (height, width) = store.open(layers), spec.shapes[level - 1]

    def layer(number: int, region: Region) -> npt.NDArray[np.float32]:
        values = np.empty((region.height, region.width, spec.planes), dtype=array.dtype)
        for plane in range(spec.planes):
            array.read((plane, 0, number), region, values[..., plane])
        return decode(values) if values.dtype == np.float32 else tables(values.dtype).value[values]

    found = []
    for number, stack in enumerate(spec.stacks):
        preview = Preview((width, height), longest)
        placed = stack.placed(spec.layers)
        moves = [one.move((height, width), spec.scale(level)) for one in placed]
        for top in range(0, height, _ROWS):
            bottom = min(top + _ROWS, height)
            sheets = [
                placed_rows(partial(layer, one.layer - 1), (height, width), move, top, bottom)
                for one, move in zip(placed, moves, strict=True)
            ]
            preview.feed(composite(sheets, spec.exposure(number)))
        found.append(preview.image)
    return tuple(found)
