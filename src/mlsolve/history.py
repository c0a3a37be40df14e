"""What was measured at every iteration."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class Step(NamedTuple):
    """One iteration: where it stood before its step. A callback receives it."""

    level: int
    """Number of the level, from 1, the coarsest."""
    levels: int
    """Number of levels."""
    iteration: int
    """Number of the iteration within the level, from 1."""
    iterations: int
    """Iterations a level has at most."""
    shape: tuple[int, int]
    """Height and width of the level in pixels."""
    loss: float
    """The weighted sum of the terms below."""
    target_ssim: float
    """Mean SSIM of the stack as seen to the target, in encoded transmittance."""
    target_mse: float
    """Mean squared error of the same."""
    guide_ssim: tuple[float, ...]
    """Mean SSIM of each layer to its guide."""

    @property
    def mean_guide_ssim(self) -> float:
        """Mean of `guide_ssim`."""
        return sum(self.guide_ssim) / len(self.guide_ssim)


class History(tuple[Step, ...]):
    """Every `Step` of a solve, in order; the terms can also be had as arrays."""

    __slots__ = ()

    @property
    def loss(self) -> npt.NDArray[np.float64]:
        """The loss, (steps,)."""
        return np.array([step.loss for step in self])

    @property
    def target_ssim(self) -> npt.NDArray[np.float64]:
        """SSIM to the target, (steps,)."""
        return np.array([step.target_ssim for step in self])

    @property
    def target_mse(self) -> npt.NDArray[np.float64]:
        """Squared error against the target, (steps,)."""
        return np.array([step.target_mse for step in self])

    @property
    def guide_ssim(self) -> npt.NDArray[np.float64]:
        """SSIM of the layers to their guides, (steps, N)."""
        return np.array([step.guide_ssim for step in self])

    @property
    def level(self) -> npt.NDArray[np.int64]:
        """Number of the level, from 1, (steps,)."""
        return np.array([step.level for step in self], dtype=np.int64)

    def csv(self) -> str:
        """Return the history as comma-separated text with a heading, one line a step."""
        layers = len(self[0].guide_ssim) if self else 0
        guides = [f"guide_ssim_{k}" for k in range(1, layers + 1)]
        lines = [",".join(["level", "iteration", "loss", "target_ssim", "target_mse", *guides])]
        for step in self:
            values = (step.loss, step.target_ssim, step.target_mse, *step.guide_ssim)
            lines.append(",".join([str(step.level), str(step.iteration), *(f"{v:.7g}" for v in values)]))
        return "\n".join(lines) + "\n"
