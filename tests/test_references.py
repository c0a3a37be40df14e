"""The float64 references against a naive oracle and against central differences."""

import numpy as np
import pytest

from mlsolve_kernels.blur.reference import blur
from mlsolve_kernels.iteration import reference
from mlsolve_kernels.iteration.objective import one_stack
from mlsolve_kernels.light.power.reference import compose, compose_gradient
from mlsolve_kernels.ssim.reference import ssim_gradient, ssim_map
from mlsolve_kernels.terms.guide_ssim import reference as guide_ssim
from mlsolve_kernels.terms.leak import reference as leak
from mlsolve_kernels.terms.stack_mse import reference as stack_mse
from mlsolve_kernels.terms.stack_ssim import reference as stack_ssim
from oracle import blur as dense_blur
from oracle import loss as naive_loss
from oracle import mean_ssim

SHAPES = [(1, 1), (3, 20), (11, 11), (12, 17)]
STEP = 1e-6


def central_differences(function, at):
    """The gradient of a scalar function of an array, by central differences."""
    gradient = np.zeros(at.shape)
    for index in np.ndindex(at.shape):
        up, down = at.copy(), at.copy()
        up[index] += STEP
        down[index] -= STEP
        gradient[index] = (function(up) - function(down)) / (2 * STEP)
    return gradient


@pytest.mark.parametrize("shape", SHAPES)
def test_blur_is_the_dense_window(rng, shape):
    image = rng.random(shape)
    np.testing.assert_allclose(blur(image), dense_blur(image), atol=1e-14)


@pytest.mark.parametrize("shape", SHAPES)
def test_blur_is_its_own_adjoint(rng, shape):
    x, y = rng.random(shape), rng.random(shape)
    assert (blur(x) * y).sum() == pytest.approx((x * blur(y)).sum(), rel=1e-13)


@pytest.mark.parametrize("shape", SHAPES)
def test_ssim_is_that_of_the_oracle(rng, shape):
    x, y = rng.random(shape), rng.random(shape)
    assert ssim_map(x, y).mean() == pytest.approx(mean_ssim(x, y), abs=1e-12)
    assert ssim_map(x, x) == pytest.approx(np.ones(shape), abs=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_ssim_gradient_against_central_differences(rng, shape):
    x, y = rng.random(shape), rng.random(shape)
    expected = central_differences(lambda z: ssim_map(z, y).sum(), x)
    np.testing.assert_allclose(ssim_gradient(x, y), expected, atol=1e-6 * max(1, np.abs(expected).max()))


def test_squared_error_gradient_against_central_differences(rng):
    x, y = rng.random((2, 5, 7)), rng.random((2, 5, 7))
    expected = central_differences(lambda z: stack_mse.value(z, y), x)
    np.testing.assert_allclose(stack_mse.gradient(x, y), expected, atol=1e-7)


def test_product_gradient_against_central_differences(rng):
    layers, weights = rng.random((3, 1, 4, 5)), rng.random((1, 4, 5))
    layers[1, 0, 2, 2] = 0.0  # a black pixel: p / x would fail here
    expected = central_differences(lambda z: (compose(z, 0.3) * weights).sum(), layers)
    np.testing.assert_allclose(compose_gradient(layers, 0.3, weights), expected, atol=1e-8)


@pytest.mark.parametrize(
    ("count", "planes"), [(1, 1), (2, 1), *(pytest.param(*one, marks=pytest.mark.slow) for one in ((2, 3), (4, 1)))]
)
def test_objective_and_gradient(rng, count, planes):
    shape = (count, planes, 12, 11)
    layers, guides, target = 0.2 + 0.8 * rng.random(shape), rng.random(shape), rng.random(shape[1:])
    objective = one_stack(0.35, 3.0, 10.0, 0.7)

    def loss(x):
        return objective.loss(reference.terms(x, target, guides, objective))

    assert loss(layers) == pytest.approx(naive_loss(layers, target, guides, 0.35, (3.0, 10.0, 0.7)), abs=1e-10)
    size = target.size
    expected = size * central_differences(loss, layers)
    gradient = reference.gradient(layers, target, guides, objective)
    np.testing.assert_allclose(gradient, expected, atol=2e-6 * np.abs(expected).max())


@pytest.mark.parametrize("term", [stack_ssim, stack_mse, guide_ssim, leak])
@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 11, 13), (1, 17, 23)])
def test_gradients_of_terms_against_central_differences(rng, term, shape):
    x, y, counts = rng.random(shape), rng.random(shape), rng.random(shape[1:])
    y = 0.5 * (x + y)  # alike, so that the leak is not 0
    expected = central_differences(lambda z: term.value(z, y, counts), x)
    np.testing.assert_allclose(term.gradient(x, y, counts), expected, atol=1e-6 * max(1, np.abs(expected).max()))
