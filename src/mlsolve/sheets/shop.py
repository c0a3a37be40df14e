"""What a print shop takes: a small TOML file that can be read, copied and shared (docs/sheets.md)."""

import math
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final, Literal, get_args

from ..errors import InputError, OptionError
from ..ranges import choice, number
from ..system.memory import parse_memory

FORMAT: Final = 1
INCLUDED: Final = Path(__file__).parent / "shops"
"""The folder of the shops that come with mlsolve."""

Kind = Literal["pdf", "tiff"]
Colour = Literal["rgb", "cmyk", "films"]
Edge = Literal["mirror", "extend"]
Screen = Literal["am", "fm"]

LANES: Final = 16.0
"""Millimetres of border that the marks take beyond the bleed (plan.py)."""
MAX_BLEED: Final = 50.0
MAX_BORDER: Final = 200.0
LONGEST_PAGE: Final = 5080.0
"""Longest side of a PDF page in mm: 200 inches (PDF 1.6, Annex C)."""

_NUMBERS: Final = {
    "least_dpi": (1.0, 10000.0),
    "most_dpi": (1.0, 10000.0),
    "bleed": (0.0, MAX_BLEED),
    "border": (0.0, MAX_BORDER),
    "pin_diameter": (1.0, 7.0),
    "pin_spacing": (10.0, 1000.0),
    "device_dpi": (72.0, 10000.0),
    "lines": (5.0, 300.0),
    "dot": (0.005, 1.0),
    "margin": (0.0, 50.0),
    "overlap": (0.0, 50.0),
}
"""Keys that are numbers, with their smallest and largest value; lengths are in mm."""


