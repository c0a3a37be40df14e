"""Previews: reduced pictures for the contact sheet and stack.png, computed row by row."""

from collections.abc import Callable
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt

from mlsolve_kernels.resample.cpu import Taps, area_taps, resample
from mlsolve_kernels.scoring.cpu import look_up_all, shrink_across

from ..pictures.arrays import code_values, planar
from ..pictures.colour import light_from_srgb, srgb_from_light
from .codes import Codes, tables

FloatArray = npt.NDArray[np.float32]
Part = npt.NDArray[Any]
"""Rows of a picture on their way to its preview."""

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
    """A picture that is reduced row by row, by averaging light: as the picture looks from further away.

    Rows are reduced along the row first (`part_of_light`, `part_of_codes`), in any thread, and then taken in order
    (`add`), which reduces them down.
    """

    def __init__(self, size: tuple[int, int], longest: int, sink: Sink | None = None) -> None:
        """size: (width, height) of the picture. longest: maximum length of the preview's longer side, in pixels.

        sink: takes the rows of the preview as they are made, (h, w, C) uint8 sRGB; None: they are kept in `image`.
        """
        self.size = shown(size, longest)
        self.reduced: Final = self.size != size
        """Whether it is smaller than the picture. If not, its parts are the picture's code values."""
        self._columns = area_taps(size[0], self.size[0], 0, self.size[0])
        self._rows = area_taps(size[1], self.size[1], 0, self.size[1])
        self.images: list[npt.NDArray[np.uint8]] = []
        """The finished rows of the preview, in parts; only where they are kept."""
        self._sink = self.images.append if sink is None else sink
        self._held: FloatArray | None = None
        self._top = self._made = 0

    def part_of_light(self, light: FloatArray) -> FloatArray:
        """Return rows of linear light (C, h, W) reduced along the row, (C, h, w); only of a reduced preview."""
        return resample(light, (0, 0), _unchanged(light.shape[1]), self._columns)

    def part_of_codes(self, codes: Codes, planes: int) -> Part:
        """Return rows of code values (h, W, c), uint8 or uint16, as a part for `add`, of `planes` planes."""
        table = tables(codes.dtype)
        if not self.reduced:
            values = np.empty((*codes.shape[:2], planes), dtype=np.float32)
            look_up_all(table.value, codes, values)
            return code_values(values, planes)
        part = np.empty((planes, len(codes), self.size[0]), dtype=np.float32)
        shrink_across(table.light, codes, self._columns.first, self._columns.weights, part)
        return part

    def feed(self, rows: FloatArray) -> None:
        """Take the next rows of the picture, (h, W, C) float32 sRGB in [0, 1]."""
        if not self.reduced:
            self.add(code_values(rows, rows.shape[2]))
        else:
            self.add(self.part_of_light(np.asarray(light_from_srgb(planar(rows)), dtype=np.float32)))

    def add(self, part: Part) -> None:
        """Take the next rows: code values (h, W, C) uint8, or light (C, h, w) float32 where it is reduced."""
        if not self.reduced:
            self._sink(cast(npt.NDArray[np.uint8], part))
            return
        light = cast(FloatArray, part)
        held = light if self._held is None else np.concatenate([self._held, light], axis=1)
        bottom = self._top + held.shape[1]
        ends = self._rows.first + self._rows.weights.shape[1]
        ready = int(np.searchsorted(ends, bottom, side="right"))
        if ready > self._made:
            taps = Taps(self._rows.first[self._made : ready], self._rows.weights[self._made : ready])
            small = resample(held, (self._top, 0), taps, _unchanged(held.shape[2]))
            shown = np.asarray(np.moveaxis(srgb_from_light(np.clip(small, 0, 1)), 0, -1), dtype=np.float32)
            self._sink(code_values(shown, shown.shape[2]))
            self._made = ready
        wanted = int(self._rows.first[ready]) if ready < len(ends) else bottom
        # A copy, because a view would keep the whole array alive.
        self._held, self._top = held[:, wanted - self._top :].copy(), wanted

    @property
    def image(self) -> npt.NDArray[np.uint8]:
        """The preview, (h, w, C) uint8 sRGB, once all rows have been fed; only without a sink."""
        return np.concatenate(self.images)


def _unchanged(length: int) -> Taps:
    """Return the taps that leave an axis of `length` samples as it is."""
    return Taps(np.arange(length), np.ones((length, 1), dtype=np.float32))
