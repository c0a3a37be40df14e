"""Scores and previews of one stack against its target: aligned, misaligned, and each of its sheets alone."""

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from mlsolve_kernels.exact import ERROR_BITS, SSIM_BITS
from mlsolve_kernels.placement.move import Move, move_of
from mlsolve_kernels.scoring.moved import best_of

from ..job.arrangements import Placement
from ..job.viewing import View
from .differences import Differences
from .previews import CELL, SHEET_CELL, STACK, Preview, Sink
from .scores import AtAngle, Misalignment, StackScores


@dataclass(frozen=True)
class PlacedStack:
    """An arrangement to score: its placed sheets and its exposure."""

    place: tuple[Placement, ...]
    """The placement of each sheet."""
    exposure: float
    """In (0, 1]."""
    mask: int | None = None
    """Number of the picture that weights the target's pixels; masks are numbered after all targets and guides.

    None: all pixels count equally.
    """
    views: tuple[View, ...] = ()
    """The directions, away from the front, that it is also seen from."""


class MovedScoring:
    """The SSIM of a misaligned stack to its target moved: the sums of windows, gathered from bands."""

    def __init__(self, distance: int) -> None:
        """distance: how far the target moves, in pixels."""
        self.distance = distance
        self._whole = 0
        self._open: dict[int, npt.NDArray[np.int64]] = {}
        """The sums of windows that may go on in the next band, (windows across, moves), by the windows' row."""

    def add(self, first: int, sums: npt.NDArray[np.int64]) -> None:
        """Add the sums of the next band, as `moved_sums` returns them."""
        for number in [number for number in self._open if number < first]:
            self._whole += best_of(self._open.pop(number))
        for number, windows in enumerate(sums, start=first):
            self._open[number] = self._open[number] + windows if number in self._open else windows

    @property
    def total(self) -> int:
        """The sum over all pixels and planes, in 2^-SSIM_BITS, once all rows have been added."""
        return self._whole + sum(best_of(windows) for windows in self._open.values())


class StackScoring:
    """Scores and previews of one stack against its target: aligned, misaligned, and at an angle."""

    def __init__(
        self,
        size: tuple[int, int],
        placed: PlacedStack,
        distances: Sequence[int],
        sink: Sink,
        cell: int = CELL,
        moved: bool = False,
        differences: Differences | None = None,
    ) -> None:
        """size: (width, height) in pixels. distances: the misalignments to test, in pixels.

        sink: takes the rows of the stack's preview of size `shown(size)`. cell: maximum length of the longer side
        of target and stack on the contact sheet, in pixels. moved: whether misaligned stacks are also compared with
        the target moved. differences: of colours, if they are to be found.
        """
        shape = size[1], size[0]
        self.placed = placed
        self.target, self.cell = Preview(size, cell), Preview(size, cell)
        self.sheets = [Preview(size, SHEET_CELL) for _ in placed.place]
        self.misaligned = [(distance, Preview(size, cell)) for distance in distances]
        self.output = Preview(size, STACK, sink)
        self.moves = [one.move(shape) for one in placed.place]
        self.misaligned_moves = [misaligned(shape, self.moves, distance) for distance in distances]
        self.views = [(view, Preview(size, cell)) for view in placed.views]
        self.view_moves = [seen_at(shape, self.moves, view) for view in placed.views]
        # Sums against the target: of the stack, of each sheet alone, of the stack at each misalignment and view.
        others = len(distances) + len(placed.views)
        self.similarity = [0] * (1 + len(placed.place) + others)
        self.error = [0] * (1 + others)
        self.moved = [MovedScoring(distance) for distance in distances] if moved else []
        self.differences = differences
        self.values = 0.0
        """Number of pixels, or the sum of their weights, times the number of planes."""

    @property
    def composites(self) -> list[tuple[list[Move], list[Preview]]]:
        """The moves of the stack's sheets and the previews it fills: aligned, at misalignments, at views."""
        others = zip([*self.misaligned_moves, *self.view_moves], [*self.misaligned, *self.views], strict=True)
        return [(self.moves, [self.output, self.cell]), *((moves, [preview]) for moves, (_, preview) in others)]

    def scores(self) -> StackScores:
        """Return the scores, once all rows have been added."""
        values = self.values
        ssim = [total / 2.0**SSIM_BITS / values for total in self.similarity]
        psnr = [_decibels(error / 2.0**ERROR_BITS / values) for error in self.error]
        found = [one.total / 2.0**SSIM_BITS / values for one in self.moved]
        of_moved: list[float | None] = [*found] if found else [None] * len(self.misaligned)
        leak, count = ssim[1 : 1 + len(self.sheets)], 1 + len(self.sheets)
        misalignments = [
            Misalignment(distance, ssim[count + number], psnr[1 + number], moved)
            for number, ((distance, _), moved) in enumerate(zip(self.misaligned, of_moved, strict=True))
        ]
        first = len(self.misaligned)
        at_angles = [
            AtAngle(view.degrees, view.pixels, ssim[count + number], psnr[1 + number])
            for number, (view, _) in enumerate(self.views, start=first)
        ]
        difference = None if self.differences is None else self.differences.found
        return StackScores(ssim[0], psnr[0], tuple(leak), tuple(misalignments), difference, tuple(at_angles))


