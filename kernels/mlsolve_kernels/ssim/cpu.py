"""SSIM, its gradient and its constants on the CPU, as a stream of rows.

The rows of x and y go in at the top, a block at a time; REACH rows later the first rows of the gradient
come out at the bottom. Between them stand two sets of rings:

    rows of x, x², x·y → blurred along → `moments` → blurred down → S, q, dS/dv, dS/dc
                       → blurred along → `partials` → blurred down → gradient

A row passes through for a strip of n columns of the image. What flows in is REACH wider on either
side, what lies between is RADIUS wider. Both are the same functions for a whole image and for a tile.
"""

from typing import NamedTuple

import numpy as np

from ..blur.cpu import BLOCK, RING_ROWS, blur_along, blur_down, skip_row
from ..compiled import kernel
from ..layout import MARGIN, FloatArray, strip_count, strip_width, with_border
from ..threads import Team, share_of
from ..window import RADIUS, REACH
from .partials import ssim_partials

_TWO = np.float32(2.0)
_ZERO = np.float32(0.0)

_partials = kernel(ssim_partials)


class Constant(NamedTuple):
    """The fixed side of an SSIM: planes (P, H, W + 2·MARGIN) float32 with their windowed statistics."""

    image: FloatArray
    mean: FloatArray
    variance: FloatArray


class Stream(NamedTuple):
    """What one worker holds between the rows; the last axis is the widest strip and REACH on either side."""

    moments: FloatArray
    """(3, 2·PERIOD, L): rings of x, x² and x·y, blurred along."""
    partials: FloatArray
    """(3, 2·PERIOD, L): rings of q, dS/dv and dS/dc, blurred along."""
    rows: FloatArray
    """(6, BLOCK, L): rows that live for one step."""


class Strip(NamedTuple):
    """The part of a plane that a stream passes over: rows first … last - 1, columns left … right - 1."""

    first: int
    last: int
    left: int
    right: int


def new_streams(workers: int, width: int) -> Stream:
    """Return the streams of `workers` workers, each array with a leading axis for the worker."""
    length = strip_width(width) + 2 * REACH

    def zeros(*shape: int) -> FloatArray:
        return np.zeros((workers, *shape, length), dtype=np.float32)

    return Stream(zeros(3, RING_ROWS), zeros(3, RING_ROWS), zeros(6, BLOCK))


@kernel
def stream_of(streams: Stream, worker: int) -> Stream:
    """Return the stream of one worker."""
    return Stream(streams.moments[worker], streams.partials[worker], streams.rows[worker])


@kernel
def strip_of(start: int, stop: int, height: int, width: int, step: int) -> tuple[int, int, Strip]:
    """Return plane, strip number and `Strip` of the work from row `start` on, but not past `stop`.

    The rows of all strips of all planes are counted through, so that a worker's share is one range
    of numbers and every worker gets the same number of rows.
    """
    strips = (width + step - 1) // step
    column, first = start // height, start % height
    plane, number = column // strips, column % strips
    left = number * step
    return plane, number, Strip(first, min(height, first + stop - start), left, min(width, left + step))


