"""The placement of the sheets in each iteration, and how placements couple tiles (docs/maths.md §9).

Rotations and flips map tiles to tiles. Tiles that they map onto each other are coupled: they are advanced together,
as windows of one workspace. The rest of a placement, a shift or a small rotation, widens the halo. The misalignment
that `registration` tolerates is one more placement, and so is the displacement of sheets that are seen at an angle
behind a gap. It is drawn anew for every iteration from the seed, the level and the number of the iteration, so that
every tile and every process draws the same one.
"""

import itertools
import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np

from mlsolve_kernels.iteration.objective import Objective, Shape
from mlsolve_kernels.iteration.sweep import can_run
from mlsolve_kernels.placement.move import Drawn, Move, Placing, move_of
from mlsolve_kernels.window import REACH

from ..job.depths import depths_of
from ..job.viewing import seen_shift
from .backends import device_need
from .spec import Spec

Facing = tuple[int, int, int, int]

_STILL: Final[Facing] = (1, 0, 0, 1)
_GOLDEN: Final = 0.7548776662466927
"""The inverse of the plastic number, the root of x³ = x + 1."""
_FROM_FRONT: Final = 4
"""With a cone of views, one iteration of so many looks from the front, where most viewers stand (bench/LOG.md)."""


@dataclass(frozen=True)
class TileCoupling:
    """How the arrangements of a level couple its tiles."""

    reach: int = REACH
    """How far an iteration looks, in pixels, within coupled tiles."""
    facings: tuple[Facing, ...] = (_STILL,)
    """The group of rotations and flips that map tiles onto each other."""
    objective: Objective | None = None
    """None: one that the fused sweep can run with Adam, with a single stack of unmoved sheets."""

    @property
    def windows(self) -> int:
        """Most tiles that are coupled."""
        return len(self.facings)

    @property
    def together(self) -> bool:
        """Whether a tile holds all planes, because a term or the light couples them."""
        return self.objective is not None and self.objective.couples_planes

    @property
    def whole(self) -> "TileCoupling":
        """The coupling of an image that is a single tile."""
        return replace(self, facings=(_STILL,))

    def device_need(self, layers: int, planes: int, window: tuple[int, int]) -> int:
        """Return the bytes of GPU memory that a tile needs; window: (height, width) including its halo."""
        return device_need(Shape(layers, planes * self.windows, *window), self.objective, self.windows)

    @property
    def square(self) -> bool:
        """Whether tiles must be square, because some rotations are quarter turns."""
        return any(row_y == 0 for row_y, _, _, _ in self.facings)


def coupling_at(spec: Spec, level: int) -> TileCoupling:
    """Return how the arrangements of `spec` couple the tiles of `level`."""
    objective = spec.objective_at(level)
    if can_run(objective):
        return TileCoupling(objective=None if objective.step == "adam" else objective)
    return TileCoupling(_reach(spec, level), facings_of(spec), objective)


def facings_of(spec: Spec) -> tuple[Facing, ...]:
    """Return the group that the rotations and flips of all placements generate, the identity first."""
    shape = spec.shapes[-1]
    found, new = [_STILL], [_STILL]
    generators = {one.move(shape).facing for stack in spec.stacks for one in stack.place or ()}
    while new:
        a, b, c, d = new.pop()
        for p, q, r, s in generators:
            product = (a * p + b * r, a * q + b * s, c * p + d * r, c * q + d * s)
            if product not in found:
                found.append(product)
                new.append(product)
    return tuple(found)


def _reach(spec: Spec, level: int) -> int:
    """Return how far an iteration at `level` looks, in pixels.

    It looks from a sheet to the stack, then as far as the terms reach (10 pixels for SSIM), then to another sheet.
    """
    shape, scale = spec.shapes[level - 1], spec.scale(level)
    tolerance = Registration(spec, level)
    apart, exact = 0.0, tolerance.turn == 0
    for stack in spec.stacks:
        for placement in stack.place or ():
            move = placement.move(shape, scale)
            apart, exact = max(apart, move.apart(shape)), exact and move.exact
    # A place between pixels is interpolated from two of them: one more pixel each way.
    each_way = math.ceil(apart + tolerance.farthest) + (0 if exact else 1)
    return min(spec.objective.reach + 2 * each_way, max(shape))


