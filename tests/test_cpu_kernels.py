"""The CPU kernels against their float64 references, at awkward shapes and values."""

import numpy as np
import pytest

from mlsolve_kernels import layout
from mlsolve_kernels.adam.cpu import adam_row
from mlsolve_kernels.adam.reference import adam
from mlsolve_kernels.adam.step import Rates, adam_step
from mlsolve_kernels.blur.cpu import MARGIN, PERIOD, blur_along, find_rows, sums_down, wrap_margins
from mlsolve_kernels.blur.reference import blur
from mlsolve_kernels.compiled import kernel
from mlsolve_kernels.exact import SSIM_BITS
from mlsolve_kernels.iteration import reference
from mlsolve_kernels.iteration.objective import one_stack
from mlsolve_kernels.iteration.reference import iterate
from mlsolve_kernels.iteration.stepwise import StepwiseWorkspace
from mlsolve_kernels.iteration.sweep import CpuWorkspace
from mlsolve_kernels.lanes import LANES, ahead, row, store
from mlsolve_kernels.layout import BLOCK, from_strips, masks_of, strips_for, to_strips
from mlsolve_kernels.light.cpu import Planes, chain_row, compose_row
from mlsolve_kernels.light.power.light import Power
from mlsolve_kernels.light.power.reference import compose, compose_gradient
from mlsolve_kernels.ssim.cpu import constant, ssim_sums
from mlsolve_kernels.ssim.partials import ssim_partials
from mlsolve_kernels.ssim.reference import ssim_map, statistics
from mlsolve_kernels.terms.stack_mse import reference as stack_mse
from mlsolve_kernels.terms.stack_mse.cpu import blend_row, squared_error_row
from mlsolve_kernels.threads import Team
from mlsolve_kernels.window import SIZE

OBJECTIVE = one_stack(0.1 ** (1 / 2.2), 3.0, 10.0, 1.0)
BOUNDS = (0.073, 1.0)
BETAS = (0.9, 0.99)

# Smaller than the window, just as large, one more; non-square; one column more than a strip, and three
# strips, with the strips narrowed to 108 columns; fewer rows than a worker's border reaches.
SHAPES = [(1, 1), (1, 40), (40, 1), (10, 9), (11, 11), (12, 38), (37, 29), (13, 109), (30, 250)]


@pytest.fixture
def narrow_strips(monkeypatch):
    monkeypatch.setattr(layout, "WIDEST", 8)


@pytest.fixture
def team():
    team = Team(3)
    yield team
    team.close()


def relative_error(found, expected):
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


def first_moment(work):
    """The first moments of all layers, (N, C, H, W)."""
    found = np.empty(work.shape, dtype=np.float32)
    for k, plane in np.ndindex(found.shape[:2]):
        work.take_moment(0, k, plane, found[k, plane])
    return found


def workspace(target, guides, team, objective=OBJECTIVE, path=CpuWorkspace):
    return path(target, guides, objective, BOUNDS, BETAS, team)


@kernel
def _blur_down(ring, places, first, out):
    """Blur a block of rows down a ring."""
    find_rows(first, ring.shape[1], row(places, (0,)))
    for at in range(0, ring.shape[1], LANES):
        sums = sums_down(row(ring, (0,)), row(places, (0,)), at)
        for r in range(BLOCK):
            store(row(out, (r,)), at, sums[r])


@pytest.mark.parametrize("first", [0, 3, 14])
def test_blur_down(rng, first):
    """Wherever in the ring the first row lies."""
    image = rng.random((first + PERIOD, 32), dtype=np.float32)
    ring = np.empty((PERIOD, 32), dtype=np.float32)
    for index, values in enumerate(image):
        ring[index % PERIOD] = values
    out = np.empty((BLOCK, 32), dtype=np.float32)
    _blur_down(ring, np.zeros((1, PERIOD), dtype=np.int64), first, out)
    middle = first + SIZE // 2
    # The windows of these rows hold nothing but rows of the ring, so no border rule enters.
    taps = [np.exp(-(d * d) / 4.5) for d in range(-5, 6)]
    weights = np.array(taps) / sum(taps)
    for r in range(BLOCK):
        rows = image[middle + r - 5 : middle + r + 6].astype(np.float64)
        np.testing.assert_allclose(out[r], weights @ rows, atol=3e-7)


@kernel
def _blur_along(line, out, length):
    inner = ahead(row(line, (0,)), MARGIN)
    wrap_margins(inner, length)
    blur_along(inner, length, row(out, (0,)))


