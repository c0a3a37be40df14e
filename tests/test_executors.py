"""Who carries tasks out: each call once, errors reach the caller, nothing is left behind; what a process keeps."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path

import pytest

import tasks
import test_rounds
from conftest import ROOT, environment
from cuda_host.device import HostDevice, needs_compiler
from mlsolve.errors import BackendError, ProcessError, StoreError
from mlsolve.job.options import Options
from mlsolve.solving.backends import CpuBackend, CudaBackend
from mlsolve.solving.executors.gpu import Devices
from mlsolve.solving.executors.processes import Processes
from mlsolve.solving.executors.resources import current, provide, provided
from mlsolve.solving.executors.serial import Serial
from mlsolve.solving.executors.threads import Threads, without_backend
from mlsolve.solving.plan import Limits
from mlsolve.solving.spec import BETAS, Spec
from mlsolve.solving.store import MemoryStore
from mlsolve_kernels.iteration.objective import Shape

killing = pytest.mark.skipif(os.name != "posix", reason="Windows has no SIGKILL: run it elsewhere")


class StandIn:
    """A backend of nothing: it makes workspaces of nothing, and knows how many of them are there."""

    def __init__(self, number=None):
        self.number, self.made, self.closed = number, [], 0

    @property
    def alive(self):
        return [made() for made in self.made if made() is not None]

    def workspace(self, *key):
        assert not self.alive, "the one before still takes its memory"
        work = type("Work", (), {"key": key})()
        self.made.append(weakref.ref(work))
        return work

    def close(self):
        self.closed += 1


@pytest.fixture(scope="module")
def processes():
    executor = Processes(2, 1)
    yield executor
    executor.close()


@pytest.fixture(params=["serial", "processes", "devices", "threads", "one thread"])
def executor(request):
    """Each of the executors; the processes are the same for all tests, as what they do leaves nothing."""
    if request.param == "processes":
        yield request.getfixturevalue("processes")
        return
    make = {
        "serial": lambda: Serial(StandIn()),
        "devices": lambda: Devices(StandIn, [0]),
        "threads": lambda: Threads(2),
    }
    made = make.get(request.param, lambda: Threads(1))()
    yield made
    made.close()


def names(folder):
    return {path.name for path in folder.iterdir()}


def running(pid):
    """Whether a process is there and has not ended; one whose end nobody has asked for is a zombie."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"


def wait_until_ended(pids):
    end = time.monotonic() + 60
    while any(running(pid) for pid in pids):
        assert time.monotonic() < end, "they go on for ever"
        time.sleep(0.05)


def test_every_call_is_carried_out_once(executor, tmp_path):
    """Whatever comes first, each result has the number of its call."""
    found = list(executor.map(tasks.square, [(tmp_path, number) for number in range(3, 40)]))
    assert sorted(found) == [(number - 3, number * number) for number in range(3, 40)]
    assert sorted(int(name.split("-")[0]) for name in names(tmp_path)) == list(range(3, 40))
    assert list(executor.map(tasks.square, [])) == []


def test_what_a_task_raises_reaches_the_caller_when_the_others_have_ended(executor, tmp_path):
    heard = []
    with pytest.raises(StoreError, match=r"^the store is damaged: delete it$"):
        heard.extend(executor.map(tasks.fail_at, [(tmp_path, number, 4, executor.workers) for number in range(40)]))
    assert_all_have_ended(tmp_path, executor, len(heard))


def test_a_caller_that_has_had_enough_is_left_when_the_others_have_ended(executor, tmp_path):
    heard = []

    def hear():
        for number, _ in executor.map(tasks.fail_at, [(tmp_path, number, 60, 1) for number in range(40)]):
            heard.append(number)
            if number == 4:
                raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        hear()
    assert_all_have_ended(tmp_path, executor, len(heard))


def test_tasks_without_a_backend_have_threads_of_their_own_or_the_processes(processes, tmp_path):
    with without_backend(processes, 3) as found:
        assert found is processes
    serial = Serial(StandIn())
    with without_backend(serial, 3) as found:
        # Three at a time, as each waits for two others; in this process.
        assert {pid for _, pid in found.map(tasks.meet, [(tmp_path, number, 3) for number in range(6)])} == {
            os.getpid()
        }
    serial.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("mlsolve-pictures")]


