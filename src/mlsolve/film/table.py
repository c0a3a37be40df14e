"""What the camera sees: the size of a frame, the light box, and where the sheets lie side by side."""

import math
from typing import Final

from ..scoring.bands import shown

_ACROSS: Final = 0.88
"""Share of a frame's width that the picture may fill."""
_DOWN: Final = 0.175
"""What is left of its height above and below the picture, as a share of the frame's longer side."""
_CAPTION: Final = 0.035
"""How much of that the picture is lifted by where there are captions below it, likewise."""
_WIDER: Final = 1.2
_LEAST_ASPECT: Final = 3 / 4
_MOST_ASPECT: Final = 16 / 9
"""A frame is so much wider than the sheets are, within these proportions."""

_RIM: Final = 0.022
"""Breadth of the bare light box around the picture, as a share of the picture's longer side."""
_GAP: Final = 0.11
"""Between sheets that lie side by side, likewise."""
_SEEN: Final = 0.93
"""Share of a frame that they fill at the most."""
_FARTHEST_NEAR: Final = 0.8
"""The camera is at least so far away at first that coming near is seen."""
_BACK, _OPEN = 0.3, 0.38
"""How much farther the camera goes, and how much larger the box becomes, where sheets turn: they need room."""
_ASIDE: Final = 1.12
"""Where sheets that are not used are put, in sheets from the middle."""

Size = tuple[int, int]


def frame_size(sheet: Size, longest: int) -> Size:
    """Return (width, height), both even, of frames for sheets like `sheet`; longest: pixels of the longer side."""
    aspect = min(_MOST_ASPECT, max(_LEAST_ASPECT, _WIDER * sheet[0] / sheet[1]))
    width, height = (longest, longest / aspect) if aspect >= 1 else (longest * aspect, longest)
    return 2 * max(1, round(width / 2)), 2 * max(1, round(height / 2))


def picture_size(sheet: Size, frame: Size) -> Size:
    """Return (width, height) of the picture in a `frame`, for sheets like `sheet`, both (width, height)."""
    scale = min(_ACROSS * frame[0] / sheet[0], (frame[1] - _DOWN * max(frame)) / sheet[1])
    return shown(sheet, max(1, math.floor(scale * max(sheet))), enlarge=True)


class Table:
    """A dark table with a light box, sheets of `picture` = (width, height) pixels, and a camera above it.

    Lengths are in pixels of the picture, from its middle. nearness: 0 where the camera sees all sheets at once,
    1 where the picture is seen pixel for pixel. back: 1 where camera and box make room for sheets that turn.
    """

    def __init__(self, picture: Size, frame: Size, sheets: int, captions: bool, outline: str = "sheet") -> None:
        """frame: (width, height). captions: whether room is left for them. outline: "sheet" or "disc"."""
        self.picture, self.frame = picture, frame
        left = (frame[0] - picture[0]) // 2
        top = (frame[1] - picture[1]) // 2
        if captions:
            top = max(0, top - round(_CAPTION * max(frame)))
        self.corner = (left, top)
        """x, y of the picture's first pixel in the frame, seen from near."""
        self.focus = (left + (picture[0] - 1) / 2, top + (picture[1] - 1) / 2)
        """x, y in the frame of the picture's middle; there the camera points, whatever its height."""
        self._rim, self.gap = _RIM * max(picture), _GAP * max(picture)
        self.round = outline == "disc"
        # Bare box dazzles: large sheets count for as much as the share of the grid that sheets fill.
        columns = max(
            range(1, sheets + 1), key=lambda across: self._grid(sheets, across)[0] / (across * -(-sheets // across))
        )
        self._far, self._wide, self.places = self._grid(sheets, columns)

    def _grid(self, sheets: int, columns: int) -> tuple[float, tuple[float, float], list[tuple[float, float]]]:
        """Return zoom, half the box, and the places of all sheets in so many columns; the last row is centred."""
        across, down = self.picture[0] + self.gap, self.picture[1] + self.gap
        rows = -(-sheets // columns)
        places = []
        for row in range(rows):
            here = min(columns, sheets - row * columns)
            y = (row - (rows - 1) / 2) * down
            places += [((column - (here - 1) / 2) * across, y) for column in range(here)]
        half = ((columns * across + self.gap) / 2, (rows * down + self.gap) / 2)
        # As much is seen above the middle as below it, of which the captions take some.
        zoom = min(
            _SEEN * self.frame[0] / 2 / half[0],
            (self.focus[1] - (1 - _SEEN) * self.frame[1] / 2) / half[1],
            _FARTHEST_NEAR,
        )
        return zoom, half, places

    def aside(self, sheet: int) -> tuple[float, float]:
        """Return where the `sheet` of this number, from 0, lies in the dark while it is not used."""
        x = self.places[sheet][0]
        left = x < 0 if x else sheet % 2 == 0
        return (-1 if left else 1) * _ASIDE * self.picture[0], 0.0

    def zoom(self, nearness: float, back: float = 0.0) -> float:
        """Return pixels of the frame for one of the picture."""
        return 1.0 if (nearness, back) == (1, 0) else float(self._far ** (1 - nearness) / (1 + _BACK * back))

    def box(self, nearness: float, back: float = 0.0) -> tuple[float, float, float]:
        """Return half the width, half the height, and the radius of the corners of the lit part of the box."""
        x, y = (
            (wide + nearness * (side / 2 + self._rim - wide)) * (1 + _OPEN * back)
            for wide, side in zip(self._wide, self.picture, strict=True)
        )
        radius = self._rim
        if self.round:
            radius += nearness * (min(x, y) - radius)
        return x, y, radius
