"""Light by the power law for pictures outside an iteration: scores, previews, films, the start of a solve."""

import math
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt


def through(sheets: Iterable[npt.NDArray[np.floating]]) -> npt.NDArray[np.floating]:
    """Return the linear light that passes all `sheets`: the product of arrays (h, W, C), each in [0, 1]."""
    light: npt.NDArray[np.floating] = np.float32(1.0)  # type: ignore[assignment]
    for sheet in sheets:
        light = light * sheet
    return light


def composite(sheets: Iterable[npt.NDArray[np.floating]], exposure: float) -> npt.NDArray[np.floating]:
    """Return the linear light of the composite, (h, W, C) in [0, 1]; brighter light is clipped to white.

    exposure: in (0, 1].
    """
    return np.asarray(np.clip(through(sheets) / exposure, 0, 1))


def expose(light: npt.NDArray[np.floating], exposure: float) -> None:
    """Turn the `light` that passes a stack into that of the composite, as `composite` does, in place."""
    light /= exposure
    np.clip(light, 0, 1, out=light)


def lay(light: npt.NDArray[np.floating], sheet: npt.NDArray[np.floating]) -> None:
    """Add one more sheet, linear light in [0, 1], to the `light` that passes the others, in place."""
    light *= sheet


def thinning(sheets: Sequence[float], wanted: float) -> float:
    """Return the factor of all densities, at most 1, at which the stack of `sheets` is no darker than wanted.

    sheets, wanted: means of the logarithm of encoded transmittance, at most 0. Densities add.
    """
    stacked = math.fsum(sheets)
    return min(1.0, wanted / stacked) if stacked < wanted < 0 else 1.0