def assert_all_have_ended(folder, executor, heard):
    """That no task is under way, few were begun, and none is when others are carried out.

    heard: results that the caller had. Beyond these no more than one for each worker, and one more, are submitted.
    """
    found = names(folder)
    began, ended = ({int(n.split("-")[1]) for n in found if n.startswith(word)} for word in ("began", "ended"))
    assert began - ended <= {4}
    assert 4 in began
    assert began <= set(range(heard + executor.workers + 1))
    assert sorted(executor.map(pow, [(2, 3), (3, 2)])) == [(0, 8), (1, 9)]
    assert names(folder) == found


def test_as_many_tasks_run_at_a_time_as_there_are_workers(executor, tmp_path):
    found = dict(executor.map(tasks.meet, [(tmp_path, number, executor.workers) for number in range(4)]))
    processes = set(found.values())
    assert len(processes) == (2 if isinstance(executor, Processes) else 1)
    assert (os.getpid() in processes) != isinstance(executor, Processes)


def test_a_process_has_the_threads_it_is_to_have_and_leaves_ctrl_c_to_its_parent(processes):
    assert list(processes.map(tasks.interrupt, [()])) == [(0, True)]
    assert list(processes.map(tasks.threads, [()])) == [(0, 1)]
    more = Processes(1, 3)
    assert list(more.map(tasks.threads, [()])) == [(0, 3)]
    more.close()


def test_closing_ends_all_processes(tmp_path):
    executor = Processes(2, 1)
    pids = set(dict(executor.map(tasks.meet, [(tmp_path, number, 2) for number in range(2)])).values())
    assert len(pids) == 2
    assert all(map(running, pids))
    executor.close()
    assert not any(map(running, pids))


@killing
def test_a_process_that_is_killed_is_told_in_one_line(tmp_path):
    executor = Processes(2, 1)
    for calls in ([(tmp_path, number, 3) for number in range(40)], [(tmp_path, 0, 3)]):  # once, and ever after
        with pytest.raises(ProcessError) as error:
            list(executor.map(tasks.kill_at, calls))
        message = str(error.value)
        assert message.startswith(
            "a process of --processes 2 ended unexpectedly, most likely because memory ran out:"
        )
        assert message.endswith("use fewer --processes or a smaller --memory")
        assert "\n" not in message
        assert error.value.__cause__ is None
        assert error.value.__suppress_context__
        pids = {int(name.split("-")[2]) for name in names(tmp_path) if name.startswith("began")}
        assert len(pids) == 2
        assert not any(map(running, pids))
    executor.close()


ORPHANS = """
import sys, tasks
from pathlib import Path
from mlsolve.solving.executors.processes import Processes

if __name__ == "__main__":
    executor, folder = Processes(2, 1), Path(sys.argv[1])
    for _, process in executor.map(tasks.meet, [(folder, 0, 2), (folder, 1, 2)]):
        print(process, flush=True)
    list(executor.map(tasks.kill_at, [(folder, 1, 0)]))
"""


@killing
def test_processes_end_when_the_one_that_started_them_is_killed(tmp_path):
    """One of them at rest, one in the middle of a task that never ends."""
    script = tmp_path / "orphans.py"
    script.write_text(ORPHANS)
    path = os.pathsep.join([str(ROOT / "tests"), *sys.path])
    command = [sys.executable, str(script), str(tmp_path)]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, env={**environment(), "PYTHONPATH": path})
    pids = {int(parent.stdout.readline()) for _ in range(2)}
    tasks.wait_for(tmp_path / "waits")
    assert len(pids) == 2
    assert all(map(running, pids))
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    wait_until_ended(pids)


def test_each_stream_of_a_device_has_a_backend_of_its_own(tmp_path):
    made = []
    executor = Devices(lambda number: made.append(StandIn(number)) or made[-1], [5])
    found = dict(executor.map(tasks.backend_of, [(tmp_path, number) for number in range(4)]))
    assert set(found.values()) == {id(backend) for backend in made}
    assert [backend.number for backend in made] == [5, 5]
    assert [backend.closed for backend in made] == [0, 0]
    executor.close()
    assert [backend.closed for backend in made] == [1, 1]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("mlsolve-gpu")]


