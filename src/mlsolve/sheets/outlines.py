"""Text as outlines, so that a file needs no font: the font that comes with Pillow (TrueType 1.66)."""

import struct
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..report.lettering import font

Contour = npt.NDArray[np.float64]
"""(n, 2) float64: a closed line through these points, (x, y) in mm, y downwards."""

_STEPS: Final = 4
"""Lines that stand for a curve: at letters 4 mm high they differ from it by less than 5 µm."""

_ON, _REPEAT, _SHORT_X, _SHORT_Y, _SAME_X, _SAME_Y = 1, 8, 2, 4, 16, 32
_WORDS, _XY, _SCALE, _MORE, _XY_SCALE, _TWO_BY_TWO = 1, 2, 8, 32, 64, 128
"""Flags of points, and of the parts of a composite glyph ("glyf" table)."""

_CAPITAL: Final = 0.72
"""Height of capital letters, as a share of the size of the font."""

_SUPERSCRIPT: Final = {"²": "2", "³": "3"}
_INSTEAD: Final = {"×": "x", "−": "-", "–": "-", "→": "-", "Δ": "d", "µ": "u"}
"""Letters that the font lacks, and what is written instead."""


def text_width(text: str, height: float) -> float:
    """Return the width in mm of a line of text whose capitals are `height` mm high."""
    return sum(_advance(letter) for letter in text) * height / _CAPITAL


def text_outlines(text: str, x: float, y: float, height: float, turned: bool = False) -> list[Contour]:
    """Return the contours of a line of text, to be filled by the even-odd rule.

    x, y: where its base line begins, in mm. height: of its capitals in mm. turned: it runs upwards instead of
    rightwards. Letters that the font lacks are left out.
    """
    found, pen = [], 0.0
    unit = height / _CAPITAL
    for letter in text:
        for contour in _glyph(letter):
            along, up = (contour[:, 0] + pen) * unit, contour[:, 1] * unit
            points = (x - up, y - along) if turned else (x + along, y - up)
            found.append(np.stack(points, axis=1))
        pen += _advance(letter)
    return found


@cache
def _tables() -> dict[bytes, bytes]:
    """Return the tables of the font by their names."""
    loaded: Any = font(20)
    data = loaded.font_bytes or loaded.path.getvalue()
    (count,) = struct.unpack_from(">H", data, 4)
    places = [struct.unpack_from(">4s4xII", data, 12 + 16 * number) for number in range(count)]
    return {name: data[start : start + length] for name, start, length in places}


@cache
def _characters() -> dict[int, int]:
    """Return the numbers of glyphs by the characters that they stand for (format 4 of the table "cmap")."""
    table = _tables()[b"cmap"]
    (count,) = struct.unpack_from(">H", table, 2)
    found: dict[int, int] = {}
    for number in range(count):
        (start,) = struct.unpack_from(">4xI", table, 4 + 8 * number)
        if struct.unpack_from(">H", table, start) != (4,):
            continue
        (twice,) = struct.unpack_from(">H", table, start + 6)
        half, at = twice // 2, start + 14
        read = [struct.unpack_from(f">{half}H", table, at + offset) for offset in (0, twice + 2)]
        deltas, offsets = (struct.unpack_from(f">{half}H", table, at + k * twice + 2) for k in (2, 3))
        for segment, (last, first) in enumerate(zip(*read, strict=True)):
            for code in range(first, min(last, 0xFFFE) + 1):
                glyph = code
                if offsets[segment]:
                    where = at + 3 * twice + 2 + 2 * segment + offsets[segment] + 2 * (code - first)
                    (glyph,) = struct.unpack_from(">H", table, where)
                    if not glyph:
                        continue
                found[code] = (glyph + deltas[segment]) & 0xFFFF
    return found


@cache
def _units() -> int:
    return int(struct.unpack_from(">H", _tables()[b"head"], 18)[0])


@cache
def _advance(letter: str) -> float:
    """Return how far the pen moves, as a share of the size of the font."""
    if letter in _SUPERSCRIPT:
        return 0.6 * _advance(_SUPERSCRIPT[letter])
    glyph = _characters().get(ord(_INSTEAD.get(letter, letter)))
    if glyph is None:
        return 0.0
    (long,) = struct.unpack_from(">H", _tables()[b"hhea"], 34)
    return float(struct.unpack_from(">H", _tables()[b"hmtx"], 4 * min(glyph, long - 1))[0]) / _units()


