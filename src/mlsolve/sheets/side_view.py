"""A stack from the side: what lies where, with gaps to scale."""

import itertools
from typing import Final

from .marks import rectangle
from .page import BODY, LINE, PALE, SMALL, Page, broken, frame
from .plan import Box
from .wording import side_words
from .workshop import Stack, Workshop

_PRINT: Final = 0.5
"""Width of the line that stands for a printed side."""
_BOX: Final = 4.0
_SCALES: Final = (20.0, 10.0, 5.0, 4.0, 3.0, 2.0, 1.5, 1.0, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01)


def draw_side_view(page: Page, shop: Workshop, mirrored: bool, box: Box) -> None:
    """Draw the first stack from the side in `box`, with what is to be said of it, beside it or below."""
    stack = shop.stacks[0]
    beside = box.width > 120
    width = box.width * 0.56 if beside else box.width
    title = "From the side" if len(shop.stacks) == 1 else "The first one from the side"
    page.text(title, box.x, box.y + BODY, BODY)
    lines = [
        line
        for words in side_words(shop, mirrored)
        for line in broken(words, box.x + box.width - (box.x + width + 6) if beside else box.width, SMALL)
    ]
    words_height = 0.0 if beside else len(lines) * SMALL * 1.7 + 4
    drawing = Box(box.x, box.y + 5.5, width, box.height - 5.5 - words_height)
    bottom = _draw(page, shop, stack, drawing)
    x, y = (box.x + width + 6, box.y) if beside else (box.x, bottom + 1.5)
    for line in lines:
        y += SMALL * 1.7
        page.text(line, x, y, SMALL)


def _draw(page: Page, shop: Workshop, stack: Stack, box: Box) -> float:
    """Draw the sheets, and return where the drawing ends."""
    left, width, count = box.x, box.width - 34, len(stack.place)
    page.text("you look from here", left + 7, box.y + 3.2, SMALL)
    page.arrow((left + 3, box.y), (left + 3, box.y + 4.2))
    top, room = box.y + 7.5, box.height - 7.5 - _BOX - 2.0
    spaced = bool(shop.material) and stack.depths[-1] > 0
    deep, scale = stack.depths[-1] - stack.depths[0], 0.0
    if spaced:
        # Under the last sheet there is room for its material, or for nothing.
        scale = next((one for one in _SCALES if deep * one <= min(room - 5, 60.0)), _SCALES[-1])
        places = [top + (depth - stack.depths[0]) * scale for depth in stack.depths]
    else:
        pitch = min(4.5, room / max(count, 1))
        places = [top + number * pitch for number in range(count)]
    if spaced:
        for upper, lower in itertools.pairwise(places):
            page.canvas.fill([rectangle(left, upper, width, lower - upper)], PALE)
    labels: list[tuple[float, list[str]]] = []
    for one, y in zip(stack.place, places, strict=True):
        page.canvas.fill([rectangle(left, y - _PRINT / 2, width, _PRINT)])
        # What has no room for a line of its own joins the one above.
        if not labels or y - labels[-1][0] > SMALL * 1.25:
            labels.append((y, []))
        labels[-1][1].append(str(one.layer))
    for y, names in labels:
        page.caption(
            f"sheet{'s' * (len(names) > 1)} {', '.join(names)}",
            left + width + 2,
            y + SMALL / 2,
            box.width - width - 2,
        )
    if spaced:
        for (above, below), (upper, lower) in zip(
            itertools.pairwise(stack.depths), itertools.pairwise(places), strict=True
        ):
            if lower - upper > SMALL * 1.6:
                words = f"{below - above:.3g} mm"
                page.text(words, left + 4, (upper + lower) / 2 + SMALL / 2, SMALL)
                x = left + 2
                page.arrow((x, upper + 0.9), (x, lower - 0.9), 0.2, both=True)
    y = places[-1] + (3.5 if spaced else min(4.5, room / max(count, 1)))
    page.canvas.fill([rectangle(left, y, width, _BOX)], PALE)
    page.canvas.fill(frame(Box(left, y, width, _BOX)))
    page.text("light box", left + width + 2, y + _BOX / 2 + SMALL / 2, SMALL)
    y += _BOX + LINE
    if spaced:
        y += SMALL * 1.7
        kind = f"{scale:g} times as large" if scale > 1 else "true to size" if scale == 1 else f"1 : {1 / scale:g}"
        page.caption(f"gaps drawn {kind}; a line is a printed side", left, y, box.width)
    return y
