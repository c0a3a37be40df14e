"""Several GPUs in one machine: which are used, that they share the tiles, and that the bytes are those of one."""

import contextlib
import json
import threading
import warnings

import numpy as np
import pytest

import tasks
import test_arranged_rounds
import test_rounds
from cuda_host.device import HostDevice, needs_compiler
from mlsolve import Options
from mlsolve.errors import BackendError, DeviceMemoryError, OptionError, StoreError
from mlsolve.run.budget import Budget, _device_share
from mlsolve.run.gpus import Gpu, checked_devices, choose_gpus, parse_devices, same_gpus
from mlsolve.solving import backends
from mlsolve.solving import plan as planning
from mlsolve.solving.backends import CudaBackend
from mlsolve.solving.executors.gpu import Devices
from mlsolve.solving.executors.resources import current
from mlsolve.solving.executors.serial import Serial
from mlsolve.solving.plan import Limits
from mlsolve.solving.spec import BETAS, Spec
from mlsolve.solving.store import MemoryStore
from mlsolve_kernels.cuda import device as devices
from mlsolve_kernels.iteration.objective import Shape, one_stack

OBJECTIVE = one_stack(0.5, 1.0, 1.0, 1.0)
SHAPE = Shape(2, 1, 40, 48)
ENOUGH = 10**9


class Machine:
    """What a machine has: names and free memory of its GPUs; None: one that does not work."""

    def __init__(self, *found):
        self.gpus = dict(enumerate(found))
        self.opened, self.closed = [], []

    def open_device(self, graphs=True, fuses_adam=True, number=None):
        self.opened.append(number)
        if self.gpus.get(number) is None:
            raise BackendError(f"backend is cuda: there is no GPU {number}: use another")
        name, memory = self.gpus[number]
        return type(
            "Found",
            (),
            {
                "name": name,
                "adam": "by hand",
                "fuses_adam": True,
                "free_memory": lambda self: memory,
                "close": lambda one: self.closed.append(number),
            },
        )()


@pytest.fixture
def machine(monkeypatch):
    """A function that says which GPUs there are."""

    def has(*found):
        made = Machine(*found)
        monkeypatch.setattr(backends, "open_device", made.open_device)
        monkeypatch.setattr(devices, "gpu_count", lambda: len(found))
        return made

    return has


