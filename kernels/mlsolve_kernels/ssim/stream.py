"""SSIM and its gradient as a stream of rows through one strip of one plane.

Rows of x and y enter, BLOCK at a time; REACH rows later the first rows of the gradient are complete. Between them
are two sets of rings:

    rows of x → x, x², x·y → rings of moments → blurred down, then along → S, q, dS/dv, dS/dc
              → blurred along → rings of partials → blurred down → gradient

The data of the block below is prefetched explicitly, because the hardware cannot track this many rows at once.

The fused sweep, the step-by-step passes and the statistics all use these functions, for whole images and for tiles.
The maths is in docs/maths.md §3, its scalar part in partials.py.
"""

from typing import Any, Final, NamedTuple

import numba
import numpy as np
import numpy.typing as npt
from numba.extending import overload

from ..blur.cpu import MARGIN, PERIOD, blur_along, find_rows, sums_along, sums_down, wrap_margins
from ..compiled import kernel
from ..exact import SSIM_ROUNDER
from ..lanes import LANES, Row, ahead, fma, load, load_one, masked, prefetch, row, store, store_one, total
from ..layout import BLOCK, QUAD, FloatArray, Masks, Strips, Window, aligned_zeros, whole
from ..window import RADIUS
from .partials import ssim_partials

_TWO: Final = np.float32(2.0)
_ZERO: Final = np.float32(0.0)

X: Final = 0
"""Rings of a stream. X, XX and XY hold moments: x, its square, its product with y."""
XX: Final = 1
XY: Final = 2
Q: Final = 3
"""Q, BY_VARIANCE and BY_COVARIANCE hold partials, blurred along the row: q, dS/dv, dS/dc."""
BY_VARIANCE: Final = 4
BY_COVARIANCE: Final = 5
RINGS: Final = 6

_partials = kernel(ssim_partials)


class Constant(NamedTuple):
    """The fixed images of an SSIM: planes of strips (P, across, H, L) float32, with halos, and their statistics.

    Inside kernels also the Rows of one strip of one plane; its row r is r·L further on.
    """

    image: Any
    mean: Any
    variance: Any


class Streams(NamedTuple):
    """The buffers of all workers. The first axis of every array is the worker."""

    rings: FloatArray
    """(workers, streams, RINGS, PERIOD·pitch): the latest rows of moments and partials."""
    block: FloatArray
    """(workers, 3·BLOCK, pitch): lines of moments, blurred down."""
    lines: FloatArray
    """(workers, 3, pitch): lines of partials."""
    rows: FloatArray
    """(workers, 3, BLOCK·pitch): rows that last for one block: composite, gradient by it, gradient by a layer."""
    places: npt.NDArray[np.int64]
    """(workers, 32): offsets of rows in the rings; 32, so that workers do not share cache lines."""


class Stream(NamedTuple):
    """The Rows of one stream of one worker. It shares all but the rings with the worker's other streams."""

    rings: Row
    block: Row
    lines: Row
    places: Row


class Weighting(NamedTuple):
    """The weights of the pixels of a strip, if not all count equally."""

    weights: Row
    """The weights of row 0, float32."""
    step: int
    """Distance between rows, in float32; 0 if all rows are equal."""
    squared: bool
    """Whether max(0, SSIM)² counts instead of SSIM."""


class Piece(NamedTuple):
    """A worker's part of one strip of one plane: rows first … last - 1 of `height`, each `length` wide."""

    plane: int
    strip: int
    first: int
    last: int
    height: int
    length: int


@kernel
def pitch_of(length: int) -> int:
    """Return the distance between rows in rings and blocks; `length` must be a multiple of 2·LANES.

    It is an odd number of cache lines: otherwise the rows of a window would map to a few sets of the cache.
    """
    return length + LANES


def new_streams(workers: int, streams: int, strips: Strips) -> Streams:
    """Return the buffers of `workers` workers with `streams` streams each."""
    length = strips.groups * LANES
    return Streams(
        aligned_zeros(workers, streams, RINGS, PERIOD * pitch_of(length)),
        aligned_zeros(workers, 3 * BLOCK, pitch_of(length + 2 * MARGIN)),
        aligned_zeros(workers, 3, pitch_of(length + 2 * MARGIN)),
        aligned_zeros(workers, 3, BLOCK * pitch_of(length)),
        np.zeros((workers, 32), dtype=np.int64),
    )


def streams_bytes(workers: int, streams: int, strips: Strips) -> int:
    """Return the bytes that `new_streams` allocates."""
    pitch = strips.groups * LANES + LANES
    rings = streams * RINGS * PERIOD * pitch
    lines = (3 * BLOCK + 3) * (pitch + 2 * MARGIN) + 3 * BLOCK * pitch
    return workers * (4 * (rings + lines) + 8 * 32)


