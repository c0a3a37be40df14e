"""float64 reference of the squared error of a composed stack against its target (docs/maths.md §2)."""

import numpy as np
import numpy.typing as npt

Images = npt.NDArray[np.floating]


def value(composite: Images, target: Images, counts: Images | float = 1.0) -> float:
    """Return the weighted SUM of (composite - target)² over all pixels and planes; the MSE is its mean.

    composite, target: (..., H, W). counts: weights of the pixels, (H, W) in [0, 1].
    """
    difference = np.asarray(composite, dtype=np.float64) - target
    return float((counts * difference**2).sum())


def gradient(composite: Images, target: Images, counts: Images | float = 1.0) -> npt.NDArray[np.float64]:
    """Return the gradient of `value` with respect to `composite`, in the same shape."""
    return np.asarray(2 * counts * (np.asarray(composite, dtype=np.float64) - target))