_DIRECTIONS: Final = (1, 0), (0, 1), (-1, 0), (0, -1)


def distances_for(registration: float) -> tuple[int, ...]:
    """Return the misalignments at which stacks are scored, in whole pixels, 1 or more.

    registration: the registration tolerance in pixels. Stacks are scored at half of it, at all of it and at twice
    it. A tolerance below 1 counts as 1, and distances below 1 are left out.
    """
    tolerance = max(1.0, registration)
    return tuple(dict.fromkeys(math.floor(part * tolerance + 0.5) for part in (0.5, 1, 2) if part * tolerance >= 1))


def misaligned(shape: tuple[int, int], moves: Sequence[Move], distance: float) -> list[Move]:
    """Return the `moves` of a stack of `shape` = (height, width) with its sheets misaligned by `distance` pixels.

    The first sheet stays. The second is shifted right, the third down, the fourth left, the fifth up, and so on in
    turn.
    """
    return [
        *moves[:1],
        *(
            move.after(move_of(shape, 0.0, None, (distance * right, distance * down)))
            for move, (right, down) in zip(moves[1:], itertools.cycle(_DIRECTIONS), strict=False)
        ),
    ]


def seen_at(shape: tuple[int, int], moves: Sequence[Move], view: View) -> list[Move]:
    """Return the `moves` of a stack of `shape` = (height, width) with its sheets as `view` shows them.

    Displacements are rounded to whole pixels: interpolation would blur the sheets, which no view does.
    """
    return [
        move.after(move_of(shape, 0.0, None, (math.floor(shift + 0.5), 0.0)))
        for move, shift in zip(moves, view.shifts, strict=True)
    ]


FARTHEST: Final = 256
"""Most rows that a sheet may be shifted up or down while its rows still pass by."""


def reach_of(moves: Iterable[Move]) -> tuple[int, int] | None:
    """Return the rows above and below rows of a stack that its sheets show there, moved by `moves`.

    None if rows of a stack show rows of a sheet in another order, or too far away: then the sheet cannot be read
    row by row as the stack is scored.
    """
    up = down = 0
    for move in moves:
        if not (move.exact and move.row_y == 1 and move.row_x == 0):
            return None
        up, down = max(up, round(-move.row_0)), max(down, round(move.row_0))
    return (up, down) if max(up, down) <= FARTHEST else None


def _decibels(error: float) -> float:
    """Return the peak signal-to-noise ratio of a mean squared error, in decibels."""
    return math.inf if error == 0 else -10 * math.log10(error)