@pytest.mark.parametrize("width", [90, 108, 300, 600])
def test_blur_along(rng, width):
    """A row of a strip, laid out as the kernels have it; halos lie outside the image and stay out of the result."""
    image = rng.random((1, 1, width), dtype=np.float32)
    strips = strips_for(1, width)
    line = to_strips(image, strips)[0, 0]
    length = line.shape[1]
    padded = np.full((1, length + 2 * MARGIN), np.inf, dtype=np.float32)
    padded[0, MARGIN:-MARGIN] = line
    out = np.empty((1, 1, 1, length), dtype=np.float32)
    _blur_along(padded, out.reshape(1, length), length)
    # blur() goes down as well: a single row keeps the middle tap of that.
    middle = blur(np.ones((1, 50)))[0, 25]
    np.testing.assert_allclose(from_strips(out, strips)[0] * middle, blur(image[0]), atol=3e-7)


def test_a_ring_holds_the_window_of_a_block():
    assert PERIOD >= SIZE - 1 + BLOCK


@pytest.mark.usefixtures("narrow_strips")
@pytest.mark.parametrize("shape", SHAPES)
def test_constants(rng, team, shape):
    image = rng.random((2, *shape)).astype(np.float32)
    strips = strips_for(*shape)
    found, expected = constant(image, strips, team), statistics(image, image)
    np.testing.assert_allclose(from_strips(found.mean, strips), expected.mean_x, atol=3e-7)
    np.testing.assert_allclose(from_strips(found.variance, strips), expected.variance_x, atol=3e-7)


@pytest.mark.usefixtures("narrow_strips")
@pytest.mark.parametrize("shape", SHAPES)
def test_ssim_sums(rng, team, shape):
    x, y = rng.random((2, *shape)).astype(np.float32), rng.random((2, *shape)).astype(np.float32)
    expected = ssim_map(x, y).mean(axis=(1, 2))
    means = np.array(ssim_sums(x, y, team)) / (x[0].size * 2.0**SSIM_BITS)
    np.testing.assert_allclose(means, expected, atol=1e-6 + 2.0**-19)


def test_ssim_partials_are_the_formula(rng):
    for _ in range(50):
        mx, my, vx, vy = rng.random(4)
        c = rng.uniform(-1, 1) * np.sqrt(vx * vy)

        def value(mx, vx, c, my=my, vy=vy):
            luminance = (2 * mx * my + 0.0001) / (mx * mx + my * my + 0.0001)
            return luminance * (2 * c + 0.0009) / (vx + vy + 0.0009)

        step = 1e-6
        by_mean = (value(mx + step, vx, c) - value(mx - step, vx, c)) / (2 * step)
        by_variance = (value(mx, vx + step, c) - value(mx, vx - step, c)) / (2 * step)
        by_covariance = (value(mx, vx, c + step) - value(mx, vx, c - step)) / (2 * step)
        found = ssim_partials(mx, vx + mx * mx, c + mx * my, my, vy, 1.0)
        q = by_mean - 2 * mx * by_variance - my * by_covariance
        expected = (value(mx, vx, c), q, by_variance, by_covariance)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
        assert ssim_partials(mx, vx + mx * mx, c + mx * my, my, vy, 0.0) == (0, 0, 0, 0)


@kernel
def _compose_and_chain(light, layers, by_composite, gradient, k, composite, out):
    """One row of N layers: their composite, and the gradient by layer `k`."""
    count, length = layers.shape
    first = row(layers, (0,))
    compose_row(light, first, length, count, Planes(0, 1, 0), row(composite, (0,)), length)
    by_row, here = row(by_composite, (0,)), row(gradient, (0,))
    chain_row(light, by_row, first, length, count, k, np.float32(0.7), here, row(out, (0,)), length)


@pytest.mark.parametrize("count", [1, 2, 3, 9])
def test_light_and_its_chain_rule(rng, count):
    layers = rng.uniform(0.3, 1, (count, 48)).astype(np.float32)
    by_composite, gradient = rng.normal(size=(2, 1, 48)).astype(np.float32)
    composite, out = np.empty((2, 1, 48), dtype=np.float32)
    images = layers.reshape(count, 1, 1, 48)
    for k in range(count):
        _compose_and_chain(Power(np.float32(1 / 0.35)), layers, by_composite, gradient, k, composite, out)
        np.testing.assert_allclose(composite[0], compose(images, 0.35).ravel(), rtol=1e-6)
        through = compose_gradient(images, 0.35, by_composite[None].astype(np.float64))[k].ravel()
        np.testing.assert_allclose(out[0], through - 0.7 * gradient[0], rtol=1e-5, atol=1e-6)


