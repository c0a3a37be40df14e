"""What is where on a sheet, in millimetres, as plain numbers: what the files hold is measured against them.

Coordinates are (x, y) in mm from the upper left corner of the trimmed sheet, as its viewer sees it: x to the right,
y downwards. A mirrored sheet has the same plan; the page is mirrored as a whole when it is written.

From the picture outwards there are the bleed, one lane of targets, pins and verniers, one lane of bars and text,
and the edge where the shop cuts. Everything in the border is the same on all sheets, so that all of
it coincides in the stack, except numbers and verniers.
"""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from ..job.print_size import INCH
from .outlines import text_width
from .shop import Shop

INNER: Final = 5.5
"""From the bleed to the middle of the lane of targets, pins and verniers."""
OUTER: Final = 11.5
"""From the bleed to the lane of bars and text."""
TARGET_ARM: Final = 4.0
TARGET_SQUARE: Final = 2.5
"""Half a side of the square of a target."""
CUT: Final = (1.0, 7.0)
"""From the bleed to where the mark of a cut begins and ends."""
_BESIDE_HOLE: Final = 2.2
"""Room along the border beside a hole for its word, which may be below it."""
_BESIDE_CUT: Final = 4.0
"""Room along the border for the mark of a cut and its word."""
TEXT: Final = 2.6
"""Height of capital letters."""
SCALE_LINES: Final = 11
"""Lines of a vernier; the middle one coincides where sheets are aligned."""
SCALE_PITCH: Final = 1.0
VERNIER_PITCH: Final = 0.9
"""Pitch on the first sheet and on the others: a step of 0.1 mm, a range of ±0.5 mm."""
SLOT: Final = 15.0
"""Room that a vernier takes along its side."""
BARS: Final = (200.0, 100.0, 50.0, 20.0)
"""Lengths of bars to measure stretch by; the longest that fits is taken."""


@dataclass(frozen=True)
class Box:
    """A rectangle, in mm."""

    x: float
    y: float
    width: float
    height: float

    def grown(self, by: float) -> "Box":
        """Return the rectangle with `by` mm more on each side."""
        return Box(self.x - by, self.y - by, self.width + 2 * by, self.height + 2 * by)


@dataclass(frozen=True)
class Target:
    """A register target: a thin cross and a square, which holes never have."""

    name: str
    x: float
    y: float


@dataclass(frozen=True)
class Pin:
    """Where a hole is to be punched: a bold ring, as large as the hole, with a cross, and the word HOLE."""

    x: float
    y: float
    diameter: float


@dataclass(frozen=True)
class Bar:
    """A bar of known length, from (x, y) to the right or, upright, downwards."""

    x: float
    y: float
    length: float
    upright: bool


@dataclass(frozen=True)
class Vernier:
    """One half of a vernier: on the first sheet the scale, on sheet `sheet` what is compared with it."""

    sheet: int
    """The sheet that is compared with the first."""
    x: float
    y: float
    """Its middle line, where both halves meet."""
    pitch: float
    upright: bool
    """Whether its lines lie one above the other, to measure a shift up or down."""


Side = Literal["left", "top", "right", "bottom"]


@dataclass(frozen=True)
class Cut:
    """A mark beside an edge of the picture that is cut, because another part of the sheet joins there."""

    side: Side
    x: float
    y: float
    """The end that is next to the bleed."""
    towards: tuple[float, float]
    """Unit vector to the other end, away from the picture."""


@dataclass(frozen=True)
class Text:
    """A line of text from (x, y), the left end of its base line."""

    x: float
    y: float
    height: float
    text: str
    turned: bool = False


@dataclass(frozen=True)
class Plan:
    """A sheet."""

    number: int
    sheets: int
    trim: tuple[float, float]
    """Width and height of the trimmed sheet."""
    bleed: float
    """Beyond the trimmed sheet, on each side."""
    picture: Box
    printed: Box
    """The picture with what goes on beyond its edge."""
    mirrored: bool
    targets: tuple[Target, ...] = ()
    pins: tuple[Pin, ...] = ()
    bars: tuple[Bar, ...] = ()
    verniers: tuple[Vernier, ...] = ()
    cuts: tuple[Cut, ...] = ()
    texts: tuple[Text, ...] = ()
    up: tuple[float, float] | None = None
    """Tip of the arrow that points up."""
    omitted: tuple[str, ...] = ()
    """Marks for which the sheet is too small."""

    @property
    def page(self) -> tuple[float, float]:
        """Width and height with the bleed."""
        return self.trim[0] + 2 * self.bleed, self.trim[1] + 2 * self.bleed


