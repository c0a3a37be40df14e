"""The objective, and how sheets lie, written once more, as naively as possible, with constants of their own.

The float64 references in the kernels package share window.py with the fast code; this file shares
nothing, so a wrong constant there does not go unnoticed. Slow: dense windows.
"""

import numpy as np

_G = np.array([np.exp(-(d * d) / (2 * 1.5 * 1.5)) for d in range(-5, 6)])
WINDOW = np.outer(_G, _G) / _G.sum() ** 2


def lies(
    image: np.ndarray, quarters: int = 0, flip: str | None = None, shift: tuple[int, int] = (0, 0), off: float = 1
) -> np.ndarray:
    """A sheet (H, W, …) flipped, then turned counter-clockwise, then shifted right and down; beside it is `off`."""
    turned = np.rot90(image if flip is None else np.flip(image, "vh".index(flip)), quarters)
    height, width = turned.shape[:2]
    right, down = shift
    seen = np.full_like(turned, off)
    seen[max(0, down) : height + min(0, down), max(0, right) : width + min(0, right)] = turned[
        max(0, -down) : height - max(0, down), max(0, -right) : width - max(0, right)
    ]
    return seen


def blur(image: np.ndarray) -> np.ndarray:
    """Dense 11×11 window over (H, W), zeros beyond the border."""
    padded = np.pad(image.astype(np.float64), 5)
    return np.einsum("yxij,ij->yx", np.lib.stride_tricks.sliding_window_view(padded, (11, 11)), WINDOW)


def mean_ssim(x: np.ndarray, y: np.ndarray, weights: np.ndarray | float = 1.0) -> float:
    """Wang et al. 2004, eq. 13, of (..., H, W), by planes; weights: (H, W), how much every pixel counts."""
    planes_x, planes_y = x.reshape(-1, *x.shape[-2:]), y.reshape(-1, *y.shape[-2:])
    values = []
    for a, b in zip(planes_x.astype(np.float64), planes_y.astype(np.float64), strict=True):
        ma, mb = blur(a), blur(b)
        va, vb, cov = blur(a * a) - ma**2, blur(b * b) - mb**2, blur(a * b) - ma * mb
        values.append((2 * ma * mb + 0.0001) * (2 * cov + 0.0009) / ((ma**2 + mb**2 + 0.0001) * (va + vb + 0.0009)))
    weights = np.broadcast_to(weights, x.shape[-2:])
    return float(np.mean(np.array(values) * weights) / np.mean(weights))


def loss(
    layers: np.ndarray, target: np.ndarray, guides: np.ndarray, scale: float, weights: tuple[float, float, float]
) -> float:
    """The loss of docs/maths.md §2: layers, guides (N, C, H, W), target (C, H, W); weights SSIM, MSE, guides."""
    seen = np.ones(target.shape)
    for layer in layers:
        seen = seen * layer
    seen = seen / scale
    total = weights[0] * (1 - mean_ssim(seen, target)) + weights[1] * float(np.mean((seen - target) ** 2))
    for layer, guide in zip(layers, guides, strict=True):
        total += weights[2] * (1 - mean_ssim(layer, guide))
    return total
