"""Tiles with halos: what the sweep computes inside them is, to the byte, what it computes in the whole image."""

import sys

import numpy as np
import pytest

from mlsolve_kernels import layout
from mlsolve_kernels.iteration.objective import Shape, Sums, one_stack
from mlsolve_kernels.iteration.stepwise import StepwiseWorkspace
from mlsolve_kernels.iteration.sweep import CpuWorkspace
from mlsolve_kernels.region import Region
from mlsolve_kernels.ssim.cpu import ssim_sums
from mlsolve_kernels.threads import Team
from mlsolve_kernels.window import RADIUS, REACH

OBJECTIVE = one_stack(0.3, 3.0, 10.0, 1.0)
BOUNDS, BETAS = (0.073, 1.0), (0.8, 0.95)
RATES = [0.03, 0.02, 0.025, 0.01]


@pytest.fixture
def narrow_strips(monkeypatch):
    monkeypatch.setattr(layout, "WIDEST", 8)


def problem(rng, count=2, planes=2, height=83, width=341):
    images = rng.random((1 + 2 * count, planes, height, width), dtype=np.float32)
    images[:, :, 40:60, 100:180] = 0.5  # flat, where SSIM is most delicate
    return images[0], images[1 : 1 + count], images[1 + count :]


def cut(images, region):
    return images[..., region.top : region.bottom, region.left : region.right]


def advance_tile(problem, moments, inner, plane, steps, team, path=CpuWorkspace):
    """Take RATES on one plane of the tile `inner`, halo included; return layers, moments and sums inside."""
    target, guides, layers = problem
    height, width = target.shape[1:]
    outer = inner.grown(REACH * len(RATES), height, width)
    work = path.blank(Shape(len(layers), 1, outer.height, outer.width), OBJECTIVE, BOUNDS, BETAS, team)
    work.put_target(0, cut(target[plane], outer))
    for k, guide in enumerate(guides):
        work.put_guide(k, 0, cut(guide[plane], outer))
        first_second = None if moments is None else tuple(cut(m[k, plane], outer) for m in moments)
        work.put_layer(k, 0, cut(layers[k, plane], outer), first_second)
    work.prepare(steps, (inner.within(outer),), len(RATES))
    sums = work.advance(RATES)
    found = np.empty((3, len(layers), outer.height, outer.width), dtype=np.float32)
    for k in range(len(layers)):
        work.take_layer(k, 0, found[0, k])
        for moment in (0, 1):
            work.take_moment(moment, k, 0, found[1 + moment, k])
    return cut(found, inner.within(outer)), sums


@pytest.mark.usefixtures("narrow_strips")
@pytest.mark.parametrize(("rows", "columns", "threads"), [(83, 100, 1), (30, 341, 2), (29, 64, 3), (83, 341, 2)])
def test_tiles_are_the_whole(rng, rows, columns, threads):
    target, guides, layers = problem(rng)
    height, width = target.shape[1:]
    team = Team(threads)
    whole = CpuWorkspace(target, guides, OBJECTIVE, BOUNDS, BETAS, team)
    whole.start(layers)
    start, moments = whole.layers, None
    for round_number in range(2):
        expected_sums = whole.advance(RATES)
        expected = np.empty((3, *layers.shape), dtype=np.float32)
        for k, plane in np.ndindex(layers.shape[:2]):
            whole.take_layer(k, plane, expected[0, k, plane])
            for moment in (0, 1):
                whole.take_moment(moment, k, plane, expected[1 + moment, k, plane])
        found = np.empty_like(expected)
        found_sums = [None] * len(RATES)
        for top in range(0, height, rows):
            for left in range(0, width, columns):
                inner = Region(top, min(top + rows, height), left, min(left + columns, width))
                for plane in range(target.shape[0]):
                    tile, sums = advance_tile(
                        (target, guides, start), moments, inner, plane, round_number * len(RATES), team
                    )
                    cut(found[:, :, plane], inner)[...] = tile
                    found_sums = [s if t is None else t.plus(s) for t, s in zip(found_sums, sums, strict=True)]
        assert found.tobytes() == expected.tobytes()
        assert found_sums == expected_sums
        assert all(isinstance(value, int) for value in (*found_sums[0]["stack_ssim"], *found_sums[0]["guide_ssim"]))
        start, moments = found[0], (found[1], found[2])
    team.close()


@pytest.mark.usefixtures("narrow_strips")
def test_a_shorter_halo_is_not_enough(rng, monkeypatch):
    """The reach is what it is said to be; its outermost pixels weigh little, but with four less the inside differs.

    There are moments from the start, for Adam's first step is but a sign.
    """
    target, guides, layers = problem(rng, 1, 1)
    monkeypatch.setattr(sys.modules[__name__], "RATES", [0.03])
    moments = rng.random((2, *layers.shape), dtype=np.float32)
    team, inner = Team(1), Region(41, 42, 150, 190)
    exact, _ = advance_tile((target, guides, layers), moments, inner, 0, 7, team)
    monkeypatch.setattr(sys.modules[__name__], "REACH", REACH + 3)
    assert advance_tile((target, guides, layers), moments, inner, 0, 7, team)[0].tobytes() == exact.tobytes()
    monkeypatch.setattr(sys.modules[__name__], "REACH", REACH - 4)
    assert advance_tile((target, guides, layers), moments, inner, 0, 7, team)[0].tobytes() != exact.tobytes()


def test_step_by_step_counts_what_the_sweep_counts(rng):
    target, guides, layers = problem(rng, 2, 1, 30, 50)
    team, counted = Team(2), Region(3, 21, 7, 44)
    sums = []
    for path in (CpuWorkspace, StepwiseWorkspace):
        work = path(target, guides, OBJECTIVE, BOUNDS, BETAS, team)
        work.start(layers)
        work.prepare(0, (counted,))
        sums.append(work.advance(RATES))
    assert sums[0] == sums[1]
    team.close()


@pytest.mark.usefixtures("narrow_strips")
def test_ssim_of_regions_adds_up(rng):
    x, y = rng.random((2, 3, 61, 250), dtype=np.float32)
    team = Team(2)
    found = [0, 0, 0]
    for top, left in [(0, 0), (0, 131), (32, 0), (32, 131)]:
        inner = Region(top, min(top + 32, 61), left, min(left + 131, 250))
        outer = inner.grown(RADIUS, 61, 250)
        sums = ssim_sums(cut(x, outer), cut(y, outer), team, inner.within(outer))
        found = [a + b for a, b in zip(found, sums, strict=True)]
    assert found == ssim_sums(x, y, team)
    team.close()


def test_sums_beyond_64_bits_and_no_numbers():
    from mlsolve_kernels.exact import ERROR_BITS, quanta

    rows = np.full((4, 40_000), 2.0**21)
    assert quanta(rows, ERROR_BITS) == 160_000 * 2**51
    rows[2, 7] = np.nan
    assert np.isnan(quanta(rows, ERROR_BITS))
    together = Sums(stack_ssim=(1,), stack_mse=(2,)).plus(Sums(stack_ssim=(float("nan"),), stack_mse=(1,)))
    assert np.isnan(together.terms(10, OBJECTIVE)["stack_ssim"][0])
