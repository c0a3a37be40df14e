"""float64 reference of light by the power law (docs/maths.md §1)."""

import numpy as np
import numpy.typing as npt


def compose(sheets: npt.NDArray[np.floating], scale: float) -> npt.NDArray[np.float64]:
    """Return the composite, (C, H, W): the product of `sheets` (N, C, H, W), encoded, divided by `scale`."""
    return np.asarray(np.prod(np.asarray(sheets, dtype=np.float64), axis=0) / scale)


def compose_gradient(
    sheets: npt.NDArray[np.floating], scale: float, by_composite: npt.NDArray[np.floating]
) -> npt.NDArray[np.float64]:
    """Return the gradient with respect to `sheets` (N, C, H, W), given that by the composite (C, H, W).

    The product of the other sheets is computed as such, not as product / sheet, which fails for small values.
    """
    gradient = np.empty(sheets.shape, dtype=np.float64)
    for k in range(len(sheets)):
        gradient[k] = by_composite * compose(np.delete(sheets, k, axis=0), scale)
    return gradient
