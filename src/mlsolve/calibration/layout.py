"""Where everything lies on a chart, in mm from its top left corner, and how a file holds that."""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from ..errors import InputError, OptionError
from ..ranges import count
from .paper import parse_paper
from .patches import STRIP_ROWS, Codes, main_patches, stacked_pairs

FORMAT: Final = 1
CHANNELS: Final = {"grey": 1, "rgb": 3}
MAX_SEED: Final = 2**31 - 1

EDGE: Final = 10.0
"""Margin that stays empty, but for the bar: few desktop printers reach the edge."""
RADIUS: Final = 5.0
"""Outer radius of a marker."""
GAP: Final = 2.0
"""Clear film between patches."""
CELL: Final = (3.0, 4.0)
"""A cell of the code at the top: width and height."""
PREAMBLE: Final = (1, 0, 1, 1, 0, 0, 1, 0)
"""The first cells of the code; 1 is inked. Reversed it is another, so it shows which way round the chart is."""
BITS: Final = 24
"""Cells of the digest behind the preamble."""
BAR: Final = 100.0
_MOST_COLUMNS: Final = 16
_SIDES: Final = (11.0, 10.0, 9.0, 8.0)
"""Sides of a patch, of which the largest that fits is taken."""
_CORNER: Final = EDGE + RADIUS
_STRIP_EDGE: Final = 5.0
"""Film of the strip above and below its patches: it must not cover the clear film around where it is laid."""

Rectangle = tuple[float, float, float, float]
"""Left, top, width, height."""


@dataclass(frozen=True)
class Patch:
    """A patch of the chart."""

    name: str
    """Its row and column, as in c7."""
    where: Rectangle
    codes: Codes
    group: str
    """main, under (what the strip is laid on) or over (the strip)."""


@dataclass(frozen=True)
class Layout:
    """A chart, in mm."""

    paper: str
    size: tuple[float, float]
    """Width and height."""
    channels: int
    seed: int
    patches: tuple[Patch, ...]
    markers: tuple[tuple[float, float], ...]
    """Centres: top left, top right, bottom right, bottom left, then the middles of the left and the right side."""
    cells: tuple[Rectangle, ...]
    """Cells of the code: preamble, digest."""
    clear: Rectangle
    """The clear field."""
    cut: tuple[float, float]
    """Heights of the lines where the strip is cut out."""
    strip: Rectangle
    """The strip's patches before it is cut off."""
    laid: Rectangle
    """Where the strip's patches lie when it is laid over."""

    @property
    def digest(self) -> str:
        """The first BITS bits of the SHA-256 of everything above, in hexadecimal digits."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[: BITS // 4]

    @property
    def bits(self) -> tuple[int, ...]:
        """What the cells of the code show, 1 for ink."""
        number = int(self.digest, 16)
        return (*PREAMBLE, *(number >> (BITS - 1 - at) & 1 for at in range(BITS)))

    def of(self, group: str) -> tuple[Patch, ...]:
        """Return the patches of a group, row by row."""
        return tuple(one for one in self.patches if one.group == group)

    def clear_points(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Return places of clear film, (n, 2): between the main patches, and within the clear field."""
        corners = [
            (round(x + dx, 3), round(y + dy, 3))
            for x, y, width, height in (one.where for one in self.of("main"))
            for dx in (-GAP / 2, width + GAP / 2)
            for dy in (-GAP / 2, height + GAP / 2)
        ]
        left, top, width, height = self.clear
        field = [
            (left + width * (at + 0.5) / 12, top + height * part) for at in range(12) for part in (0.25, 0.5, 0.75)
        ]
        return np.array(sorted({*corners, *field}), dtype=np.float64)

    def table(self) -> str:
        """Return a CSV to fill in by hand: the device codes of all patches and stacks, and empty X, Y, Z."""
        codes = ("r", "g", "b") if self.channels == 3 else ("k",)
        lines = [",".join(("name", *codes, *(f"{one}2" for one in codes), "X", "Y", "Z"))]
        for below, over in zip(self.of("under"), self.of("over"), strict=True):
            stacked = map(str, (*below.codes, *over.codes))
            lines.append(",".join((f"{below.name}+{over.name}", *stacked, "", "", "")))
        for one in self.patches:
            lines.append(",".join((one.name, *map(str, one.codes), *[""] * (self.channels + 3))))
        return "\n".join(lines) + "\n"

    def text(self) -> str:
        """Return the text of chart.json."""
        return json.dumps({"format": FORMAT, "digest": self.digest, **asdict(self)}, indent=1) + "\n"

    @classmethod
    def parse(cls, text: str, named: str) -> "Layout":
        """Return the layout in the text of a file `named` so. Raises InputError for what is not one."""
        try:
            found = json.loads(text)
            if found.pop("format") != FORMAT:
                raise InputError(f"{named} is of another version of mlsolve: write the chart anew")
            digest = found.pop("digest")
            patches = tuple(
                Patch(one["name"], tuple(one["where"]), tuple(one["codes"]), one["group"])
                for one in found.pop("patches")
            )
            rest: dict[str, Any] = {key: tuple(map(tuple, found.pop(key))) for key in ("markers", "cells")}
            rest |= {key: tuple(value) if isinstance(value, list) else value for key, value in found.items()}
            layout = cls(patches=patches, **rest)
        except InputError:
            raise
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise InputError(f"{named} is no chart.json ({error}): give the one that mlsolve chart wrote") from None
        if layout.digest != digest:
            raise InputError(f"{named} was changed since mlsolve chart wrote it: write the chart anew")
        return layout


