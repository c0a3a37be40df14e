"""The contact sheet: guides, layers and how they lie, targets, stacks in register and out of it, and their scores.

First everything is given its place, then the sheet is drawn from the top, some rows of pixels at a time.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from ..pictures.arrays import code_values
from ..pictures.resize import resize
from ..scoring.bands import CELL, PART, SHEET_CELL, Preview, Scoring, StackScoring, shown
from ..scoring.scores import StackScores
from .lettering import SMALL, TEXT, TINY, Sign, fitted, font, length, mask, wrapped, writable

COLUMNS: Final = 4
"""Most layers in a row."""
_GAP: Final = 28
_MARGIN: Final = 56
_BAND: Final = 64
"""Rows of pixels that are put together at a time."""
_LEAST: Final = {CELL: 372, PART: PART, SHEET_CELL: SHEET_CELL}
"""Least width of the room for a picture, in pixels: the longest caption must find room below a narrow one."""
_PAIRS: Final = 4
"""Most sheets of an arrangement that lie two in a line in its row; of more up to four do."""

_BELOW: Final = 12
"""From a picture down to its caption."""
_LINE: Final = 26
_TINY_BELOW: Final = 7
_TINY_LINE: Final = 20
_DEPTH: Final = 44
"""What a caption of one line takes below its picture."""

_Colour = tuple[int, int, int]
INK: Final = (24, 25, 29)
PAPER: Final = (246, 245, 241)
FAINT: Final = (112, 113, 118)


@dataclass(frozen=True)
class _Picture:
    """A picture on the sheet."""

    preview: Preview
    left: int
    top: int
    size: tuple[int, int]

    @property
    def bottom(self) -> int:
        return self.top + self.size[1]


@dataclass(frozen=True)
class _Words:
    """A line of text on the sheet."""

    text: str
    x: int
    top: int
    size: int
    colour: _Colour = FAINT
    anchor: Literal["la", "ra"] = "la"
    """Whether it begins at x, or ends there."""

    @property
    def bottom(self) -> int:
        return self.top + 2 * self.size


@dataclass(frozen=True)
class _Sign:
    """What stands between sheets."""

    kind: Sign
    x: int
    y: int
    """Its middle."""


def sheet_size(scoring: Scoring) -> tuple[int, int]:
    """Return (width, height) of the contact sheet in pixels; it does not grow with the print."""
    page = Page(scoring, None)
    return page.width, page.height


def sheet_bands(
    scoring: Scoring, names: Sequence[str] | None = None, disc: bool = False
) -> Iterator[npt.NDArray[np.uint8]]:
    """Yield the contact sheet of `scoring` from the top, some rows at a time, (h, width, 3) uint8 sRGB.

    names: of the targets. disc: whether the sheets are round, so that paper is seen beside them.

    Above each layer stands its guide. Of one arrangement target and stack stand to the right, what else there is of
    it below; of several there is a row for each. All of it at once would be the largest thing in the memory of a
    small run.
    """
    page = Page(scoring, names)
    alive: dict[int, npt.NDArray[np.uint8]] = {}
    for top in range(0, page.height, _BAND):
        bottom = min(top + _BAND, page.height)
        band = np.full((bottom - top, page.width, 3), PAPER, dtype=np.uint8)
        for number, picture in enumerate(page.pictures):
            first, last = max(top, picture.top), min(bottom, picture.bottom)
            if first < last:
                if number not in alive:
                    alive[number] = _pixels(picture, disc)
                part = alive[number][first - picture.top : last - picture.top]
                band[first - top : last - top, picture.left : picture.left + picture.size[0]] = part
            if picture.bottom <= bottom:
                alive.pop(number, None)
        yield _written(band, page, top)


class Page:
    """Where everything stands."""

    def __init__(self, scoring: Scoring, names: Sequence[str] | None) -> None:
        """names: of the targets, None if nobody knows them."""
        self.pictures: list[_Picture] = []
        self.words: list[_Words] = []
        self.signs: list[_Sign] = []
        self._proof, self._scores = scoring, scoring.scores
        self._names = [writable(name) for name in names or [""] * len(scoring.stacks)]
        self._one = len(scoring.stacks) == 1
        # Lying so, in no other order either, they are the layers once more.
        place = scoring.stacks[0].placed.place
        self._plain = self._one and all(one.still and one.layer == k for k, one in enumerate(place, start=1))
        self._offs = max(len(stack.off) for stack in scoring.stacks)
        layers = len(scoring.layers)
        self._columns = _even(layers, COLUMNS)
        most = max(len(stack.sheets) for stack in scoring.stacks)
        self._across = min(most, 2) if most <= _PAIRS else _even(most, 4)
        self._room = {
            cell: max(shown(scoring.size, cell, enlarge=True)[0], least) for cell, least in _LEAST.items()
        }
        self.width = self._needed_width()
        self._right = self.width - _MARGIN
        self.height = self._all()

    def _needed_width(self) -> int:
        room, part = self._room[CELL], self._room[PART] + _GAP
        grid = self._columns * (room + _GAP) - _GAP
        if self._one:
            return 2 * _MARGIN + grid + 2 * _GAP + room
        return 2 * _MARGIN + max(grid, (2 + self._offs) * part + 2 * _GAP + self._block)

    @property
    def _block(self) -> int:
        """Width of the sheets of an arrangement in a row of their own."""
        return self._across * (self._room[SHEET_CELL] + _GAP) - _GAP

    def _all(self) -> int:
        """Give everything its place; return the height of it all."""
        bottom = self._guides_and_layers()
        if not self._one:
            for number in range(len(self._proof.stacks)):
                bottom = self._arrangement(number, bottom + (_GAP if number else 2 * _GAP))
        elif self._plain and self._offs and len(self._proof.layers) <= COLUMNS:
            return self._out_of_register(bottom + _GAP)
        elif self._offs or not self._plain:
            bottom = self._rest(bottom)
        return self._foot(bottom)

    def _guides_and_layers(self) -> int:
        """Put guides and layers; of one arrangement target and stack stand to the right of the first."""
        scoring, room = self._proof, self._room[CELL]
        away, similar = _given_away(scoring), self._scores.guide_ssim
        top = bottom = _MARGIN
        for start in range(0, len(scoring.layers), self._columns):
            for k in range(start, min(start + self._columns, len(scoring.layers))):
                left = _MARGIN + (k - start) * (room + _GAP)
                middle = self._put(scoring.guides[k], CELL, left, top, (f"guide {k + 1}", "")) + _GAP
                scores = f"SSIM {similar[k]:.3f}   gives away {away[k]:.2f}"
                bottom = self._put(scoring.layers[k], CELL, left, middle, (f"layer {k + 1}", scores))
            if start == 0 and self._one:
                stack, found, left = scoring.stacks[0], self._scores.stacks[0], self._right - room
                self._put(stack.target, CELL, left, top, ("target", self._names[0]))
                scores = f"SSIM {found.ssim:.3f}   {_decibels(found.psnr)}"
                self._put(stack.cell, CELL, left, middle, ("stack", scores))
            top = bottom + _GAP
        return bottom

    def _arrangement(self, number: int, top: int) -> int:
        """Put the row of an arrangement: target, sheets, stack, and the stack with its sheets off."""
        stack, found = self._proof.stacks[number], self._scores.stacks[number]
        step = self._room[PART] + _GAP
        of = (f"target {number + 1}", ""), (self._names[number], "")
        bottoms = [self._put(stack.target, PART, _MARGIN, top, *of)]
        left = self._right - (1 + self._offs) * step + _GAP
        bottoms.append(self._lay(stack, left - 2 * _GAP - self._block, top, self._across))
        beside = PART if len(stack.sheets) > self._across else SHEET_CELL
        middle = shown(self._proof.size, beside, enlarge=True)[1] // 2
        self.signs.append(_Sign("=", left - _GAP * 3 // 4, top + middle))
        of = (
            (f"stack {number + 1}", f"SSIM {found.ssim:.3f}"),
            (f"exposure {stack.placed.exposure:.3g}", _decibels(found.psnr)),
        )
        bottoms.append(self._put(stack.cell, PART, left, top, *of))
        for place, (preview, caption) in enumerate(_off(stack, found), start=1):
            bottoms.append(self._put(preview, PART, left + place * step, top, caption))
        return max(bottoms)

    def _out_of_register(self, top: int) -> int:
        """Put the last row, all of the only stack with its sheets off, and at its left what there is to say."""
        room, left = self._room[PART], self._right
        bottom = top
        for preview, caption in reversed(_off(self._proof.stacks[0], self._scores.stacks[0])):
            bottom = self._put(preview, PART, left - room, top, caption)
            left -= room + _GAP
        free = left - _GAP - _MARGIN
        end = self._tell("sheets out of register", _MARGIN, top - 4, free, TEXT, INK)
        end = self._tell(_how_far(self._proof), _MARGIN, end + 4, free, SMALL) + _BELOW
        line, size = self._solved(), SMALL
        foot = max(end, bottom - _DEPTH + _BELOW + 2 - (len(wrapped(line, free, size)) - 1) * _LINE)
        return max(self._tell(line, _MARGIN, foot, free, size), bottom - _BELOW) + _MARGIN

    def _rest(self, bottom: int) -> int:
        """Put what else there is of the only arrangement: how its sheets lie, and the stack with its sheets off."""
        stack, found = self._proof.stacks[0], self._scores.stacks[0]
        room, top, ends = self._room[PART], bottom + _GAP, [bottom]
        free = self._right - _MARGIN
        offs = _off(stack, found)
        if len(self._proof.layers) > COLUMNS:
            # There is room below the stack, of as many rows as those of guides and layers without the first two.
            rows = 2 * (-(-len(self._proof.layers) // self._columns) - 1)
            cell = CELL if len(offs) <= rows else PART
            end = _MARGIN + 2 * (shown(self._proof.size, CELL, enlarge=True)[1] + _DEPTH + _GAP)
            for preview, caption in offs:
                end = self._put(preview, cell, self._right - self._room[CELL], end, caption) + _GAP
            ends.append(end - _GAP)
            if end > top:
                free -= self._room[CELL] + 2 * _GAP
        else:
            left = self._right + _GAP - len(offs) * (room + _GAP)
            for place, (preview, caption) in enumerate(offs):
                ends.append(self._put(preview, PART, left + place * (room + _GAP), top, caption))
            free = left - 2 * _GAP - _MARGIN
        if not self._plain:
            most = (free + _GAP) // (self._room[SHEET_CELL] + _GAP)
            ends.append(self._lay(stack, _MARGIN, top, _even(len(stack.sheets), most)))
        return max(ends)

    def _foot(self, bottom: int) -> int:
        """Put what was solved, in words, below all that ends at `bottom`; return the height of the sheet."""
        room = self._right - _MARGIN
        bottom = self._tell(self._solved(), _MARGIN, bottom + _MARGIN // 2, room, SMALL)
        if self._offs:
            bottom = self._tell(f"out of register: {_how_far(self._proof)}", _MARGIN, bottom, room, SMALL)
        return bottom + _MARGIN - 10

    def _solved(self) -> str:
        width, height = self._proof.size
        layers = len(self._proof.layers)
        shone = sorted({float(f"{stack.placed.exposure:.3g}") for stack in self._proof.stacks})
        exposures = f"exposure {shone[0]:g}"
        if len(shone) > 1:
            exposures = f"exposures {shone[0]:g} {'and' if len(shone) == 2 else 'to'} {shone[-1]:g}"
        return (
            f"{layers} {'layer' if layers == 1 else 'layers'} of {width} by {height} pixels   ·   "
            f"{exposures}   ·   mean guide SSIM {self._scores.mean_guide_ssim:.3f}"
        )

    def _put(self, preview: Preview, cell: int, left: int, top: int, *lines: tuple[str, str]) -> int:
        """Put a picture and its caption, of every line what stands at its left and right; return where it ends."""
        size, room = shown(self._proof.size, cell, enlarge=True), self._room[cell]
        self.pictures.append(_Picture(preview, left, top, size))
        bottom = top + size[1]
        for number, (name, value) in enumerate(lines):
            at, type_size = bottom + _BELOW + number * _LINE, SMALL if number else TEXT
            free = room - length(name, type_size) - _GAP // 2 if value else room
            if name:
                name = fitted(name, room, type_size)
                self.words.append(_Words(name, left, at, type_size, FAINT if number else INK))
            if value:
                self.words.append(_Words(fitted(value, free, type_size), left + room, at, type_size, anchor="ra"))
        return bottom + _DEPTH + (len(lines) - 1) * _LINE

    def _lay(self, stack: StackScoring, left: int, top: int, across: int) -> int:
        """Put the sheets of an arrangement as they lie, so many in a line; return where they end."""
        size, step = shown(self._proof.size, SHEET_CELL, enlarge=True), self._room[SHEET_CELL] + _GAP
        bottom = top
        for k, (preview, placement) in enumerate(zip(stack.sheets, stack.placed.place, strict=True)):
            if k and k % across == 0:
                top = bottom + _BELOW
            x = left + k % across * step
            self.pictures.append(_Picture(preview, x, top, size))
            if k:
                self.signs.append(_Sign("×", x - _GAP // 2, top + size[1] // 2))
            end = top + size[1] + _TINY_BELOW
            for line in wrapped(placement.words(), step - _BELOW, TINY):
                self.words.append(_Words(line, x, end, TINY, INK))
                end += _TINY_LINE
            bottom = max(bottom, end)
        return bottom

    def _tell(self, text: str, left: int, top: int, room: int, size: int, colour: _Colour = FAINT) -> int:
        """Put a text in as many lines as it takes; return where it ends."""
        for line in wrapped(text, room, size):
            self.words.append(_Words(line, left, top, size, colour))
            top += _LINE
        return top


def _even(count: int, most: int) -> int:
    """Return how many of so many stand in a line, so that there are as few lines as can be, about as long."""
    return -(-count // -(-count // most))


def _off(stack: StackScoring, found: StackScores) -> list[tuple[Preview, tuple[str, str]]]:
    """Return pictures of a stack with its sheets off, and their captions."""
    return [
        (preview, (f"off by {pixels:g} px", f"SSIM {score.ssim:.3f}"))
        for (pixels, preview), score in zip(stack.off, found.off, strict=True)
    ]


def _how_far(scoring: Scoring) -> str:
    """Return how sheets are off, and whether that was solved for."""
    solved = (
        f"solved for {scoring.registration:g} px" if scoring.registration else "not solved for (registration 0)"
    )
    return f"every sheet but the first shifted, one to the right, the next down, and so on around; {solved}"


def _given_away(scoring: Scoring) -> list[float]:
    """Return what each layer gives away of a target, in the arrangement in which that is most."""
    away = [-1.0] * len(scoring.layers)
    for stack, found in zip(scoring.stacks, scoring.scores.stacks, strict=True):
        for one, value in zip(stack.placed.place, found.leak, strict=True):
            away[one.layer - 1] = max(away[one.layer - 1], value)
    return away


def _decibels(psnr: float) -> str:
    return "exact" if math.isinf(psnr) else f"{psnr:.1f} dB"


def _pixels(picture: _Picture, disc: bool) -> npt.NDArray[np.uint8]:
    """Return a picture as it is drawn, (h, w, C), a plane at a time made larger or smaller than its preview."""
    image, (width, height) = picture.preview.image, picture.size
    if image.shape[1::-1] != picture.size:
        planes = np.split(image, image.shape[2], axis=2)
        image = np.empty((height, width, len(planes)), dtype=np.uint8)
        for number, plane in enumerate(planes):
            values = np.asarray(plane / np.float32(255), dtype=np.float32)
            image[..., number : number + 1] = code_values(resize(values, picture.size), 1)
    if disc:
        y, x = (np.abs(np.arange(side) + 0.5 - side / 2) for side in (height, width))
        beside = np.hypot(y[:, np.newaxis], x) > width / 2
        composite = np.repeat(image, 3 // image.shape[2], axis=2)
        # What is clear lets the paper be seen.
        composite[beside] = np.rint(composite[beside] * (np.array(PAPER) / 255))
        return composite
    return image


def _written(band: npt.NDArray[np.uint8], page: Page, top: int) -> npt.NDArray[np.uint8]:
    """Return a band of the sheet that begins at `top` with the text and the signs on it."""
    image = Image.fromarray(band)
    pen = ImageDraw.Draw(image)
    for words in page.words:
        if words.top < top + len(band) and words.bottom > top:
            pen.text((words.x, words.top - top), words.text, words.colour, font(words.size), words.anchor)
    for sign in page.signs:
        covered = mask(sign.kind)
        image.paste(FAINT, (sign.x - covered.width // 2, sign.y - covered.height // 2 - top), covered)
    return np.asarray(image)