@kernel
def stream_of(streams: Streams, worker: int, number: int) -> Stream:
    """Return stream `number` of `worker`."""
    return Stream(
        row(streams.rings, (worker, number)),
        row(streams.block, (worker,)),
        row(streams.lines, (worker,)),
        row(streams.places, (worker,)),
    )


@kernel
def piece_within(start: int, stop: int, strips: Strips, window: Window) -> Piece:
    """Return the piece of work from row `start` on, up to `stop` at most; only rows inside `window` are numbered.

    The rows of all strips of all planes are numbered consecutively, so that a worker's share is one range of
    numbers and every worker gets the same number of rows.
    """
    height, across = window.bottom - window.top, window.right - window.left
    column, first = start // height, window.top + start % height
    last = min(window.bottom, first + stop - start)
    plane, strip = column // across, window.left + column % across
    return Piece(plane, strip, first, last, strips.height, strips.groups * LANES)


@kernel
def piece_of(start: int, stop: int, strips: Strips) -> Piece:
    """Return the piece of work from row `start` on, up to `stop` at most, in whole strips."""
    return piece_within(start, stop, strips, whole(strips))


@kernel
def constant_rows(constant: Constant, plane: int, strip: int) -> Constant:
    """Return the Rows of one strip of one plane."""
    at = (plane, strip)
    return Constant(row(constant.image, at), row(constant.mean, at), row(constant.variance, at))


def weighting_at(weights: FloatArray | None, window: int, strip: int) -> Weighting | None:
    """Return the weights of one strip of one window; weights: (W, across, H, L), None if all pixels count equally.

    For kernels. Whether there are weights is known at compile time, so that kernels without weights contain no code
    for them. A plain function would return an optional value, which would be checked at every vector.
    """
    raise NotImplementedError


@overload(weighting_at, strict=False)  # type: ignore[untyped-decorator, unused-ignore]
def _weighting_at(weights: Any, window: Any, strip: Any) -> Any:
    if isinstance(weights, numba.types.NoneType):
        return lambda weights, window, strip: None
    return lambda weights, window, strip: Weighting(row(weights, (window, strip)), weights.shape[3], False)


@kernel
def mask_rows(masks: Masks, strip: int) -> Masks:
    """Return the Rows of the masks of one strip."""
    return Masks(row(masks.inside, (strip,)), row(masks.own, (strip,)), row(masks.counted, (strip,)))


@kernel
def enter(x: Row, y: Row, rings: Row, index: int, length: int) -> None:
    """Enter row `index` of x and y (length) into the rings of one stream."""
    pitch = pitch_of(length)
    ring, place = PERIOD * pitch, index % PERIOD * pitch
    for at in range(0, length, LANES):
        prefetch(x, BLOCK * length + at)
        prefetch(y, BLOCK * length + at)
        value = load(x, at)
        store(rings, X * ring + place + at, value)
        store(rings, XX * ring + place + at, value * value)
        store(rings, XY * ring + place + at, value * load(y, at))


@kernel
def enter_nothing(rings: Row, index: int, length: int) -> None:
    """Enter a row of zeros, from outside the image, into three rings."""
    pitch = pitch_of(length)
    for ring in range(3):
        place = ring * PERIOD * pitch + index % PERIOD * pitch
        for at in range(0, length, LANES):
            store(rings, place + at, _ZERO)


@kernel
def enter_block(x: Row, y: Row, rings: Row, piece: Piece, index: int) -> None:
    """Enter the rows index … index + BLOCK - 1 of x and y into the rings, zeros outside the image.

    x, y: row 0 of the strip.
    """
    for r in range(index, index + BLOCK):
        if 0 <= r < piece.height:
            enter(ahead(x, r * piece.length), ahead(y, r * piece.length), rings, r, piece.length)
        else:
            enter_nothing(rings, r, piece.length)


@kernel
def line_of(lines: Row, number: int, length: int) -> Row:
    """Return the beginning of line `number`, after its left margin."""
    return ahead(lines, number * pitch_of(length + 2 * MARGIN) + MARGIN)


@kernel
def moments_down(stream: Stream, index: int, count: int, length: int) -> None:
    """Blur the first `count` rings of moments down into stream.block, rows index … index + BLOCK - 1 of each."""
    pitch = pitch_of(length)
    find_rows(index - RADIUS, pitch, stream.places)
    for at in range(0, length, LANES):
        for moment in range(count):
            sums = sums_down(stream.rings, stream.places, moment * PERIOD * pitch + at)
            for r in range(BLOCK):
                store(line_of(stream.block, moment * BLOCK + r, length), at, sums[r])


