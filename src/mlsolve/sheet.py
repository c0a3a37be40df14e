"""The contact sheet: guides, layers, target and stack side by side with their scores."""

from collections.abc import Iterator
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from .arrays import code_values
from .proof import CELL, Preview, Proof, shown
from .resize import resize

Cell = tuple[npt.NDArray[np.uint8], str, str]
"""A picture, its name, and what it scores."""

_GAP: Final = 28
_MARGIN: Final = 56
_CAPTION: Final = 44
_BASELINE: Final = 12
_BAND: Final = 64
"""Rows of pixels that are put together at a time."""
_LEAST_COLUMN: Final = 300
"""Least width of a column, in pixels: the longest caption must find room below a narrow picture."""
COLUMNS: Final = 4
"""Most layers in a row."""
_INK: Final = (24, 25, 29)
_PAPER: Final = (246, 245, 241)
_FAINT: Final = (112, 113, 118)


def sheet_size(proof: Proof) -> tuple[int, int]:
    """Return (width, height) of the contact sheet in pixels; it does not grow with the print."""
    across, down = _cell_room(proof)
    columns, rows = _grid(len(proof.layers))
    width = 2 * _MARGIN + columns * across + (columns - 1) * _GAP + 2 * _GAP + across
    return width, _MARGIN + rows * (down + _CAPTION + _GAP) - _GAP + _MARGIN + _CAPTION


def sheet_bands(proof: Proof) -> Iterator[npt.NDArray[np.uint8]]:
    """Give the contact sheet of what `proof` has seen from the top, some rows at a time, (h, width, 3) uint8 sRGB.

    Above each layer stands its guide; target and stack stand to the right. All of it at once would be the largest
    thing in the memory of a small run.
    """
    width, _ = sheet_size(proof)
    across, _ = _cell_room(proof)
    columns, count = _grid(len(proof.layers))
    lefts = [_MARGIN + column * (across + _GAP) for column in range(columns)]
    lefts.append(lefts[-1] + across + 2 * _GAP)  # target and stack stand a little apart
    yield _paper(width, _MARGIN)
    for number, cells in enumerate(_rows(proof)):
        placed = [(left, cell) for left, cell in zip(lefts, cells, strict=True) if cell is not None]
        yield from _pictures(width, [(left, picture) for left, (picture, _, _) in placed])
        yield _captions(width, _GAP if number < count - 1 else 0, placed)
    foot = Image.fromarray(_paper(width, _MARGIN + _CAPTION))
    _sign(ImageDraw.Draw(foot), proof, proof.stacks[0].laid.exposure, (_MARGIN, _MARGIN // 2))
    yield np.asarray(foot)


def _grid(layers: int) -> tuple[int, int]:
    """Return columns of layers, and rows of guides and layers."""
    columns = min(COLUMNS, layers)
    return columns, 2 * -(-layers // columns)


def _cell_room(proof: Proof) -> tuple[int, int]:
    """Return width and height of the room for a picture, which is wider than a narrow one."""
    width, height = shown(proof.size, CELL, enlarge=True)
    return max(width, _LEAST_COLUMN), height


def _rows(proof: Proof) -> Iterator[list[Cell | None]]:
    """Give the cells of every row, a place for every column; the last is that of target and stack."""
    scores, layers = proof.scores, len(proof.layers)
    size = shown(proof.size, CELL, enlarge=True)
    columns, _ = _grid(layers)

    def cell(preview: Preview, name: str, value: str) -> Cell:
        picture = preview.image
        if picture.shape[1::-1] != size:
            picture = code_values(resize(np.asarray(picture / np.float32(255), dtype=np.float32), size))
        return picture, name, value

    for start in range(0, layers, columns):
        numbers = range(start, min(start + columns, layers))
        nothing = [None] * (columns - len(numbers))
        last = None if start else cell(proof.stacks[0].target, "target", "")
        yield [*(cell(proof.guides[k], f"guide {k + 1}", "") for k in numbers), *nothing, last]
        seen = f"SSIM {scores.target_ssim:.3f}   {scores.target_psnr:.1f} dB"
        last = None if start else cell(proof.stacks[0].cell, "stack", seen)
        similar = (f"SSIM {value:.3f}" for value in scores.guide_ssim[start:])
        sheets = (cell(proof.layers[k], f"layer {k + 1}", next(similar)) for k in numbers)
        yield [*sheets, *nothing, last]


def _paper(width: int, height: int) -> npt.NDArray[np.uint8]:
    """Return an empty part of the sheet, (height, width, 3)."""
    return np.full((height, width, 3), _PAPER, dtype=np.uint8)


def _pictures(width: int, placed: list[tuple[int, npt.NDArray[np.uint8]]]) -> Iterator[npt.NDArray[np.uint8]]:
    """Give a row of pictures, each with its left edge, some rows of pixels at a time."""
    height = placed[0][1].shape[0]
    for top in range(0, height, _BAND):
        band = _paper(width, min(_BAND, height - top))
        for left, picture in placed:
            band[:, left : left + picture.shape[1]] = picture[top : top + len(band)]
        yield band


def _captions(width: int, below: int, placed: list[tuple[int, Cell]]) -> npt.NDArray[np.uint8]:
    """Return what stands below a row of pictures, and as much paper again as `below` says."""
    strip = Image.fromarray(_paper(width, _CAPTION + below))
    pen = ImageDraw.Draw(strip)
    for left, (picture, name, value) in placed:
        pen.text((left, _BASELINE), name, fill=_INK, font=_font(20))
        if value:
            right = left + max(picture.shape[1], _LEAST_COLUMN)
            pen.text((right, _BASELINE), value, fill=_FAINT, font=_font(20), anchor="ra")
    return np.asarray(strip)


def _sign(pen: ImageDraw.ImageDraw, proof: Proof, exposure: float, place: tuple[int, int]) -> None:
    """Write below everything what was solved."""
    width, height = proof.size
    layers = len(proof.layers)
    line = (
        f"{layers} {'layer' if layers == 1 else 'layers'} of {width} by {height} pixels   ·   "
        f"exposure {exposure:g}   ·   mean guide SSIM {proof.scores.mean_guide_ssim:.3f}"
    )
    pen.text(place, line, fill=_FAINT, font=_font(18))


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return the font that Pillow carries with it, so that a sheet looks the same everywhere."""
    return ImageFont.load_default(size)
