"""SSIM to a target that may move, window by window, on the CPU (docs/maths.md §7).

A window is compared with the target at every move, and the best counts. A band of rows may hold only a part of a
window, so what leaves the kernel is the sum of every window at every move: sums of bands add up, and the best is
taken once a window is complete.

Images are planes of rows here, because a move is an offset in a row: in strips (layout.py) it would cross lanes.
The statistics of the moved target are those of the target elsewhere, except where the window of SSIM reaches beyond
the picture. So most windows blur one product a move.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from ..compiled import kernel
from ..exact import SSIM_BITS, SSIM_ROUNDER
from ..lanes import LANES, Lanes, Row, ahead, fma, load, masked, row, store, total
from ..layout import FloatArray, aligned_zeros
from ..ssim.partials import ssim_partials
from ..window import RADIUS, SIZE, taps

SIDE: Final = 60
"""Side of a window, in pixels, as near as whole windows of equal size come to it."""

STEPS: Final = 3
"""Moves in either direction along an axis: with 3, a target moves by 7·7 offsets."""

FARTHEST: Final = 96
"""Largest move of a target, in pixels."""

_QUANTA: Final = 2.0**SSIM_BITS
_CHUNK: Final = 32
"""Rows whose SSIM is added up in float32, which is exact below 64 (exact.py)."""
_OUTER: Final = tuple(np.float32(tap) for tap in taps()[:RADIUS])
_MIDDLE: Final = np.float32(taps()[RADIUS])
_ZERO: Final = np.float32(0.0)

_TILES: Final = 9
"""Parts of pictures that a worker holds at a time."""

_partials = kernel(ssim_partials)


def offsets_of(pixels: int) -> tuple[int, ...]:
    """Return the offsets along an axis of a target that may move by `pixels`, 0 or more, in rising order.

    All whole pixels up to 3; beyond, thirds of the largest, rounded.
    """
    largest = min(pixels, FARTHEST)
    ahead = sorted({(2 * largest * step + STEPS) // (2 * STEPS) for step in range(1, STEPS + 1)} - {0})
    return (*(-one for one in reversed(ahead)), 0, *ahead)


def windows_of(side: int) -> list[int]:
    """Return where windows begin along a `side` of this many pixels, and the side itself as the end of the last."""
    count = max(1, (2 * side + SIDE) // (2 * SIDE))
    return [number * side // count for number in range(count + 1)]


def moved_sums(
    image: FloatArray,
    target: FloatArray,
    weights: FloatArray | None,
    rows: tuple[int, int],
    size: tuple[int, int],
    firsts: tuple[int, int],
    pixels: int,
) -> tuple[int, npt.NDArray[np.int64]]:
    """Return the sums of a band of rows of an image: of every window, at every move of the target.

    image, target: (C, h, W) and (C, h', W) in [0, 1], sRGB. They hold rows of the whole picture from row firsts[0]
    and firsts[1] on: the image those of the band and RADIUS above and below, the target those and as many more as
    it moves, as far as there are rows. weights: of the pixels of `image`, (h, W) in [0, 1]; None: all count alike.
    rows: first row of the band and the row after its last. size: (height, width) of the whole picture. pixels: how
    far the target may move.

    Returns the number of the first window down, and (windows down, windows across, moves) in 2^-SSIM_BITS.
    """
    down, across = np.array(windows_of(size[0])), np.array(windows_of(size[1]))
    offsets = np.array(offsets_of(pixels))
    first = int(np.searchsorted(down, rows[0], side="right")) - 1
    last = int(np.searchsorted(down, rows[1], side="left"))
    sums = np.zeros((last - first, len(across) - 1, len(offsets) ** 2), dtype=np.int64)
    tiles = aligned_zeros(_TILES, *_tile_shape(size, pixels))
    down = down[first : last + 1]
    _moved(image, target, weights, rows, size, firsts, down, across, offsets, tiles, sums)
    return first, sums


def best_of(sums: npt.NDArray[np.int64]) -> int:
    """Return the sum over windows of the largest of the sums at all moves, (…, moves), in 2^-SSIM_BITS."""
    return sum(sums.max(axis=-1).ravel().tolist())


def _tile_shape(size: tuple[int, int], pixels: int) -> tuple[int, int]:
    """Return the rows and the pitch of the largest part of a picture of `size` that a window and its moves need."""
    around = 2 * (RADIUS + max(offsets_of(pixels)))
    tallest, widest = (int(np.diff(windows_of(side)).max()) for side in size)
    # Vectors of the last pixels reach beyond them.
    return tallest + around, -(-(widest + around) // LANES) * LANES + 2 * LANES


def moved_bytes(size: tuple[int, int], rows: int, planes: int, pixels: int) -> int:
    """Return the bytes that `moved_sums` is given and allocates for a band of `rows` rows.

    size: (height, width) of the whole picture.
    """
    given = planes * size[1] * (2 * min(size[0], rows + 2 * RADIUS) + 2 * max(offsets_of(pixels)))
    return 4 * (given + _TILES * int(np.prod(_tile_shape(size, pixels))))


def moved_sums_bytes(size: tuple[int, int], rows: int, pixels: int) -> int:
    """Return the bytes that `moved_sums` returns for a band of `rows` rows; size: as above."""
    down = rows // (SIDE * 2 // 3) + 2
    return 8 * down * len(windows_of(size[1])) * len(offsets_of(pixels)) ** 2


@kernel
def _moved(
    image: FloatArray,
    target: FloatArray,
    weights: FloatArray | None,
    rows: tuple[int, int],
    size: tuple[int, int],
    firsts: tuple[int, int],
    down: npt.NDArray[np.int64],
    across: npt.NDArray[np.int64],
    offsets: npt.NDArray[np.int64],
    tiles: FloatArray,
    sums: npt.NDArray[np.int64],
) -> None:
    """Add to `sums` those of the windows between `down` and `across`; tiles: work space, zeros."""
    reach, pitch = offsets[-1], tiles.shape[2]
    x, y, counts = tiles[0], tiles[1], tiles[2]
    products, lines = row(tiles, (3,)), row(tiles, (4,))
    mean_x, square_x = row(tiles, (5,)), row(tiles, (6,))
    mean_y, variance_y = row(tiles, (7,)), row(tiles, (8,))
    for here in range(len(down) - 1):
        top, bottom = max(rows[0], down[here]), min(rows[1], down[here + 1])
        for at in range(len(across) - 1):
            left, right = across[at], across[at + 1]
            h, w = bottom - top, right - left
            # Whether all windows of SSIM lie in the picture. If so, both ways give the same bytes.
            inner = top >= RADIUS and bottom + RADIUS <= size[0] and left >= RADIUS and right + RADIUS <= size[1]
            around = h + 2 * RADIUS, w + 2 * RADIUS
            _put_counts(weights, top - firsts[0], left, h, w, counts)
            for plane in range(image.shape[0]):
                _take(image[plane], firsts[0], size, (top - RADIUS, left - RADIUS), around, (0, 0), x)
                _statistics(row(x, (0,)), h, w, pitch, products, lines, mean_x, square_x)
                if inner:  # all of the target that any move shows, with its statistics
                    corner = top - RADIUS - reach, left - RADIUS - reach
                    _take_beyond(
                        target[plane], firsts[1], size, corner, (around[0] + 2 * reach, around[1] + 2 * reach), y
                    )
                    of_target = h + 2 * reach, w + 2 * reach
                    _statistics(row(y, (0,)), *of_target, pitch, products, lines, mean_y, variance_y)
                    _less_squares(mean_y, variance_y, *of_target, pitch)
                for move in range(len(offsets) ** 2):
                    dy, dx = offsets[move // len(offsets)], offsets[move % len(offsets)]
                    begin = (reach - dy) * pitch + reach - dx
                    if not inner:
                        begin = 0
                        corner = top - RADIUS, left - RADIUS
                        _take(target[plane], firsts[1], size, corner, around, (dy, dx), y)
                        _statistics(row(y, (0,)), h, w, pitch, products, lines, mean_y, variance_y)
                        _less_squares(mean_y, variance_y, h, w, pitch)
                    _multiply(row(x, (0,)), ahead(row(y, (0,)), begin), *around, pitch, products)
                    _blur_along(products, h + 2 * RADIUS, w, pitch, lines)
                    moved = ahead(mean_y, begin), ahead(variance_y, begin)
                    similarity = _similarity(lines, mean_x, square_x, *moved, row(counts, (0,)), h, w, pitch)
                    sums[here, at, move] += np.int64(similarity * _QUANTA)


@kernel
def _similarity(
    products: Row,
    mean_x: Row,
    square_x: Row,
    mean_y: Row,
    variance_y: Row,
    counts: Row,
    h: int,
    w: int,
    pitch: int,
) -> float:
    """Return the sum of SSIM times `counts` in a window; products: of both pictures, blurred along the row."""
    result = 0.0
    for at in range(0, w, LANES):
        for start in range(0, h, _CHUNK):
            added = load(counts, at) * _ZERO
            for i in range(start, min(start + _CHUNK, h)):
                here = i * pitch + at
                s, _, _, _ = _partials(
                    load(mean_x, here),
                    load(square_x, here),
                    _sum_down(products, here, pitch),
                    load(mean_y, here),
                    load(variance_y, here),
                    np.float32(1.0),
                )
                weight = load(counts, here)
                added = added + masked(weight, (weight * s + SSIM_ROUNDER) - SSIM_ROUNDER)
            result += total(added)
    return result


@kernel
def _put_counts(weights: FloatArray | None, top: int, left: int, h: int, w: int, out: FloatArray) -> None:
    """Copy the weights of the pixels of a window into `out`, zeros to its right."""
    for i in range(h):
        for j in range(out.shape[1]):
            out[i, j] = 0
        for j in range(w):
            out[i, j] = np.float32(1.0) if weights is None else weights[top + i, left + j]


@kernel
def _take(
    plane: FloatArray,
    first: int,
    size: tuple[int, int],
    corner: tuple[int, int],
    shape: tuple[int, int],
    move: tuple[int, int],
    out: FloatArray,
) -> None:
    """Copy a part of a picture whose content is moved within its frame into `out`: zeros beyond the frame.

    plane: rows of the picture from row `first` on. What the move uncovers continues the border.
    """
    for i in range(shape[0]):
        y = corner[0] + i
        source = min(max(y - move[0], 0), size[0] - 1) - first
        for j in range(shape[1]):
            x = corner[1] + j
            out[i, j] = 0
            if 0 <= y < size[0] and 0 <= x < size[1]:
                out[i, j] = plane[source, min(max(x - move[1], 0), size[1] - 1)]


@kernel
def _take_beyond(
    plane: FloatArray,
    first: int,
    size: tuple[int, int],
    corner: tuple[int, int],
    shape: tuple[int, int],
    out: FloatArray,
) -> None:
    """Copy a part of a picture into `out`; beyond the frame the border continues. plane, first: as for `_take`."""
    for i in range(shape[0]):
        source = min(max(corner[0] + i, 0), size[0] - 1) - first
        for j in range(shape[1]):
            out[i, j] = plane[source, min(max(corner[1] + j, 0), size[1] - 1)]


@kernel
def _statistics(image: Row, h: int, w: int, pitch: int, products: Row, lines: Row, mean: Row, square: Row) -> None:
    """Fill `mean` and `square` (h, w), windowed means of `image` (h + 2·RADIUS, w + 2·RADIUS) and of its square."""
    _blur_along(image, h + 2 * RADIUS, w, pitch, lines)
    _blur_down(lines, h, w, pitch, mean)
    _multiply(image, image, h + 2 * RADIUS, w + 2 * RADIUS, pitch, products)
    _blur_along(products, h + 2 * RADIUS, w, pitch, lines)
    _blur_down(lines, h, w, pitch, square)


@kernel
def _less_squares(mean: Row, square: Row, h: int, w: int, pitch: int) -> None:
    """Turn windowed means of a square (h, w) into variances."""
    for i in range(h):
        for at in range(i * pitch, i * pitch + w, LANES):
            value = load(mean, at)
            store(square, at, load(square, at) - value * value)


@kernel
def _multiply(x: Row, y: Row, h: int, w: int, pitch: int, out: Row) -> None:
    """Store the products of two pictures (h, w) in `out`."""
    for i in range(h):
        for at in range(i * pitch, i * pitch + w, LANES):
            store(out, at, load(x, at) * load(y, at))


@kernel
def _blur_along(image: Row, h: int, w: int, pitch: int, out: Row) -> None:
    """Blur `image` (h, w + 2·RADIUS) along its rows into `out` (h, w)."""
    for i in range(h):
        for at in range(i * pitch, i * pitch + w, LANES):
            value = _MIDDLE * load(image, at + RADIUS)
            for k in range(RADIUS):
                value = fma(_OUTER[k], load(image, at + k) + load(image, at + SIZE - 1 - k), value)
            store(out, at, value)


@kernel
def _blur_down(lines: Row, h: int, w: int, pitch: int, out: Row) -> None:
    """Blur `lines` (h + 2·RADIUS, w) down into `out` (h, w)."""
    for i in range(h):
        for at in range(i * pitch, i * pitch + w, LANES):
            store(out, at, _sum_down(lines, at, pitch))


@kernel
def _sum_down(lines: Row, at: int, pitch: int) -> Lanes:
    """Return the weighted sum of SIZE rows from `at` on."""
    value = _MIDDLE * load(lines, at + RADIUS * pitch)
    for k in range(RADIUS):
        value = fma(_OUTER[k], load(lines, at + k * pitch) + load(lines, at + (SIZE - 1 - k) * pitch), value)
    return value
