"""The measurements of every iteration."""

from collections.abc import Mapping
from itertools import chain
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mlsolve_kernels.terms import BY_NAME, TERMS


class Step(NamedTuple):
    """One iteration, measured before its step. A callback receives it."""

    level: int
    """Number of the level, from 1, the coarsest."""
    levels: int
    """Number of levels."""
    iteration: int
    """Number of the iteration within the level, from 1."""
    iterations: int
    """Most iterations of a level."""
    shape: tuple[int, int]
    """Height and width of the level in pixels."""
    loss: float
    """The weighted sum of the terms below."""
    terms: Mapping[str, tuple[float, ...]]
    """The values of the terms by name: a mean for each stack, sheet or layer (mlsolve_kernels.terms)."""

    @property
    def stack_ssim(self) -> tuple[float, ...]:
        """Mean SSIM of every composed stack to its target, in encoded transmittance."""
        return self.terms["stack_ssim"]

    @property
    def stack_mse(self) -> tuple[float, ...]:
        """Mean squared error of every composed stack against its target, in encoded transmittance."""
        return self.terms["stack_mse"]

    @property
    def guide_ssim(self) -> tuple[float, ...]:
        """Mean SSIM of each layer to its guide."""
        return self.terms["guide_ssim"]

    @property
    def leak(self) -> tuple[float, ...]:
        """The leak of every sheet: the mean of max(0, SSIM)² to its stack's target; () without that term."""
        return self.terms.get("leak", ())

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
    """Every `Step` of a solve, in order. Its properties return the terms as arrays."""

    __slots__ = ()

    @property
    def loss(self) -> npt.NDArray[np.float64]:
        """The loss, (steps,)."""
        return np.array([step.loss for step in self])

    @property
    def target_ssim(self) -> npt.NDArray[np.float64]:
        """SSIM to the target, the lowest if there are several, (steps,)."""
        return np.array([step.target_ssim for step in self])

    @property
    def target_mse(self) -> npt.NDArray[np.float64]:
        """Mean squared error against the target, the highest if there are several, (steps,)."""
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
        """Return the history as comma-separated text: a heading, then one line per step."""
        if not self:
            columns = [term.label for term in TERMS if term.always and term.acts_on == "stack"]
        else:
            columns = [column for name, values in self[0].terms.items() for column in _columns(name, len(values))]
        lines = [",".join(["level", "iteration", "loss", *columns])]
        for step in self:
            values = (step.loss, *chain(*step.terms.values()))
            lines.append(",".join([str(step.level), str(step.iteration), *(f"{v:.7g}" for v in values)]))
        return "\n".join(lines) + "\n"


def _columns(name: str, count: int) -> list[str]:
    """Return the column names of a term with `count` values. The column of a single stack has no number."""
    term = BY_NAME[name]
    if term.acts_on == "stack" and count == 1:
        return [term.label]
    return [f"{term.label}_{number}" for number in range(1, count + 1)]
