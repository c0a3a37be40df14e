"""On a GPU: the checks of test_cuda_host.py once more, the same bytes as on the host, whole solves, sanitizers.

Run by `make test-gpu`; without a GPU these tests fail rather than pass by.
"""

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import mlsolve
import test_tiles_of_kernels
from cuda_host.arrangements import Both
from cuda_host.checks import (
    BETAS,
    BOUNDS,
    CASES,
    OBJECTIVE,
    assert_padding_is_zero,
    assert_right,
    problem,
    relative_error,
    state_of,
    statistics_by,
    workspace,
)
from cuda_host.device import HostDevice, needs_compiler
from mlsolve.errors import DeviceMemoryError
from mlsolve.media import load_media, media_names
from mlsolve.solving.backends import CudaBackend
from mlsolve_kernels.adam.cuda import grid_for
from mlsolve_kernels.adam.reference import step
from mlsolve_kernels.adam.step import Rates
from mlsolve_kernels.cuda.device import CupyDevice, OutOfDeviceMemory
from mlsolve_kernels.cuda.geometry import CARRYING, OWN, pitch_of
from mlsolve_kernels.iteration import reference
from mlsolve_kernels.iteration.cuda import BATCH
from mlsolve_kernels.iteration.cuda_arranged import ArrangedCudaWorkspace
from mlsolve_kernels.iteration.reference import iterate
from mlsolve_kernels.ssim.reference import statistics
from mlsolve_kernels.threads import Team
from test_arrangements import arranged_moves, case, filled
from test_cuda_codes import assert_codes_right, assert_values_right
from test_cuda_inks import Passes
from test_cuda_resample import assert_resampled_right
from test_cuda_tiles import RATES, tiles_differ

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def device():
    """The GPU."""
    device = CupyDevice()
    yield device
    device.close()


@pytest.mark.parametrize("shape", [*CASES, (5, 3, 100, 3 * OWN), (3, 3, 700, 333)])
def test_terms_and_gradient(rng, device, shape):
    target, guides, layers = problem(rng, *shape)
    assert_right(workspace(target, guides, layers, device), target, guides, layers)


def test_flat_and_extreme_pictures(rng, device):
    target, guides, layers = problem(rng, 2, 1, 30, 40)
    guides[0], layers[0] = 0.5, 0.5
    guides[1, :, :, 20:], layers[1] = 0.0, BOUNDS[0]
    target[...] = 0.9
    work = workspace(target, guides, layers, device)
    work.evaluate()
    assert relative_error(work.gradient, reference.gradient(layers, target, guides, OBJECTIVE)) < 1e-4


@needs_compiler
@pytest.mark.parametrize("shape", [*CASES, (3, 3, 61, 2 * OWN + 9)])
def test_the_host_gives_the_same_bytes(rng, device, tmp_path, shape):
    """Arithmetic is strict on both sides, so what is proven on the host holds here."""
    target, guides, layers = problem(rng, *shape)
    here, there = (workspace(target, guides, layers, on) for on in (device, HostDevice(tmp_path)))
    found, expected = here.evaluate(), there.evaluate()
    assert here.gradient.tobytes() == there.gradient.tobytes()
    assert found == expected
    assert here.advance([0.0] * 3) == there.advance([0.0] * 3)  # by the pass that also takes the step
    assert here.layers.tobytes() == there.layers.tobytes()


def test_statistics(rng, device):
    image = rng.random((2, 60, OWN + 3)).astype(np.float32)
    expected = statistics(image, image)
    for found, right in zip(statistics_by(device, image), (expected.mean_x, expected.variance_x), strict=True):
        np.testing.assert_allclose(found, right, atol=3e-7)


def test_codes_values_and_layers_are_those_of_the_cpu(rng, device):
    assert_codes_right(rng, device)
    assert_values_right(rng, device)
    assert_resampled_right(rng, device)


def test_adam(rng, device):
    width, rows = 300, 70
    host = [rng.random((rows, width), dtype=np.float32) for _ in range(4)]
    arrays = [device.zeros(rows, pitch_of(width)) for _ in host]
    for values, array in zip(host, arrays, strict=True):
        device.upload(values, array)
    rates, turns = device.zeros(2, 8), device.zeros(2, dtype=np.int32)
    lines = [Rates.at(2, 0.03, BOUNDS, BETAS), Rates.at(3, 0.03, BOUNDS, BETAS)]
    device.upload(np.array(lines, dtype=np.float32), rates)
    size = rows, width, pitch_of(width)
    device.launch("update", 1, grid_for(rows, width), CARRYING, *arrays, rates, turns, *size)
    assert device.download(turns).tolist() == [1, 0]
    moved, moments = step(
        host[0].astype(np.float64), (host[1], host[2]), host[3].astype(np.float64), 2, 0.03, BOUNDS, BETAS
    )
    for array, expected in zip(arrays[:3], (moved, *moments), strict=True):
        found = device.download(array)
        np.testing.assert_allclose(found[:, :width], expected, rtol=1e-5)
        assert not found[:, width:].any()


