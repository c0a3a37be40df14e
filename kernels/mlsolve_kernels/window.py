"""The SSIM window and its constants, which are defined only here.

Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment: from error visibility to structural
similarity", IEEE TIP 13(4), 2004: an 11×11 circular Gaussian, sigma 1.5, normalised to sum 1;
C1 = (K1·L)², C2 = (K2·L)² with K1 = 0.01, K2 = 0.03 and data range L = 1. The border is padded
with zeros, as in the PyTorch packages that users compare with.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

RADIUS: Final = 5
"""Pixels from the centre of the window to its edge."""

SIGMA: Final = 1.5
"""Standard deviation of the Gaussian, in pixels."""

C1: Final = 0.01**2
C2: Final = 0.03**2

SIZE: Final = 2 * RADIUS + 1
"""Taps of the separable window; also the smallest side of an image."""

REACH: Final = 2 * RADIUS
"""How far one iteration looks, in pixels: one blur forward and one backward."""


def taps() -> npt.NDArray[np.float64]:
    """Return the one-dimensional window, (SIZE,) float64, summing to 1; the 2-D window is its outer product."""
    offsets = np.arange(-RADIUS, RADIUS + 1)
    gaussian = np.exp(-(offsets**2) / (2 * SIGMA**2))
    return np.asarray(gaussian / gaussian.sum(), dtype=np.float64)
