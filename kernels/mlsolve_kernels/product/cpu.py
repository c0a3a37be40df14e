"""The product of the layers and its chain rule on the CPU, as vector functions of one row.

The rows of the layers lie at equal distance: `layers` is that of the first, `stride` the number of float32
to the next.
"""

import numpy as np

from ..compiled import kernel
from ..lanes import LANES, Row, load, store


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
