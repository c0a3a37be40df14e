"""assembly.pdf: two pages for the workshop that put sheets together, readable in black and white."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from ..job.arrangements import Placement
from ..job.job import Job
from ..pictures.writers.png import compressed_rows
from ..report.lettering import writable
from ..system.files import Partial, refusals
from .document import Canvas, Document, srgb
from .marks import cross, rectangle, ring
from .outlines import Contour, text_outlines, text_width
from .plan import SCALE_LINES, Box, Plan
from .wording import (
    aligning_words,
    box_words,
    exact_words,
    order_words,
    sheets_words,
    side_words,
    turn_words,
)
from .workshop import Stack, Thumb, Workshop, workshop_of

PAGE: Final = (210.0, 297.0)
_EDGE: Final = 14.0
_WIDTH: Final = PAGE[0] - 2 * _EDGE
_HEAD, _TITLE, _BODY, _SMALL = 4.2, 3.0, 2.3, 1.9
"""Heights of capitals in mm."""
_GREY: Final = "0.45 0.45 0.45 rg"
_PALE: Final = "0.9 0.9 0.9 rg"
_LINE: Final = 0.25


_Drawn = Callable[[Thumb], int]
"""Writes a thumbnail, once, and returns its number."""


class _Page:
    """A page that is filled from the top."""

    def __init__(self, document: Document) -> None:
        self.document, self.canvas, self.y = document, Canvas(PAGE), _EDGE

    def text(self, words: str, x: float, y: float, height: float, colour: str = "") -> None:
        """Write a line from (x, y), the end of its base line."""
        self.canvas.fill(text_outlines(words, x, y, height), colour)

    def heading(self, words: str) -> None:
        """Write a heading with a rule above it."""
        self.y += 4.5
        self.canvas.fill([rectangle(_EDGE, self.y, _WIDTH, 0.4)])
        self.y += 3.0 + _TITLE
        self.text(words, _EDGE, self.y, _TITLE)
        self.y += 2.6

    def paragraph(self, words: str, x: float = _EDGE, width: float = _WIDTH, height: float = _BODY) -> None:
        """Write words in as many lines as they take."""
        for line in _broken(words, width, height):
            self.y += height * 1.75
            self.text(line, x, self.y, height)
        self.y += height * 0.5

    def picture(self, number: int, thumb: Thumb, x: float, y: float, room: tuple[float, float]) -> Box:
        """Draw a picture from (x, y), as large as `room` = (width, height) mm allows, with a line around it."""
        width, height = _fitted(thumb, room)
        box = Box(x, y, width, height)
        self.canvas.picture(number, box)
        self.canvas.fill(_frame(box))
        return box

    def arrow(
        self, start: tuple[float, float], end: tuple[float, float], width: float = 0.4, both: bool = False
    ) -> None:
        """Draw an arrow; both: with two heads."""
        self.canvas.fill(_shaft(start, end, width))
        self.canvas.fill([_head(start, end, width)])
        if both:
            self.canvas.fill([_head(end, start, width)])

    def finish(self) -> None:
        """Add the page to the document."""
        self.document.page(PAGE, Box(0.0, 0.0, *PAGE), self.canvas)


def write_assembly(path: Path, folder: Path, job: Job, name: str, plan: Plan, dpi: float) -> None:
    """Write the two pages to `path`, completely or not at all.

    folder: of the run. name: what the sheets say of it. plan: of the first sheet. dpi: of the first layer. Raises
    InputError for a folder that is damaged, OutputError if the file cannot be written.
    """
    shop = workshop_of(folder, job, dpi)
    with refusals(path):
        partial = Partial(path)
        try:
            document = Document(partial.file, f"Assembly of {name}", srgb())
            numbers: dict[int, int] = {}

            def drawn(thumb: Thumb) -> int:
                if id(thumb) not in numbers:
                    codes = np.ascontiguousarray(thumb)
                    data, checked, _ = compressed_rows(codes)
                    numbers[id(thumb)] = document.picture((thumb.shape[1], thumb.shape[0]), 8, [(data, checked)])
                return numbers[id(thumb)]

            first, second = _Page(document), _Page(document)
            _what_lies_where(first, shop, plan, name, drawn)
            _how(second, shop, plan, name, drawn)
            first.finish()
            second.finish()
            document.finish()
            partial.keep()
        finally:
            partial.discard()


def _what_lies_where(page: _Page, shop: Workshop, plan: Plan, name: str, drawn: _Drawn) -> None:
    """Fill page 1: the sheets, and their order in each arrangement."""
    _title(page, f"Assembly: {name}", "1 of 2: what lies where")
    count = len(shop.layers)
    page.paragraph(sheets_words(shop, plan))
    page.heading("The sheets, as they look alone on the light box")
    across = count if count <= 8 else -(-count // 2)
    rows = -(-count // across)
    cell = min(_WIDTH / across, 48.0)
    tall = _fitted(shop.layers[0], (cell - 3, 46.0 / rows))[1]
    for number, thumb in enumerate(shop.layers):
        x, y = _EDGE + number % across * cell, page.y + number // across * (tall + 6.5)
        page.picture(drawn(thumb), thumb, x, y + 1, (cell - 3, tall))
        page.text(f"sheet {number + 1}", x, y + tall + 4.5, _SMALL)
    page.y += rows * (tall + 6.5)
    several = len(shop.stacks) > 1
    page.heading(
        f"Their order: {len(shop.stacks)} pictures from the same sheets" if several else "Their order, from the top"
    )
    page.paragraph(order_words(shop))
    room = PAGE[1] - _EDGE - page.y - 38
    height = min(62.0, room / len(shop.stacks))
    for stack in shop.stacks:
        _order(page, stack, height, drawn)
    _side_view(page, shop, plan.mirrored)


def _order(page: _Page, stack: Stack, height: float, drawn: _Drawn) -> None:
    """Draw a line of sheets and the picture that they make."""
    count = len(stack.place)
    captions = 8.0 if height > 18 else 3.6
    ratio = stack.sheets[0].shape[1] / stack.sheets[0].shape[0]
    cell = min(_WIDTH / (count + 1.35), (height - captions - 1.5) * ratio + 4, 46.0)
    tall = _fitted(stack.sheets[0], (cell - 4, height - captions - 1.5))[1]
    small = _SMALL if height > 18 else 1.4
    for number, (one, thumb) in enumerate(zip(stack.place, stack.sheets, strict=True)):
        x = _EDGE + number * cell
        box = page.picture(drawn(thumb), thumb, x, page.y + 1, (cell - 4, tall))
        where = "top: " if number == 0 else "bottom: " if number == count - 1 else ""
        page.text(f"{where}sheet {one.layer}", x, page.y + tall + 2.6 + small, small)
        if captions > 4:
            page.text(turn_words(one), x, page.y + tall + 3.4 + 2.4 * small, small * 0.9)
        _turn_arrow(page, one, box)
        if number + 1 < count:
            page.text("×", x + cell - 3.2, page.y + tall / 2 + 1.5, 1.8)
    x = _EDGE + count * cell
    page.arrow((x - 2.5, page.y + tall / 2 + 1), (x + 3.0, page.y + tall / 2 + 1), 0.5)
    room = (PAGE[0] - _EDGE - x - 4, tall * 1.3 if height - captions - 1.5 > tall * 1.3 else tall)
    box = page.picture(drawn(stack.shows), stack.shows, x + 4, page.y + 1, room)
    page.text(f"shows {writable(stack.name) or 'its picture'}", x + 4, page.y + box.height + 2.6 + small, small)
    page.y += min(height, max(tall, box.height) + captions + 3.0)


def _turn_arrow(page: _Page, one: Placement, box: Box) -> None:
    """Draw an arrow on a white ground that points where UP on the sheet points, and one for a flip."""
    turned = one.rotate % 360
    if one.still or (not turned and not one.flip):
        return
    radius = min(4.5, box.width / 4, box.height / 4)
    x, y = box.x + radius + 1, box.y + radius + 1
    angle = np.radians(turned)
    # UP of the sheet after a flip top to bottom points down; then the sheet is rotated counter-clockwise.
    sign = -1.0 if one.flip == "v" else 1.0
    up = (-sign * np.sin(angle), -sign * np.cos(angle))
    page.canvas.fill(_disc(x, y, radius), "1 1 1 rg")
    page.canvas.fill(ring(x, y, radius, _LINE))
    reach = radius * 0.75
    page.arrow((x - up[0] * reach, y - up[1] * reach), (x + up[0] * reach, y + up[1] * reach), 0.35)
    if one.flip:
        x = box.x + box.width - radius - 1
        page.canvas.fill(_disc(x, y, radius), "1 1 1 rg")
        page.canvas.fill(ring(x, y, radius, _LINE))
        way = (reach, 0.0) if one.flip == "h" else (0.0, reach)
        page.arrow((x - way[0], y - way[1]), (x + way[0], y + way[1]), 0.35, both=True)


def _side_view(page: _Page, shop: Workshop, mirrored: bool) -> None:
    """Draw the first stack from the side, at the foot of the page."""
    stack = shop.stacks[0]
    page.canvas.fill([rectangle(_EDGE, PAGE[1] - _EDGE - 37, _WIDTH, 0.4)])
    top, left, width = PAGE[1] - _EDGE - 31, _EDGE, 60.0
    page.text("From the side" if len(shop.stacks) == 1 else "The first one from the side", left, top, _BODY)
    page.text("you look from here", left + 24, top + 4.2, _SMALL)
    page.arrow((left + 20, top + 2.2), (left + 20, top + 5.9))
    count = len(stack.place)
    pitch = min(2.6, 14.0 / count)
    for number, one in enumerate(stack.place):
        y = top + 7.5 + number * pitch
        page.canvas.fill([rectangle(left, y, width, 0.35)])
        if count <= 6 or number in (0, count - 1):
            page.text(f"sheet {one.layer}", left + width + 2, y + 0.8, min(_SMALL, pitch * 0.8))
    y = top + 7.5 + count * pitch
    page.canvas.fill([rectangle(left, y, width, 3.2)], _PALE)
    page.canvas.fill(_frame(Box(left, y, width, 3.2)))
    page.text("light box", left + width + 2, y + 2.4, _SMALL)
    x, y = left + width + 26, top + 1.0
    width = PAGE[0] - _EDGE - x
    for one_line in side_words(shop, mirrored):
        for line in _broken(one_line, width, _SMALL):
            y += _SMALL * 1.8
            page.text(line, x, y, _SMALL)


def _how(page: _Page, shop: Workshop, plan: Plan, name: str, drawn: _Drawn) -> None:
    """Fill page 2: the box, aligning, what it should look like."""
    _title(page, f"Assembly: {name}", "2 of 2: how")
    page.heading("The light box")
    for words in box_words(shop):
        page.paragraph(words)
    page.heading("How to align")
    for words in aligning_words(shop, plan):
        page.paragraph(words)
    if plan.verniers or plan.targets:
        _draw_verniers(page)
    page.heading("How exact")
    for words in exact_words(shop):
        page.paragraph(words)
    page.heading("What it should look like, and what it looks like when something is wrong")
    _right_and_wrong(page, shop, drawn)


def _draw_verniers(page: _Page) -> None:
    """Draw a vernier that is aligned and one that is 0.2 mm off, enlarged."""
    y, scale = page.y + 9.0, 4.0
    for number, (words, shift) in enumerate(
        (("aligned", 0.0), ("0.2 mm to the right", 0.2), ("target, aligned", None))
    ):
        middle = _EDGE + 30 + number * 68
        if shift is None:
            middle -= 8
            page.canvas.fill([cross(middle, y, 5.0, 0.25)])
            page.canvas.fill(ring(middle, y, 3.2, 0.25))
        else:
            for line in range(-(SCALE_LINES // 2), SCALE_LINES // 2 + 1):
                long = 6.0 if line == 0 else 4.0
                page.canvas.fill([rectangle(middle + line * scale - 0.15, y - long, 0.3, long)])
                below = middle + (line * 0.9 + shift) * scale - 0.15
                meets = abs(line * 0.9 + shift - line) < 1e-9
                page.canvas.fill([rectangle(below, y, 0.3, long)])
                if meets:
                    page.canvas.fill(_shaft((below + 0.15, y + 10.2), (below + 0.15, y + 7.4), 0.3))
                    page.canvas.fill([_head((below + 0.15, y + 10.2), (below + 0.15, y + 7.0), 0.3)])
        page.text(words, middle - text_width(words, _SMALL) / 2, y + 13.2, _SMALL)
    page.y = y + 14.5


def _right_and_wrong(page: _Page, shop: Workshop, drawn: _Drawn) -> None:
    """Draw the first stack as it should be, with a sheet turned over, and with a sheet upside down."""
    stack = shop.stacks[0]
    first = stack.place[0].layer
    cases = [
        (stack.shows, "right"),
        (stack.turned_over, f"wrong: sheet {first} turned over"),
        (stack.upside_down, f"wrong: sheet {first} upside down"),
    ]
    cell = _WIDTH / 3
    room = (cell - 4, PAGE[1] - _EDGE - page.y - 7)
    for number, (thumb, words) in enumerate(cases):
        x = _EDGE + number * cell
        box = page.picture(drawn(thumb), thumb, x, page.y + 1.5, room)
        page.text(words, x, page.y + box.height + 5.5, _BODY)


def _fitted(thumb: Thumb, room: tuple[float, float]) -> tuple[float, float]:
    """Return the width and height of a picture that fits `room`, in mm."""
    scale = min(room[0] / thumb.shape[1], room[1] / thumb.shape[0])
    return thumb.shape[1] * scale, thumb.shape[0] * scale


def _title(page: _Page, words: str, which: str) -> None:
    """Write the title of a page."""
    page.y += _HEAD
    size = min(_HEAD, _HEAD * 0.78 * _WIDTH / text_width(words, _HEAD))
    page.text(words, _EDGE, page.y, size)
    page.text(which, PAGE[0] - _EDGE - text_width(which, _SMALL), page.y, _SMALL)
    page.y += 1.5


def _broken(words: str, width: float, height: float) -> list[str]:
    """Return `words` in lines of at most `width` mm."""
    lines = [""]
    for word in words.split(" "):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if lines[-1] and text_width(longer, height) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _frame(box: Box) -> list[Contour]:
    """Return a line around a box."""
    outer = rectangle(box.x - _LINE, box.y - _LINE, box.width + 2 * _LINE, box.height + 2 * _LINE)
    return [outer, rectangle(box.x, box.y, box.width, box.height)]


def _disc(x: float, y: float, radius: float) -> list[Contour]:
    return ring(x, y, radius / 2, radius)[:1]


def _shaft(start: tuple[float, float], end: tuple[float, float], width: float) -> list[Contour]:
    """Return a line as a thin rectangle."""
    along = np.subtract(end, start)
    length = float(np.hypot(*along)) or 1.0
    across = np.array([-along[1], along[0]]) / length * width / 2
    return [np.array([start + across, end + across, end - across, start - across])]


def _head(start: tuple[float, float], end: tuple[float, float], width: float) -> Contour:
    """Return the head of an arrow."""
    along = np.subtract(end, start)
    along = along / (float(np.hypot(*along)) or 1.0)
    across = np.array([-along[1], along[0]])
    tip = np.array(end) + along * width
    base = tip - along * width * 5
    return np.array([tip, base + across * width * 2.2, base - across * width * 2.2])
