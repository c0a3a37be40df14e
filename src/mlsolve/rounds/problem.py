"""What is solved, as every task needs to know it; it goes into the store as a document."""

import dataclasses
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal

from mlsolve_kernels.objective.terms import Objective

from ..colour import exposure_scale, printable_range
from ..options import Options
from ..store import Store

BETAS: Final = (0.8, 0.95)
"""Decay rates of Adam's moments, both shorter than usual, for a level lasts but some sixty steps: with
(0.9, 0.99) it took a hundred to the same loss (bench/LOG.md, mlsolve_bench.convergence)."""

DOCUMENT: Final = "problem"


def objective_of(options: Options, layers: int) -> Objective:
    """Return the objective that `options` mean for so many layers."""
    return Objective(
        exposure_scale(options.exposure),
        options.ssim_weight,
        options.mse_weight,
        options.guide_weight_for(layers),
    )


@dataclass(frozen=True)
class Problem:
    """N layers of C planes, at sizes from coarse to fine."""

    layers: int
    planes: int
    shapes: tuple[tuple[int, int], ...]
    """Height and width of every level, the coarsest first."""
    picture_planes: tuple[int, ...]
    """Planes that target and guides have of their own: a grey one among coloured ones is held once."""
    options: Options
    backend: Literal["cpu", "cuda"]
    """What computes."""

    @property
    def levels(self) -> int:
        """Number of levels; they are counted from 1, the coarsest."""
        return len(self.shapes)

    @cached_property
    def objective(self) -> Objective:
        """What is minimised."""
        return objective_of(self.options, self.layers)

    @cached_property
    def bounds(self) -> tuple[float, float]:
        """The printable range of encoded transmittance."""
        return printable_range(self.options.min_density, self.options.max_density)

    def pixels(self, level: int) -> int:
        """Return the pixels of all planes of an image at `level`."""
        height, width = self.shapes[level - 1]
        return self.planes * height * width

    def save(self, store: Store) -> None:
        """Put it into `store`."""
        store.save(DOCUMENT, dataclasses.asdict(self))

    @classmethod
    def load(cls, store: Store) -> "Problem":
        """Return the problem that `store` holds."""
        found: dict[str, Any] = store.load(DOCUMENT)
        return cls(
            found["layers"],
            found["planes"],
            tuple((height, width) for height, width in found["shapes"]),
            tuple(found["picture_planes"]),
            Options(**found["options"]),
            found["backend"],
        )
