"""Where the carriers of a stack are: a picture divided into regions, each given to one sheet (docs/maths.md §9).

A region grows from its seed fast through detail of the target and slowly across edges of the guides. So borders lie
where the target is smooth, not through an eye, and where a guide has an edge of its own. Then the regions are dealt
out: neighbours to different sheets, and to every sheet the same share of the detail.
"""

import heapq
import math
from typing import Final

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]

_LONGEST: Final = 160
"""Longest side at which regions grow, in pixels: enough for borders that are soft, and a fifth of a second."""

_SOFTNESS: Final = 2.0
"""Standard deviation of a border, in tolerances."""

_BUSIEST: Final = 3.0
"""Detail at which a place counts as busiest, in means of the picture."""

_HURRY: Final = 6.0
"""How much faster a region grows through the busiest places of the target than through smooth ones."""

_EDGE: Final = 8.0
"""What it costs a region to grow by a pixel along a strong edge of a guide; elsewhere it costs _PIXEL."""

_PIXEL: Final = 0.15

_CHANCE: Final = 0.2
"""How much chance raises the claim of a pixel to be a seed, so that another seed of the run gives other regions."""

_EVEN: Final = 4.0
"""Weight of equal shares of the sheets, beside that of the borders between regions of the same sheet."""

_ATTEMPTS: Final = 20
"""Random ways to deal out the regions, each improved as far as possible. The best of them is taken."""

_LEAST: Final = 1e-9
"""Least gain that counts, so that rounding cannot make two deals take turns."""

_AROUND: Final = tuple((y, x, math.hypot(y, x)) for y in (-1, 0, 1) for x in (-1, 0, 1) if x or y)
"""The eight neighbours of a pixel: rows down, columns right, distance."""


def carrier_masks(target: FloatArray, guides: FloatArray, tolerance: float, regions: int, seed: int) -> FloatArray:
    """Return the carrier masks of a stack, (K, h, w) float32 in [0, 1]; they sum to 1 at every pixel.

    target: (h, w, C), and guides: (K, h, w, C), the guides of its sheets as they lie in it; encoded transmittance.
    tolerance: the largest misalignment along an axis, in pixels. regions: the number of regions, each with one
    carrier. The result is a function of the arguments alone.
    """
    factor = math.ceil(max(target.shape[:2]) / _LONGEST)
    small = _reduced(target, factor)
    edges = np.max([_edges(_reduced(guide, factor)) for guide in guides], axis=0)
    sheets = _sheets(small, edges, len(guides), min(regions, edges.size), seed)
    height, width = target.shape[:2]
    large = np.repeat(np.repeat(sheets, factor, axis=0)[:height], factor, axis=1)[:, :width]
    # Blocks of `factor` pixels must not show, even where the tolerance is less than a pixel.
    spread = max(0.5 * factor, _SOFTNESS * tolerance)
    masks = np.empty((len(guides), height, width), dtype=np.float32)
    for sheet, mask in enumerate(masks):
        mask[...] = blurred((large == sheet).astype(np.float64), spread)
    return np.asarray(masks / masks.sum(axis=0))


def blurred(image: Doubles, deviation: float) -> Doubles:
    """Return `image` (h, w) blurred by a Gaussian; its border pixels go on beyond the border.

    deviation: the standard deviation in pixels, greater than 0.
    """
    reach = math.ceil(3 * deviation)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
    for _ in range(2):
        # Sums of whole arrays: their order does not depend on the processor.
        padded = np.pad(image, ((reach, reach), (0, 0)), mode="edge")
        image = np.zeros_like(image)
        for at, weight in enumerate((weights / weights.sum()).tolist()):
            image += weight * padded[at : at + image.shape[0]]
        image = image.T
    return image


def _sheets(target: Doubles, edges: Doubles, count: int, regions: int, seed: int) -> Numbers:
    """Return the sheet, of `count`, that carries each pixel, (h, w). edges: those of the guides, 0 to 1."""
    rng = np.random.Generator(np.random.Philox(key=seed))
    side = math.sqrt(edges.size / regions)
    busy = _busy(target, 0.06 * side)
    wanted = 0.3 + blurred(busy, 0.15 * side)
    pace = 1 / (1 + _HURRY / _BUSIEST * busy)
    cells = _grown((_PIXEL + _EDGE * edges * pace) * pace, _seeds(wanted, regions, rng))
    share = np.bincount(cells.ravel(), wanted.ravel(), regions)
    return _dealt(_borders(cells, regions), share / share.sum(), count, rng)[cells]


def _reduced(picture: FloatArray, factor: int) -> Doubles:
    """Return the means of blocks of `factor` by `factor` pixels of a picture (h, w, C), fewer at the border."""
    found = picture.astype(np.float64)
    for axis in (0, 1):
        starts = np.arange(0, picture.shape[axis], factor)
        sizes = np.diff(starts, append=picture.shape[axis]).reshape(-1, *(1,) * (2 - axis))
        found = np.add.reduceat(found, starts, axis=axis) / sizes
    return found


