"""The last pages of assembly.pdf: how files become sheets where one is not yet the other.

Films are printed through, parts of split sheets are joined, and pages from home are glued. It names the files that
were written.
"""

from collections.abc import Callable
from typing import Final

import numpy as np

from .inventory import Inventory
from .marks import rectangle
from .outlines import text_width
from .page import BODY, EDGE, PALE, SMALL, WIDTH, Drawn, Page, frame
from .plan import Box
from .wording import film_words, page_words, part_words
from .workshop import Thumb, Workshop

_ARROWS: Final = 6.0
"""Millimetres between parts in which arrows have room."""
_MOST_LISTED: Final = 24
"""Parts or films whose files are named one by one; beyond that their pattern is."""


def joining_pages(shop: Workshop, made: Inventory, drawn: Drawn) -> list[Callable[[Page], None]]:
    """Return what fills each page on joining: one on films, one on parts or on pages from home."""
    found: list[Callable[[Page], None]] = []
    if made.inks:
        found.append(lambda page: _films(page, made))
    if made.parted:
        found.append(lambda page: _parts(page, shop, made, drawn))
    if made.tiled:
        found.append(lambda page: _pages(page, shop, made, drawn))
    return found


def _films(page: Page, made: Inventory) -> None:
    """Tell which film is which ink of which sheet."""
    page.heading("The films: one for each ink of each sheet")
    for words in film_words(made):
        page.paragraph(words)
    columns = [EDGE, EDGE + 22, EDGE + 46, EDGE + 116]
    page.y += 1.5
    rows = [("sheet", "ink", "file", "screen")]
    first = [one for one in made.files if (one.row, one.column) == (1, 1)]
    rows += [(f"{one.plan.number}", one.ink or "", one.name, one.screen) for one in first]
    height = min(BODY, max(1.2, (page.left - 60) / len(rows) / 1.75))
    for number, row in enumerate(rows):
        page.y += height * 1.75
        if number and first[number - 1].plan.number % 2:
            page.canvas.fill([rectangle(EDGE, page.y - height * 1.35, WIDTH, height * 1.75)], PALE)
        for x, words in zip(columns, row, strict=True):
            page.text(words, x, page.y, height)
    if made.parted:
        page.y += height * 1.75
        page.text(
            "The films of other parts are named in the same way: r2c1 is row 2, column 1.", EDGE, page.y, height
        )
    page.y += 3.0
    _overlaid(page, made)


def _overlaid(page: Page, made: Inventory) -> None:
    """Draw the films of a sheet becoming one sheet."""
    count = len(made.inks)
    if count < 2:
        return
    side, y = 24.0, page.y + 5.0
    for number, ink in enumerate(made.inks):
        x = EDGE + 4 + number * 32.0
        _bordered(page, Box(x, y, side, side))
        page.centred(ink, x + side / 2, y + side + 4.0, SMALL)
        if number + 1 < count:
            page.centred("+", x + 28.0, y + side / 2 + 1.2, BODY)
    x = EDGE + 4 + count * 32.0
    page.arrow((x - 6, y + side / 2), (x + 2, y + side / 2), 0.5)
    _bordered(page, Box(x + 7, y, side, side))
    page.text("one clear sheet,", x + 7 + side + 4, y + side / 2 - 1.0, SMALL)
    page.text("all targets on each other", x + 7 + side + 4, y + side / 2 + 2.8, SMALL)
    page.y = y + side + 5.0


def _bordered(page: Page, box: Box) -> None:
    """Draw a sheet with targets in its corners."""
    page.canvas.fill(frame(box))
    page.canvas.fill([rectangle(box.x + 4, box.y + 4, box.width - 8, box.height - 8)], PALE)
    for x in (box.x + 2, box.x + box.width - 2):
        for y in (box.y + 2, box.y + box.height - 2):
            page.canvas.fill([rectangle(x - 1.2, y - 0.1, 2.4, 0.2), rectangle(x - 0.1, y - 1.2, 0.2, 2.4)])


