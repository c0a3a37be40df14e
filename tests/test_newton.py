"""The Newton step: against the float64 reference, in every path of the CPU and on the host's CUDA."""

import dataclasses
import itertools

import numpy as np
import pytest

import mlsolve
from cuda_host.checks import MODES
from cuda_host.device import HostDevice, needs_compiler
from mlsolve.errors import OptionError
from mlsolve_kernels.iteration import reference
from mlsolve_kernels.iteration.cuda import CudaWorkspace
from mlsolve_kernels.iteration.cuda_arranged import ArrangedCudaWorkspace
from mlsolve_kernels.iteration.objective import Shape
from mlsolve_kernels.iteration.reference import Arranged
from mlsolve_kernels.iteration.stepwise import StepwiseWorkspace
from mlsolve_kernels.iteration.sweep import CpuWorkspace
from mlsolve_kernels.newton import cpu
from mlsolve_kernels.newton.reference import of_guides, of_target, step
from mlsolve_kernels.newton.step import LEAST, LEAST_SHARE, NewtonRates, counted_in_shift
from mlsolve_kernels.region import Region
from mlsolve_kernels.threads import Team
from mlsolve_kernels.window import REACH
from objectives import composite_placed, objective_of

SCALE, BOUNDS, BETAS = 0.5, (0.1, 1.0), (0.8, 0.95)
LEFT = (1.0, 0.8, 0.5, 0.2)


def objective(weighted=False, disc=False, guide=0.7, layers=None):
    stack = composite_placed(SCALE, 3.0, 10.0, layers, 0.0, 0.6 if weighted else 1.0, weighted)
    return dataclasses.replace(objective_of([stack], guide, disc, 0.7 if disc else 1.0), step="newton")


def problem(rng, count, planes=2, height=43, width=57):
    """Noise, flat in the middle; many layers at their bounds, as there are in prints."""
    images = rng.random((1 + 2 * count, planes, height, width), dtype=np.float32)
    images[:, :, 10:20, 10:30] = 0.5
    return images[0], images[1 : 1 + count], np.clip(1.3 * images[1 + count :] - 0.1, *map(np.float32, BOUNDS))


def expected(target, guides, layers, weights=None, guide=0.7, lefts=LEFT):
    """The layers after `lefts`, in float64."""
    x, velocity = layers.astype(np.float64), np.zeros(layers.shape)
    wanted, looks = target.astype(np.float64), guides.astype(np.float64)
    counted = objective(weights is not None, guide=guide)
    share = counted.stacks[0].share
    by_stack = of_target(wanted, 3.0 / share, 10.0 / share, weights)
    curvatures = by_stack, of_guides(looks, guide, by_stack)
    for left in lefts:
        arranged = Arranged(wanted[np.newaxis], weights=None if weights is None else [weights])
        slope = reference.gradient(x, arranged, looks, dataclasses.replace(counted, step="adam"))
        rates = NewtonRates.at(left, len(layers), BOUNDS)
        x, velocity = step(x, velocity, slope, curvatures, SCALE, wanted, rates, weights)
    return x


def started(path, pictures, workers=1, counted=None):
    target, guides, layers = pictures
    work = path(target, guides, counted or objective(), BOUNDS, BETAS, Team(workers))
    work.start(layers)
    return work


def is_near(found, right):
    """Whether layers are right; where a value comes to a bound, rounding decides in which step."""
    error = np.abs(found - right)
    return np.median(error) < 2e-7 and np.quantile(error, 0.999) < 3e-5 and error.max() < 3e-3


@pytest.mark.parametrize("count", [1, 2, 3, 16])
def test_steps_are_those_of_the_reference(rng, count):
    pictures = problem(rng, count)
    work = started(CpuWorkspace, pictures)
    for left in LEFT:
        work.iterate(left)
    right = expected(*pictures)
    assert is_near(work.layers, right)
    assert right.min() == np.float32(BOUNDS[0])
    assert count == 1 or right.max() == BOUNDS[1]


def test_every_path_and_number_of_threads_gives_the_same_bytes(rng):
    pictures = problem(rng, 3, 2, 61, 420)
    found = set()
    for path, workers in itertools.product((CpuWorkspace, StepwiseWorkspace), (1, 2, 5)):
        work = started(path, pictures, workers)
        terms = [work.iterate(left) for left in LEFT]
        found.add((work.layers.tobytes(), repr(terms)))
    assert len(found) == 1


@pytest.mark.parametrize("count", [2, 3, 6])
def test_pixels_have_weights(rng, count):
    """Those of a mask count in the gradient, in the curvature and, by the number of layers, in the brightness."""
    pictures, weights = problem(rng, count), rng.random((43, 57), dtype=np.float32)
    weights[:, 40:] = 0
    work = StepwiseWorkspace.blank(Shape(count, 2, 43, 57), objective(True), BOUNDS, BETAS, Team(2))
    fill(work, pictures, weights)
    for left in LEFT:
        work.iterate(left)
    assert is_near(work.layers, expected(*pictures, weights.astype(np.float64)))


