"""Previews: reduced pictures for the contact sheet and stack.png, computed row by row."""

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from mlsolve_kernels.resample.cpu import Taps, area_taps, resample

from ..pictures.arrays import code_values, planar
from ..pictures.colour import light_from_srgb, srgb_from_light

FloatArray = npt.NDArray[np.float32]
Sink = Callable[[npt.NDArray[np.uint8]], None]
"""Takes the next rows of a preview, (h, w, C) uint8 sRGB."""

CELL: Final = 420
"""Longer side of a picture on the contact sheet, in pixels."""

PART: Final = 260
"""Longer side there of targets and stacks if there are several, and of misaligned stacks, in pixels."""

SHEET_CELL: Final = 120
"""Longer side there of a placed sheet of an arrangement, in pixels."""

STACK: Final = 2048
"""Longest side of stack.png, in pixels."""

PREVIEW_OVERHEAD: Final = 24 << 10
"""Bytes of a preview in addition to its pixels."""


def shown(size: tuple[int, int], longest: int = STACK, enlarge: bool = False) -> tuple[int, int]:
    """Return (width, height) of the preview of a picture of `size` = (width, height), all in pixels.

    longest: length of the preview's longer side. A smaller picture keeps its size unless `enlarge` is set.
    """
    scale = longest / max(size)
    if not enlarge:
        scale = min(1.0, scale)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


class Preview:
    """A picture that is reduced row by row, by averaging light: as the picture looks from further away."""

    def __init__(self, size: tuple[int, int], longest: int, sink: Sink | None = None) -> None:
        """size: (width, height) of the picture. longest: maximum length of the preview's longer side, in pixels.

        sink: takes the rows of the preview as they are made, (h, w, C) uint8 sRGB; None: they are kept in `image`.
        """
        self._size = size
        self.size = shown(size, longest)
        self._same = self.size == size
        self._columns = area_taps(size[0], self.size[0], 0, self.size[0])
        self._rows = area_taps(size[1], self.size[1], 0, self.size[1])
        self.images: list[npt.NDArray[np.uint8]] = []
        """The finished rows of the preview, in parts; only where they are kept."""
        self._sink = self.images.append if sink is None else sink
        self._held: FloatArray | None = None
        self._top = self._made = 0

    def feed(self, rows: FloatArray) -> None:
        """Take the next rows of the picture, (h, W, C) float32 sRGB in [0, 1]."""
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
        # A copy, because a view would keep the whole array alive.
        self._held, self._top = held[:, wanted - self._top :].copy(), wanted

    @property
    def image(self) -> npt.NDArray[np.uint8]:
        """The preview, (h, w, C) uint8 sRGB, once all rows have been fed; only without a sink."""
        return np.concatenate(self.images)
