"""How images lie in the memory of the CPU kernels.

Planar float32, C-contiguous, one row after the other, with MARGIN columns of zeros on either side of
every row. The zeros are the border rule: the window may read past the left and right edge and finds
the padding there. Rows above and below the image are not stored; the row loops put zeros in.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from .window import REACH

FloatArray = npt.NDArray[np.float32]

_CACHE_LINE_FLOATS: Final = 16

MARGIN: Final = -(-REACH // _CACHE_LINE_FLOATS) * _CACHE_LINE_FLOATS
"""Zero columns on either side of a row: the reach of an iteration, rounded up to a cache line."""

STRIP: Final = 512
"""Widest strip of columns that one row loop works on, so that its rings of rows stay in the second-level cache."""


def bordered(shape: tuple[int, ...]) -> FloatArray:
    """Return zeros for images of `shape` (..., H, W), stored as (..., H, W + 2·MARGIN) float32."""
    return np.zeros((*shape[:-1], shape[-1] + 2 * MARGIN), dtype=np.float32)


def interior(stored: FloatArray) -> FloatArray:
    """Return the view of the pixels, (..., H, W), in an array made by `bordered`."""
    return stored[..., MARGIN:-MARGIN]


def with_border(images: npt.NDArray[np.floating]) -> FloatArray:
    """Return a bordered float32 copy of `images` (..., H, W)."""
    stored = bordered(images.shape)
    interior(stored)[...] = images
    return stored


def strip_width(width: int) -> int:
    """Return the width of the strips that `width` columns are cut into; the last one may be narrower."""
    strips = -(-width // STRIP)
    return -(-width // strips)


def strip_count(width: int) -> int:
    """Return the number of strips that `width` columns are cut into."""
    return -(-width // strip_width(width))
