"""Scores stacks and layers, and makes their previews, in bands of rows: nothing as large as the print is in memory.

Bands may be measured in any order and in any number of threads (`measured`), and are then added in order (`add`).
Scores are sums of integers (mlsolve_kernels.exact) and previews are averaged row by row. So neither depends on the
number of rows in a band. The rows of a sheet rotated by 90° come from columns of its layer.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from mlsolve_kernels.exact import SSIM_BITS
from mlsolve_kernels.layout import from_strips
from mlsolve_kernels.light.ink.inks import Inks
from mlsolve_kernels.placement.frames import Frame, disc
from mlsolve_kernels.region import Region
from mlsolve_kernels.scoring.moved import moved_bytes, moved_sums_bytes, offsets_of
from mlsolve_kernels.window import RADIUS

from .codes import Codes, Wanted, tables
from .desk import Desk, SheetRows
from .developing import Developing
from .differences import Counts, Differences, Reach
from .previews import CELL, PART, PREVIEW_OVERHEAD, SHEET_CELL, Part, Preview, Sink, shown
from .scores import Scores
from .stack_scoring import PlacedStack, StackScoring, distances_for, reach_of

FloatArray = npt.NDArray[np.float32]


@dataclass
class Band:
    """What one band adds to the scores and the previews."""

    similarity: list[int]
    """Of every layer to its guide, in 2^-SSIM_BITS."""
    stacks: "list[BandOfStack]" = field(default_factory=list)
    parts: list[tuple[Preview, Part]] = field(default_factory=list)
    """Rows for previews; of each preview in order."""
    pixels: int = 0
    """Pixels that count."""
    differences: list[Counts] = field(default_factory=list)
    """Of every layer to its guide, as `Differences.counted` returns them; none without a media profile."""


@dataclass
class BandOfStack:
    """What one band adds to the scores of a stack, numbered as the sums of `StackScoring`."""

    similarity: list[int]
    error: list[int]
    values: float
    differences: Counts | None
    """What `Differences.counted` returns; None without a media profile."""
    moved: list[tuple[int, npt.NDArray[np.int64]]]
    """For every misalignment, what `moved_sums` returns; none without a registration tolerance."""


class Scoring:
    """Scores and previews of all stacks against their targets, and of all layers against their guides."""

    def __init__(
        self,
        size: tuple[int, int],
        layers: int,
        stacks: Sequence[PlacedStack],
        sinks: Sequence[Sink] | None,
        planes: int,
        registration: float = 0.0,
        round_sheets: bool = False,
        inks: Inks | None = None,
    ) -> None:
        """size: (width, height) in pixels. sinks: one for each stack; takes its preview of size `shown(size)`.

        sinks: None: no previews are made. planes: 1 or 3, of all pictures; grey ones among coloured ones count
        three times. registration: the registration tolerance in pixels. round_sheets: whether only the pixels
        inside the largest circle count. inks: what layers are printed with and on; None: ideal inks.
        """
        self.developing = None if inks is None else Developing(inks, stacks[0].exposure)
        alone = None if inks is None else Reach.of(inks, 1, 1.0, inks.room * stacks[0].exposure)
        self._differences = [] if alone is None else [Differences(size, alone) for _ in range(layers)]
        self.size, self.registration, self.planes = size, registration, planes
        self._round, self._previews = round_sheets, sinks is not None
        self._shape = size[1], size[0]
        self._similarity = [0] * layers
        self._values = 0
        self.layers = [Preview(size, CELL) for _ in range(layers)]
        self.guides = [Preview(size, CELL) for _ in range(layers)]
        distances, cell = distances_for(registration), CELL if len(stacks) == 1 else PART
        given = sinks if sinks is not None else [lambda rows: None] * len(stacks)
        self.stacks = [
            StackScoring(
                size,
                placed,
                distances if len(placed.place) > 1 else (),
                sink,
                cell,
                registration > 0,
                None if inks is None else _differences(size, inks, placed),
            )
            for placed, sink in zip(stacks, given, strict=True)
        ]
        place = stacks[0].place
        self.unmoved: Final = len(stacks) == 1 and all(
            one.still and one.layer == k for k, one in enumerate(place, start=1)
        )
        """Whether the only stack is just the layers, in order and unmoved: then its sheets need no previews."""

    @property
    def reach(self) -> tuple[int, int] | None:
        """Rows above and below a band of a stack that are needed of the layers, in addition to the window's.

        None if layers cannot be read row by row.
        """
        return reach_of(move for stack in self.stacks for moves, _ in stack.composites for move in moves)

    @property
    def target_reach(self) -> int:
        """Rows above and below a band that are needed of a target, in addition to the window's: it may move."""
        return max((max(offsets_of(one.distance)) for stack in self.stacks for one in stack.moved), default=0)

    def measured(self, top: int, bottom: int, layer: Wanted, wanted: Wanted, desk: Desk) -> Band:
        """Return what rows top … bottom - 1 add to the scores and the previews. Nothing of this object changes.

        layer: returns a region of a layer as codes. wanted: the same of the targets, the guides and the masks,
        numbered in this order; of a target up to `target_reach` rows more are asked for. desk: the calling thread's
        buffers.
        """
        outer = Region(max(0, top - RADIUS), min(self.size[1], bottom + RADIUS), 0, self.size[0])
        rows = slice(top - outer.top, bottom - outer.top)
        desk.make_room(outer.height)
        circle, band = None, Band([], pixels=(bottom - top) * self.size[0])
        if self._round:
            circle = disc(self._shape, Frame(outer.top, 0), (outer.height, outer.width))
            band.pixels = int(circle[rows].sum())
        look = layer
        if self.developing is not None:
            look, layer = self.developing.looks(layer), self.developing.bands(layer)
        for k in range(len(self.layers)):
            x, y = look(k, outer), wanted(len(self.stacks) + k, outer)
            desk.fix(y)
            desk.put(x)
            band.similarity.append(desk.compared.total(rows, desk.spread_weights(circle)))
            self._show(band, self.layers[k], x[rows])
            self._show(band, self.guides[k], y[rows])
            if self._differences:
                counted = None if circle is None else circle[rows]
                pair = tables(x.dtype).value[x[rows]], tables(y.dtype).value[y[rows]]
                band.differences.append(self._differences[k].counted(top, *pair, counted))
        for number in range(len(self.stacks)):
            self._measure_stack(band, number, outer, rows, circle, (layer, look), wanted, desk)
        return band

    def add(self, band: Band) -> None:
        """Add the next band."""
        for k, similarity in enumerate(band.similarity):
            self._similarity[k] += similarity
        for own, counts in zip(self._differences, band.differences, strict=True):
            own.add(counts)
        for stack, found in zip(self.stacks, band.stacks, strict=True):
            stack.similarity = [a + b for a, b in zip(stack.similarity, found.similarity, strict=True)]
            stack.error = [a + b for a, b in zip(stack.error, found.error, strict=True)]
            stack.values += found.values
            if stack.differences is not None and found.differences is not None:
                stack.differences.add(found.differences)
            for one, sums in zip(stack.moved, found.moved, strict=True):
                one.add(*sums)
        for preview, part in band.parts:
            preview.add(part)
        self._values += band.pixels * self.planes

    @property
    def scores(self) -> Scores:
        """The scores of all stacks and layers, once all rows have been added."""
        ssim = tuple(total / 2.0**SSIM_BITS / self._values for total in self._similarity)
        differences = tuple(one.found for one in self._differences)
        return Scores(tuple(stack.scores() for stack in self.stacks), ssim, differences)

    def _show(self, band: Band, preview: Preview, codes: Codes) -> None:
        if self._previews:
            band.parts.append((preview, preview.part_of_codes(codes, self.planes)))

    def _measure_stack(
        self,
        band: Band,
        number: int,
        outer: Region,
        rows: slice,
        circle: FloatArray | None,
        sheets_of: tuple[Wanted, Wanted],
        wanted: Wanted,
        desk: Desk,
    ) -> None:
        """Add to `band` what stack `number` has in it.

        rows: those of `outer` that count. sheets_of: what sheets let through, and how they look alone.
        """
        (layer, look), differences = sheets_of, None
        stack, target = self.stacks[number], wanted(number, outer)
        weights = circle
        if stack.placed.mask is not None:
            codes = wanted(stack.placed.mask, outer)[..., 0]
            mask = tables(codes.dtype).value[codes]
            weights = np.ascontiguousarray(mask if circle is None else mask * circle)
        counts: float = band.pixels
        if weights is not None and weights is not circle:
            counts = float(weights[rows].sum(dtype=np.float64))
        spread_weights = desk.spread_weights(weights)
        desk.fix(target)
        self._show(band, stack.target, target[rows])
        similarity, error = [0] * len(stack.similarity), [0] * len(stack.error)
        moved, own = [], (outer.top + rows.start, outer.top + rows.stop)
        for at, (one, move) in enumerate(zip(stack.placed.place, stack.moves, strict=True)):
            sheet = SheetRows(self._shape, one.layer - 1, move, outer, look, self.planes)
            filled = stack.sheets[at : at + 1] if self._previews and not self.unmoved else []
            band.parts += desk.put_sheet(sheet, rows, filled)
            similarity[1 + at] = desk.compared.total(rows, spread_weights)
        for at, (moves, previews) in enumerate(stack.composites):
            sheets = [
                SheetRows(self._shape, one.layer - 1, move, outer, layer, self.planes)
                for one, move in zip(stack.placed.place, moves, strict=True)
            ]
            filled = previews if self._previews else []
            see = self.developing
            error[at], parts = desk.put_stack(sheets, stack.placed.exposure, target, weights, rows, filled, see)
            band.parts += parts
            if at == 0 and stack.differences is not None:
                seen = np.moveaxis(from_strips(desk.compared.moving, desk.compared.strips), 0, -1)[rows]
                pair = seen, tables(target.dtype).value[target[rows]]
                differences = stack.differences.counted(own[0], *pair, None if weights is None else weights[rows])
            similarity[0 if at == 0 else len(stack.sheets) + at] = desk.compared.total(rows, spread_weights)
            if 0 < at <= len(stack.moved):
                distance = stack.moved[at - 1].distance
                region = outer.grown(max(offsets_of(distance)), *self._shape)
                firsts, codes = (outer.top, region.top), wanted(number, region)
                moved.append(desk.moved_sums(codes, weights, own, self._shape, firsts, distance))
        band.stacks.append(BandOfStack(similarity, error, counts * self.planes, differences, moved))


