"""The study of loss against iterations: its Newton step is the one its docstring describes."""

import numpy as np
import pytest

from mlsolve_kernels.iteration.objective import one_stack
from mlsolve_records.convergence_solve import Recipe
from mlsolve_records.convergence_steps import BlockNewton, Level


def a_level(rng, layers=3):
    objective = one_stack(0.5, 3.0, 10.0, 1.0)
    target = rng.random((1, 12, 13), dtype=np.float32)
    guides = rng.uniform(0.2, 0.9, (layers, 1, 12, 13)).astype(np.float32)
    return Level(target, guides, objective, (0.1, 1.0))


def test_the_direction_solves_the_system_of_every_pixel(rng):
    level = a_level(rng)
    newton = BlockNewton(level, damping=0.2)
    x, gradient = level.guides, rng.normal(size=level.guides.shape).astype(np.float32)
    direction = newton.direction(x, gradient, np.ones(x.shape, dtype=bool))
    for row, column in ((0, 0), (5, 7), (11, 12)):
        values = x[:, 0, row, column].astype(float)
        by_layer = np.array([np.prod(np.delete(values, k)) for k in range(3)]) / 0.5
        h = newton.of_target[0, row, column]
        matrix = np.diag(newton.of_guides[:, 0, row, column] + 0.2 * h * by_layer**2)
        matrix += h * np.outer(by_layer, by_layer)
        expected = np.linalg.solve(matrix, gradient[:, 0, row, column])
        np.testing.assert_allclose(direction[:, 0, row, column], expected, rtol=1e-3, atol=1e-6)


def test_a_value_held_by_its_bound_stays_and_the_others_do_not_reckon_with_it(rng):
    level = a_level(rng)
    x, gradient = level.guides.copy(), np.ones_like(level.guides)
    x[0] = level.bounds[0]
    moved = BlockNewton(level).step(x, gradient, 1.0)
    assert (moved[0] == np.float32(level.bounds[0])).all()
    free = np.ones(x.shape, dtype=bool)
    free[0] = False
    alone = BlockNewton(level).direction(x, gradient, free)
    together = BlockNewton(level).direction(x, gradient, ~np.zeros(x.shape, dtype=bool))
    assert (np.abs(alone[1:] - together[1:]) > 0).any()
    np.testing.assert_allclose(moved[1:], level.clip(x[1:] - np.float32(1.9) * alone[1:]), atol=1e-5)


@pytest.mark.parametrize("shape", ["cosine", "root", "line", "hold", "exponential"])
def test_rates_fall_from_the_peak(shape):
    recipe = Recipe("r", iterations=50, shape=shape, peak=0.1, warm_up=1)
    rates = [recipe.rate(iteration, True) for iteration in range(1, 51)]
    assert rates[0] == pytest.approx(0.1)
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < 0.02
