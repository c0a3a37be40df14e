"""The contact sheet: guides, layers, targets, placed sheets, stacks aligned and misaligned, and their scores.

First everything is laid out, then the contact sheet is drawn from the top in bands of rows.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from ..pictures.arrays import code_values
from ..pictures.resize import resize
from ..scoring.bands import Scoring
from ..scoring.previews import CELL, PART, SHEET_CELL, Preview, shown
from ..scoring.stack_scoring import StackScoring
from .captions import decibels, displaced_previews, largest_leak, misalignment_text, view_previews, view_text
from .lettering import SMALL, TEXT, TINY, Sign, fitted, font, length, mask, wrapped, writable

COLUMNS: Final = 4
"""Maximum number of layers in a row."""
_GAP: Final = 28
_MARGIN: Final = 56
_BAND: Final = 64
"""Rows of pixels in a band."""
_MIN_WIDTH: Final = {CELL: 372, PART: PART, SHEET_CELL: SHEET_CELL}
"""Minimum width reserved for a picture, in pixels, so that the longest caption fits below a narrow one."""
_PAIRS: Final = 4
"""Up to this many sheets of an arrangement stand two in a line; if there are more, up to four do."""

_BELOW: Final = 12
"""Distance from a picture down to its caption, in pixels."""
_LINE: Final = 26
_TINY_BELOW: Final = 7
_TINY_LINE: Final = 20
_DEPTH: Final = 44
"""Height of a caption of one line below its picture, in pixels."""

_Colour = tuple[int, int, int]
INK: Final = (24, 25, 29)
PAPER: Final = (246, 245, 241)
FAINT: Final = (112, 113, 118)


@dataclass(frozen=True)
class _Picture:
    """A picture on the contact sheet."""

    preview: Preview
    left: int
    top: int
    size: tuple[int, int]

    @property
    def bottom(self) -> int:
        return self.top + self.size[1]


@dataclass(frozen=True)
class _Words:
    """A line of text on the contact sheet."""

    text: str
    x: int
    top: int
    size: int
    colour: _Colour = FAINT
    anchor: Literal["la", "ra"] = "la"
    """Whether x is where the text begins ("la") or ends ("ra")."""

    @property
    def bottom(self) -> int:
        return self.top + 2 * self.size


@dataclass(frozen=True)
class _Sign:
    """A sign between sheets."""

    kind: Sign
    x: int
    y: int
    """x, y of its centre."""


def sheet_size(scoring: Scoring) -> tuple[int, int]:
    """Return (width, height) of the contact sheet in pixels, which does not grow with the print."""
    page = Page(scoring, None)
    return page.width, page.height


def sheet_bands(
    scoring: Scoring, names: Sequence[str] | None = None, disc: bool = False
) -> Iterator[npt.NDArray[np.uint8]]:
    """Yield the contact sheet of `scoring` from the top in bands of rows, (h, width, 3) uint8 sRGB.

    names: file names of the targets. disc: whether the sheets are round, so that paper shows beside them.

    Each guide stands above its layer. If there is one arrangement, its target and stack stand to the right of the
    layers, and the rest of it below. If there are several, each has a row. The contact sheet comes in bands
    because, as a whole, it would be the largest array of a small run.
    """
    page = Page(scoring, names)
    current: dict[int, npt.NDArray[np.uint8]] = {}
    for top in range(0, page.height, _BAND):
        bottom = min(top + _BAND, page.height)
        band = np.empty((bottom - top, page.width, 3), dtype=np.uint8)
        band[0] = PAPER
        band[1:] = band[0]
        for number, picture in enumerate(page.pictures):
            first, last = max(top, picture.top), min(bottom, picture.bottom)
            if first < last:
                if number not in current:
                    current[number] = _pixels(picture, disc)
                part = current[number][first - picture.top : last - picture.top]
                band[first - top : last - top, picture.left : picture.left + picture.size[0]] = part
            if picture.bottom <= bottom:
                current.pop(number, None)
        yield _with_text(band, page, top)


class Page:
    """The layout: the positions of all pictures, lines of text and signs."""

    def __init__(self, scoring: Scoring, names: Sequence[str] | None) -> None:
        """names: file names of the targets; None if they are unknown."""
        self.pictures: list[_Picture] = []
        self.words: list[_Words] = []
        self.signs: list[_Sign] = []
        self._scoring, self._scores = scoring, scoring.scores
        self._names = [writable(name) for name in names or [""] * len(scoring.stacks)]
        self._single = len(scoring.stacks) == 1
        self._unmoved = scoring.unmoved
        self._misaligned = max(len(stack.misaligned) for stack in scoring.stacks)
        """Number of misalignments shown of a stack."""
        self._beside = self._misaligned + max(len(stack.views) for stack in scoring.stacks)
        """Number of misalignments and views."""
        layers = len(scoring.layers)
        self._columns = _per_row(layers, COLUMNS)
        most = max(len(stack.sheets) for stack in scoring.stacks)
        self._across = min(most, 2) if most <= _PAIRS else _per_row(most, 4)
        self._room = {
            cell: max(shown(scoring.size, cell, enlarge=True)[0], least) for cell, least in _MIN_WIDTH.items()
        }
        self.width = self._total_width()
        self._right = self.width - _MARGIN
        self.height = self._lay_out()

    def _total_width(self) -> int:
        room, part = self._room[CELL], self._room[PART] + _GAP
        grid = self._columns * (room + _GAP) - _GAP
        if self._single:
            return 2 * _MARGIN + grid + 2 * _GAP + room
        return 2 * _MARGIN + max(grid, (2 + self._beside) * part + 2 * _GAP + self._block)

    @property
    def _block(self) -> int:
        """Width of the block of placed sheets in the row of an arrangement, in pixels."""
        return self._across * (self._room[SHEET_CELL] + _GAP) - _GAP

    def _lay_out(self) -> int:
        """Place everything; return the height of the contact sheet."""
        bottom = self._put_guides_and_layers()
        if not self._single:
            for number in range(len(self._scoring.stacks)):
                bottom = self._put_arrangement(number, bottom + (_GAP if number else 2 * _GAP))
        elif self._unmoved and self._misaligned and len(self._scoring.layers) <= COLUMNS:
            return self._put_misaligned_row(self._put_views(bottom) + _GAP)
        elif self._misaligned or not self._unmoved:
            bottom = self._put_views(self._put_sheets_and_misaligned(bottom))
        return self._put_foot(bottom)

    def _put_guides_and_layers(self) -> int:
        """Place guides and layers, and to their right the target and the stack if there is only one arrangement.

        Returns where they end.
        """
        scoring, room = self._scoring, self._room[CELL]
        leak, guide_ssim = largest_leak(scoring), self._scores.guide_ssim
        top = bottom = _MARGIN
        for start in range(0, len(scoring.layers), self._columns):
            for k in range(start, min(start + self._columns, len(scoring.layers))):
                left = _MARGIN + (k - start) * (room + _GAP)
                middle = self._put(scoring.guides[k], CELL, left, top, (f"guide {k + 1}", "")) + _GAP
                scores = f"SSIM {guide_ssim[k]:.3f}   leak {leak[k]:.2f}"
                bottom = self._put(scoring.layers[k], CELL, left, middle, (f"layer {k + 1}", scores))
            if start == 0 and self._single:
                stack, found, left = scoring.stacks[0], self._scores.stacks[0], self._right - room
                self._put(stack.target, CELL, left, top, ("target", self._names[0]))
                scores = f"SSIM {found.ssim:.3f}   {decibels(found.psnr)}"
                self._put(stack.cell, CELL, left, middle, ("stack", scores))
            top = bottom + _GAP
        return bottom

    def _put_arrangement(self, number: int, top: int) -> int:
        """Place the row of an arrangement: target, sheets, stack, misaligned stacks. Returns where it ends."""
        stack, found = self._scoring.stacks[number], self._scores.stacks[number]
        step = self._room[PART] + _GAP
        of = (f"target {number + 1}", ""), (self._names[number], "")
        bottoms = [self._put(stack.target, PART, _MARGIN, top, *of)]
        left = self._right - (1 + self._beside) * step + _GAP
        bottoms.append(self._put_sheets(stack, left - 2 * _GAP - self._block, top, self._across))
        beside = PART if len(stack.sheets) > self._across else SHEET_CELL
        middle = shown(self._scoring.size, beside, enlarge=True)[1] // 2
        self.signs.append(_Sign("=", left - _GAP * 3 // 4, top + middle))
        of = (
            (f"stack {number + 1}", f"SSIM {found.ssim:.3f}"),
            (f"exposure {stack.placed.exposure:.3g}", decibels(found.psnr)),
        )
        bottoms.append(self._put(stack.cell, PART, left, top, *of))
        others = [*displaced_previews(stack, found), *view_previews(stack, found)]
        for place, (preview, caption) in enumerate(others, start=1):
            bottoms.append(self._put(preview, PART, left + place * step, top, *caption))
        return max(bottoms)

    def _put_views(self, bottom: int) -> int:
        """Place the stack as it is seen at an angle, and a text to its left. Returns where they end."""
        previews, left = view_previews(self._scoring.stacks[0], self._scores.stacks[0]), self._right
        if not previews:
            return bottom
        room, top = self._room[PART], bottom + _GAP
        for preview, caption in reversed(previews):
            bottom = self._put(preview, PART, left - room, top, *caption)
            left -= room + _GAP
        free = left - _GAP - _MARGIN
        end = self._put_text("at an angle", _MARGIN, top - 4, free, TEXT, INK)
        return max(bottom, self._put_text(view_text(self._scoring), _MARGIN, end + 4, free, SMALL))

    def _put_misaligned_row(self, top: int) -> int:
        """Place the last row: the misaligned stacks, and the text to their left. Returns the sheet's height."""
        room, left = self._room[PART], self._right
        bottom = top
        for preview, caption in reversed(displaced_previews(self._scoring.stacks[0], self._scores.stacks[0])):
            bottom = self._put(preview, PART, left - room, top, *caption)
            left -= room + _GAP
        free = left - _GAP - _MARGIN
        end = self._put_text("misalignment", _MARGIN, top - 4, free, TEXT, INK)
        end = self._put_text(misalignment_text(self._scoring), _MARGIN, end + 4, free, SMALL) + _BELOW
        line, size = self._summary(), SMALL
        foot = max(end, bottom - _DEPTH + _BELOW + 2 - (len(wrapped(line, free, size)) - 1) * _LINE)
        return max(self._put_text(line, _MARGIN, foot, free, size), bottom - _BELOW) + _MARGIN

    def _put_sheets_and_misaligned(self, bottom: int) -> int:
        """Place the rest of the only arrangement: its sheets, if they are moved, and the misaligned stacks.

        bottom: where guides and layers end. Returns where all of it ends.
        """
        stack, found = self._scoring.stacks[0], self._scores.stacks[0]
        room, top, ends = self._room[PART], bottom + _GAP, [bottom]
        free = self._right - _MARGIN
        previews = displaced_previews(stack, found)
        if len(self._scoring.layers) > COLUMNS:
            # Guides and layers have more than two rows, and the space below the stack is as high as these others.
            rows = 2 * (-(-len(self._scoring.layers) // self._columns) - 1)
            cell = CELL if len(previews) <= rows else PART
            end = _MARGIN + 2 * (shown(self._scoring.size, CELL, enlarge=True)[1] + _DEPTH + _GAP)
            for preview, caption in previews:
                end = self._put(preview, cell, self._right - self._room[CELL], end, *caption)
                end += _GAP - (len(caption) - 1) * _LINE  # in line with guides and layers
            ends.append(end - _GAP)
            if end > top:
                free -= self._room[CELL] + 2 * _GAP
        else:
            left = self._right + _GAP - len(previews) * (room + _GAP)
            for place, (preview, caption) in enumerate(previews):
                ends.append(self._put(preview, PART, left + place * (room + _GAP), top, *caption))
            free = left - 2 * _GAP - _MARGIN
        if not self._unmoved:
            most = (free + _GAP) // (self._room[SHEET_CELL] + _GAP)
            ends.append(self._put_sheets(stack, _MARGIN, top, _per_row(len(stack.sheets), most)))
        return max(ends)

    def _put_foot(self, bottom: int) -> int:
        """Place the last lines of text below `bottom`. Returns the height of the contact sheet."""
        room = self._right - _MARGIN
        bottom = self._put_text(self._summary(), _MARGIN, bottom + _MARGIN // 2, room, SMALL)
        if self._misaligned:
            text = f"misalignment: {misalignment_text(self._scoring)}"
            bottom = self._put_text(text, _MARGIN, bottom, room, SMALL)
        if self._beside > self._misaligned and not self._single:
            bottom = self._put_text(f"at an angle: {view_text(self._scoring)}", _MARGIN, bottom, room, SMALL)
        return bottom + _MARGIN - 10

    def _summary(self) -> str:
        """Return the line of text about the whole run."""
        width, height = self._scoring.size
        layers = len(self._scoring.layers)
        values = sorted({float(f"{stack.placed.exposure:.3g}") for stack in self._scoring.stacks})
        exposures = f"exposure {values[0]:g}"
        if len(values) > 1:
            exposures = f"exposures {values[0]:g} {'and' if len(values) == 2 else 'to'} {values[-1]:g}"
        return (
            f"{layers} {'layer' if layers == 1 else 'layers'} of {width} by {height} pixels   ·   "
            f"{exposures}   ·   mean guide SSIM {self._scores.mean_guide_ssim:.3f}{self._predicted()}"
        )

    def _predicted(self) -> str:
        """Return that pictures and scores are predictions, if they are."""
        found = [stack.difference for stack in self._scores.stacks if stack.difference is not None]
        if not found:
            return ""
        medians = ", ".join(f"{one.median:.1f}" for one in found)
        return f"   ·   layers and stacks as they will look by media.toml, ΔE00 of the stack {medians}"

    def _put(self, preview: Preview, cell: int, left: int, top: int, *lines: tuple[str, str]) -> int:
        """Place a picture and its caption. Returns where the caption ends.

        cell: maximum length of the picture's longer side, in pixels. lines: of the caption, each as (text at the
        left, text at the right).
        """
        size, room = shown(self._scoring.size, cell, enlarge=True), self._room[cell]
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

    def _put_sheets(self, stack: StackScoring, left: int, top: int, across: int) -> int:
        """Place the placed sheets of an arrangement, `across` in a line. Returns where they end."""
        size, step = shown(self._scoring.size, SHEET_CELL, enlarge=True), self._room[SHEET_CELL] + _GAP
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

    def _put_text(self, text: str, left: int, top: int, room: int, size: int, colour: _Colour = FAINT) -> int:
        """Place a text, wrapped to a width of `room` pixels. Returns where it ends."""
        for line in wrapped(text, room, size):
            self.words.append(_Words(line, left, top, size, colour))
            top += _LINE
        return top


def _per_row(count: int, most: int) -> int:
    """Return how many of `count` items to put in a row, at most `most`: few rows, of equal length."""
    return -(-count // -(-count // most))


def _pixels(picture: _Picture, disc: bool) -> npt.NDArray[np.uint8]:
    """Return the pixels of a picture at its size on the contact sheet, (h, w, C) uint8 sRGB.

    Planes are resized one at a time, to hold less memory.
    """
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
        colour = np.repeat(image, 3 // image.shape[2], axis=2)
        # The paper shows through what is clear.
        colour[beside] = np.rint(colour[beside] * (np.array(PAPER) / 255))
        return colour
    return image


def _with_text(band: npt.NDArray[np.uint8], page: Page, top: int) -> npt.NDArray[np.uint8]:
    """Return a band of the contact sheet that begins at row `top`, with its text and signs drawn on it."""
    image = Image.fromarray(band)
    pen = ImageDraw.Draw(image)
    for words in page.words:
        if words.top < top + len(band) and words.bottom > top:
            pen.text((words.x, words.top - top), words.text, words.colour, font(words.size), words.anchor)
    for sign in page.signs:
        covered = mask(sign.kind)
        image.paste(FAINT, (sign.x - covered.width // 2, sign.y - covered.height // 2 - top), covered)
    return np.asarray(image)
