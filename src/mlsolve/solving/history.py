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
    stack_ssim: tuple[float, ...]
    """Mean SSIM of every stack as seen to its target, in encoded transmittance."""
    stack_mse: tuple[float, ...]
    """Mean squared error of the same."""
    guide_ssim: tuple[float, ...]
    """Mean SSIM of each layer to its guide."""
    likeness: tuple[float, ...] = ()
    """What every sheet of every stack gives away, the mean of max(0, SSIM)² to the target; where that counts."""

    @property
    def target_ssim(self) -> float:
        """The lowest of `stack_ssim`."""
        # Not min(), which lets a NaN pass.
        return float(np.min(self.stack_ssim))

    @property
    def target_mse(self) -> float:
        """The highest of `stack_mse`."""
        return float(np.max(self.stack_mse))

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
        """SSIM to the target, of several the lowest, (steps,)."""
        return np.array([step.target_ssim for step in self])

    @property
    def target_mse(self) -> npt.NDArray[np.float64]:
        """Squared error against the target, of several the highest, (steps,)."""
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
        columns = ["target_ssim", "target_mse"]
        if self:
            stacks, layers, sheets = len(self[0].stack_ssim), len(self[0].guide_ssim), len(self[0].likeness)
            if stacks > 1:
                columns = [f"{name}_{a}" for name in columns for a in range(1, stacks + 1)]
            columns += [f"guide_ssim_{k}" for k in range(1, layers + 1)]
            columns += [f"likeness_{number}" for number in range(1, sheets + 1)]
        lines = [",".join(["level", "iteration", "loss", *columns])]
        for step in self:
            values = (step.loss, *step.stack_ssim, *step.stack_mse, *step.guide_ssim, *step.likeness)
            lines.append(",".join([str(step.level), str(step.iteration), *(f"{v:.7g}" for v in values)]))
        return "\n".join(lines) + "\n"
