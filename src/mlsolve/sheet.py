"""The contact sheet: guides, layers, target and stack side by side with their scores."""

from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from .arrays import code_values
from .proof import CELL, Proof
from .resize import resize

Cell = tuple[npt.NDArray[np.uint8], str, str]
"""A picture, its name, and what it scores."""

_GAP: Final = 28
_MARGIN: Final = 56
_CAPTION: Final = 44
_LEAST_COLUMN: Final = 300
"""Least width of a column, in pixels: the longest caption must find room below a narrow picture."""
_COLUMNS: Final = 4
"""Most layers in a row."""
_INK: Final = (24, 25, 29)
_PAPER: Final = (246, 245, 241)
_FAINT: Final = (112, 113, 118)


def draw_sheet(proof: Proof, exposure: float) -> Image.Image:
    """Return the contact sheet of what `proof` has seen, RGB in sRGB; it does not grow with the print.

    Above each layer stands its guide; target and stack stand to the right.
    """
    scores, layers = proof.scores, len(proof.layers)
    columns = min(_COLUMNS, layers)
    rows: list[list[Cell]] = []
    for start in range(0, layers, columns):
        numbers = range(start, min(start + columns, layers))
        rows.append([(proof.guides[k].image, f"guide {k + 1}", "") for k in numbers])
        rows.append(
            [(proof.layers[k].image, f"layer {k + 1}", f"SSIM {scores.guide_ssim[k]:.3f}") for k in numbers]
        )
    seen = f"SSIM {scores.target_ssim:.3f}   {scores.target_psnr:.1f} dB"
    right: list[Cell] = [(proof.target.image, "target", ""), (proof.stack_cell.image, "stack", seen)]

    size = _cell_size(proof.size)
    across, down = max(size[0], _LEAST_COLUMN), size[1]
    left_width = columns * across + (columns - 1) * _GAP
    width = 2 * _MARGIN + left_width + 2 * _GAP + across
    height = 2 * _MARGIN + len(rows) * (down + _CAPTION) + (len(rows) - 1) * _GAP
    sheet = Image.new("RGB", (width, height + _CAPTION), _PAPER)
    pen = ImageDraw.Draw(sheet)
    for number, row in enumerate(rows):
        for column, cell in enumerate(row):
            _paste(sheet, pen, cell, _MARGIN + column * (across + _GAP), _top(number, down), size)
    for number, cell in enumerate(right):
        left = _MARGIN + left_width + 2 * _GAP
        _paste(sheet, pen, cell, left, _top(number, down), size)
    _sign(pen, proof, exposure, (_MARGIN, height - _MARGIN // 2))
    return sheet


def _top(row: int, down: int) -> int:
    return _MARGIN + row * (down + _CAPTION + _GAP)


def _cell_size(size: tuple[int, int]) -> tuple[int, int]:
    """Return width and height of a picture on the sheet, given those of the print."""
    width, height = size
    scale = CELL / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _paste(
    sheet: Image.Image,
    pen: ImageDraw.ImageDraw,
    cell: Cell,
    left: int,
    top: int,
    size: tuple[int, int],
) -> None:
    picture, name, value = cell
    if picture.shape[1::-1] != size:
        picture = code_values(resize(np.asarray(picture / np.float32(255), dtype=np.float32), size))
    sheet.paste(Image.fromarray(np.repeat(picture, 3 // picture.shape[2], axis=2)), (left, top))
    baseline = top + size[1] + 12
    pen.text((left, baseline), name, fill=_INK, font=_font(20))
    if value:
        pen.text((left + max(size[0], _LEAST_COLUMN), baseline), value, fill=_FAINT, font=_font(20), anchor="ra")


def _sign(pen: ImageDraw.ImageDraw, proof: Proof, exposure: float, place: tuple[int, int]) -> None:
    """Write below everything what was solved."""
    width, height = proof.size
    layers = len(proof.layers)
    line = (
        f"{layers} {'layer' if layers == 1 else 'layers'} of {width} by {height} pixels   ·   "
        f"exposure {exposure:g}   ·   mean guide SSIM {proof.scores.mean_guide_ssim:.3f}"
    )
    pen.text(place, line, fill=_FAINT, font=_font(18))


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return the font that Pillow carries with it, so that a sheet looks the same everywhere."""
    return ImageFont.load_default(size)