def _busy(picture: Doubles, spread: float) -> Doubles:
    """Return how much detail there is around each pixel of `picture` (h, w, C), in means of the picture, (h, w).

    spread: standard deviation of what counts as around, in pixels.
    """
    squares = np.zeros(picture.shape[:2])
    for axis in (0, 1):
        if picture.shape[axis] > 1:
            squares += np.square(np.gradient(picture, axis=axis)).sum(axis=2)
    found = np.sqrt(blurred(squares, max(spread, 0.7)))
    return np.asarray(np.minimum(found / max(float(found.mean()), 1e-6), _BUSIEST))


def _edges(guide: Doubles) -> Doubles:
    """Return how strong the edges of a guide (h, w, C) are, from 0 to 1, (h, w)."""
    found = _busy(guide, 0)
    return np.minimum(found / max(float(np.quantile(found, 0.95)), 1e-6), 1)


def _seeds(wanted: Doubles, count: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    """Return the rows and columns of `count` pixels, each as far from those before as `wanted` asks."""
    down, right = np.mgrid[: wanted.shape[0], : wanted.shape[1]]
    nearest = np.full(wanted.shape, float(sum(wanted.shape)))
    score = wanted * (1 + _CHANCE * rng.random(wanted.shape))
    found: list[tuple[int, int]] = []
    for _ in range(count):
        row, column = divmod(int(np.argmax(score * nearest)), wanted.shape[1])
        found.append((row, column))
        nearest = np.minimum(nearest, np.hypot(down - row, right - column))
    return found


def _grown(cost: Doubles, seeds: list[tuple[int, int]]) -> Numbers:
    """Return the number of the seed from which each pixel is reached at the least cost (Dijkstra 1959), (h, w)."""
    height, width = cost.shape
    costs, found = cost.tolist(), [[-1] * width for _ in range(height)]
    queue = [(0.0, row, column, number) for number, (row, column) in enumerate(seeds)]
    heapq.heapify(queue)
    while queue:
        spent, row, column, number = heapq.heappop(queue)
        if found[row][column] >= 0:
            continue
        found[row][column], here = number, costs[row][column]
        for down, right, distance in _AROUND:
            y, x = row + down, column + right
            if 0 <= y < height and 0 <= x < width and found[y][x] < 0:
                heapq.heappush(queue, (spent + distance * (here + costs[y][x]) / 2, y, x, number))
    return np.array(found)


def _borders(cells: Numbers, regions: int) -> Doubles:
    """Return the share that each pair of regions has in the length of all borders, (regions, regions)."""
    found = np.zeros((regions, regions))
    for one, other in ((cells[1:], cells[:-1]), (cells[:, 1:], cells[:, :-1])):
        np.add.at(found, (one, other), 1)
    np.fill_diagonal(found, 0)
    return (found + found.T) / max(float(found.sum()), 1)


def _dealt(borders: Doubles, share: Doubles, sheets: int, rng: np.random.Generator) -> Numbers:
    """Return the sheet of every region. share: that of each region in the detail; they sum to 1.

    The cost of a deal is the length of the borders between regions of the same sheet, and the squared differences
    between the shares of the sheets. It is lowered by giving one region to another sheet, or by exchanging two,
    until neither helps.
    """
    every, weight = np.arange(len(share)), _EVEN * sheets
    best, lowest = every % sheets, math.inf
    for _ in range(_ATTEMPTS):
        dealt = rng.permutation(every % sheets)
        while True:
            beside, total = borders @ np.eye(sheets)[dealt], np.bincount(dealt, share, sheets)
            # What it costs to give region i to sheet k,
            change = beside - beside[every, dealt, np.newaxis]
            change += 2 * weight * share[:, np.newaxis] * (total - total[dealt, np.newaxis] + share[:, np.newaxis])
            change[every, dealt] = 0
            region, sheet = divmod(int(np.argmin(change)), sheets)
            if change[region, sheet] < -_LEAST:
                dealt[region] = sheet
                continue
            # and to exchange regions i and j: both gifts, but i and j do not become neighbours in a sheet.
            change = change[:, dealt] + change[:, dealt].T - 2 * borders - 4 * weight * np.outer(share, share)
            change[dealt[:, np.newaxis] == dealt] = 0
            one, other = divmod(int(np.argmin(change)), len(share))
            if change[one, other] > -_LEAST:
                break
            dealt[[one, other]] = dealt[[other, one]]
        cost = float(beside[every, dealt].sum() / 2 + weight * np.square(total - 1 / sheets).sum())
        if cost < lowest:
            best, lowest = dealt, cost
    return best
