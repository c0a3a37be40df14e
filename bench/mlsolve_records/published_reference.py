"""float64 NumPy reference of the objective of `torch as published`; imports nothing fast."""

import numpy as np
import numpy.typing as npt

from mlsolve_kernels.ssim.reference import ssim_gradient, ssim_map

Array = npt.NDArray[np.float64]
Images = npt.NDArray[np.floating]


def published_loss(layers: Images, target: Images, guides: Images) -> tuple[float, Array]:
    """Return the loss and its gradient: 1 - SSIM of the layers' mean to the target + Σ (1 - SSIM) to the guides.

    layers, guides: (N, C, H, W), target: (C, H, W), in [0, 1]. The gradient is in the per-pixel measure, C·H·W
    times that of the mean, in the shape of `layers`. SSIM sees the pictures channels-last as if they were
    channels-first: its images are the W×C slices, one for every row.
    """
    x, y, guide = (np.moveaxis(np.asarray(z, dtype=np.float64), -3, -1) for z in (layers, target, guides))
    clamped = np.clip(x, 0, 1)
    stack = clamped.mean(axis=0)
    loss = (
        1 - ssim_map(stack, y).mean() + sum(1 - ssim_map(a, b).mean() for a, b in zip(clamped, guide, strict=True))
    )
    gradient = -ssim_gradient(stack, y) / len(x) - ssim_gradient(clamped, guide)
    gradient *= (x >= 0) & (x <= 1)
    return float(loss), np.moveaxis(gradient, -1, 1)
