"""float64 reference of the whole objective and its gradient (docs/maths.md §2, §9)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..mse.reference import squared_error_gradient
from ..placement.move import STILL, Move
from ..placement.reference import give_back, place
from ..product.reference import product, product_gradient
from ..ssim.reference import ssim_gradient, ssim_map
from .terms import Objective, Stack, Terms

Images = npt.NDArray[np.floating]
Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Arranged:
    """What the layers are compared with, stack by stack, and how they lie there."""

    targets: Images
    """(M, C, H, W)."""
    moves: Sequence[Sequence[Move]] | None = None
    """Of every sheet of every stack; None: unmoved."""
    weights: Sequence[Images | None] | None = None
    """Of each stack's pixels, (H, W); None: 1."""
    disc: Images | None = None
    """(H, W), 1 where guides count and layers may change, else 0; None: 1."""

    def of(self, number: int, stack: Stack, layers: Images) -> tuple[Array, Array, list[int], list[Move]]:
        """Return placed sheets (K, C, H, W) of a stack, weights of its pixels (H, W), its layers, their moves."""
        numbers = list(range(len(layers))) if stack.layers is None else list(stack.layers)
        moves = [STILL] * len(numbers) if self.moves is None else list(self.moves[number])
        sheets = np.stack([place(layers[k], move) for k, move in zip(numbers, moves, strict=True)])
        weights = None if self.weights is None else self.weights[number]
        counts = np.ones(layers.shape[-2:]) if weights is None else np.asarray(weights, dtype=np.float64)
        return sheets, counts if self.disc is None else counts * self.disc, numbers, moves


def terms(layers: Images, arranged: "Arranged | Images", guides: Images, objective: Objective) -> Terms:
    """Return the terms at `layers` (N, C, H, W), `guides` (N, C, H, W); arranged: targets, or one (C, H, W)."""
    arranged = _arranged(arranged)
    count = layers[0].size
    similar, errors, likeness = [], [], []
    for number, (stack, target) in enumerate(zip(objective.stacks, arranged.targets, strict=True)):
        sheets, counts, _, _ = arranged.of(number, stack, layers)
        seen = product(sheets, stack.scale)
        similar.append(float((counts * ssim_map(seen, target)).sum() / (count * stack.share)))
        errors.append(float((counts * (seen - target) ** 2).sum() / (count * stack.share)))
        if stack.hide_weight:
            positive = [np.maximum(ssim_map(sheet, target), 0) for sheet in sheets]
            likeness += [float((counts * one**2).sum() / (count * stack.share)) for one in positive]
    inside = 1.0 if arranged.disc is None else arranged.disc
    both = zip(layers, guides, strict=True)
    guide = [float((inside * ssim_map(x, g)).sum() / (count * objective.share)) for x, g in both]
    return Terms(tuple(similar), tuple(errors), tuple(guide), tuple(likeness))


def gradient(layers: Images, arranged: "Arranged | Images", guides: Images, objective: Objective) -> Array:
    """Return C·H·W times the gradient of the loss with respect to `layers`, (N, C, H, W).

    Times C·H·W: the per-pixel measure in which Adam works (docs/maths.md §5).
    """
    arranged = _arranged(arranged)
    result = np.zeros(layers.shape)
    for number, (stack, target) in enumerate(zip(objective.stacks, arranged.targets, strict=True)):
        sheets, counts, numbers, moves = arranged.of(number, stack, layers)
        seen = product(sheets, stack.scale)
        by_seen = stack.mse_weight * counts * squared_error_gradient(seen, target)
        by_seen = by_seen - stack.ssim_weight * ssim_gradient(seen, target, counts)
        by_sheets = product_gradient(sheets, stack.scale, by_seen)
        for k, (sheet, layer, move) in enumerate(zip(sheets, numbers, moves, strict=True)):
            if stack.hide_weight:
                positive = np.maximum(ssim_map(sheet, target), 0)
                by_sheets[k] += stack.hide_weight * ssim_gradient(sheet, target, counts * 2 * positive)
            result[layer] += give_back(by_sheets[k] / stack.share, move)
    inside = np.ones(layers.shape[-2:]) if arranged.disc is None else arranged.disc
    for k, (x, g) in enumerate(zip(layers, guides, strict=True)):
        result[k] -= objective.guide_weight / objective.share * ssim_gradient(x, g, inside)
    return np.asarray(result * (inside != 0))


def _arranged(arranged: "Arranged | Images") -> Arranged:
    return arranged if isinstance(arranged, Arranged) else Arranged(np.asarray(arranged)[np.newaxis])