def test_iterations(rng, device):
    target, guides, layers = problem(rng, 3, 3, 64, 80)
    rates = [0.03 / (1 + t) for t in range(BATCH + 5)]
    work = workspace(target, guides, layers, device)
    terms = work.advance(rates[:BATCH]) + work.advance(rates[BATCH:])
    clipped = np.clip(layers.astype(np.float64), *BOUNDS)
    expected = iterate(clipped, target, guides, OBJECTIVE, rates, BOUNDS, BETAS)
    assert np.abs(work.layers - expected).mean() < 1e-5
    at = iterate(clipped, target, guides, OBJECTIVE, rates[:7], BOUNDS, BETAS)
    right = OBJECTIVE.loss(reference.terms(at, target, guides, OBJECTIVE))
    assert OBJECTIVE.loss(terms[7].terms(work.pixels, OBJECTIVE)) == pytest.approx(right, rel=1e-4)


COUNTS = (BATCH, BATCH, 1, BATCH, BATCH, 3, BATCH)
"""Steps of calls: whole batches while the layers are on either side."""


@pytest.mark.parametrize("fuses_adam", [True, False])
def test_a_graph_gives_the_same_bytes(rng, device, fuses_adam):
    target, guides, layers = problem(rng, 3, 1, 90, 131)
    results = []
    for graphs in (True, False, True):
        on = CupyDevice(graphs=graphs, fuses_adam=fuses_adam)
        work = workspace(target, guides, layers, on)
        terms = [work.advance([0.03 / (1 + t) for t in range(count)]) for count in COUNTS]
        results.append((terms, state_of(work).tobytes()))
        sides = {side for (side, _), replay in work._replays.items() if replay is not None}
        assert sides == (({0, 1} if fuses_adam else {0}) if graphs else set())
        assert_padding_is_zero(work)
    assert results[0] == results[1] == results[2]


def test_a_step_in_the_layer_pass_is_that_of_a_kernel_of_its_own(rng, device):
    """From equal gradients: the sums of the first step to the quantum, moments and layers as near as roots are."""
    target, guides, layers = problem(rng, 3, 2, 70, 2 * OWN + 9)
    found = []
    for fuses_adam in (True, False):
        work = workspace(target, guides, layers, CupyDevice(fuses_adam=fuses_adam))
        first, state = work.advance([0.03]), state_of(work)
        work.advance([0.03 / (1 + t) for t in range(5)])
        work.evaluate()
        found.append((first, state, work.layers))
    assert found[0][0] == found[1][0]
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-6, atol=1e-7)
    # Where a gradient is next to nothing its sign is chance, and Adam first takes the whole rate by the sign.
    assert np.abs(found[0][2] - found[1][2]).mean() < 1e-6


def test_sums_do_not_depend_on_the_order_in_which_blocks_come(rng, device):
    """The same table every time, also of blocks that have no number: atomics add whole numbers."""
    target, guides, layers = problem(rng, 3, 3, 400, 600)
    layers[1, 0, 9, 7] = layers[1, 0, 300, 500] = np.nan
    work, tables = workspace(target, guides, layers, device), set()
    for _ in range(10):
        work.start(layers)
        (sums,) = work.advance([0.01])
        assert np.isnan(sums["stack_ssim"][0])
        assert np.isnan(sums["guide_ssim"]).tolist() == [False, True, False]
        tables.add(device.download(work._table).tobytes())
    assert len(tables) == 1


def test_tiles_are_the_whole(rng, device, monkeypatch):
    monkeypatch.setattr(test_tiles_of_kernels, "RATES", RATES)
    assert tiles_differ(rng, device, size=(150, 2 * OWN + 30), tile=(64, 97)) is None


INKS = load_media("inkjet-film").inks._replace(room=0.03)


@pytest.mark.parametrize("inks", [None, INKS])
@pytest.mark.parametrize("windows", [1, 2])
def test_arrangements_are_those_of_the_cpu(device, windows, inks):
    Both(windows, inks=inks).assert_found(device)


@pytest.mark.parametrize("name", media_names())
def test_passes_of_inks_have_the_bits_of_the_cpu(device, name):
    for size, windows in (((11, 40), 2), ((300, 333), 1)):
        Passes(name, size, windows, True).assert_found(device)


@pytest.mark.parametrize(("hide", "weighted", "round_"), [(0.0, False, False), (0.3, True, True)])
def test_arrangements_of_large_sheets(rng, device, hide, weighted, round_):
    """Several strips, pieces and squares, against the CPU."""
    case_, team = case(rng, (333, 333), 3, hide, weighted, round_), Team()
    here, there = filled(*case_, device, ArrangedCudaWorkspace), filled(*case_, team)
    for turn in (0, 5):
        found, expected = (work.evaluate(arranged_moves((333, 333), turn)) for work in (here, there))
        for one, right in zip(found, expected, strict=True):
            assert one == pytest.approx(right, abs=1e-6)
        assert relative_error(here.gradient, there.gradient) < 1e-5
    team.close()