@kernel
def advance(
    x: FloatArray,
    y: Constant,
    plane: int,
    strip: Strip,
    index: int,
    stream: Stream,
    ssim_sums: FloatArray,
) -> None:
    """Let BLOCK rows of `x` (H, W + 2·MARGIN) flow in from `index` on, and the partials RADIUS above them form.

    `plane` names the plane of `y`. The sum of SSIM over the strip's columns goes to ssim_sums[row],
    (H,), for rows of the strip. Call it for index = first - REACH, first - REACH + BLOCK, … below
    last + REACH; from index = first + REACH on, `blur_partials` and `gradient_row` give the gradient of
    the rows from index - REACH on.
    """
    height, width = x.shape[0], x.shape[1] - 2 * MARGIN
    start, stop = strip.left - REACH + MARGIN, strip.right + REACH + MARGIN
    for row in range(index, index + BLOCK):
        if 0 <= row < height:
            _absorb(x[row, start:stop], y.image[plane, row, start:stop], stream, row)
        else:
            for moment in range(3):
                skip_row(stream.moments[moment], row)

    middle = index - RADIUS
    if middle + BLOCK <= strip.first - RADIUS:
        return
    start, stop = strip.left - RADIUS + MARGIN, strip.right + RADIUS + MARGIN
    count = stop - start
    # Their place is rows[0], rows[4], rows[5]; _derive says why.
    blur_down(stream.moments[2], middle, count, stream.rows[0])
    blur_down(stream.moments[0], middle, count, stream.rows[4])
    blur_down(stream.moments[1], middle, count, stream.rows[5])
    for offset in range(BLOCK):
        row = middle + offset
        if 0 <= row < height:
            _derive(y.mean[plane, row, start:stop], y.variance[plane, row, start:stop], stream, offset)
            for partial in range(1, 4):
                values = stream.rows[partial, offset, :count]
                _blank_outside(values, strip.left - RADIUS, width)
                blur_along(values, stream.partials[partial - 1], row)
            if strip.first <= row < strip.last:
                ssim_sums[row] = sum_row(stream.rows[0, offset, RADIUS : count - RADIUS])
        else:
            for partial in range(3):
                skip_row(stream.partials[partial], row)


@kernel
def blur_partials(stream: Stream, index: int, count: int) -> None:
    """Blur the partials of the rows index … index + BLOCK - 1 down, for `gradient_row` to use."""
    for partial in range(3):
        blur_down(stream.partials[partial], index, count, stream.rows[partial + 3])


@kernel
def gradient_row(x_row: FloatArray, y_row: FloatArray, stream: Stream, offset: int, out: FloatArray) -> None:
    """Put a row of the gradient of the sum of S with respect to x into `out` (n,).

    It is row `offset` of the block last given to `blur_partials`; x_row, y_row (n,) are those of the images.
    """
    count = out.size
    by_mean = stream.rows[3, offset, :count]
    by_variance = stream.rows[4, offset, :count]
    by_covariance = stream.rows[5, offset, :count]
    for i in range(count):
        out[i] = by_mean[i] + _TWO * x_row[i] * by_variance[i] + y_row[i] * by_covariance[i]


@kernel
def _absorb(x_row: FloatArray, y_row: FloatArray, stream: Stream, index: int) -> None:
    """Blur x, x² and x·y of one row along into the rings of moments."""
    square, product = stream.rows[0, 0, : x_row.size], stream.rows[1, 0, : x_row.size]
    for i in range(x_row.size):
        square[i] = x_row[i] * x_row[i]
        product[i] = x_row[i] * y_row[i]
    blur_along(x_row, stream.moments[0], index)
    blur_along(square, stream.moments[1], index)
    blur_along(product, stream.moments[2], index)


@kernel
def _derive(mean_y: FloatArray, variance_y: FloatArray, stream: Stream, offset: int) -> None:
    """Form S, q, dS/dv and dS/dc of one row in stream.rows[0 … 3] from B[x·y], B[x], B[x²] in rows[0], [4], [5].

    B[x·y] makes room for S: six rows are enough, and they stay in the first-level cache.
    """
    count = mean_y.size
    value, q, by_variance, by_covariance, mean_x, square_x = (
        stream.rows[0, offset, :count],
        stream.rows[1, offset, :count],
        stream.rows[2, offset, :count],
        stream.rows[3, offset, :count],
        stream.rows[4, offset, :count],
        stream.rows[5, offset, :count],
    )
    for i in range(count):
        s, q_i, dv, dc = _partials(mean_x[i], square_x[i], value[i], mean_y[i], variance_y[i])
        value[i] = s
        q[i] = q_i
        by_variance[i] = dv
        by_covariance[i] = dc


@kernel
def _blank_outside(row: FloatArray, left: int, width: int) -> None:
    """Zero what lies beyond the image: `row` starts at column `left` of an image `width` columns wide.

    There is no SSIM outside the image, so no gradient may come back from there.
    """
    for i in range(min(-left, row.size)):
        row[i] = _ZERO
    for i in range(max(width - left, 0), row.size):
        row[i] = _ZERO


