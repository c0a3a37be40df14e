"""The Newton step on the CPU, vectorised, all layers of a row at a time; and the curvatures of a level."""

from typing import Any, Final, NamedTuple

import numpy as np

from ..blur.cpu import PERIOD, blur_along, wrap_margins
from ..compiled import kernel
from ..lanes import LANES, Row, ahead, load, masked, prefetch, row, store
from ..layout import BLOCK, FloatArray, Masks, Strips
from ..ssim.stream import Streams, X, enter_nothing, line_of, moments_down, piece_of, pitch_of, stream_of
from ..threads import Team, share_of
from ..window import C2, RADIUS, REACH
from .step import (
    LEAST,
    LEAST_SHARE,
    NewtonRates,
    counted_in_shift,
    inverse_of,
    newton_step,
    room_of,
    shift_of,
)

_room = kernel(room_of)
_inverse = kernel(inverse_of)
_shift = kernel(shift_of)
_counted = kernel(counted_in_shift)
_step = kernel(newton_step)

_ZERO: Final = np.float32(0)
_ONE: Final = np.float32(1)
_TWO: Final = np.float32(2)
_C2: Final = np.float32(C2)
_LEAST: Final = np.float32(LEAST)
_LEAST_SHARE: Final = np.float32(LEAST_SHARE)

SCRATCH: Final = 2 * LANES
"""float32 of work space that a row needs for each layer."""


class Bends(NamedTuple):
    """What a Newton step is told of the stacks: planes of strips (P, across, H, L). In kernels also Rows."""

    curvature: Any
    """Of the loss by the stack, constant in a level."""
    windowed: Any
    """B[stack], of the iteration."""


class Sheets(NamedTuple):
    """The Rows of the layers at one row: those of the first, and distances to the next."""

    x: Row
    velocity: Row
    curvature: Row
    stride: int
    """Distance between layers, in float32."""
    gradient: Row
    gradient_stride: int
    number: int


class StackRow(NamedTuple):
    """The Rows of the stack at the same row."""

    curvature: Row
    windowed: Row
    """B[stack]."""
    wanted: Row
    """B[target]."""


@kernel
def newton_row(
    sheets: Sheets,
    stack: StackRow,
    scale: np.float32,
    weights: Row | None,
    own: Row,
    lines: Row,
    rates: NewtonRates,
    length: int,
) -> None:
    """Take one step of one row of all layers in place; where `own` is 0, they become 0.

    scale: by which their product is multiplied (light/power). weights: of the stack's pixels, (length); None if all
    count equally. lines: (SCRATCH·N,), work space.
    """
    for at in range(0, length, LANES):
        prefetch(stack.curvature, BLOCK * length + at)
        prefetch(stack.wanted, BLOCK * length + at)
        bend = load(stack.curvature, at)
        before = _ZERO * bend + scale
        after = _ZERO * bend + _ONE
        for k in range(sheets.number - 1, -1, -1):
            store(lines, k * SCRATCH, after)
            after = after * load(sheets.x, k * sheets.stride + at)
        by_gradient = by_slope = free = _ZERO * bend
        for k in range(sheets.number):
            place, line = k * sheets.stride + at, k * SCRATCH
            prefetch(sheets.velocity, BLOCK * length + place)
            prefetch(sheets.curvature, BLOCK * length + place)
            x, gradient = load(sheets.x, place), load(sheets.gradient, k * sheets.gradient_stride + at)
            room = _room(x, gradient, rates)
            slope = masked(room, before * load(lines, line))
            before = before * x
            inverse = _inverse(slope, bend, load(sheets.curvature, place), rates)
            through = slope * inverse
            by_gradient = by_gradient + through * gradient
            by_slope = by_slope + through * slope
            free = free + masked(slope, _ONE + _ZERO * x)
            store(lines, line, slope)
            store(lines, line + LANES, inverse)
        through = bend * by_gradient / (_ONE + bend * by_slope)
        weight = bend * _ZERO + _ONE
        if weights is not None:
            weight = _counted(load(weights, at), sheets.number)
        shift = _shift(load(stack.windowed, at), load(stack.wanted, at), weight, free, rates)
        counts = load(own, at)
        for k in range(sheets.number):
            place, line = k * sheets.stride + at, k * SCRATCH
            slope = load(lines, line)
            moved, speed, clamped = _step(
                load(sheets.x, place),
                load(sheets.velocity, place),
                load(sheets.gradient, k * sheets.gradient_stride + at),
                slope,
                load(lines, line + LANES),
                through,
                masked(slope, shift),
                rates,
            )
            store(sheets.x, place, masked(counts, moved))
            store(sheets.velocity, place, masked(counts, speed - masked(clamped, speed)))


