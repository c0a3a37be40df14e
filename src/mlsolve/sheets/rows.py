"""The rows of a layer, with what goes on beyond its edge, one band after the other."""

import math
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..pictures.picture import Picture
from .shop import Edge

Rows = npt.NDArray[Any]

BAND: Final = 128
"""Rows of a band."""


class LayerRows:
    """A part of a layer with a margin: what goes on beyond the edge of the layer, or else what is beside the part.

    window: (left, top, right, bottom) in pixels. margin: pixels on each side. bits: 8 or 16, of the codes. around:
    how many pixels a round layer goes on beyond its circle, along the radius, and is clear from there on; None: the
    layer is not round. Grey layers become three equal channels. Raises InputError for a layer that is stored
    turned.
    """

    def __init__(
        self,
        picture: Picture,
        window: tuple[int, int, int, int],
        margin: int,
        edge: Edge,
        bits: int = 8,
        around: float | None = None,
    ) -> None:
        """Nothing is read before `bands`."""
        if picture.orientation != 1:
            raise InputError(f"{picture.path} is stored turned: restore what mlsolve run wrote")
        self._picture, self.bits = picture, bits
        left, top, right, bottom = window
        width, height = picture.size
        self._columns = _places(left - margin, right + margin, width, edge)
        self._lines = _places(top - margin, bottom + margin, height, edge)
        self._first = self._last = self._lines
        self._circle = None
        if around is not None:
            self._circle = _Circle(picture.size, (left - margin, top - margin), around, edge)
            self._first, self._last = self._circle.needed(len(self._lines))

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels, margins included."""
        return len(self._columns), len(self._lines)

    def memory(self) -> int:
        """Return the bytes that reading takes at most."""
        held = max(
            self._last[start : start + BAND].max() - self._first[start:].min() + 1
            for start in range(0, len(self._lines), BAND)
        )
        row = self._picture.size[0] * 3 * 2
        # Measured on rows of 23,622 pixels; codes of 16 bits are copied more often on their way.
        bands = 8 if self.bits == 16 else 3
        return self._picture.peak_memory(BAND) + row * (int(held) + bands * BAND)

    def bands(self) -> Iterator[Rows]:
        """Yield bands of BAND rows, (h, width, 3) uint8 or uint16; the last may have fewer."""
        coming = self._codes()
        held: Rows | None = None
        first = 0
        for start in range(0, len(self._lines), BAND):
            last, needed = int(self._last[start : start + BAND].max()), int(self._first[start:].min())
            parts = [] if held is None else [held]
            have = first + (0 if held is None else len(held))
            while have <= last:
                part = next(coming, None)
                if part is None:
                    raise InputError(f"{self._picture.path} has too few rows: restore what mlsolve run wrote")
                # Rows of whole bands of the decoder are kept; what nobody needs any more is dropped below.
                parts.append(part)
                have += len(part)
            held = parts[0] if len(parts) == 1 else np.concatenate(parts)
            if needed > first:
                held = held[needed - first :].copy()
                first = needed
            if self._circle is not None:
                shape = len(self._lines[start : start + BAND]), len(self._columns)
                yield _coloured(self._circle.rows(held, first, start, shape))
            else:
                yield _coloured(held[self._lines[start : start + BAND] - first][:, self._columns])

    def _codes(self) -> Iterator[Rows]:
        """Yield the rows of the layer as the file has them, in the depth that is asked for."""
        for chunk in self._picture.codes():
            codes = chunk
            if codes.dtype == np.uint16 and self.bits == 8:
                codes = ((codes.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
            elif codes.dtype == np.uint8 and self.bits == 16:
                codes = codes.astype(np.uint16) * np.uint16(257)
            # A copy, because the decoder may give the same memory to the next rows.
            yield codes.copy() if codes is chunk else codes


class _Circle:
    """A round layer that goes on beyond its circle: each pixel there shows one on the same radius."""

    def __init__(self, size: tuple[int, int], corner: tuple[int, int], around: float, edge: Edge) -> None:
        """size: (width, height) of the layer. corner: (x, y) of the first pixel that is asked for."""
        self._size, self._corner, self._mirrored = size, corner, edge == "mirror"
        self._middle = (size[0] - 1) / 2, (size[1] - 1) / 2
        self._radius = min(size) / 2
        """As the solve has it (placement/frames.py)."""
        self._reach = self._radius + around

    def needed(self, count: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
        """Return the first and the last row of the layer that each of `count` rows shows."""
        down = np.arange(self._corner[1], self._corner[1] + count) - self._middle[1]
        nearest = down * (self._shown(np.array(self._reach)) / self._reach)
        low, high = (choose(down, nearest) + self._middle[1] for choose in (np.minimum, np.maximum))
        last = self._size[1] - 1
        return np.clip(np.floor(low), 0, last).astype(np.intp), np.clip(np.ceil(high), 0, last).astype(np.intp)

    def _shown(self, distance: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return how far from the middle the pixel lies that is shown at `distance`, beyond the circle."""
        # Three quarters of a pixel within the circle, rounding cannot lead out of it.
        most = self._radius - 0.75
        return np.clip(2 * self._radius - distance, 0, most) if self._mirrored else np.minimum(distance, most)

    def rows(self, held: Rows, first: int, start: int, shape: tuple[int, int]) -> Rows:
        """Return `shape` = (h, w) pixels from row `start` on; held: rows of the layer from row `first` on."""
        clear = np.iinfo(held.dtype).max
        band = np.full((*shape, held.shape[2]), clear, held.dtype)
        left, (width, height) = self._corner[0], self._size
        seen = slice(max(0, -left), min(shape[1], width - left))
        for line, out in enumerate(band):
            y = self._corner[1] + start + line
            if 0 <= y < height:
                out[seen] = held[y - first, seen.start + left : seen.stop + left]
            down = y - self._middle[1]
            if abs(down) > self._reach:
                continue
            across = math.sqrt(self._reach**2 - down**2)
            x = np.arange(
                max(left, math.ceil(self._middle[0] - across)),
                min(left + shape[1], math.floor(self._middle[0] + across) + 1),
            )
            beside = x - self._middle[0]
            beyond = beside * beside + down * down > self._radius**2
            x, beside = x[beyond], beside[beyond]
            distance = np.hypot(beside, down)
            share = self._shown(distance) / distance
            rows = np.rint(self._middle[1] + down * share).astype(np.intp)
            columns = np.rint(self._middle[0] + beside * share).astype(np.intp)
            out[x - left] = held[rows - first, columns]
        return band


def _coloured(band: Rows) -> Rows:
    """Return rows as colour, contiguous."""
    wide = np.repeat(band, 3, axis=2) if band.shape[2] == 1 else band
    return np.ascontiguousarray(wide)


def _places(start: int, end: int, size: int, edge: Edge) -> npt.NDArray[np.intp]:
    """Return which pixels of `size` stand for those from `start` to `end`, beyond the edge too."""
    places = np.arange(start, end)
    if edge == "mirror":
        places = places % (2 * size)
        places = np.minimum(places, 2 * size - 1 - places)
    return np.clip(places, 0, size - 1).astype(np.intp)