@contextlib.contextmanager
def warned(*words):
    """Exactly these warnings."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        yield
    assert [str(one.message) for one in found] == list(words)


def chosen(backend="cuda", named=None):
    return choose_gpus(backend, SHAPE, OBJECTIVE, named)


def test_all_gpus_of_the_first_one_s_kind_are_used_and_closed(machine):
    there = machine(("H100", ENOUGH), ("T4", ENOUGH), ("H100", ENOUGH - 5), ("H100", ENOUGH + 5))
    words = "not using GPU 1: it is a T4, which gives other bytes than the H100 that is GPU 0"
    with warned(words):
        found = chosen("auto")
    assert found == Gpu("H100", "in the layer pass, by hand", ENOUGH - 5, (0, 2, 3))
    assert there.opened == there.closed == [0, 1, 2, 3]
    with warned():
        assert chosen("auto", (3, 0)).numbers == (3, 0)
        assert chosen("auto", (1,)) == found._replace(name="T4", memory=ENOUGH, numbers=(1,))


def test_a_gpu_that_does_not_work_is_left_out(machine):
    machine(None, ("H100", ENOUGH), ("H100", 1000), ("H100", ENOUGH))
    little = (
        "not using GPU 2: 2 layers of 48×40 pixels need 0.000281 GB of memory on the H100, 1e-06 GB are free: "
        "use --backend cpu or a smaller size"
    )
    with pytest.warns(UserWarning, match="not using GPU") as heard:
        assert chosen().numbers == (1, 3)
    first, second = (str(one.message) for one in heard)
    assert first == "not using GPU 0: there is no GPU 0: use another"
    assert second.split("need")[0] == little.split("need")[0]
    assert second.endswith("on the H100, 1e-06 GB are free: use --backend cpu or a smaller size")


def test_gpus_that_are_named_are_used_or_refused(machine):
    machine(("H100", ENOUGH), ("T4", ENOUGH), ("H100", 1000), None)
    for backend in ("auto", "cuda"):
        for named, kind, words in (
            ((0, 3), BackendError, "devices is 0,3: there is no GPU 3: use another"),
            ((0, 2), DeviceMemoryError, "devices is 0,2: 2 layers of 48×40 pixels need "),
            (
                (0, 1),
                OptionError,
                "devices is 0,1: GPU 1 is a T4 and GPU 0 a H100, which give different bytes, so name",
            ),
        ):
            with warned(), pytest.raises(kind) as refused:
                chosen(backend, named)
            assert str(refused.value).startswith(words)
            assert "\n" not in str(refused.value)


def test_where_no_gpu_works_the_first_says_why(machine):
    machine(None, None)
    with warned(), pytest.raises(BackendError, match=r"^backend is cuda: there is no GPU 0: use another$"):
        chosen()
    with warned():
        assert chosen("auto") == Gpu()
    machine(("H100", 1000))
    with pytest.warns(UserWarning, match=r"H100, 1e-06 GB are free: computing on the CPU$"):
        assert chosen("auto") == Gpu()


def test_the_cpu_has_no_devices(machine):
    there = machine(("H100", ENOUGH))
    assert chosen("cpu") == Gpu()
    with pytest.raises(OptionError, match=r"^devices is 0,2: backend is cpu, leave --devices out$"):
        chosen("cpu", (0, 2))
    spec = Spec(2, 1, ((20, 30),), (1, 1, 1), Options(), "cpu")
    assert same_gpus(spec, None) == Gpu()
    with pytest.raises(OptionError, match=r"^devices is 0: the run was begun on the CPU, leave --devices out$"):
        same_gpus(spec, (0,))
    assert not there.opened


def test_a_run_goes_on_with_other_gpus_of_the_kind(machine):
    """However little memory they have: tiles are then smaller."""
    machine(("H100", 1000), ("H100", 500))
    spec = Spec(2, 1, ((20, 30),), (1, 1, 1), Options(), "cuda")
    assert same_gpus(spec, None)[2:] == (500, (0, 1))
    assert same_gpus(spec, (0,))[2:] == (1000, (0,))


@pytest.mark.parametrize(("text", "numbers"), [("0", (0,)), ("0,2", (0, 2)), (" 7 , 1 ", (7, 1))])
def test_devices_as_text(text, numbers):
    assert parse_devices(text) == numbers
    assert Budget(devices=numbers).devices == numbers
    assert Budget(devices=[np.int64(number) for number in numbers]).devices == numbers


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "devices is '': give numbers of GPUs with commas between them, as in 0,2"),
        ("0;2", "devices is '0;2': give numbers of GPUs with commas between them, as in 0,2"),
        ("-1", "devices is '-1': give numbers of GPUs with commas between them, as in 0,2"),
        ("0,,2", "devices is '0,,2': give numbers of GPUs with commas between them, as in 0,2"),
        ("²", "devices is '²': give numbers of GPUs with commas between them, as in 0,2"),
        ("0,256", "devices is 256: it must be from 0 to 255"),
        ("9" * 30, "devices is 999999999: it must be from 0 to 255"),
        ("0,2,0", "devices is 0,2,0: GPU 0 is there twice, name it once"),
    ],
)
def test_devices_that_are_none_are_refused_in_one_line(mlsolve, text, words):
    for verb in (("run", "t.png"), ("estimate", "--size", 60), ("resume", "o")):
        assert mlsolve(*verb, f"--devices={text}").refusal.removeprefix("mlsolve: ").strip() == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ((), "devices is empty: name at least one GPU, or leave it out"),
        ("0,2", r"devices is '0,2': give numbers of GPUs, as in \(0, 2\)"),
        (2, r"devices is 2: give numbers of GPUs, as in \(0, 2\)"),
        ((1.5,), "devices is 1.5: it must be a whole number from 0 to 255"),
        ((True,), "devices is True: it must be a whole number from 0 to 255"),
        ((-1,), "devices is -1: it must be from 0 to 255"),
    ],
)
def test_devices_in_python_are_checked(value, words):
    with pytest.raises(OptionError, match=f"^{words}$"):
        Budget(devices=value)


def test_devices_beside_a_cluster_are_refused():
    with pytest.raises(OptionError, match=r"^devices is 0 beside cluster local:2: leave devices out"):
        checked_devices((0,), "local:2")
    with pytest.raises(OptionError, match=r"^devices is 0 beside cluster local:2: leave devices out"):
        Budget(devices=(0,), cluster="local:2")


def test_memory_and_tiles_are_shared_by_all_gpus():
    alone, three = (Budget(4 << 30).on(Gpu("H100", None, ENOUGH, numbers)) for numbers in ((2,), (0, 2, 3)))
    assert (alone.workers, alone.at_once, three.workers, three.at_once) == (2, 1, 6, 3)
    assert (three.device, three.gpus) == (ENOUGH, (0, 2, 3))
    assert three.on(Gpu()) == Budget(4 << 30)
    assert (Budget(processes=4).workers, Budget(processes=4).at_once) == (4, 1)
    spec = Spec(2, 1, ((20, 30),), (1, 1, 1), Options(), "cuda")
    assert _device_share(alone, spec) == int(0.95 * ENOUGH)
    assert _device_share(three, spec) == int(0.95 * ENOUGH) // 2


class Stream:
    """A backend that notes when it is closed, and may fail to."""

    def __init__(self, number, closed, fails=False):
        self.number, self._closed, self._fails = number, closed, fails

    def close(self):
        self._closed.append(self.number)
        if self._fails:
            raise RuntimeError("an illegal address was met before")


def gpu_beside(folder, number, others):
    """Return the GPU of this task, once so many tasks are under way."""
    tasks.meet(folder, number, others)
    return current().backend.number


@pytest.mark.parametrize(("numbers", "at_once"), [((0, 1), 2), ((4, 0, 2), 3), ((0, 1), 4), ((1,), 2)])
def test_no_gpu_has_two_tiles_while_another_has_none(numbers, at_once, tmp_path):
    closed = []
    executor = Devices(lambda number: Stream(number, closed), numbers)
    assert executor.workers == 2 * len(numbers)
    for turn in range(3):
        calls = [(tmp_path, turn * at_once + k, at_once) for k in range(at_once)]
        found = sorted(gpu for _, gpu in executor.map(gpu_beside, calls))
        assert found == sorted((*numbers,) * (at_once // len(numbers)))
    executor.close()
    assert sorted(closed) == sorted((*numbers, *numbers))


def test_the_gpu_that_is_least_busy_has_the_next_tile():
    """One has still its second tile, the other is done with all."""
    executor = Devices(lambda number: Stream(number, []), (0, 1))
    tiles = [executor._stream() for _ in range(3)]
    assert [tile.__enter__().backend.number for tile in tiles] == [0, 1, 0]
    for tile in tiles[:2]:
        tile.__exit__(None, None, None)
    with executor._stream() as next_tile:
        assert next_tile.backend.number == 1
    tiles[2].__exit__(None, None, None)
    executor.close()


def test_a_tile_that_fails_on_one_gpu_ends_the_run_and_all_are_closed(tmp_path):
    """Though one of them cannot even be closed any more."""
    closed = []
    executor = Devices(lambda number: Stream(number, closed, number == 1), (0, 1, 2))
    with pytest.raises(StoreError, match=r"^the store is damaged: delete it$"):
        list(executor.map(tasks.fail_at, [(tmp_path, number, 5, executor.workers) for number in range(40)]))
    began, ended = ({path.name[6:] for path in tmp_path.glob(f"{word}-*")} for word in ("began", "ended"))
    assert began - ended == {"5"}
    with pytest.raises(RuntimeError, match="illegal address"):
        executor.close()
    assert sorted(closed) == [0, 0, 1, 1, 2, 2]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("mlsolve-gpu")]


def test_one_tile_after_another_takes_one_workspace(tmp_path):
    executor = Devices(lambda number: Stream(number, []), (0, 1))
    found = {backend for k in range(5) for _, backend in executor.map(tasks.backend_of_one, [()])}
    assert len(found) == 1
    executor.close()


@pytest.fixture
def hosts(tmp_path_factory, monkeypatch):
    """A machine with so many host devices; each stream has libraries of its own, as a library has one memory."""
    made = []

    class Found(HostDevice):
        memory = ENOUGH

        def __init__(self, graphs=True, fuses_adam=True, number=None):
            super().__init__(tmp_path_factory.mktemp("kernels"), fuses_adam=fuses_adam)
            self.number, self.closed, self.launches = number, 0, 0
            made.append(self)

        def launch(self, *arguments):
            self.launches += 1
            super().launch(*arguments)

        def free_memory(self):
            return self.memory

        def close(self):
            self.closed += 1

    def has(count):
        made.clear()
        monkeypatch.setattr(backends, "open_device", Found)
        monkeypatch.setattr(devices, "gpu_count", lambda: count)
        return made

    return has


def interrupt(*_):
    """Ctrl-C, twice."""
    raise KeyboardInterrupt


def cut_anyway(monkeypatch):
    """Let tiles and halos be cheap, so that small levels are cut."""
    monkeypatch.setattr(planning, "TASK_ON_GPU", 0.0)
    monkeypatch.setattr(planning, "cost_of", lambda *_: 1.0)


@needs_compiler
@pytest.mark.parametrize("count", [2, 3])
def test_several_gpus_compute_what_one_does(hosts, monkeypatch, count):
    """Tiles of 24 pixels, more than there are streams; every GPU has some."""
    monkeypatch.setattr(test_rounds, "SHAPES", ((22, 40), (43, 79)))
    made, options = hosts(count), Options(iterations=4, levels=2, exposure=0.1, seed=3)

    def opened(number):
        return CudaBackend(BETAS, number=number)

    one = test_rounds.solved(MemoryStore(), Limits(), Serial(opened(0)), options=options, planes=1)
    test_rounds.forced(monkeypatch, 24, 2)
    made.clear()
    numbers = tuple(range(count))
    several = test_rounds.solved(MemoryStore(), Limits(), Devices(opened, numbers), options=options, planes=1)
    assert several[0].tobytes() == one[0].tobytes()
    assert tuple(several[1]) == tuple(one[1])
    assert sorted(device.number for device in made) == sorted((*numbers, *numbers))
    assert {device.number for device in made if device.launches} == set(numbers)
    assert {device.closed for device in made} == {1}


@needs_compiler
@pytest.mark.slow
def test_turned_sheets_on_several_gpus_are_those_of_one(hosts, monkeypatch):
    made = hosts(2)

    def opened(number):
        return CudaBackend(BETAS, number=number)

    changes = {"side": 261, "levels": 1}  # three tiles a side: four corners, four edges, one in the middle
    one = test_arranged_rounds.solved(MemoryStore(), "quarter turns", Serial(opened(0)), **changes)
    cut_anyway(monkeypatch)
    made.clear()
    limits = Limits(device=ENOUGH, at_once=2)
    several = test_arranged_rounds.solved(
        MemoryStore(), "quarter turns", Devices(opened, (0, 1)), limits, planes=1, **changes
    )
    assert several == one
    assert {device.number for device in made if device.launches} == {0, 1}


@needs_compiler
def test_a_run_on_several_gpus_has_the_bytes_of_a_run_on_one(hosts, mlsolve, save, picture, tmp_path, monkeypatch):
    """A print that one GPU holds is cut by its planes; so small a print only because tiles cost nothing here."""
    cut_anyway(monkeypatch)
    made = hosts(3)
    target, guide = save("t.png", picture(40, 48)), save("g.png", picture(40, 48, 1))
    command = ("run", target, "-g", guide, "-g", "mosaic:1", "--iterations", 2, "--levels", 1, "--backend", "cuda")
    for name, more, numbers in (
        ("one", ("--devices", "1"), {1}),
        ("two", ("--devices", "2,0"), {0, 2}),
        ("all", (), {0, 1, 2}),
    ):
        made.clear()
        assert mlsolve(*command, *more, "--out", name).status == 0
        assert {device.number for device in made if device.launches} == numbers
        assert {device.closed for device in made} == {1}
        assert json.loads((tmp_path / name / "result.json").read_text())["device"] == "host"
        for file in ("layer-1.png", "layer-2.png", "history.csv", "stack.png"):
            assert (tmp_path / name / file).read_bytes() == (tmp_path / "one" / file).read_bytes()
    assert (
        "devices is 0,1: backend is cpu" in mlsolve(*command[:-1], "cpu", "--devices", "0,1", "--out", "o").refusal
    )


@needs_compiler
def test_a_run_is_taken_up_by_more_gpus(hosts, mlsolve, save, picture, tmp_path, monkeypatch):
    """It is stopped on one at the end of its first round."""
    cut_anyway(monkeypatch)
    made = hosts(1)
    target, guide = save("t.png", picture(40, 48)), save("g.png", picture(40, 48, 1))
    command = ("run", target, "-g", guide, "-g", "mosaic:1", "--iterations", 2, "--levels", 2, "--backend", "cuda")
    assert mlsolve(*command, "--out", "whole").status == 0
    with monkeypatch.context() as patch:
        patch.setattr("mlsolve.solving.levels._commit", interrupt)
        assert mlsolve(*command, "--out", "later").status == 130
    assert {device.number for device in made} == {0}
    made = hosts(2)
    assert mlsolve("resume", "later").status == 0
    assert {device.number for device in made if device.launches} == {0, 1}
    assert (tmp_path / "later" / "layer-1.png").read_bytes() == (tmp_path / "whole" / "layer-1.png").read_bytes()


@needs_compiler
def test_an_estimate_counts_the_gpus(hosts, mlsolve):
    """It asks each of them what it is; the rehearsals are on one."""
    made = hosts(2)
    done = mlsolve("estimate", "--size", 60, "--layers", 2, "--grey", "--iterations", 12, "--backend", "cuda")
    assert "on the cuda backend, 2 GPUs:" in done.out
    assert [device.number for device in made].count(1) == 1
