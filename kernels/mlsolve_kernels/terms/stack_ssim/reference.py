"""float64 reference of the SSIM of a composed stack to its target (Wang et al. 2004, eq. 13; docs/maths.md §3)."""

import numpy as np
import numpy.typing as npt

from ...ssim.reference import ssim_gradient, ssim_map

Array = npt.NDArray[np.float64]


def value(composite: npt.NDArray[np.floating], target: npt.NDArray[np.floating], counts: Array) -> float:
    """Return the weighted SUM of SSIM over all pixels and planes of `composite` and `target` (C, H, W).

    counts: weights of the pixels, (H, W) in [0, 1].
    """
    return float((counts * ssim_map(composite, target)).sum())


def gradient(composite: npt.NDArray[np.floating], target: npt.NDArray[np.floating], counts: Array) -> Array:
    """Return the gradient of `value` with respect to `composite`, (C, H, W)."""
    return ssim_gradient(composite, target, counts)
