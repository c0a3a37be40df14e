"""float64 reference of the product of the layers."""

import numpy as np
import numpy.typing as npt


def product(layers: npt.NDArray[np.floating], scale: float) -> npt.NDArray[np.float64]:
    """Return the stack as it is seen, (C, H, W): the product of `layers` (N, C, H, W) divided by `scale`."""
    return np.asarray(np.prod(np.asarray(layers, dtype=np.float64), axis=0) / scale)


def product_gradient(
    layers: npt.NDArray[np.floating], scale: float, by_product: npt.NDArray[np.floating]
) -> npt.NDArray[np.float64]:
    """Return the gradient with respect to `layers` (N, C, H, W), given that by the product (C, H, W).

    The product of the others is taken as a product, never as p / x, which fails where x is small.
    """
    gradient = np.empty(layers.shape, dtype=np.float64)
    for k in range(len(layers)):
        gradient[k] = by_product * product(np.delete(layers, k, axis=0), scale)
    return gradient