def sheet_plan(
    number: int,
    sheets: int,
    picture: tuple[float, float],
    largest: tuple[float, float],
    shop: Shop,
    name: str,
    part: str = "",
    joined: tuple[Side, ...] = (),
    moved: tuple[float, float] | None = None,
) -> Plan:
    """Return the plan of sheet `number`, from 1, of `sheets`.

    picture: its width and height in mm. largest: those of the largest picture; all sheets have its size, and
    pictures are centred. name: what the sheet says of the run. part: which part of a split sheet it is, or which
    film. joined: the sides where other parts of the sheet are joined. moved: how far the picture lies from the
    border on the left and at the top, in mm; None: it is centred.
    """
    trim = largest[0] + 2 * shop.border, largest[1] + 2 * shop.border
    beside = ((trim[0] - picture[0]) / 2, (trim[1] - picture[1]) / 2)
    if moved is not None:
        beside = shop.border + moved[0], shop.border + moved[1]
    box = Box(*beside, *picture)
    plain = Plan(number, sheets, trim, shop.bleed, box, box.grown(shop.bleed), shop.mirror)
    if not shop.border:
        return plain
    inner = shop.border - shop.bleed - INNER
    outer = shop.border - shop.bleed - OUTER
    ends = _ends(inner, shop, joined)
    pins, without = _pins(trim, inner, ends, shop)
    bars = _bars(trim, outer)
    verniers, missed = _verniers(number, sheets, trim, inner, ends, shop)
    texts, up = _texts(number, sheets, trim, outer, name, part)
    left_out = [*without, *missed] + ([] if len(bars) == 2 else ["a bar"])
    return Plan(
        **{
            key: getattr(plain, key)
            for key in ("number", "sheets", "trim", "bleed", "picture", "printed", "mirrored")
        },
        targets=_targets(trim, inner),
        pins=pins,
        bars=bars,
        verniers=verniers,
        cuts=tuple(_cuts(box, shop.bleed, joined)),
        texts=(*texts, *_labels(bars, outer), *_numbers(verniers)),
        up=up,
        omitted=tuple(left_out),
    )


def _targets(trim: tuple[float, float], inner: float) -> tuple[Target, ...]:
    """Return targets in the corners and in the middle of the sides."""
    width, height = trim
    across = {"left": inner, "middle": width / 2, "right": width - inner}
    down = {"top": inner, "middle": height / 2, "bottom": height - inner}
    return tuple(
        Target(f"{first} {second}", x, y)
        for first, y in down.items()
        for second, x in across.items()
        if (first, second) != ("middle", "middle")
    )


def _ends(inner: float, shop: Shop, joined: tuple[Side, ...]) -> tuple[float, float]:
    """Return what the corners take of the sides along x and along y: targets, and marks of cuts."""
    plain = inner + TARGET_ARM + 1
    return (
        shop.border + _BESIDE_CUT if {"left", "right"} & set(joined) else plain,
        shop.border + _BESIDE_CUT if {"top", "bottom"} & set(joined) else plain,
    )


def _cuts(picture: Box, bleed: float, joined: tuple[Side, ...]) -> Iterator[Cut]:
    """Yield two marks for each side that is joined: where the line of the cut leaves the picture and its bleed."""
    right, bottom, away = picture.x + picture.width, picture.y + picture.height, bleed + CUT[0]
    for side in joined:
        if side in ("left", "right"):
            x = picture.x if side == "left" else right
            yield Cut(side, x, picture.y - away, (0.0, -1.0))
            yield Cut(side, x, bottom + away, (0.0, 1.0))
        else:
            y = picture.y if side == "top" else bottom
            yield Cut(side, picture.x - away, y, (-1.0, 0.0))
            yield Cut(side, right + away, y, (1.0, 0.0))


def _pins(
    trim: tuple[float, float], inner: float, ends: tuple[float, float], shop: Shop
) -> tuple[tuple[Pin, ...], list[str]]:
    """Return two holes on every side, and what the sheet is too small for."""
    width, height = trim
    half, found, without = shop.pin_spacing / 2, list[Pin](), list[str]()
    rooms = [shop.pin_spacing + shop.pin_diameter + 2 * end for end in ends]
    middle = TARGET_ARM + 1 + shop.pin_diameter / 2
    if width >= rooms[0] and half >= middle:
        found += [
            Pin(width / 2 + way, y, shop.pin_diameter) for y in (inner, height - inner) for way in (-half, half)
        ]
    else:
        without.append("holes at top and bottom")
    if height >= rooms[1] and half >= middle:
        found += [
            Pin(x, height / 2 + way, shop.pin_diameter) for x in (inner, width - inner) for way in (-half, half)
        ]
    else:
        without.append("holes at the sides")
    return tuple(found), without


