"""The CUDA kernels, run on the host from the sources that go to the GPU, against the float64 references.

Every case runs four times: threads in forward and in reverse order, asynchronous copies as late as allowed and at
once; all four must give the same bytes.
"""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from conftest import ROOT, environment
from cuda_host.checks import (
    BETAS,
    BOUNDS,
    CASES,
    OBJECTIVE,
    assert_right,
    problem,
    relative_error,
    statistics_by,
    workspace,
)
from cuda_host.device import HostDevice, LaunchError, compiler
from cuda_host.sanitized import run_sanitized
from mlsolve_kernels.cuda.geometry import OWN, SUMMING, pitch_of
from mlsolve_kernels.exact import NONE
from mlsolve_kernels.iteration import reference
from mlsolve_kernels.iteration.cuda import BATCH
from mlsolve_kernels.iteration.reference import iterate
from mlsolve_kernels.ssim.reference import statistics
from planted_faults import Fault, assert_noticed, each

pytestmark = pytest.mark.skipif(compiler() is None, reason="needs g++ to run CUDA kernels on the host: install g++")

MODES = list(itertools.product((False, True), (False, True)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the kernels are compiled, once for the module."""
    return tmp_path_factory.mktemp("cuda_host")


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


def test_iterations(rng, folder):
    """Several steps, a batch and a half, against the float64 iteration."""
    target, guides, layers = problem(rng, 2, 1, 24, 30)
    rates = [0.03 / (1 + t) for t in range(15)]
    work = workspace(target, guides, layers, HostDevice(folder))
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


def test_more_rates_than_a_batch_are_refused(rng, folder):
    work = workspace(*problem(rng, 1, 1, 5, 5), HostDevice(folder))
    with pytest.raises(ValueError, match="rates are 11: give 10 at the most"):
        work.advance([0.01] * (BATCH + 1))


@pytest.mark.parametrize("mode", MODES)
def test_terms_of_more_blocks_than_threads(rng, folder, mode):
    """Every block's sum is counted once, in the line of its turn."""
    device = HostDevice(folder, reverse=mode[0], early=mode[1])
    target, guides = (device.zeros(*shape, dtype=np.int64) for shape in ((3, 700), (2, 1300)))
    for sums in (target, guides):
        sums[...] = rng.integers(-(2**40), 2**50, sums.shape)
    for none in (None, 0, 699):
        table, turn = device.zeros(3, 5, dtype=np.int64), device.zeros(1, dtype=np.int32)
        turn[0] = 1
        expected = [*target.sum(axis=1), *guides.sum(axis=1)]
        kept = target[1].copy()
        if none is not None:  # two of them, which must not cancel
            target[1, [none, 300]], expected[1] = NONE, NONE
        device.launch("terms", 2, (1,), SUMMING, target, 700, guides, 1300, table, turn)
        target[1] = kept
        np.testing.assert_array_equal(table[1], expected)
        assert turn[0] == 2
        assert not table[[0, 2]].any()


def test_start_begins_anew(rng, folder):
    target, guides, layers = problem(rng, 2, 1, 15, 16)
    work = workspace(target, guides, layers, HostDevice(folder))
    work.advance([0.05] * 3)
    first = work.layers
    work.start(layers)
    work.advance([0.05] * 3)
    np.testing.assert_array_equal(work.layers, first)
    fresh = workspace(target, guides, layers, HostDevice(folder))
    fresh.iterate(0.05)
    fresh.advance([0.05] * 2)
    np.testing.assert_array_equal(fresh.layers, first)


def test_bytes_do_not_depend_on_how_rows_are_divided(rng, folder):
    """One piece or many, as on a small or a large device: the same layers, to the byte."""
    target, guides, layers = problem(rng, 2, 1, 60, 20)
    results = set()
    for resident in (1, 7, 1000):
        device = HostDevice(folder, resident=resident)
        work = workspace(target, guides, layers, device)
        work.advance([0.05] * 2)
        results.add((work.layers.tobytes(), device.grids["layer_pass"]))
    assert len(results) == 3
    assert len({layers for layers, _ in results}) == 1


def test_padding_stays_zero(rng, folder):
    target, guides, layers = problem(rng, 2, 1, 15, 33)
    work = workspace(target, guides, layers, HostDevice(folder))
    work.advance([0.05] * 3)
    assert pitch_of(33) == 64
    for array in (work._layers, work._first, work._second):  # nobody is given the padding: it has to be looked at
        assert not array[..., 33:].any()


FAULTS = [
    Fault(
        "barrier before the composite is read",
        "target_pass",
        "if (at < FETCHED - SPAN) compose(step, SPAN + at);\n        __syncthreads();",
        "if (at < FETCHED - SPAN) compose(step, SPAN + at);",
    ),
    Fault(
        "barrier after fetches arrived",
        "layer_pass",
        "__syncthreads();  // everybody's fetches",
        "// everybody's fetches",
    ),
    Fault(
        "barrier before partials are read",
        "layer_pass",
        "crossing.put(map, sums[map]);\n        __syncthreads();",
        "crossing.put(map, sums[map]);",
    ),
    Fault("barrier after the sum of a block", "target_pass", "__syncthreads();  // the next call may write", ""),
    Fault(
        "barrier in statistics",
        "statistics",
        "fetches_arrived();\n        __syncthreads();\n",
        "fetches_arrived();\n",
    ),
    Fault(
        "barrier that some do not reach",
        "layer_pass",
        "__syncthreads();  // everybody's fetches",
        "if (threadIdx.x < 40) __syncthreads();  // everybody's fetches",
    ),
    Fault(
        "fetches not waited for",
        "layer_pass",
        "        fetches_arrived();\n        __syncthreads();  // every",
        "        __syncthreads();  // every",
    ),
    Fault(
        "fetches waited for one step late",
        "target_pass",
        "shim::copies_arrived(AHEAD - 1)",
        "shim::copies_arrived(AHEAD)",
    ),
    Fault(
        "ring one row short",
        "layer_pass",
        "constexpr int KEPT = AHEAD + 2 * RADIUS + 1",
        "constexpr int KEPT = AHEAD + 2 * RADIUS",
    ),
    Fault(
        "passing ring one row short",
        "layer_pass",
        "constexpr int PASSING = AHEAD + 1",
        "constexpr int PASSING = AHEAD",
    ),
    Fault(
        "halo off by one column",
        "layer_pass",
        "const int first = c + MARGIN - RADIUS;",
        "const int first = c + MARGIN - RADIUS + 1;",
    ),
    Fault(
        "halo off by one row",
        "layer_pass",
        "const int middle = strip.first - 3 * RADIUS + step;",
        "const int middle = strip.first - 3 * RADIUS + step + 1;",
    ),
    Fault(
        "row of the gradient off by one",
        "layer_pass",
        "strip.first - 2 * REACH + step, x.value",
        "strip.first - 2 * REACH + step - 1, x.value",
    ),
    Fault("row below the image not zero", "layer_pass", "within(row, place.height)", "row >= 0"),
    Fault("partials beyond the left border", "layer_pass", "within(column + c, width)", "column + c < width"),
    Fault("partials beyond the right border", "target_pass", "within(column + c, width)", "column + c >= 0"),
    Fault(
        "partials beyond the upper border",
        "layer_pass",
        "within(middle, strip.place.height)",
        "middle < strip.place.height",
    ),
    Fault("sums of the neighbours' columns", "layer_pass", "column[c] = strip.mine && left", "column[c] = left"),
    Fault("constant C2", "layer_pass", "constexpr float C2 = ", "constexpr float C2 = 2.0f * "),
    Fault("constant C1", "target_pass", "constexpr float C1 = ", "constexpr float C1 = 2.0f * "),
    Fault("tap", "statistics", "TAPS[] = {0x1.", "TAPS[] = {0x1.1"),
    Fault("sign of the variance", "layer_pass", "by_variance = -(value", "by_variance = (value"),
    Fault(
        "order of the factors in the gradient",
        "layer_pass",
        "along[1][c], fmaf(y.value[c], along[2][c]",
        "along[2][c], fmaf(y.value[c], along[1][c]",
    ),
    Fault(
        "own layer in the product of the others",
        "layer_pass",
        "k - 1 < own ? k - 1 : k",
        "k - 1 < own ? k - 1 : k - 1",
    ),
    Fault("exposure left out", "layer_pass", "float product = constant * sheet[0]", "float product = sheet[0]"),
    Fault("guide weight", "layer_pass", "fmaf(-guide_weight,", "fmaf(-2.0f * guide_weight,"),
    Fault("squared error", "target_pass", "return 2.0f * (x - y);", "return x - y;"),
    Fault("layer of the sums", "terms", "(term - 3) * guide_blocks", "(term - 2) * guide_blocks"),
    Fault(
        "row of the next plane",
        "layer_pass",
        "strip.column < strip.place.width)",
        "strip.column <= strip.place.width)",
    ),
    Fault("turn not counted", "terms", "*turn += 1;", "*turn += 0;"),
]


def check(rng, folder, edits):
    """Raise AssertionError where the kernels are not right, in any of the modes."""
    target, guides, layers = problem(rng, 2, 1, 30, OWN + 12)
    assert pitch_of(OWN + 12) == OWN + 12, "without padding a store too far hits the next row"
    for reverse, early in MODES:
        device = HostDevice(folder, reverse=reverse, early=early, edits=edits)
        work = workspace(target, guides, layers, device)
        assert_right(work, target, guides, layers)
        first, second = work.advance([0.0] * 2)
        assert first == second, "every iteration has a line of its own"
        assert device.intact()


@each(FAULTS)
def test_planted_faults_are_caught(rng, folder, fault):
    assert_noticed(fault, lambda edits: check(rng, folder, edits))


def test_nothing_is_caught_in_what_is_right(rng, folder):
    check(rng, folder, {})


def test_a_barrier_in_different_places_is_refused(rng, folder):
    either = "if (threadIdx.x < 32) {\n__syncthreads();\n} else {\n\n__syncthreads();\n}  // everybody's fetches"
    fault = Fault("two barriers", "layer_pass", "__syncthreads();  // everybody's fetches", either)
    target, guides, layers = problem(rng, 1, 1, 5, 5)
    with pytest.raises(LaunchError):
        workspace(target, guides, layers, HostDevice(folder, edits=fault.edits)).evaluate()


_SANITIZED_RUN = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import numpy as np
from cuda_host.device import SANITIZED, HostDevice
from planted_faults import Fault
from mlsolve_kernels.iteration.cuda import CudaWorkspace
from mlsolve_kernels.iteration.objective import one_stack
rng = np.random.default_rng(0)
shapes = ((1, 13, 1), (1, 1, {own} + 1), (3, 30, 40), (1, 5, 32), (1, 12, {own}), (2, 11, 11))
for planes, height, width in shapes:
    for reverse in (False, True):
        for early in (False, True):
            guides = rng.random((2, planes, height, width)).astype(np.float32)
            device = HostDevice(
                Path({folder!r}), flags=SANITIZED, reverse=reverse, early=early, edits={edits}
            )
            work = CudaWorkspace(guides[0], guides, one_stack(0.5, 3, 10, 1), (0.1, 1.0), (0.8, 0.95), device)
            work.start(guides)
            work.evaluate()
print("clean")
"""

# Reads and writes out of range that go unseen on the numbers alone.
OUT_OF_RANGE = [
    Fault("a row below the plane", "layer_pass", "within(row, place.height)", "within(row, place.height + 1)"),
    Fault(
        "columns behind the last",
        "layer_pass",
        "fetches = within(column, pitch)",
        "fetches = within(column, pitch + 4)",
    ),
    Fault("a window too wide", "layer_pass", "k < COLUMNS / 2 + MARGIN; ++k", "k < COLUMNS / 2 + MARGIN + 1; ++k"),
    Fault(
        "sums of one block too many",
        "layer_pass",
        "+ blockIdx.z) * gridDim.y + blockIdx.y] = sum",
        "+ blockIdx.z + 1) * gridDim.y + blockIdx.y] = sum",
    ),
]


def sanitized(folder, edits):
    values = {"tests": str(Path(__file__).parent), "folder": str(folder), "own": OWN}
    return _SANITIZED_RUN.format(**values, edits=edits)


@pytest.mark.slow
def test_the_sanitizers_find_nothing(folder):
    run_sanitized(sanitized(folder, {}), clean=True)


@each(OUT_OF_RANGE)
def test_address_and_bounds_sanitizers(folder, fault):
    run_sanitized(sanitized(folder, f"{fault!r}.edits"), clean=False)


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
