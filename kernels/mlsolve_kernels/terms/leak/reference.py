"""float64 reference of the leak, max(0, SSIM)² of a placed sheet alone to a target (docs/maths.md §2)."""

import numpy as np
import numpy.typing as npt

from ...ssim.reference import ssim_gradient, ssim_map

Array = npt.NDArray[np.float64]


def value(sheet: npt.NDArray[np.floating], target: npt.NDArray[np.floating], counts: Array) -> float:
    """Return the weighted SUM of max(0, SSIM)² over all pixels and planes of `sheet` and `target` (C, H, W).

    counts: weights of the pixels, (H, W) in [0, 1].
    """
    return float((counts * np.maximum(ssim_map(sheet, target), 0) ** 2).sum())


def gradient(sheet: npt.NDArray[np.floating], target: npt.NDArray[np.floating], counts: Array) -> Array:
    """Return the gradient of `value` with respect to `sheet`, (C, H, W)."""
    return ssim_gradient(sheet, target, counts * 2 * np.maximum(ssim_map(sheet, target), 0))
