"""The CUDA backend as the solver sees it, on the host device; and what becomes of machines without a GPU."""

import gc
import json
import re
import warnings
import weakref
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

import mlsolve
from cuda_host.device import HostDevice, needs_compiler
from mlsolve.job.job_file import load_job
from mlsolve.media import load_media
from mlsolve.pictures.code_steps import code_steps
from mlsolve.run import lifecycle
from mlsolve.run.job_spec import opened, planes_of_pictures
from mlsolve.run.pace import STAGES, Pace
from mlsolve.solving import backends
from mlsolve.solving.level_pictures import code_table
from mlsolve.solving.rounds import Round
from mlsolve.solving.spec import Spec, stack_specs
from mlsolve.solving.tile_coupling import coupling_at
from mlsolve_kernels.cuda import device as devices
from mlsolve_kernels.cuda.device import NoDeviceError, OutOfDeviceMemory
from mlsolve_kernels.cuda.geometry import LONGEST_PIECE, OWN, grid_for, pitch_of, resident_blocks
from mlsolve_kernels.iteration import cuda as cuda_objective
from mlsolve_kernels.iteration.cuda import BATCH, CudaWorkspace, device_bytes
from mlsolve_kernels.iteration.cuda_state import TABLES, CudaState
from mlsolve_kernels.iteration.objective import Shape, one_stack
from mlsolve_kernels.window import REACH

OPTIONS = mlsolve.Options(iterations=2, exposure=0.2)


@pytest.fixture
def on_host(tmp_path_factory, monkeypatch):
    """Let the backend find a host device where it looks for a GPU; the test may take memory from it."""
    made = []

    class Found(HostDevice):
        memory = 10**9

        def __init__(self, graphs=True, fuses_adam=True, number=None):
            super().__init__(tmp_path_factory.mktemp("kernels"), fuses_adam=fuses_adam)
            made.append(self)

        def free_memory(self):
            return self.memory

    monkeypatch.setattr(backends, "open_device", Found)
    Found.made = made
    return Found


@pytest.fixture
def pictures(picture):
    return picture(40, 48), [picture(40, 48, seed) for seed in (1, 2)]


@needs_compiler
@pytest.mark.parametrize(
    ("solver", "where"),
    [("adam", f"in the layer pass, {HostDevice.adam}"), ("newton", "newton, in a kernel of its own")],
)
def test_a_whole_solve_is_that_of_the_cpu(on_host, pictures, tmp_path, solver, where):
    """Every kernel, launch and copy of a solve, on several levels; scores as from the CPU."""
    settings = {"iterations": 12, "exposure": 0.2, "levels": 2, "solver": solver}
    here = mlsolve.solve(*pictures, mlsolve.Options(backend="cuda", **settings))
    there = mlsolve.solve(*pictures, mlsolve.Options(backend="cpu", **settings))
    assert (here.backend, here.device, here.adam) == ("cuda", "host", where)
    assert (there.backend, there.device, there.adam) == ("cpu", None, None)
    for solution in (here, there):
        report = json.loads((solution.save(tmp_path / solution.backend) / "result.json").read_text())
        assert (report["device"], report["adam"]) == (solution.device, solution.adam)
    assert len(here.history) == len(there.history)
    assert here.scores.target_ssim == pytest.approx(there.scores.target_ssim, abs=1e-3)
    assert here.scores.target_psnr == pytest.approx(there.scores.target_psnr, abs=0.1)
    np.testing.assert_allclose(here.scores.guide_ssim, there.scores.guide_ssim, atol=1e-3)
    assert here.history[0].loss == pytest.approx(there.history[0].loss, abs=1e-6)


@needs_compiler
def test_auto_takes_the_gpu_and_the_report_names_it(on_host, mlsolve, save, picture, tmp_path):
    target, guide = save("t.png", picture(24, 24)), save("g.png", picture(24, 24, 1))
    run = mlsolve("run", target, "-g", guide, "-g", guide, "--iterations", 3, "--out", "o")
    assert run.status == 0
    assert re.search(r"3 iterations in [\d.]+ s on the host$", run.out.splitlines()[0])
    assert on_host.made
    assert 'backend = "cuda"' in (tmp_path / "o" / "job.toml").read_text()