def arrange(channels: str = "rgb", paper: str = "A4", seed: int = 0) -> Layout:
    """Return the layout of a chart; places are a function of the seed. Raises OptionError."""
    if channels not in CHANNELS:
        raise OptionError(f"channels is {channels!r}: use grey or rgb")
    count("seed", seed, 0, MAX_SEED)
    width, height = parse_paper(paper)
    for side in _SIDES:
        found = _arranged(CHANNELS[channels], paper, (width, height), seed, side)
        if found is not None:
            return found
    raise OptionError(f"paper is {paper!r}: the chart does not fit, use a larger sheet")


def _arranged(channels: int, paper: str, size: tuple[float, float | None], seed: int, side: float) -> Layout | None:
    """Return the layout with patches of this side, None if the sheet is too short for it."""
    rng = np.random.default_rng(seed)
    width, pitch = size[0], side + GAP
    room = width - 2 * (_CORNER + RADIUS + 4)
    columns = min(_MOST_COLUMNS, int((room + GAP) // pitch))
    across = columns * pitch - GAP
    if size[1] is None:
        width = min(width, across + 2 * (_CORNER + RADIUS + 4))
    left = round((width - across) / 2, 2)
    cells, below = _cells(width)

    codes = main_patches(channels)
    codes += [(255,) * channels] * (-len(codes) % columns)
    codes = [codes[at] for at in rng.permutation(len(codes))]
    top = below + 5
    patches = _block(codes, "main", left, top, columns, side, 0)
    rows = len(codes) // columns

    pairs = stacked_pairs(channels, STRIP_ROWS * columns, rng)
    under = top + rows * pitch + 7
    patches += _block([one for one, _ in pairs], "under", left, under, columns, side, rows)
    tall = STRIP_ROWS * pitch - GAP
    clear = (left, under + tall + 7, across, 12.0)
    bottom = clear[1] + clear[3] + 3 + RADIUS
    over = bottom + RADIUS + 10
    cut = (over - _STRIP_EDGE, over + tall + _STRIP_EDGE)
    patches += _block([other for _, other in pairs], "over", left, over, columns, side, rows + STRIP_ROWS)
    end = cut[1] + 7
    if size[1] is not None and end > size[1]:
        return None
    right, middle = width - _CORNER, (bottom + _CORNER) / 2
    markers = (
        (_CORNER, _CORNER),
        (right, _CORNER),
        (right, bottom),
        (_CORNER, bottom),
        (_CORNER, middle),
        (right, middle),
    )
    laid, strip = (left, under, across, tall), (left, over, across, tall)
    whole = (width, end if size[1] is None else size[1])
    return Layout(paper, whole, channels, seed, tuple(patches), markers, cells, clear, cut, strip, laid)


def _block(
    codes: list[Codes], group: str, left: float, top: float, columns: int, side: float, row: int
) -> list[Patch]:
    """Return patches row by row; row: the number of the first."""
    pitch = side + GAP
    return [
        Patch(
            f"{_letters(row + at // columns)}{at % columns + 1}",
            (round(left + at % columns * pitch, 3), round(top + at // columns * pitch, 3), side, side),
            code,
            group,
        )
        for at, code in enumerate(codes)
    ]


def _letters(row: int) -> str:
    """Return the name of a row: a to z, then aa, ab, …"""
    return chr(97 + row) if row < 26 else _letters(row // 26 - 1) + chr(97 + row % 26)


def _cells(width: float) -> tuple[tuple[Rectangle, ...], float]:
    """Return the cells of the code, in as many rows as they need, and where they end."""
    left, top = _CORNER + RADIUS + 4, EDGE + 2.0
    across = int((width - 2 * left) // CELL[0])
    number = len(PREAMBLE) + BITS
    found = tuple((left + at % across * CELL[0], top + at // across * (CELL[1] + 1), *CELL) for at in range(number))
    return found, max(found[-1][1] + CELL[1], _CORNER + RADIUS)
