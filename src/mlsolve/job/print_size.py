"""Print sizes: millimetres, inches and paper formats, converted to pixels by a dpi."""

import math
import re
from dataclasses import dataclass
from typing import Final

from ..errors import OptionError
from ..ranges import number as checked

INCH: Final = 25.4
"""Millimetres in an inch."""

FINEST_DPI: Final = 127
"""Above this a pixel is smaller than 0.2 mm, the accuracy of alignment by hand with pins: docs/printing.md."""

MAX_SIDE: Final = 1_000_000
"""Largest side of a sheet in pixels: more than anybody prints, and safe for all arithmetic."""

MAX_DPI: Final = 10_000

_FARTHEST: Final = 1e9
"""Longest length in pixels, far more than the largest sheet."""

DEFAULT_DPI: Final = 100
"""Default for a print without a dpi: pixels of a quarter of a millimetre, which can be aligned by hand."""

_LONGEST: Final = 1e6
"""Longest side of a print in millimetres, one kilometre: more than anybody prints, safe for all arithmetic."""

_MILLIMETRES: Final = {"mm": 1.0, "cm": 10.0, "m": 1000.0, "in": INCH, '"': INCH, "″": INCH}
_NUMBER: Final = r"([0-9]+(?:\.[0-9]+)?|\.[0-9]+)"
_UNIT: Final = '(mm|cm|m|in|"|″)'
_SIDES: Final = re.compile(rf"{_NUMBER}\s*{_UNIT}?\s*[x×]\s*{_NUMBER}\s*{_UNIT}?", re.IGNORECASE)
_LENGTH: Final = re.compile(r"([-+]?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+))\s*(px|mm|cm|m|in|\"|″)?", re.IGNORECASE)
_SHEET: Final = re.compile(r"a([0-9]|10)(?:[-\s](portrait|landscape))?", re.IGNORECASE)


@dataclass(frozen=True)
class PrintSize:
    """The size of a print in millimetres."""

    width: float
    height: float

    def __str__(self) -> str:
        """Return the size as in "600×900 mm"."""
        return f"{self.width:.6g}×{self.height:.6g} mm"

    def pixels(self, dpi: float) -> tuple[int, int]:
        """Return (width, height) in whole pixels at `dpi` pixels per inch, each side rounded to the nearest.

        Raises OptionError for a dpi out of range, and where a side becomes too small or too large to be solved.
        """
        from mlsolve_kernels.window import (
            SIZE,  # imported here because it loads NumPy; --help reads the limits above
        )

        parse_dpi(dpi)
        width, height = round(self.width / INCH * dpi), round(self.height / INCH * dpi)
        short, long = sorted((self.width, self.height))
        found = f"print is {self}, at {dpi:g} dpi {width}×{height} pixels"
        if min(width, height) < SIZE:
            instead = _dpi_or(math.ceil(SIZE * INCH / short)) + "a larger print"
            raise OptionError(f"{found}: the smallest side must be {SIZE} pixels or more, use {instead}")
        if max(width, height) > MAX_SIDE:
            instead = _dpi_or(math.floor(MAX_SIDE * INCH / long)) + "a smaller print"
            raise OptionError(f"{found}: the largest side may be {MAX_SIDE} pixels, use {instead}")
        return width, height


def parse_dpi(dpi: object) -> float:
    """Return `dpi` as a number from 1 to MAX_DPI, or raise OptionError."""
    return checked("dpi", dpi, 1, MAX_DPI)


def parse_print_size(text: str) -> PrintSize:
    """Return the size that `text` names: 600x900mm, 60 × 90 cm, 24x36in, 8.5"x11", A3, A2-landscape.

    Width comes first. The unit may follow both numbers or only the last one. Paper, A0 to A10, is portrait
    unless -landscape is added. Raises OptionError for anything else.
    """
    if sheet := _SHEET.fullmatch(text.strip()):
        short, long = _paper(int(sheet[1]))
        landscape = (sheet[2] or "").lower() == "landscape"
        return PrintSize(long, short) if landscape else PrintSize(short, long)
    sides = _SIDES.fullmatch(text.strip())
    if sides is None:
        raise OptionError(f"print is {text!r}: give WIDTHxHEIGHT and its unit, as in 600x900mm or 24x36in, or A3")
    width, first_unit, height, unit = sides.groups()
    if unit is None:
        raise OptionError(f"print is {text!r}: add its unit, mm, cm, m or in, as in {text.strip()}mm")
    size = PrintSize(
        float(width) * _MILLIMETRES[(first_unit or unit).lower()], float(height) * _MILLIMETRES[unit.lower()]
    )
    if min(size.width, size.height) <= 0 or max(size.width, size.height) > _LONGEST:
        raise OptionError(f"print is {text!r}: both sides must be more than 0 and at most 1 km")
    return size


def parse_length(value: object, name: str, dpi: float | None) -> float:
    """Return the pixels that `value` means: a number, "3px", "0.3mm" or "0.02in", at `dpi` pixels per inch.

    Raises OptionError for anything else, and for millimetres where no dpi is given.
    """
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _FARTHEST:
        return float(value)
    found = _LENGTH.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise OptionError(f"{name} is {value!r}: give pixels or a length, as in 3px or 0.3mm")
    number, unit = float(found[1]), (found[2] or "px").lower()
    if unit == "px":
        return number
    if dpi is None:
        raise OptionError(f"{name} is {value!r}: give --dpi as well, or say it in pixels, as in 3px")
    return number * _MILLIMETRES[unit] / INCH * dpi


def pixel_pitch(dpi: float) -> float:
    """Return the side of a pixel in millimetres."""
    return INCH / dpi


def _dpi_or(dpi: int) -> str:
    """Return the part of a remedy that names `dpi`; an empty text if that is out of range itself."""
    return f"{dpi} dpi or " if 1 <= dpi <= MAX_DPI else ""


def _paper(number: int) -> tuple[float, float]:
    """Return (short, long) side of the sheet A`number` in millimetres, halved and rounded down (ISO 216)."""
    short, long = 841, 1189
    for _ in range(number):
        short, long = long // 2, short
    return float(short), float(long)
