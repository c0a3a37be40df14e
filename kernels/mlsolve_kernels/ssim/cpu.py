"""Statistics of the fixed image of an SSIM, and SSIM without a gradient, for whole planes on the CPU."""

from typing import Final

import numpy as np

from ..blur.cpu import blur_along, sums_along, wrap_margins
from ..compiled import kernel
from ..exact import SSIM_BITS, SSIM_ROUNDER, Exact, quanta
from ..lanes import LANES, Row, ahead, load, masked, prefetch, row, store, store_one, total
from ..layout import BLOCK, QUAD, FloatArray, Masks, Strips, SumArray, masks_of, stored, strips_for, to_strips
from ..region import Region
from ..threads import Team, share_of
from ..window import RADIUS, REACH
from .partials import ssim_partials
from .stream import (
    XX,
    XY,
    Constant,
    Piece,
    Stream,
    Streams,
    Weighting,
    X,
    constant_rows,
    enter_block,
    line_of,
    mask_rows,
    moments_down,
    new_streams,
    piece_of,
    stream_of,
    streams_bytes,
    weighting_at,
)

_ZERO: Final = np.float32(0.0)

_partials = kernel(ssim_partials)


@kernel
def _statistics(y: Constant, strips: Strips, streams: Streams, worker: int, workers: int) -> None:
    """Fill y.mean and y.variance from y.image; one worker's share."""
    stream = stream_of(streams, worker, 0)
    start, stop = share_of(y.image.shape[0] * strips.across * strips.height, worker, workers)
    while start < stop:
        piece = piece_of(start, stop, strips)
        rows, length = constant_rows(y, piece.plane, piece.strip), piece.length
        for index in range(piece.first - REACH, piece.last + RADIUS, BLOCK):
            enter_block(rows.image, rows.image, stream.rings, piece, index)
            middle = index - RADIUS
            moments_down(stream, middle, 2, length)
            for r in range(max(middle, piece.first), min(middle + BLOCK, piece.last)):
                means = line_of(stream.block, X * BLOCK + r - middle, length)
                squares = line_of(stream.block, XX * BLOCK + r - middle, length)
                wrap_margins(means, length)
                wrap_margins(squares, length)
                mean, variance = ahead(rows.mean, r * length), ahead(rows.variance, r * length)
                blur_along(means, length, mean)
                blur_along(squares, length, variance)
                for at in range(0, length, LANES):
                    mean_at = load(mean, at)
                    store(variance, at, load(variance, at) - mean_at * mean_at)
        start += piece.last - piece.first


def find_statistics(y: Constant, strips: Strips, streams: Streams, team: Team) -> None:
    """Fill y.mean and y.variance from y.image, planes of strips (P, across, H, L)."""
    team.run(_statistics, y, strips, streams)


def constant(images: FloatArray, strips: Strips, team: Team) -> Constant:
    """Return `images` (P, H, W) in [0, 1] as the fixed images of an SSIM, with their statistics."""
    result = Constant(to_strips(images, strips), stored(strips, len(images)), stored(strips, len(images)))
    find_statistics(result, strips, new_streams(team.workers, 1, strips), team)
    return result


@kernel
def _compare(
    stream: Stream,
    y: Constant,
    masks: Masks,
    piece: Piece,
    index: int,
    ssim_sums: Row,
    weighting: Weighting | None,
) -> None:
    """Store the sums of SSIM of the rows index … index + BLOCK - 1: `stream.derive` without its partials."""
    length = piece.length
    moments_down(stream, index, 3, length)
    for r in range(max(index, piece.first), min(index + BLOCK, piece.last)):
        x = line_of(stream.block, X * BLOCK + r - index, length)
        xx = line_of(stream.block, XX * BLOCK + r - index, length)
        xy = line_of(stream.block, XY * BLOCK + r - index, length)
        wrap_margins(x, length)
        wrap_margins(xx, length)
        wrap_margins(xy, length)
        mean_y, variance_y = ahead(y.mean, r * length), ahead(y.variance, r * length)
        similarity = load(masks.counted, 0) * _ZERO
        for start in range(0, length, QUAD * LANES):
            mean_x, square_x, product_xy = sums_along(x, start), sums_along(xx, start), sums_along(xy, start)
            for group in range(QUAD):
                at = start + group * LANES
                prefetch(mean_y, BLOCK * length + at)
                prefetch(variance_y, BLOCK * length + at)
                s, _, _, _ = _partials(
                    mean_x[group],
                    square_x[group],
                    product_xy[group],
                    load(mean_y, at),
                    load(variance_y, at),
                    load(masks.inside, at),
                )
                if weighting is not None:
                    s = load(weighting.weights, r * weighting.step + at) * s
                rounded = (s + SSIM_ROUNDER) - SSIM_ROUNDER
                similarity = similarity + masked(load(masks.counted, at), rounded)
        store_one(ssim_sums, r, float(total(similarity)))