@needs_compiler
def test_what_a_gpu_cannot_hold_comes_to_it_in_tiles(on_host, mlsolve, save, picture, tmp_path):
    """Two tiles at a time, of one plane and less than its height; the bytes are those of the whole."""
    target, guide = save("t.png", picture(300, 40)), save("g.png", picture(300, 40, 1))
    command = ("run", target, "-g", guide, "-g", "mosaic:1", "--iterations", 2, "--levels", 2, "--backend", "cuda")
    assert mlsolve(*command, "--out", "whole").status == 0
    opened = len(on_host.made)
    on_host.memory = int(1.5 * (device_bytes(2, 1, 300, 40) - TABLES)) + 2 * TABLES
    assert mlsolve(*command, "--out", "tiles").status == 0
    assert len(on_host.made) == opened + 3  # one to ask what there is, two that compute
    for name in ("layer-1.png", "layer-2.png", "history.csv"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "tiles" / name).read_bytes()


@needs_compiler
def test_few_bytes_come_and_make_no_difference(on_host, picture, monkeypatch):
    """Pictures and masks as codes, layers at half the size: the bytes are those of what the CPU makes of them."""
    arrangements = [mlsolve.Arrangement(picture(30, 40)), mlsolve.Arrangement(picture(30, 40, 5), exposure=0.2)]
    arrangements[1] = replace(arrangements[1], mask=picture(30, 40, 6))
    problem = mlsolve.Problem([picture(30, 40, seed) for seed in (1, 2)], arrangements)
    solved, sent, upload = [], [], on_host.upload

    def uploaded(self, host, to):
        sent[-1][host.dtype.name, host.shape] += 1
        upload(self, host, to)

    monkeypatch.setattr(on_host, "upload", uploaded)
    for remote in (True, False):
        sent.append(Counter())
        monkeypatch.setattr(CudaState, "remote", remote)
        solved.append(mlsolve.solve(problem, options=mlsolve.Options(iterations=3, backend="cuda", levels=2)))
    few, many = sent
    # Two targets and two guides of three planes, and a mask; two layers, which begin as the guides.
    assert few["float32", (30, 40)] == 0
    assert few["uint16", (30, 40)] == few["uint16", (15, 20)] == 4 * 3 + 1
    assert few["float32", (15, 20)] == 2 * 2 * 3
    assert many["float32", (30, 40)] == many["float32", (15, 20)] == 4 * 3 + 1 + 2 * 3
    assert solved[0].layers.tobytes() == solved[1].layers.tobytes()
    assert solved[0].history == solved[1].history


@pytest.mark.parametrize("carriers", ["auto", "off"])
@needs_compiler
def test_arrangements_are_those_of_the_cpu(on_host, picture, carriers):
    """Two stacks, one of turned sheets that shall bear lying off and hide the picture; scores as from the CPU."""
    turned = [mlsolve.Placement(2, rotate=90), mlsolve.Placement(1, flip="h")]
    arrangements = [
        mlsolve.Arrangement(picture(40, 40)),
        mlsolve.Arrangement(picture(40, 40, 5), turned, exposure=0.2, mask=picture(40, 40, 6)),
    ]
    problem = mlsolve.Problem([picture(40, 40, seed) for seed in (1, 2)], arrangements, "disc")
    settings = {"iterations": 12, "exposure": 0.2, "levels": 1, "registration": 1.0, "hide_weight": 0.5}
    settings |= {"carriers": carriers}
    here = mlsolve.solve(problem, options=mlsolve.Options(backend="cuda", **settings))
    there = mlsolve.solve(problem, options=mlsolve.Options(backend="cpu", **settings))
    assert (here.backend, there.backend) == ("cuda", "cpu")
    assert here.exposures == there.exposures
    for mine, yours in zip(here.scores.stacks, there.scores.stacks, strict=True):
        assert mine.ssim == pytest.approx(yours.ssim, abs=2e-3)
        assert mine.leak == pytest.approx(yours.leak, abs=2e-3)
    assert here.history[0].loss == pytest.approx(there.history[0].loss, abs=1e-6)
    assert here.history[-1].loss == pytest.approx(there.history[-1].loss, abs=1e-3)


