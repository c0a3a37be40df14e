"""Captions below the picture, and the numbers of the sheets."""

from collections.abc import Sequence
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from ..job.arrangements import Arrangement
from .table import Table

Mask = npt.NDArray[np.float32]
Frame = npt.NDArray[np.uint8]
"""(h, w, 3) uint8 sRGB."""

_LIGHT: Final = (232, 231, 226)
_INK: Final = (70, 71, 76)
_STRONG, _FAINT = 255, 150
"""Opacity of the letters, of 255."""


class Caption:
    """Text of one colour that is blended into a frame."""

    def __init__(self, image: Image.Image, colour: tuple[int, int, int]) -> None:
        """image: the opacity of the letters, mode L, of a frame's size. colour: sRGB, 0 to 255."""
        mask = np.asarray(image, dtype=np.float32) / 255
        rows = np.flatnonzero(mask.any(axis=1))
        self._rows = slice(int(rows[0]), int(rows[-1]) + 1) if len(rows) else slice(0, 0)
        self._mask = mask[self._rows, :, np.newaxis].copy()
        self._colour = np.array(colour, dtype=np.float32)

    def lay(self, frame: Frame, share: float) -> None:
        """Blend the text into `frame`, (h, w, 3) uint8, in place. share: its opacity, in [0, 1]."""
        below = frame[self._rows].astype(np.float32)
        frame[self._rows] = np.rint(below + share * self._mask * (self._colour - below)).astype(np.uint8)


def numerals(table: Table) -> Caption:
    """Return the numbers of the sheets, below each sheet while they lie apart; empty if they would be too small."""
    image = Image.new("L", table.frame)
    pen = ImageDraw.Draw(image)
    zoom = table.zoom(0.0)
    height = round(0.55 * table.gap * zoom)
    if height >= 7:
        for number, (x, y) in enumerate(table.places, start=1):
            place = (table.focus[0] + zoom * x, table.focus[1] + zoom * (y + (table.picture[1] + table.gap) / 2))
            pen.text(place, str(number), fill=_STRONG, font=_font(height), anchor="mm")
    return Caption(image, _INK)


def signature(table: Table, nearness: float, title: str, detail: str) -> Caption:
    """Return two lines of text below the light box, shortened if too long. nearness: the camera's, as in Table."""
    image = Image.new("L", table.frame)
    pen = ImageDraw.Draw(image)
    longest = max(table.frame)
    bottom = table.focus[1] + table.zoom(nearness) * table.box(nearness)[1]
    for text, share, size, fill in ((title, 0.038, 0.030, _STRONG), (detail, 0.073, 0.022, _FAINT)):
        font = _font(max(8, round(size * longest)))
        while text and pen.textlength(text, font=font) > 0.92 * table.frame[0]:
            text = text.removesuffix("…")[:-1].rstrip(" ,·") + "…"
        pen.text((table.focus[0], bottom + share * longest), text, fill=fill, font=font, anchor="mm")
    return Caption(image, _LIGHT)


def placement_line(arrangement: Arrangement, sheets: int) -> str:
    """Return the placements of an arrangement of `sheets` layers in one line of text."""
    words = [one.words() for one in arrangement.placed(sheets)]
    return ("sheet " if len(words) == 1 else "sheets ") + "  ·  ".join(words)


def sheets_apart(sheets: int) -> tuple[str, str]:
    """Return the two lines of the caption of `sheets` sheets that lie side by side."""
    return ("1 sheet", "") if sheets == 1 else (f"{sheets} sheets", "each on its own")


def captions(table: Table, arrangements: Sequence[Arrangement], names: Sequence[str]) -> list[list[Caption]]:
    """Return the captions of each scene: first while the sheets lie apart, then at every arrangement."""
    sheets = len(table.places)
    apart = [signature(table, 0.0, *sheets_apart(sheets)), numerals(table)]
    stacks = zip(arrangements, names, strict=True)
    return [apart, *([signature(table, 1.0, name, placement_line(one, sheets))] for one, name in stacks)]


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return the font that comes with Pillow, so that a film looks the same everywhere."""
    return ImageFont.load_default(size)