def _differences(size: tuple[int, int], inks: Inks, placed: PlacedStack) -> Differences:
    """Return the colour differences of a stack, of which none are counted yet."""
    return Differences(size, Reach.of(inks, len(placed.place), placed.exposure, inks.room))


def moved_target_bytes(
    size: tuple[int, int], planes: int, sheets: Sequence[int], registration: float, rows: int
) -> tuple[int, int, int]:
    """Return what the targets moved take: bytes of a desk, bytes that bands of `rows` rows keep, and rows.

    The rows are those of a target above and below a band, together. Arguments as for `previews_bytes`.
    """
    distances, shape = distances_for(registration), (size[1], size[0])
    stacks = sum(count > 1 for count in sheets)
    if not (registration and stacks):
        return 0, 0, 0
    reach = max(max(offsets_of(distance)) for distance in distances)
    desk = max(moved_bytes(shape, rows, planes, distance) for distance in distances)
    # The codes of a plane, as NumPy looks them up.
    codes = 8 * size[0] * min(size[1], rows + 2 * RADIUS + 2 * reach)
    kept = stacks * sum(moved_sums_bytes(shape, rows, distance) for distance in distances)
    return desk + codes, kept, 2 * reach


def previews_bytes(
    size: tuple[int, int], planes: int, layers: int, sheets: Sequence[int], registration: float, views: int = 0
) -> int:
    """Return the bytes that all previews of a `Scoring` take once they are complete.

    size: (width, height) in pixels. sheets: the number of sheets in each stack. registration: in pixels. views:
    directions that each stack of several sheets is also seen from.
    """

    def bytes_of(longest: int) -> int:
        width, height = shown(size, longest)
        return planes * width * height + PREVIEW_OVERHEAD

    misalignments = [len(distances_for(registration)) + views if count > 1 else 0 for count in sheets]
    of_stacks = (2 * len(sheets) + sum(misalignments)) * bytes_of(CELL if len(sheets) == 1 else PART)
    return 2 * layers * bytes_of(CELL) + of_stacks + sum(sheets) * bytes_of(SHEET_CELL)
