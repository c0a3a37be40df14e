"""CupyDevice itself, with a CuPy made of NumPy: copies, launches, streams, graphs, memory.

What the real ones do with it only a GPU can show (test_cuda_device.py); that the names it calls exist is checked
against them here.
"""

import contextlib
import threading
import time
import types
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from cuda_host.arrangements import Both
from cuda_host.checks import assert_right, problem, state_of, workspace
from cuda_host.device import HostDevice, needs_compiler
from mlsolve.media import load_media
from mlsolve_kernels.adam import reference as adam
from mlsolve_kernels.adam.cuda import grid_for
from mlsolve_kernels.adam.step import Rates
from mlsolve_kernels.cuda import device as devices
from mlsolve_kernels.cuda.compiler import compilation_of_adam, compile_kernel
from mlsolve_kernels.cuda.cubin import resources_of
from mlsolve_kernels.cuda.device import CupyDevice, NoDeviceError, OutOfDeviceMemory
from mlsolve_kernels.cuda.geometry import CARRYING, pitch_of, resident_blocks
from mlsolve_kernels.cuda.source import KERNELS
from mlsolve_kernels.iteration.cuda import BATCH
from mlsolve_kernels.region import Region
from test_cuda_codes import assert_codes_right, assert_values_right
from test_cuda_resample import assert_resampled_right

pytestmark = needs_compiler


class Array(np.ndarray):
    """A device array, as far as it is used."""

    def get(self, stream=None):
        assert stream is Stream.current
        assert not stream.recording, "a copy to the host while a graph is recorded"
        return np.array(self)

    def set(self, host, stream):
        assert stream is Stream.current
        assert host.shape == self.shape
        self[...] = host


class Stream:
    """Runs what it is given at once, or records it."""

    current = None

    def __init__(self, non_blocking):
        assert non_blocking
        self.ptr, self.recording, self.recorded, self.ran = 7, False, [], 0
        self.before, self.device = [], Current.device()

    def __enter__(self):
        assert Current.device() == self.device, "a stream of another device"
        self.before.append(Stream.current)
        Stream.current = self
        return self

    def __exit__(self, *_):
        Stream.current = self.before.pop()

    def run(self, work):
        assert Current.device() == self.device
        if self.recording:
            self.recorded.append(work)
        else:
            self.ran += 1
            work()

    def begin_capture(self):
        self.recording, self.recorded = True, []

    def end_capture(self):
        self.recording = False
        works = self.recorded

        def launch(stream):
            assert stream is self
            assert Current.device() == self.device
            for work in works:
                work()

        return types.SimpleNamespace(launch=launch)

    def synchronize(self):
        pass


class Current:
    """Makes a device current in this thread; before, that is device 3."""

    entered = 0
    here = threading.local()

    def __init__(self, number):
        assert 0 <= number < 4
        self.number = number

    @classmethod
    def now(cls):
        return vars(cls.here).setdefault("now", [])

    @classmethod
    def device(cls):
        return cls.now()[-1] if cls.now() else 3

    def __enter__(self):
        Current.entered += 1
        self.now().append(self.number)

    def __exit__(self, *_):
        self.now().pop()


class FakeOutOfMemoryError(MemoryError):
    pass


class FakeRuntimeError(RuntimeError):
    pass


class FakeDriverError(RuntimeError):
    pass


class Cupy:
    """Told apart from others by itself."""

    def __init__(self, **names):
        vars(self).update(names)


