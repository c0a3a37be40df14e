"""What was written, file by file: the source of what for-the-shop.txt and assembly.pdf tell."""

from dataclasses import dataclass

from .plan import Plan
from .shop import Shop
from .tiling import Tile


@dataclass(frozen=True)
class SheetFile:
    """A file: a sheet, a part of one, or the film of one of its inks."""

    name: str
    plan: Plan
    row: int
    column: int
    """Of the part, from 1."""
    ink: str | None
    """Which film it is; None: it is no film."""
    screen: str
    """The pattern of a film in words, "" for other files."""


@dataclass(frozen=True)
class Inventory:
    """All files of a run that were written for a shop."""

    run: str
    """Name and digest, as on the sheets."""
    shop: Shop
    sheets: int
    files: tuple[SheetFile, ...]
    columns: int
    rows: int
    """Of the parts that each sheet is cut into."""
    whole: tuple[float, float]
    """Width and height in mm of a sheet with its border, as if it were in one part."""
    tiles: tuple[Tile, ...] = ()
    """The pages of a file at home, in their order; (): a file is one page, as large as the sheet."""
    paper: tuple[float, float] = (0.0, 0.0)
    """Width and height of these pages in mm, as they lie."""

    @property
    def parted(self) -> bool:
        """Whether sheets are in several parts."""
        return self.columns * self.rows > 1

    @property
    def tiled(self) -> bool:
        """Whether sheets are on several pages."""
        return len(self.tiles) > 1

    @property
    def inks(self) -> tuple[str, ...]:
        """The inks of films, in their order."""
        return tuple(dict.fromkeys(one.ink for one in self.files if one.ink is not None))

    @property
    def plan(self) -> Plan:
        """The plan of the first file."""
        return self.files[0].plan

    @property
    def needs_joining(self) -> bool:
        """Whether a file is not yet a sheet, so that there is something to tell before they are assembled."""
        return self.parted or self.tiled or bool(self.inks)

    def part_of(self, one: SheetFile) -> str:
        """Return what is in a file, in words."""
        words = [f"sheet {one.plan.number} of {self.sheets}"]
        if self.parted:
            words.append(f"row {one.row} of {self.rows}, column {one.column} of {self.columns}")
        if one.ink is not None:
            words.append(f"film of {one.ink}")
        return ", ".join(words)
