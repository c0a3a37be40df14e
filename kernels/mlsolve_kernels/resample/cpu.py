"""Resampling on the CPU, in regions that join seamlessly.

An output is a weighted sum of source samples, first across and then down. The positions and weights of its taps are
computed in float64 from its index in the whole picture alone, and the sum runs over the taps in order. So an output
has the same bytes whatever the region in which, and the worker by which, it is computed.
"""

import math
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ..compiled import kernel
from ..lanes import LANES, Row, load, load_even, load_odd, load_one, row, store, store_one
from ..layout import aligned_zeros
from ..threads import Team, share_of

FloatArray = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]

_SHARPNESS: Final = -0.75
"""The free parameter of the bicubic kernel, with the same value as in OpenCV."""


class Taps(NamedTuple):
    """The source samples and weights of outputs start … stop - 1 of one axis."""

    first: npt.NDArray[np.int64]
    """The first source sample of each output, (n), ascending. All taps are inside the source."""
    weights: FloatArray
    """The weights of the samples from the first on, (n, taps). Each row sums to 1; unused taps are zero."""


def area_taps(
    source: int, target: int, start: int, stop: int, offset: int = 0, factor: float | None = None
) -> Taps:
    """Return the taps of outputs start … stop - 1, each the average of the source samples that it covers.

    source, target: samples of the whole axis, before and after. Output j covers [j·f, (j+1)·f), clipped at
    `source`; source sample i covers [i, i+1). f: `factor`, or source/target; at least 1. offset: position of the
    source in a larger picture, which is added to `first`. Raises ValueError for outputs that cover nothing.
    """
    f = source / target if factor is None else factor
    _check(source, target, start, stop, f >= 1 and (target - 1) * f < source, f)
    left, right = (_scaled(np.arange(start, stop) + end, source, target, factor) for end in (0, 1))
    right = np.minimum(right, source)
    # The most samples that an output covers: one more than f if it splits two of them.
    width = min(source, int(f) if float(f).is_integer() else math.ceil(f) + 1)
    first = np.minimum(np.floor(left).astype(np.int64), source - width)
    sample = first[:, np.newaxis] + np.arange(width)
    left, right = left[:, np.newaxis], right[:, np.newaxis]
    covered = np.maximum(np.minimum(sample + 1, right) - np.maximum(sample, left), 0)
    return Taps(first + offset, np.asarray(covered / (right - left), dtype=np.float32))


def cubic_taps(
    source: int, target: int, start: int, stop: int, offset: int = 0, factor: float | None = None
) -> Taps:
    """Return the taps of outputs start … stop - 1 of bicubic interpolation, a = -0.75 (Keys 1981).

    Output j is at (j + ½)·f - ½. Taps outside the source add their weight to the border sample. The arguments are
    those of `area_taps`, but f may be any number above 0.
    """
    f = source / target if factor is None else factor
    _check(source, target, start, stop, f > 0, f)
    at = _scaled(np.arange(start, stop) + 0.5, source, target, factor) - 0.5
    base = np.floor(at)
    weights = _cubic(at - base)
    width = min(source, len(weights))
    first = np.clip(base.astype(np.int64) - 1, 0, source - width)
    folded = np.zeros((len(first), width))
    for tap, weight in enumerate(weights):
        sample = np.clip(base.astype(np.int64) - 1 + tap, 0, source - 1)
        folded[np.arange(len(first)), sample - first] += weight
    return Taps(first + offset, folded.astype(np.float32))


def span(taps: Taps) -> tuple[int, int]:
    """Return (first, last): `taps` read the source samples first … last - 1."""
    return int(taps.first[0]), int(taps.first[-1]) + taps.weights.shape[1]


