"""The script: poses of the sheets, light and camera at every frame."""

import math
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Final, NamedTuple

from ..errors import OptionError
from ..job.arrangements import Arrangement
from ..ranges import number
from .poses import Pose, apart, between, placed, unmoved_pose
from .table import Table

MOST_FRAMES_A_SECOND: Final = 120.0
MOST_SECONDS: Final = 3600.0

_FIRST, _HOLD, _CHANGE, _LAST = 1.0, 2.4, 2.8, 0.8
_GATHER: Final = (1.4, 0.8, 9.0)
_PART: Final = (1.2, 0.4, 5.0)
"""Durations in seconds: a constant, an amount per sheet, and a maximum."""

_SHEETS: Final = (0.07, 0.82)
_CAMERA: Final = (0.3, 0.96)
_EYE: Final = (0.68, 1.0)
"""Parts of a movement as shares of its duration: sheets move, the camera approaches, the eye adapts to the dark."""
_ONE_BY_ONE, _TOGETHER = 0.55, 0.2
"""Share of a sheet's movement after which the next sheet starts: when they gather, and when they rearrange."""
_CAPTION: Final = 0.07
"""Share of a movement in which the old caption fades out, and in which the new one fades in."""
_DIMMER: Final = 0.85
"""How far the light falls half-way between arrangements, as a share of its stops."""
_REGISTER: Final = 1.5
"""Distance in pixels within which sheets count as in register, and detail finer than a pixel is multiplied too."""


class Scene(NamedTuple):
    """Everything that is visible in a frame."""

    poses: tuple[Pose, ...]
    """One for each sheet."""
    nearness: float
    back: float
    """Position of the camera; see Table."""
    stops: float
    """Natural logarithm of how much brighter the light box is than white."""
    room: float
    """How bright the room is against white, compared with the white of a stack; less while the eye is dazzled."""
    caption: tuple[int, float]
    """Number of the caption, 0 while the sheets lie apart and k at arrangement k, and its opacity, 0 to 1."""
    register: tuple[int, float]
    """Number, from 1, of the arrangement in which the sheets are in register, and to what degree, 0 to 1."""