@dataclass(frozen=True)
class Shop:
    """What a shop takes. Raises OptionError for values out of range. Lengths are in mm."""

    name: str
    about: str = ""
    kind: Kind = "pdf"
    """Kind of file."""
    colour: Colour = "rgb"
    """RGB, CMYK by a profile, or a binary film for each ink."""
    bits: int = 8
    """Bits of a channel: 8 or 16; 1 for films."""
    largest_file: int | None = None
    """Bytes that a file may have at most."""
    least_dpi: float = 1.0
    most_dpi: float = 10000.0
    page: tuple[float, float] = (LONGEST_PAGE, LONGEST_PAGE)
    """Short and long side of the largest page, bleed included."""
    bleed: float = 0.0
    edge: Edge = "mirror"
    """How the picture goes on beyond its edge."""
    border: float = 0.0
    """From the picture to the edge of the trimmed sheet; 0: no border, and no marks."""
    mirror: bool = False
    """Whether sheets are printed mirrored, to be seen through their material."""
    pin_diameter: float = 6.0
    pin_spacing: float = 80.0
    screen: Screen = "am"
    device_dpi: float = 2400.0
    lines: float = 45.0
    """Lines per inch of an amplitude-modulated screen."""
    dot: float = 0.085
    """Side of a dot of a frequency-modulated screen."""
    paper: tuple[float, float] | None = None
    """Paper over which a sheet is tiled; None: it is one page."""
    margin: float = 0.0
    """What the printer leaves unprinted on each side of the paper."""
    overlap: float = 0.0
    """Width of the strip that the next page is glued onto."""
    sources: tuple[tuple[str, str], ...] = ()
    """Where the figures are from, (key, source)."""

    def __post_init__(self) -> None:
        """Check the values."""
        choice("kind", self.kind, get_args(Kind))
        choice("colour", self.colour, get_args(Colour))
        choice("edge", self.edge, get_args(Edge))
        choice("screen", self.screen, get_args(Screen))
        choice("bits", self.bits, (1,) if self.colour == "films" else (8, 16))
        for key, (low, high) in _NUMBERS.items():
            object.__setattr__(self, key, number(key, getattr(self, key), low, high))
        if self.colour == "films" and self.kind != "pdf":
            raise OptionError(f"kind is {self.kind}: films are written as pdf")
        if self.paper is not None and (self.kind != "pdf" or self.colour != "rgb"):
            raise OptionError("paper is given: pages are tiled only in a pdf in rgb")
        if self.paper is not None and min(self.paper) <= 2 * self.margin + self.overlap + 30:
            raise OptionError(
                f"paper is {self.paper[0]:g}×{self.paper[1]:g} mm: give paper larger than its margins"
            )
        if 0 < self.border < self.bleed + LANES:
            raise OptionError(
                f"border is {self.border:g} mm: marks need {self.bleed + LANES:g} mm beside a bleed of "
                f"{self.bleed:g} mm, or give 0 for a sheet without a border"
            )

    def check_page(self, page: tuple[float, float], whole: tuple[float, float] | None = None) -> None:
        """Raise OptionError if a page of `page` = (width, height) mm is larger than the shop takes.

        whole: the page of the whole sheet, of which this one is a part.
        """
        short, long = sorted(page)
        most_short, most_long = sorted(self.page)
        if short > most_short + 0.05 or long > most_long + 0.05:
            columns, rows = self._parts(whole or page)
            raise OptionError(
                f"a sheet is {page[0]:.1f}×{page[1]:.1f} mm with border and bleed, {self.name} takes "
                f"{most_short:g}×{most_long:g} mm: split it with --split {columns}x{rows}, or solve a smaller print"
            )

    def check_dpi(self, dpi: float) -> None:
        """Raise OptionError if the shop does not take `dpi` pixels per inch."""
        if dpi < self.least_dpi - 0.01:
            raise OptionError(
                f"the layers have {dpi:.5g} dpi, {self.name} takes {self.least_dpi:g} or more: print smaller, or "
                f"solve again with mlsolve run --dpi {math.ceil(self.least_dpi)}"
            )
        if dpi > self.most_dpi + 0.01:
            raise OptionError(
                f"the layers have {dpi:.5g} dpi, {self.name} takes {self.most_dpi:g} or less: solve again with "
                f"mlsolve run --dpi {math.floor(self.most_dpi)}"
            )

    def check_file(self, name: str, size: float, dpi: float) -> None:
        """Raise OptionError if a file of about `size` bytes is larger than the shop takes. dpi: of the layers."""
        if self.largest_file is None or size <= self.largest_file:
            return
        smaller = math.floor(dpi * math.sqrt(self.largest_file / size))
        parts = math.ceil(size / self.largest_file)
        at = f"solve again with mlsolve run --dpi {smaller}, or " if smaller >= self.least_dpi else ""
        raise OptionError(
            f"{name} would be about {size / 1e6:.0f} MB, {self.name} takes {self.largest_file / 1e6:.0f} MB: "
            f"{at}split it with --split {parts}x1"
        )

    def _parts(self, page: tuple[float, float]) -> tuple[int, int]:
        """Return into how many columns and rows a sheet must be cut; the fewest, either way round.

        Every part has a border and a bleed of its own.
        """
        frame = 2 * (self.border + self.bleed)
        ways = []
        for way in (self.page, self.page[::-1]):
            rooms = [max(room - frame, 1.0) for room in way]
            ways.append([max(1, math.ceil((side - frame) / room)) for side, room in zip(page, rooms, strict=True)])
        columns, rows = min(ways, key=math.prod)
        return columns, rows

    @classmethod
    def parse(cls, text: str, named: str) -> "Shop":
        """Return the shop in the text of a file `named` so. Raises InputError for what cannot be used."""
        try:
            found = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise InputError(f"{named} is not TOML ({error}): mend it, or copy an included shop") from None
        known = [one.name for one in fields(cls)]
        for key in found:
            if key not in ("format", *known):
                raise InputError(f"{named} has {key!r}: use {', '.join(known)}")
        if found.pop("format", None) != FORMAT:
            raise InputError(f"{named} has no format = {FORMAT}: this mlsolve reads no other")
        if not isinstance(found.get("name"), str):
            raise InputError(f"{named} has no name: give it one")
        try:
            return cls(**{key: _value(key, value) for key, value in found.items()})
        except OptionError as error:
            raise InputError(f"{named}: {error}") from None
        except (TypeError, ValueError, AttributeError) as error:
            raise InputError(f"{named} has a value of the wrong kind ({error}): see docs/sheets.md") from None


def load_shop(name: str | Path) -> Shop:
    """Return the shop in the file `name`, or the included one of that name. Raises InputError."""
    path = Path(name)
    if str(name) in shop_names():
        path = INCLUDED / f"{name}.toml"
    elif not path.is_file():
        raise InputError(f"shop is {name}: give the file of a shop, or one of {', '.join(shop_names())}")
    try:
        return Shop.parse(path.read_text(encoding="utf-8"), str(name))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{name} cannot be read ({error}): give a TOML file") from None


def shop_names() -> tuple[str, ...]:
    """Return the names of the included shops, in order."""
    return tuple(sorted(path.stem for path in INCLUDED.glob("*.toml")))


def _value(key: str, value: Any) -> Any:
    """Return the value of `key` in a file as a field has it."""
    if key in ("page", "paper"):
        width, height = value
        return number(key, width, 20.0, 1e5), number(key, height, 20.0, 1e5)
    if key == "largest_file":
        return parse_memory(str(value), key)
    if key == "mirror" and not isinstance(value, bool):
        raise OptionError(f"mirror is {value!r}: use true or false")
    if key == "sources":
        return tuple((str(name), str(source)) for name, source in value.items())
    if key in ("name", "about"):
        return str(value)
    return value
