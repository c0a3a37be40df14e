"""A decoded picture, upright and fitted to the size of the print, region by region."""

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from mlsolve_kernels.region import Region
from mlsolve_kernels.resample.cpu import area_taps, cubic_taps, resample, span

from ..pictures.colour import LUMINANCE, light_from_srgb, srgb_from_light
from ..pictures.resize import Fit, Geometry, fit_geometry
from ..solving.level_pictures import CODES, HIGHEST, as_codes
from ..solving.store import Array

CodeArray = npt.NDArray[np.uint16]
FloatArray = npt.NDArray[np.float32]

WHITE: Final = 65535

_PIECE: Final = 1 << 15
"""Values to which the curve of sRGB is applied at a time, so that they stay in the cache."""


@dataclass(frozen=True)
class Decoded:
    """A decoded picture, (C, H, W) uint16 sRGB, as it is stored in its file."""

    array: Array
    planes: int
    stored: tuple[int, int]
    """(width, height) in pixels."""
    orientation: int
    """How it is turned upright (EXIF 2.3, §4.6.4)."""

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the upright picture, in pixels."""
        return self.stored[::-1] if self._sideways else self.stored

    @property
    def _sideways(self) -> bool:
        return self.orientation in (5, 6, 7, 8)

    def opened(self) -> "Decoded":
        """Return the same for the use of one thread."""
        return Decoded(copy(self.array), self.planes, self.stored, self.orientation)

    def codes(self, plane: int, region: Region) -> CodeArray:
        """Return a region (h, w) of a plane of the upright picture."""
        return self._upright(
            lambda part: self.array.read((plane,), part, np.empty(_shape(part), np.uint16)), region
        )

    def values(self, plane: int, region: Region, table: FloatArray) -> FloatArray:
        """Return a region (h, w) of a plane of the upright picture, by the values of its codes in `table`."""

        def read(part: Region) -> FloatArray:
            found: FloatArray = self.array.read((plane,), part, np.empty(_shape(part), np.float32), table)
            return found

        return self._upright(read, region)

    def _upright(self, read: Callable[[Region], npt.NDArray], region: Region) -> npt.NDArray:  # type: ignore[type-arg]
        """Return a region of the upright picture; read: returns one of the picture as stored."""
        top, bottom, left, right = region
        width, height = self.size
        # Undone in the opposite order of picture_files.upright: columns, rows, then the axes.
        if self.orientation in (2, 3, 6, 7):
            left, right = width - right, width - left
        if self.orientation in (3, 4, 7, 8):
            top, bottom = height - bottom, height - top
        part = read(Region(left, right, top, bottom) if self._sideways else Region(top, bottom, left, right))
        if self._sideways:
            part = part.T
        if self.orientation in (3, 4, 7, 8):
            part = part[::-1]
        if self.orientation in (2, 3, 6, 7):
            part = part[:, ::-1]
        return part


def fit_tile(decoded: Decoded, target: Array, fit: Fit, region: Region, weights: bool = False) -> None:
    """Task: fit `region` of a picture to the size of the print, as `resize.fit_image` does.

    target: what it is written to, (C, H, W) uint16 codes. If that has one plane and the picture has three, it is to
    be grey. weights: whether they are the weights of pixels: then the planes are averaged.
    """
    decoded = decoded.opened()
    planes, height, width = target.shape
    geometry = fit_geometry(decoded.size, (width, height), fit)
    with target.tile((), region) as tile:
        fitted = (fitted_region(decoded, plane, geometry, region) for plane in range(decoded.planes))
        if planes < decoded.planes:
            if weights:
                total = sum(codes.astype(np.uint32) for codes in fitted)
                tile.put((0,), np.asarray(total // decoded.planes, dtype=np.uint16))
            else:
                tile.put((0,), grey_codes(list(fitted)))
            return
        for plane, codes in enumerate(fitted):
            tile.put((plane,), codes)


def grey_codes(planes: Sequence[CodeArray]) -> CodeArray:
    """Return the codes of the grey that has the luminance of red, green and blue codes, all (h, w) uint16."""
    light = sum(
        share * light_from_srgb(codes / np.float64(HIGHEST)) for share, codes in zip(LUMINANCE, planes, strict=True)
    )
    return as_codes(np.asarray(srgb_from_light(np.clip(light, 0, 1))))


def fitted_region(source: Decoded, plane: int, geometry: Geometry, region: Region) -> CodeArray:
    """Return `region` of a plane of the print: the part of `source` that covers it, white beside it."""
    part_left, part_top = geometry.part[:2]
    inner_left, inner_top, inner_width, inner_height = geometry.inner
    top, bottom = max(region.top, inner_top), min(region.bottom, inner_top + inner_height)
    left, right = max(region.left, inner_left), min(region.right, inner_left + inner_width)
    if top >= bottom or left >= right:
        return np.full((region.height, region.width), WHITE, dtype=np.uint16)
    inside = Region(top - inner_top, bottom - inner_top, left - inner_left, right - inner_left)
    if geometry.identity:
        top, bottom, left, right = inside
        found = source.codes(plane, Region(part_top + top, part_top + bottom, part_left + left, part_left + right))
    else:
        found = _resampled(source, plane, geometry, inside)
    if found.shape == (region.height, region.width):
        return found
    result = np.full((region.height, region.width), WHITE, dtype=np.uint16)
    top, left = max(region.top, inner_top) - region.top, max(region.left, inner_left) - region.left
    result[top : top + found.shape[0], left : left + found.shape[1]] = found
    return result


def _resampled(source: Decoded, plane: int, geometry: Geometry, inside: Region) -> CodeArray:
    """Return the region `inside` of the part of the print that the picture fills."""
    part_left, part_top, part_width, part_height = geometry.part
    _, _, inner_width, inner_height = geometry.inner
    taps = area_taps if geometry.shrinks else cubic_taps
    rows = taps(part_height, inner_height, inside.top, inside.bottom, part_top)
    columns = taps(part_width, inner_width, inside.left, inside.right, part_left)
    (first_row, last_row), (first_column, last_column) = span(rows), span(columns)
    part = Region(first_row, last_row, first_column, last_column)
    values = source.values(plane, part, _table(geometry.shrinks))
    found = resample(values[np.newaxis], (first_row, first_column), rows, columns)[0]
    if not geometry.shrinks:
        return as_codes(found)
    flat, codes = found.reshape(-1), np.empty(found.size, dtype=np.uint16)
    for start in range(0, flat.size, _PIECE):
        piece = np.clip(flat[start : start + _PIECE], 0, 1)
        codes[start : start + _PIECE] = as_codes(np.asarray(srgb_from_light(piece)))
    return codes.reshape(found.shape)


@cache
def _table(light: bool) -> FloatArray:
    """Return what every code stands for, (65536,): its sRGB value or its light, both computed in float32."""
    values = np.arange(CODES).astype(np.float32) / HIGHEST
    return np.asarray(light_from_srgb(values), dtype=np.float32) if light else values


def _shape(region: Region) -> tuple[int, int]:
    return region.height, region.width
