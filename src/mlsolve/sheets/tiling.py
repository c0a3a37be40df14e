"""A sheet over several pages of paper, for a printer at home: each page is cut and glued onto the one before."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from .document import BLACK, Canvas, Document
from .marks import HAIRLINE, rectangle
from .outlines import text_outlines
from .plan import Box, Plan

_TICK: Final = 4.0
_HINT: Final = 2.0
"""Height of the text on a strip for glue."""


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
    def words(self) -> str:
        """Which page it is."""
        return f"row {self.row + 1} of {self.rows}, column {self.column + 1} of {self.columns}"


def tiles(trim: tuple[float, float], paper: tuple[float, float], margin: float, overlap: float) -> list[Tile]:
    """Return the pages of a sheet of `trim` = (width, height) mm, row by row.

    The paper is used upright or lying, whichever takes fewer pages. Parts of a row are equally wide, and those of a
    column equally high. Beside a part there is room for a strip of `overlap` mm, which the next one is glued onto,
    and `margin` mm remain unprinted.
    """
    best: tuple[int, int, tuple[float, float]] | None = None
    for way in (paper, paper[::-1]):
        rooms = [side - 2 * margin - overlap for side in way]
        columns, rows = (math.ceil(side / room - 1e-9) for side, room in zip(trim, rooms, strict=True))
        if best is None or columns * rows < best[0] * best[1]:
            best = columns, rows, way
    assert best is not None
    columns, rows, _ = best
    width, height = trim[0] / columns, trim[1] / rows
    return [
        Tile(column, row, columns, rows, Box(column * width, row * height, width, height), (margin, margin))
        for row in range(rows)
        for column in range(columns)
    ]


def page_of(
    trim: tuple[float, float], paper: tuple[float, float], margin: float, overlap: float
) -> tuple[float, float]:
    """Return the paper as it lies, (width, height) in mm."""
    one = tiles(trim, paper, margin, overlap)[0]
    need = one.part.width + 2 * margin + overlap, one.part.height + 2 * margin + overlap
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
        _glue(canvas, one, overlap, title)
        document.page(page, Box(0.0, 0.0, *page), canvas)


def _glue(canvas: Canvas, one: Tile, overlap: float, title: str) -> None:
    """Draw cutting marks beside a part, and the strips on its right and below it that the next ones lie on."""
    width, height = one.part.width, one.part.height
    half = HAIRLINE / 2
    if one.column + 1 < one.columns and overlap:
        canvas.fill([rectangle(width + overlap - half, 0.0, HAIRLINE, height)])
        words = f"glue column {one.column + 2} here, its edge on the edge of the picture"
        canvas.fill(text_outlines(words, width + overlap / 2 + 1, height - 5, _HINT, turned=True))
    if one.row + 1 < one.rows and overlap:
        canvas.fill([rectangle(0.0, height + overlap - half, width, HAIRLINE)])
        words = f"glue row {one.row + 2} here, its edge on the edge of the picture"
        canvas.fill(text_outlines(words, 5, height + overlap / 2 + 1, _HINT))
    # Beyond the corners, in the margin, where the part is cut.
    for x in (0.0, width):
        canvas.fill([rectangle(x - half, -_TICK, HAIRLINE, _TICK - 1)])
    for y in (0.0, height):
        canvas.fill([rectangle(-_TICK, y - half, _TICK - 1, HAIRLINE)])
    canvas.fill(text_outlines(f"{title}   ·   {one.words}   ·   cut left and top edges", 8, -1.2, 1.5))
