"""The rows of a layer, with what goes on beyond its edge, one band after the other."""

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

    window: (left, top, right, bottom) in pixels. margin: pixels on each side. bits: 8 or 16, of the codes. Grey
    layers become three equal channels. Raises InputError for a layer that is stored turned.
    """

    def __init__(
        self, picture: Picture, window: tuple[int, int, int, int], margin: int, edge: Edge, bits: int = 8
    ) -> None:
        """Nothing is read before `bands`."""
        if picture.orientation != 1:
            raise InputError(f"{picture.path} is stored turned: restore what mlsolve run wrote")
        self._picture, self.bits = picture, bits
        left, top, right, bottom = window
        width, height = picture.size
        self._columns = _places(left - margin, right + margin, width, edge)
        self._lines = _places(top - margin, bottom + margin, height, edge)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels, margins included."""
        return len(self._columns), len(self._lines)

    def memory(self) -> int:
        """Return the bytes that reading takes at most."""
        held = max(
            self._lines[start : start + BAND].max() - self._lines[start:].min() + 1
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
            wanted = self._lines[start : start + BAND]
            last, needed = int(wanted.max()), int(self._lines[start:].min())
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
            band = held[wanted - first]
            yield self._across(band)

    def _across(self, band: Rows) -> Rows:
        """Return rows with their margins left and right, as colour."""
        wide = band[:, self._columns]
        if wide.shape[2] == 1:
            wide = np.repeat(wide, 3, axis=2)
        return np.ascontiguousarray(wide)

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


def _places(start: int, end: int, size: int, edge: Edge) -> npt.NDArray[np.intp]:
    """Return which pixels of `size` stand for those from `start` to `end`, beyond the edge too."""
    places = np.arange(start, end)
    if edge == "mirror":
        places = places % (2 * size)
        places = np.minimum(places, 2 * size - 1 - places)
    return np.clip(places, 0, size - 1).astype(np.intp)