def fake_cupy(folder, properties, free):
    """A CuPy whose kernels run on the host, and a driver that finds room for seven blocks of each."""
    host = HostDevice(folder)
    at = {}
    """The device of each array, by its address."""

    def occupancy(kernel, threads, dynamic):
        assert Current.now()
        assert kernel in KERNELS
        assert (threads % 32, dynamic) == (0, 0)
        return 7

    def zeros(shape, dtype):
        assert Stream.current is not None
        if np.prod(shape) * np.dtype(dtype).itemsize > free:
            raise FakeOutOfMemoryError
        array = host.zeros(*shape, dtype=dtype).view(Array)
        at[array.ctypes.data] = Current.device()
        return array

    def get_function(module, name):
        with open(module.path, "rb") as file:  # noqa: PTH123
            assert file.read(4) == b"\x7fELF"
        device = Current.device()

        def run(grid, block, arguments):
            assert Current.device() == device, "a kernel that was loaded by another device"
            assert all(at.get(a.ctypes.data, device) == device for a in arguments if isinstance(a, Array))
            assert all(isinstance(a, np.ndarray | np.int32 | np.float32) for a in arguments)
            values = [int(a) if isinstance(a, np.int32) else a for a in arguments]
            depends = name == "see" or name.startswith(("stack_pass", "layer_pass", "layer_step", "chain"))
            sheets = values[0].shape[0] if values[0].ndim == 4 else 1  # what is seen of a stack is one
            layers = sheets if depends else run.layers
            run.layers = layers
            Stream.current.run(lambda: host.launch(name, layers, grid, block[0], *values))

        run.layers = 2
        run.kernel = types.SimpleNamespace(ptr=name)
        return run

    module = type("RawModule", (), {"__init__": lambda self, path: setattr(self, "path", path)})
    module.get_function = get_function
    pool = types.SimpleNamespace(free_all_blocks=lambda: None, free_bytes=lambda: 100)
    runtime = types.SimpleNamespace(
        getDevice=Current.device,
        getDeviceCount=lambda: 4,
        getDeviceProperties=lambda number: properties,
        memGetInfo=lambda: (free - Current.device(), 2 * free),
        CUDARuntimeError=FakeRuntimeError,
    )
    cuda = types.SimpleNamespace(
        Device=Current,
        Stream=Stream,
        runtime=runtime,
        driver=types.SimpleNamespace(
            occupancyMaxActiveBlocksPerMultiprocessor=occupancy, CUDADriverError=FakeDriverError
        ),
        memory=types.SimpleNamespace(OutOfMemoryError=FakeOutOfMemoryError),
    )
    return Cupy(
        zeros=zeros,
        asarray=lambda array: np.array(array).view(Array),
        RawModule=module,
        cuda=cuda,
        get_default_memory_pool=lambda: pool,
    )


H100 = {
    "name": b"NVIDIA H100",
    "major": 9,
    "minor": 0,
    "multiProcessorCount": 132,
    "sharedMemPerMultiprocessor": 233472,
}


@pytest.fixture
def opened(tmp_path_factory, monkeypatch, nvrtc):
    """Open a CupyDevice on the fake."""

    def open_device(graphs=False, properties=H100, free=10**9, number=None):
        folder = tmp_path_factory.getbasetemp() / "cuda_cupy"  # kernels are compiled once for the module
        folder.mkdir(exist_ok=True)
        fake = open_device.cupy = fake_cupy(folder, properties, free) if number is None else open_device.cupy
        monkeypatch.setattr(devices, "import_cupy", lambda: fake)
        device = CupyDevice(graphs, number=number)
        Stream.made = device.stream
        return device

    return open_device


@pytest.mark.parametrize("shape", [(2, 3, 20, 33), (2, 1, 13, 7)])
def test_terms_and_gradient(rng, opened, shape):
    target, guides, layers = problem(rng, *shape)
    device = opened()
    assert device.name == "NVIDIA H100"
    assert_right(workspace(target, guides, layers, device), target, guides, layers)


def test_layers_come_back_as_they_were_put(rng, opened):
    target, guides, layers = problem(rng, 2, 3, 12, 33)
    work = workspace(target, guides, layers, opened())
    found = work.layers
    assert (found.shape, found.dtype) == (layers.shape, np.float32)
    np.testing.assert_array_equal(found, np.clip(layers, np.float32(0.073), 1))


def test_codes_values_and_layers_are_those_of_the_cpu(rng, opened):
    assert_codes_right(rng, opened())
    assert_values_right(rng, opened())
    assert_resampled_right(rng, opened())


def test_a_graph_repeats_the_iteration(rng, opened, tmp_path):
    """The first iteration runs as it is, for it compiles. Whole batches are replayed, and give the same bytes.

    A batch is recorded for either side on which the layers may be; a part of a batch is launched.
    """
    target, guides, layers = problem(rng, 2, 1, 14, 20)
    rates = [0.03 / (1 + t) for t in range(BATCH)]
    counts = (BATCH, BATCH, 3, BATCH, BATCH, 1, BATCH)
    results, replayed, ran = [], [], []
    for graphs in (None, False, True):
        device = HostDevice(tmp_path) if graphs is None else opened(graphs)
        work = workspace(target, guides, layers, device)
        before = 0 if graphs is None else device.stream.ran
        terms = [work.advance(rates[:count]) for count in counts]
        results.append((terms, state_of(work).tobytes()))
        if graphs is not None:
            ran.append(device.stream.ran - before)
            replayed.append(sorted(side for (side, _), replay in work._replays.items() if replay is not None))
    assert results[0] == results[1] == results[2]
    launches = len(work.parts())
    assert ran == [launches * sum(counts), launches * (BATCH + 3 + 1)]
    assert replayed == [[], [0, 1] if work._steps else [0]]


