"""Light on the CPU, for any light: rows composed of sheets, and the gradient of a composite by its sheets.

`transmitted` and `by_sheet` are the arithmetic of a light at sixteen pixels. Each light supplies its own in its
cpu.py, as an overload for the type of its constants. So a kernel contains the code of the light that it is compiled
for, and no other.

The rows of the sheets lie at equal distance: `sheets` is that of the first, `stride` the number of float32 to the
next.
"""

from typing import Any, NamedTuple

import numpy as np

from ..compiled import kernel
from ..lanes import LANES, Row, load, store


class Planes(NamedTuple):
    """Where the other colour planes of a row lie, for lights that couple them."""

    own: int
    """Number of this plane in its window."""
    number: int
    """Planes of the window; 1 where the others are out of reach."""
    stride: int
    """From a plane of a sheet to the next, in float32; that of the composite's gradient is the same."""


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
    """Put the composite of `count` sheets into `out` (length)."""
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
    """Put the gradient of the loss by layer k into `out`, given that of its SSIM to the guide; all (length).

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
    """Put the gradient by each of `count` placed sheets into `out`.

    `out` may be `placed`, unless the light couples planes.

    by_composite: the gradient by the composite, (length). out, and more, a gradient by each sheet that is added,
    None if there is none: as far apart as `placed`. line: (count·LANES) to work in.
    """
    for at in range(0, length, LANES):
        for k in range(count):
            through = by_sheet(light, by_composite, placed, stride, count, k, planes, at)
            if more is not None:
                through = through + load(more, k * stride + at)
            store(line, k * LANES, through)
        for k in range(count):
            store(out, k * stride + at, load(line, k * LANES))
