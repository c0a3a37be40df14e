"""How a sheet lies on the table, and how it gets from there to where it lies next."""

import math
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ..job.arrangements import Placement

Matrix = npt.NDArray[np.float64]

_LIFT: Final = 0.05
"""How much larger a sheet looks half-way, where it is lifted over the others."""


class Pose(NamedTuple):
    """Where a sheet lies: x to the right, y down, in pixels of the picture, from its middle."""

    linear: Matrix
    """(2, 2): flip and turn, from places on the sheet to places on the table, both from its middle."""
    middle: Matrix
    """(2,): x, y of the sheet's middle."""


def lying_pose(x: float, y: float) -> Pose:
    """Return the pose of a sheet as it was solved, its middle at x, y."""
    return Pose(np.eye(2), np.array([x, y]))


def placed(placement: Placement, shape: tuple[int, int], scale: float) -> Pose:
    """Return the pose of a sheet of `shape` = (height, width); scale: its pixels for one at full size."""
    there = placement.move(shape, scale).inverse
    linear = np.array([[there.column_x, there.column_y], [there.row_x, there.row_y]])
    return Pose(linear, np.array(placement.shift) * scale)


def between(start: Pose, end: Pose, share: float) -> Pose:
    """Return the pose at `share`, in [0, 1], of the way: straight, turning the shorter way round, slightly lifted.

    A sheet that lies the other way up at the end turns over, about the axis on the table that makes this enough:
    what is seen of it is squeezed through a line.
    """
    if share <= 0 or share >= 1:
        return start if share <= 0 else end
    turn = end.linear @ start.linear.T
    # Adding nothing makes -0 into 0, so that a half turn always goes the same way.
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
    """Return by how many pixels the corners of a sheet of `shape` differ between two poses, at the most."""
    middle = np.linalg.norm(other.middle - one.middle)
    turned = np.linalg.norm(other.linear - one.linear, ord=2) * math.hypot(*shape) / 2
    return float(middle + turned)


def rotation(angle: float) -> Matrix:
    """Return the (2, 2) rotation by `angle`, in radians, from x towards y."""
    cosine, sine = math.cos(angle), math.sin(angle)
    return np.array([[cosine, -sine], [sine, cosine]])
