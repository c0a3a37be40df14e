"""What happens when: sheets, light and camera at every frame."""

import math
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Final, NamedTuple

from ..errors import OptionError
from ..job.arrangements import Arrangement
from ..ranges import number
from .poses import Pose, apart, between, lying_pose, placed
from .table import Table

MOST_FRAMES_A_SECOND: Final = 120.0
MOST_SECONDS: Final = 3600.0

_FIRST, _HOLD, _CHANGE, _LAST = 1.0, 2.4, 2.8, 0.8
_GATHER: Final = (1.4, 0.8, 9.0)
_PART: Final = (1.2, 0.4, 5.0)
"""Seconds: so many, and so many a sheet, but no more than the last."""

_SHEETS: Final = (0.07, 0.82)
_CAMERA: Final = (0.3, 0.96)
_EYE: Final = (0.68, 1.0)
"""When, as shares of a movement, sheets move, the camera comes near, and the eye adapts to the dark stack."""
_ONE_BY_ONE, _TOGETHER = 0.55, 0.2
"""A sheet starts when its predecessor has come so far: where they come together, and where they change."""
_CAPTION: Final = 0.07
"""Share of a movement in which a caption goes, and one comes."""
_DIMMER: Final = 0.85
"""How far the light falls half-way between arrangements, as a share of its stops."""
_REGISTER: Final = 1.5
"""Pixels within which sheets are in register, so that what is finer than a pixel of the film multiplies as well."""


class Scene(NamedTuple):
    """All that can be seen in a frame."""

    poses: tuple[Pose, ...]
    """Of every sheet."""
    nearness: float
    back: float
    """Of the camera; see Table."""
    stops: float
    """Natural logarithm of how much brighter the box is than white."""
    caption: tuple[int, float]
    """Number of the caption, 0 where the sheets lie apart, k at arrangement k; how much of it is seen, 0 to 1."""
    register: tuple[int, float]
    """Number of the arrangement in whose register the sheets are, from 1, and how much, 0 to 1."""


class Script:
    """Scenes of a film: apart, every arrangement in turn, apart; between them movements."""

    def __init__(
        self,
        table: Table,
        arrangements: Sequence[Arrangement],
        exposures: Sequence[float],
        scale: float,
        fps: float,
        seconds: float | None,
    ) -> None:
        """scale: pixels of the picture for one of the layers; the rest as for `mlsolve.film.frames`."""
        sheets = len(table.places)
        self._shape = table.picture[::-1]
        self.still = [
            Scene(tuple(lying_pose(*place) for place in table.places), 0.0, 0.0, 0.0, (0, 1.0), (0, 0.0)),
        ]
        self._order: list[list[int]] = [[]]
        for k, (arrangement, exposure) in enumerate(zip(arrangements, exposures, strict=True), start=1):
            lies = {one.layer - 1: placed(one, self._shape, scale) for one in arrangement.placed(sheets)}
            poses = tuple(lies.get(sheet) or lying_pose(*table.aside(sheet)) for sheet in range(sheets))
            self.still.append(Scene(poses, 1.0, 0.0, -math.log(exposure), (k, 1.0), (k, 1.0)))
            # Those that are not wanted make room first.
            self._order.append([*(sheet for sheet in range(sheets) if sheet not in lies), *lies])
        self.still.append(self.still[0])
        self._starts = cuts(sheets, len(arrangements), fps, seconds)

    @property
    def frames(self) -> int:
        """How many there are."""
        return self._starts[-1] + 1

    def rest(self, scene: int) -> range:
        """Return the frames in which all lies still: scene 0 and the last are apart, scene k is arrangement k."""
        return range(self._starts[2 * scene], self._starts[2 * scene + 1] + 1)

    def at(self, frame: int) -> Scene:
        """Return what is seen in the frame of this number, from 0."""
        part = max(k for k, start in enumerate(self._starts[:-1]) if start <= frame)
        begin, end = self._starts[part], self._starts[part + 1]
        if part % 2 == 0 or frame == end:
            return self.still[(part + 1) // 2]
        return self._moving(part // 2, (frame - begin) / (end - begin))

    def _moving(self, before: int, share: float) -> Scene:
        """Return what is seen at `share`, in (0, 1), of the way from scene `before` to the next."""
        last = len(self.still) - 2
        # As they come together, so they go apart.
        way = (0, last, 1 - share) if before == last else (before, before + 1, share)
        scene = self._between(*way)
        composite = max(1 - share / _CAPTION, (share - 1) / _CAPTION + 1, 0.0)
        return scene._replace(caption=(before if share < 0.5 else before + 1, composite))

    def _between(self, before: int, after: int, share: float) -> Scene:
        """Return sheets, camera and light at `share` of the way between two scenes, of which `after` is a stack."""
        one, other = self.still[before], self.still[after]
        poses = self._on_the_way(before, after, share)
        if before == 0:
            nearness, back = _eased(share, _CAMERA), 0.0
            stops = _eased(share, _EYE) * other.stops
        else:
            nearness, back = 1.0, math.sin(math.pi * share) ** 2
            stops = (one.stops + share * (other.stops - one.stops)) * (1 - _DIMMER * back)
        near = [
            (self._distance(scene.poses, poses), number_of) for scene, number_of in ((one, before), (other, after))
        ]
        distance, number_of = min(near if before else near[1:])
        return Scene(poses, nearness, back, stops, (0, 0.0), (number_of, 1 - _smooth(distance / _REGISTER)))

    def _on_the_way(self, before: int, after: int, share: float) -> tuple[Pose, ...]:
        """Return the poses of all sheets, which start one after the other."""
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
        """Return by how many pixels the sheets are moved from one to the other, at the most."""
        return max(apart(a, b, self._shape) for a, b in zip(one, other, strict=True))


def cuts(sheets: int, arrangements: int, fps: float, seconds: float | None) -> list[int]:
    """Return the frames at which the parts of a film begin, still and moving in turn, and the last frame.

    There are round(fps · seconds) frames. seconds: None for as long as looks well. Raises OptionError for numbers
    out of range, or if a part would not have a frame of its own.
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
            f"seconds is {length:g}: at {fps:g} frames a second give {math.ceil(10 * least) / 10:g} or more"
        )
    return starts


def _eased(share: float, window: tuple[float, float]) -> float:
    """Return how far something has come that moves in `window`: still at either end, without a jerk."""
    return _smooth((share - window[0]) / (window[1] - window[0]))


def _smooth(x: float) -> float:
    """Return x, cut off to [0, 1], with no speed and no acceleration at either end."""
    x = min(1.0, max(0.0, x))
    return x * x * x * (x * (6 * x - 15) + 10)
