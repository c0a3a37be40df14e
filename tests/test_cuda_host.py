"""The CUDA kernels, run on the host from the sources that go to the GPU, against the float64 references.

Every case runs four times: threads in forward and in reverse order, asynchronous copies as late as allowed and at
once; all four must give the same bytes. So must the forms in which the kernels are compiled.
"""

import os
import subprocess
import sys

import numpy as np
import pytest

from conftest import ROOT, environment
from cuda_host.checks import (
    BETAS,
    BOUNDS,
    CASES,
    FORMS,
    MODES,
    OBJECTIVE,
    assert_padding_is_zero,
    assert_right,
    pieces_of,
    problem,
    relative_error,
    state_of,
    statistics_by,
    workspace,
)
from cuda_host.device import HostDevice, compiler, needs_compiler
from mlsolve_kernels.cuda.geometry import OWN, ahead_on
from mlsolve_kernels.iteration import reference
from mlsolve_kernels.iteration.cuda import BATCH
from mlsolve_kernels.iteration.reference import iterate
from mlsolve_kernels.ssim.reference import statistics

pytestmark = needs_compiler

RATES = [0.05, 0.02, 0.03]


@pytest.mark.parametrize("shape", CASES)
def test_terms_and_gradient(rng, folder, shape):
    target, guides, layers = problem(rng, *shape)
    bytes_of = set()
    for reverse, early in MODES:
        device = HostDevice(folder, reverse=reverse, early=early)
        work = workspace(target, guides, layers, device)
        assert_right(work, target, guides, layers)
        assert device.intact()
        bytes_of.add(work.gradient.tobytes())
    assert len(bytes_of) == 1


def bytes_of_a_run(pictures, device):
    """All that comes of three steps and an evaluation, and that nothing else was changed."""
    work = workspace(*pictures, device)
    sums, state = work.advance(RATES), state_of(work)
    terms = work.evaluate()
    assert_padding_is_zero(work)
    assert device.intact()
    return repr((sums, terms)), state.tobytes(), work.gradient.tobytes()


QUICK = [(2, 1, 13, OWN + 1)]


@pytest.mark.parametrize(
    "shape", [pytest.param(shape, marks=[] if shape in QUICK else pytest.mark.slow) for shape in CASES]
)
def test_every_form_gives_the_same_bytes(rng, folder, shape):
    """Rows come one or two steps before their use; Adam's step is in the layer pass, or a kernel of its own."""
    assert {ahead_on(chip, 1) for chip, _ in FORMS} == {1, 2}
    pictures = problem(rng, *shape)
    found = set()
    for number, (chip, inlines) in enumerate(FORMS):
        for reverse, early in MODES if number % 3 == 0 else MODES[::3]:
            device = HostDevice(folder, reverse=reverse, early=early, fuses_adam=inlines, chip=chip)
            found.add(bytes_of_a_run(pictures, device))
    assert len(found) == 1


def test_any_number_of_rows_in_a_piece(rng, folder):
    """Steps are taken two or three at a time: what is computed after the last row of a piece goes nowhere.

    And a piece may begin anywhere between the upper border and where its halo is all inside.
    """
    pictures = problem(rng, 2, 2, 23, 7)
    found = set()
    for rows in (1, 2, 3, 7, 8, 9, 10, 11, 23):
        for chip, inlines in (FORMS[rows % 4], FORMS[(rows + 2) % 4]):
            device = HostDevice(folder, reverse=True, chip=chip, fuses_adam=inlines)
            with pieces_of(rows):
                found.add(bytes_of_a_run(pictures, device))
    assert len(found) == 1
    assert_right(workspace(*pictures, device), *pictures)


def test_flat_and_extreme_pictures(rng, folder):
    """Flat pictures, where variances are differences of equal numbers; and black on black."""
    target, guides, layers = problem(rng, 2, 1, 30, 40)
    guides[0], layers[0] = 0.5, 0.5
    guides[1, :, :, 20:], layers[1] = 0.0, BOUNDS[0]
    target[...] = 0.9
    work = workspace(target, guides, layers, HostDevice(folder))
    work.evaluate()
    assert relative_error(work.gradient, reference.gradient(layers, target, guides, OBJECTIVE)) < 1e-4