class Script:
    """The scenes of a film: sheets apart, every arrangement in turn, sheets apart; movements in between."""

    def __init__(
        self,
        table: Table,
        arrangements: Sequence[Arrangement],
        exposures: Sequence[float],
        scale: float,
        fps: float,
        seconds: float | None,
    ) -> None:
        """scale: pixels of the picture per pixel of a layer. The rest as for `mlsolve.film.frames`."""
        sheets = len(table.places)
        self._shape = table.picture[::-1]
        self.still = [
            Scene(
                tuple(unmoved_pose(*place) for place in table.places),
                0.0,
                0.0,
                0.0,
                exposures[0],
                (0, 1.0),
                (0, 0.0),
            ),
        ]
        self._order: list[list[int]] = [[]]
        for k, (arrangement, exposure) in enumerate(zip(arrangements, exposures, strict=True), start=1):
            used = {one.layer - 1: placed(one, self._shape, scale) for one in arrangement.placed(sheets)}
            poses = tuple(used.get(sheet) or unmoved_pose(*table.aside(sheet)) for sheet in range(sheets))
            self.still.append(Scene(poses, 1.0, 0.0, -math.log(exposure), 1.0, (k, 1.0), (k, 1.0)))
            # Sheets that are not used make room first.
            self._order.append([*(sheet for sheet in range(sheets) if sheet not in used), *used])
        self.still.append(self.still[0])
        self._starts = cuts(sheets, len(arrangements), fps, seconds)

    @property
    def frames(self) -> int:
        """Number of frames."""
        return self._starts[-1] + 1

    def rest(self, scene: int) -> range:
        """Return the numbers of the frames in which `scene` is still.

        In scene 0 and the last scene the sheets lie apart; scene k shows arrangement k.
        """
        return range(self._starts[2 * scene], self._starts[2 * scene + 1] + 1)

    def at(self, frame: int) -> Scene:
        """Return the scene in `frame`, counted from 0."""
        part = max(k for k, start in enumerate(self._starts[:-1]) if start <= frame)
        begin, end = self._starts[part], self._starts[part + 1]
        if part % 2 == 0 or frame == end:
            return self.still[(part + 1) // 2]
        return self._moving(part // 2, (frame - begin) / (end - begin))

    def _moving(self, before: int, share: float) -> Scene:
        """Return the scene at `share`, in (0, 1), of the movement from scene `before` to the next."""
        last = len(self.still) - 2
        # The last movement is the first one played backwards.
        way = (0, last, 1 - share) if before == last else (before, before + 1, share)
        scene = self._between(*way)
        opacity = max(1 - share / _CAPTION, (share - 1) / _CAPTION + 1, 0.0)
        return scene._replace(caption=(before if share < 0.5 else before + 1, opacity))

    def _between(self, before: int, after: int, share: float) -> Scene:
        """Return the scene, without caption, at `share` of the movement between two scenes; `after` is a stack."""
        one, other = self.still[before], self.still[after]
        poses = self._poses_between(before, after, share)
        if before == 0:
            nearness, back = _eased(share, _CAMERA), 0.0
            adapted = _eased(share, _EYE)
            stops, room = adapted * other.stops, one.room ** (1 - adapted)
        else:
            # Between stacks the box is dimmed, and the eye stays as it is.
            nearness, back, room = 1.0, math.sin(math.pi * share) ** 2, 1.0
            stops = (one.stops + share * (other.stops - one.stops)) * (1 - _DIMMER * back)
        near = [
            (self._distance(scene.poses, poses), number_of) for scene, number_of in ((one, before), (other, after))
        ]
        distance, number_of = min(near if before else near[1:])
        return Scene(poses, nearness, back, stops, room, (0, 0.0), (number_of, 1 - _smooth(distance / _REGISTER)))

    def _poses_between(self, before: int, after: int, share: float) -> tuple[Pose, ...]:
        """Return the poses of all sheets at `share` of a movement, in which they start one after another."""
        order = self._order[after]
        overlap = _ONE_BY_ONE if before == 0 else _TOGETHER
        duration = (_SHEETS[1] - _SHEETS[0]) / (1 + overlap * (len(order) - 1))
        poses = list(self.still[before].poses)
        for turn, sheet in enumerate(order):
            begin = _SHEETS[0] + turn * overlap * duration
            eased = _eased(share, (begin, begin + duration))
            poses[sheet] = between(poses[sheet], self.still[after].poses[sheet], eased)
        return tuple(poses)

    def _distance(self, one: Sequence[Pose], other: Sequence[Pose]) -> float:
        """Return the largest distance in pixels by which any sheet differs between two sets of poses."""
        return max(apart(a, b, self._shape) for a, b in zip(one, other, strict=True))


def cuts(sheets: int, arrangements: int, fps: float, seconds: float | None) -> list[int]:
    """Return the first frame of each part of a film, then the last frame. Parts are still and moving in turn.

    There are round(fps · seconds) frames. seconds: None for a duration chosen from the numbers of sheets and
    arrangements. Raises OptionError for numbers out of range, or if a part would get no frame of its own.
    """
    number("fps", fps, 1.0, MOST_FRAMES_A_SECOND)
    gather, part = (min(most, base + each * sheets) for base, each, most in (_GATHER, _PART))
    parts = [_FIRST, gather, _HOLD, *[_CHANGE, _HOLD] * (arrangements - 1), part, _LAST]
    total = sum(parts)
    length = total if seconds is None else number("seconds", seconds, 0.0, MOST_SECONDS)
    last = round(fps * length) - 1
    starts = [round(end / total * last) for end in accumulate(parts, initial=0.0)]
    if any(end <= begin for begin, end in pairwise(starts)):
        least = (total / min(parts) + 1.5) / fps
        raise OptionError(
            f"seconds is {length:g}: at {fps:g} frames per second give {math.ceil(10 * least) / 10:g} or more"
        )
    return starts


def _eased(share: float, window: tuple[float, float]) -> float:
    """Return the progress, 0 to 1, of a smooth movement during `window`, a part of a movement at `share`."""
    return _smooth((share - window[0]) / (window[1] - window[0]))


def _smooth(x: float) -> float:
    """Return x clipped to [0, 1] and eased: speed and acceleration are zero at both ends."""
    x = min(1.0, max(0.0, x))
    return x * x * x * (x * (6 * x - 15) + 10)
