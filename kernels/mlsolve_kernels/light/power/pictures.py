"""Light by the power law for pictures outside an iteration: scores, previews, films, the start of a solve."""

import math
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt


def through(sheets: Iterable[npt.NDArray[np.floating]]) -> npt.NDArray[np.floating]:
    """Return the linear light that passes all `sheets`, each linear light in [0, 1], (h, W, C): their product."""
    light: npt.NDArray[np.floating] = np.float32(1.0)  # type: ignore[assignment]
    for sheet in sheets:
        light = light * sheet
    return light


def composite(sheets: Iterable[npt.NDArray[np.floating]], exposure: float) -> npt.NDArray[np.floating]:
    """Return the linear light of the composite, (h, W, C) in [0, 1]; light beyond white is cut off.

    exposure: in (0, 1].
    """
    return np.asarray(np.clip(through(sheets) / exposure, 0, 1))


def lay(light: npt.NDArray[np.floating], sheet: npt.NDArray[np.floating]) -> None:
    """Lay one more sheet, linear light in [0, 1], into the `light` that comes through others, in place."""
    light *= sheet


def thinning(sheets: Sequence[float], wanted: float) -> float:
    """Return the factor, 1 or less, for the densities of `sheets` at which their stack is no darker than wanted.

    sheets, wanted: means of the logarithm of encoded transmittance, 0 or less; densities add.
    """
    stacked = math.fsum(sheets)
    return min(1.0, wanted / stacked) if stacked < wanted < 0 else 1.0