def resample(
    source: FloatArray,
    origin: tuple[int, int],
    rows: Taps,
    columns: Taps,
    team: Team | None = None,
    out: FloatArray | None = None,
) -> FloatArray:
    """Return `source` (P, h, w) float32 resampled, (P, len(rows), len(columns)) float32.

    source: the region of a picture that begins at `origin` = (top, left) and includes all samples that `rows`
    (down) and `columns` (across) read. team: None: the calling thread alone. out: a contiguous array for the
    result; None: a new array. In addition every worker needs memory for one row of the result per tap down. Raises
    ValueError if the source is too small, or `out` has the wrong shape, dtype or layout.
    """
    for axis, taps, begin, length in (
        ("rows", rows, origin[0], source.shape[1]),
        ("columns", columns, origin[1], source.shape[2]),
    ):
        first, last = span(taps)
        if first < begin or last > begin + length:
            raise ValueError(f"source holds {axis} {begin} to {begin + length}: {first} to {last} are read")
    if source.dtype != np.float32 or source.strides[-1] != source.itemsize:
        source = np.ascontiguousarray(source, dtype=np.float32)
    shape = len(source), len(rows.first), len(columns.first)
    result = np.empty(shape, dtype=np.float32) if out is None else out
    if result.shape != shape or result.dtype != np.float32 or not result.flags.c_contiguous:
        raise ValueError(f"out is {result.shape} {result.dtype}: give a contiguous array {shape} float32")
    workers = 1 if team is None else team.workers
    ring = aligned_zeros(workers, rows.weights.shape[1], -(-result.shape[2] // LANES) * LANES)
    arguments = (
        source,
        rows.first - origin[0],
        np.ascontiguousarray(rows.weights),
        columns.first - origin[1],
        np.ascontiguousarray(columns.weights),
        _pairs(columns),
        ring,
        result,
    )
    if team is None:
        _resample(*arguments, 0, 1)
    else:
        team.run(_resample, *arguments)
    return result


def _check(source: int, target: int, start: int, stop: int, fits: bool, factor: float) -> None:
    """Raise ValueError unless the outputs start … stop - 1 exist and the factor fits the sizes."""
    if not 0 <= start < stop <= target:
        raise ValueError(f"outputs {start} to {stop} are asked for: there are {target}")
    if not fits:
        raise ValueError(f"factor is {factor:.6g}: it does not bring {source} samples to {target}")


def _scaled(
    index: npt.NDArray[np.floating] | npt.NDArray[np.integer], source: int, target: int, factor: float | None
) -> Float64Array:
    """Return index · f, rounded only once, also if f = source/target: the last output then ends with the source."""
    scaled = index * source / target if factor is None else index * factor
    return np.asarray(scaled, dtype=np.float64)


def _cubic(beyond: Float64Array) -> tuple[Float64Array, ...]:
    """Return the weights of four consecutive samples for a position `beyond` (0 to 1) after the second one."""
    a = _SHARPNESS
    outer = [((a * d - 5 * a) * d + 8 * a) * d - 4 * a for d in (1 + beyond, 2 - beyond)]
    inner = [((a + 2) * d - (a + 3)) * d * d + 1 for d in (beyond, 1 - beyond)]
    return outer[0], inner[0], inner[1], outer[1]


def _pairs(taps: Taps) -> int:
    """Return how many outputs, from the first on, combine consecutive pairs of samples by the same two weights."""
    first, weights = taps
    if weights.shape[1] != 2:
        return 0
    alike = (first == first[0] + 2 * np.arange(len(first))) & (weights == weights[0]).all(axis=1)
    return len(first) if alike.all() else int(np.argmin(alike))


@kernel
def _resample(
    source: FloatArray,
    row_first: npt.NDArray[np.int64],
    row_weights: FloatArray,
    column_first: npt.NDArray[np.int64],
    column_weights: FloatArray,
    pairs: int,
    rings: FloatArray,
    result: FloatArray,
    worker: int,
    workers: int,
) -> None:
    """Compute one worker's share of the rows of `result` (P, H, W) from `source` (P, h, w).

    rings: (workers, taps down, W or more); row r of the source, resampled across, is at r % taps.
    """
    _, height, width = result.shape
    taps, taps_across = row_weights.shape[1], column_weights.shape[1]
    start, stop = share_of(result.shape[0] * height, worker, workers)
    plane, made = -1, 0
    for at in range(start, stop):
        if at // height != plane:
            plane, made = at // height, 0
        y = at % height
        first = row_first[y]
        for r in range(max(made, first), first + taps):
            _across(
                row(source, (plane, r)),
                row(column_first, (0,)),
                row(column_weights, (0,)),
                taps_across,
                pairs,
                row(rings, (worker, r % taps)),
                width,
            )
        made = first + taps
        _down(
            row(rings, (worker, 0)),
            rings.shape[2],
            first,
            row(row_weights, (y,)),
            taps,
            row(result, (plane, y)),
            width,
        )


@kernel
def _across(source: Row, first: Row, weights: Row, taps: int, pairs: int, out: Row, length: int) -> None:
    """Resample one row: out[j] = Σ weights[j, k] · source[first[j] + k], in the order of k."""
    if taps == 2:
        done = pairs // LANES * LANES
        for j in range(0, done, LANES):
            begin = load_one(first, 0) + 2 * j
            evens = load_one(weights, 0) * load_even(source, begin)
            store(out, j, evens + load_one(weights, 1) * load_odd(source, begin))
        for j in range(done, length):
            begin = load_one(first, j)
            value = load_one(weights, 2 * j) * load_one(source, begin)
            store_one(out, j, value + load_one(weights, 2 * j + 1) * load_one(source, begin + 1))
    elif taps == 4:
        for j in range(length):
            begin = load_one(first, j)
            value = load_one(weights, 4 * j) * load_one(source, begin)
            value += load_one(weights, 4 * j + 1) * load_one(source, begin + 1)
            value += load_one(weights, 4 * j + 2) * load_one(source, begin + 2)
            store_one(out, j, value + load_one(weights, 4 * j + 3) * load_one(source, begin + 3))
    else:
        for j in range(length):
            begin = load_one(first, j)
            value = load_one(weights, taps * j) * load_one(source, begin)
            for k in range(1, taps):
                value += load_one(weights, taps * j + k) * load_one(source, begin + k)
            store_one(out, j, value)


@kernel
def _down(ring: Row, stride: int, first: int, weights: Row, taps: int, out: Row, length: int) -> None:
    """Sum the weighted rows first … first + taps - 1; row r is in `ring` at (r modulo taps) · stride."""
    vectors = length // LANES * LANES
    begin = first % taps * stride
    if taps == 2:
        second = stride - begin
        for j in range(0, vectors, LANES):
            total = load_one(weights, 0) * load(ring, begin + j)
            store(out, j, total + load_one(weights, 1) * load(ring, second + j))
    elif taps == 4:
        second, third, fourth = (first + 1) % 4 * stride, (first + 2) % 4 * stride, (first + 3) % 4 * stride
        for j in range(0, vectors, LANES):
            total = load_one(weights, 0) * load(ring, begin + j)
            total = total + load_one(weights, 1) * load(ring, second + j)
            total = total + load_one(weights, 2) * load(ring, third + j)
            store(out, j, total + load_one(weights, 3) * load(ring, fourth + j))
    else:
        for j in range(0, vectors, LANES):
            place = begin
            total = load_one(weights, 0) * load(ring, place + j)
            for k in range(1, taps):
                place = _next(place, stride, taps)
                total = total + load_one(weights, k) * load(ring, place + j)
            store(out, j, total)
    for j in range(vectors, length):
        place = begin
        value = load_one(weights, 0) * load_one(ring, place + j)
        for k in range(1, taps):
            place = _next(place, stride, taps)
            value += load_one(weights, k) * load_one(ring, place + j)
        store_one(out, j, value)


@kernel
def _next(place: int, stride: int, taps: int) -> int:
    """Return the offset, in a ring of `taps` rows, of the row after the one at `place`."""
    return place + stride if place + stride < taps * stride else 0
