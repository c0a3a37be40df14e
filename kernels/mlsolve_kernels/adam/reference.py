"""float64 reference of Adam, in the notation of Kingma & Ba 2015, algorithm 1."""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def step(
    x: Array,
    moments: tuple[Array, Array],
    gradient: Array,
    t: int,
    alpha: float,
    bounds: tuple[float, float],
    betas: tuple[float, float],
    epsilon: float = 1e-8,
) -> tuple[Array, tuple[Array, Array]]:
    """Return `x` and the moments after step `t` (from 1) at learning rate `alpha`; x is clamped to `bounds`."""
    beta_1, beta_2 = betas
    m = beta_1 * moments[0] + (1 - beta_1) * gradient
    v = beta_2 * moments[1] + (1 - beta_2) * gradient**2
    m_hat = m / (1 - beta_1**t)
    v_hat = v / (1 - beta_2**t)
    return np.clip(x - alpha * m_hat / (np.sqrt(v_hat) + epsilon), *bounds), (m, v)


def adam(
    x: Array,
    gradients: list[Array],
    rates: list[float],
    bounds: tuple[float, float],
    betas: tuple[float, float],
    epsilon: float = 1e-8,
) -> Array:
    """Return `x` after one step per entry of `gradients` and `rates`."""
    moments = (np.zeros_like(x), np.zeros_like(x))
    for t, (gradient, alpha) in enumerate(zip(gradients, rates, strict=True), start=1):
        x, moments = step(x, moments, gradient, t, alpha, bounds, betas, epsilon)
    return x