@kernel
def _squared_error(x, y, own, gradient, out):
    length = x.shape[1]
    x_row, y_row = row(x, (0,)), row(y, (0,))
    blend_row(np.float32(3), np.float32(10), x_row, y_row, row(gradient, (0,)), row(out, (0,)), length)
    return squared_error_row(x_row, y_row, row(own, (0,)), length)


def test_squared_error_rows(rng):
    x, y, gradient = rng.random((3, 1, 48)).astype(np.float32)
    own = (np.arange(48) % 7 > 1).astype(np.float32)[None]
    out = np.empty_like(x)
    found = _squared_error(x, y, own, gradient, out)
    assert found == pytest.approx(stack_mse.value((x * own)[None], (y * own)[None]), rel=1e-6)
    expected = 10 * stack_mse.gradient(x[None], y[None])[0] - 3 * gradient
    np.testing.assert_allclose(out, expected, atol=1e-5)


@pytest.mark.usefixtures("narrow_strips")
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("count", "planes"), [(1, 1), (3, 3), (9, 1)])
def test_terms_and_gradient(rng, team, shape, count, planes):
    """Step by step; and the sweep, whose first moments hold the gradient after one step at rate 0."""
    whole = (count, planes, *shape)
    guides, target, start = rng.random(whole), rng.random(whole[1:]), rng.uniform(0.3, 1.0, whole)
    steps, sweep = (workspace(target, guides, team, path=path) for path in (StepwiseWorkspace, CpuWorkspace))
    steps.start(start)
    sweep.start(start)
    layers = sweep.layers.astype(np.float64)
    expected = reference.terms(layers, target, guides, OBJECTIVE)
    for terms in (steps.evaluate(), sweep.iterate(0.0)):
        assert terms["stack_ssim"] == pytest.approx(expected["stack_ssim"], abs=2e-6)
        assert terms["stack_mse"] == pytest.approx(expected["stack_mse"], rel=1e-5)
        assert terms["guide_ssim"] == pytest.approx(expected["guide_ssim"], abs=2e-6)
    gradient = reference.gradient(layers, target, guides, OBJECTIVE)
    np.testing.assert_array_equal(sweep.layers, layers)
    assert relative_error(steps.gradient, gradient) < 1e-5
    assert relative_error(first_moment(sweep) / (1 - BETAS[0]), gradient) < 1e-5


@pytest.mark.usefixtures("narrow_strips")
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("count", "planes"), [(1, 3), (3, 1), (16, 1)])
def test_the_sweep_is_the_steps(rng, team, shape, count, planes):
    """To the byte, layers and terms, over iterations in which halos and borders change."""
    whole = (count, planes, *shape)
    guides, target, start = rng.random(whole), rng.random(whole[1:]), rng.uniform(0.3, 1.0, whole)
    found = []
    for path in (StepwiseWorkspace, CpuWorkspace):
        work = workspace(target, guides, team, path=path)
        work.start(start)
        terms = [work.iterate(0.03) for _ in range(4)]
        found.append((work.layers.tobytes(), terms))
    assert found[0] == found[1]


@pytest.mark.usefixtures("narrow_strips")
def test_the_sweep_against_its_reference(rng, team):
    guides, target, start = (
        rng.random((3, 2, 25, 130)),
        rng.random((2, 25, 130)),
        rng.uniform(0.3, 1, (3, 2, 25, 130)),
    )
    rates = [0.03, 0.02, 0.05]
    found = workspace(target, guides, team)
    found.start(start)
    for rate in rates:
        found.iterate(rate)
    expected = iterate(start, target, guides, OBJECTIVE, rates, BOUNDS, BETAS)
    # Adam turns the sign of a gradient into a step, so a pixel whose gradient is all but zero may go either way.
    assert np.median(np.abs(found.layers - expected)) < 1e-6
    assert np.quantile(np.abs(found.layers - expected), 0.999) < 1e-4


@pytest.mark.parametrize("path", [StepwiseWorkspace, CpuWorkspace])
@pytest.mark.parametrize("level", [0.08, 0.5, 0.93, 1.0])
def test_gradient_of_flat_images(team, level, path):
    """Variances are differences of nearly equal numbers here: the worst case for float32."""
    guides, target = np.full((3, 1, 40, 50), level), np.full((1, 40, 50), level)
    found = workspace(target, guides, team, path=path)
    found.start(np.full_like(guides, level))
    found.iterate(0.0)
    expected = reference.gradient(found.layers.astype(np.float64), target, guides, OBJECTIVE)
    assert relative_error(first_moment(found) / (1 - BETAS[0]), expected) < 1e-4