def fill(work, pictures, weights=None):
    target, guides, layers = pictures
    for plane, image in enumerate(target):
        work.put_target(plane, image)
        for k in range(len(layers)):
            work.put_guide(k, plane, guides[k, plane])
            work.put_layer(k, plane, layers[k, plane])
    if weights is not None:
        work.put_weights(0, 0, weights)
    work.prepare()


@pytest.mark.parametrize(("layers", "expected"), [(1, 0.0625), (2, 0.0625), (3, 0.25), (5, 0.5), (7, 0.5**0.5)])
def test_the_weight_in_a_mask_counts_less_with_more_layers(layers, expected):
    assert counted_in_shift(0.25, layers) == pytest.approx(expected)
    assert [counted_in_shift(weight, layers) for weight in (0.0, 1.0)] == [0, 1]


@pytest.mark.parametrize("weighted", [False, True])
def test_curvatures(rng, weighted):
    pictures, weights = problem(rng, 2), rng.random((43, 57), dtype=np.float32)
    work = StepwiseWorkspace.blank(Shape(2, 2, 43, 57), objective(weighted), BOUNDS, BETAS, Team(2))
    fill(work, pictures, weights if weighted else None)
    share, counts = (0.6, weights.astype(np.float64)) if weighted else (1.0, None)
    by_stack = of_target(pictures[0].astype(np.float64), 3.0 / share, 10.0 / share, counts)
    by_guides = of_guides(pictures[1].astype(np.float64), 0.7, by_stack)
    found = np.empty_like(pictures[1])
    for k, plane in np.ndindex(2, 2):
        work.take_moment(1, k, plane, found[k, plane])
    np.testing.assert_allclose(found, by_guides, rtol=1e-3)
    assert (by_guides >= LEAST_SHARE * by_stack + LEAST).all()


def test_guides_without_weight_leave_a_bound(rng):
    pictures = problem(rng, 2)
    work = started(CpuWorkspace, pictures, counted=objective(guide=0.0))
    for left in LEFT:
        work.iterate(left)
    assert is_near(work.layers, expected(*pictures, guide=0.0))


def test_sheets_are_clear_outside_the_circle(rng):
    pictures = problem(rng, 2, 1, 40, 40)
    work = StepwiseWorkspace.blank(Shape(2, 1, 40, 40), objective(disc=True), BOUNDS, BETAS, Team(2))
    fill(work, pictures)
    before = work.layers
    work.iterate(1.0)
    assert (work.layers[:, :, :4, :4] == BOUNDS[1]).all()
    assert np.isfinite(work.layers).all()
    assert (work.layers[:, :, 18:22, 18:22] != before[:, :, 18:22, 18:22]).any()


@pytest.mark.parametrize("rows", [83, 30])
def test_tiles_with_halos_are_the_whole(rng, rows):
    """Also where a tile goes on with its velocity: two rounds of two iterations."""
    target, guides, layers = problem(rng, 2, 1, 83, 60)
    whole = started(CpuWorkspace, (target, guides, layers), 2)
    state = [layers, np.zeros_like(layers)]
    for lefts in (LEFT[:2], LEFT[2:]):
        after = [np.empty_like(layers) for _ in state]
        for top in range(0, 83, rows):
            inner = Region(top, min(83, top + rows), 0, 60)
            outer = inner.grown(REACH * 2, 83, 60)
            work = CpuWorkspace.blank(Shape(2, 1, outer.height, 60), objective(), BOUNDS, BETAS, Team(1))
            cut, own = slice(outer.top, outer.bottom), inner.within(outer)
            work.put_target(0, target[0, cut])
            for k in range(2):
                work.put_guide(k, 0, guides[k, 0, cut])
                work.put_layer(k, 0, state[0][k, 0, cut], (state[1][k, 0, cut], state[1][k, 0, cut]))
            work.prepare(0, (own,), 2)
            work.advance(lefts)
            image = np.empty((outer.height, 60), dtype=np.float32)
            for k in range(2):
                work.take_layer(k, 0, image)
                after[0][k, 0, inner.top : inner.bottom] = image[own.top : own.bottom]
                work.take_moment(0, k, 0, image)
                after[1][k, 0, inner.top : inner.bottom] = image[own.top : own.bottom]
        state = after
    whole.advance(LEFT)
    assert state[0].tobytes() == whole.layers.tobytes()


def test_a_row_needs_room_for_each_layer():
    assert cpu.SCRATCH >= 2 * 16


