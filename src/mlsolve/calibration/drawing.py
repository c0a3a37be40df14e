"""Draws a chart as device codes: what the printer is given."""

from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from .layout import BAR, EDGE, RADIUS, Layout, Rectangle

Image = npt.NDArray[np.uint8]

INCH: Final = 25.4
RINGS: Final = (RADIUS, 3.5, 2.0)
"""Radii in mm of a marker: ink to the first, clear film to the second … from outside in."""
_LETTERS: Final = 2.2
"""Height of letters in mm."""


def draw(layout: Layout, dpi: float) -> Image:
    """Return the chart, (H, W, C) uint8 device codes; H and W are its size at `dpi`, rounded."""
    canvas = _Canvas(layout, dpi)
    for one in layout.patches:
        canvas.fill(one.where, one.codes)
    for centre in layout.markers:
        for at, radius in enumerate(RINGS):
            canvas.disc(centre, radius, 255 * (at % 2))
    for cell, bit in zip(layout.cells, layout.bits, strict=True):
        if bit:
            canvas.fill(cell)
    for where in (layout.laid, layout.strip):
        _corners(canvas, where)
    _bars(canvas, layout)
    _words(canvas, layout)
    _names(canvas, layout)
    for left in np.arange(0, layout.size[0], 7.0):
        for line in layout.cut:
            canvas.fill((float(left), line, 4, 0.25))
    return canvas.image


class _Canvas:
    """Device codes, in mm."""

    def __init__(self, layout: Layout, dpi: float) -> None:
        self.scale = dpi / INCH
        height, width = (round(side * self.scale) for side in layout.size[::-1])
        self.image: Image = np.full((height, width, layout.channels), 255, np.uint8)

    def fill(self, where: Rectangle, codes: Any = 0) -> None:
        """Fill a rectangle; its edges lie on whole pixels."""
        left, top = round(where[0] * self.scale), round(where[1] * self.scale)
        right, bottom = (round((where[at] + where[at + 2]) * self.scale) for at in (0, 1))
        self.image[top : max(bottom, top + 1), left : max(right, left + 1)] = codes

    def disc(self, centre: tuple[float, float], radius: float, code: int) -> None:
        """Fill the pixels whose centres are within a circle."""
        far = radius + 1
        left, top = (int((one - far) * self.scale) for one in centre)
        right, bottom = (int((one + far) * self.scale) + 1 for one in centre)
        part = self.image[max(top, 0) : bottom, max(left, 0) : right]
        y = (np.arange(max(top, 0), max(top, 0) + part.shape[0]) + 0.5) / self.scale - centre[1]
        x = (np.arange(max(left, 0), max(left, 0) + part.shape[1]) + 0.5) / self.scale - centre[0]
        part[np.hypot(y[:, np.newaxis], x) <= radius] = code

    def write(self, text: str, left: float, base: float, widest: float) -> None:
        """Write text in ink from `left`, its letters on the line `base`, no wider than `widest`."""
        font = cv2.FONT_HERSHEY_SIMPLEX
        (wide, tall), _ = cv2.getTextSize(text, font, 1, 1)
        size = min(_LETTERS * self.scale / tall, widest * self.scale / wide)
        thick = max(1, round(0.2 * self.scale))
        mask = np.zeros(self.image.shape[:2], np.uint8)
        cv2.putText(mask, text, (round(left * self.scale), round(base * self.scale)), font, size, 255, thick)
        self.image[mask > 0] = 0


def _corners(canvas: _Canvas, where: Rectangle) -> None:
    """Mark the corners of a block of patches, a mm outside: those of the strip are laid on those of the sheet."""
    left, top, width, height = where
    for x, inwards in ((left - 1.3, 1), (left + width + 1.0, -1)):
        for y, down in ((top - 1.3, 1), (top + height + 1.0, -1)):
            canvas.fill((x if inwards > 0 else x - 2.7, y, 3, 0.3))
            canvas.fill((x, y if down > 0 else y - 2.7, 0.3, 3))


def _bars(canvas: _Canvas, layout: Layout) -> None:
    """Draw two bars of BAR mm with a tick every 10 mm, along the lower and the left edge of the chart."""
    left, bottom = layout.clear[0], layout.markers[2][1] + 3
    across = _across(layout)
    canvas.fill((left, bottom, across, 0.3))
    for at in np.arange(0, across + 1, 10):
        canvas.fill((left + at - (at > 0) * 0.3, bottom - 2, 0.3, 2.3))
    x, top = EDGE - 5, layout.markers[0][1] + RADIUS + 5  # away from the rings, which must stay round
    canvas.fill((x, top, 0.3, BAR))
    for at in np.arange(0, BAR + 1, 10):
        canvas.fill((x, top + at - (at > 0) * 0.3, 2, 0.3))


def _across(layout: Layout) -> float:
    """Return the length of the bar along the lower edge in mm."""
    return min(BAR, 10 * (layout.clear[2] // 10))


def _words(canvas: _Canvas, layout: Layout) -> None:
    left, bottom, across = layout.clear[0], layout.markers[2][1], layout.clear[2]
    name = "rgb" if layout.channels == 3 else "grey"
    bars = "Bars: 100 mm" if _across(layout) == BAR else f"Bars: {_across(layout):g} and 100 mm"
    words = f"mlsolve chart {name}, seed {layout.seed}, {layout.digest}. {bars}"
    canvas.write(words, left, bottom - 1, across)
    canvas.write("Cut along both lines; lay this strip over the marked rows", left, layout.cut[0] + 3.2, across)


def _names(canvas: _Canvas, layout: Layout) -> None:
    """Write the rows' letters beside them, the strip's on the right so that both are seen once it is laid over."""
    left, _, across, _ = layout.strip
    first = layout.patches[0].where[1]
    for one in layout.patches:
        x, y, width, height = one.where
        row = one.name.rstrip("0123456789")
        if x == left:
            beside = left + across + 1.6 if one.group == "over" else left - 3.4
            canvas.write(row, beside, y + (height + _LETTERS) / 2, 1.9)
        if y == first:
            number = one.name.removeprefix(row)
            canvas.write(number, x + width / 2 - 0.9 * len(number), y - 1.4, width)
