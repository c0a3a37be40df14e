"""Arrangements of the sheets, each of which shows a picture, and the problem they make with the guides."""

import numbers
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, get_args

import numpy.typing as npt

from mlsolve_kernels.placement.move import Move, move_of

from ..errors import OptionError
from ..ranges import MIN_EXPOSURE, choice, number
from .options import MAX_WEIGHT
from .settings import MAX_LAYERS

Flip = Literal["h", "v"]
Outline = Literal["sheet", "disc"]

MAX_ARRANGEMENTS: Final = 16
"""Most pictures that one set of sheets can show."""

_MAX_SHIFT: Final = 1e6


@dataclass(frozen=True)
class Placement:
    """How a sheet is placed in an arrangement: flipped, then rotated about its middle, then shifted.

    Raises OptionError for values without a meaning.
    """

    layer: int
    """Number of the layer, from 1."""
    rotate: float = 0.0
    """Rotation in degrees, counter-clockwise as you look at the sheet. Quarter turns are exact; other angles are
    interpolated."""
    flip: Flip | None = None
    """"h" exchanges left and right, "v" top and bottom: the sheet is turned over."""
    shift: tuple[float, float] = (0.0, 0.0)
    """Shift to the right and down, in pixels at full size; whole pixels are exact."""

    def __post_init__(self) -> None:
        """Check every field; NumPy's numbers become Python's."""
        if isinstance(self.layer, bool) or not isinstance(self.layer, numbers.Integral) or self.layer < 1:
            raise OptionError(f"layer is {self.layer!r}: give the number of a layer, from 1")
        object.__setattr__(self, "layer", int(self.layer))
        object.__setattr__(self, "rotate", number("rotate", self.rotate, -3600.0, 3600.0))
        if self.flip is not None and self.flip not in get_args(Flip):
            raise OptionError(f'flip is {self.flip!r}: use "h" (left and right) or "v" (top and bottom)')
        shift = self.shift
        if isinstance(shift, str) or not isinstance(shift, Sequence) or len(shift) != 2:
            raise OptionError(f"shift is {shift!r}: give two numbers, to the right and down")
        object.__setattr__(self, "shift", tuple(number("shift", way, -_MAX_SHIFT, _MAX_SHIFT) for way in shift))

    @property
    def still(self) -> bool:
        """Whether the sheet is unmoved."""
        return self.rotate % 360 == 0 and self.flip is None and self.shift == (0.0, 0.0)

    @property
    def sideways(self) -> bool:
        """Whether it is rotated by 90° or 270°."""
        return self.rotate % 180 == 90

    def move(self, shape: tuple[int, int], scale: float = 1.0) -> Move:
        """Return the map from pixels of a stack of `shape` = (height, width) to the sheet.

        scale: pixels of that stack per pixel at full size.
        """
        return move_of(shape, self.rotate, self.flip, (self.shift[0] * scale, self.shift[1] * scale))

    def words(self) -> str:
        """Return the placement in a few words: "2, turned 90°, flipped h, shifted 3, 0"."""
        parts = [str(self.layer)]
        if self.rotate % 360:
            parts.append(f"turned {self.rotate % 360:g}°")
        if self.flip:
            parts.append(f"flipped {self.flip}")
        if self.shift != (0.0, 0.0):
            parts.append(f"shifted {self.shift[0]:g}, {self.shift[1]:g}")
        return ", ".join(parts)


