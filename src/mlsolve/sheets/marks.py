"""The marks of a plan as outlines in mm, for a page to fill or for rows of pixels to be drawn with."""

import math
from collections.abc import Iterator
from typing import Final, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from .outlines import Contour, text_outlines, text_width
from .plan import (
    CUT,
    SCALE_LINES,
    SCALE_PITCH,
    TARGET_ARM,
    TARGET_SQUARE,
    Bar,
    Cut,
    Pin,
    Plan,
    Target,
    Vernier,
)

HAIRLINE: Final = 0.15
"""Width of thin lines in mm: two pixels at 300 dpi."""
_BOLD: Final = 0.5
"""Width of the ring of a hole, which tells it from a target in bad light too."""
_WORD: Final = 1.2
"""Height of capitals of the words beside targets, holes and cuts."""
_CORNERS: Final = 96
"""Corners of a circle: at a radius of 3 mm it errs by 2 µm."""
_FINE: Final = 4
"""Bits of a fraction of a pixel in OpenCV's coordinates."""


class Mark(NamedTuple):
    """Something printed in solid ink: closed contours, filled by the even-odd rule."""

    name: str
    contours: list[Contour]


def marks_of(plan: Plan) -> list[Mark]:
    """Return the marks of a sheet."""
    found = [mark for one in plan.targets for mark in target_marks(one)]
    found += [mark for one in plan.pins for mark in pin_marks(one)]
    found += [mark for one in plan.cuts for mark in _cut(one)]
    found += [mark for one in plan.bars for mark in (Mark("bar", _bar(one)), Mark("bar line", [_line(one)]))]
    found += [Mark("vernier", _vernier(one)) for one in plan.verniers]
    if plan.up is not None:
        x, y = plan.up
        found.append(Mark("up", [np.array([(x, y), (x + 1.6, y + 3), (x - 1.6, y + 3)])]))
    for text in plan.texts:
        found.append(Mark("text", text_outlines(text.text, text.x, text.y, text.height, text.turned)))
    return found


def rectangle(x: float, y: float, width: float, height: float) -> Contour:
    """Return the contour of a rectangle."""
    return np.array([(x, y), (x + width, y), (x + width, y + height), (x, y + height)], np.float64)


def circle(x: float, y: float, radius: float) -> Contour:
    """Return the contour of a circle."""
    angles = np.arange(_CORNERS) * (2 * math.pi / _CORNERS)
    return np.stack((x + radius * np.cos(angles), y + radius * np.sin(angles)), axis=1)


def ring(x: float, y: float, radius: float, width: float = HAIRLINE) -> list[Contour]:
    """Return the contours of a ring; width: of its line."""
    return [circle(x, y, radius + width / 2), circle(x, y, radius - width / 2)]


def cross(x: float, y: float, arm: float, width: float = HAIRLINE) -> Contour:
    """Return the contour of an upright cross; width: of its lines."""
    half = width / 2
    return np.array(
        [
            *((x - arm, y - half), (x - half, y - half), (x - half, y - arm), (x + half, y - arm)),
            *((x + half, y - half), (x + arm, y - half), (x + arm, y + half), (x + half, y + half)),
            *((x + half, y + arm), (x - half, y + arm), (x - half, y + half), (x - arm, y + half)),
        ]
    )


def square(x: float, y: float, half: float, width: float = HAIRLINE) -> list[Contour]:
    """Return the contours of a square around (x, y); half: of its side, to the middle of its line."""
    return [rectangle(x - side, y - side, 2 * side, 2 * side) for side in (half + width / 2, half - width / 2)]


def target_marks(one: Target, scale: float = 1.0) -> Iterator[Mark]:
    """Yield a cross of hairlines, a square, and the word, half on either side of the cross."""
    yield Mark(f"target {one.name}", [cross(one.x, one.y, TARGET_ARM * scale, HAIRLINE * scale)])
    yield Mark("square", square(one.x, one.y, TARGET_SQUARE * scale, HAIRLINE * scale))
    height, beside = _WORD * scale, 0.35 * scale
    y = one.y + (TARGET_SQUARE + 0.35) * scale + height
    left = text_outlines("TAR", one.x - beside - text_width("TAR", height), y, height)
    yield Mark("text", left + text_outlines("GET", one.x + beside, y, height))


