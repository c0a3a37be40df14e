"""Least squares within bounds: Levenberg's and Marquardt's steps, projected."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from .samples import Array

_STEP: Final = 1e-6
"""Of a difference quotient."""
_SETTLED: Final = 1e-7
"""Share of the sum of squares by which a step must lessen it to be worth another."""


@dataclass(frozen=True)
class Minimum:
    """Where a search ended."""

    vector: Array
    residuals: Array
    jacobian: Array
    """(m, parameters), 0 by parameters that are held at a bound."""


def minimise(
    residuals: Callable[[Array], Array], start: Array, low: Array, high: Array, iterations: int = 60
) -> Minimum:
    """Return where the sum of squared `residuals` is least, near `start`, within [low, high].

    residuals: vector (p,) → (m,). A parameter at a bound that a step would cross is held there. Every step lessens
    the sum, so it never diverges. Marquardt, J. SIAM 11 (1963); projection as in Kanzow, Yamashita, Fukushima,
    J. Comput. Appl. Math. 172 (2004).
    """
    vector = np.clip(start, low, high)
    found = residuals(vector)
    damping = 1e-3
    for _ in range(iterations):
        jacobian = differences(residuals, vector, found, low, high)
        slope = jacobian.T @ found
        free = ~((vector <= low) & (slope > 0) | (vector >= high) & (slope < 0))
        before = found @ found
        normal = jacobian[:, free].T @ jacobian[:, free]
        size = np.diag(normal) + 1e-12 * (1 + np.trace(normal))
        for _ in range(12):
            step = np.zeros_like(vector)
            step[free] = -np.linalg.solve(normal + damping * np.diag(size), slope[free])
            tried = np.clip(vector + step, low, high)
            residual = residuals(tried)
            if residual @ residual < before:
                break
            damping *= 4
        else:
            break
        vector, found = tried, residual
        damping = max(damping / 8, 1e-9)
        if before - found @ found < _SETTLED * before:
            break
    jacobian = differences(residuals, vector, found, low, high)
    slope = jacobian.T @ found
    held = (vector <= low) & (slope > 0) | (vector >= high) & (slope < 0)
    return Minimum(vector, found, np.where(held, 0, jacobian))


def differences(residuals: Callable[[Array], Array], vector: Array, found: Array, low: Array, high: Array) -> Array:
    """Return the derivatives of `residuals`, (m, p), by difference quotients that stay within the bounds."""
    jacobian = np.empty((len(found), len(vector)))
    for at in range(len(vector)):
        moved = vector.copy()
        moved[at] += _STEP if vector[at] + _STEP <= high[at] else -_STEP
        jacobian[:, at] = (residuals(moved) - found) / (moved[at] - vector[at])
    return jacobian
