"""What is found in a file, and what a shop would object to."""

import math
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Level = Literal["warning", "error"]

EXACT: Final = 0.1
"""Millimetres by which a size or a bleed may differ."""


@dataclass(frozen=True)
class Finding:
    """Something that a shop would object to."""

    level: Level
    words: str
    """What was found, and how to mend it."""


@dataclass
class Report:
    """What is in a file."""

    file: str
    kind: str
    pages: int = 1
    page: tuple[float, float] | None = None
    trim: tuple[float, float] | None = None
    """Width and height in mm."""
    bleed: float | None = None
    """The narrowest bleed in mm."""
    pictures: list[tuple[int, int, float]] = field(default_factory=list)
    """Width and height in pixels, and the lower of both resolutions in pixels per inch."""
    colours: list[str] = field(default_factory=list)
    spots: list[str] = field(default_factory=list)
    profile: str | None = None
    fonts: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def warn(self, words: str) -> None:
        """Add what a shop may ask about."""
        self.findings.append(Finding("warning", words))

    def fail(self, words: str) -> None:
        """Add what a shop refuses, or prints wrong."""
        self.findings.append(Finding("error", words))

    @property
    def dpi(self) -> float | None:
        """The lowest resolution of its pictures; None: there are none, or it is unknown."""
        return min((dpi for *_, dpi in self.pictures if dpi > 0), default=None)

    @property
    def status(self) -> int:
        """The exit status: 0 fine, 1 warnings, 2 errors."""
        levels = {one.level for one in self.findings}
        return 2 if "error" in levels else 1 if levels else 0


def same(a: Any, b: Any) -> bool:
    """Tell whether two boxes are the same, to a hundredth of a point."""
    return all(math.isclose(float(one), float(other), abs_tol=0.01) for one, other in zip(a, b, strict=True))