@needs_compiler
@pytest.mark.parametrize("count", [1, 3, 16])
def test_cuda_kernels_take_the_same_steps(rng, folder, count):
    target, guides, layers = problem(rng, count, 2, 24, 37)
    found = set()
    for (reverse, early), path in zip(MODES, itertools.cycle((CudaWorkspace, ArrangedCudaWorkspace)), strict=False):
        device = HostDevice(folder, reverse=reverse, early=early)
        work = path(target, guides, objective(), BOUNDS, BETAS, device)
        work.start(layers)
        work.advance(LEFT)
        assert not any(array[..., 37:].any() for array in (work._layers, work._first, work._target[0]))
        assert device.intact()
        found.add(work.layers.tobytes())
    assert len(found) == 1
    assert is_near(work.layers, expected(target, guides, layers))
    on_cpu = started(StepwiseWorkspace, (target, guides, layers))
    on_cpu.advance(LEFT)
    assert np.median(np.abs(work.layers - on_cpu.layers)) < 2e-7


@needs_compiler
@pytest.mark.parametrize(
    ("weighted", "disc", "count"), [(True, False, 2), (True, False, 6), (False, True, 2), (True, True, 2)]
)
def test_cuda_kernels_know_masks_and_circles(rng, folder, weighted, disc, count):
    pictures, weights = problem(rng, count, 2, 30, 30), rng.random((30, 30), dtype=np.float32)
    counted = objective(weighted, disc)
    works = [
        StepwiseWorkspace.blank(Shape(count, 2, 30, 30), counted, BOUNDS, BETAS, Team(1)),
        ArrangedCudaWorkspace.blank(Shape(count, 2, 30, 30), counted, BOUNDS, BETAS, HostDevice(folder)),
    ]
    for work in works:
        fill(work, pictures, weights if weighted else None)
        work.advance(LEFT)
    assert is_near(works[1].layers, works[0].layers.astype(np.float64))


@needs_compiler
def test_cuda_goes_on_with_a_velocity(rng, folder):
    target, guides, layers = problem(rng, 2, 1, 20, 30)
    whole = CudaWorkspace(target, guides, objective(), BOUNDS, BETAS, HostDevice(folder))
    whole.start(layers)
    whole.advance(LEFT)
    first = CudaWorkspace(target, guides, objective(), BOUNDS, BETAS, HostDevice(folder))
    first.start(layers)
    first.advance(LEFT[:2])
    second = CudaWorkspace(target, guides, objective(), BOUNDS, BETAS, HostDevice(folder))
    velocity = np.empty((20, 30), dtype=np.float32)
    for k in range(2):
        first.take_moment(0, k, 0, velocity)
        second.put_layer(k, 0, first.layers[k, 0], (velocity, velocity))
    second.prepare(2)
    second.advance(LEFT[2:])
    assert second.layers.tobytes() == whole.layers.tobytes()


def test_auto_takes_it_where_it_is_better():
    for settings in ({"registration": 1.0}, {"hide_weight": 1.0}, {"colour_weight": 1.0}, {"learning_rate": 0.1}):
        assert mlsolve.Options(**settings).step_for(moved=False) == "adam"
    assert mlsolve.Options().step_for(moved=False) == "newton"
    assert mlsolve.Options().step_for(moved=True) == "adam"
    assert mlsolve.Options(solver="newton", colour_weight=1.0).step_for(moved=False) == "newton"
    assert [mlsolve.Options().iterations_for(step) for step in ("adam", "newton")] == [60, 24]
    assert mlsolve.Options(iterations=7).iterations_for("newton") == 7


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"registration": 2.0}, "solver is newton with registration 2: use solver adam or auto"),
        ({"hide_weight": 0.5}, "solver is newton with hide_weight 0.5"),
        ({"learning_rate": 0.1}, "solver is newton, which has no learning_rate"),
    ],
)
def test_newton_refuses_what_it_does_not_know(settings, words):
    with pytest.raises(OptionError, match=words):
        mlsolve.Options(solver="newton", **settings)


def test_round_sheets_and_masks_are_newtons(rng):
    pictures = [rng.random((40, 40)) for _ in range(3)]
    for shape, mask in (("disc", None), ("disc", pictures[0]), ("sheet", pictures[0])):
        problem = mlsolve.Problem(pictures[1:], [mlsolve.Arrangement(pictures[0], mask=mask)], shape)
        assert len(mlsolve.solve(problem, mlsolve.Options(levels=1, backend="cpu")).history) == 24


def test_newton_refuses_placed_sheets(rng):
    guides = [rng.random((33, 33)) for _ in range(2)]
    place = mlsolve.Placement(1), mlsolve.Placement(2, rotate=90)
    problem = mlsolve.Problem(guides, [mlsolve.Arrangement(guides[0], place=place)])
    with pytest.raises(OptionError, match="solver is newton with arrangements of placed sheets: use solver adam"):
        mlsolve.solve(problem, mlsolve.Options(solver="newton"))


def test_an_objective_refuses_what_a_step_cannot_take():
    stack = composite_placed(SCALE, 3.0, 10.0)
    with pytest.raises(ValueError, match="a Newton step takes one stack"):
        dataclasses.replace(objective_of([stack, stack], 1.0), step="newton")
