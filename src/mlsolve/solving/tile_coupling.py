"""How the sheets lie in each iteration, and what that means for tiles (docs/maths.md §9).

Turns and flips map tiles to tiles, so the tiles that they lay on each other are advanced together, as windows of
one workspace. What is left of a placement, a shift or a slight turn, widens the halo. Sheets that never lie
exactly, for whom `registration` allows, are one more placement, drawn anew for every iteration: from the seed, the
level and the number of the iteration, so that every tile and every process draws the same.
"""

import itertools
import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np

from mlsolve_kernels.iteration.objective import Objective, Shape
from mlsolve_kernels.iteration.sweep import can_run
from mlsolve_kernels.placement.move import Move, Moves, move_of
from mlsolve_kernels.window import REACH

from .backends import device_need
from .spec import Spec

Facing = tuple[int, int, int, int]

_STILL: Final[Facing] = (1, 0, 0, 1)


@dataclass(frozen=True)
class TileCoupling:
    """What a level's arrangements mean for its tiles."""

    reach: int = REACH
    """How far an iteration looks, in pixels, on the tiles that go together."""
    facings: tuple[Facing, ...] = (_STILL,)
    """The turns and flips that lay tiles on each other, all of their group."""
    objective: Objective | None = None
    """None: one that the fused sweep takes, of one stack of sheets that lie as they are."""

    @property
    def windows(self) -> int:
        """Tiles that go together at the most."""
        return len(self.facings)

    @property
    def together(self) -> bool:
        """Whether a tile holds all planes, because a term or the light couples them."""
        return self.objective is not None and self.objective.couples_planes

    @property
    def whole(self) -> "TileCoupling":
        """What it means for an image that is one tile."""
        return replace(self, facings=(_STILL,))

    def device_need(self, layers: int, planes: int, window: tuple[int, int]) -> int:
        """Return the memory of a GPU that a tile takes; window: height and width with its halo."""
        return device_need(Shape(layers, planes * self.windows, *window), self.objective, self.windows)

    @property
    def square(self) -> bool:
        """Whether tiles must be square, because some are turned sideways."""
        return any(row_y == 0 for row_y, _, _, _ in self.facings)


def coupling_at(spec: Spec, level: int) -> TileCoupling:
    """Return what the arrangements of `spec` mean for tiles of `level`."""
    if can_run(spec.objective):
        return TileCoupling()
    return TileCoupling(_reach(spec, level), facings_of(spec), spec.objective)


def facings_of(spec: Spec) -> tuple[Facing, ...]:
    """Return the group that the turns and flips of all placements generate, the sheet as it lies first."""
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
    """Return how far an iteration at `level` looks: from a sheet to the stack, ten pixels, and to another sheet."""
    shape, scale = spec.shapes[level - 1], spec.scale(level)
    tolerance = Registration(spec, level)
    apart, exact = 0.0, tolerance.turn == 0
    for stack in spec.stacks:
        for placement in stack.place or ():
            move = placement.move(shape, scale)
            apart, exact = max(apart, move.apart(shape)), exact and move.exact
    # Between pixels two of them are seen, so one more on either way.
    ways = math.ceil(apart + tolerance.farthest) + (0 if exact else 1)
    return min(spec.objective.reach + 2 * ways, max(shape))


@dataclass(frozen=True)
class Registration:
    """How far off sheets may lie at a level: drawn for every iteration, for all but the first sheet of a stack."""

    spec: Spec
    level: int

    @cached_property
    def pixels(self) -> float:
        """The farthest shift along either axis, in pixels of the level."""
        return self.spec.options.registration * self.spec.scale(self.level)

    @property
    def turn(self) -> float:
        """The largest turn, in degrees."""
        return self.spec.options.registration_turn

    @property
    def farthest(self) -> float:
        """How far a pixel may come off, along either axis."""
        height, width = self.spec.shapes[self.level - 1]
        return math.ceil(self.pixels) + math.radians(self.turn) * math.hypot(height, width) / 2

    def moves(self, iteration: int, stack: int, sheets: int) -> list[Move]:
        """Return where each of so many sheets of a stack, from 0, lies in `iteration`, from 1; the first is still.

        Shifts are whole pixels, all as likely, up to the tolerance: exact, and as cheap as none. Where that is no
        whole number, it is the next lower or the next higher one, so that it is right in the mean. With turns
        sheets lie between pixels anyway, and so do their shifts.
        """
        shape = self.spec.shapes[self.level - 1]
        key = [self.spec.options.seed, (self.level << 40) + (iteration << 8) + stack]
        rng = np.random.Generator(np.random.Philox(key=np.array(key, dtype=np.uint64)))
        result = [move_of(shape)]
        for _ in range(1, sheets):
            raising, right, down, turned = (2 * rng.random(4) - 1).tolist()
            if self.turn:
                shift = right * self.pixels, down * self.pixels
                result.append(move_of(shape, turned * self.turn, None, shift))
                continue
            least = math.floor(self.pixels)
            most = least + ((raising + 1) / 2 < self.pixels - least)
            aside, below = (float(math.floor((way + 1) / 2 * (2 * most + 1)) - most) for way in (right, down))
            result.append(move_of(shape, 0.0, None, (aside, below)))
        return result


def moves_at(spec: Spec, level: int, iteration: int) -> Moves:
    """Return how every sheet of every stack lies in `iteration` of `level`, both from 1."""
    shape, scale = spec.shapes[level - 1], spec.scale(level)
    tolerance = Registration(spec, level)
    result = []
    for number, stack in enumerate(spec.stacks):
        placed = [one.move(shape, scale) for one in stack.placed(spec.layers)]
        if spec.has_tolerance:
            apart = tolerance.moves(iteration, number, len(placed))
            placed = [move.after(aside) for move, aside in zip(placed, apart, strict=True)]
        result.append(tuple(placed))
    return tuple(result)


def moves_of(spec: Spec, level: int, iterations: range) -> list[Moves] | None:
    """Return `moves_at` of each of `iterations`, None where no sheet is ever moved."""
    if spec.objective.still:
        return None
    if spec.has_tolerance:
        return [moves_at(spec, level, iteration) for iteration in iterations]
    return list(itertools.repeat(moves_at(spec, level, 1), len(iterations)))