@pytest.mark.parametrize(("numbers", "opened"), [([0], 1), ([0, 2], 1), ([0, 2, 3], 4)])
def test_devices_of_which_one_cannot_be_opened_are_given_back(numbers, opened):
    made = []

    def open_backend(number):
        if len(made) == opened:
            raise BackendError("there is no memory for it")
        made.append(StandIn(number))
        return made[-1]

    with pytest.raises(BackendError, match="there is no memory for it"):
        Devices(open_backend, numbers)
    assert [backend.closed for backend in made] == [1] * opened


@needs_compiler
def test_two_streams_of_a_device_compute_what_one_does(tmp_path, monkeypatch):
    """Tiles on two of them against the whole on one. Each has libraries of its own: a library has one memory."""
    monkeypatch.setattr(test_rounds, "SHAPES", ((22, 40), (43, 79)))
    options = Options(iterations=4, levels=2, exposure=0.1, seed=3)
    folders = [tmp_path / "one", tmp_path / "two"]

    def open_backend(number=0):
        return CudaBackend(BETAS, HostDevice(folders.pop(0)))

    folders[0].mkdir()
    one = test_rounds.solved(MemoryStore(), Limits(), Serial(open_backend()), options=options, planes=1)
    folders.append(shutil.copytree(tmp_path / "one", tmp_path / "three"))
    shutil.copytree(tmp_path / "one", folders[0])
    test_rounds.forced(monkeypatch, 24, 2)
    two = test_rounds.solved(MemoryStore(), Limits(), Devices(open_backend, [0]), options=options, planes=1)
    assert two[0].tobytes() == one[0].tobytes()
    assert tuple(two[1]) == tuple(one[1])
    assert not folders


def spec(**options):
    return Spec(2, 1, ((20, 30),), (1, 1, 1), Options(**options), "cpu")


def test_one_workspace_is_kept_and_goes_before_the_next_is_made():
    backend = StandIn()
    with provided(backend) as resources:
        assert current() is resources
        shape, larger = Shape(2, 1, 20, 30), Shape(2, 1, 20, 31)
        work = resources.workspace(shape, spec())
        assert work is resources.workspace(shape, spec(seed=5))
        expected = spec()
        assert work.key == (shape, expected.objective, expected.bounds, 1)
        del work
        for other in (
            (larger, spec(), 1),
            (shape, spec(), 1),
            (shape, spec(max_density=1.5), 1),
            (shape, spec(exposure=0.5, max_density=1.5), 1),
            (shape, spec(exposure=0.5, max_density=1.5), 2),
        ):
            before = len(backend.made)
            assert resources.workspace(*other).key == (other[0], other[1].objective, other[1].bounds, other[2])
            assert len(backend.made) == before + 1
            assert len(backend.alive) == 1
        resources.drop()
        assert not backend.alive
        resources.workspace(shape, spec())
    assert not backend.alive
    assert backend.closed == 1


def test_a_workspace_that_could_not_be_made_is_asked_for_again(monkeypatch):
    backend, shape = StandIn(), Shape(2, 1, 20, 30)
    resources = provide(backend)
    resources.workspace(shape, spec())
    with monkeypatch.context() as patch:
        patch.setattr(backend, "workspace", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            resources.workspace(Shape(2, 1, 20, 31), spec())
    assert not backend.alive
    assert resources.workspace(shape, spec()).key[0] == shape
    assert resources.workspace(Shape(2, 1, 20, 31), spec()).key[0].width == 31


def test_resources_are_a_thread_s_own_and_those_before_come_back():
    seen = []
    with provided(StandIn()) as outer:
        thread = threading.Thread(target=lambda: seen.append(provide(StandIn())))
        thread.start()
        thread.join()
        assert current() is outer
        assert seen[0] is not outer
        serial = Serial(StandIn())
        assert current() is not outer
        inner = current()
        assert list(serial.map(current, [()])) == [(0, inner)]
        inner.workspace(Shape(2, 1, 20, 30), spec())
        serial.drop()
        assert not inner.backend.alive
        assert inner.backend.closed == 0
        serial.close()
        assert inner.backend.closed == 1
        assert current() is outer
        with pytest.raises(KeyError), provided(StandIn()) as failing:
            raise KeyError
        assert failing.backend.closed == 1
        assert current() is outer


def test_a_real_backend_is_closed_with_its_threads():
    before = threading.active_count()
    serial = Serial(CpuBackend(3, BETAS))
    current().backend.team.run(lambda *_: None)
    assert threading.active_count() > before
    serial.close()
    assert threading.active_count() == before
