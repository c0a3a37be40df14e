"""One iteration in one sweep over memory: light, SSIMs forward and backward, gradient, Adam, projection.

It runs objectives with a single stack of unmoved sheets, the terms named in TAKES, and a light that does not couple
planes. All others run pass by pass (stepwise.py). N + 1 streams, one for the stack and one for each layer, run side
by side down every strip of every plane, BLOCK rows at a time:

    rows index …             the layers enter their streams; their composite enters the stream of the stack
    rows index - RADIUS …    every stream computes the partials of its SSIM
    rows index - REACH …     the gradient by the composite; the gradient, step and projection of each layer

The rings stay in the second-level cache; for three layers all of them fit. So layers, moments and constants are
read once and written once, in place: a row is overwritten only after it has entered every stream that needs it. Two
kinds of old values must be kept. A worker's neighbours may be ahead of it, so the rows around the borders between
shares are copied before the sweep. And the halo of a strip keeps the old columns of adjacent strips until all
strips have been swept.
"""

from typing import Final

import numpy as np

from ..adam.step import Rates
from ..blur.cpu import PERIOD
from ..compiled import kernel
from ..lanes import LANES, Row, ahead, load, row, store, store_one
from ..layout import (
    BLOCK,
    FloatArray,
    Masks,
    Strips,
    SumArray,
    Window,
    aligned_zeros,
    exchange_halos,
    strips_for,
)
from ..light import declared
from ..light.cpu import Planes, chain_row, compose_row
from ..newton.cpu import SCRATCH, Bends
from ..ssim.stream import (
    RINGS,
    Constant,
    Piece,
    Stream,
    Streams,
    constant_rows,
    derive,
    enter,
    enter_nothing,
    gradient_rows,
    mask_rows,
    piece_within,
    pitch_of,
    stream_of,
)
from ..terms.stack_mse.cpu import blend_row, squared_error_row
from ..threads import share_of
from ..window import RADIUS, REACH
from .objective import Objective, Shape, Step, Sums, Weights
from .state import State, state_bytes
from .sweep_steps import Newton, Settings, Sheets, Stack, step_alone, step_together

TAKES: Final = {"stack_ssim", "stack_mse", "guide_ssim"}
"""The terms that the sweep computes; all are summed, whatever their weights."""

_NO_RATES: Final = Rates(*[np.float32(0)] * len(Rates._fields))
"""Adam's constants where a Newton step is taken."""


def can_run(objective: Objective) -> bool:
    """Return whether the sweep can run `objective`.

    It must have a single stack of unmoved layers, the terms TAKES, a light that does not couple planes, and no
    pixel weights.
    """
    return (
        len(objective.stacks) == 1
        and objective.still
        and not (objective.stacks[0].weighted or objective.disc)
        and not declared(objective.light).couples_planes
        and objective.inks is None
        and {term.name for term in objective.terms} == TAKES
    )


@kernel
def save_borders(layers: FloatArray, strips: Strips, window: Window, borders: FloatArray, workers: int) -> None:
    """Copy the REACH rows above and below the start of each worker's share to borders[worker] (N, 2·REACH, L).

    This is little data, so one thread does it: waking the others would take longer.
    """
    count, planes, _, height, length = layers.shape
    rows = planes * (window.right - window.left) * (window.bottom - window.top)
    for worker in range(workers):
        start, _ = share_of(rows, worker, workers)
        if start == rows:
            continue
        piece = piece_within(start, rows, strips, window)
        for k in range(count):
            for slot in range(2 * REACH):
                r = piece.first - REACH + slot
                if 0 <= r < height:
                    here = row(layers, (k, piece.plane, piece.strip, r))
                    there = row(borders, (worker, k, slot))
                    for at in range(0, length, LANES):
                        store(there, at, load(here, at))


