"""The sheets that a chart is printed on."""

import re
from typing import Final

from ..errors import OptionError

PAPERS: Final = {"a4": (210.0, 297.0), "letter": (215.9, 279.4)}
"""Width and height in mm."""
NARROWEST: Final = 90.0
WIDEST: Final = 5000.0
"""Widths of a roll in mm."""
_ROLL: Final = re.compile(r"roll-(\d+(?:\.\d+)?)mm")


def parse_paper(text: str) -> tuple[float, float | None]:
    """Return (width, height) in mm of A4, letter or roll-610mm; a roll has no height. Raises OptionError."""
    name = text.strip().lower()
    if name in PAPERS:
        return PAPERS[name]
    roll = _ROLL.fullmatch(name)
    if roll is None:
        raise OptionError(f"paper is {text!r}: give A4, letter or roll-WIDTHmm, as in roll-610mm")
    width = float(roll[1])
    if not NARROWEST <= width <= WIDEST:
        raise OptionError(f"paper is {text!r}: a roll must be {NARROWEST:g} to {WIDEST:g} mm wide")
    return width, None