@kernel
def newton_pass(
    layers: FloatArray,
    velocity: FloatArray,
    curvature: FloatArray,
    gradient: FloatArray,
    scale: np.float32,
    bends: Bends,
    wanted: FloatArray,
    weights: FloatArray | None,
    of_window: int,
    masks: Masks,
    lines: FloatArray,
    rates: NewtonRates,
    worker: int,
    workers: int,
) -> None:
    """Take one Newton step of every pixel of `layers` in place, (N, P, across, H, L); one worker's share.

    bends, wanted: (P, across, H, L). scale: see `newton_row`. weights: (W, across, H, L), of_window planes to a
    window. lines: (workers, SCRATCH·N), work space.
    """
    count, planes, across, height, length = layers.shape
    start, stop = share_of(planes * across * height, worker, workers)
    for number in range(start, stop):
        at = (number // (across * height), number // height % across, number % height)
        stride = planes * across * height * length
        sheets = Sheets(
            row(layers, (0, *at)),
            row(velocity, (0, *at)),
            row(curvature, (0, *at)),
            stride,
            row(gradient, (0, *at)),
            stride,
            count,
        )
        stack = StackRow(row(bends.curvature, at), row(bends.windowed, at), row(wanted, at))
        own, line = row(masks.own, (at[1],)), row(lines, (worker,))
        if weights is not None:
            counts = row(weights, (at[0] // of_window, at[1], at[2]))
            newton_row(sheets, stack, scale, counts, own, line, rates, length)
        else:
            newton_row(sheets, stack, scale, None, own, line, rates, length)


@kernel
def _curvatures(
    variance: FloatArray,
    weights: FloatArray | None,
    of_window: int,
    factor: np.float32,
    more: np.float32,
    least: FloatArray | None,
    masks: Masks,
    strips: Strips,
    streams: Streams,
    out: FloatArray,
    worker: int,
    workers: int,
) -> None:
    """Fill `out` with factor · 2 B[m / (2 variance + C2)] + more · m; one worker's share.

    variance, out: (P, across, H, L). weights: m, (W, across, H, L); None: 1. least: (Q, across, H, L), P a multiple
    of Q: what `out` is at least LEAST_SHARE of; None: there is no such bound.
    """
    stream, planes = stream_of(streams, worker, 0), variance.shape[0]
    start, stop = share_of(planes * strips.across * strips.height, worker, workers)
    while start < stop:
        piece = piece_of(start, stop, strips)
        at, length, pitch = (piece.plane, piece.strip), piece.length, pitch_of(piece.length)
        inside = row(masks.inside, (piece.strip,))
        for index in range(piece.first - REACH, piece.last + RADIUS, BLOCK):
            for r in range(index, index + BLOCK):
                if not 0 <= r < piece.height:
                    enter_nothing(stream.rings, r, length)
                    continue
                enters = ahead(stream.rings, r % PERIOD * pitch)
                spread = ahead(row(variance, at), r * length)
                for place in range(0, length, LANES):
                    bent = _ONE / (_TWO * max(load(spread, place), _ZERO) + _C2)
                    if weights is not None:
                        counts = row(weights, (piece.plane // of_window, piece.strip, r))
                        bent = load(counts, place) * bent
                    store(enters, place, masked(load(inside, place), bent))
            if index < piece.first:
                continue
            middle = index - RADIUS
            moments_down(stream, middle, 1, length)
            for r in range(max(middle, piece.first), min(middle + BLOCK, piece.last)):
                line, result = (
                    line_of(stream.block, X * BLOCK + r - middle, length),
                    ahead(row(out, at), r * length),
                )
                wrap_margins(line, length)
                blur_along(line, length, result)
                for place in range(0, length, LANES):
                    found = _TWO * factor * load(result, place)
                    if weights is not None:
                        counts = row(weights, (piece.plane // of_window, piece.strip, r))
                        found = found + more * load(counts, place)
                    else:
                        found = found + more
                    if least is not None:
                        bound = row(least, (piece.plane % least.shape[0], piece.strip, r))
                        found = max(found, _LEAST_SHARE * load(bound, place) + _LEAST)
                    store(result, place, found)
        start += piece.last - piece.first


def find_curvatures(
    variances: tuple[FloatArray, FloatArray],
    factors: tuple[np.float32, np.float32, np.float32],
    weights: FloatArray | None,
    of_window: int,
    masks: Masks,
    strips: Strips,
    streams: Streams,
    out: tuple[FloatArray, FloatArray],
    team: Team,
) -> None:
    """Fill `out` with the curvatures of the loss by the stack, (P, across, H, L), and by each layer, (N·P, …).

    variances: of the target and of the guides. factors: the weights of SSIM, of the squared error, and of the
    guides. weights: of the target's pixels, (W, across, H, L), of_window planes to a window; None: all count alike.
    """
    ssim, error, guide = factors
    common = (masks, strips, streams)
    team.run(_curvatures, variances[0], weights, of_window, ssim, _TWO * error, None, *common, out[0])
    team.run(_curvatures, variances[1], None, of_window, guide, _ZERO, out[0], *common, out[1])
