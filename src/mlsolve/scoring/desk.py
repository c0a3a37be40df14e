"""The buffers in which one thread composes and compares the pictures of a band."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from mlsolve_kernels.layout import from_strips, stored
from mlsolve_kernels.light import pictures_of
from mlsolve_kernels.placement.move import STILL, Move
from mlsolve_kernels.region import Region
from mlsolve_kernels.scoring.cpu import look_up_all, place_exactly, spread, squared_error
from mlsolve_kernels.scoring.moved import moved_sums
from mlsolve_kernels.ssim.cpu import Comparison, comparison_bytes

from ..pictures.arrays import code_values, planar
from ..pictures.colour import put_light, put_srgb
from .codes import Codes, Wanted, tables
from .developing import Developing
from .placed import corner_of, interpolated, part_seen
from .previews import Part, Preview

FloatArray = npt.NDArray[np.float32]

Mask = npt.NDArray[np.bool_]

_PIECE: Final = 1 << 16
"""Values of a picture that are computed together, so that all that belongs to them stays in the cache."""


_NO_CODES: Final = np.zeros((1, 1, 1), dtype=np.uint8)


class SheetRows:
    """Rows of a placed sheet."""

    def __init__(
        self, shape: tuple[int, int], number: int, move: Move, rows: Region, layer: Wanted, planes: int
    ) -> None:
        """Read what `rows` of the stack show of layer `number`, which has `shape` = (height, width).

        layer: returns regions of layers as codes. planes: of the values to be returned.
        """
        self._move, self._top = move, rows.top
        self._between: FloatArray | None = None
        if not move.exact:
            self._between = interpolated(lambda region: layer(number, region), shape, move, rows, planes)
            return
        seen = part_seen(move, shape, rows)
        self._codes = np.ascontiguousarray(layer(number, seen)) if seen.height else _NO_CODES
        self._corner = corner_of(seen)
        self._tables = tables(self._codes.dtype)

    @property
    def codes(self) -> Codes | None:
        """The rows as codes; None if they are not just codes of the layer."""
        return self._codes if self._between is None and self._move == STILL else None

    def put_values(self, first: int, out: FloatArray) -> None:
        """Write the sRGB values of the rows from `first` on into `out` (h, W, C)."""
        if self._between is None:
            self._look_up(self._tables.value, first, out)
        else:
            out[...] = self._between[first : first + len(out)]

    def put_light(self, first: int, out: FloatArray, dark: Mask) -> None:
        """Write the linear light through the rows from `first` on into `out` (h, W, C); dark: overwritten."""
        if self._between is None:
            self._look_up(self._tables.light, first, out)
        else:
            put_light(self._between[first : first + len(out)], out, dark)

    def _look_up(self, table: FloatArray, first: int, out: FloatArray) -> None:
        if self._move == STILL:
            look_up_all(table, self._codes[first : first + len(out)], out)
        else:
            place_exactly(table, self._codes, self._corner, self._move, (self._top + first, 0), out)


class Desk:
    """The buffers of one thread."""

    def __init__(self, planes: int, width: int) -> None:
        """Make room for pictures of `planes` planes and `width` columns."""
        self._planes, self._width = planes, width
        self._height = self._rows = 0
        self._light: FloatArray
        self._sheet: FloatArray
        self._seen: FloatArray
        self._dark: Mask
        self.compared: Comparison
        self._weights: FloatArray | None = None

    def make_room(self, height: int) -> None:
        """Get ready for bands of `height` rows."""
        if height == self._height:
            return
        if self._height:
            del self.compared  # frees its memory before the next one is allocated
        self._weights = None
        self.compared, self._height = Comparison(self._planes, height, self._width), height
        rows = piece_rows(self._planes, height, self._width)
        if rows > self._rows:
            piece = rows, self._width, self._planes
            self._light, self._sheet, self._seen = (np.empty(piece, dtype=np.float32) for _ in range(3))
            self._dark, self._rows = np.empty(piece, dtype=np.bool_), rows

    def fix(self, codes: Codes) -> None:
        """Make the picture of `codes` (h, W, c) the one with which others are compared."""
        spread(codes, tables(codes.dtype).value, self.compared.strips, self.compared.fixed.image, 0)
        self.compared.fix()

    def put(self, codes: Codes) -> None:
        """Make the picture of `codes` (h, W, c) the one to be compared."""
        spread(codes, tables(codes.dtype).value, self.compared.strips, self.compared.moving, 0)

    def spread_weights(self, weights: FloatArray | None) -> FloatArray | None:
        """Return weights of pixels (h, W) as the comparison takes them; they last until the next call."""
        if weights is None:
            return None
        if self._weights is None:
            self._weights = stored(self.compared.strips, 1)
        spread(weights[:, :, np.newaxis], None, self.compared.strips, self._weights, 0)
        return self._weights

    def put_sheet(self, sheet: SheetRows, rows: slice, previews: Sequence[Preview]) -> list[tuple[Preview, Part]]:
        """Make a placed sheet the picture to be compared; return the parts of its `rows` for `previews`."""
        codes = sheet.codes
        if codes is not None:
            self.put(codes)
            return [(preview, preview.part_of_codes(codes[rows], self._planes)) for preview in previews]
        parts = _Parts(previews)
        for first in range(0, self._height, self._rows):
            seen = self._seen[: min(self._rows, self._height - first)]
            sheet.put_values(first, seen)
            spread(seen, None, self.compared.strips, self.compared.moving, first)
            self._show(parts, seen, first, rows)
        return parts.joined

    def put_stack(
        self,
        sheets: Sequence[SheetRows],
        exposure: float,
        target: Codes,
        weights: FloatArray | None,
        rows: slice,
        previews: Sequence[Preview],
        developing: Developing | None = None,
    ) -> tuple[int, list[tuple[Preview, Part]]]:
        """Make the composite of `sheets`, as seen at `exposure`, the picture to be compared.

        target: codes (h, W, c). weights: of pixels, (h, W); None: all count equally. developing: how the eye sees
        the stack, if `sheets` are bands; None: as the light that passes. Returns the squared error of
        `rows`, in 2^-ERROR_BITS, and the parts of `rows` for `previews`.
        """
        parts, error, values, pictures = _Parts(previews), 0, tables(target.dtype).value, pictures_of()
        for first in range(0, self._height, self._rows):
            length = min(self._rows, self._height - first)
            light, sheet, seen = (buffer[:length] for buffer in (self._light, self._sheet, self._seen))
            dark = self._dark[:length]
            sheets[0].put_light(first, light, dark)
            for other in sheets[1:]:
                other.put_light(first, sheet, dark)
                pictures.lay(light, sheet)
            if developing is None:
                pictures.expose(light, exposure)
            else:
                developing.see(light, len(sheets), exposure)
            put_srgb(light, seen, dark)
            spread(seen, None, self.compared.strips, self.compared.moving, first)
            own = slice(max(rows.start, first), min(rows.stop, first + length))
            if own.start < own.stop:
                inside = seen[own.start - first : own.stop - first]
                own_weights = None if weights is None else weights[own]
                error += int(squared_error(inside, values, target[own], own_weights))
            self._show(parts, seen, first, rows)
        return error, parts.joined

    def moved_sums(
        self,
        target: Codes,
        weights: FloatArray | None,
        rows: tuple[int, int],
        shape: tuple[int, int],
        firsts: tuple[int, int],
        pixels: int,
    ) -> tuple[int, npt.NDArray[np.int64]]:
        """Compare the picture that was put last with `target`, codes (h, W, c), moved; see scoring/moved.py."""
        image = from_strips(self.compared.moving, self.compared.strips)
        values = np.empty((self._planes, *target.shape[:2]), dtype=np.float32)
        for plane, out in enumerate(values):
            codes = target[..., min(plane, target.shape[2] - 1)]
            np.take(tables(target.dtype).value, codes, out=out, mode="clip")
        return moved_sums(image, values, weights, rows, shape, firsts, pixels)

    def _show(self, parts: "_Parts", seen: FloatArray, first: int, rows: slice) -> None:
        """Add to `parts` those of the rows `seen`, numbered from `first` on, that are in `rows`."""
        inside = seen[max(rows.start - first, 0) : max(rows.stop - first, 0)]
        if not (parts.previews and len(inside)):
            return
        light: FloatArray | None = None
        for preview, found in zip(parts.previews, parts.found, strict=True):
            if not preview.reduced:
                found.append(code_values(inside, self._planes))
                continue
            if light is None:
                put_light(inside, self._light[: len(inside)], self._dark[: len(inside)])
                light = planar(self._light[: len(inside)])
            found.append(preview.part_of_light(light))


class _Parts:
    """Parts of pictures for their previews."""

    def __init__(self, previews: Sequence[Preview]) -> None:
        self.previews = previews
        self.found: list[list[Part]] = [[] for _ in previews]

    @property
    def joined(self) -> list[tuple[Preview, Part]]:
        """One part for each preview."""
        return [
            (preview, np.concatenate(found, axis=1 if preview.reduced else 0))
            for preview, found in zip(self.previews, self.found, strict=True)
        ]


def piece_rows(planes: int, height: int, width: int) -> int:
    """Return the rows of a piece of a band of `height` rows."""
    return min(height, max(1, _PIECE // (planes * width)))


def desk_bytes(planes: int, height: int, width: int, weighted: bool) -> int:
    """Return the bytes of a `Desk` that has made room for `height` rows, and of what passes through it."""
    piece = piece_rows(planes, height, width) * width * planes
    weights = comparison_bytes(1, height, width) // 4 if weighted else 0
    return comparison_bytes(planes, height, width) + weights + piece * (3 * 4 + 1 + 8)