@pytest.mark.parametrize("shape", [(1, 3), (12, OWN + 3), (60, 33)])
def test_statistics(rng, folder, shape):
    image = rng.random((2, *shape)).astype(np.float32)
    mean, variance = statistics_by(HostDevice(folder), image)
    expected = statistics(image, image)
    np.testing.assert_allclose(mean, expected.mean_x, atol=3e-7)
    np.testing.assert_allclose(variance, expected.variance_x, atol=3e-7)


@pytest.mark.parametrize("fuses_adam", [True, False])
def test_iterations(rng, folder, fuses_adam):
    """Several steps, a batch and a half, against the float64 iteration."""
    target, guides, layers = problem(rng, 2, 1, 24, 30)
    rates = [0.03 / (1 + t) for t in range(15)]
    work = workspace(target, guides, layers, HostDevice(folder, fuses_adam=fuses_adam))
    terms = work.advance(rates[:10]) + work.advance(rates[10:])
    clipped = np.clip(layers.astype(np.float64), *BOUNDS)
    found, expected = work.layers, iterate(clipped, target, guides, OBJECTIVE, rates, BOUNDS, BETAS)
    # Where a gradient is next to nothing its sign is chance, and Adam first takes the whole rate by the sign.
    assert np.abs(found - expected).mean() < 1e-5
    losses = [OBJECTIVE.loss(sums.terms(work.pixels, OBJECTIVE)) for sums in terms]
    assert losses[-1] < losses[0]
    for t in (0, 7):
        at = iterate(clipped, target, guides, OBJECTIVE, rates[:t], BOUNDS, BETAS)
        assert losses[t] == pytest.approx(OBJECTIVE.loss(reference.terms(at, target, guides, OBJECTIVE)), rel=1e-4)


def test_start_keeps_to_the_bounds(rng, folder):
    target, guides, layers = problem(rng, 2, 1, 8, 9)
    layers[0, 0, 0, :3] = (0.0, 1.5, -1.0)
    work = workspace(target, guides, layers, HostDevice(folder))
    np.testing.assert_array_equal(work.layers, np.clip(layers, *map(np.float32, BOUNDS)))


def test_no_rates_are_no_steps(rng, folder):
    work = workspace(*problem(rng, 2, 1, 12, 13), HostDevice(folder))
    before = work.layers
    assert work.advance([]) == []
    np.testing.assert_array_equal(work.layers, before)
    work.advance([0.05])
    assert (work.layers != before).any()


def test_more_rates_than_a_batch_are_refused(rng, folder):
    work = workspace(*problem(rng, 1, 1, 5, 5), HostDevice(folder))
    with pytest.raises(ValueError, match="rates are 11: give 10 at the most"):
        work.advance([0.01] * (BATCH + 1))


def test_bytes_do_not_depend_on_how_rows_are_divided(rng, folder):
    """One piece or many, as on a small or a large device: the same layers, to the byte."""
    target, guides, layers = problem(rng, 2, 1, 60, 20)
    results = set()
    for resident in (1, 7, 1000):
        device = HostDevice(folder, resident=resident)
        work = workspace(target, guides, layers, device)
        work.advance([0.05] * 2)
        results.add((work.layers.tobytes(), device.grids["layer_step"]))
    assert len(results) == 3
    assert len({layers for layers, _ in results}) == 1


_FORTIFIED_RUN = """
from pathlib import Path
import numpy as np
from cuda_host import device
from cuda_host.checks import problem, workspace
device.BUILT = Path("built")
target, guides, layers = problem(np.random.default_rng(0), 2, 1, 12, 30)
workspace(target, guides, layers, device.HostDevice(Path("."))).evaluate()
print("done")
"""


@pytest.mark.slow
def test_the_host_does_not_depend_on_the_defaults_of_a_compiler(tmp_path):
    """Ubuntu's g++ turns _FORTIFY_SOURCE on, and an abort would end all tests."""
    fortifying = tmp_path / "g++"
    fortifying.write_text(f'#!/bin/sh\nexec "{compiler()}" -D_FORTIFY_SOURCE=3 "$@"\n')
    fortifying.chmod(0o755)
    settings = environment()
    settings |= {
        "PATH": f"{tmp_path}{os.pathsep}{settings['PATH']}",
        "PYTHONPATH": os.pathsep.join([str(ROOT / "tests"), *sys.path]),
    }
    command = [sys.executable, "-c", _FORTIFIED_RUN]
    done = subprocess.run(command, env=settings, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout == "done\n", done.stderr[-2000:]