@kernel
def sweep(
    layers: FloatArray,
    moments: tuple[FloatArray, FloatArray],
    target: Constant,
    guides: Constant,
    weights: Weights,
    light: tuple[np.float32, ...],
    rates: Rates,
    newton: Newton | None,
    masks: Masks,
    strips: Strips,
    window: Window,
    streams: Streams,
    borders: FloatArray,
    sums: tuple[SumArray, SumArray, SumArray],
    worker: int,
    workers: int,
) -> None:
    """Take one step: one worker's share of the rows of `window`. Nothing outside the window changes.

    newton: None: Adam takes it.

    layers, moments: (N, C, across, H, L), changed in place; guides: N·C planes. sums: receive the row sums of the
    target's SSIM and squared error (C, across, H) and of the guides' SSIM (N·C, across, H).
    """
    count, planes, _, height, length = layers.shape
    rows = planes * (window.right - window.left) * (window.bottom - window.top)
    start, stop = share_of(rows, worker, workers)
    while start < stop:
        piece = piece_within(start, stop, strips, window)
        at = (piece.plane, piece.strip)
        sheets = Sheets(
            count,
            planes * strips.across * height * length,
            planes * strips.across * height,
            RINGS * PERIOD * pitch_of(length),
            row(layers, (0, *at)),
            row(moments[0], (0, *at)),
            row(moments[1], (0, *at)),
            constant_rows(guides, *at),
            row(sums[2], at),
            row(streams.rings, (worker,)),
            row(borders, (worker,)),
            row(borders, (worker + 1,)),
        )
        stack = Stack(
            stream_of(streams, worker, count),
            constant_rows(target, *at),
            row(sums[0], at),
            row(sums[1], at),
            row(streams.rows, (worker, 0)),
            row(streams.rows, (worker, 1)),
        )
        settings = Settings(weights, light, mask_rows(masks, piece.strip), window)
        gradient = row(streams.rows, (worker, 2))
        for index in range(piece.first - REACH, piece.last + REACH, BLOCK):
            for r in range(index, index + BLOCK):
                _enter_row(sheets, stack, settings, piece, r)
            if index < piece.first:
                continue
            if newton is not None:
                block = BLOCK * pitch_of(length)
                gradient = row(newton.rows, (worker,))
                _advance_stack(stack, settings, piece, index, row(newton.bends.windowed, at))
                for k in range(count):
                    here = ahead(gradient, k * block)
                    _find_gradient(sheets, k, stream_of(streams, worker, k), stack, settings, piece, index, here)
                curvature = row(newton.bends.curvature, at)
                windowed = row(newton.bends.windowed, at)
                lines = row(newton.lines, (worker,))
                step_together(
                    sheets, stack, curvature, windowed, lines, newton.rates, settings, piece, index, gradient
                )
            else:
                _advance_stack(stack, settings, piece, index, None)
                for k in range(count):
                    stream = stream_of(streams, worker, k)
                    _find_gradient(sheets, k, stream, stack, settings, piece, index, gradient)
                    step_alone(sheets, k, rates, settings, piece, index, gradient)
        start += piece.last - piece.first


@kernel
def _enter_row(sheets: Sheets, stack: Stack, settings: Settings, piece: Piece, r: int) -> None:
    """Enter row `r` of the layers and of their composite into the streams.

    Outside the piece but inside the window, the layers come from the saved borders, because other workers change
    these rows. Outside the image everything is zero.
    """
    length, window = piece.length, settings.window
    if not 0 <= r < piece.height or r >= piece.last + REACH:
        for stream in range(sheets.number + 1):
            enter_nothing(ahead(sheets.rings, stream * sheets.rings_stride), r, length)
        return
    for k in range(sheets.number):
        slot = k * 2 * REACH + REACH
        if window.top <= r < piece.first:
            x = ahead(sheets.above, (slot + r - piece.first) * length)
        elif piece.last <= r < window.bottom:
            x = ahead(sheets.below, (slot + r - piece.last) * length)
        else:
            x = ahead(sheets.x, k * sheets.stride + r * length)
        guide = ahead(sheets.guide.image, k * sheets.stride + r * length)
        enter(x, guide, ahead(sheets.rings, k * sheets.rings_stride), r, length)
    entered = ahead(sheets.rings, r % PERIOD * pitch_of(length))
    planes = Planes(0, 1, 0)
    compose_row(settings.light, entered, sheets.rings_stride, sheets.number, planes, stack.composite, length)
    enter(stack.composite, ahead(stack.target.image, r * length), stack.stream.rings, r, length)