@pytest.mark.parametrize("name", ["inkjet-film", "laser-film"])
@needs_compiler
def test_device_codes_are_those_of_the_cpu(on_host, picture, name):
    """Layers for a printer and film, on two levels, by the path of arrangements; scores as from the CPU."""
    pictures, settings = (
        (picture(30, 36), [picture(30, 36, seed) for seed in (1, 2)]),
        {"iterations": 8, "levels": 2},
    )
    found = []
    for backend in ("cuda", "cpu"):
        options = mlsolve.Options(backend=backend, exposure=0.2, room=10.0, **settings)
        found.append(mlsolve.solve(*pictures, options, media=load_media(name)))
    here, there = found
    assert (here.device, there.device, here.adam) == ("host", None, f"in a kernel of its own, {HostDevice.adam}")
    assert here.scores.target_ssim == pytest.approx(there.scores.target_ssim, abs=1e-3)
    np.testing.assert_allclose(here.scores.guide_ssim, there.scores.guide_ssim, atol=1e-3)
    assert here.history[0].loss == pytest.approx(there.history[0].loss, abs=1e-6)
    assert here.history[-1].loss == pytest.approx(there.history[-1].loss, abs=1e-3)


@needs_compiler
def test_device_codes_come_to_a_gpu_in_tiles(on_host, mlsolve, save, picture, tmp_path, monkeypatch):
    """Two tiles at a time, of all planes; the bytes are those of the whole."""
    monkeypatch.setattr(lifecycle, "_TILE_ON_GPU", 200)
    target, guide = save("t.png", picture(24, 1000)), save("g.png", picture(24, 1000, 1))
    command = ("run", target, "-g", guide, "-g", "mosaic:1", "--iterations", 2, "--levels", 1, "--exposure", 0.2)
    command += ("--media", "inkjet-film", "--backend", "cuda")
    assert mlsolve(*command, "--out", "whole").status == 0
    opened = len(on_host.made)
    objective = replace(one_stack(0.5, 3, 10, 1), inks=load_media("inkjet-film").inks)
    on_host.memory = int(0.9 * backends.device_need(Shape(2, 3, 24, 1000), objective))
    assert mlsolve(*command, "--out", "tiles").status == 0
    assert len(on_host.made) == opened + 3
    for name in ("layer-1.png", "layer-2.png", "history.csv"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "tiles" / name).read_bytes()


@pytest.mark.slow
@needs_compiler
def test_turned_sheets_come_to_a_gpu_in_tiles(on_host, mlsolve, save, picture, tmp_path):
    """Tiles that half turns lay on each other, two pairs at a time; the bytes are those of the whole."""
    target, other, guide = (save(f"{seed}.png", picture(24, 1000, seed)) for seed in (0, 1, 2))
    (tmp_path / "job.toml").write_text(
        f'guides = ["{guide.name}", "{other.name}"]\niterations = 2\nlevels = 1\n'
        f'[[arrangement]]\ntarget = "{target.name}"\nexposure = 0.2\n'
        f'[[arrangement]]\ntarget = "{other.name}"\nexposure = 0.1\nplace = [1, {{layer = 2, rotate = 180}}]\n'
    )
    command = ("run", "--job", tmp_path / "job.toml", "--backend", "cuda")
    assert mlsolve(*command, "--out", "whole").status == 0
    before = len(on_host.made)
    # Room for one plane of it, and for two tiles of half that size at a time, each with its tables.
    whole = coupling_at(problem_of(tmp_path / "job.toml"), 1).whole.device_need(2, 1, (24, 1000))
    on_host.memory = int(1.1 * (whole - TABLES)) + 2 * TABLES
    assert mlsolve(*command, "--out", "tiles").status == 0
    assert len(on_host.made) == before + 3
    for name in ("layer-1.png", "layer-2.png", "history.csv"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "tiles" / name).read_bytes()


def problem_of(path):
    """What a job of one level is for tasks."""
    job = load_job(path)
    stacks, planes = (
        stack_specs(job.arrangements, job.options, len(job.guides)),
        planes_of_pictures(job, opened(job)),
    )
    return Spec(len(job.guides), 3, ((24, 1000),), planes, job.options, "cuda", stacks)


