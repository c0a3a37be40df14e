"""Wavelengths, and smooth spectra made of lobes."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Images = npt.NDArray[np.float32]
Codes = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.floating[Any]]

WAVES: Final = np.arange(400.0, 701.0, 10.0)
"""The middles of the bands in nm, (31,)."""
BANDS: Final = len(WAVES)

Lobe = tuple[float, float, float, float]
"""Height, centre, width below and width above the centre, in nm: a Gaussian with two widths."""


def lobes(*shapes: Lobe, floor: float = 0.0) -> Array:
    """Return the sum of lobes and a floor at WAVES, (31,)."""
    found = np.full(BANDS, floor)
    for height, centre, below, above in shapes:
        width = np.where(centre > WAVES, below, above)
        found += height * np.exp(-0.5 * ((WAVES - centre) / width) ** 2)
    return found
