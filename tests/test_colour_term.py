"""The colour term: chroma of a layer against that of its guide, on the CPU, in tiles, through placements."""

import numpy as np
import pytest

from mlsolve_kernels import layout
from mlsolve_kernels.iteration import reference as whole_reference
from mlsolve_kernels.iteration.objective import Shape
from mlsolve_kernels.iteration.reference import Arranged
from mlsolve_kernels.iteration.stepwise import StepwiseWorkspace
from mlsolve_kernels.iteration.stepwise_size import stepwise_bytes
from mlsolve_kernels.iteration.sweep import can_run
from mlsolve_kernels.placement.frames import WHOLE, Frame, disc
from mlsolve_kernels.placement.move import move_of
from mlsolve_kernels.region import Region
from mlsolve_kernels.terms.colour import cpu, reference
from mlsolve_kernels.terms.colour.term import TERM
from mlsolve_kernels.threads import Team
from mlsolve_kernels.window import REACH
from objectives import composite_placed, objective_of
from planted_faults import Fault, each, module_with
from test_references import central_differences

BOUNDS, BETAS = (0.073, 1.0), (0.8, 0.95)
SHAPES = [(1, 1), (11, 13), (17, 23)]


def objective(weight=3.0, **settings):
    return objective_of([composite_placed(0.4, 3.0, 10.0)], 0.7, colour=weight, **settings)


def pictures(rng, layers, planes, height, width):
    images = rng.random((2 * layers + 1, planes, height, width), dtype=np.float32)
    return images[0], images[1 : 1 + layers], 0.1 + 0.9 * images[1 + layers :]


@pytest.fixture
def team():
    found = Team(2)
    yield found
    found.close()


@pytest.mark.parametrize("shape", SHAPES)
def test_gradient_against_central_differences(rng, shape):
    layer, guide, counts = rng.random((3, *shape)), rng.random((3, *shape)), rng.random(shape)
    expected = central_differences(lambda x: reference.value(x, guide, counts), layer)
    np.testing.assert_allclose(reference.gradient(layer, guide, counts), expected, atol=1e-6)


def test_a_grey_shift_costs_nothing_and_a_grey_picture_has_no_chroma(rng):
    layer, guide, counts = rng.random((3, 11, 13)), rng.random((1, 11, 13)), np.ones((11, 13))
    assert reference.value(layer, layer + 0.25, counts) == pytest.approx(0, abs=1e-20)
    assert reference.value(guide, 1 - guide, counts) == 0
    assert reference.value(layer, np.zeros(layer.shape), counts) > 1
    naive = sum(
        ((layer[c] - sum(layer) / 3 - (guide[0] - guide[0])) ** 2).sum()
        for c in range(3)  # the oracle's writing
    )
    assert reference.value(layer, np.repeat(guide, 3, axis=0), counts) == pytest.approx(3 * naive)


@pytest.mark.parametrize("shape", [(1, 1), (11, 13), (17, 23), (9, 300)])
@pytest.mark.parametrize("planes", [1, 3])
def test_terms_and_gradient(rng, team, monkeypatch, shape, planes):
    monkeypatch.setattr(layout, "WIDEST", 8)
    target, guides, layers = pictures(rng, 2, planes, *shape)
    work = StepwiseWorkspace(target, guides, objective(), BOUNDS, BETAS, team)
    work.start(layers)
    found, expected = work.evaluate(), whole_reference.terms(layers, target, guides, objective())
    assert found["colour"] == pytest.approx(expected["colour"], abs=6e-6)
    assert (planes == 1) == (found["colour"] == (0.0, 0.0))
    right = whole_reference.gradient(layers, target, guides, objective())
    assert np.linalg.norm(work.gradient - right) < 1e-5 * np.linalg.norm(right)
    without = whole_reference.gradient(layers, target, guides, objective(0.0))
    assert (planes == 1) == np.allclose(right, without)


def test_without_weight_it_has_no_column_and_the_sweep_runs(rng, team):
    target, guides, layers = pictures(rng, 2, 3, 12, 15)
    assert can_run(objective(0.0))
    assert not can_run(objective())
    work = StepwiseWorkspace(target, guides, objective(0.0), BOUNDS, BETAS, team)
    work.start(layers)
    assert "colour" not in work.iterate(0.01)
    assert not objective(0.0).couples_planes
    assert objective().couples_planes


def test_only_what_lies_in_the_circle_counts(rng, team):
    target, guides, layers = pictures(rng, 2, 3, 21, 21)
    inside = disc((21, 21), WHOLE[0], (21, 21))
    asked = objective(disc=True, share=float(inside.mean()))
    layers = np.where(inside == 0, np.float32(BOUNDS[1]), layers)
    work = StepwiseWorkspace(target, guides, asked, BOUNDS, BETAS, team)
    work.start(layers)
    work.prepare()
    arranged = Arranged(target[np.newaxis], disc=inside)
    found, expected = work.evaluate(), whole_reference.terms(layers, arranged, guides, asked)
    assert found["colour"] == pytest.approx(expected["colour"], abs=6e-6)
    right = whole_reference.gradient(layers, arranged, guides, asked)
    assert np.linalg.norm(work.gradient - right) < 1e-5 * np.linalg.norm(right)
    assert not work.gradient[..., inside == 0].any()


