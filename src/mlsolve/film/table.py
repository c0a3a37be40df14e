"""The geometry of a film: frame size, light box, camera, and the positions of sheets that lie side by side."""

import math
from typing import Final

from ..scoring.previews import shown

_ACROSS: Final = 0.88
"""Maximum share of a frame's width that the picture fills."""
_DOWN: Final = 0.175
"""Height left free above and below the picture together, as a share of the frame's longer side."""
_CAPTION: Final = 0.035
"""How far the picture is raised to make room for captions, as a share of the frame's longer side."""
_WIDER: Final = 1.2
_LEAST_ASPECT: Final = 3 / 4
_MOST_ASPECT: Final = 16 / 9
"""The aspect ratio of a frame is _WIDER times that of the sheets, within these limits."""

_RIM: Final = 0.022
"""Width of the bare light box around the picture, as a share of the picture's longer side."""
_GAP: Final = 0.11
"""Distance between sheets that lie side by side, as a share of the picture's longer side."""
_FILLED: Final = 0.93
"""Maximum share of a frame that sheets side by side fill."""
_FARTHEST_NEAR: Final = 0.8
"""Maximum zoom at the beginning, so that the camera visibly approaches."""
_BACK, _OPEN = 0.3, 0.38
"""How much the camera backs away, and how much the light box grows, while sheets rotate and need room."""
_ASIDE: Final = 1.12
"""Distance from the centre at which unused sheets are put, in widths of a sheet."""

Size = tuple[int, int]
"""(width, height) in pixels."""


def frame_size(sheet: Size, longest: int) -> Size:
    """Return the size of frames for sheets of size `sheet`, both (width, height) in pixels; the result is even.

    longest: length of the longer side of the frame, in pixels.
    """
    aspect = min(_MOST_ASPECT, max(_LEAST_ASPECT, _WIDER * sheet[0] / sheet[1]))
    width, height = (longest, longest / aspect) if aspect >= 1 else (longest * aspect, longest)
    return 2 * max(1, round(width / 2)), 2 * max(1, round(height / 2))


def picture_size(sheet: Size, frame: Size) -> Size:
    """Return the size of the picture in a frame of size `frame`, for sheets of size `sheet`."""
    scale = min(_ACROSS * frame[0] / sheet[0], (frame[1] - _DOWN * max(frame)) / sheet[1])
    return shown(sheet, max(1, math.floor(scale * max(sheet))), enlarge=True)


class Table:
    """A dark table with a light box, sheets of `picture` = (width, height) pixels, and a camera above it.

    Lengths are in pixels of the picture, measured from its centre. nearness: 0 when the camera sees all sheets at
    once, 1 when it shows the picture pixel for pixel. back: 1 when the camera has backed away and the light box has
    grown, to make room for sheets that rotate.
    """

    def __init__(self, picture: Size, frame: Size, sheets: int, captions: bool, outline: str = "sheet") -> None:
        """frame: (width, height) in pixels. captions: whether to leave room for captions.

        outline: "sheet" or "disc".
        """
        self.picture, self.frame = picture, frame
        left = (frame[0] - picture[0]) // 2
        top = (frame[1] - picture[1]) // 2
        if captions:
            top = max(0, top - round(_CAPTION * max(frame)))
        self.corner = (left, top)
        """x, y in the frame of the picture's first pixel, at nearness 1."""
        self.focus = (left + (picture[0] - 1) / 2, top + (picture[1] - 1) / 2)
        """x, y in the frame of the picture's centre, at which the camera points from any height."""
        self._rim, self.gap = _RIM * max(picture), _GAP * max(picture)
        self.round = outline == "disc"
        # A bare light box dazzles: the size of the sheets and the share of the grid that they fill count equally.
        columns = max(
            range(1, sheets + 1), key=lambda across: self._grid(sheets, across)[0] / (across * -(-sheets // across))
        )
        self._far, self._wide, self.places = self._grid(sheets, columns)

    def _grid(self, sheets: int, columns: int) -> tuple[float, tuple[float, float], list[tuple[float, float]]]:
        """Return the zoom, half the size of the box, and the centres of all sheets in a grid of `columns` columns.

        The last row is centred.
        """
        across, down = self.picture[0] + self.gap, self.picture[1] + self.gap
        rows = -(-sheets // columns)
        places = []
        for row in range(rows):
            here = min(columns, sheets - row * columns)
            y = (row - (rows - 1) / 2) * down
            places += [((column - (here - 1) / 2) * across, y) for column in range(here)]
        half = ((columns * across + self.gap) / 2, (rows * down + self.gap) / 2)
        # The camera shows as much above the focus as below it, where captions take up some of the space.
        zoom = min(
            _FILLED * self.frame[0] / 2 / half[0],
            (self.focus[1] - (1 - _FILLED) * self.frame[1] / 2) / half[1],
            _FARTHEST_NEAR,
        )
        return zoom, half, places

    def aside(self, sheet: int) -> tuple[float, float]:
        """Return x, y of the centre of sheet number `sheet`, counted from 0, while it lies unused in the dark."""
        x = self.places[sheet][0]
        left = x < 0 if x else sheet % 2 == 0
        return (-1 if left else 1) * _ASIDE * self.picture[0], 0.0

    def zoom(self, nearness: float, back: float = 0.0) -> float:
        """Return the pixels of the frame per pixel of the picture."""
        return 1.0 if (nearness, back) == (1, 0) else float(self._far ** (1 - nearness) / (1 + _BACK * back))

    def box(self, nearness: float, back: float = 0.0) -> tuple[float, float, float]:
        """Return half the width, half the height and the corner radius of the light box."""
        x, y = (
            (wide + nearness * (side / 2 + self._rim - wide)) * (1 + _OPEN * back)
            for wide, side in zip(self._wide, self.picture, strict=True)
        )
        radius = self._rim
        if self.round:
            radius += nearness * (min(x, y) - radius)
        return x, y, radius