@pytest.mark.slow
@needs_compiler
@pytest.mark.filterwarnings("default")
def test_a_run_whose_gpu_is_taken_away_is_solved_on_the_cpu(on_host, mlsolve, save, picture, tmp_path, monkeypatch):
    target, guide = save("t.png", picture(30, 40)), save("g.png", picture(30, 40, 1))
    command = ("run", target, "-g", guide, "--iterations", 3, "--levels", 2)
    assert mlsolve(*command, "--backend", "cpu", "--out", "cpu").status == 0
    zeros = on_host.zeros

    def taken(self, *shape, dtype=np.float32):
        if shape[-2:] == (30, pitch_of(40)):  # at the second level
            raise OutOfDeviceMemory
        return zeros(self, *shape, dtype=dtype)

    monkeypatch.setattr(on_host, "zeros", taken)
    done = mlsolve(*command, "--out", "auto")
    assert done.status == 0
    assert "computing on the CPU" in done.err
    assert json.loads((tmp_path / "auto" / "result.json").read_text())["backend"] == "cpu"
    assert (tmp_path / "cpu" / "layer-1.png").read_bytes() == (tmp_path / "auto" / "layer-1.png").read_bytes()
    refused = mlsolve(*command, "--backend", "cuda", "--out", "cuda")
    assert refused.status == 2
    assert "GB of memory on the host" in refused.err.splitlines()[-1]


@needs_compiler
def test_info_names_the_gpu(on_host, mlsolve):
    assert re.search(r"^devices +host, 1 GB free$", mlsolve("info").out, re.M)


@needs_compiler
def test_too_little_device_memory(on_host, pictures):
    on_host.memory = 1000
    with pytest.raises(mlsolve.BackendError, match=r"2 layers of 48×40 pixels need .* GB .* 1e-06 GB are free"):
        mlsolve.solve(*pictures, mlsolve.Options(backend="cuda"))
    with pytest.warns(UserWarning, match=r"2 layers .* are free: computing on the CPU$"):
        solution = mlsolve.solve(*pictures, OPTIONS)
    assert solution.backend == "cpu"


@needs_compiler
def test_memory_that_is_gone_in_the_middle_of_a_solve(on_host, pictures, monkeypatch):
    """Another program took it: the solve begins again on the CPU, or says so in one line."""

    def out_of_memory(self, *shape, dtype=np.float32):
        raise OutOfDeviceMemory

    monkeypatch.setattr(on_host, "zeros", out_of_memory)
    with pytest.raises(mlsolve.BackendError, match=r"need .* GB of memory on the host, 1 GB are free"):
        mlsolve.solve(*pictures, mlsolve.Options(backend="cuda", levels=1))
    with pytest.warns(UserWarning, match="computing on the CPU"):
        solution = mlsolve.solve(*pictures, OPTIONS)
    cpu = mlsolve.solve(*pictures, mlsolve.Options(iterations=2, exposure=0.2, backend="cpu"))
    np.testing.assert_array_equal(solution.layers, cpu.layers)
    assert len(solution.history) == len(cpu.history)


@needs_compiler
def test_a_solve_takes_no_more_than_is_said_and_gives_it_back(on_host, pictures, monkeypatch):
    """One level's arrays at a time, none left when the backend is closed, without the garbage collector's help."""
    held, peaks, at_close = {}, [0], []

    def zeros(self, *shape, dtype=np.float32):
        array = HostDevice.zeros(self, *shape, dtype=dtype)
        held[id(array)] = array.nbytes
        weakref.finalize(array, held.pop, id(array))
        peaks.append(sum(held.values()))
        return array

    monkeypatch.setattr(on_host, "zeros", zeros)
    monkeypatch.setattr(on_host, "close", lambda self: at_close.append(sum(held.values())))
    gc.disable()
    try:
        mlsolve.solve(*pictures, mlsolve.Options(iterations=2, backend="cuda", levels=2))
    finally:
        gc.enable()
    assert at_close == [0]
    assert max(peaks) <= device_bytes(2, 3, 40, 48) + 100_000  # and the sums of the blocks


@needs_compiler
def test_what_an_attempt_took_does_not_count_as_taken(on_host, pictures, monkeypatch):
    """Memory gives out in the middle of a workspace: what is free is asked once that is gone."""
    held = {}

    def zeros(self, *shape, dtype=np.float32):
        if len(held) > 5:
            raise OutOfDeviceMemory
        array = HostDevice.zeros(self, *shape, dtype=dtype)
        held[id(array)] = array.nbytes
        weakref.finalize(array, held.pop, id(array))
        return array

    monkeypatch.setattr(on_host, "zeros", zeros)
    monkeypatch.setattr(on_host, "free_memory", lambda self: 10**9 - 10**6 * len(held))
    with pytest.raises(mlsolve.BackendError, match=r" 1 GB are free: use"):
        mlsolve.solve(*pictures, mlsolve.Options(backend="cuda", levels=1))


