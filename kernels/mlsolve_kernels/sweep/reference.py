"""float64 reference of whole iterations: the gradient of the objective, Adam, projection."""

import numpy as np
import numpy.typing as npt

from ..adam.reference import step
from ..objective.reference import gradient
from ..objective.terms import Objective

Images = npt.NDArray[np.float64]


def iterate(
    layers: Images,
    target: Images,
    guides: Images,
    objective: Objective,
    rates: list[float],
    bounds: tuple[float, float],
    betas: tuple[float, float],
) -> Images:
    """Return `layers` (N, C, H, W) after one step per entry of `rates`, from moments of zero."""
    moments = (np.zeros_like(layers), np.zeros_like(layers))
    for t, rate in enumerate(rates, start=1):
        slope = gradient(layers, target, guides, objective)
        layers, moments = step(layers, moments, slope, t, rate, bounds, betas)
    return layers