@kernel
def _similarities(
    x: FloatArray,
    y: Constant,
    weights: FloatArray | None,
    masks: Masks,
    strips: Strips,
    streams: Streams,
    sums: SumArray,
    worker: int,
    workers: int,
) -> None:
    """Fill `sums` (P, across, H) with the row sums of weighted SSIM; one worker's share.

    weights: (1, across, H, L), None if all pixels count equally.
    """
    stream = stream_of(streams, worker, 0)
    start, stop = share_of(x.shape[0] * strips.across * strips.height, worker, workers)
    while start < stop:
        piece = piece_of(start, stop, strips)
        at = (piece.plane, piece.strip)
        y_rows, mask, row_sums = constant_rows(y, *at), mask_rows(masks, piece.strip), row(sums, at)
        for index in range(piece.first - REACH, piece.last + RADIUS, BLOCK):
            enter_block(row(x, at), y_rows.image, stream.rings, piece, index)
            if index >= piece.first:
                weighting = weighting_at(weights, 0, piece.strip)
                _compare(stream, y_rows, mask, piece, index - RADIUS, row_sums, weighting)
        start += piece.last - piece.first


class Comparison:
    """SSIM of one picture after another to a fixed one, in one thread and in buffers that stay."""

    def __init__(self, planes: int, height: int, width: int) -> None:
        """Make room for pictures of `planes` planes of height × width pixels."""
        self.strips: Final = strips_for(height, width)
        self.moving: Final = stored(self.strips, planes)
        """The picture to be compared, planes of strips (P, across, H, L), to be filled by the caller."""
        self.fixed: Final = Constant(*(stored(self.strips, planes) for _ in range(3)))
        """The picture with which it is compared: the caller fills its image and then calls `fix`."""
        self._masks = masks_of(self.strips)
        self._streams = new_streams(1, 1, self.strips)
        self._sums = np.zeros((planes, self.strips.across, height))

    def fix(self) -> None:
        """Find the statistics of the fixed picture."""
        _statistics(self.fixed, self.strips, self._streams, 0, 1)

    def total(self, rows: slice, weights: FloatArray | None = None) -> int:
        """Return the sum of the SSIM of all pixels in `rows` and of all planes, in 2^-SSIM_BITS.

        weights: of the pixels, strips (1, across, H, L); None: all pixels count equally.
        """
        self._sums[...] = 0
        _similarities(self.moving, self.fixed, weights, self._masks, self.strips, self._streams, self._sums, 0, 1)
        return int(quanta(self._sums[:, :, rows], SSIM_BITS))


def comparison_bytes(planes: int, height: int, width: int) -> int:
    """Return the bytes that a `Comparison` allocates."""
    strips = strips_for(height, width)
    row = strips.across * strips.groups * LANES
    pictures = 4 * planes * (strips.height + BLOCK) * row * 4
    return pictures + 3 * 4 * row + streams_bytes(1, 1, strips) + 8 * planes * strips.across * height


def ssim_sums(
    x: FloatArray,
    y: FloatArray,
    team: Team,
    counted: Region | None = None,
    weights: FloatArray | None = None,
) -> list[Exact]:
    """Return the sum of SSIM of each plane of `x` to that of `y`, in 2^-SSIM_BITS; both (P, H, W) in [0, 1].

    counted: the region to sum over; None: the whole. weights: of the pixels, (H, W) in [0, 1]. The sums of regions
    add up to the sum of the whole if x and y include RADIUS pixels around each region.
    """
    planes, height, width = x.shape
    strips = strips_for(height, width)
    sums = np.zeros((planes, strips.across, height))
    streams = new_streams(team.workers, 1, strips)
    fixed = constant(y, strips, team)
    counts = None if weights is None else to_strips(weights[np.newaxis], strips)[np.newaxis, 0]
    team.run(_similarities, to_strips(x, strips), fixed, counts, masks_of(strips, counted), strips, streams, sums)
    first, last = (0, height) if counted is None else (counted.top, counted.bottom)
    return [quanta(plane[:, first:last], SSIM_BITS) for plane in sums]
