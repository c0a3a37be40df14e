"""Layers that are device codes, as scoring sees them: what they let through, how they look, their stacks."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mlsolve_kernels.light import pictures_of
from mlsolve_kernels.light.ink.inks import Inks
from mlsolve_kernels.light.ink.pictures import Film, develop_codes, film_of, look_codes, see_light
from mlsolve_kernels.light.ink.reference import GAMMA, develop, look
from mlsolve_kernels.region import Region

from ..errors import InputError
from ..job.arrangements import Placement
from ..media import Media
from ..pictures import colour
from ..pictures.arrays import same_planes
from ..pictures.colour import composite, encode, light_from_srgb, srgb_from_light
from ..ranges import check_exposure
from .codes import Codes, Wanted, tables
from .placed import place_sheet

FloatArray = npt.NDArray[np.float32]


_KINDS: Final = {True: np.dtype(np.uint8), False: np.dtype(np.uint16)}
"""The types of code values, by whether they have eight bits."""


@dataclass(frozen=True)
class Developing:
    """Film, inks and room, with the tables that they need."""

    inks: Inks
    exposure: float
    """Of the first stack: on the same box a sheet alone is 1 / exposure times as bright, the room is not."""

    @property
    def planes(self) -> int:
        """Planes of the layers, and of what is seen."""
        return self.inks.planes

    def bands(self, layer: Wanted) -> Wanted:
        """Return what reads a region of the bands of a layer's sheet, as 16-bit sRGB codes of their light."""

        def read(number: int, region: Region) -> Codes:
            codes = layer(number, region)
            out = np.empty(codes.shape, dtype=np.uint16)
            develop_codes(self._film(codes.dtype), codes, out)
            return out

        return read

    def looks(self, layer: Wanted) -> Wanted:
        """Return what reads a region of how a layer's sheet looks alone, as 16-bit sRGB codes."""
        bands = self.bands(layer)

        def read(number: int, region: Region) -> Codes:
            codes = bands(number, region)
            light, room = tables(codes.dtype).light, self.inks.room * self.exposure
            out = np.empty_like(codes)
            look_codes(self._film(np.dtype(np.uint16)), light, room, codes, out)
            return out

        return read

    def see(self, light: FloatArray, sheets: int, exposure: float) -> None:
        """Turn the light in bands through `sheets` sheets, (h, W, B), into what the eye sees, in place."""
        see_light(self._film(np.dtype(np.uint16)), sheets, exposure, self.inks.room, light)

    def _film(self, kind: np.dtype[Any]) -> Film:
        return self._films[np.dtype(kind) == np.uint8]

    @cached_property
    def _films(self) -> dict[bool, Film]:
        return {eight: film_of(self.inks, tables(kind).encoded) for eight, kind in _KINDS.items()}


def bands_of(layer: FloatArray, inks: Inks) -> FloatArray:
    """Return what the sheet of `layer` lets through in bands, as sRGB of the light, both (H, W, C) in [0, 1]."""
    light = np.moveaxis(develop(np.moveaxis(encode(layer), -1, 0), inks), 0, -1) ** GAMMA
    return np.asarray(srgb_from_light(light), dtype=np.float32)


def looks_of(layers: FloatArray, inks: Inks, room: float) -> FloatArray:
    """Return how the sheets of `layers` look alone, both (N, H, W, C) sRGB in [0, 1]; room: in shares of white."""
    bands = develop(np.moveaxis(encode(layers), -1, -3), inks)
    light = np.moveaxis(look(bands, inks, room=room), -3, -1) ** GAMMA
    return np.asarray(srgb_from_light(np.clip(light, 0, 1)), dtype=np.float32)


def composite_placed(
    sheets: Sequence[FloatArray], place: Sequence[Placement], exposure: float, inks: Inks | None = None
) -> FloatArray:
    """Return the stack of the placed sheets at `exposure`, (H, W, C) float32 sRGB in [0, 1].

    sheets: what they let through, as sRGB of the light, each (H, W, C) float32 in [0, 1]. place: the placement of
    each sheet of the stack. inks: how the eye sees their bands; None: they are what it sees.
    """
    placed = [place_sheet(sheets[one.layer - 1], one) for one in place]
    if inks is None:
        return composite(placed, exposure)
    light = np.ascontiguousarray(pictures_of().through(light_from_srgb(one) for one in placed), dtype=np.float32)
    Developing(inks, exposure).see(light, len(placed), exposure)
    return np.asarray(srgb_from_light(light), dtype=np.float32)


def compose(
    layers: "npt.ArrayLike | Sequence[npt.ArrayLike]",
    exposure: float = 1.0,
    media: Media | None = None,
    room: float = 0.0,
) -> FloatArray:
    """Return the stack of `layers` as seen on a light box 1/exposure times as bright as white.

    layers: (N, H, W), (N, H, W, 3) or (N, H, W, 4), or a sequence of N such pictures; sRGB code values as uint8,
    uint16 or float in [0, 1]. exposure: in [MIN_EXPOSURE, 1]. media: the printer and film, if the layers are device
    codes for them. room: light of the room that the front reflects, as a share of white, with media. Returns
    (H, W, C) float32 sRGB in [0, 1].

    The linear transmittances are multiplied, divided by the exposure, clipped at white and converted to sRGB; with
    media docs/maths.md §12. Raises InputError for pictures that cannot be used, differ in size or have other planes
    than the media, OptionError for an exposure out of range.
    """
    if media is None:
        return colour.compose(layers, exposure)
    check_exposure(exposure)
    images = same_planes(list(layers), "layer")  # type: ignore[arg-type]
    if images[0].shape[2] != media.planes:
        raise InputError(
            f"layers have {images[0].shape[2]} planes, media {media.name} has {media.planes} channels: give as many"
        )
    inks = media.inks._replace(room=room)
    place = [Placement(number) for number in range(1, len(images) + 1)]
    return composite_placed([bands_of(image, inks) for image in images], place, exposure, inks)