def test_auto_says_what_keeps_it_from_the_gpu(monkeypatch, pictures):
    """A driver is here, so a GPU may be; what is missing can be installed."""
    monkeypatch.setattr(devices, "driver_is_here", lambda: True)
    monkeypatch.setattr(devices, "find_spec", lambda name: None)
    with pytest.warns(UserWarning, match=r"^not using the GPU: CuPy is not installed: pip install "):
        assert mlsolve.solve(*pictures, mlsolve.Options(iterations=1)).backend == "cpu"


@needs_compiler
def test_a_gpu_that_fails_at_the_first_launch_is_not_used(monkeypatch, tmp_path, pictures):
    """Opening it shows nothing yet; an iteration does."""

    class Broken(HostDevice):
        def __init__(self, graphs, fuses_adam, number=None):
            super().__init__(tmp_path, fuses_adam=fuses_adam)

        def launch(self, *arguments):
            raise RuntimeError("CUDA_ERROR_UNSUPPORTED_PTX_VERSION\nand more")

    monkeypatch.setattr(cuda_objective, "CupyDevice", Broken)
    with pytest.raises(mlsolve.BackendError, match=r"host does not work \(CUDA_ERROR_UNSUPPORTED_PTX"):
        mlsolve.solve(*pictures, mlsolve.Options(backend="cuda"))
    with pytest.warns(UserWarning, match="not using the GPU: host does not work"):
        assert mlsolve.solve(*pictures, mlsolve.Options(iterations=1)).backend == "cpu"


@needs_compiler
def test_a_gpu_that_computes_wrongly_is_not_used(monkeypatch, tmp_path):
    class Wrong(HostDevice):
        def __init__(self, graphs, fuses_adam, number=None):
            super().__init__(tmp_path, fuses_adam=fuses_adam)

        def download(self, array, width=None):
            return super().download(array, width) * 0.5

    monkeypatch.setattr(cuda_objective, "CupyDevice", Wrong)
    with pytest.raises(NoDeviceError, match="an iteration gives"):
        cuda_objective.open_gpu()
    monkeypatch.setattr(Wrong, "download", HostDevice.download)
    assert cuda_objective.open_gpu().name == "host"


def test_pace_of_iterations_that_come_in_batches():
    """Ten steps at once every second are ten a second, not a million, and not thirteen."""
    options = mlsolve.Options(iterations=40, levels=1)
    pace, now, left = Pace(), 0.0, {}
    pace.begin(Spec(1, 1, ((64, 64),), (1, 1), options, "cuda"), [1.0])
    pace.at_round(Round(1, 1, 0, 40, "guides", "", 1.0, False, (64, 64), (64, 64), True), 0.0)
    for iteration in range(1, 41):
        now += 1.0 if iteration % 10 == 1 else 1e-5
        pace.at_iteration(1, iteration)
        left[iteration] = pace.left(now)
    after = STAGES["cuda"]["writing"] + STAGES["cuda"]["scoring"]  # these come on top, in iterations
    assert left[1] is None
    for iteration in (11, 21, 31):
        assert left[iteration] == pytest.approx((40 - iteration + after) / 10, abs=0.1)


@needs_compiler
def test_stopping_keeps_the_batch(on_host, pictures):
    """The callback sees every iteration that is in the result, and what it says holds at the end of the batch."""
    seen = []

    def watch(step):
        seen.append(step.iteration)
        return step.iteration == 3

    solution = mlsolve.solve(*pictures, mlsolve.Options(iterations=25, backend="cuda", levels=1), watch)
    assert solution.stop == "callback"
    assert seen == list(range(1, BATCH + 1))
    assert len(solution.history) == BATCH


def test_a_machine_without_a_gpu_computes_on_the_cpu(pictures):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert mlsolve.solve(*pictures, mlsolve.Options(iterations=1)).backend == "cpu"


