"""The CPU kernels against their float64 references, at awkward shapes and values."""

import numpy as np
import pytest

from mlsolve_kernels import layout
from mlsolve_kernels.adam.cpu import adam_rows
from mlsolve_kernels.adam.reference import adam
from mlsolve_kernels.adam.step import Rates, adam_step
from mlsolve_kernels.blur.cpu import BLOCK, PERIOD, RING_ROWS, blur_along, blur_down, skip_row
from mlsolve_kernels.blur.reference import blur
from mlsolve_kernels.layout import bordered, interior, with_border
from mlsolve_kernels.mse.cpu import blend_gradient_row, squared_error_row
from mlsolve_kernels.objective import reference
from mlsolve_kernels.objective.cpu import CpuWorkspace
from mlsolve_kernels.objective.terms import Objective
from mlsolve_kernels.product.cpu import product_rows
from mlsolve_kernels.product.reference import product
from mlsolve_kernels.ssim.cpu import constant, ssim_means, sum_row
from mlsolve_kernels.ssim.partials import ssim_partials
from mlsolve_kernels.ssim.reference import ssim_map, statistics
from mlsolve_kernels.threads import Team
from mlsolve_kernels.window import RADIUS, SIZE

OBJECTIVE = Objective(0.1 ** (1 / 2.2), 3.0, 10.0, 1.0)
BOUNDS = (0.073, 1.0)
BETAS = (0.9, 0.99)

# Smaller than the window, just as large, one more; non-square; one column more than a strip, with the
# strips narrowed to 37 columns so that small images cross their edges.
SHAPES = [(1, 1), (1, 40), (40, 1), (10, 9), (11, 11), (12, 38), (37, 29), (30, 75)]


@pytest.fixture
def narrow_strips(monkeypatch):
    monkeypatch.setattr(layout, "STRIP", 37)


@pytest.fixture
def team():
    team = Team(3)
    yield team
    team.close()


def relative_error(found, expected):
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


def workspace(target, guides, team, objective=OBJECTIVE):
    return CpuWorkspace(target, guides, objective, BOUNDS, BETAS, team)


@pytest.mark.parametrize("width", [1, 7, 16, 33])
@pytest.mark.parametrize("first", [0, 3])
def test_blur_rows(rng, width, first):
    """Rows go in one by one and come out in blocks, wherever the first block begins."""
    image = rng.random((26, width)).astype(np.float32)
    expected, ring = blur(image), np.full((RING_ROWS, width), np.nan, dtype=np.float32)
    out = np.full((BLOCK, width), np.nan, dtype=np.float32)
    padded = np.pad(image, ((0, 0), (RADIUS, RADIUS)))
    for index in range(first - RADIUS, len(image) + RADIUS):
        if 0 <= index < len(image):
            blur_along(padded[index], ring, index)
        else:
            skip_row(ring, index)
        ready = index - RADIUS - BLOCK + 1
        if ready >= first and (ready - first) % BLOCK == 0:
            blur_down(ring, ready, width, out)
            np.testing.assert_allclose(out, expected[ready : ready + BLOCK], atol=3e-7)


def test_a_ring_holds_a_block():
    assert PERIOD >= SIZE - 1 + BLOCK


@pytest.mark.usefixtures("narrow_strips")
@pytest.mark.parametrize("shape", SHAPES)
def test_constants(rng, team, shape):
    image = rng.random((2, *shape)).astype(np.float32)
    found, expected = constant(image, team), statistics(image, image)
    np.testing.assert_allclose(interior(found.mean), expected.mean_x, atol=3e-7)
    np.testing.assert_allclose(interior(found.variance), expected.variance_x, atol=3e-7)


@pytest.mark.usefixtures("narrow_strips")
@pytest.mark.parametrize("shape", SHAPES)
def test_ssim_means(rng, team, shape):
    x, y = rng.random((2, *shape)).astype(np.float32), rng.random((2, *shape)).astype(np.float32)
    expected = ssim_map(x, y).mean(axis=(1, 2))
    np.testing.assert_allclose(ssim_means(x, y, team), expected, atol=1e-6)


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
        found = ssim_partials(mx, vx + mx * mx, c + mx * my, my, vy)
        q = by_mean - 2 * mx * by_variance - my * by_covariance
        expected = (value(mx, vx, c), q, by_variance, by_covariance)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("count", [1, 2, 3, 9])
def test_product(rng, team, count):
    layers = rng.random((count, 3, 7, 19)).astype(np.float32)
    out = bordered(layers.shape[1:])
    team.run(product_rows, with_border(layers), np.float32(1 / 0.35), out)
    np.testing.assert_allclose(interior(out), product(layers, 0.35), rtol=1e-6)
    assert not out[..., : layout.MARGIN].any()
    assert not out[..., -layout.MARGIN :].any()


