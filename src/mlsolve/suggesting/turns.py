"""Rotations and flips of the sheets: which there are, where to begin, and the search for better ones.

Squares have quarter turns, other rectangles half turns, both with flips. Round sheets have any angle: angles of a
coarse grid are tried, then those between them beside the best.
"""

import dataclasses
import itertools
from collections.abc import Callable, Container, Sequence
from typing import Final

from ..job.arrangements import Flip, Placement
from ..solving.spec import StackSpec

Way = tuple[float, Flip | None]
"""Degrees and flip of a sheet."""
Stacks = tuple[StackSpec, ...]
Measure = Callable[[Sequence[Stacks]], Sequence[float]]

_GRID: Final = 30
"""Degrees between the angles that are tried first for round sheets."""

_GOLDEN: Final = 135
"""Degrees from one round sheet to the next where a search begins: far from every symmetry of few sheets."""

_MOST: Final = 480
"""Most placements that a search measures. With very many sheets the last ones stay as they are."""


def ways(shape: tuple[int, int], disc: bool, step: int = _GRID) -> list[Way]:
    """Return the rotations and flips that a sheet of `shape` = (height, width) can have, each once, unmoved first.

    step: degrees between the angles of round sheets.
    """
    angles: Sequence[int] = range(0, 360, step) if disc else (0, 90, 180, 270) if shape[0] == shape[1] else (0, 180)
    flips: tuple[Flip | None, ...] = (None, "h")
    return [(float(angle), flip) for flip, angle in itertools.product(flips, angles)]


def first_stacks(stacks: Sequence[StackSpec], layers: int, shape: tuple[int, int], disc: bool) -> Stacks:
    """Return `stacks` with placements to begin with, where they have none and are not the first: all different."""
    found = [stacks[0]]
    possible = ways(shape, disc)
    for a, stack in enumerate(stacks[1:], start=1):
        if stack.place is None:
            place = []
            for k in range(layers):
                if disc:
                    angle, flip = float(a * k * _GOLDEN % 360), None
                else:
                    angle, flip = possible[(a * k + a // len(possible)) % len(possible)]
                place.append(Placement(k + 1, angle, flip))
            stack = dataclasses.replace(stack, place=tuple(place))
        found.append(stack)
    return tuple(found)


def better_stacks(
    stacks: Stacks,
    layers: int,
    shape: tuple[int, int],
    disc: bool,
    measure: Measure,
    worth: float = 0.0,
    kept: Container[int] = (),
    tell: Callable[[int, Placement], None] = lambda stack, placement: None,
) -> list[Stacks]:
    """Return better and better stacks, the best last; empty if none is better.

    The sheets of all stacks but the first are looked at in turn: all ways of a sheet are measured, the others
    staying as they are. measure: returns the losses of stacks. worth: fraction by which the loss must fall. kept:
    numbers of stacks that stay as they are, besides the first. tell: called with the number of a stack and the
    sheet that is looked at.
    """
    moved = [a for a in range(1, len(stacks)) if a not in kept]
    sheets = [(a, k) for a in moved for k in range(len(stacks[a].placed(layers)))]
    if not sheets:
        return []
    step, refined = _GRID, 4 if disc else 0
    while disc and step < 90 and len(sheets) * (len(ways(shape, disc, step)) + refined) > _MOST:
        step += 15 if step < 60 else 30
    possible, measured = ways(shape, disc, step), 1
    rounds = max(1, min(2, _MOST // (len(sheets) * (len(possible) + refined))))
    found: list[Stacks] = []
    present, least = stacks, measure([stacks])[0]
    for _ in range(rounds):
        before = present
        for a, k in sheets:
            if measured + len(possible) + refined > _MOST:
                return found
            tell(a, present[a].placed(layers)[k])
            for finer in (0.0, *([step / 2, step / 4] if disc else [])):
                here = present[a].placed(layers)[k]
                if finer:
                    others: list[Way] = [((here.rotate + sign * finer) % 360, here.flip) for sign in (-1, 1)]
                else:
                    others = [way for way in possible if not _same(way, here)]
                options = [_with(present, layers, a, k, way) for way in others]
                losses, measured = measure(options), measured + len(options)
                best = min(range(len(options)), key=lambda number: losses[number])
                if losses[best] < least * (1 - worth):
                    present, least = options[best], losses[best]
                    found.append(present)
        if present == before:
            break
    return found


def _same(way: Way, placement: Placement) -> bool:
    """Return whether a sheet lies as it would with this rotation and flip."""
    square = 11, 11
    return placement.move(square) == dataclasses.replace(placement, rotate=way[0], flip=way[1]).move(square)


def _with(stacks: Stacks, layers: int, number: int, sheet: int, way: Way) -> Stacks:
    """Return `stacks` with another rotation and flip of one sheet of one stack."""
    place = list(stacks[number].placed(layers))
    place[sheet] = dataclasses.replace(place[sheet], rotate=way[0], flip=way[1])
    changed = dataclasses.replace(stacks[number], place=tuple(place))
    return (*stacks[:number], changed, *stacks[number + 1 :])
