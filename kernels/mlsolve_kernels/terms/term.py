"""The declaration of a term of the loss: everything about it that is not arithmetic."""

from dataclasses import dataclass
from typing import Literal

ActsOn = Literal["stack", "sheet", "layer"]
"""What a term measures: every composed stack, every placed sheet of a stack, or every layer as printed."""


@dataclass(frozen=True)
class Term:
    """One term of the loss (docs/adding-a-term.md). The folder `terms/<name>/` holds the arithmetic."""

    name: str
    """The name of its folder."""
    acts_on: ActsOn
    """What it measures; it has one value for each of these."""
    bits: int
    """Its sums are integers in units of 2^-bits (exact.py)."""
    reach: int
    """Distance in pixels up to which values affect the gradient at a pixel; at most REACH (window.py)."""
    rewards: bool = False
    """Whether higher values are better, up to 1. The loss then adds weight · (1 - value), not weight · value."""
    couples_planes: bool = False
    """Whether the gradient of a plane depends on other planes. Tiles then hold all planes."""
    always: bool = False
    """Whether it is measured even if its weight is 0, because its pass runs anyway."""
    own_pass: bool = False
    """Whether the generic pass over layers runs it: `NAME_pass` in cpu.py, and its twin in NAME_pass.cu."""
    column: str = ""
    """Its column in history.csv; "": its name."""
    option: str = ""
    """The option that holds its weight; "": NAME_weight."""

    @property
    def label(self) -> str:
        """The name of its columns in history.csv."""
        return self.column or self.name

    @property
    def weight_option(self) -> str:
        """The name of the option that holds its weight."""
        return self.option or f"{self.name}_weight"