def test_what_is_missing_is_said(monkeypatch):
    monkeypatch.setattr(devices, "driver_is_here", lambda: True)
    monkeypatch.setattr(devices, "find_spec", lambda name: None)
    with pytest.raises(mlsolve.BackendError) as refused:
        mlsolve.solve(np.zeros((20, 20)), [np.zeros((20, 20))], mlsolve.Options(backend="cuda"))
    assert str(refused.value) == (
        "backend is cuda: CuPy is not installed: pip install 'mlsolve[cuda13]', or 'mlsolve[cuda12]' for drivers "
        "before 580"
    )


def test_a_driver_without_a_gpu(monkeypatch):
    """CuPy is there and is asked; here it finds neither driver nor GPU."""
    pytest.importorskip("cupy", reason="needs CUDA's packages: pip install 'mlsolve[cuda13]'")
    monkeypatch.setattr(devices, "driver_is_here", lambda: True)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    import cupy

    if cupy.cuda.is_available():
        pytest.skip("asks what is said where there is none, and this machine has a GPU: run it elsewhere")
    with pytest.raises(
        NoDeviceError, match=r"^no NVIDIA GPU can be used \(.+\): bring the driver up to date, or pip install "
    ):
        devices.CupyDevice()


@pytest.mark.parametrize(
    ("height", "width"), [(1, 1), (11, 11), (600, 600), (2048, 2048), (7087, 10630), (3, 20000)]
)
@pytest.mark.parametrize("resident", [1, 80, 660])
def test_grids_cover_the_image_once(height, width, resident):
    grid = grid_for(3, height, width, resident)
    assert grid.rows <= max(LONGEST_PIECE, 1)
    assert (grid.pieces - 1) * grid.rows < height <= grid.pieces * grid.rows
    assert (grid.strips - 1) * OWN < width <= grid.strips * OWN
    assert grid.blocks == 3 * grid.strips * grid.pieces
    assert max(grid.strips, grid.pieces) <= 65535


def test_a_device_is_kept_busy():
    """A picture of 600×600 has few strips: its rows are divided so that most of a large device works."""
    grid = grid_for(9, 600, 600, 132 * 5)
    assert grid.blocks > 132 * 5 / 2
    waves = -(-grid.blocks // 660)
    assert waves * (grid.rows + 2 * REACH) < 2 * (600 + 2 * REACH) * grid.planes * grid.strips / 660 + 2 * REACH


def test_blocks_by_registers_and_by_shared_memory():
    """Of 180 or 201 registers two warps fit at each of four schedulers, whatever is left over; of 168 three."""
    assert resident_blocks(180, 24656, 64, 228 * 1024) == 4
    assert resident_blocks(201, 24656, 64, 228 * 1024) == 4
    assert resident_blocks(168, 24656, 64, 228 * 1024) == 6
    assert resident_blocks(168, 65536, 64, 228 * 1024) == 3
    assert resident_blocks(255, 24656, 64, 64 * 1024) == 2
    assert resident_blocks(32, 100, 64, 228 * 1024) == 16
    assert resident_blocks(32, 100, 256, 228 * 1024) == 4
    assert resident_blocks(255, 70000, 1024, 64 * 1024) == 1


@needs_compiler
def test_device_memory_is_what_is_said(tmp_path):
    """All arrays of a workspace together take what is asked for beforehand, the plane in passing left out.

    The tables come to it when codes are put or taken, and with them the codes of the plane, in passing.
    """
    taken = []

    class Counting(HostDevice):
        def zeros(self, *shape, dtype=np.float32):
            array = super().zeros(*shape, dtype=dtype)
            taken.append(array.nbytes)
            return array

    guides = np.zeros((3, 3, 64, 96), dtype=np.float32)
    work = CudaWorkspace(guides[0], guides, one_stack(1, 1, 1, 1), (0.1, 1), (0.8, 0.95), Counting(tmp_path))
    plane = 4 * 64 * pitch_of(96)
    said = device_bytes(3, 3, 64, 96)
    assert said - plane - TABLES <= sum(taken) <= said - TABLES
    table, codes = code_steps(16), np.zeros((64, 96), dtype=np.uint16)
    for full_size in (False, True):
        work.put_guide(0, 0, codes, table=code_table(full_size))
    work.take_codes(0, 0, table.floors, table.steps, codes)
    in_passing = 2 * codes.nbytes  # of the three copies one at a time is there
    assert said - plane <= sum(taken) - in_passing <= said