def _parts(page: Page, shop: Workshop, made: Inventory, drawn: Drawn) -> None:
    """Tell how the parts of split sheets are joined."""
    page.heading(f"The parts: each sheet comes in {made.columns * made.rows}")
    for words in part_words(made):
        page.paragraph(words)
    page.y += 2.0
    listed = made.columns * made.rows * made.sheets <= _MOST_LISTED
    lines = made.columns * made.rows if listed and not made.inks else 1
    shows = shop.stacks[0].shows
    gap = min(12.0, 60.0 / made.rows, 60.0 / made.columns)
    pieces = _pieces(shows, made.columns, made.rows)
    room = max(20.0, page.left - lines * SMALL * 1.9 - made.rows * 6 - 8)
    scale = min(
        (WIDTH - gap * (made.columns - 1)) / shows.shape[1],
        (room - (gap + 4) * (made.rows - 1)) / shows.shape[0],
        120.0 / shows.shape[1],
    )
    y = page.y
    for row, line in enumerate(pieces):
        x, tall = EDGE, line[0].shape[0] * scale
        for column, piece in enumerate(line):
            wide = piece.shape[1] * scale
            page.picture(drawn(piece), piece, x, y, (wide, tall))
            page.caption(f"row {row + 1}, column {column + 1}", x, y + tall + 1.2 + SMALL, wide)
            if column + 1 < made.columns and gap > _ARROWS:
                _joint(page, x + wide + 0.9, y + tall / 2, gap - 1.8, upright=False)
            if row + 1 < made.rows and gap > _ARROWS:
                _joint(page, x + wide * 0.8, y + tall + 1.6, gap + 1.0, upright=True)
            x += wide + gap
        y += tall + gap + 4
    page.y = y - gap + 1
    _named_parts(page, made, listed)


def _joint(page: Page, x: float, y: float, long: float, upright: bool) -> None:
    """Draw two arrows that meet, from (x, y) on."""
    along = (0.0, 1.0) if upright else (1.0, 0.0)
    for start, reach in ((0.0, long / 2 - 1.2), (long, 1.2 - long / 2)):
        begin = x + along[0] * start, y + along[1] * start
        page.arrow(begin, (begin[0] + along[0] * reach, begin[1] + along[1] * reach), 0.45)


def _pieces(thumb: Thumb, columns: int, rows: int) -> list[list[Thumb]]:
    """Return a picture cut into parts, row by row."""
    height, width = thumb.shape[:2]
    return [
        [
            np.ascontiguousarray(
                thumb[
                    height * row // rows : height * (row + 1) // rows,
                    width * column // columns : width * (column + 1) // columns,
                ]
            )
            for column in range(columns)
        ]
        for row in range(rows)
    ]


def _named_parts(page: Page, made: Inventory, listed: bool) -> None:
    """Say which files a part is made of."""
    if made.inks:
        return
    if not listed:
        pattern = made.files[0].name.replace("sheet-1-r1c1", "sheet-N-rRcC")
        page.paragraph(f"The files: {pattern} is sheet N, row R, column C.", height=SMALL)
        return
    parts: dict[tuple[int, int], list[str]] = {}
    for one in made.files:
        parts.setdefault((one.row, one.column), []).append(one.name)
    for (row, column), names in parts.items():
        words = f"row {row}, column {column}, from the top:  " + ", ".join(names)
        page.y += SMALL * 1.9
        page.caption(words, EDGE, page.y, WIDTH)


