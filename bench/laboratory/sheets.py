"""A printed sheet."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from .films import Film
from .inks import InkSet
from .screens import Screen
from .spectra import Array, Images


@dataclass(frozen=True)
class Sheet:
    """A printed sheet. Spectra are computed when they are asked for, a few rows at a time."""

    film: Film
    inks: InkSet
    ink: Images
    """Of a halftone the share of the area that each ink covers, in [0, 1]; else its amount, 1 full; (H, W, 3)."""
    screen: Screen | None = None
    """Of a halftone."""
    fine: int = 16
    """Points of a halftone along the side of a pixel."""
    kept: tuple[int, int] | None = None
    """The rows, from and to, that were not cut off; None: all."""

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.ink.shape[0], self.ink.shape[1]

    @property
    def extent(self) -> tuple[int, int]:
        """The rows, from and to, where there is film."""
        return self.kept or (0, self.shape[0])

    def has(self, rows: slice) -> bool:
        """Return whether there is film in all of these rows."""
        top, bottom = self.extent
        return bool(top <= rows.start and rows.stop <= bottom)

    def cut(self, top: int, bottom: int) -> "Sheet":
        """Return the sheet with only the film from row `top` to row `bottom` left, at its place."""
        return replace(self, kept=(top, bottom))

    def states(self, rows: slice) -> npt.NDArray[np.uint8]:
        """Return which inks lie on the points of a halftone, (rows, W, fine²), numbered as overprints."""
        assert self.screen is not None
        height = self.ink[rows].shape[0]
        width, fine = self.shape[1], self.fine
        lines = np.arange(rows.start * fine, (rows.start + height) * fine)
        found = np.zeros((height, fine, width, fine), np.uint8)
        for ink in range(3):
            tile = self.screen.tile(ink)
            side = len(tile)
            across = np.tile(tile[lines % side], (1, -(-width * fine // side)))[:, : width * fine]
            # A whole cover is above every threshold but the last of 65536.
            covered = np.rint(self.ink[rows, :, ink] * 65535).astype(np.uint16)
            printed = covered[:, np.newaxis, :, np.newaxis] > across.reshape(found.shape)
            found |= printed.view(np.uint8) << np.uint8(ink)
        return found.transpose(0, 2, 1, 3).reshape(height, width, fine * fine)

    def mean(self, rows: slice) -> Array:
        """Return the transmittance of the pixels in air, (rows, W, 31), if nothing scattered, without grain.

        Of a halftone it follows from the areas, as screens of different inks cover each other by chance (Demichel:
        Le procédé 26 (1924)).
        """
        inked = self.ink[rows].astype(np.float64)
        if self.screen is None:
            return self.film.through(self.inks.layers(inked))
        areas = np.ones((*inked.shape[:2], 1))
        for ink in range(3):
            covered = inked[..., ink : ink + 1]
            areas = np.concatenate([areas * (1 - covered), areas * covered], axis=-1)
        return np.asarray(areas @ self.film.through(self.inks.overprints()), dtype=np.float64)


def shares(states: npt.NDArray[np.integer], count: int) -> Array:
    """Return the share of each of `count` states among the points of the pixels: (…, points) to (…, count)."""
    pixels = states.reshape(-1, states.shape[-1])
    places = np.arange(len(pixels), dtype=np.int64)[:, np.newaxis] * count + pixels
    found = np.bincount(places.ravel(), minlength=len(pixels) * count).reshape(*states.shape[:-1], count)
    return np.asarray(found / states.shape[-1], dtype=np.float64)