@pytest.mark.usefixtures("narrow_strips")
@pytest.mark.parametrize("path", [StepwiseWorkspace, CpuWorkspace])
def test_nothing_comes_back_from_beyond_the_border(rng, team, path):
    """What is stored beyond the image stays zero through iterations, or the border rule would wear off."""
    found = workspace(rng.random((1, 20, 123)), rng.random((2, 1, 20, 123)), team, path=path)
    found.start(rng.random((2, 1, 20, 123)))
    for _ in range(3):
        found.iterate(0.03)
    # How images are stored is private, and what lies beyond them nobody is given; here it is the point.
    outside = masks_of(found._strips).inside == 0
    assert outside.any()
    assert not (found._layers * outside[:, np.newaxis]).any()


@kernel
def _adam(x, first, second, gradient, own, rates):
    here = row(gradient, (0,))
    adam_row(row(x, (0,)), row(first, (0,)), row(second, (0,)), here, row(own, (0,)), rates, x.shape[1])


def test_adam_against_the_paper(rng):
    start = rng.uniform(BOUNDS[0], 1, (1, 64))
    gradients = [rng.normal(0, 5, start.shape) for _ in range(6)]
    rates = [0.05 / t for t in range(1, 7)]
    expected = adam(start, gradients, rates, BOUNDS, BETAS)
    own = (np.arange(64) % 5 > 0).astype(np.float32)[None]
    x, first, second = start.astype(np.float32), *np.zeros((2, 1, 64), dtype=np.float32)
    for t, (gradient, rate) in enumerate(zip(gradients, rates, strict=True), start=1):
        _adam(x, first, second, gradient.astype(np.float32), own, Rates.at(t, rate, BOUNDS, BETAS))
    np.testing.assert_allclose(x[own == 1], expected[own == 1], atol=2e-6)
    assert not x[own == 0].any()
    assert np.isclose(x, BOUNDS[0]).any()
    assert np.isclose(x, BOUNDS[1]).any()


def test_what_is_not_own_becomes_zero_even_if_it_is_no_number():
    x, first, second, own = np.full((4, 1, 16), 0.5, dtype=np.float32)
    gradient = np.full((1, 16), np.nan, dtype=np.float32)
    own[0, :8] = 0
    _adam(x, first, second, gradient, own, Rates.at(1, 0.03, BOUNDS, BETAS))
    assert not x[0, :8].any()
    assert np.isnan(x[0, 8:]).all()


def test_epsilon_counts_where_gradients_vanish():
    rates = Rates.at(1, 0.03, BOUNDS, BETAS)
    moved, _, _ = adam_step(np.float32(0.5), np.float32(0), np.float32(0), np.float32(1e-8), rates)
    # m̂ = g and √v̂ = g: the step is rate · g / (g + epsilon), half the rate at g = epsilon.
    assert float(moved) == pytest.approx(0.5 - 0.015, abs=1e-4)


@pytest.mark.parametrize("path", [StepwiseWorkspace, CpuWorkspace])
def test_nan_stays_visible(rng, team, path):
    guides = rng.random((2, 1, 24, 24))
    found = workspace(np.full((1, 24, 24), np.nan), guides, team, path=path)
    found.start(guides)
    terms = found.iterate(0.03)
    assert np.isnan(found.layers).any()
    assert np.isnan(terms["stack_ssim"][0])


@pytest.mark.parametrize("path", [StepwiseWorkspace, CpuWorkspace])
@pytest.mark.parametrize("widest", [8, 12, 44])
@pytest.mark.parametrize("workers", [1, 2, 4, 7])
def test_bytes_do_not_depend_on_threads_or_strips(rng, monkeypatch, workers, widest, path):
    """Strict arithmetic: how rows and columns are shared out leaves no trace in a single bit."""
    guides, target = rng.random((3, 3, 41, 230)), rng.random((3, 41, 230))

    def layers(workers, widest):
        monkeypatch.setattr(layout, "WIDEST", widest)
        team = Team(workers)
        found = workspace(target, guides, team, path=path)
        found.start(guides)
        terms = [found.iterate(0.03) for _ in range(4)]
        team.close()
        return found.layers.tobytes(), terms

    one, many = layers(1, widest), layers(workers, widest)
    assert many == one
    assert many[0] == layers(1, 44)[0]


def test_more_workers_than_rows(rng):
    """Shares of no row at all, and borders that several of them share."""
    guides, target = rng.random((2, 1, 5, 30)), rng.random((1, 5, 30))
    found = []
    for workers in (1, 9):
        team = Team(workers)
        work = workspace(target, guides, team)
        work.start(guides)
        terms = [work.iterate(0.03) for _ in range(3)]
        team.close()
        found.append((work.layers.tobytes(), terms))
    assert found[0] == found[1]
