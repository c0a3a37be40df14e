"""Light on the CPU, for any light: rows composed of sheets, and the gradient of a composite by its sheets.

`transmitted` and `by_sheet` are the arithmetic of a light at sixteen pixels. Each light implements them in its
cpu.py, as overloads for the type of its constants. So a kernel contains only the code of the light for which it is
compiled.

The rows of the sheets are at equal distances: `sheets` is the row of the first one, `stride` the number of float32
to the next.
"""

from typing import Any, NamedTuple

import numpy as np

from ..compiled import kernel
from ..lanes import LANES, Row, load, store


class Planes(NamedTuple):
    """The positions of the other colour planes of a row, for lights that couple planes."""

    own: int
    """Number of this plane in its window."""
    number: int
    """Planes of the window; 1 if the others are not accessible."""
    stride: int
    """Distance between planes of a sheet, in float32; the same in the gradient by the composite."""


def transmitted(light: Any, sheets: Row, stride: int, count: int, planes: Planes, at: int) -> Any:
    """Return the Lanes of the composite of `count` sheets at `at`; for kernels."""
    raise NotImplementedError


def by_sheet(
    light: Any, by_composite: Row, sheets: Row, stride: int, count: int, k: int, planes: Planes, at: int
) -> Any:
    """Return the Lanes of the gradient by sheet `k` at `at`, given that by the composite; for kernels."""
    raise NotImplementedError


@kernel
def compose_row(light: Any, sheets: Row, stride: int, count: int, planes: Planes, out: Row, length: int) -> None:
    """Store the composite of `count` sheets in `out` (length)."""
    for at in range(0, length, LANES):
        store(out, at, transmitted(light, sheets, stride, count, planes, at))


@kernel
def chain_row(
    light: Any,
    by_composite: Row,
    layers: Row,
    stride: int,
    count: int,
    k: int,
    guide_weight: np.float32,
    gradient: Row,
    out: Row,
    length: int,
) -> None:
    """Store the gradient of the loss by layer k in `out`, given that of its SSIM to the guide; all (length).

    For lights that do not couple planes.
    """
    planes = Planes(0, 1, 0)
    for at in range(0, length, LANES):
        through = by_sheet(light, by_composite, layers, stride, count, k, planes, at)
        store(out, at, through - guide_weight * load(gradient, at))


@kernel
def chain_stack_row(
    light: Any,
    by_composite: Row,
    placed: Row,
    stride: int,
    count: int,
    planes: Planes,
    more: Row | None,
    out: Row,
    line: Row,
    length: int,
) -> None:
    """Store the gradient by each of `count` placed sheets in `out`.

    `out` may be `placed`, unless the light couples planes.

    by_composite: the gradient by the composite, (length). more: a gradient by each sheet that is added, or None.
    out and more have the stride of `placed`. line: (count·LANES), work space.
    """
    for at in range(0, length, LANES):
        for k in range(count):
            through = by_sheet(light, by_composite, placed, stride, count, k, planes, at)
            if more is not None:
                through = through + load(more, k * stride + at)
            store(line, k * LANES, through)
        for k in range(count):
            store(out, k * stride + at, load(line, k * LANES))