def _pages(page: Page, shop: Workshop, made: Inventory, drawn: Drawn) -> None:
    """Tell how the pages of a sheet are cut and glued."""
    first = made.tiles[0]
    page.heading(f"The pages: each sheet is on {len(made.tiles)} pages of {made.paper[0]:g} × {made.paper[1]:g} mm")
    for words in page_words(made):
        page.paragraph(words)
    # Pages as they come from the printer, apart, to scale; the strip on the right and below is hatched.
    room = WIDTH, page.left - 14
    gap = 5.0
    scale = min(
        (room[0] - gap * (first.columns - 1)) / (first.columns * made.paper[0]),
        (room[1] - gap * (first.rows - 1)) / (first.rows * made.paper[1]),
        0.3,
    )
    whole = _whole_sheet(shop.looks[0], made)
    start = page.y + 3.0
    for tile in made.tiles:
        x = EDGE + tile.column * (made.paper[0] * scale + gap)
        y = start + tile.row * (made.paper[1] * scale + gap)
        page.canvas.fill(frame(Box(x, y, made.paper[0] * scale, made.paper[1] * scale)))
        part = Box(
            *(x + tile.corner[0] * scale, y + tile.corner[1] * scale),
            *(tile.part.width * scale, tile.part.height * scale),
        )
        height, width = whole.shape[:2]
        piece = whole[
            round(height * tile.row / tile.rows) : round(height * (tile.row + 1) / tile.rows),
            round(width * tile.column / tile.columns) : round(width * (tile.column + 1) / tile.columns),
        ]
        piece = np.ascontiguousarray(piece)
        page.canvas.picture(drawn(piece), part)
        page.canvas.fill(frame(part), "0.6 0.6 0.6 rg")
        strip = made.shop.overlap * scale
        if tile.column + 1 < tile.columns:
            _hatched(page, Box(part.x + part.width, part.y, strip, part.height))
        if tile.row + 1 < tile.rows:
            _hatched(page, Box(part.x, part.y + part.height, part.width, strip))
        if tile.column:
            _dashed(page, (part.x, y - 1.5), (part.x, y + made.paper[1] * scale + 1.5))
        if tile.row:
            _dashed(page, (x - 1.5, part.y), (x + made.paper[0] * scale + 1.5, part.y))
        middle = part.x + part.width / 2, part.y + part.height / 2
        words = f"page {tile.page}"
        size = min(4.0, part.width / 8)
        long = text_width(words, size)
        page.canvas.fill([rectangle(middle[0] - long / 2 - 2, middle[1] - size, long + 4, size * 2)], "1 1 1 rg")
        page.centred(words, middle[0], middle[1] + size / 2, size)
    page.y = start + first.rows * made.paper[1] * scale + (first.rows - 1) * gap + 1
    page.y += SMALL * 1.8
    page.text("Dashed: cut here.  Hatched: clear strip, which the next page is glued onto.", EDGE, page.y, SMALL)


def _whole_sheet(look: Thumb, made: Inventory) -> Thumb:
    """Return a sheet with its border, clear, so that it can be cut as its pages are."""
    height, width = look.shape[:2]
    box, trim = made.plan.picture, made.plan.trim
    per = width / box.width
    out = np.full((round(trim[1] * per), round(trim[0] * per), 3), 255, np.uint8)
    top, left = round(box.y * per), round(box.x * per)
    height, width = min(height, out.shape[0] - top), min(width, out.shape[1] - left)
    out[top : top + height, left : left + width] = look[:height, :width]
    return out


def _hatched(page: Page, box: Box) -> None:
    """Draw a strip with lines across it."""
    page.canvas.fill(frame(box), "0.3 0.3 0.3 rg")
    long = max(box.width, box.height)
    for number in range(int(long / 1.5)):
        at = number * 1.5 + 0.5
        wide = min(box.width, box.height)
        if box.height > box.width:
            ends = (box.x, box.y + at), (box.x + wide, box.y + min(at + wide, box.height))
        else:
            ends = (box.x + at, box.y), (box.x + min(at + wide, box.width), box.y + wide)
        page.canvas.fill([_thin(*ends)])


def _thin(start: tuple[float, float], end: tuple[float, float]) -> np.ndarray:
    """Return a hairline."""
    along = np.subtract(end, start)
    across = np.array([-along[1], along[0]]) / (float(np.hypot(*along)) or 1.0) * 0.06
    return np.array([start + across, end + across, end - across, start - across])


def _dashed(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Draw a dashed line, upright or level."""
    upright = start[0] == end[0]
    long = (end[1] - start[1]) if upright else (end[0] - start[0])
    for number in range(int(long / 3) + 1):
        at, dash = number * 3.0, min(1.8, long - number * 3.0)
        if dash <= 0:
            break
        box = (
            (start[0] - 0.15, start[1] + at, 0.3, dash) if upright else (start[0] + at, start[1] - 0.15, dash, 0.3)
        )
        page.canvas.fill([rectangle(*box)])