@pytest.mark.parametrize(("rows", "columns", "threads"), [(83, 100, 1), (29, 64, 3)])
def test_tiles_are_the_whole(rng, monkeypatch, rows, columns, threads):
    monkeypatch.setattr(layout, "WIDEST", 8)
    target, guides, layers = pictures(rng, 2, 3, 83, 141)
    rates, team = [0.03, 0.02], Team(threads)
    whole = StepwiseWorkspace(target, guides, objective(), BOUNDS, BETAS, team)
    whole.start(layers)
    start = whole.layers
    expected, found, total = whole.advance(rates), np.empty_like(start), None
    for top in range(0, 83, rows):
        for left in range(0, 141, columns):
            inner = Region(top, min(top + rows, 83), left, min(left + columns, 141))
            outer = inner.grown(REACH * len(rates), 83, 141)
            cut = (..., slice(outer.top, outer.bottom), slice(outer.left, outer.right))
            tile = StepwiseWorkspace(target[cut], guides[cut], objective(), BOUNDS, BETAS, team)
            tile.start(start[cut])
            own = inner.within(outer)
            tile.prepare(0, (own,))
            sums = tile.advance(rates)
            total = sums if total is None else [a.plus(b) for a, b in zip(total, sums, strict=True)]
            inside = (..., slice(own.top, own.bottom), slice(own.left, own.right))
            found[..., inner.top : inner.bottom, inner.left : inner.right] = tile.layers[inside]
    assert found.tobytes() == whole.layers.tobytes()
    assert total == expected
    team.close()


def test_windows_are_images(rng, team):
    """Two windows in one workspace, three planes each, give what two workspaces give."""
    asked = objective_of([composite_placed(0.4, 3.0, 10.0, (0, 1))], 0.7, colour=3.0)
    parts = [pictures(rng, 2, 3, 19, 15) for _ in range(2)]
    both = StepwiseWorkspace.blank(Shape(2, 6, 19, 15), asked, BOUNDS, BETAS, team, 2)
    apart = []
    for window, (target, guides, layers) in enumerate(parts):
        alone = StepwiseWorkspace(target, guides, asked, BOUNDS, BETAS, team)
        alone.start(layers)
        apart.append((alone.advance([0.02]), alone.layers))
        for plane in range(3):
            both.put_target(3 * window + plane, target[plane])
            for k in range(2):
                both.put_guide(k, 3 * window + plane, guides[k, plane])
                both.put_layer(k, 3 * window + plane, layers[k, plane])
    both.prepare(frames=(Frame(0, 0, (-1, 0)), Frame(19, 0, (1, 0))), image=(38, 15))
    still = ((move_of((38, 15)), move_of((38, 15))),)
    sums = both.advance([0.02], [still])
    assert sums[0] == apart[0][0][0].plus(apart[1][0][0])
    assert both.layers.tobytes() == np.concatenate([apart[0][1], apart[1][1]], axis=1).tobytes()


CPU = "terms/colour/cpu.py"
FAULTS = [
    Fault("a plane left out of the mean", CPU, "in range(1, planes):", "in range(1, planes - 1):"),
    Fault("the mean is a sum", CPU, "_ONE / all_planes", "_ONE"),
    Fault("half the gradient", CPU, "weight + weight", "weight"),
    Fault("everything is summed", CPU, "masked(load(counted, at), weights * squares)", "weights * squares"),
    Fault("windows of one plane", CPU, "window * work.of_window, strip", "window, strip"),
]


def check(rng, team):
    """Raise AssertionError where the pass is not right, for two windows of which a part counts."""
    target, guides, layers = pictures(rng, 2, 6, 13, 17)
    asked, counted = objective_of([composite_placed(0.4, 3.0, 10.0, (0, 1))], 0.7, colour=3.0), Region(2, 11, 3, 17)
    work = StepwiseWorkspace.blank(Shape(2, 6, 13, 17), asked, BOUNDS, BETAS, team, 2)
    for plane in range(6):
        work.put_target(plane, target[plane])
        for k in range(2):
            work.put_guide(k, plane, guides[k, plane])
            work.put_layer(k, plane, layers[k, plane])
    work.prepare(0, (counted, counted), None, (Frame(0, 0, (-1, 0)), Frame(13, 0, (1, 0))), (26, 17))
    (sums,) = work.advance([0.0], [((move_of((26, 17)),) * 2,)])
    inside = (..., slice(counted.top, counted.bottom), slice(counted.left, counted.right))
    for window in (slice(3), slice(3, 6)):
        right = whole_reference.gradient(layers[:, window], target[window], guides[:, window], asked)
        assert np.linalg.norm(work.gradient[:, window] - right) < 1e-5 * np.linalg.norm(right)
    for k, found in enumerate(sums["colour"]):
        windows = (layers[k, :3], guides[k, :3]), (layers[k, 3:], guides[k, 3:])
        expected = sum(reference.value(x[inside], y[inside], np.ones((9, 14))) for x, y in windows)
        assert found / 2**TERM.bits == pytest.approx(expected, rel=1e-5)


def test_the_pass_is_right_in_two_windows_that_count_in_part(rng, team):
    check(rng, team)


@each(FAULTS)
def test_planted_faults_are_caught(rng, team, monkeypatch, fault):
    monkeypatch.setattr(cpu, "colour_pass", module_with(fault).colour_pass)
    with pytest.raises(AssertionError):
        check(rng, team)


def test_its_memory_is_counted():
    told = [stepwise_bytes(Shape(2, 3, 40, 90), 2, objective(weight)) for weight in (3.0, 0.0)]
    assert told[0] - told[1] == 2 * 3 * 40 * 8, "a float64 for every row of every plane"