@kernel
def _advance_stack(stack: Stack, settings: Settings, piece: Piece, index: int, windowed: Row | None) -> None:
    """Compute the stack's partials from row index - RADIUS, the gradient by the composite from index - REACH.

    windowed: Rows of the strip that receive B[composite]; None: not wanted.
    """
    length, pitch, weights = piece.length, pitch_of(piece.length), settings.weights
    derive(stack.stream, stack.target, settings.mask, piece, index - RADIUS, stack.ssim_sums, None, windowed)
    ready = index - REACH
    if ready < piece.first:
        return
    gradient_rows(stack.stream, stack.target, ready, stack.by_composite, length)
    for r in range(ready, min(ready + BLOCK, piece.last)):
        x, y = ahead(stack.stream.rings, r % PERIOD * pitch), ahead(stack.target.image, r * length)
        here = ahead(stack.by_composite, (r - ready) * pitch)
        store_one(stack.error_sums, r, squared_error_row(x, y, settings.mask.counted, length))
        blend_row(weights.stack_ssim, weights.stack_mse, x, y, here, here, length)


@kernel
def _find_gradient(
    sheets: Sheets,
    k: int,
    stream: Stream,
    stack: Stack,
    settings: Settings,
    piece: Piece,
    index: int,
    gradient: Row,
) -> None:
    """Compute the partials of layer `k` from row index - RADIUS, its gradient (BLOCK, pitch) from index - REACH."""
    length, pitch, weights = piece.length, pitch_of(piece.length), settings.weights
    sheet, all_guides = k * sheets.stride, sheets.guide
    guide = Constant(
        ahead(all_guides.image, sheet), ahead(all_guides.mean, sheet), ahead(all_guides.variance, sheet)
    )
    derive(stream, guide, settings.mask, piece, index - RADIUS, ahead(sheets.ssim_sums, k * sheets.sums_stride))
    ready = index - REACH
    if ready < piece.first:
        return
    gradient_rows(stream, guide, ready, gradient, length)
    for r in range(ready, min(ready + BLOCK, piece.last)):
        chain_row(
            settings.light,
            ahead(stack.by_composite, (r - ready) * pitch),
            ahead(sheets.rings, r % PERIOD * pitch),
            sheets.rings_stride,
            sheets.number,
            k,
            weights.guide_ssim,
            ahead(gradient, (r - ready) * pitch),
            ahead(gradient, (r - ready) * pitch),
            length,
        )


def workspace_bytes(shape: Shape, workers: int, step: Step = "adam") -> int:
    """Return the bytes of a `CpuWorkspace` of `shape` for a team of `workers` workers."""
    length = strips_for(shape.height, shape.width).groups * LANES
    borders = (workers + 1) * shape.layers * 2 * REACH * length
    newton = 0 if step == "adam" else workers * shape.layers * (BLOCK * pitch_of(length) + SCRATCH)
    return state_bytes(shape, workers, 1, step) + 4 * (borders + newton)


class CpuWorkspace(State):
    """The state of one image or tile, and its iteration in one sweep."""

    def _allocate(self) -> None:
        super()._allocate()
        count, _, _, _, length = self._layers.shape
        self._borders = aligned_zeros(self._team.workers + 1, count, 2 * REACH, length)
        workers, pitch = self._team.workers, pitch_of(length)
        self._newton: tuple[Bends, FloatArray, FloatArray] | None = None
        if self._bends is not None:
            rows, lines = aligned_zeros(workers, count * BLOCK * pitch), aligned_zeros(workers, SCRATCH * count)
            self._newton = self._bends, rows, lines

    def measure(self, rate: float) -> Sums:
        """Take one step at learning rate `rate`; return the sums of the terms at the layers it started from."""
        newton = None
        if self._newton is not None:
            bends, *room = self._newton
            newton = Newton(bends, self._next_newton(rate), *room)
        window = self._next_window()
        save_borders(self._layers, self._strips, window, self._borders, self._team.workers)
        self._team.run(
            sweep,
            self._layers,
            (self._first, self._second),
            self._target,
            self._guides,
            self._weights,
            self._light,
            self._next_rates(rate) if newton is None else _NO_RATES,
            newton,
            self._masks,
            self._strips,
            window,
            self._streams,
            self._borders,
            (*self._target_sums, self._guide_sums),
        )
        exchange_halos(self._layers, self._strips, self._team)
        return self._sums()
