"""What a term of the loss declares about itself: everything that is not arithmetic."""

from dataclasses import dataclass
from typing import Literal

ActsOn = Literal["stack", "sheet", "layer"]
"""What a term looks at: a composed stack, every placed sheet of a stack, or every layer as it is printed."""


@dataclass(frozen=True)
class Term:
    """One term of the loss (docs/adding-a-term.md). Its folder holds the arithmetic, `terms/<name>/`."""

    name: str
    """The name of its folder."""
    acts_on: ActsOn
    """It has one value for each of these."""
    bits: int
    """Its sums are whole numbers of 2^-bits (exact.py)."""
    reach: int
    """How many pixels away a value may lie that the gradient at a pixel depends on, REACH at most (window.py)."""
    rewards: bool = False
    """Whether more of it is better, up to 1: the loss then counts weight · (1 - value), not weight · value."""
    couples_planes: bool = False
    """Whether a plane's gradient depends on the other planes: then tiles hold all planes."""
    always: bool = False
    """Whether it is measured when its weight is 0: true of terms whose pass runs anyway."""
    own_pass: bool = False
    """Whether it is run by the generic pass over layers: cpu.py has `NAME_pass`, NAME_pass.cu its twin."""
    column: str = ""
    """Its name in history.csv; "": as `name`."""
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
