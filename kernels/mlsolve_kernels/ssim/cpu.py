"""SSIM, its gradient and its constants on the CPU, as a stream of rows.

The rows of x and y go in one after the other at the top; SIZE - 1 rows later the first row of the
gradient comes out at the bottom. Between them stand two sets of rings:

    rows of x, x², x·y → blurred along → `moments` → blurred down → S, q, dS/dv, dS/dc
                       → blurred along → `partials` → blurred down → gradient

A row passes through for a strip of n columns of the image. What flows in is REACH wider on either
side, what lies between is RADIUS wider. Both are the same functions for a whole image and for a tile.
"""

from typing import NamedTuple

import numpy as np

from ..blur.cpu import RING_ROWS, blur_along, blur_down, skip_row
from ..compiled import kernel
from ..layout import MARGIN, FloatArray, strip_count, strip_width, with_border
from ..threads import Team
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
    """(3, 2·SIZE, L): rings of x, x² and x·y, blurred along."""
    partials: FloatArray
    """(3, 2·SIZE, L): rings of q, dS/dv and dS/dc, blurred along."""
    rows: FloatArray
    """(6, L): rows that live for one step."""


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

    return Stream(zeros(3, RING_ROWS), zeros(3, RING_ROWS), zeros(6))


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
    """Let row `index` of `x` (H, W + 2·MARGIN) flow in, and the partials of row index - RADIUS form.

    `plane` names the plane of `y`. The sum of SSIM over the strip's columns goes to ssim_sums[row],
    (H,), for rows of the strip. Call it for index = first - REACH … last + REACH - 1; from
    index = first + REACH on, row index - REACH of the gradient can be had from `gradient_row`.
    """
    height, width = x.shape[0], x.shape[1] - 2 * MARGIN
    if 0 <= index < height:
        start, stop = strip.left - REACH + MARGIN, strip.right + REACH + MARGIN
        _absorb(x[index, start:stop], y.image[plane, index, start:stop], stream, index)
    else:
        for moment in range(3):
            skip_row(stream.moments[moment], index)

    middle = index - RADIUS
    if middle < strip.first - RADIUS:
        return
    if 0 <= middle < height:
        start, stop = strip.left - RADIUS + MARGIN, strip.right + RADIUS + MARGIN
        _derive(y.mean[plane, middle, start:stop], y.variance[plane, middle, start:stop], stream, middle)
        for partial in range(1, 4):
            row = stream.rows[partial, : stop - start]
            _blank_outside(row, strip.left - RADIUS, width)
            blur_along(row, stream.partials[partial - 1], middle)
        if strip.first <= middle < strip.last:
            ssim_sums[middle] = sum_row(stream.rows[0, RADIUS : RADIUS + strip.right - strip.left])
    else:
        for partial in range(3):
            skip_row(stream.partials[partial], middle)


@kernel
def gradient_row(x_row: FloatArray, y_row: FloatArray, stream: Stream, index: int, out: FloatArray) -> None:
    """Put row `index` of the gradient of the sum of S with respect to x into `out` (n,)."""
    count = out.size
    by_mean, by_variance, by_covariance = (
        stream.rows[3, :count],
        stream.rows[4, :count],
        stream.rows[5, :count],
    )
    blur_down(stream.partials[0], index, by_mean)
    blur_down(stream.partials[1], index, by_variance)
    blur_down(stream.partials[2], index, by_covariance)
    for i in range(count):
        out[i] = by_mean[i] + _TWO * x_row[i] * by_variance[i] + y_row[i] * by_covariance[i]


@kernel
def _absorb(x_row: FloatArray, y_row: FloatArray, stream: Stream, index: int) -> None:
    """Blur x, x² and x·y of one row along into the rings of moments."""
    square, product = stream.rows[0, : x_row.size], stream.rows[1, : x_row.size]
    for i in range(x_row.size):
        square[i] = x_row[i] * x_row[i]
        product[i] = x_row[i] * y_row[i]
    blur_along(x_row, stream.moments[0], index)
    blur_along(square, stream.moments[1], index)
    blur_along(product, stream.moments[2], index)


@kernel
def _derive(mean_y: FloatArray, variance_y: FloatArray, stream: Stream, index: int) -> None:
    """Form S, q, dS/dv and dS/dc of row `index` in stream.rows[0 … 3] from the moments around it."""
    count = mean_y.size
    value, q, by_variance, by_covariance, moment, spare = (
        stream.rows[0, :count],
        stream.rows[1, :count],
        stream.rows[2, :count],
        stream.rows[3, :count],
        stream.rows[4, :count],
        stream.rows[5, :count],
    )
    blur_down(stream.moments[0], index, moment)
    blur_down(stream.moments[1], index, spare)
    blur_down(stream.moments[2], index, value)
    for i in range(count):
        s, q_i, dv, dc = _partials(moment[i], spare[i], value[i], mean_y[i], variance_y[i])
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
    total = planes * height * ((width + step - 1) // step)
    start, stop = total * worker // workers, total * (worker + 1) // workers
    while start < stop:
        plane, _, strip = strip_of(start, stop, height, width, step)
        for index in range(strip.first - RADIUS, strip.last + RADIUS):
            if 0 <= index < height:
                row = y.image[plane, index, strip.left - REACH + MARGIN : strip.right + REACH + MARGIN]
                _absorb(row, row, stream, index)
            else:
                skip_row(stream.moments[0], index)
                skip_row(stream.moments[1], index)
            middle = index - RADIUS
            if middle >= strip.first:
                count = strip.right - strip.left
                columns = slice(strip.left + MARGIN, strip.right + MARGIN)
                mean, variance = y.mean[plane, middle, columns], y.variance[plane, middle, columns]
                blur_down(stream.moments[0][:, RADIUS:], middle, mean)
                blur_down(stream.moments[1][:, RADIUS:], middle, variance)
                for i in range(count):
                    variance[i] -= mean[i] * mean[i]
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
    total = planes * height * ((width + step - 1) // step)
    start, stop = total * worker // workers, total * (worker + 1) // workers
    while start < stop:
        plane, number, strip = strip_of(start, stop, height, width, step)
        for index in range(strip.first - RADIUS, strip.last + RADIUS):
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