@kernel
def sum_row(row: FloatArray) -> np.float32:
    """Return the sum of `row`, added up pairwise by folding it in halves; overwrites `row`.

    The order depends on the length alone, every step is a vector addition, and the error grows with
    the logarithm of the length.
    """
    count = row.size
    while count > 1:
        half = count // 2
        rest = count - half
        for i in range(half):
            row[i] += row[rest + i]
        count = rest
    return np.float32(row[0])


@kernel
def _statistics_rows(y: Constant, streams: Stream, step: int, worker: int, workers: int) -> None:
    """Fill y.mean and y.variance from y.image; one worker's share."""
    planes, height, stored = y.image.shape
    width = stored - 2 * MARGIN
    stream = stream_of(streams, worker)
    start, stop = share_of(planes * height * ((width + step - 1) // step), worker, workers)
    while start < stop:
        plane, _, strip = strip_of(start, stop, height, width, step)
        left, right = strip.left - REACH + MARGIN, strip.right + REACH + MARGIN
        count = strip.right - strip.left
        for index in range(strip.first - REACH, strip.last + RADIUS, BLOCK):
            for row in range(index, index + BLOCK):
                if 0 <= row < height:
                    values = y.image[plane, row, left:right]
                    _absorb(values, values, stream, row)
                else:
                    skip_row(stream.moments[0], row)
                    skip_row(stream.moments[1], row)
            middle = index - RADIUS
            blur_down(stream.moments[0], middle, count + 2 * RADIUS, stream.rows[4])
            blur_down(stream.moments[1], middle, count + 2 * RADIUS, stream.rows[5])
            for row in range(max(middle, strip.first), min(middle + BLOCK, strip.last)):
                columns = slice(strip.left + MARGIN, strip.right + MARGIN)
                mean, variance = y.mean[plane, row, columns], y.variance[plane, row, columns]
                for i in range(count):
                    mean[i] = stream.rows[4, row - middle, RADIUS + i]
                    variance[i] = stream.rows[5, row - middle, RADIUS + i] - mean[i] * mean[i]
        start += strip.last - strip.first


def constant(images: FloatArray, team: Team) -> Constant:
    """Return `images` (P, H, W) in [0, 1] as the fixed side of an SSIM, its statistics computed once."""
    image = with_border(images)
    result = Constant(image, np.zeros_like(image), np.zeros_like(image))
    width = images.shape[-1]
    team.run(_statistics_rows, result, new_streams(team.workers, width), strip_width(width))
    return result


@kernel
def _index_rows(
    x: FloatArray, y: Constant, streams: Stream, ssim_sums: FloatArray, step: int, worker: int, workers: int
) -> None:
    """Fill ssim_sums (P, strips, H) with the row sums of SSIM; one worker's share."""
    planes, height, stored = x.shape
    width = stored - 2 * MARGIN
    stream = stream_of(streams, worker)
    start, stop = share_of(planes * height * ((width + step - 1) // step), worker, workers)
    while start < stop:
        plane, number, strip = strip_of(start, stop, height, width, step)
        for index in range(strip.first - REACH, strip.last + RADIUS, BLOCK):
            advance(x[plane], y, plane, strip, index, stream, ssim_sums[plane, number])
        start += strip.last - strip.first


def ssim_means(x: FloatArray, y: FloatArray, team: Team) -> list[float]:
    """Return the mean SSIM of every plane of `x` against that of `y`, both (P, H, W) in [0, 1]."""
    fixed = constant(y, team)
    image = with_border(x)
    planes, height, width = x.shape
    sums = np.zeros((planes, strip_count(width), height), dtype=np.float32)
    team.run(_index_rows, image, fixed, new_streams(team.workers, width), sums, strip_width(width))
    return [float(total) / (height * width) for total in sums.sum(axis=(1, 2), dtype=np.float64)]
