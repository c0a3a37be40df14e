"""A sheet over several pages, for a printer at home: each page is cut and glued onto the one before.

What the next page covers is left clear, because pages are often film: marks would be seen through the picture.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from .document import BLACK, Canvas, Document
from .marks import HAIRLINE, rectangle
from .outlines import text_outlines, text_width
from .plan import Box, Plan

LANE: Final = 5.0
"""On the left of a part and above it, for marks and words: within what a printer prints, and cut off."""
_TICK: Final = 3.6
_BELOW: Final = 2.0
"""Lengths of the marks of a cut: in the lane, and at its other end, where the next row may cover it."""


@dataclass(frozen=True)
class Tile:
    """A page and the part of a sheet on it, in mm."""

    column: int
    row: int
    """From 0."""
    columns: int
    rows: int
    part: Box
    """The part, from the corner of the trimmed sheet."""
    corner: tuple[float, float]
    """Where the corner of the part is on the page."""

    @property
    def page(self) -> int:
        """The number of the page in its file, from 1."""
        return self.row * self.columns + self.column + 1

    @property
    def words(self) -> str:
        """Which page it is, and where it is cut."""
        where = f"row {self.row + 1} of {self.rows}, column {self.column + 1} of {self.columns}"
        edges = [name for name, cut in (("left", self.column), ("top", self.row)) if cut]
        cut = f"   ·   cut {' and '.join(edges)} edge{'s' * (len(edges) > 1)}" if edges else ""
        return f"page {self.page} of {self.columns * self.rows}: {where}{cut}"


def tiles(trim: tuple[float, float], paper: tuple[float, float], margin: float, overlap: float) -> list[Tile]:
    """Return the pages of a sheet of `trim` = (width, height) mm, row by row.

    The paper is used upright or lying, whichever takes fewer pages. Parts of a row are equally wide, and those of a
    column equally high. On the left of a part and above it there is a lane for marks, on its right and below it
    room for a strip of `overlap` mm, which the next one is glued onto, and `margin` mm remain unprinted. A sheet
    that fits one page has none of these.
    """
    best: tuple[int, int, float] | None = None
    for way in (paper, paper[::-1]):
        columns, rows, lane = 1, 1, 0.0
        if any(side > room - 2 * margin + 1e-6 for side, room in zip(trim, way, strict=True)):
            lane = LANE
            rooms = [side - 2 * margin - lane - overlap for side in way]
            columns, rows = (math.ceil(side / room - 1e-9) for side, room in zip(trim, rooms, strict=True))
        if best is None or columns * rows < best[0] * best[1]:
            best = columns, rows, lane
    assert best is not None
    columns, rows, lane = best
    width, height = trim[0] / columns, trim[1] / rows
    return [
        Tile(
            *(column, row, columns, rows),
            Box(column * width, row * height, width, height),
            (margin + lane, margin + lane),
        )
        for row in range(rows)
        for column in range(columns)
    ]


def page_of(
    trim: tuple[float, float], paper: tuple[float, float], margin: float, overlap: float
) -> tuple[float, float]:
    """Return the paper as it lies, (width, height) in mm."""
    one = tiles(trim, paper, margin, overlap)[0]
    strip = overlap if one.columns * one.rows > 1 else 0.0
    need = (
        one.part.width + one.corner[0] + margin + strip,
        one.part.height + one.corner[1] + margin + strip,
    )
    short, long = sorted(paper)
    return (short, long) if need[0] <= short + 1e-6 and need[1] <= long + 1e-6 else (long, short)


def tiled_pages(
    document: Document,
    plan: Plan,
    title: str,
    drawn: Callable[[Canvas], None],
    paper: tuple[float, float],
    margin: float,
    overlap: float,
) -> None:
    """Add the pages of a sheet. drawn: draws it on a canvas whose (0, 0) is the corner of the trimmed sheet."""
    page = page_of(plan.trim, paper, margin, overlap)
    for one in tiles(plan.trim, paper, margin, overlap):
        canvas = Canvas(page, one.corner, plan.mirrored, BLACK[document.colours.name])
        part = one.part
        canvas.within(Box(0.0, 0.0, part.width, part.height))
        canvas.moved(-part.x, -part.y)
        drawn(canvas)
        canvas.all_over()
        canvas.all_over()
        _cut_marks(canvas, one, title)
        document.page(page, Box(0.0, 0.0, *page), canvas)


def _cut_marks(canvas: Canvas, one: Tile, title: str) -> None:
    """Draw marks where a part is cut to be glued onto the one before, and say which page it is."""
    width, height = one.part.width, one.part.height
    half = HAIRLINE / 2
    if one.column:
        canvas.fill([rectangle(-half, -_TICK - 0.6, HAIRLINE, _TICK), rectangle(-half, height, HAIRLINE, _BELOW)])
    if one.row:
        canvas.fill([rectangle(-_TICK - 0.6, -half, _TICK, HAIRLINE), rectangle(width, -half, _BELOW, HAIRLINE)])
    words = f"{title}   ·   {one.words}"
    canvas.fill(text_outlines(words, 2, -1.4, min(1.5, 1.5 * (width - 2) / text_width(words, 1.5))))
