"""A page for the workshop that is filled from the top: headings, paragraphs, pictures, arrows."""

from collections.abc import Callable
from typing import Final

import numpy as np

from .document import Canvas, Document
from .marks import rectangle, ring
from .outlines import Contour, text_outlines, text_width
from .plan import Box
from .workshop import Thumb

PAGE: Final = (210.0, 297.0)
EDGE: Final = 14.0
WIDTH: Final = PAGE[0] - 2 * EDGE
HEAD, TITLE, BODY, SMALL = 4.4, 3.2, 2.5, 2.2
"""Heights of capitals in mm."""
GREY: Final = "0.45 0.45 0.45 rg"
PALE: Final = "0.9 0.9 0.9 rg"
WHITE: Final = "1 1 1 rg"
LINE: Final = 0.25

Drawn = Callable[[Thumb], int]
"""Writes a thumbnail, once, and returns its number."""


class Page:
    """A page that is filled from the top."""

    def __init__(self, document: Document) -> None:
        """document: what the page is added to."""
        self.document, self.canvas, self.y = document, Canvas(PAGE), EDGE

    @property
    def left(self) -> float:
        """Millimetres that are left above the lower edge."""
        return PAGE[1] - EDGE - self.y

    def title(self, words: str, which: str) -> None:
        """Write the title of the page. which: what stands on its right."""
        self.y += HEAD
        size = min(HEAD, HEAD * 0.74 * WIDTH / text_width(words, HEAD))
        self.text(words, EDGE, self.y, size)
        self.text(which, PAGE[0] - EDGE - text_width(which, SMALL), self.y, SMALL)
        self.y += 1.5

    def text(self, words: str, x: float, y: float, height: float, colour: str = "") -> None:
        """Write a line from (x, y), the end of its base line."""
        self.canvas.fill(text_outlines(words, x, y, height), colour)

    def centred(self, words: str, x: float, y: float, height: float) -> None:
        """Write a line around x."""
        self.text(words, x - text_width(words, height) / 2, y, height)

    def heading(self, words: str) -> None:
        """Write a heading with a rule above it."""
        self.y += 4.5
        self.canvas.fill([rectangle(EDGE, self.y, WIDTH, 0.4)])
        self.y += 3.0 + TITLE
        self.text(words, EDGE, self.y, TITLE)
        self.y += 2.6

    def paragraph(self, words: str, x: float = EDGE, width: float = WIDTH, height: float = BODY) -> None:
        """Write words in as many lines as they take."""
        for line in broken(words, width, height):
            self.y += height * 1.7
            self.text(line, x, self.y, height)
        self.y += height * 0.5

    def caption(self, words: str, x: float, y: float, width: float, height: float = SMALL) -> None:
        """Write a line from (x, y), smaller where it would be wider than `width` mm."""
        size = min(height, height * width / max(text_width(words, height), 1e-6))
        self.text(words, x, y, size)

    def picture(self, number: int, thumb: Thumb, x: float, y: float, room: tuple[float, float]) -> Box:
        """Draw a picture from (x, y), as large as `room` = (width, height) mm allows, with a line around it."""
        box = Box(x, y, *fitted(thumb, room))
        self.canvas.picture(number, box)
        self.canvas.fill(frame(box))
        return box

    def arrow(
        self, start: tuple[float, float], end: tuple[float, float], width: float = 0.4, both: bool = False
    ) -> None:
        """Draw an arrow; both: with two heads."""
        self.canvas.fill(shaft(start, end, width))
        self.canvas.fill([_head(start, end, width)])
        if both:
            self.canvas.fill([_head(end, start, width)])

    def disc(self, x: float, y: float, radius: float) -> None:
        """Draw a white disc with a line around it."""
        self.canvas.fill(ring(x, y, radius / 2, radius)[:1], WHITE)
        self.canvas.fill(ring(x, y, radius, LINE))

    def finish(self) -> None:
        """Add the page to the document."""
        self.document.page(PAGE, Box(0.0, 0.0, *PAGE), self.canvas)


def fitted(thumb: Thumb, room: tuple[float, float]) -> tuple[float, float]:
    """Return the width and height of a picture that fits `room`, in mm."""
    scale = min(room[0] / thumb.shape[1], room[1] / thumb.shape[0])
    return thumb.shape[1] * scale, thumb.shape[0] * scale


def broken(words: str, width: float, height: float) -> list[str]:
    """Return `words` in lines of at most `width` mm."""
    lines = [""]
    for word in words.split(" "):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if lines[-1] and text_width(longer, height) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def frame(box: Box) -> list[Contour]:
    """Return a line around a box."""
    outer = rectangle(box.x - LINE, box.y - LINE, box.width + 2 * LINE, box.height + 2 * LINE)
    return [outer, rectangle(box.x, box.y, box.width, box.height)]


def shaft(start: tuple[float, float], end: tuple[float, float], width: float) -> list[Contour]:
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