@kernel
def derive(
    stream: Stream,
    y: Constant,
    masks: Masks,
    piece: Piece,
    index: int,
    ssim_sums: Row,
    weighting: Weighting | None = None,
    windowed: Row | None = None,
) -> None:
    """Compute the partials of the rows index … index + BLOCK - 1; RADIUS more rows must have entered.

    y, masks: Rows of the strip. The sum of SSIM over the counted columns (exact.py) is stored in ssim_sums[row] for
    the rows of the piece. windowed: Rows of the strip that receive B[x] of the rows of the piece; None: not wanted.
    """
    length, pitch = piece.length, pitch_of(piece.length)
    partials = ahead(stream.rings, Q * PERIOD * pitch)
    moments_down(stream, index, 3, length)
    for r in range(index, index + BLOCK):
        if not 0 <= r < piece.height:
            enter_nothing(partials, r, length)
            continue
        similarity = _derive_row(stream, y, masks, r, r - index, length, weighting)
        if piece.first <= r < piece.last:
            store_one(ssim_sums, r, similarity)
            if windowed is not None:  # decided at compile time
                blur_along(
                    line_of(stream.block, X * BLOCK + r - index, length), length, ahead(windowed, r * length)
                )
        for partial in range(3):
            line = line_of(stream.lines, partial, length)
            wrap_margins(line, length)
            blur_along(line, length, ahead(partials, partial * PERIOD * pitch + r % PERIOD * pitch))


@kernel
def _derive_row(
    stream: Stream,
    y: Constant,
    masks: Masks,
    index: int,
    offset: int,
    length: int,
    weighting: Weighting | None,
) -> float:
    """Store q, dS/dv and dS/dc of row `index` in stream.lines; return the sum of S over the counted columns.

    offset: number of the row in the blocks of moments. There is no SSIM outside the image, so no gradient may come
    from there: the weight `inside` ensures this.
    """
    x = line_of(stream.block, X * BLOCK + offset, length)
    xx = line_of(stream.block, XX * BLOCK + offset, length)
    xy = line_of(stream.block, XY * BLOCK + offset, length)
    q, by_variance, by_covariance = (
        line_of(stream.lines, 0, length),
        line_of(stream.lines, 1, length),
        line_of(stream.lines, 2, length),
    )
    mean_y, variance_y = ahead(y.mean, index * length), ahead(y.variance, index * length)
    wrap_margins(x, length)
    wrap_margins(xx, length)
    wrap_margins(xy, length)
    similarity = load(masks.counted, 0) * _ZERO
    for start in range(0, length, QUAD * LANES):
        mean_x, square_x, product_xy = sums_along(x, start), sums_along(xx, start), sums_along(xy, start)
        for group in range(QUAD):
            at = start + group * LANES
            prefetch(mean_y, BLOCK * length + at)
            prefetch(variance_y, BLOCK * length + at)
            s, q_at, dv, dc = _partials(
                mean_x[group],
                square_x[group],
                product_xy[group],
                load(mean_y, at),
                load(variance_y, at),
                load(masks.inside, at),
            )
            if weighting is not None:  # decided at compile time: without weights this code does not exist
                factor = load(weighting.weights, index * weighting.step + at)
                if weighting.squared:
                    s = max(s, _ZERO)
                    # d(S²) = 2 S dS
                    q_at, dv, dc = (s + s) * q_at, (s + s) * dv, (s + s) * dc
                    s = s * s
                s, q_at, dv, dc = factor * s, factor * q_at, factor * dv, factor * dc
            store(q, at, q_at)
            store(by_variance, at, dv)
            store(by_covariance, at, dc)
            # Outside the counted columns S may be anything, even NaN.
            rounded = (s + SSIM_ROUNDER) - SSIM_ROUNDER
            similarity = similarity + masked(load(masks.counted, at), rounded)
    return float(total(similarity))


@kernel
def gradient_rows(stream: Stream, y: Constant, index: int, out: Row, length: int) -> None:
    """Store the gradient of the sum of S by x, rows index … index + BLOCK - 1, in `out`, one pitch apart.

    y: Rows of the strip. The partials of the RADIUS rows below must exist, and x must still be in its ring.
    """
    pitch, y_rows = pitch_of(length), ahead(y.image, index * length)
    ring, rings, places = PERIOD * pitch, stream.rings, stream.places
    find_rows(index - RADIUS, pitch, places)
    x_rows = ahead(places, RADIUS)
    for at in range(0, length, LANES):
        # One term after the other: the sums of all three do not fit into the registers.
        q = sums_down(rings, places, Q * ring + at)
        for r in range(BLOCK):
            store(out, r * pitch + at, q[r])
        by_variance = sums_down(rings, places, BY_VARIANCE * ring + at)
        for r in range(BLOCK):
            twice_x = _TWO * load(rings, X * ring + load_one(x_rows, r) + at)
            store(out, r * pitch + at, fma(twice_x, by_variance[r], load(out, r * pitch + at)))
        by_covariance = sums_down(rings, places, BY_COVARIANCE * ring + at)
        for r in range(BLOCK):
            # At the bottom edge this may read rows of the next strip, which are never used.
            y_at = load(y_rows, r * length + at)
            store(out, r * pitch + at, fma(y_at, by_covariance[r], load(out, r * pitch + at)))
