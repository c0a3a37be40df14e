"""The contact sheet: guides, layers, how they lie, targets and stacks, in register and off, with their scores."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from .arrays import code_values
from .proof import CELL, PART, SHEET_CELL, Preview, Proof, StackProof, shown
from .resize import resize
from .scores import StackScores

COLUMNS: Final = 4
"""Most layers in a row."""
_GAP: Final = 28
_MARGIN: Final = 56
_BAND: Final = 64
"""Rows of pixels that are put together at a time."""
_LEAST: Final = {CELL: 372, PART: 236, SHEET_CELL: SHEET_CELL}
"""Least width of the room for a picture, in pixels: the longest caption must find room below a narrow one."""
_FEW: Final = 4
"""Sheets that lie two by two beside their stack; of more, four stand in a line."""

_TEXT: Final = 20
_SMALL: Final = 18
_TINY: Final = 16
_BELOW: Final = 12
"""From a picture down to its caption."""
_LINE: Final = 26
_TINY_LINE: Final = 20

_INK: Final = (24, 25, 29)
_PAPER: Final = (246, 245, 241)
_FAINT: Final = (112, 113, 118)


@dataclass(frozen=True)
class _Picture:
    """A picture on a strip."""

    preview: Preview
    size: tuple[int, int]
    left: int
    top: int


@dataclass(frozen=True)
class _Words:
    """A line of text on a strip."""

    text: str
    x: int
    top: int
    size: int
    ink: tuple[int, int, int]
    anchor: Literal["la", "ra"] = "la"
    """Whether it begins at x, or ends there."""


@dataclass(frozen=True)
class _Sign:
    """What stands between sheets."""

    kind: Literal["×", "="]
    x: int
    y: int
    """Its middle."""


@dataclass
class _Strip:
    """A part of the sheet as wide as the sheet."""

    height: int
    pictures: list[_Picture] = field(default_factory=list)
    words: list[_Words] = field(default_factory=list)
    signs: list[_Sign] = field(default_factory=list)


@dataclass(frozen=True)
class _Cell:
    """A picture, and below it lines of text: what stands at their left, in ink the first, and at their right."""

    preview: Preview
    lines: tuple[tuple[str, str], ...]


def sheet_size(proof: Proof) -> tuple[int, int]:
    """Return (width, height) of the contact sheet in pixels; it does not grow with the print."""
    return _width(proof), sum(strip.height for strip in _strips(proof, None))


def sheet_bands(proof: Proof, names: Sequence[str] | None = None) -> Iterator[npt.NDArray[np.uint8]]:
    """Give the contact sheet of what `proof` has seen from the top, some rows at a time, (h, width, 3) uint8 sRGB.

    names: of the targets. Above each layer stands its guide. Of one arrangement target and stack stand to the right;
    of several there is a row for each. All of it at once would be the largest thing in the memory of a small run.
    """
    width = _width(proof)
    for strip in _strips(proof, names):
        yield from _drawn(strip, width)


def _strips(proof: Proof, names: Sequence[str] | None) -> Iterator[_Strip]:
    """Give the sheet from the top, strip by strip; no picture is made yet."""
    named = [""] * len(proof.stacks) if names is None else [_writable(name) for name in names]
    yield _Strip(_MARGIN)
    yield from _guides_and_layers(proof, named)
    if len(proof.stacks) > 1:
        yield from _arrangements(proof, named)
    elif not _plain(proof) or proof.stacks[0].off:
        yield _Strip(_GAP)
        yield _below(proof)
    yield _foot(proof)


def _guides_and_layers(proof: Proof, named: Sequence[str]) -> Iterator[_Strip]:
    """Give rows of guides and rows of layers; beside the first stand target and stack, if there is but one."""
    scores, layers, columns = proof.scores, len(proof.layers), _columns(len(proof.layers))
    room = _room(proof, CELL)
    away = _given_away(proof)
    right = _width(proof) - _MARGIN - room
    for start in range(0, layers, columns):
        numbers = range(start, min(start + columns, layers))
        lefts = [_MARGIN + place * (room + _GAP) for place in range(len(numbers))]
        above = [_Cell(proof.guides[k], ((f"guide {k + 1}", ""),)) for k in numbers]
        below = [
            _Cell(proof.layers[k], ((f"layer {k + 1}", f"SSIM {scores.guide_ssim[k]:.3f}   gives away {away[k]:.2f}"),))
            for k in numbers
        ]
        if start == 0 and len(proof.stacks) == 1:
            lefts.append(right)
            above.append(_Cell(proof.stacks[0].target, (("target", named[0]),)))
            below.append(_Cell(proof.stacks[0].cell, (("stack", _seen(scores.stacks[0])),)))
        for number, cells in enumerate((above, below)):
            if start or number:
                yield _Strip(_GAP)
            strip = _Strip(0)
            for left, cell in zip(lefts, cells, strict=True):
                _put(strip, proof, cell, CELL, left)
            yield strip


def _arrangements(proof: Proof, named: Sequence[str]) -> Iterator[_Strip]:
    """Give a row for every arrangement: target, sheets, stack, and the stack with its sheets off."""
    room = _room(proof, PART)
    across = _across(proof)
    block = _block_width(proof, across)
    for number, (stack, found) in enumerate(zip(proof.stacks, proof.scores.stacks, strict=True)):
        yield _Strip(2 * _GAP)
        strip = _Strip(0)
        _put(strip, proof, _Cell(stack.target, ((f"target {number + 1}", ""), ("", ""))), PART, _MARGIN)
        _lay(strip, proof, stack, _MARGIN + room + _GAP, across)
        left = _MARGIN + room + _GAP + block + _GAP
        lines = (
            (f"stack {number + 1}", f"SSIM {found.ssim:.3f}"),
            (f"exposure {stack.laid.exposure:.3g}", _decibels(found.psnr)),
        )
        _put(strip, proof, _Cell(stack.cell, lines), PART, left)
        for cell in _off(stack, found):
            left += room + _GAP
            _put(strip, proof, cell, PART, left)
        if named[number]:
            name = _fitted(named[number], room, _SMALL)
            height = shown(proof.size, PART, enlarge=True)[1]
            strip.words.append(_Words(name, _MARGIN, height + _BELOW + _LINE, _SMALL, _FAINT))
        yield strip


def _below(proof: Proof) -> _Strip:
    """Return the row below the only arrangement: how the sheets lie if they were moved, the stack with them off."""
    strip = _Strip(0)
    stack, found = proof.stacks[0], proof.scores.stacks[0]
    room = _room(proof, PART)
    right = _width(proof) - _MARGIN
    left = right
    for cell in reversed(_off(stack, found)):
        _put(strip, proof, cell, PART, left - room)
        left -= room + _GAP
    free = left - _GAP - _MARGIN if stack.off else right - _MARGIN
    if not _plain(proof):
        each = _room(proof, SHEET_CELL) + _GAP
        _lay(strip, proof, stack, _MARGIN, max(1, free // each))
    elif stack.off:
        _tell(strip, "the stack with its sheets off", 0, free, _TEXT, _INK)
        _tell(strip, _how_far(proof), _LINE + 6, free, _SMALL, _FAINT)
    return strip


def _foot(proof: Proof) -> _Strip:
    """Return what was solved, in words."""
    width, height = proof.size
    layers = len(proof.layers)
    exposures = sorted({f"{stack.laid.exposure:.3g}" for stack in proof.stacks}, key=float)
    shone = {1: f"exposure {exposures[0]}", 2: f"exposures {exposures[0]} and {exposures[-1]}"}.get(
        len(exposures), f"exposures {exposures[0]} to {exposures[-1]}"
    )
    line = (
        f"{layers} {'layer' if layers == 1 else 'layers'} of {width} by {height} pixels   ·   "
        f"{shone}   ·   mean guide SSIM {proof.scores.mean_guide_ssim:.3f}"
    )
    strip = _Strip(0)
    _tell(strip, line, _MARGIN // 2, _width(proof) - 2 * _MARGIN, _SMALL, _FAINT)
    if not _plain(proof) and any(stack.off for stack in proof.stacks):
        _tell(strip, f"off: {_how_far(proof)}", strip.height + 4, _width(proof) - 2 * _MARGIN, _SMALL, _FAINT)
    strip.height += _MARGIN - 10
    return strip


def _put(strip: _Strip, proof: Proof, cell: _Cell, longest: int, left: int) -> None:
    """Put a picture and its caption on a strip, which becomes as high as it must."""
    size, room = shown(proof.size, longest, enlarge=True), _room(proof, longest)
    strip.pictures.append(_Picture(cell.preview, size, left, 0))
    top = size[1] + _BELOW
    for number, (name, value) in enumerate(cell.lines):
        small = number > 0
        written = value and _fitted(value, room - _length(name, _TEXT) - _BELOW, _TEXT)
        strip.words.append(_Words(name, left, top, _SMALL if small else _TEXT, _FAINT if small else _INK))
        if value:
            strip.words.append(
                _Words(written, left + room, top, _SMALL if small else _TEXT, _FAINT, "ra")
            )
        top += _LINE
    strip.height = max(strip.height, top + 6)


def _lay(strip: _Strip, proof: Proof, stack: StackProof, left: int, across: int) -> None:
    """Put the sheets of an arrangement on a strip as they lie, so many in a line, with signs in between."""
    size, room = shown(proof.size, SHEET_CELL, enlarge=True), _room(proof, SHEET_CELL)
    top, count = 0, len(stack.sheets)
    for start in range(0, count, across):
        most = 0
        for k in range(start, min(start + across, count)):
            x = left + (k - start) * (room + _GAP)
            strip.pictures.append(_Picture(stack.sheets[k], size, x, top))
            kind: Literal["×", "="] = "=" if k == count - 1 else "×"
            strip.signs.append(_Sign(kind, x + room + _GAP // 2, top + size[1] // 2))
            lines = _wrapped(stack.laid.place[k].words(), room + _GAP - 10, _TINY)
            for number, line in enumerate(lines):
                strip.words.append(
                    _Words(line, x, top + size[1] + 8 + number * _TINY_LINE, _TINY, _INK if number == 0 else _FAINT)
                )
            most = max(most, len(lines))
        bottom = top + size[1] + 8 + most * _TINY_LINE
        top = bottom + 12
    strip.height = max(strip.height, bottom)


def _tell(strip: _Strip, text: str, top: int, room: int, size: int, ink: tuple[int, int, int]) -> None:
    """Put a text on a strip, at its left."""
    for line in _wrapped(text, room, size):
        strip.words.append(_Words(line, _MARGIN, top, size, ink))
        top += _LINE
    strip.height = max(strip.height, top)


def _off(stack: StackProof, found: StackScores) -> list[_Cell]:
    """Return the stack with its sheets off."""
    return [
        _Cell(preview, ((f"off by {pixels:g} px", f"SSIM {score.ssim:.3f}"),))
        for (pixels, preview), score in zip(stack.off, found.off, strict=True)
    ]


def _how_far(proof: Proof) -> str:
    solved = f"solved for {proof.registration:g} px" if proof.registration else "not solved for"
    return f"every sheet but the first shifted, one to the right, the next down, and so on; {solved}"


def _given_away(proof: Proof) -> list[float]:
    """Return what each layer gives away of a target, in the arrangement in which that is most."""
    away = [-1.0] * len(proof.layers)
    for stack, found in zip(proof.stacks, proof.scores.stacks, strict=True):
        for one, value in zip(stack.laid.place, found.gives_away, strict=True):
            away[one.layer - 1] = max(away[one.layer - 1], value)
    return away


def _plain(proof: Proof) -> bool:
    """Whether all sheets lie as they were solved, in one arrangement: then the layers show how."""
    return len(proof.stacks) == 1 and all(one.still for one in proof.stacks[0].laid.place)


def _seen(found: StackScores) -> str:
    return f"SSIM {found.ssim:.3f}   {_decibels(found.psnr)}"


def _decibels(psnr: float) -> str:
    return "exact" if psnr == float("inf") else f"{psnr:.1f} dB"


def _columns(layers: int) -> int:
    """Return how many layers stand in a row: as few as make no more rows."""
    return -(-layers // -(-layers // COLUMNS))


def _across(proof: Proof) -> int:
    """Return how many sheets of an arrangement stand in a line."""
    most = max(len(stack.sheets) for stack in proof.stacks)
    return min(most, 2 if most <= _FEW else 4)


def _block_width(proof: Proof, across: int) -> int:
    return across * (_room(proof, SHEET_CELL) + _GAP) - _GAP


def _width(proof: Proof) -> int:
    """Return the width of the sheet."""
    columns, room = _columns(len(proof.layers)), _room(proof, CELL)
    inner = columns * (room + _GAP) - _GAP
    if len(proof.stacks) == 1:
        return 2 * _MARGIN + inner + 2 * _GAP + room
    parts = 2 + max(len(stack.off) for stack in proof.stacks)
    return 2 * _MARGIN + max(inner, parts * (_room(proof, PART) + _GAP) + _block_width(proof, _across(proof)))


def _room(proof: Proof, longest: int) -> int:
    """Return the width of the room for a picture of that longer side, which is wider than a narrow one."""
    return max(shown(proof.size, longest, enlarge=True)[0], _LEAST[longest])


def _drawn(strip: _Strip, width: int) -> Iterator[npt.NDArray[np.uint8]]:
    """Draw a strip, some rows of pixels at a time."""
    pictures = [(picture, _pixels(picture)) for picture in strip.pictures]
    for top in range(0, strip.height, _BAND):
        rows = min(_BAND, strip.height - top)
        band = np.full((rows, width, 3), _PAPER, dtype=np.uint8)
        for picture, pixels in pictures:
            start, stop = max(top, picture.top), min(top + rows, picture.top + picture.size[1])
            if start < stop:
                part = pixels[start - picture.top : stop - picture.top]
                band[start - top : stop - top, picture.left : picture.left + picture.size[0]] = part
        image = Image.fromarray(band)
        pen = ImageDraw.Draw(image)
        for words in strip.words:
            pen.text((words.x, words.top - top), words.text, words.ink, _font(words.size), words.anchor)
        for sign in strip.signs:
            mask = _sign(sign.kind)
            image.paste(_FAINT, (sign.x - mask.width // 2, sign.y - mask.height // 2 - top), mask)
        yield np.asarray(image)


def _pixels(picture: _Picture) -> npt.NDArray[np.uint8]:
    """Return a picture, enlarged if there is less of it than room."""
    image = picture.preview.image
    if image.shape[1::-1] == picture.size:
        return image
    return code_values(resize(np.asarray(image / np.float32(255), dtype=np.float32), picture.size))


def _wrapped(text: str, room: int, size: int) -> list[str]:
    """Return `text` in lines that are no longer than `room`, broken after commas rather than elsewhere."""
    lines = [""]
    for part in re.split(r"(?<=[,;]) (?=[a-z])", text):
        whole = [part] if _length(part, size) <= room else part.split(" ")
        for piece in whole:
            longer = f"{lines[-1]} {piece}".strip()
            if _length(longer, size) <= room or not lines[-1]:
                lines[-1] = longer
            else:
                lines.append(piece)
    return lines


def _fitted(text: str, room: int, size: int) -> str:
    """Return `text`, cut short if it is longer than `room`."""
    if _length(text, size) <= room:
        return text
    while text and _length(text + "…", size) > room:
        text = text[:-1]
    return text + "…"


def _writable(name: str) -> str:
    """Return a name without its accents, which the font lacks; nothing if it lacks other letters of it too."""
    plain = "".join(one for one in unicodedata.normalize("NFKD", name) if not unicodedata.combining(one))
    lacks = bytes(_font(_TEXT).getmask("\uffff"))
    return "" if any(bytes(_font(_TEXT).getmask(one)) == lacks for one in plain) else plain


def _length(text: str, size: int) -> float:
    return float(_font(size).getlength(text))


@cache
def _sign(kind: Literal["×", "="]) -> Image.Image:
    """Return how a sign covers the paper: the font lacks the one."""
    mask = Image.new("L", (64, 64))
    pen = ImageDraw.Draw(mask)
    lines = [((10, 10), (53, 53)), ((10, 53), (53, 10))] if kind == "×" else [((6, 22), (57, 22)), ((6, 42), (57, 42))]
    for line in lines:
        pen.line(line, fill=255, width=7)
    return mask.resize((16, 16), Image.Resampling.BOX)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return the font that Pillow carries with it, so that a sheet looks the same everywhere."""
    return ImageFont.load_default(size)