@dataclass(frozen=True)
class Registration:
    """The displacement of sheets at a level, drawn for every iteration and every sheet of a stack but the first.

    It is the sum of a misalignment, each sheet by itself, and of what a direction of view makes of the gaps.
    """

    spec: Spec
    level: int

    @cached_property
    def pixels(self) -> float:
        """The largest shift along either axis, in pixels of the level."""
        return self.spec.options.registration * self.spec.scale(self.level)

    @property
    def turn(self) -> float:
        """The largest rotation, in degrees."""
        return self.spec.options.registration_turn

    @property
    def farthest(self) -> float:
        """The largest displacement of any pixel along either axis, in pixels of the level."""
        height, width = self.spec.shapes[self.level - 1]
        shifts = math.ceil(self.pixels) + math.ceil(self.seen_farthest)
        return shifts + math.radians(self.turn) * math.hypot(height, width) / 2

    @cached_property
    def seen_farthest(self) -> float:
        """The largest displacement of a sheet that is seen at an angle, in pixels of the level."""
        options = self.spec.options
        deepest = max(depths_of(options, len(stack.placed(self.spec.layers)))[-1] for stack in self.spec.stacks)
        return seen_shift(deepest, options.view, options.refraction) * self.spec.scale(self.level)

    def seen(self, iteration: int, stack: int, sheets: int) -> list[tuple[float, float]]:
        """Return how far each sheet is seen displaced in `iteration`, (right, down) in pixels; the first is not.

        Every fourth iteration looks from the front. The directions of the others are spread evenly over the cone by
        an additive sequence of low discrepancy (Roberts 2018, the plastic number), which begins anywhere: angle =
        view · sqrt(u), azimuth = 2 pi v. All sheets are seen from the same direction, each by its depth.
        """
        options = self.spec.options
        if not options.view or iteration % _FROM_FRONT == 0:
            return [(0.0, 0.0)] * sheets
        start, iteration = self._random(0, stack).random(2), iteration - iteration // _FROM_FRONT
        u, v = ((start + iteration * np.array([_GOLDEN, _GOLDEN**2])) % 1.0).tolist()
        angle, scale = options.view * math.sqrt(u), self.spec.scale(self.level)
        shifts = [seen_shift(depth * scale, angle, options.refraction) for depth in depths_of(options, sheets)]
        right, down = math.cos(2 * math.pi * v), math.sin(2 * math.pi * v)
        return [(shift * right, shift * down) for shift in shifts]

    def _random(self, iteration: int, stack: int) -> np.random.Generator:
        key = [self.spec.options.seed, (self.level << 40) + (iteration << 8) + stack]
        return np.random.Generator(np.random.Philox(key=np.array(key, dtype=np.uint64)))

    def moves(self, iteration: int, stack: int, sheets: int) -> list[Move]:
        """Return the displacement of each of `sheets` sheets of a stack in `iteration`; the first is not moved.

        iteration: from 1. stack: from 0. Misalignments are uniform whole pixels up to the tolerance: exact, and as
        cheap as none. If the tolerance is not a whole number, the limit is the next lower or the next higher one,
        at random, so that it is right in the mean. What the view adds is rounded to whole pixels. With rotations
        sheets lie between pixels in any case, so nothing is rounded.
        """
        shape, rng = self.spec.shapes[self.level - 1], self._random(iteration, stack)
        result = [move_of(shape)]
        for aside, below in self.seen(iteration, stack, sheets)[1:]:
            raising, right, down, turned = (2 * rng.random(4) - 1).tolist()
            if self.turn:
                shift = right * self.pixels + aside, down * self.pixels + below
                result.append(move_of(shape, turned * self.turn, None, shift))
                continue
            least = math.floor(self.pixels)
            most = least + ((raising + 1) / 2 < self.pixels - least)
            across, along = (float(math.floor((drawn + 1) / 2 * (2 * most + 1)) - most) for drawn in (right, down))
            across, along = across + math.floor(aside + 0.5), along + math.floor(below + 0.5)
            result.append(move_of(shape, 0.0, None, (across, along)))
        return result


def moves_at(spec: Spec, level: int, iteration: int) -> Placing:
    """Return the placement of every sheet of every stack in `iteration` of `level`, both counted from 1.

    With a tolerance it names the misalignment, too.
    """
    shape, scale = spec.shapes[level - 1], spec.scale(level)
    own = tuple(tuple(one.move(shape, scale) for one in stack.placed(spec.layers)) for stack in spec.stacks)
    if not spec.has_tolerance:
        return own
    tolerance = Registration(spec, level)
    off = tuple(tuple(tolerance.moves(iteration, number, len(sheets))) for number, sheets in enumerate(own))
    both = (zip(*pair, strict=True) for pair in zip(own, off, strict=True))
    return Drawn(tuple(tuple(move.after(drawn) for move, drawn in sheets) for sheets in both), own, off)


def moves_of(spec: Spec, level: int, iterations: range) -> list[Placing] | None:
    """Return `moves_at` for each of `iterations`; None if no sheet is ever moved."""
    if spec.objective.still:
        return None
    if spec.has_tolerance:
        return [moves_at(spec, level, iteration) for iteration in iterations]
    return list(itertools.repeat(moves_at(spec, level, 1), len(iterations)))
