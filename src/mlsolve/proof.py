"""What a stack scores and looks like, from rows that pass by: nothing is held but a band of them.

Scores are sums of whole numbers (mlsolve_kernels.exact), previews are averaged row by row; neither depends on how
many rows come at a time.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mlsolve_kernels.exact import ERROR_BITS, SSIM_BITS, quanta
from mlsolve_kernels.region import Region
from mlsolve_kernels.resample.cpu import Taps, area_taps, resample
from mlsolve_kernels.ssim.cpu import ssim_sums
from mlsolve_kernels.threads import Team
from mlsolve_kernels.window import RADIUS

from .arrays import code_values, planar
from .colour import light_from_srgb, seen, srgb_from_light
from .rounds.pictures import HIGHEST
from .scores import Scores

FloatArray = npt.NDArray[np.float32]
CodeArray = npt.NDArray[np.uint16]

Sink = Callable[[npt.NDArray[np.uint8]], None]

CELL: Final = 420
"""Longer side of a picture on the contact sheet, in pixels."""

STACK: Final = 2048
"""Longer side of stack.png at the most, in pixels."""


_SQUARED: Final = 16
"""Rows of which squares are taken at a time, in float64."""


def shown(size: tuple[int, int], longest: int = STACK, enlarge: bool = False) -> tuple[int, int]:
    """Return the (width, height) of the preview of a picture of `size`, larger than it only if `enlarge` is set."""
    scale = longest / max(size)
    if not enlarge:
        scale = min(1.0, scale)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


class Preview:
    """A picture made smaller while its rows pass by: averages of light, as seen from further away."""

    def __init__(self, size: tuple[int, int], longest: int, sink: Sink | None = None) -> None:
        """size: (width, height) of the picture; longest: the longer side of the preview at the most, in pixels.

        sink: takes the rows of the preview as they come, (h, w, C) uint8 sRGB; None: they are kept.
        """
        self._size = size
        self.size = shown(size, longest)
        self._same = self.size == size
        self._columns = area_taps(size[0], self.size[0], 0, self.size[0])
        self._rows = area_taps(size[1], self.size[1], 0, self.size[1])
        self._images: list[npt.NDArray[np.uint8]] = []
        self._sink = self._images.append if sink is None else sink
        self._held: FloatArray | None = None
        self._top = self._made = 0

    def feed(self, rows: FloatArray) -> None:
        """Take the next rows, (h, W, C) sRGB in [0, 1]."""
        if self._same:
            self._sink(code_values(rows, rows.shape[2]))
            return
        light = np.asarray(light_from_srgb(planar(rows)), dtype=np.float32)
        still = Taps(np.arange(light.shape[1]), np.ones((light.shape[1], 1), dtype=np.float32))
        light = resample(light, (0, 0), still, self._columns)
        held = light if self._held is None else np.concatenate([self._held, light], axis=1)
        bottom = self._top + held.shape[1]
        ends = self._rows.first + self._rows.weights.shape[1]
        ready = int(np.searchsorted(ends, bottom, side="right"))
        if ready > self._made:
            taps = Taps(self._rows.first[self._made : ready], self._rows.weights[self._made : ready])
            still = Taps(np.arange(held.shape[2]), np.ones((held.shape[2], 1), dtype=np.float32))
            small = srgb_from_light(np.clip(resample(held, (self._top, 0), taps, still), 0, 1))
            shown = np.asarray(np.moveaxis(small, 0, -1), dtype=np.float32)
            self._sink(code_values(shown, shown.shape[2]))
            self._made = ready
        wanted = int(self._rows.first[ready]) if ready < len(ends) else bottom
        self._held, self._top = held[:, wanted - self._top :], wanted

    @property
    def image(self) -> npt.NDArray[np.uint8]:
        """The preview, (h, w, C) uint8 sRGB, once all rows have passed; only where they were kept."""
        return np.concatenate(self._images)


class Proof:
    """Scores and previews of a stack against its target and guides."""

    def __init__(self, size: tuple[int, int], layers: int, exposure: float, team: Team, sink: Sink) -> None:
        """size: (width, height) in pixels. sink: takes the rows of the stack, of size `shown(size)`."""
        self.size, self._exposure, self._team = size, exposure, team
        self._similarity = [0] * (layers + 1)
        self._error = 0
        self._values = 0
        self._held: list[FloatArray] = []
        self._top = self._done = 0
        self.target, self.stack_cell = Preview(size, CELL), Preview(size, CELL)
        self.layers = [Preview(size, CELL) for _ in range(layers)]
        self.guides = [Preview(size, CELL) for _ in range(layers)]
        self._stack = Preview(size, STACK, sink)

    def feed(self, layers: Sequence[CodeArray], target: CodeArray, guides: Sequence[CodeArray]) -> None:
        """Take the next rows of everything, each (h, W, C) uint16 sRGB code values, C the same for all."""
        sheets = [_values(rows) for rows in layers]
        wanted, looks = _values(target), [_values(rows) for rows in guides]
        stack = seen(sheets, self._exposure)
        for previews, rows in (
            ((self.target,), [wanted]),
            ((self._stack, self.stack_cell), [stack, stack]),
            (self.layers, sheets),
            (self.guides, looks),
        ):
            for preview, image in zip(previews, rows, strict=True):
                preview.feed(image)
        now = [stack, wanted, *sheets, *looks]
        del stack, wanted, sheets, looks, previews, rows, preview, image  # `_count` lets go of them one by one
        self._count(now)

    @property
    def scores(self) -> Scores:
        """What the stack scores, once all rows have passed."""
        error = self._error / 2.0**ERROR_BITS / self._values
        ssim = [total / 2.0**SSIM_BITS / self._values for total in self._similarity]
        return Scores(ssim[0], math.inf if error == 0 else -10 * math.log10(error), tuple(ssim[1:]))

    def _count(self, now: list[FloatArray]) -> None:
        """Add up the rows whose window is there, and keep those that windows to come need; empties `now`."""
        top, half = self._top, len(self.layers)
        bottom = top + len(now[0]) + (len(self._held[0]) if self._held else 0)
        last = max(self._done, self.size[1] if bottom == self.size[1] else bottom - RADIUS)
        first = max(top, last - RADIUS)
        counted = Region(self._done - top, last - top, 0, self.size[0])
        kept: list[FloatArray] = [np.empty(0, dtype=np.float32)] * len(now)
        for number in range(half + 1):
            pair = (0, 1) if number == 0 else (number + 1, number + 1 + half)
            # Joined to what was kept one pair after the other, for all of them at once would be held twice.
            x, y = (np.concatenate([self._held[at], now[at]]) if self._held else now[at] for at in pair)
            for at, image in zip(pair, (x, y), strict=True):
                now[at], kept[at] = image[:0], image[first - top :].copy()
            if last > self._done:
                self._add(number, x, y, counted)
        self._held, self._top, self._done = kept, first, last

    def _add(self, number: int, x: FloatArray, y: FloatArray, counted: Region) -> None:
        """Add what is `counted` of a pair of pictures (h, W, C); the first pair is that of stack and target."""
        for channel in range(x.shape[2]):
            one, other = (np.ascontiguousarray(image[np.newaxis, :, :, channel]) for image in (x, y))
            (total,) = ssim_sums(one, other, self._team, counted)
            self._similarity[number] += int(total)
        if number > 0:
            return
        for top in range(counted.top, counted.bottom, _SQUARED):
            rows = slice(top, min(top + _SQUARED, counted.bottom))
            difference = x[rows] - y[rows]
            squares = np.rint(np.square(difference, dtype=np.float64) * 2.0**ERROR_BITS) / 2.0**ERROR_BITS
            self._error += int(quanta(squares, ERROR_BITS))
            self._values += difference.size


def same_planes_of(rows: Sequence[npt.NDArray[Any]]) -> list[npt.NDArray[Any]]:
    """Return `rows`, each (h, W, C), with one number of planes: grey ones are repeated if any has colour."""
    planes = max(part.shape[2] for part in rows)
    return [np.repeat(part, planes // part.shape[2], axis=2) for part in rows]


def _values(rows: CodeArray) -> FloatArray:
    """Return code values in [0, 1]."""
    return np.asarray(rows / HIGHEST, dtype=np.float32)