@cache
def _glyph(letter: str) -> tuple[Contour, ...]:
    """Return the contours of a letter as shares of the size of the font, y upwards."""
    if letter in _SUPERSCRIPT:
        return tuple(0.6 * one + np.array([0.0, 0.32]) for one in _glyph(_SUPERSCRIPT[letter]))
    glyph = _characters().get(ord(_INSTEAD.get(letter, letter)))
    return () if glyph is None else tuple(one / _units() for one in _contours(glyph))


def _contours(glyph: int) -> list[Contour]:
    """Return the contours of a glyph in units of the font."""
    long = struct.unpack_from(">H", _tables()[b"head"], 50)[0]
    field, factor = (">2I", 1) if long else (">2H", 2)
    places = struct.unpack_from(field, _tables()[b"loca"], glyph * struct.calcsize(field) // 2)
    start, end = (place * factor for place in places)
    if start == end:
        return []
    data = _tables()[b"glyf"][start:end]
    (count,) = struct.unpack_from(">h", data)
    return list(_simple(data, count) if count >= 0 else _composite(data))


def _composite(data: bytes) -> Iterator[Contour]:
    """Yield the contours of a glyph that is made of others, moved."""
    at, flags = 10, _MORE
    while flags & _MORE:
        flags, part = struct.unpack_from(">HH", data, at)
        moved = struct.unpack_from(">hh" if flags & _WORDS else ">bb", data, at + 4)
        at += 8 if flags & _WORDS else 6
        at += 2 if flags & _SCALE else 4 if flags & _XY_SCALE else 8 if flags & _TWO_BY_TWO else 0
        shift = np.array(moved if flags & _XY else (0, 0), np.float64)
        for contour in _contours(part):
            yield contour + shift


def _simple(data: bytes, count: int) -> Iterator[Contour]:
    """Yield the contours of a glyph of `count` contours."""
    ends = struct.unpack_from(f">{count}H", data, 10)
    (instructions,) = struct.unpack_from(">H", data, 10 + 2 * count)
    at, points, flags = 12 + 2 * count + instructions, ends[-1] + 1 if ends else 0, list[int]()
    while len(flags) < points:
        flag, at = data[at], at + 1
        repeated = 0
        if flag & _REPEAT:
            repeated, at = data[at], at + 1
        flags += [flag] * (1 + repeated)
    axes = []
    for short, same in ((_SHORT_X, _SAME_X), (_SHORT_Y, _SAME_Y)):
        place, values = 0, []
        for flag in flags:
            if flag & short:
                place += data[at] if flag & same else -data[at]
                at += 1
            elif not flag & same:
                place += struct.unpack_from(">h", data, at)[0]
                at += 2
            values.append(place)
        axes.append(values)
    corners = np.array(axes, np.float64).T
    on = np.array([bool(flag & _ON) for flag in flags])
    for first, last in zip((0, *(end + 1 for end in ends[:-1])), ends, strict=True):
        if last > first:
            yield _flattened(corners[first : last + 1], on[first : last + 1])


def _flattened(points: Contour, on: npt.NDArray[np.bool_]) -> Contour:
    """Return quadratic curves as lines: between two points off the curve there is one on it, half way."""
    line: list[tuple[Contour, bool]] = []
    for number, (point, here) in enumerate(zip(points, on, strict=True)):
        line.append((point, bool(here)))
        after = (number + 1) % len(points)
        if not here and not on[after]:
            line.append(((point + points[after]) / 2, True))
    start = next(number for number, (_, here) in enumerate(line) if here)
    line = line[start:] + line[:start]
    found: list[Contour] = []
    for number, (point, here) in enumerate(line):
        if here:
            found.append(point)
            continue
        before, after_it = line[number - 1][0], line[(number + 1) % len(line)][0]
        for step in range(1, _STEPS):
            t = step / _STEPS
            found.append((1 - t) ** 2 * before + 2 * t * (1 - t) * point + t**2 * after_it)
    return np.array(found)