def test_a_graph_counts_whatever_region_is_prepared(rng, opened):
    target, guides, layers = problem(rng, 2, 1, 14, 20)
    results = []
    for graphs in (False, True):
        work = workspace(target, guides, layers, opened(graphs))
        found = work.advance([0.03, 0.02, 0.01])
        for step, counted in ((3, Region(2, 9, 3, 17)), (13, Region(2, 9, 3, 17)), (23, None)):
            work.prepare(step, None if counted is None else (counted,))
            found += work.advance([0.02] * BATCH)
        results.append((found, work.layers.tobytes()))
    assert len({repr(sums["guide_ssim"]) for sums in results[0][0]}) == 3 + 3 * BATCH
    assert results[0] == results[1]


@pytest.mark.parametrize("inks", [None, load_media("inkjet-film").inks])
def test_sheets_lie_otherwise_in_every_replay_of_a_graph(opened, tmp_path, inks):
    """A graph is recorded once, whatever becomes of moves, regions and weights: all of them lie on the device."""
    both, results = Both(2, slice(1), inks), []
    for graphs in (None, False, True):
        device = HostDevice(tmp_path) if graphs is None else opened(graphs)
        work = both.on(device)
        work.advance([0.01], both.lying[:1])
        before, lying = 0 if graphs is None else device.stream.ran, both.lying * (BATCH // 2)
        found = work.advance([0.03] * BATCH, lying)
        if graphs is not None:
            assert (device.stream.ran == before) is graphs
        work.prepare(4, both.counted[::-1], None, both.frames[::-1], both.image)
        found += work.advance([0.02] * BATCH, lying[::-1])
        results.append((found, state_of(work).tobytes()))
    assert results[0] == results[1] == results[2]


def test_a_graph_that_cannot_be_recorded_is_done_without(rng, opened, monkeypatch):
    """Kernel by kernel, from where the layers were, and nothing is tried again."""
    target, guides, layers = problem(rng, 2, 1, 14, 20)
    results = []
    for fails in (None, FakeRuntimeError, FakeDriverError):
        device = opened(True)
        work = workspace(target, guides, layers, device)
        recorded = []

        def end(stream, capture=Stream.end_capture, recorded=recorded, fails=fails):
            recorded.append(len(stream.recorded))
            graph = capture(stream)
            if fails is not None:
                raise fails
            return graph

        monkeypatch.setattr(Stream, "end_capture", end)
        found = [work.advance([0.03] * BATCH) for _ in range(3)]
        monkeypatch.undo()
        assert (len(recorded), device.records) == (1, fails is None)
        results.append((found, work.layers.tobytes()))
    assert results[0] == results[1] == results[2]


def test_two_threads_load_a_kernel_once(opened, monkeypatch):
    """Loading takes its time, and both ask for it at once."""
    device, started, loaded = opened(), threading.Barrier(2), []

    def slowly(kernel, layers, chip):
        loaded.append((kernel, layers))
        time.sleep(0.05)
        return compile_kernel(kernel, layers, chip)

    def ask():
        started.wait()
        return device.resident("codes", 4, 256)

    monkeypatch.setattr(devices, "compile_kernel", slowly)
    with ThreadPoolExecutor(2) as pool:
        answers = [pool.submit(ask) for _ in range(2)]
        assert len({answer.result() for answer in answers}) == 1
    assert loaded == [("codes", 4)]


def test_every_call_makes_the_device_current(rng, opened):
    """In whatever thread: there another device may be current, or none."""
    target, guides, layers = problem(rng, 2, 1, 14, 20)
    work = workspace(target, guides, layers, opened(True))
    before = Current.entered
    with ThreadPoolExecutor(1) as pool:
        pool.submit(work.advance, [0.03] * 3).result()
    assert Current.entered > before + 5
    assert Current.now() == []


@pytest.mark.parametrize("graphs", [False, True])
def test_several_devices_have_streams_kernels_and_arrays_of_their_own(rng, opened, graphs):
    """Whatever device is current where they are used, and in whatever thread; the fake refuses those of another."""
    target, guides, layers = problem(rng, 2, 1, 14, 20)
    devices_ = [opened(graphs), *(opened(graphs, number=number) for number in (0, 2))]
    assert [device.stream.device for device in devices_] == [3, 0, 2]
    works, found = [workspace(target, guides, layers, device) for device in devices_], []
    with ThreadPoolExecutor(1) as pool:
        for count in (1, BATCH, BATCH):
            found.append([pool.submit(work.advance, [0.03] * count).result() for work in works])
            assert found[-1][0] == found[-1][1] == found[-1][2]
    assert len({work.layers.tobytes() for work in works}) == 1
    for device in devices_:
        device.close()


def test_a_device_that_is_not_there_is_told_of(opened):
    opened()
    assert devices.gpu_count() == 4
    for number in (4, -1):
        with pytest.raises(NoDeviceError) as told:
            opened(number=number)
        assert str(told.value) == f"there is no GPU {number}, the driver shows GPUs 0 to 3: use one of them"


def test_no_driver_shows_no_gpus():
    assert devices.gpu_count() == 0


def test_blocks_that_run_at_a_time(opened, monkeypatch):
    """As the driver says; else as the cubin says; and where that says nothing, what any kernel has room for."""
    device = opened()
    assert device.resident("layer_pass", 3, 64) == 7 * 132
    monkeypatch.delattr(opened.cupy.cuda.driver, "occupancyMaxActiveBlocksPerMultiprocessor")
    taken = resources_of(compile_kernel("codes", 3, 90), "codes")
    counted = resident_blocks(taken.registers, taken.shared, 64, H100["sharedMemPerMultiprocessor"])
    assert counted > 4
    assert device.resident("codes", 3, 64) == counted * 132
    monkeypatch.setattr(devices, "resources_of", lambda code, kernel: None)
    assert device.resident("codes", 3, 64) == 4 * 132


def test_out_of_memory(opened):
    device = opened(free=1000)
    assert device.free_memory() == 1100 - 3
    assert opened(number=1).free_memory() == 1100 - 1
    with pytest.raises(OutOfDeviceMemory):
        device.zeros(1000)


def test_adam_is_told_of(opened):
    assert opened().adam == compilation_of_adam(90)


def test_adam(rng, opened):
    """One launch of `update`, with the arguments in their order."""
    device, rows, width = opened(), 5, 300
    arrays = [device.zeros(rows, pitch_of(width)) for _ in range(4)]
    for array in arrays:
        device.upload(rng.random(array.shape, dtype=np.float32), array)
    before = [device.download(array) for array in arrays]
    rates, turns = device.zeros(3, 8), device.zeros(2, dtype=np.int32)
    device.upload(np.array([Rates.at(t, 0.03, (0.1, 0.9), (0.8, 0.95)) for t in (1, 2, 3)], np.float32), rates)
    device.upload(np.array([[9, 1]], dtype=np.int32).reshape(2), turns)
    size = rows, width, pitch_of(width)
    device.launch("update", 1, grid_for(rows, width), CARRYING, *arrays, rates, turns, *size)
    assert device.download(turns).tolist() == [2, 1]
    moved, moments = adam.step(*before[:1], before[1:3], before[3], 2, 0.03, (0.1, 0.9), (0.8, 0.95))
    for array, expected in zip(arrays, (moved, *moments, before[3]), strict=True):
        np.testing.assert_allclose(device.download(array)[:, :width], expected[:, :width], rtol=1e-5)


def test_an_old_gpu_is_refused(opened):
    with pytest.raises(NoDeviceError, match=r"^NVIDIA H100 has compute capability 6\.1, 7\.5 is needed"):
        opened(properties={**H100, "major": 6, "minor": 1})


def test_a_driver_that_fails_is_told_in_one_line(opened, monkeypatch):
    def fail(self, non_blocking):
        raise RuntimeError("driver too old\nand more lines")

    monkeypatch.setattr(Stream, "__init__", fail)
    with pytest.raises(
        NoDeviceError, match=r"^NVIDIA H100 does not work \(driver too old\): bring its driver"
    ) as told:
        opened()
    assert "\n" not in str(told.value)


NAMES = """
    RawKernel.kernel RawModule.get_function asarray copyto empty_like get_default_memory_pool ndarray.get zeros
    cuda.Device.__enter__ cuda.Event cuda.Graph.launch cuda.MemoryPool.free_all_blocks cuda.MemoryPool.free_bytes
    cuda.MemoryPool.total_bytes cuda.Stream.begin_capture cuda.Stream.end_capture cuda.Stream.null
    cuda.Function.ptr cuda.Stream.synchronize cuda.driver.occupancyMaxActiveBlocksPerMultiprocessor
    cuda.get_elapsed_time cuda.memory.OutOfMemoryError cuda.runtime.driverGetVersion
    cuda.runtime.getDevice cuda.runtime.getDeviceCount cuda.runtime.getDeviceProperties
    cuda.runtime.memGetInfo cuda.runtime.runtimeGetVersion cuda.runtime.CUDARuntimeError
    cuda.driver.CUDADriverError
"""


def test_the_names_exist_in_cupy():
    cupy = pytest.importorskip("cupy", reason="needs CUDA's packages: pip install 'mlsolve[cuda13]'")
    for path in NAMES.split():
        found = cupy
        for name in path.split("."):
            found = getattr(found, name)


def test_streams_are_left_as_they_were(opened):
    device = opened()
    with contextlib.suppress(OutOfDeviceMemory):
        device.zeros(10**10)
    assert Stream.current is None
    device.close()
