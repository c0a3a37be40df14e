"""The settings and the terms of the objective (docs/maths.md §2), the same for every backend."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..exact import ERROR_BITS, SSIM_BITS, Exact


class Shape(NamedTuple):
    """How many layers of how many colour planes, and how large."""

    layers: int
    planes: int
    height: int
    width: int


class Terms(NamedTuple):
    """What one evaluation of the objective measured."""

    target_ssim: float
    """Mean SSIM of the stack as seen to the target."""
    target_mse: float
    """Mean squared error of the stack as seen against the target."""
    guide_ssim: tuple[float, ...]
    """Mean SSIM of each layer to its guide, N values."""


class Sums(NamedTuple):
    """What one evaluation of a part of an image measured; parts add up, in any order, to the whole (exact.py)."""

    target_ssim: Exact
    """Sum of the SSIM of the stack as seen to the target, in 2^-SSIM_BITS."""
    target_error: Exact
    """Sum of the squared error of the same, in 2^-ERROR_BITS."""
    guide_ssim: tuple[Exact, ...]
    """Sums of the SSIM of each layer to its guide, N values, in 2^-SSIM_BITS."""

    def plus(self, other: "Sums") -> "Sums":
        """Return the sums of both parts."""
        by_layer = tuple(a + b for a, b in zip(self.guide_ssim, other.guide_ssim, strict=True))
        return Sums(self.target_ssim + other.target_ssim, self.target_error + other.target_error, by_layer)

    def terms(self, pixels: int) -> Terms:
        """Return the terms of an image that has so many pixels in all its planes together."""
        similarity, error = pixels * 2.0**SSIM_BITS, pixels * 2.0**ERROR_BITS
        by_layer = tuple(float(ssim / similarity) for ssim in self.guide_ssim)
        return Terms(float(self.target_ssim / similarity), float(self.target_error / error), by_layer)


@dataclass(frozen=True)
class Objective:
    """loss = ssim_weight (1 - SSIM(p, T)) + mse_weight MSE(p, T) + guide_weight Σ (1 - SSIM(x_k, G_k)).

    p is the product of the layers x_k divided by `scale`, the encoded exposure e^(1/2.2).
    """

    scale: float
    ssim_weight: float
    mse_weight: float
    guide_weight: float

    def loss(self, terms: Terms) -> float:
        """Return the loss that `terms` amount to."""
        return (
            self.ssim_weight * (1 - terms.target_ssim)
            + self.mse_weight * terms.target_mse
            + self.guide_weight * sum(1 - ssim for ssim in terms.guide_ssim)
        )


class Weights(NamedTuple):
    """The constants of an objective as kernels take them, float32."""

    ssim: np.float32
    mse: np.float32
    guide: np.float32
    inverse_scale: np.float32
    """1 / scale."""

    @classmethod
    def of(cls, objective: Objective) -> "Weights":
        """Return those of `objective`."""
        values = (objective.ssim_weight, objective.mse_weight, objective.guide_weight, 1 / objective.scale)
        return cls(*(np.float32(value) for value in values))