@needs_compiler
def test_the_host_gives_the_same_bytes_of_arrangements(device, tmp_path):
    """And a graph, replayed while the sheets lie otherwise every time. At rate 0 no layer depends on a root."""
    for both in (Both(1), Both(2), Both(2, inks=INKS)):
        results = []
        for on in (device, CupyDevice(graphs=False), HostDevice(tmp_path)):
            work = both.on(on)
            sums = work.advance([0.0], both.lying[:1]) + work.advance([0.0] * BATCH, both.lying * (BATCH // 2))
            work.evaluate(both.lying[1])
            results.append((sums, work.gradient.tobytes(), work.layers.tobytes()))
        assert results[0] == results[1] == results[2]


def test_two_devices_from_two_threads(rng):
    """Two streams; of two GPUs where there are as many. What each gives is what it gives alone."""
    import cupy

    problems = [problem(rng, 3, 1, 300, 500), problem(rng, 2, 3, 260, 700)]

    def solve(number):
        with cupy.cuda.Device(number % cupy.cuda.runtime.getDeviceCount()):
            device = CupyDevice()
        work = workspace(*problems[number], device)
        found = [work.advance(RATES) for _ in range(20)]
        return found, work.layers.tobytes()

    alone = [solve(number) for number in (0, 1)]
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(solve, (0, 1))) == alone


def test_a_whole_solve_is_that_of_the_cpu(picture):
    pictures = picture(300, 260), [picture(300, 260, seed) for seed in (1, 2, 3)]
    here, there = (
        mlsolve.solve(*pictures, mlsolve.Options(exposure=0.1, backend=backend)) for backend in ("cuda", "cpu")
    )
    assert here.device is not None
    assert here.scores.target_ssim == pytest.approx(there.scores.target_ssim, abs=1e-3)
    np.testing.assert_allclose(here.scores.guide_ssim, there.scores.guide_ssim, atol=1e-3)


def test_run_and_info(mlsolve, save, picture, device):
    assert device.name in mlsolve("info").out
    run = mlsolve("run", save("t.png", picture(80, 90)), "--layers", 2, "--iterations", 12, "--out", "o")
    assert run.status == 0
    assert device.name in run.out


def test_out_of_memory_is_told(device):
    free = device.free_memory()
    with pytest.raises(OutOfDeviceMemory):
        device.zeros(free, dtype=np.float32)  # four bytes each
    backend = CudaBackend(BETAS, device)
    backend.check_memory((3, 3, 600, 600))
    side = int((free / 4 / 12) ** 0.5) + 2000  # twelve float32 a pixel
    with pytest.raises(DeviceMemoryError, match=rf"need .* GB of memory on the {device.name}, .* GB are free"):
        backend.check_memory((1, 1, side, side))


_ITERATE = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import numpy as np
from cuda_host.arrangements import Both
from mlsolve.media import load_media
from mlsolve_kernels.cuda.device import CupyDevice
from mlsolve_kernels.iteration.cuda import CudaWorkspace
from mlsolve_kernels.iteration.objective import one_stack
from test_cuda_codes import assert_codes_right, assert_values_right
from test_cuda_resample import assert_resampled_right
device = CupyDevice()
rng = np.random.default_rng(0)
for count, planes, height, width in ((1, 1, 1, 1), (3, 3, 37, 129), (16, 1, 60, 20)):
    guides = rng.random((count, planes, height, width)).astype(np.float32)
    work = CudaWorkspace(guides[0], guides, one_stack(0.5, 3, 10, 1), (0.1, 1.0), (0.8, 0.95), device)
    work.start(guides)
    work.advance([0.03, 0.02])
    print(work.layers.mean())
    work.evaluate()
for both in (Both(1), Both(2), Both(2, inks=load_media("inkjet-film").inks)):
    both.on(device).advance([0.03] * 2, both.lying)
separate = CupyDevice(graphs=False, fuses_adam=False)
Both(2, slice(2)).on(separate).advance([0.03])
assert_codes_right(rng, device)
assert_values_right(rng, device)
assert_resampled_right(rng, device)
"""


@pytest.mark.parametrize("tool", ["memcheck", "racecheck", "synccheck", "initcheck"])
def test_compute_sanitizer(tool, tmp_path):
    command = shutil.which("compute-sanitizer") or shutil.which("compute-sanitizer", path="/usr/local/cuda/bin")
    if command is None:
        pytest.skip("needs compute-sanitizer: it comes with the CUDA toolkit")
    script = tmp_path / "iterate.py"
    script.write_text(_ITERATE)
    # numba-cuda's driver layer asks for functions that a driver need not have; to memcheck these are errors.
    flags = ["--report-api-errors", "no"] if tool == "memcheck" else []
    done = subprocess.run(
        [command, "--tool", tool, *flags, "--error-exitcode", "9", sys.executable, str(script)],
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
