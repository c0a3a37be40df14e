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
    """What one evaluation of the objective measured, of M stacks and N layers."""

    target_ssim: tuple[float, ...]
    """Mean SSIM of every stack as seen to its target, M values."""
    target_mse: tuple[float, ...]
    """Mean squared error of the same."""
    guide_ssim: tuple[float, ...]
    """Mean SSIM of each layer to its guide, N values."""
    likeness: tuple[float, ...] = ()
    """Of every sheet of every stack in whose objective it counts: the mean of max(0, SSIM)² of the sheet, as it
    lies there, to the target."""


class Sums(NamedTuple):
    """What one evaluation of a part of an image measured; parts add up, in any order, to the whole (exact.py)."""

    target_ssim: tuple[Exact, ...]
    """Sums of the SSIM of every stack as seen to its target, in 2^-SSIM_BITS."""
    target_error: tuple[Exact, ...]
    """Sums of the squared error of the same, in 2^-ERROR_BITS."""
    guide_ssim: tuple[Exact, ...]
    """Sums of the SSIM of each layer to its guide, in 2^-SSIM_BITS."""
    likeness: tuple[Exact, ...] = ()
    """Sums of max(0, SSIM)² of sheets to targets, in 2^-SSIM_BITS."""

    def plus(self, other: "Sums") -> "Sums":
        """Return the sums of both parts."""
        return Sums(*(tuple(a + b for a, b in zip(*both, strict=True)) for both in zip(self, other, strict=True)))

    def terms(self, pixels: int, objective: "Objective") -> Terms:
        """Return the terms of an image that has so many pixels in all its planes together."""
        similarity, error = pixels * 2.0**SSIM_BITS, pixels * 2.0**ERROR_BITS
        shares = [stack.share for stack in objective.stacks]
        of_sheets = [stack.share for stack in objective.stacks if stack.hide_weight for _ in stack.layers or ()]
        return Terms(
            tuple(float(ssim / (similarity * share)) for ssim, share in zip(self.target_ssim, shares, strict=True)),
            tuple(float(one / (error * share)) for one, share in zip(self.target_error, shares, strict=True)),
            tuple(float(ssim / (similarity * objective.share)) for ssim in self.guide_ssim),
            tuple(float(one / (similarity * share)) for one, share in zip(self.likeness, of_sheets, strict=True)),
        )


class Stack(NamedTuple):
    """What is asked of one arrangement of the layers: to look like a target."""

    scale: float
    """The encoded exposure e^(1/2.2), by which the product of the sheets is divided."""
    ssim_weight: float
    mse_weight: float
    layers: tuple[int, ...] | None = None
    """The layers that lie there, counted from 0; None: all of them, and none is moved."""
    hide_weight: float = 0.0
    """Weight of max(0, SSIM)² of each sheet to the target: what it gives away. If not 0, `layers` are named."""
    share: float = 1.0
    """Mean weight of the target's pixels; their terms are divided by it."""
    weighted: bool = False
    """Whether its pixels have weights of their own."""


@dataclass(frozen=True)
class Objective:
    """loss = Σ_a [ ssim_weight (1 - SSIM(p_a, T_a)) + mse_weight MSE(p_a, T_a) + hide_weight Σ_k max(0, SSIM)² ]
    + guide_weight Σ_k (1 - SSIM(x_k, G_k)).

    p_a is the product of the layers of stack a, placed, divided by its scale.
    """

    stacks: tuple[Stack, ...]
    guide_weight: float
    disc: bool = False
    """Whether nothing counts outside the largest circle, where the sheets are clear."""
    share: float = 1.0
    """Which part of the pixels lies in it."""

    @property
    def plain(self) -> bool:
        """Whether it is one stack of all layers, none of them moved, and all pixels count alike."""
        one = self.stacks[0]
        return len(self.stacks) == 1 and one.layers is None and not (one.hide_weight or one.weighted or self.disc)

    @property
    def scale(self) -> float:
        """That of the first stack, which is all there is of a plain one."""
        return self.stacks[0].scale

    @property
    def ssim_weight(self) -> float:
        """Likewise."""
        return self.stacks[0].ssim_weight

    @property
    def mse_weight(self) -> float:
        """Likewise."""
        return self.stacks[0].mse_weight

    def loss(self, terms: Terms) -> float:
        """Return the loss that `terms` amount to."""
        of_stacks = sum(
            stack.ssim_weight * (1 - ssim) + stack.mse_weight * mse
            for stack, ssim, mse in zip(self.stacks, terms.target_ssim, terms.target_mse, strict=True)
        )
        weights = [stack.hide_weight for stack in self.stacks if stack.hide_weight for _ in stack.layers or ()]
        hidden = sum(weight * likeness for weight, likeness in zip(weights, terms.likeness, strict=True))
        return of_stacks + hidden + self.guide_weight * sum(1 - ssim for ssim in terms.guide_ssim)


def one_stack(scale: float, ssim_weight: float, mse_weight: float, guide_weight: float) -> Objective:
    """Return the objective of a single target for a stack of all layers as they are."""
    return Objective((Stack(scale, ssim_weight, mse_weight),), guide_weight)


class Weights(NamedTuple):
    """The constants of a stack as kernels take them, float32."""

    ssim: np.float32
    mse: np.float32
    guide: np.float32
    inverse_scale: np.float32
    """1 / scale."""
    hide: np.float32

    @classmethod
    def of(cls, objective: Objective, number: int = 0) -> "Weights":
        """Return those of stack `number` of `objective`; the terms' shares are in them."""
        stack = objective.stacks[number]
        values = (
            stack.ssim_weight / stack.share,
            stack.mse_weight / stack.share,
            objective.guide_weight / objective.share,
            1 / stack.scale,
            stack.hide_weight / stack.share,
        )
        return cls(*(np.float32(value) for value in values))
