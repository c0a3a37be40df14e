"""The terms of the loss, one folder each (docs/adding-a-term.md).

Knows which terms exist. Must not know how an iteration runs, and must not load compiled code. Called by
`iteration`, which runs them, and by code that labels their columns.
"""

from importlib import import_module
from typing import Any, Final

from .colour.term import TERM as COLOUR
from .guide_ssim.term import TERM as GUIDE_SSIM
from .leak.term import TERM as LEAK
from .stack_mse.term import TERM as STACK_MSE
from .stack_ssim.term import TERM as STACK_SSIM
from .term import ActsOn, Term

__all__ = ["BY_NAME", "OWN_PASSES", "TERMS", "ActsOn", "Term", "part_of"]

TERMS: Final[tuple[Term, ...]] = (
    STACK_SSIM,
    STACK_MSE,
    GUIDE_SSIM,
    LEAK,
    COLOUR,
)
"""Every term, in the order of the columns of history.csv."""

BY_NAME: Final[dict[str, Term]] = {term.name: term for term in TERMS}

OWN_PASSES: Final[tuple[Term, ...]] = tuple(term for term in TERMS if term.own_pass)
"""Those that the generic pass over layers runs."""


def part_of(term: Term, part: str) -> Any:
    """Return the module `part`, "reference" or "cpu", of the folder of `term`."""
    return import_module(f"{__name__}.{term.name}.{part}")