def _bars(trim: tuple[float, float], outer: float) -> tuple[Bar, ...]:
    """Return a bar at the bottom and one on the left, each in the middle of its side."""
    found = []
    for upright, side in ((False, trim[0]), (True, trim[1])):
        length = next((one for one in BARS if one + 2 * outer + 20 <= side), None)
        if length is not None:
            start = (side - length) / 2
            found.append(Bar(outer, start, length, True) if upright else Bar(start, trim[1] - outer, length, False))
    return tuple(found)


def _verniers(
    number: int, sheets: int, trim: tuple[float, float], inner: float, ends: tuple[float, float], shop: Shop
) -> tuple[tuple[Vernier, ...], list[str]]:
    """Return the halves of verniers on sheet `number`, at the bottom and on the right."""
    found, missed = list[Vernier](), set[int]()
    for upright, side, end in ((False, trim[0], ends[0]), (True, trim[1], ends[1])):
        places = _slots(side, inner, end, shop)
        for other in range(2, sheets + 1):
            if other - 2 >= len(places):
                missed.add(other)
            elif number in (1, other):
                along = places[other - 2]
                x, y = (trim[0] - inner, along) if upright else (along, trim[1] - inner)
                found.append(Vernier(other, x, y, SCALE_PITCH if number == 1 else VERNIER_PITCH, upright))
    return tuple(found), [f"verniers of sheet {one}" for one in sorted(missed)]


def _slots(side: float, inner: float, end: float, shop: Shop) -> list[float]:
    """Return the middles of the places for verniers along a side, beside targets, holes and marks of cuts."""
    taken = [inner, side / 2, side - inner]
    clear = [end - inner, TARGET_ARM + 1.0, end - inner]
    half = shop.pin_spacing / 2
    if side >= shop.pin_spacing + shop.pin_diameter + 2 * end:
        taken += [side / 2 - half, side / 2 + half]
        clear += [shop.pin_diameter / 2 + _BESIDE_HOLE] * 2
    spans = sorted(zip(taken, clear, strict=True))
    found = []
    for (left, before), (right, after) in itertools.pairwise(spans):
        start, end = left + before, right - after
        count = math.floor((end - start) / SLOT)
        gap = (end - start - count * SLOT) / 2
        found += [start + gap + (slot + 0.5) * SLOT for slot in range(count)]
    return sorted(found, key=lambda place: (abs(place - side / 2), place))


def _texts(
    number: int, sheets: int, trim: tuple[float, float], outer: float, name: str, part: str
) -> tuple[list[Text], tuple[float, float]]:
    """Return the lines at the top, made smaller where the sheet is narrow, and where the arrow is."""
    words = f"UP - this side to the viewer   ·   sheet {number} of {sheets}{part}   ·   {name}"
    left = outer + 8
    height = min(TEXT, TEXT * (trim[0] - left - outer) / text_width(words, TEXT))
    return [Text(left, outer + 1.0, height, words)], (outer + 4, outer - 2.0)


def _labels(bars: tuple[Bar, ...], outer: float) -> list[Text]:
    """Return what the bars say."""
    found = []
    for bar in bars:
        words = f"{bar.length:g} mm"
        if bar.upright:
            found.append(Text(bar.x + 1.0, bar.y - 1.5, 1.8, words, turned=True))
        else:
            found.append(Text(bar.x + bar.length + 1.5, bar.y + 1.0, 1.8, words))
    return found


def _numbers(verniers: tuple[Vernier, ...]) -> list[Text]:
    """Return the sheets' numbers beside their verniers, in the same place on both sheets."""
    reach = (SCALE_LINES // 2) * SCALE_PITCH + 0.5
    return [
        Text(one.x - 3.2, one.y - reach - 0.2, 1.4, f"{one.sheet}")
        if one.upright
        else Text(one.x - reach - 1.6, one.y - 1.0, 1.4, f"{one.sheet}")
        for one in verniers
    ]


def millimetres(pixels: int, dpi: float) -> float:
    """Return the length of `pixels` in mm."""
    return pixels * INCH / dpi
