"""float64 reference of the squared error."""

import numpy as np
import numpy.typing as npt


def squared_error(x: npt.NDArray[np.floating], y: npt.NDArray[np.floating]) -> float:
    """Return the SUM of (x - y)² over all pixels and planes; the MSE is its mean."""
    difference = np.asarray(x, dtype=np.float64) - y
    return float((difference**2).sum())


def squared_error_gradient(x: npt.NDArray[np.floating], y: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Return the gradient of `squared_error(x, y)` with respect to `x`, in its shape."""
    return np.asarray(2 * (np.asarray(x, dtype=np.float64) - y))
