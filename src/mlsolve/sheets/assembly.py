"""assembly.pdf: pages for the workshop that puts sheets together, readable in black and white.

Two pages, and one or two more where files must be joined before they are sheets (joining.py).
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from ..job.arrangements import Placement
from ..job.job import Job
from ..pictures.writers.png import compressed_rows
from ..report.lettering import writable
from ..system.files import Partial, refusals
from .document import Document, srgb
from .inventory import Inventory
from .joining import joining_pages
from .marks import pin_marks, rectangle, target_marks
from .page import BODY, EDGE, PAGE, SMALL, WIDTH, Drawn, Page, fitted, shaft
from .plan import SCALE_LINES, Box, Pin, Plan, Target
from .side_view import draw_side_view
from .wording import (
    aligning_words,
    box_words,
    exact_words,
    hole_words,
    order_words,
    sheets_words,
    target_words,
    turn_words,
)
from .workshop import Stack, Thumb, Workshop, workshop_of

_SIDE: Final = 46.0
"""Height of the view from the side at the foot of page 1."""


def write_assembly(path: Path, folder: Path, job: Job, made: Inventory, dpi: float) -> None:
    """Write the pages to `path`, completely or not at all.

    folder: of the run. made: what was written. dpi: of the first layer. Raises InputError for a folder that is
    damaged, OutputError if the file cannot be written.
    """
    shop = workshop_of(folder, job, dpi)
    with refusals(path):
        partial = Partial(path)
        try:
            document = Document(partial.file, f"Assembly of {made.run}", srgb())
            numbers: dict[int, tuple[int, Thumb]] = {}

            def drawn(thumb: Thumb) -> int:
                # The thumbnail is kept too, so that no other one gets its identity.
                if id(thumb) not in numbers:
                    data, checked, _ = compressed_rows(np.ascontiguousarray(thumb))
                    size = thumb.shape[1], thumb.shape[0]
                    numbers[id(thumb)] = document.picture(size, 8, [(data, checked)]), thumb
                return numbers[id(thumb)][0]

            joining = joining_pages(shop, made, drawn)
            contents: list[tuple[str, Callable[[Page], None]]] = [
                ("what lies where", lambda page: _what_lies_where(page, shop, made, drawn)),
                ("how", lambda page: _how(page, shop, made.plan, drawn)),
                *(("from files to sheets", fill) for fill in joining),
            ]
            pages = []
            for number, (what, fill) in enumerate(contents, start=1):
                pages.append(Page(document))
                pages[-1].title(f"Assembly: {made.run}", f"{number} of {len(contents)}: {what}")
                fill(pages[-1])
            for page in pages:
                page.finish()
            document.finish()
            partial.keep()
        finally:
            partial.discard()


def _what_lies_where(page: Page, shop: Workshop, made: Inventory, drawn: Drawn) -> None:
    """Fill page 1: the sheets, and their order in each arrangement."""
    page.paragraph(sheets_words(shop, made))
    stack = shop.stacks[0]
    in_order = [one.layer for one in stack.place] == list(range(1, len(shop.layers) + 1))
    if len(shop.stacks) == 1 and in_order and all(one.still for one in stack.place):
        _one_unmoved_stack(page, shop, made.plan.mirrored, drawn)
        return
    page.heading("The sheets, as they look alone on the light box")
    several = len(shop.stacks) > 1
    # What the heading and the words below take, and the view from the side.
    room = page.left - _SIDE - 26
    _sheets(page, shop, drawn, max(24.0, room / (1 + 1.25 * len(shop.stacks))), ends=False)
    page.heading(
        f"Their order: {len(shop.stacks)} pictures from the same sheets" if several else "Their order, from the top"
    )
    page.paragraph(order_words(shop))
    height = min(66.0, (page.left - _SIDE - 2) / len(shop.stacks))
    for one in shop.stacks:
        _order(page, one, shop.pixel, height, drawn)
    foot = Box(EDGE, PAGE[1] - EDGE - _SIDE + 6, WIDTH, _SIDE - 6)
    page.canvas.fill([rectangle(EDGE, foot.y - 5, WIDTH, 0.4)])
    draw_side_view(page, shop, made.plan.mirrored, foot)


def _one_unmoved_stack(page: Page, shop: Workshop, mirrored: bool, drawn: Drawn) -> None:
    """Fill page 1 where the sheets lie in their order: they are drawn once, with what they show below."""
    stack = shop.stacks[0]
    page.heading("The sheets, as they look alone, in their order from the top")
    page.paragraph(order_words(shop))
    _sheets(page, shop, drawn, 0.42 * page.left, ends=True)
    page.heading("What they show together, and how they lie")
    room = (WIDTH * 0.6 - 4, page.left - 10)
    box = page.picture(drawn(stack.shows), stack.shows, EDGE, page.y + 1.5, room)
    named = writable(stack.name) or "its picture"
    page.caption(f"{named}, on the light box", EDGE, page.y + box.height + 3.5 + SMALL, room[0])
    x = EDGE + max(box.width, WIDTH * 0.4) + 8
    draw_side_view(page, shop, mirrored, Box(x, page.y + 1.5, PAGE[0] - EDGE - x, page.left - 4))


def _sheets(page: Page, shop: Workshop, drawn: Drawn, room: float, ends: bool) -> None:
    """Draw all sheets in one or two rows that are `room` mm high. ends: say which is the top and the bottom."""
    count = len(shop.layers)
    ratio = shop.layers[0].shape[1] / shop.layers[0].shape[0]
    caption = 2.6 + SMALL * 1.4
    best = (0.0, 1, 0.0)
    for rows in range(1, 4):
        across = -(-count // rows)
        tall = min(room / rows - caption - 1, (min(WIDTH / across, 88.0) - 4) / ratio)
        best = max(best, (tall, across, min(WIDTH / across, tall * ratio + 6)))
    tall, across, cell = best
    for number, thumb in enumerate(shop.looks):
        x, y = EDGE + number % across * cell, page.y + number // across * (tall + caption + 1)
        page.picture(drawn(thumb), thumb, x, y + 1.5, (cell - 4, tall))
        words = f"sheet {number + 1}"
        if ends and number in (0, count - 1) and count > 1:
            words += ", the top" if number == 0 else ", the bottom"
        page.caption(words, x, y + tall + 2.8 + SMALL, cell - 4)
    page.y += -(-count // across) * (tall + caption + 1)


def _order(page: Page, stack: Stack, pixel: float, height: float, drawn: Drawn) -> None:
    """Draw a line of sheets and the picture that they make. pixel: of the print, in mm."""
    count = len(stack.place)
    tiny = height <= 20
    small = 1.5 if tiny else SMALL
    captions = 3.6 if tiny else 4.0 + 2.9 * small
    ratio = stack.sheets[0].shape[1] / stack.sheets[0].shape[0]
    cell = min(WIDTH / (count + 1.35), (height - captions - 1.5) * ratio + 4, 50.0)
    tall = fitted(stack.sheets[0], (cell - 4, height - captions - 1.5))[1]
    for number, (one, thumb) in enumerate(zip(stack.place, stack.looks, strict=True)):
        x = EDGE + number * cell
        box = page.picture(drawn(thumb), thumb, x, page.y + 1.5, (cell - 4, tall))
        where = "top: " if number == 0 else "bottom: " if number == count - 1 else ""
        page.caption(f"{where}sheet {one.layer}", x, page.y + tall + 3.1 + small, cell - 3, small)
        if not tiny:
            page.caption(turn_words(one, pixel), x, page.y + tall + 3.6 + 2.6 * small, cell - 2, small)
        _turn_arrow(page, one, box)
        if number + 1 < count:
            page.text("×", x + cell - 3.2, page.y + tall / 2 + 1.5, 1.8)
    x = EDGE + count * cell
    page.arrow((x - 2.5, page.y + tall / 2 + 1), (x + 3.0, page.y + tall / 2 + 1), 0.5)
    room = (PAGE[0] - EDGE - x - 5, min(height - 2.5 - 2 * small, tall * 1.3))
    box = page.picture(drawn(stack.shows), stack.shows, x + 5, page.y + 1.5, room)
    words = f"shows {writable(stack.name) or 'its picture'}"
    page.caption(words, x + 5, page.y + box.height + 3.1 + small, PAGE[0] - EDGE - x - 5, small)
    page.y += min(height, max(tall + captions, box.height + 3.1 + 2 * small) + 3.0)


def _turn_arrow(page: Page, one: Placement, box: Box) -> None:
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
    page.disc(x, y, radius)
    reach = radius * 0.75
    page.arrow((x - up[0] * reach, y - up[1] * reach), (x + up[0] * reach, y + up[1] * reach), 0.35)
    if one.flip:
        x = box.x + box.width - radius - 1
        page.disc(x, y, radius)
        way = (reach, 0.0) if one.flip == "h" else (0.0, reach)
        page.arrow((x - way[0], y - way[1]), (x + way[0], y + way[1]), 0.35, both=True)


def _how(page: Page, shop: Workshop, plan: Plan, drawn: Drawn) -> None:
    """Fill page 2: the box, aligning, what it should look like."""
    page.heading("The light box")
    for words in box_words(shop):
        page.paragraph(words)
    page.heading("How to align")
    for words in aligning_words(shop, plan):
        page.paragraph(words)
    if plan.verniers or plan.targets:
        _draw_marks(page, plan)
    page.heading("How exact")
    for words in exact_words(shop):
        page.paragraph(words)
    page.heading("What it should look like, and what it looks like when something is wrong")
    _right_and_wrong(page, shop, drawn)


def _draw_marks(page: Page, plan: Plan) -> None:
    """Draw what is in the border, enlarged: a target, a hole, verniers that are aligned and that are 0.2 mm off."""
    cases = [("target", 42.0, "TARGET, twice as large", target_words())]
    if plan.pins:
        cases.append(("hole", 42.0, "HOLE, twice as large", hole_words(plan)))
    if plan.verniers:
        cases += [("0.0", 46.0, "vernier, aligned", ""), ("0.2", 46.0, "0.2 mm to the right", "")]
    y, x = page.y + 10.0, EDGE
    for what, width, words, more in cases:
        middle = x + width / 2
        if what == "target":
            page.canvas.marks(target_marks(Target("", middle, y), 2.0))
        elif what == "hole":
            page.canvas.marks(pin_marks(Pin(middle, y, plan.pins[0].diameter), 2.0))
        else:
            _vernier(page, middle, y, float(what))
        page.centred(words, middle, y + 13.5, SMALL)
        page.centred(more, middle, y + 13.5 + 1.7 * SMALL, SMALL)
        x += width + 2.0
    page.y = y + 15.0 + 1.7 * SMALL


def _vernier(page: Page, middle: float, y: float, shift: float) -> None:
    """Draw a vernier that is `shift` mm off."""
    scale = 4.0
    for line in range(-(SCALE_LINES // 2), SCALE_LINES // 2 + 1):
        long = 6.0 if line == 0 else 4.0
        page.canvas.fill([rectangle(middle + line * scale - 0.15, y - long, 0.3, long)])
        below = middle + (line * 0.9 + shift) * scale
        page.canvas.fill([rectangle(below - 0.15, y, 0.3, long)])
        if abs(line * 0.9 + shift - line) < 1e-9:
            page.canvas.fill(shaft((below, y + 10.2), (below, y + 7.4), 0.3))
            page.arrow((below, y + 10.2), (below, y + 7.0), 0.3)


def _right_and_wrong(page: Page, shop: Workshop, drawn: Drawn) -> None:
    """Draw the first stack as it should be, with a sheet turned over, and with a sheet upside down."""
    stack = shop.stacks[0]
    first = stack.place[0].layer
    cases = [
        (stack.shows, "right"),
        (stack.turned_over, f"wrong: sheet {first} turned over"),
        (stack.upside_down, f"wrong: sheet {first} upside down"),
    ]
    cell = WIDTH / 3
    for number, (thumb, words) in enumerate(cases):
        x = EDGE + number * cell
        box = page.picture(drawn(thumb), thumb, x, page.y + 1.5, (cell - 4, page.left - 9))
        page.caption(words, x, page.y + box.height + 6.0, cell - 4, BODY)
