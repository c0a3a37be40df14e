"""Scores stacks and layers, and makes their previews, in bands of rows: nothing as large as the print is in memory.

Scores are sums of integers (mlsolve_kernels.exact) and previews are averaged row by row. So neither depends on the
number of rows in a band. The rows of a sheet rotated by 90° come from columns of its layer.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from mlsolve_kernels.exact import ERROR_BITS, SSIM_BITS, quanta
from mlsolve_kernels.placement.frames import Frame, disc
from mlsolve_kernels.placement.move import Move, move_of
from mlsolve_kernels.region import Region
from mlsolve_kernels.ssim.cpu import ssim_sums
from mlsolve_kernels.threads import Team
from mlsolve_kernels.window import RADIUS

from ..job.arrangements import Placement
from ..pictures.colour import composite
from .placed import placed_rows
from .previews import CELL, PART, PREVIEW_OVERHEAD, SHEET_CELL, STACK, Preview, Sink, shown
from .scores import Misalignment, Scores, StackScores

FloatArray = npt.NDArray[np.float32]

_SQUARED_ROWS: Final = 16
"""Number of rows whose errors are squared together, in float64."""


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


class StackScoring:
    """Scores and previews of one stack against its target, aligned and misaligned."""

    def __init__(
        self, size: tuple[int, int], placed: PlacedStack, distances: Sequence[int], sink: Sink, cell: int = CELL
    ) -> None:
        """size: (width, height) in pixels. distances: the misalignments to test, in pixels.

        sink: takes the rows of the stack's preview of size `shown(size)`. cell: maximum length of the longer side
        of target and stack on the contact sheet, in pixels.
        """
        shape = size[1], size[0]
        self.placed = placed
        self.target, self.cell = Preview(size, cell), Preview(size, cell)
        self.sheets = [Preview(size, SHEET_CELL) for _ in placed.place]
        self.misaligned = [(distance, Preview(size, cell)) for distance in distances]
        self.output = Preview(size, STACK, sink)
        self.moves = [one.move(shape) for one in placed.place]
        self.misaligned_moves = [misaligned(shape, self.moves, distance) for distance in distances]
        # Sums against the target: of the stack, of each sheet alone, and of the stack at each misalignment.
        self.similarity = [0] * (1 + len(placed.place) + len(distances))
        self.error = [0] * (1 + len(distances))
        self.values = 0.0
        """Number of pixels, or the sum of their weights, times the number of planes."""
        self.weights: FloatArray | None = None
        """Weights of the pixels of the current rows, (h, W)."""

    def scores(self) -> StackScores:
        """Return the scores, once all rows have been fed."""
        values = self.values
        ssim = [total / 2.0**SSIM_BITS / values for total in self.similarity]
        psnr = [_decibels(error / 2.0**ERROR_BITS / values) for error in self.error]
        leak, count = ssim[1 : 1 + len(self.sheets)], 1 + len(self.sheets)
        misalignments = [
            Misalignment(distance, ssim[count + number], psnr[1 + number])
            for number, (distance, _) in enumerate(self.misaligned)
        ]
        return StackScores(ssim[0], psnr[0], tuple(leak), tuple(misalignments))


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
    directions = itertools.cycle([(1, 0), (0, 1), (-1, 0), (0, -1)])
    return [
        *moves[:1],
        *(
            move.after(move_of(shape, 0.0, None, (distance * right, distance * down)))
            for move, (right, down) in zip(moves[1:], directions, strict=False)
        ),
    ]


def previews_bytes(
    size: tuple[int, int], planes: int, layers: int, sheets: Sequence[int], registration: float
) -> int:
    """Return the bytes that all previews of a `Scoring` take once they are complete.

    size: (width, height) in pixels. sheets: the number of sheets in each stack. registration: in pixels.
    """

    def bytes_of(longest: int) -> int:
        width, height = shown(size, longest)
        return planes * width * height + PREVIEW_OVERHEAD

    misalignments = [len(distances_for(registration)) if count > 1 else 0 for count in sheets]
    of_stacks = (2 * len(sheets) + sum(misalignments)) * bytes_of(CELL if len(sheets) == 1 else PART)
    return 2 * layers * bytes_of(CELL) + of_stacks + sum(sheets) * bytes_of(SHEET_CELL)


class Scoring:
    """Scores and previews of all stacks against their targets, and of all layers against their guides."""

    def __init__(
        self,
        size: tuple[int, int],
        layers: int,
        stacks: Sequence[PlacedStack],
        team: Team,
        sinks: Sequence[Sink],
        registration: float = 0.0,
        round_sheets: bool = False,
    ) -> None:
        """size: (width, height) in pixels. sinks: one for each stack; takes its preview of size `shown(size)`.

        registration: the registration tolerance in pixels. round_sheets: whether only the pixels inside the largest
        circle count.
        """
        self.size, self.registration, self._team = size, registration, team
        self._round = round_sheets
        self._circle: FloatArray | None = None
        self._shape = size[1], size[0]
        self._similarity = [0] * layers
        self._values = 0
        self._done = 0
        self.layers = [Preview(size, CELL) for _ in range(layers)]
        self.guides = [Preview(size, CELL) for _ in range(layers)]
        distances, cell = distances_for(registration), CELL if len(stacks) == 1 else PART
        self.stacks = [
            StackScoring(size, placed, distances if len(placed.place) > 1 else (), sink, cell)
            for placed, sink in zip(stacks, sinks, strict=True)
        ]

    def feed(
        self, layer: Callable[[int, Region], FloatArray], wanted: Callable[[int, Region], FloatArray], rows: int
    ) -> None:
        """Score the next `rows` rows of all stacks and layers.

        layer: returns a region of a layer, (h, w, C) float32 sRGB in [0, 1]. wanted: the same of the targets, the
        guides and the masks, numbered in this order. C is the same for all.
        """
        top, bottom = self._done, min(self._done + rows, self.size[1])
        outer = Region(max(0, top - RADIUS), min(self.size[1], bottom + RADIUS), 0, self.size[0])
        counted = Region(top - outer.top, bottom - outer.top, 0, self.size[0])
        inner = slice(counted.top, counted.bottom)
        counts = (bottom - top) * self.size[0]
        if self._round:
            self._circle = disc(self._shape, Frame(outer.top, 0), (outer.height, outer.width))
            counts = int(self._circle[inner].sum())
        for k, (preview, guide) in enumerate(zip(self.layers, self.guides, strict=True)):
            x, y = layer(k, outer), wanted(len(self.stacks) + k, outer)
            self._similarity[k] += self._similar(x, y, counted, self._circle)
            preview.feed(x[inner])
            guide.feed(y[inner])
        for number, stack in enumerate(self.stacks):
            target = wanted(number, outer)
            stack.weights = self._circle
            if stack.placed.mask is not None:
                mask = wanted(stack.placed.mask, outer)[..., 0]
                stack.weights = np.ascontiguousarray(mask if self._circle is None else mask * self._circle)
            of_stack = counts if stack.weights is None else float(stack.weights[inner].sum(dtype=np.float64))
            stack.values += of_stack * target.shape[2]
            stack.target.feed(target[inner])
            image = composite(self._scored_sheets(stack, layer, target, outer, counted), stack.placed.exposure)
            stack.output.feed(image[inner])
            stack.cell.feed(image[inner])
            self._compare(stack, 0, 0, image, target, counted)
            for at, ((_, preview), moves) in enumerate(zip(stack.misaligned, stack.misaligned_moves, strict=True)):
                del image  # free its memory before the next one is made
                sheets = (
                    self._placed(layer, one.layer - 1, move, outer)
                    for one, move in zip(stack.placed.place, moves, strict=True)
                )
                image = composite(sheets, stack.placed.exposure)
                preview.feed(image[inner])
                self._compare(stack, 1 + len(stack.sheets) + at, 1 + at, image, target, counted)
            del image
        self._values += counts * target.shape[2]
        self._done = bottom

    @property
    def scores(self) -> Scores:
        """The scores of all stacks and layers, once all rows have been fed."""
        ssim = tuple(total / 2.0**SSIM_BITS / self._values for total in self._similarity)
        return Scores(tuple(stack.scores() for stack in self.stacks), ssim)

    def _scored_sheets(
        self,
        stack: StackScoring,
        layer: Callable[[int, Region], FloatArray],
        target: FloatArray,
        rows: Region,
        counted: Region,
    ) -> Iterator[FloatArray]:
        """Yield `rows` of each placed sheet of a stack, after comparing it with the target and feeding its preview.

        counted: the part of `rows` whose pixels are scored; the others are only read by the SSIM window.
        """
        for k, (one, move) in enumerate(zip(stack.placed.place, stack.moves, strict=True)):
            sheet = self._placed(layer, one.layer - 1, move, rows)
            stack.sheets[k].feed(sheet[counted.top : counted.bottom])
            stack.similarity[1 + k] += self._similar(sheet, target, counted, stack.weights)
            yield sheet

    def _placed(
        self, layer: Callable[[int, Region], FloatArray], number: int, move: Move, rows: Region
    ) -> FloatArray:
        """Return `rows` of a layer placed by `move`, (h, W, C)."""
        return placed_rows(lambda region: layer(number, region), self._shape, move, rows.top, rows.bottom)

    def _compare(
        self, stack: StackScoring, ssim: int, error: int, image: FloatArray, target: FloatArray, counted: Region
    ) -> None:
        """Add the SSIM and squared error of the `counted` part of `image` to sums number `ssim` and `error`."""
        stack.similarity[ssim] += self._similar(image, target, counted, stack.weights)
        for top in range(counted.top, counted.bottom, _SQUARED_ROWS):
            rows = slice(top, min(top + _SQUARED_ROWS, counted.bottom))
            difference = image[rows] - target[rows]
            squares = np.square(difference, dtype=np.float64)
            if stack.weights is not None:
                squares *= stack.weights[rows, :, np.newaxis]
            squares = np.rint(squares * 2.0**ERROR_BITS) / 2.0**ERROR_BITS
            stack.error[error] += int(quanta(squares, ERROR_BITS))

    def _similar(self, x: FloatArray, y: FloatArray, counted: Region, weights: FloatArray | None) -> int:
        """Return the sum of SSIM of two pictures (h, W, C) over the `counted` part; weights: (h, W), of pixels."""
        total = 0
        for channel in range(x.shape[2]):
            one, other = (np.ascontiguousarray(image[np.newaxis, :, :, channel]) for image in (x, y))
            (found,) = ssim_sums(one, other, self._team, counted, weights)
            total += int(found)
        return total


def _decibels(error: float) -> float:
    """Return the peak signal-to-noise ratio of a mean squared error, in decibels."""
    return math.inf if error == 0 else -10 * math.log10(error)
