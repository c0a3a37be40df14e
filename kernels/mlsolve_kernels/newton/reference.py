"""float64 reference of the Newton step of all layers at a pixel (docs/maths.md §5)."""

import numpy as np
import numpy.typing as npt

from ..blur.reference import blur
from ..window import C2
from .step import LEAST, LEAST_SHARE, LONGEST, NewtonRates

Array = npt.NDArray[np.float64]


def curvature(images: Array, weights: Array | None = None) -> Array:
    """Return 2 B[m / (2 v + C2)], v the windowed variance of `images` (…, H, W); weights: m (H, W), None: 1."""
    counts = np.ones(images.shape[-2:]) if weights is None else weights
    variance = np.maximum(blur(images**2) - blur(images) ** 2, 0)
    return np.asarray(2 * blur(counts / (2 * variance + C2)))


def of_target(target: Array, ssim_weight: float, mse_weight: float, weights: Array | None = None) -> Array:
    """Return the curvature of the loss by the stack, (C, H, W) as `target`; weights: of the pixels, (H, W)."""
    counts = np.ones(target.shape[-2:]) if weights is None else weights
    return np.asarray(ssim_weight * curvature(target, weights) + 2 * mse_weight * counts)


def of_guides(guides: Array, guide_weight: float, by_stack: Array) -> Array:
    """Return the curvature of the loss by each layer, (N, C, H, W) as `guides`; by_stack: `of_target`."""
    return np.asarray(np.maximum(guide_weight * curvature(guides), LEAST_SHARE * by_stack + LEAST))


def step(
    x: Array,
    velocity: Array,
    gradient: Array,
    curvatures: tuple[Array, Array],
    scale: float,
    target: Array,
    rates: NewtonRates,
    weights: Array | None = None,
) -> tuple[Array, Array]:
    """Return `x` and the velocity after a step, (N, C, H, W) like `gradient` and the second curvature.

    curvatures: `of_target` (C, H, W), `of_guides`. scale: by which the product of the layers is divided.
    target: (C, H, W). weights: of the pixels, (H, W).
    """
    rate, brightness, low, high, momentum, damping, darkest, farthest = (float(value) for value in rates)
    bend, diagonal = curvatures
    stack = x.prod(axis=0) / scale
    free = ~(((x <= low) & (gradient >= 0)) | ((x >= high) & (gradient <= 0)))
    slope = np.where(free, stack / x, 0.0)
    inverse = 1 / (diagonal + damping * bend * slope**2)
    # Sherman and Morrison: (D + h J Jᵀ)⁻¹ g = D⁻¹ g - D⁻¹ J · h Jᵀ D⁻¹ g / (1 + h Jᵀ D⁻¹ J)
    through = bend * (slope * inverse * gradient).sum(axis=0) / (1 + bend * (slope**2 * inverse).sum(axis=0))
    wanted = blur(target)
    error = np.clip((blur(stack) - wanted) / np.maximum(wanted, darkest), -farthest, farthest)
    exponent = 2.0 if len(x) <= 2 else 0.5 ** (len(x) // 2 - 1)
    counts = np.ones(x.shape[-2:]) if weights is None else weights**exponent
    shift = free * brightness * counts * error / np.maximum(free.sum(axis=0), 1)
    move = np.clip(rate * (gradient - slope * through) * inverse, -LONGEST, LONGEST)
    speed = momentum * velocity - move
    moved = x + momentum * speed - move - shift * x
    bounded = np.clip(moved, low, high)
    return np.asarray(bounded), np.where(bounded == moved, speed, 0.0)