def pin_marks(one: Pin, scale: float = 1.0) -> Iterator[Mark]:
    """Yield a bold ring as large as the hole, a cross that the punch is set on, and the word below."""
    outer, width = one.diameter / 2 * scale, min(_BOLD, one.diameter / 8) * scale
    yield Mark("pin", [*ring(one.x, one.y, outer - width / 2, width)])
    yield Mark("pin cross", [cross(one.x, one.y, outer / 3, HAIRLINE * scale)])
    height = _WORD * scale
    left = one.x - text_width("HOLE", height) / 2
    yield Mark("text", text_outlines("HOLE", left, one.y + outer + 0.3 * scale + height, height))


def _cut(one: Cut) -> Iterator[Mark]:
    """Yield a dashed line, and the word beside it, on the side of the picture."""
    across, down = one.towards
    for start in range(3):
        begin, long = 2.1 * start, 1.6
        x, y = one.x + across * begin, one.y + down * begin
        end_x, end_y = x + across * long, y + down * long
        half = HAIRLINE / 2 * abs(down), HAIRLINE / 2 * abs(across)
        left, top = min(x, end_x) - half[0], min(y, end_y) - half[1]
        yield Mark("cut", [rectangle(left, top, abs(end_x - x) + 2 * half[0], abs(end_y - y) + 2 * half[1])])
    long = text_width("CUT", _WORD)
    inner, reach = 0.6, (CUT[1] - CUT[0]) / 2
    if down:
        x = one.x + inner if one.side == "left" else one.x - inner - long
        yield Mark("text", text_outlines("CUT", x, one.y + down * reach + _WORD / 2, _WORD))
    else:
        y = one.y + inner + _WORD if one.side == "top" else one.y - inner
        yield Mark("text", text_outlines("CUT", one.x + across * reach - long / 2, y, _WORD))


def _bar(one: Bar) -> list[Contour]:
    """Return ticks every 10 mm; the outer edges of the first and the last are exactly its length apart."""
    found = []
    for step in range(round(one.length / 10) + 1):
        at = min(max(step * 10.0 - HAIRLINE / 2, 0.0), one.length - HAIRLINE)
        long = 3.0 if step * 10 % 50 == 0 else 1.8
        found.append(
            rectangle(one.x - long / 2, one.y + at, long, HAIRLINE)
            if one.upright
            else rectangle(one.x + at, one.y - long / 2, HAIRLINE, long)
        )
    return found


def _line(one: Bar) -> Contour:
    """Return the line that joins the ticks of a bar."""
    if one.upright:
        return rectangle(one.x - HAIRLINE / 2, one.y, HAIRLINE, one.length)
    return rectangle(one.x, one.y - HAIRLINE / 2, one.length, HAIRLINE)


def _vernier(one: Vernier) -> list[Contour]:
    """Return the lines of one half: the first sheet's towards the picture from the line where both meet."""
    found, first = [], one.pitch == SCALE_PITCH
    for line in range(-(SCALE_LINES // 2), SCALE_LINES // 2 + 1):
        long = 2.6 if line == 0 else 1.9
        start = -long if first else 0.0
        at = line * one.pitch - HAIRLINE / 2
        found.append(
            rectangle(one.x + start, one.y + at, long, HAIRLINE)
            if one.upright
            else rectangle(one.x + at, one.y + start, HAIRLINE, long)
        )
    return found


def draw(
    marks: list[Mark], rows: npt.NDArray[np.uint8], top: int, dpi: float, origin: tuple[float, float] = (0.0, 0.0)
) -> None:
    """Set the pixels of marks in `rows`, (h, w) uint8, to 1, without smooth edges.

    top: the number of the first row. dpi: pixels per inch. origin: (x, y) in mm of the outer corner of the upper
    left pixel of row 0.
    """
    scale = dpi / 25.4
    bottom = top + len(rows)
    for mark in marks:
        lowest = min(float(one[:, 1].min()) for one in mark.contours) if mark.contours else math.inf
        highest = max(float(one[:, 1].max()) for one in mark.contours) if mark.contours else -math.inf
        if (lowest - origin[1]) * scale > bottom or (highest - origin[1]) * scale < top:
            continue
        # Pixel k of OpenCV has its middle at k, ours at k + 1/2.
        moved = [
            np.rint(((one - np.array(origin)) * scale - 0.5 - np.array([0.0, top])) * (1 << _FINE)).astype(np.int32)
            for one in mark.contours
        ]
        cv2.fillPoly(rows, moved, 1, lineType=cv2.LINE_8, shift=_FINE)
