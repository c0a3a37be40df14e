"""Poses: the position of a sheet on the table, and the movement from one pose to another."""

import math
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ..job.arrangements import Placement

Matrix = npt.NDArray[np.float64]

_LIFT: Final = 0.05
"""How much larger a sheet appears half-way through a movement, when it is lifted over the others."""


class Pose(NamedTuple):
    """The position of a sheet. x points right and y down, in pixels of the picture, from its centre."""

    linear: Matrix
    """(2, 2): flip and rotation, from positions on the sheet relative to its centre to the same on the table."""
    middle: Matrix
    """(2,): x, y of the sheet's centre."""


def unmoved_pose(x: float, y: float) -> Pose:
    """Return the pose of a sheet that is neither flipped nor rotated, with its centre at x, y."""
    return Pose(np.eye(2), np.array([x, y]))


def placed(placement: Placement, shape: tuple[int, int], scale: float) -> Pose:
    """Return the pose that `placement` means for a sheet of `shape` = (height, width).

    scale: pixels of the sheet per pixel at full size, because shifts are in full-size pixels.
    """
    there = placement.move(shape, scale).inverse
    linear = np.array([[there.column_x, there.column_y], [there.row_x, there.row_y]])
    return Pose(linear, np.array(placement.shift) * scale)


def between(start: Pose, end: Pose, share: float) -> Pose:
    """Return the pose at `share`, in [0, 1], of the movement from `start` to `end`.

    A sheet moves in a straight line, rotates the shorter way, and is slightly lifted. If it is flipped between
    start and end, it turns over about the axis on the table for which no further rotation is needed; seen from
    above, it then shrinks to a line and widens again.
    """
    if share <= 0 or share >= 1:
        return start if share <= 0 else end
    turn = end.linear @ start.linear.T
    # Adding 0 turns -0 into 0, so that a half turn always goes in the same direction.
    angle = math.atan2(turn[1, 0] + 0.0, turn[0, 0])
    if np.linalg.det(turn) > 0:
        half_way = rotation(angle * share)
    else:
        axis = rotation(angle / 2)
        half_way = axis @ np.diag([1.0, math.cos(math.pi * share)]) @ axis.T
    moved = not (np.array_equal(start.linear, end.linear) and np.array_equal(start.middle, end.middle))
    lift = 1 + _LIFT * math.sin(math.pi * share) if moved else 1.0
    return Pose(lift * (half_way @ start.linear), start.middle + share * (end.middle - start.middle))


def apart(one: Pose, other: Pose, shape: tuple[int, int]) -> float:
    """Return an upper bound of how far the corners of a sheet of `shape` differ between two poses, in pixels."""
    middle = np.linalg.norm(other.middle - one.middle)
    turned = np.linalg.norm(other.linear - one.linear, ord=2) * math.hypot(*shape) / 2
    return float(middle + turned)


def rotation(angle: float) -> Matrix:
    """Return the (2, 2) matrix of a rotation by `angle` in radians, from x towards y."""
    cosine, sine = math.cos(angle), math.sin(angle)
    return np.array([[cosine, -sine], [sine, cosine]])
