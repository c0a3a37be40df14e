"""Text on the contact sheet: the font that comes with Pillow, text widths, and fitting text into a given width."""

import re
import unicodedata
from functools import cache
from typing import Final, Literal

from PIL import Image, ImageDraw, ImageFont

Sign = Literal["×", "="]

TEXT: Final = 20
SMALL: Final = 18
TINY: Final = 16
"""Font sizes on the contact sheet: captions and scores; second lines and notes; placements of sheets."""


def wrapped(text: str, room: float, size: int) -> list[str]:
    """Return `text` in lines no wider than `room` pixels, broken at commas and semicolons if possible."""
    lines, between = [""], ""
    for part in re.split(r"((?<=[,;]) (?=[a-z])|   ·   )", text):
        if part.strip(" ·") == "":
            between = part
            continue
        for piece in [part] if length(part, size) <= room else part.split(" "):
            if lines[-1] and length(lines[-1] + between + piece, size) > room:
                lines.append(piece)
            else:
                lines[-1] += between + piece
            between = " "
    return lines


def fitted(text: str, room: float, size: int) -> str:
    """Return `text`, shortened with an ellipsis if it is wider than `room` pixels."""
    if length(text, size) <= room:
        return text
    while text and length(text + "…", size) > room:
        text = text[:-1]
    return text.rstrip() + "…"


def writable(name: str) -> str:
    """Return `name` without accents, which the font lacks; empty if the font lacks any other letter of it."""
    plain = "".join(one for one in unicodedata.normalize("NFKD", name) if not unicodedata.combining(one))
    lacking = _drawing("\uffff")
    return "" if any(not one.isprintable() or _drawing(one) == lacking for one in plain) else plain


def _drawing(letter: str) -> bytes:
    return bytes(font(TEXT).getmask(letter))


def length(text: str, size: int) -> float:
    """Return the width of a line of text in pixels."""
    return float(font(size).getlength(text))


@cache
def mask(sign: Sign) -> Image.Image:
    """Return the mask of a sign, mode L, 16×16 pixels.

    Signs are drawn here because the font lacks one of them, and both should have the same style.
    """
    large = Image.new("L", (64, 64))
    pen = ImageDraw.Draw(large)
    across = [((6, 22), (57, 22)), ((6, 42), (57, 42))]
    for line in across if sign == "=" else [((10, 10), (53, 53)), ((10, 53), (53, 10))]:
        pen.line(line, fill=255, width=7)
    return large.resize((16, 16), Image.Resampling.BOX)


@cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return the font that comes with Pillow, so that a contact sheet looks the same everywhere."""
    return ImageFont.load_default(size)
