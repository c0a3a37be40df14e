"""The affine map of a placement, from a place of the stack to the place on the sheet seen there, and its inverse.

Rows run down and columns to the right. Coordinates refer to the centres of pixels, and rotations are about the
centre of the image, ((H - 1)/2, (W - 1)/2). So quarter turns of a square, half turns, flips and whole-pixel shifts
map pixels onto pixels: they are *exact*, and their maps contain only whole numbers.
"""

import math
from typing import NamedTuple


class Move(NamedTuple):
    """row = row_y·y + row_x·x + row_0, and likewise column: the place on the sheet at place (y, x) of the stack."""

    row_y: float
    row_x: float
    row_0: float
    column_y: float
    column_x: float
    column_0: float

    @property
    def exact(self) -> bool:
        """Whether it maps pixels onto pixels."""
        return all(float(value).is_integer() for value in self)

    @property
    def turned(self) -> bool:
        """Whether rows of the stack map, roughly, to columns of the sheet."""
        return abs(self.row_x) > abs(self.row_y)

    @property
    def facing(self) -> tuple[int, int, int, int]:
        """The nearest quarter turn or flip, as (row_y, row_x, column_y, column_x), each -1, 0 or 1."""
        if self.turned:
            return 0, int(math.copysign(1, self.row_x)), int(math.copysign(1, self.column_y)), 0
        return int(math.copysign(1, self.row_y)), 0, 0, int(math.copysign(1, self.column_x))

    def after(self, first: "Move") -> "Move":
        """Return the composition: the map that applies `first`, then this one."""
        a, b, c, d, e, f = self
        p, q, r, s, t, u = first
        return Move(
            a * p + b * s, a * q + b * t, a * r + b * u + c, d * p + e * s, d * q + e * t, d * r + e * u + f
        )

    @property
    def inverse(self) -> "Move":
        """The map from the sheet to the stack."""
        a, b, c, d, e, f = self
        # 1 or -1 for exact maps, so that whole numbers stay whole numbers.
        scale = 1 / (a * e - b * d)
        p, q, s, t = e * scale, -b * scale, -d * scale, a * scale
        return Move(p, q, -(p * c + q * f), s, t, -(s * c + t * f))

    def apart(self, shape: tuple[int, int]) -> float:
        """Return the largest distance, along either axis in pixels, between where it and `facing` take a pixel.

        `facing` is applied about the centre of an image of `shape`; the maximum is over all its pixels.
        """
        height, width = shape
        a, b, d, e = self.facing
        still = centred(shape, a, b, d, e)
        corners = [(y, x) for y in (0, height - 1) for x in (0, width - 1)]
        rows = [(self.row_y - a) * y + (self.row_x - b) * x + self.row_0 - still.row_0 for y, x in corners]
        columns = [
            (self.column_y - d) * y + (self.column_x - e) * x + self.column_0 - still.column_0 for y, x in corners
        ]
        return max(map(abs, rows + columns))


Moves = tuple[tuple[Move, ...], ...]
"""For every stack, the map of each of its sheets."""


class Drawn(NamedTuple):
    """The sheets of every stack in an iteration, with the misalignment that was drawn for them."""

    moves: Moves
    """The maps of the misaligned sheets: `own` after `off`."""
    own: Moves
    """The maps without the misalignment."""
    off: Moves
    """The misalignment: the map from a place of the stack to the place that is seen there."""


Placing = Moves | Drawn
"""How sheets are placed in an iteration. Stacks with carriers take a misalignment only if it is named."""

STILL = Move(1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
"""The identity: the map of an unmoved sheet."""


def as_drawn(placing: Placing) -> Drawn:
    """Return `placing` with the misalignment that it names; without one, nothing is misaligned."""
    if isinstance(placing, Drawn):
        return placing
    return Drawn(placing, placing, tuple((STILL,) * len(stack) for stack in placing))


def centred(shape: tuple[int, int], row_y: float, row_x: float, column_y: float, column_x: float) -> Move:
    """Return the linear map with these coefficients about the centre of an image of `shape` = (height, width)."""
    y, x = (shape[0] - 1) / 2, (shape[1] - 1) / 2
    return Move(row_y, row_x, y - row_y * y - row_x * x, column_y, column_x, x - column_y * y - column_x * x)


def move_of(
    shape: tuple[int, int],
    degrees: float = 0.0,
    flip: str | None = None,
    shift: tuple[float, float] = (0.0, 0.0),
) -> Move:
    """Return the map of a sheet of `shape` = (height, width) that is flipped, then rotated, then shifted.

    degrees: counter-clockwise, as seen by the viewer. flip: "h" swaps left and right, "v" swaps top and bottom,
    None: not flipped. shift: (right, down), in pixels.
    """
    cosine, sine = _circle(degrees)
    # From the stack to the sheet, each step is undone, the last one first.
    unshifted = Move(1.0, 0.0, -float(shift[1]), 0.0, 1.0, -float(shift[0]))
    unturned = centred(shape, cosine, sine, -sine, cosine)
    unflipped = centred(shape, -1.0 if flip == "v" else 1.0, 0.0, 0.0, -1.0 if flip == "h" else 1.0)
    return unflipped.after(unturned.after(unshifted))


def _circle(degrees: float) -> tuple[float, float]:
    """Return the cosine and sine, which are exact for quarter turns."""
    quarters, rest = divmod(degrees, 90)
    if rest == 0:
        return ((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0))[int(quarters) % 4]
    angle = math.radians(degrees)
    return math.cos(angle), math.sin(angle)
