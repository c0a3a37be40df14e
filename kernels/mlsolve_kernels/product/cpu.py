"""The product of the layers and its chain rule on the CPU, as vector functions of one row.

The rows of the layers lie at equal distance: `layers` is that of the first, `stride` the number of float32
to the next.
"""

import numpy as np

from ..compiled import kernel
from ..lanes import LANES, Row, load, masked, store


@kernel
def product_row(layers: Row, stride: int, count: int, inverse_scale: np.float32, out: Row, length: int) -> None:
    """Put inverse_scale · (product of `count` layers) into `out` (length)."""
    for at in range(0, length, LANES):
        product = inverse_scale * load(layers, at)
        for k in range(1, count):
            product = product * load(layers, k * stride + at)
        store(out, at, product)


@kernel
def chain_row(
    by_seen: Row,
    layers: Row,
    stride: int,
    count: int,
    k: int,
    inverse_scale: np.float32,
    guide_weight: np.float32,
    gradient: Row,
    out: Row,
    length: int,
) -> None:
    """Put the gradient of the loss by layer k into `out`, given that of its SSIM to the guide; all (length).

    by_seen: the gradient by the product. What comes back through the product is that times the
    product of the other layers: as a product, never as p / x.
    """
    for at in range(0, length, LANES):
        through_product = inverse_scale * load(by_seen, at)
        for other in range(count):
            if other != k:
                through_product = through_product * load(layers, other * stride + at)
        store(out, at, through_product - guide_weight * load(gradient, at))


@kernel
def chain_stack_row(
    by_seen: Row,
    placed: Row,
    stride: int,
    count: int,
    inverse_scale: np.float32,
    by_sheet: Row | None,
    line: Row,
    length: int,
) -> None:
    """Put, for each of `count` placed sheets, the gradient that comes back through the product in its place.

    by_seen: the gradient by the product, (length). by_sheet: a gradient by each sheet that is added, as far apart
    as `placed`, None if there is none. line: (count·LANES) to work in.
    """
    for at in range(0, length, LANES):
        for k in range(count):
            through_product = inverse_scale * load(by_seen, at)
            for other in range(count):
                if other != k:
                    through_product = through_product * load(placed, other * stride + at)
            if by_sheet is not None:
                through_product = through_product + load(by_sheet, k * stride + at)
            store(line, k * LANES, through_product)
        for k in range(count):
            store(placed, k * stride + at, load(line, k * LANES))


@kernel
def join_row(gradient: Row, guide_weight: np.float32, by_ssim: Row, counts: Row | None, length: int) -> None:
    """Take guide_weight times the gradient of a layer's SSIM to its guide from `gradient`, all (length).

    counts: 0 where the layer is not to change, None if it may everywhere.
    """
    for at in range(0, length, LANES):
        whole = load(gradient, at) - guide_weight * load(by_ssim, at)
        if counts is not None:
            whole = masked(load(counts, at), whole)
        store(gradient, at, whole)
