"""float64 reference of Adam, in the words of Kingma & Ba 2015, algorithm 1."""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def adam(
    x: Array,
    gradients: list[Array],
    rates: list[float],
    bounds: tuple[float, float],
    betas: tuple[float, float],
    epsilon: float = 1e-8,
) -> Array:
    """Return `x` after one step per entry of `gradients` and `rates`, each clamped to `bounds`."""
    beta_1, beta_2 = betas
    m, v = np.zeros_like(x), np.zeros_like(x)
    for t, (g, alpha) in enumerate(zip(gradients, rates, strict=True), start=1):
        m = beta_1 * m + (1 - beta_1) * g
        v = beta_2 * v + (1 - beta_2) * g**2
        m_hat = m / (1 - beta_1**t)
        v_hat = v / (1 - beta_2**t)
        x = np.clip(x - alpha * m_hat / (np.sqrt(v_hat) + epsilon), *bounds)
    return x
