"""Whether two pictures show the same: one may be another crop of the other, mirrored, darker or of other colours.

Both are reduced, freed of brightness and contrast that change slowly, and compared at every shift and several
scales by masked normalised cross-correlation (Padfield, Masked object registration in the Fourier domain, 2012).
"""

import math
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ..pictures.resize import fit_image
from ..solving.carrier_regions import blurred

FloatArray = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

SAME: Final = 0.7
"""Likeness from which two pictures show the same. Crops of one photograph reach 0.81 or more, different pictures at
most 0.57 (bench/LOG.md)."""

_LONGEST: Final = 48
"""Longest side of the pictures that are compared, in pixels."""

_SPREAD: Final = 4.0
"""Standard deviation, in pixels, of the surroundings whose brightness and contrast do not count."""

_FLAT: Final = 0.03
"""Contrast, in sRGB, below which detail counts less and less."""

_ZOOMS: Final = tuple(2.0 ** (-step / 4) for step in range(4))
"""Factors by which either picture is reduced beside the other: crops down to 0.6 of the sides are found."""

_OVERLAP: Final = 0.5
"""Share of the smaller picture that must lie on the other one."""

_FAINT: Final = 0.1
"""Variance, as a share of that of the whole picture, below which an overlap has no more say."""


class Likeness:
    """A picture that is ready to be compared with others of the same size."""

    def __init__(self, image: FloatArray) -> None:
        """image: (H, W, C) float32 sRGB in [0, 1]."""
        height, width = image.shape[:2]
        scale = min(1.0, _LONGEST / max(height, width))
        grey = np.ascontiguousarray(image.mean(axis=2, keepdims=True, dtype=np.float32))
        self._shape = 2 * math.ceil(scale * height), 2 * math.ceil(scale * width)
        self._details = [
            _detail(fit_image(grey[..., 0], _size(width, height, scale * zoom), "stretch")) for zoom in _ZOOMS
        ]

    def prepare(self) -> None:
        """Transform the picture as the first comparison would, so that threads may compare it at the same time."""
        self._forward  # noqa: B018 - it is kept from now on

    def to(self, other: "Likeness") -> float:
        """Return the correlation of the detail of both, where and as large as they match best; at most 1.

        1: the same picture. Raises ValueError if the pictures had different sizes.
        """
        if self._shape != other._shape:
            raise ValueError(f"the pictures have different sizes, {self._shape} and {other._shape}")
        best = -1.0
        for mine, theirs in [(0, k) for k in range(len(_ZOOMS))] + [(k, 0) for k in range(1, len(_ZOOMS))]:
            for flipped in (False, True):
                pair = self._forward[mine], other._backward[theirs][flipped]
                best = max(best, self._correlation(*pair))
        return best

    @cached_property
    def _forward(self) -> list["_Spectra"]:
        return [_Spectra(detail, self._shape) for detail in self._details]

    @cached_property
    def _backward(self) -> list[tuple["_Spectra", "_Spectra"]]:
        """The same for the picture that is shifted, as it is and mirrored; a convolution turns it by 180°."""
        return [
            (_Spectra(detail[::-1, ::-1], self._shape), _Spectra(detail[::-1], self._shape))
            for detail in self._details
        ]

    def _correlation(self, one: "_Spectra", other: "_Spectra") -> float:
        """Return the highest correlation over all shifts."""
        pixels = np.maximum(self._sums(one.ones, other.ones), 1)
        mean, mean_of_other = (
            self._sums(one.values, other.ones) / pixels,
            self._sums(one.ones, other.values) / pixels,
        )
        variance = self._sums(one.squares, other.ones) / pixels - mean**2
        variance_of_other = self._sums(one.ones, other.squares) / pixels - mean_of_other**2
        together = self._sums(one.values, other.values) / pixels - mean * mean_of_other
        least, least_of_other = (max(_FAINT * each.variance, 1e-6) for each in (one, other))
        found = together / np.sqrt(np.maximum(variance, least) * np.maximum(variance_of_other, least_of_other))
        enough = pixels >= _OVERLAP * min(one.pixels, other.pixels) - 0.5
        return float(found[enough].max())

    def _sums(self, one: Any, other: Any) -> Doubles:
        """Return the sums of products over the overlap, for every shift."""
        return np.fft.irfft2(one * other, self._shape)


class _Spectra:
    """Fourier transforms of a picture (h, w), of its squares, and of what it covers."""

    def __init__(self, detail: Doubles, shape: tuple[int, int]) -> None:
        self.pixels, self.variance = detail.size, float(detail.var())
        self.values, self.squares, self.ones = (
            np.fft.rfft2(one, shape) for one in (detail, detail * detail, np.ones_like(detail))
        )


def _size(width: int, height: int, scale: float) -> tuple[int, int]:
    return max(1, round(width * scale)), max(1, round(height * scale))


def _detail(grey: FloatArray) -> Doubles:
    """Return what differs from its surroundings in a picture (h, w, 1), divided by its contrast, (h, w)."""
    picture = grey[..., 0].astype(np.float64)
    found = picture - blurred(picture, _SPREAD)
    return np.asarray(found / (np.sqrt(blurred(found * found, _SPREAD)) + _FLAT))