def test_squared_error_rows(rng):
    x, y, gradient = rng.random((3, 33)).astype(np.float32)
    out, blended = np.empty_like(x), gradient.copy()
    squared_error_row(x, y, out)
    np.testing.assert_allclose(out, (x.astype(float) - y) ** 2, atol=1e-7)
    blend_gradient_row(np.float32(3), np.float32(10), x, y, blended)
    np.testing.assert_allclose(blended, 20 * (x.astype(float) - y) - 3 * gradient, atol=1e-5)


@pytest.mark.parametrize("length", [1, 2, 3, 16, 301])
def test_sum_row(rng, length):
    row = rng.random(length).astype(np.float32)
    assert sum_row(row.copy()) == pytest.approx(row.sum(dtype=np.float64), rel=1e-6)


@pytest.mark.usefixtures("narrow_strips")
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("count", "planes"), [(1, 1), (3, 3), (9, 1)])
def test_terms_and_gradient(rng, team, shape, count, planes):
    whole = (count, planes, *shape)
    guides, target = rng.random(whole), rng.random(whole[1:])
    found = workspace(target, guides, team)
    found.start(rng.uniform(0.3, 1.0, whole))
    terms = found.evaluate()
    layers = found.layers.astype(np.float64)
    expected = reference.terms(layers, target, guides, OBJECTIVE)
    assert terms.target_ssim == pytest.approx(expected.target_ssim, abs=2e-6)
    assert terms.target_mse == pytest.approx(expected.target_mse, rel=1e-5)
    assert terms.guide_ssim == pytest.approx(expected.guide_ssim, abs=2e-6)
    gradient = reference.gradient(layers, target, guides, OBJECTIVE)
    assert relative_error(found.gradient, gradient) < 1e-5


@pytest.mark.parametrize("level", [0.08, 0.5, 0.93, 1.0])
def test_gradient_of_flat_images(team, level):
    """Variances are differences of nearly equal numbers here: the worst case for float32."""
    guides, target = np.full((3, 1, 40, 50), level), np.full((1, 40, 50), level)
    found = workspace(target, guides, team)
    found.start(np.full_like(guides, level))
    found.evaluate()
    expected = reference.gradient(found.layers.astype(np.float64), target, guides, OBJECTIVE)
    assert relative_error(found.gradient, expected) < 1e-4


def test_nothing_comes_back_from_beyond_the_border(rng, team):
    """The margins stay zero through iterations, or the border rule would wear off."""
    found = workspace(rng.random((1, 20, 23)), rng.random((2, 1, 20, 23)), team)
    found.start(rng.random((2, 1, 20, 23)))
    for _ in range(3):
        found.iterate(0.03)
    for stored in (found._layers, found._seen):
        assert not stored[..., : layout.MARGIN].any()
        assert not stored[..., -layout.MARGIN :].any()


def test_adam_against_the_paper(rng):
    start = rng.uniform(BOUNDS[0], 1, (2, 1, 5, 21))
    gradients = [rng.normal(0, 5, start.shape) for _ in range(6)]
    rates = [0.05 / t for t in range(1, 7)]
    expected = adam(start, gradients, rates, BOUNDS, BETAS)
    layers, first, second = with_border(start), bordered(start.shape), bordered(start.shape)
    team = Team(2)
    for t, (gradient, rate) in enumerate(zip(gradients, rates, strict=True), start=1):
        team.run(adam_rows, layers, first, second, with_border(gradient), Rates.at(t, rate, BOUNDS, BETAS))
    team.close()
    np.testing.assert_allclose(interior(layers), expected, atol=2e-6)
    assert np.isclose(interior(layers), BOUNDS[0]).any()
    assert np.isclose(interior(layers), BOUNDS[1]).any()


def test_epsilon_counts_where_gradients_vanish():
    rates = Rates.at(1, 0.03, BOUNDS, BETAS)
    moved, _, _ = adam_step(np.float32(0.5), np.float32(0), np.float32(0), np.float32(1e-8), rates)
    # m̂ = g and √v̂ = g: the step is rate · g / (g + epsilon), half the rate at g = epsilon.
    assert float(moved) == pytest.approx(0.5 - 0.015, abs=1e-4)


def test_nan_stays_visible(rng, team):
    guides = rng.random((2, 1, 24, 24))
    found = workspace(np.full((1, 24, 24), np.nan), guides, team)
    found.start(guides)
    found.iterate(0.03)
    assert np.isnan(found.layers).any()


@pytest.mark.parametrize("strip", [16, 37, 512])
@pytest.mark.parametrize("workers", [1, 2, 4, 7])
def test_bytes_do_not_depend_on_threads_or_strips(rng, monkeypatch, workers, strip):
    """Strict arithmetic: how rows and columns are shared out leaves no trace in a single bit."""
    guides, target = rng.random((3, 3, 41, 75)), rng.random((3, 41, 75))

    def layers(workers, strip):
        monkeypatch.setattr(layout, "STRIP", strip)
        team = Team(workers)
        found = workspace(target, guides, team)
        found.start(guides)
        terms = [found.iterate(0.03) for _ in range(4)]
        team.close()
        return found.layers.tobytes(), terms

    one, many = layers(1, strip), layers(workers, strip)
    assert many == one
    assert many[0] == layers(1, 512)[0]
