"""The settings and the terms of the objective (docs/maths.md §2), the same for every backend."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


class Terms(NamedTuple):
    """What one evaluation of the objective measured."""

    target_ssim: float
    """Mean SSIM of the stack as seen to the target."""
    target_mse: float
    """Mean squared error of the stack as seen against the target."""
    guide_ssim: tuple[float, ...]
    """Mean SSIM of each layer to its guide, N values."""


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
