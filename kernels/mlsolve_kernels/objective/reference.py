"""float64 reference of the whole objective and its gradient (docs/maths.md §2)."""

import numpy as np
import numpy.typing as npt

from ..mse.reference import squared_error, squared_error_gradient
from ..product.reference import product, product_gradient
from ..ssim.reference import ssim_gradient, ssim_map
from .terms import Objective, Terms

Images = npt.NDArray[np.floating]


def terms(layers: Images, target: Images, guides: Images, objective: Objective) -> Terms:
    """Return the terms at `layers` (N, C, H, W), `target` (C, H, W), `guides` (N, C, H, W)."""
    seen = product(layers, objective.scale)
    return Terms(
        float(ssim_map(seen, target).mean()),
        squared_error(seen, target) / target.size,
        tuple(float(ssim_map(x, g).mean()) for x, g in zip(layers, guides, strict=True)),
    )


def gradient(layers: Images, target: Images, guides: Images, objective: Objective) -> npt.NDArray[np.float64]:
    """Return C·H·W times the gradient of the loss with respect to `layers`, (N, C, H, W).

    Times C·H·W: the per-pixel measure in which Adam works (docs/maths.md §5).
    """
    seen = product(layers, objective.scale)
    by_seen = objective.mse_weight * squared_error_gradient(seen, target)
    by_seen = by_seen - objective.ssim_weight * ssim_gradient(seen, target)
    result = product_gradient(layers, objective.scale, by_seen)
    for k, (x, g) in enumerate(zip(layers, guides, strict=True)):
        result[k] -= objective.guide_weight * ssim_gradient(x, g)
    return result
