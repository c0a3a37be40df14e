"""What stacks score and look like, by bands of rows: nothing of a print's size is held.

Scores are sums of whole numbers (mlsolve_kernels.exact), previews are averaged row by row; neither depends on how
many rows are taken at a time. Sheets that are turned are read by columns.
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
from mlsolve_kernels.resample.cpu import Taps, area_taps, resample
from mlsolve_kernels.ssim.cpu import ssim_sums
from mlsolve_kernels.threads import Team
from mlsolve_kernels.window import RADIUS

from ..job.arrangements import Placement
from ..pictures.arrays import code_values, planar
from ..pictures.colour import composite, light_from_srgb, srgb_from_light
from .placed import placed_rows
from .scores import Misalignment, Scores, StackScores

FloatArray = npt.NDArray[np.float32]
Sink = Callable[[npt.NDArray[np.uint8]], None]

CELL: Final = 420
"""Longer side of a picture on the contact sheet, in pixels."""

PART: Final = 260
"""Longer side of target and stack there if there are several, whose sheets are off or not."""

SHEET_CELL: Final = 120
"""Longer side of a sheet as it lies in an arrangement, on the contact sheet."""

STACK: Final = 2048
"""Longer side of stack.png at the most, in pixels."""


_OF_PREVIEW: Final = 24 << 10
"""Bytes of a preview besides its pixels."""

_SQUARED: Final = 16
"""Rows of which squares are taken at a time, in float64."""


def shown(size: tuple[int, int], longest: int = STACK, enlarge: bool = False) -> tuple[int, int]:
    """Return the (width, height) of the preview of a picture of `size`, larger than it only if `enlarge` is set."""
    scale = longest / max(size)
    if not enlarge:
        scale = min(1.0, scale)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


class Preview:
    """A picture made smaller while its rows pass by: averages of light, as seen from further away."""

    def __init__(self, size: tuple[int, int], longest: int, sink: Sink | None = None) -> None:
        """size: (width, height) of the picture; longest: the longer side of the preview at the most, in pixels.

        sink: takes the rows of the preview as they come, (h, w, C) uint8 sRGB; None: they are kept.
        """
        self._size = size
        self.size = shown(size, longest)
        self._same = self.size == size
        self._columns = area_taps(size[0], self.size[0], 0, self.size[0])
        self._rows = area_taps(size[1], self.size[1], 0, self.size[1])
        self.images: list[npt.NDArray[np.uint8]] = []
        """The rows of the preview that are ready, in parts; only where they are kept."""
        self._sink = self.images.append if sink is None else sink
        self._held: FloatArray | None = None
        self._top = self._made = 0

    def feed(self, rows: FloatArray) -> None:
        """Take the next rows, (h, W, C) sRGB in [0, 1]."""
        if self._same:
            self._sink(code_values(rows, rows.shape[2]))
            return
        light = np.asarray(light_from_srgb(planar(rows)), dtype=np.float32)
        still = Taps(np.arange(light.shape[1]), np.ones((light.shape[1], 1), dtype=np.float32))
        light = resample(light, (0, 0), still, self._columns)
        held = light if self._held is None else np.concatenate([self._held, light], axis=1)
        bottom = self._top + held.shape[1]
        ends = self._rows.first + self._rows.weights.shape[1]
        ready = int(np.searchsorted(ends, bottom, side="right"))
        if ready > self._made:
            taps = Taps(self._rows.first[self._made : ready], self._rows.weights[self._made : ready])
            still = Taps(np.arange(held.shape[2]), np.ones((held.shape[2], 1), dtype=np.float32))
            small = srgb_from_light(np.clip(resample(held, (self._top, 0), taps, still), 0, 1))
            shown = np.asarray(np.moveaxis(small, 0, -1), dtype=np.float32)
            self._sink(code_values(shown, shown.shape[2]))
            self._made = ready
        wanted = int(self._rows.first[ready]) if ready < len(ends) else bottom
        # A copy, for a part holds all that it is a part of.
        self._held, self._top = held[:, wanted - self._top :].copy(), wanted

    @property
    def image(self) -> npt.NDArray[np.uint8]:
        """The preview, (h, w, C) uint8 sRGB, once all rows have passed; only where they were kept."""
        return np.concatenate(self.images)


@dataclass(frozen=True)
class PlacedStack:
    """An arrangement that is to be proved."""

    place: tuple[Placement, ...]
    """How its sheets lie."""
    exposure: float
    mask: int | None = None
    """Number of the picture that holds the weights of the target's pixels, after all targets and guides; None: all
    count alike."""


class StackScoring:
    """Scores and previews of one stack against its target, and of the same stack with its sheets off."""

    def __init__(
        self, size: tuple[int, int], placed: PlacedStack, distances: Sequence[int], sink: Sink, cell: int = CELL
    ) -> None:
        """size: (width, height) in pixels. distances: by how many pixels sheets are off. sink: takes the stack.

        cell: longer side of target and stack on the contact sheet, at the most.
        """
        shape = size[1], size[0]
        self.placed = placed
        self.target, self.cell = Preview(size, cell), Preview(size, cell)
        self.sheets = [Preview(size, SHEET_CELL) for _ in placed.place]
        self.off = [(distance, Preview(size, cell)) for distance in distances]
        self.whole = Preview(size, STACK, sink)
        self.moves = [one.move(shape) for one in placed.place]
        self.away = [aside(shape, self.moves, distance) for distance in distances]
        # Of the stack, of each sheet alone, and of the stack with its sheets off, each to the target.
        self.similarity = [0] * (1 + len(placed.place) + len(distances))
        self.error = [0] * (1 + len(distances))
        self.values = 0.0
        """Pixels times planes, or their weights."""
        self.weights: FloatArray | None = None
        """Of the pixels of the rows that pass, (h, W)."""

    def scores(self) -> StackScores:
        """Return what it scores."""
        values = self.values
        ssim = [total / 2.0**SSIM_BITS / values for total in self.similarity]
        psnr = [_decibels(error / 2.0**ERROR_BITS / values) for error in self.error]
        away, count = ssim[1 : 1 + len(self.sheets)], 1 + len(self.sheets)
        off = [
            Misalignment(distance, ssim[count + number], psnr[1 + number])
            for number, (distance, _) in enumerate(self.off)
        ]
        return StackScores(ssim[0], psnr[0], tuple(away), tuple(off))


def distances_for(registration: float) -> tuple[int, ...]:
    """Return by how many pixels sheets are off where a stack is tried: half, once and twice the tolerance.

    Whole pixels, 1 or more, and of a tolerance of 0 those of a pixel.
    """
    tolerance = max(1.0, registration)
    return tuple(dict.fromkeys(math.floor(part * tolerance + 0.5) for part in (0.5, 1, 2) if part * tolerance >= 1))


def aside(shape: tuple[int, int], moves: Sequence[Move], distance: float) -> list[Move]:
    """Return `moves` of a stack of `shape` where all sheets but the first are off by `distance` pixels.

    The second is shifted to the right, the third down, the fourth to the left, and so on around.
    """
    ways = itertools.cycle([(1, 0), (0, 1), (-1, 0), (0, -1)])
    return [
        *moves[:1],
        *(
            move.after(move_of(shape, 0.0, None, (distance * right, distance * down)))
            for move, (right, down) in zip(moves[1:], ways, strict=False)
        ),
    ]


def previews_bytes(
    size: tuple[int, int], planes: int, layers: int, sheets: Sequence[int], registration: float
) -> int:
    """Return the memory that the previews of a proof take in the end; sheets: how many each stack has."""

    def taken(longest: int) -> int:
        width, height = shown(size, longest)
        return planes * width * height + _OF_PREVIEW

    offs = [len(distances_for(registration)) if count > 1 else 0 for count in sheets]
    of_stacks = (2 * len(sheets) + sum(offs)) * taken(CELL if len(sheets) == 1 else PART)
    return 2 * layers * taken(CELL) + of_stacks + sum(sheets) * taken(SHEET_CELL)


class Scoring:
    """Scores and previews of stacks against their targets, and of layers against their guides."""

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
        """size: (width, height) in pixels. sinks: take the rows of the stacks, of size `shown(size)`.

        registration: how far sheets may lie off, in pixels. round_sheets: whether only the largest circle counts.
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
        """Take so many rows more of everything.

        layer: gives a region of a layer, (h, w, C) float32 sRGB in [0, 1]; wanted: of the targets, then of the
        guides; C the same for all.
        """
        top, bottom = self._done, min(self._done + rows, self.size[1])
        outer = Region(max(0, top - RADIUS), min(self.size[1], bottom + RADIUS), 0, self.size[0])
        counted = Region(top - outer.top, bottom - outer.top, 0, self.size[0])
        inner = slice(counted.top, counted.bottom)
        counts = (bottom - top) * self.size[0]
        if self._round:
            self._circle = disc(self._shape, Frame(outer.top, 0), (outer.height, outer.width))
            counts = int(self._circle[inner].sum())
        for k, (look, guide) in enumerate(zip(self.layers, self.guides, strict=True)):
            x, y = layer(k, outer), wanted(len(self.stacks) + k, outer)
            self._similarity[k] += self._similar(x, y, counted, self._circle)
            look.feed(x[inner])
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
            whole = composite(self._passing(stack, layer, target, outer, counted), stack.placed.exposure)
            stack.whole.feed(whole[inner])
            stack.cell.feed(whole[inner])
            self._compare(stack, 0, 0, whole, target, counted)
            for at, ((_, look), moves) in enumerate(zip(stack.off, stack.away, strict=True)):
                del whole  # before the next one takes its memory
                both = zip(stack.placed.place, moves, strict=True)
                sheets = (self._placed(layer, one.layer - 1, move, outer) for one, move in both)
                whole = composite(sheets, stack.placed.exposure)
                look.feed(whole[inner])
                self._compare(stack, 1 + len(stack.sheets) + at, 1 + at, whole, target, counted)
            del whole
        self._values += counts * target.shape[2]
        self._done = bottom

    @property
    def scores(self) -> Scores:
        """What stacks and layers score, once all rows have passed."""
        ssim = tuple(total / 2.0**SSIM_BITS / self._values for total in self._similarity)
        return Scores(tuple(stack.scores() for stack in self.stacks), ssim)

    def _passing(
        self,
        stack: StackScoring,
        layer: Callable[[int, Region], FloatArray],
        target: FloatArray,
        rows: Region,
        counted: Region,
    ) -> Iterator[FloatArray]:
        """Give rows of one sheet of a stack after the other as it lies there; each is compared with the target."""
        both = zip(stack.placed.place, stack.moves, strict=True)
        for k, (one, move) in enumerate(both):
            sheet = self._placed(layer, one.layer - 1, move, rows)
            stack.sheets[k].feed(sheet[counted.top : counted.bottom])
            stack.similarity[1 + k] += self._similar(sheet, target, counted, stack.weights)
            yield sheet

    def _placed(
        self, layer: Callable[[int, Region], FloatArray], number: int, move: Move, rows: Region
    ) -> FloatArray:
        """Return rows of a layer that lies as `move` says."""
        return placed_rows(lambda region: layer(number, region), self._shape, move, rows.top, rows.bottom)

    def _compare(
        self, stack: StackScoring, ssim: int, error: int, whole: FloatArray, target: FloatArray, counted: Region
    ) -> None:
        """Add similarity and error of what is `counted` of a stack to their sums."""
        stack.similarity[ssim] += self._similar(whole, target, counted, stack.weights)
        for top in range(counted.top, counted.bottom, _SQUARED):
            rows = slice(top, min(top + _SQUARED, counted.bottom))
            difference = whole[rows] - target[rows]
            squares = np.square(difference, dtype=np.float64)
            if stack.weights is not None:
                squares *= stack.weights[rows, :, np.newaxis]
            squares = np.rint(squares * 2.0**ERROR_BITS) / 2.0**ERROR_BITS
            stack.error[error] += int(quanta(squares, ERROR_BITS))

    def _similar(self, x: FloatArray, y: FloatArray, counted: Region, weights: FloatArray | None) -> int:
        """Return the sum of SSIM of two pictures (h, W, C) where it is `counted`; weights: (h, W), of pixels."""
        total = 0
        for channel in range(x.shape[2]):
            one, other = (np.ascontiguousarray(image[np.newaxis, :, :, channel]) for image in (x, y))
            (found,) = ssim_sums(one, other, self._team, counted, weights)
            total += int(found)
        return total


def _decibels(error: float) -> float:
    """Return the peak signal-to-noise ratio of a mean squared error."""
    return math.inf if error == 0 else -10 * math.log10(error)
