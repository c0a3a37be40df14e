"""The contact sheet of proposed guides: a row for every set, with guides, sheets and the stacks they make."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from ..pictures.arrays import code_values
from ..pictures.resize import resize
from .contact_sheet import FAINT, INK, PAPER
from .lettering import SMALL, TEXT, TINY, Sign, fitted, font, mask, wrapped, writable

FloatArray = npt.NDArray[np.float32]

_SHEET: Final = 240
_TARGET: Final = 160
_GUIDE: Final = 108
"""Longer side of a sheet or a stack, of a target, and of a guide, in pixels."""
_ACROSS: Final = 3
"""Most sheets in a line."""
_MARGIN: Final = 56
_GAP: Final = 16
_BETWEEN: Final = 44
"""Room for a sign between two pictures."""
_ROWS_APART: Final = 40
_LINE: Final = 24
_SMALL_LINE: Final = 20


@dataclass(frozen=True)
class Sheet:
    """A sheet of a proposal."""

    guide: FloatArray
    layer: FloatArray
    """Both (H, W, C) float32 sRGB."""
    name: str
    ssim: float
    """To its guide."""
    leak: float
    """SSIM to the picture, the largest if there are several."""


@dataclass(frozen=True)
class Stack:
    """A stack of a proposal."""

    image: FloatArray
    """(H, W, C) float32 sRGB."""
    lines: tuple[str, ...]
    """What is said about it, the first line larger."""


@dataclass(frozen=True)
class Row:
    """A proposal."""

    heading: str
    sheets: tuple[Sheet, ...]
    stacks: tuple[Stack, ...]


def proposal_sheet(
    title: str, note: str, targets: Sequence[tuple[FloatArray, str]], rows: Sequence[Row], disc: bool
) -> npt.NDArray[np.uint8]:
    """Return the contact sheet, (H, W, 3) uint8 sRGB.

    title, note: lines above everything. targets: (H, W, C) float32 sRGB, with their names. rows: the best first.
    disc: whether the sheets are round, so that paper shows beside them.
    """
    return _Page(targets[0][0].shape[:2], disc).draw(title, note, targets, rows)


class _Page:
    """Collects what is drawn and where, then draws it."""

    def __init__(self, shape: tuple[int, int], disc: bool) -> None:
        height, width = shape
        scales = [side / max(shape) for side in (_SHEET, _TARGET, _GUIDE)]
        self._cell, self._target, self._small = (
            (max(1, round(width * scale)), max(1, round(height * scale))) for scale in scales
        )
        self._disc = disc
        self._room = max(self._cell[0], 200)
        self._pictures: list[tuple[FloatArray, tuple[int, int], int, int]] = []
        self._words: list[tuple[str, int, int, int, tuple[int, int, int]]] = []
        self._signs: list[tuple[Sign, int, int]] = []

    def draw(
        self, title: str, note: str, targets: Sequence[tuple[FloatArray, str]], rows: Sequence[Row]
    ) -> npt.NDArray[np.uint8]:
        """Lay everything out and return the pixels."""
        across = min(_ACROSS, len(rows[0].sheets))
        cell = self._small[0] + _GAP + self._room
        block = across * (cell + _BETWEEN)
        step = max(self._target[0], 120) + _GAP
        beyond = self._room if len(targets) == 1 else -_BETWEEN  # several stacks stand below the sheets
        width = 2 * _MARGIN + max(block + beyond, len(targets) * step - _GAP, 3 * self._room)
        beside = len(targets) == 1 and block > 2 * self._room
        top = end = self._put(title, _MARGIN, _MARGIN - 10, TEXT, INK)
        for line in wrapped(note, (block if beside else width - _MARGIN) - 2 * _MARGIN, SMALL):
            top = self._put(line, _MARGIN, top, SMALL)
        for number, (image, name) in enumerate(targets):
            left, y = _MARGIN + number * step, top + _GAP
            if beside:
                left, y = _MARGIN + block, _MARGIN - 10
            self._pictures.append((image, self._target, left, y))
            shown = fitted(writable(name) or f"picture {number + 1}", step - _GAP, TINY)
            end = self._put(shown, left, y + self._target[1] + 4, TINY)
        top = max(top, end) + _ROWS_APART
        for row in rows:
            top = self._put_row(row, top, across, cell, block) + _ROWS_APART
        return self._drawn(width, top - _ROWS_APART + _MARGIN)

    def _put_row(self, row: Row, top: int, across: int, cell: int, block: int) -> int:
        """Place a proposal; return where it ends."""
        top = self._put(row.heading, _MARGIN, top, TEXT, INK) + 6
        ends, y = [top], top
        step = self._cell[1] + 2 * _SMALL_LINE + _GAP
        for k, one in enumerate(row.sheets):
            left, y = _MARGIN + k % across * (cell + _BETWEEN), top + k // across * step
            self._pictures.append((one.guide, self._small, left, y))
            name = fitted(writable(one.name) or f"guide {k + 1}", self._small[0], TINY)
            self._put(name, left, y + self._small[1] + 4, TINY)
            x = left + self._small[0] + _GAP
            self._pictures.append((one.layer, self._cell, x, y))
            caption = f"sheet {k + 1}, SSIM {one.ssim:.2f}, leak {one.leak:.2f}"
            ends.append(self._put(caption, x, y + self._cell[1] + 4, TINY))
            if k + 1 < len(row.sheets):
                self._signs.append(("×", left + cell + _BETWEEN // 2, y + self._cell[1] // 2))
        if len(row.stacks) == 1:  # to the right of the last sheets
            return self._put_stacks(row.stacks, _MARGIN + block, y, 1, max(ends))
        most = max(2, (block - 2 * _BETWEEN + _GAP) // (self._room + _GAP))
        return self._put_stacks(row.stacks, _MARGIN + _BETWEEN, max(ends) + _GAP, most, 0)

    def _put_stacks(self, stacks: Sequence[Stack], left: int, top: int, across: int, end: int) -> int:
        """Place stacks from `left`, `top` on, after a sign; return where they end, or `end` if that is lower."""
        self._signs.append(("=", left - _BETWEEN // 2, top + self._cell[1] // 2))
        for start in range(0, len(stacks), across):
            ends = []
            for k, stack in enumerate(stacks[start : start + across]):
                x, y = left + k * (self._room + _GAP), top + self._cell[1] + 4
                self._pictures.append((stack.image, self._cell, x, top))
                for number, text in enumerate(stack.lines):
                    for line in wrapped(text, self._room, TINY):
                        y = self._put(line, x, y, TINY, INK if number == 0 else FAINT)
                ends.append(y)
            top = max(ends) + _GAP
        return max(end, top - _GAP)

    def _put(self, text: str, left: int, top: int, size: int, colour: tuple[int, int, int] = FAINT) -> int:
        """Place a line of text; return where the next one begins."""
        self._words.append((text, left, top, size, colour))
        return top + (_SMALL_LINE if size == TINY else _LINE + (6 if size == TEXT else 0))

    def _drawn(self, width: int, height: int) -> npt.NDArray[np.uint8]:
        page = np.empty((height, width, 3), dtype=np.uint8)
        page[:] = PAPER
        for image, size, left, top in self._pictures:
            page[top : top + size[1], left : left + size[0]] = self._pixels(image, size)
        picture = Image.fromarray(page)
        pen = ImageDraw.Draw(picture)
        anchor: Literal["la"] = "la"
        for text, left, top, letters, colour in self._words:
            pen.text((left, top), text, colour, font(letters), anchor)
        for sign, x, y in self._signs:
            covered = mask(sign)
            picture.paste(FAINT, (x - covered.width // 2, y - covered.height // 2), covered)
        return np.asarray(picture)

    def _pixels(self, image: FloatArray, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
        shown = image if image.shape[1::-1] == size else resize(image, size)
        colour = code_values(shown, 3)
        if self._disc:
            y, x = (np.abs(np.arange(side) + 0.5 - side / 2) for side in (size[1], size[0]))
            colour[np.hypot(y[:, np.newaxis], x) > size[0] / 2] = PAPER
        return colour
