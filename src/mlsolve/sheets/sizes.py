"""Trim and bleed of a TIFF, which has no boxes: as its ImageDescription."""

import re
from typing import Final

_WRITTEN: Final = re.compile(r"trimmed size ([0-9.]+) x ([0-9.]+) mm, bleed ([0-9.]+) mm on each side")


def written_sizes(trim: tuple[float, float], bleed: float) -> str:
    """Return width and height of the trimmed sheet and its bleed, in mm, as the description has them."""
    return f"trimmed size {trim[0]:.3f} x {trim[1]:.3f} mm, bleed {bleed:g} mm on each side"


def read_sizes(described: str) -> tuple[float, float, float] | None:
    """Return width, height and bleed in mm of a description, None if it has none."""
    found = _WRITTEN.search(described)
    if found is None:
        return None
    width, height, bleed = (float(value) for value in found.groups())
    return width, height, bleed