@dataclass(frozen=True, eq=False)
class Arrangement:
    """One way to stack the sheets, and the picture that the stack shows.

    Raises OptionError for values out of range.
    """

    target: "npt.ArrayLike | Path"
    """The picture: an array as `mlsolve.solve` takes it; in a job, a file."""
    place: "Sequence[Placement] | None" = None
    """The placed sheets, from the front if there are gaps, else in any order; None: all sheets, unmoved."""
    weight: float = 1.0
    """Weight of this picture against the others, above 0."""
    exposure: float | None = None
    """Exposure of this stack, 0.0001 to 1; None: balanced against the others' (docs/maths.md §10)."""
    mask: "npt.ArrayLike | Path | None" = None
    """Picture that weights the pixels of the target: white counts in full, black not at all; None: no weights."""

    def __post_init__(self) -> None:
        """Check everything that does not need the pictures."""
        object.__setattr__(self, "weight", number("weight", self.weight, 1e-6, MAX_WEIGHT))
        if self.exposure is not None:
            object.__setattr__(self, "exposure", number("exposure", self.exposure, MIN_EXPOSURE, 1.0))
        if self.place is not None:
            place = tuple(self.place)
            if not place or not all(isinstance(one, Placement) for one in place):
                raise OptionError(f"place is {self.place!r}: give a Placement for every sheet, one at least")
            object.__setattr__(self, "place", place)

    def __eq__(self, other: object) -> bool:
        """Compare all fields: files by name, arrays by identity."""
        if not isinstance(other, Arrangement):
            return NotImplemented
        pictures = (self.target, other.target), (self.mask, other.mask)
        same = all(a is b or (isinstance(a, Path) and isinstance(b, Path) and a == b) for a, b in pictures)
        return same and (self.place, self.weight, self.exposure) == (other.place, other.weight, other.exposure)

    def __hash__(self) -> int:
        """Return a hash that agrees with `__eq__`."""
        return hash((self.place, self.weight, self.exposure))

    def placed(self, layers: int) -> tuple[Placement, ...]:
        """Return the placements of the sheets, of a set of `layers` layers."""
        if self.place is None:
            return tuple(Placement(layer) for layer in range(1, layers + 1))
        return tuple(self.place)


@dataclass(frozen=True, eq=False)
class Problem:
    """Guides, one per layer, and arrangements of the layers: several pictures for `mlsolve.solve`."""

    guides: "Sequence[npt.ArrayLike]"
    """The pictures the layers look like, 1 to 16 of one size."""
    arrangements: "Sequence[Arrangement]"
    """The stacks and their targets, 1 to 16, of the same size."""
    shape: Outline = "sheet"
    """"sheet", or "disc": round sheets, clear outside the largest circle, where nothing counts."""


def check_arrangements(
    arrangements: Sequence[Arrangement], layers: int, size: tuple[int, int] | None = None, shape: str = "sheet"
) -> None:
    """Raise OptionError unless `layers` layers of `size` = (width, height) pixels can be arranged like this."""
    choice("shape", shape, get_args(Outline))
    if not 1 <= len(arrangements) <= MAX_ARRANGEMENTS:
        raise OptionError(f"there are {len(arrangements)} arrangements: give 1 to {MAX_ARRANGEMENTS}")
    if size is not None and shape == "disc" and size[0] != size[1]:
        raise OptionError(f"the sheets are {size[0]}×{size[1]} pixels: round ones must be square, give --size N")
    used: set[int] = set()
    for number_of, arrangement in enumerate(arrangements, start=1):
        name = f"arrangement {number_of}"
        placed = arrangement.placed(layers)
        numbers_of = [one.layer for one in placed]
        for one in placed:
            if one.layer > layers:
                raise OptionError(f"{name} places layer {one.layer}: there are {layers} guides, so {layers} layers")
            if numbers_of.count(one.layer) > 1:
                raise OptionError(f"{name} places layer {one.layer} twice: place every sheet once")
            if size is not None and one.sideways and size[0] != size[1]:
                raise OptionError(
                    f"{name} rotates layer {one.layer} by {one.rotate:g}°, and the sheets are {size[0]}×{size[1]} "
                    "pixels: sheets with quarter turns must be square, give --size N"
                )
            if size is not None and (abs(one.shift[0]) >= size[0] or abs(one.shift[1]) >= size[1]):
                raise OptionError(
                    f"{name} shifts layer {one.layer} by {one.shift[0]:g}, {one.shift[1]:g} pixels, which is off "
                    f"the sheet of {size[0]}×{size[1]}: shift it less"
                )
        used.update(numbers_of)
    for layer in range(1, min(layers, MAX_LAYERS) + 1):
        if layer not in used:
            raise OptionError(f"layer {layer} is in no arrangement: add it to one, or leave its guide out")


def check_registration(registration: float, shape: tuple[int, int]) -> None:
    """Raise OptionError if the tolerance is more than a quarter of the short side of `shape` = (height, width)."""
    most = min(shape) // 4
    if registration > most:
        raise OptionError(
            f"registration is {registration:g} pixels, sheets {shape[1]}×{shape[0]}: it must be {most} or less"
        )
