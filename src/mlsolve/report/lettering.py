"""Type: the font that Pillow carries with it, and what it can write in how little room."""

import re
import unicodedata
from functools import cache
from typing import Final, Literal

from PIL import Image, ImageDraw, ImageFont

Sign = Literal["×", "="]

TEXT: Final = 20
SMALL: Final = 18
TINY: Final = 16
"""Sizes of type on the contact sheet: names and scores; what is said beside; how a sheet lies."""


def wrapped(text: str, room: float, size: int) -> list[str]:
    """Return `text` in lines no longer than `room`, broken at its commas rather than elsewhere."""
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
    """Return `text`, cut short if it is longer than `room`."""
    if length(text, size) <= room:
        return text
    while text and length(text + "…", size) > room:
        text = text[:-1]
    return text.rstrip() + "…"


def writable(name: str) -> str:
    """Return a name without accents, which the font lacks; nothing if it lacks other letters of it as well."""
    plain = "".join(one for one in unicodedata.normalize("NFKD", name) if not unicodedata.combining(one))
    lacking = _drawing("\uffff")
    return "" if any(not one.isprintable() or _drawing(one) == lacking for one in plain) else plain


def _drawing(letter: str) -> bytes:
    return bytes(font(TEXT).getmask(letter))


def length(text: str, size: int) -> float:
    """Return how long a line of text is, in pixels."""
    return float(font(size).getlength(text))


@cache
def mask(sign: Sign) -> Image.Image:
    """Return where a sign covers the paper: one of them the font lacks, and they shall look alike."""
    large = Image.new("L", (64, 64))
    pen = ImageDraw.Draw(large)
    across = [((6, 22), (57, 22)), ((6, 42), (57, 42))]
    for line in across if sign == "=" else [((10, 10), (53, 53)), ((10, 53), (53, 10))]:
        pen.line(line, fill=255, width=7)
    return large.resize((16, 16), Image.Resampling.BOX)


@cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return the font that Pillow carries with it, so that a sheet looks the same everywhere."""
    return ImageFont.load_default(size)
