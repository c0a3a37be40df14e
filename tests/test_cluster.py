"""Workers that come, differ, freeze, go away and lie; a scheduler that is lost: what a crew and its executor do."""

import dataclasses
import re
import threading
import time
import warnings

import pytest

from mlsolve.cluster import crew as crews
from mlsolve.cluster import executor as executors
from mlsolve.cluster import worker as workers
from mlsolve.cluster.address import ClusterAddress
from mlsolve.cluster.crew import Crew, Trial
from mlsolve.cluster.executor import Cluster, Hands
from mlsolve.cluster.link import Answer, LostScheduler, Seen
from mlsolve.cluster.worker import carry_out, introduce, try_out
from mlsolve.errors import ClusterError, OptionError, OutputError, ProcessError, StoreError

WITHIN = 20.0
"""Seconds within which everything here ends, or a test fails."""


class Call:
    """A call that a worker of the stand-in was given."""

    def __init__(self, worker, done, function, arguments):
        self.worker, self.function, self.arguments = worker, function, arguments
        self._done, self._answer = done, None

    def end(self, answer):
        self._answer = answer
        self._done(self)

    def carry_out(self):
        try:
            self.end(Answer("result", self.function(*self.arguments)))
        except Exception as error:
            self.end(Answer("error", error))

    def answer(self):
        return self._answer


class StandIn:
    """A link to workers that are threads of this process; a test says how they behave."""

    address = "tcp://stand-in:8786"
    ends_workers = False

    def __init__(self):
        self.present, self.threads, self.frozen, self.given = {}, 1, set(), []
        self.lost, self.returns, self.introductions, self.digests = False, True, {}, {}
        self.beat = 0
        self.hold = lambda call: False
        """Whether a call is not carried out, but kept in `given`."""

    def add(self, *names, digest="same", **introduction):
        for name in names:
            self.beat += 1
            self.present[name] = self.beat
            self.introductions[name], self.digests[name] = introduction, digest

    def workers(self):
        if self.lost:
            raise LostScheduler
        self.beat += 1
        for name in self.present:
            if name not in self.frozen:
                self.present[name] = self.beat
        return {name: Seen(self.threads, float(stamp)) for name, stamp in self.present.items()}

    def submit(self, worker, done, function, *arguments):
        if self.lost:
            raise LostScheduler
        call = Call(worker, done, function, arguments)
        if function is introduce:
            self._introduce(call)
        elif function is try_out:
            call.end(Answer("result", (self.digests[worker], None, None)))
        else:
            self.given.append(call)
            if worker not in self.frozen and not self.hold(call):
                threading.Thread(target=call.carry_out).start()
        return call

    def _introduce(self, call):
        given = self.introductions[call.worker]
        if "error" in given:
            call.end(Answer("error", given["error"]))
            return
        found = introduce(call.arguments[0])
        call.end(Answer("result", {**found, "name": call.worker, "host": call.worker, **given}))

    def answers(self, calls):
        return [call.answer() for call in calls]

    def regain(self, waits):
        waits((), 0)
        if self.returns:
            self.lost = False
        return self.returns

    def close(self):
        pass

    def numbers(self, worker):
        """The numbers that a worker was asked to square."""
        return [call.arguments[2][0] for call in self.given if call.worker == worker]


def square(number):
    return number * number


def numbered(count):
    return [(number,) for number in range(count)]


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(crews, "_LOOKS", 0.01)
    monkeypatch.setattr(crews, "SILENT", 0.3)
    monkeypatch.setattr(executors, "_TICK", 0.01)
    monkeypatch.setattr(executors, "_SHORTEST", 0.05)
    monkeypatch.setattr(executors, "_AGAIN", (0.01, 0.02))


@pytest.fixture
def link():
    return StandIn()


@pytest.fixture
def ready(link, tmp_path):
    """Return a crew of the workers of `link` that has been tried out."""

    def assemble(*names, memory=None):
        link.add(*names)
        crew = Crew(link, tmp_path, "cpu", memory)
        crew.meet()
        crew.try_out(Trial("cpu", None, None, "same"))
        return crew

    return assemble


def collected(executor, calls, task=square, **more):
    """All results by the numbers of their calls; each may come once only."""
    found, end = {}, time.monotonic() + WITHIN
    for number, result in executor.map(task, calls, 1, **more):
        assert number not in found
        assert time.monotonic() < end
        found[number] = result
    return found


def eventually(holds):
    end = time.monotonic() + WITHIN
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


SQUARES = {number: number * number for number in range(40)}


def test_every_call_is_carried_out_once(link, ready):
    assert collected(Cluster(ready("a", "b", "c")), numbered(40)) == SQUARES
    assert sorted(number for name in "abc" for number in link.numbers(name)) == list(range(40))
    assert all(link.numbers(name) for name in "abc")


def test_what_a_worker_had_that_went_away_is_given_to_another(link, ready):
    executor = Cluster(ready("a", "b"))
    link.hold = lambda call: call.worker == "a"
    threading.Timer(0.2, lambda: link.present.pop("a")).start()
    assert collected(executor, numbered(40)) == SQUARES
    assert len(link.numbers("a")) == 1
    assert link.numbers("a")[0] in link.numbers("b")


def test_a_frozen_worker_is_not_waited_for_and_comes_back(link, ready):
    executor = Cluster(ready("a", "b"))
    link.hold = lambda call: call.worker == "a"
    threading.Timer(0.1, lambda: link.frozen.add("a")).start()
    assert collected(executor, numbered(40)) == SQUARES
    (late,) = [call for call in link.given if call.worker == "a"]
    link.frozen.clear()
    link.hold = lambda call: False
    late.carry_out()  # what it answers now nobody waits for
    assert collected(executor, numbered(40)) == SQUARES
    assert len(link.numbers("a")) > 1


def test_a_frozen_worker_gets_no_tasks(link, ready):
    crew = ready("a", "b")
    link.frozen.add("a")
    eventually(lambda: crew.look() or [one.address for one in crew.ready] == ["b"])
    assert collected(Cluster(crew), numbered(40)) == SQUARES
    assert link.numbers("a") == []


def test_a_straggler_s_task_is_given_to_another_worker_once(link, ready):
    """It is still heard, but its task takes far longer than the others did."""
    executor = Cluster(ready("a", "b", "c"))
    link.hold = lambda call: call.worker == "a"
    assert collected(executor, numbered(40)) == SQUARES
    (number,) = link.numbers("a")
    assert (link.numbers("b") + link.numbers("c")).count(number) == 1


def test_two_slow_workers_with_one_task_are_enough(link, ready):
    executor = Cluster(ready("a", "b", "c"))
    held = []

    def hold(call):
        if call.arguments[2][0] == 39:
            held.append(call)
            if len(held) == 1:
                threading.Timer(0.6, call.carry_out).start()
            return True
        return False

    link.hold = hold
    assert collected(executor, numbered(40)) == SQUARES
    assert len(held) == 2


def test_calls_are_given_again_after_the_scheduler_was_lost(link, ready):
    executor = Cluster(ready("a", "b"))
    begun = []

    def hold(call):
        begun.append(call)
        if len(begun) == 7:
            link.lost = True
        return link.lost

    link.hold = hold
    assert collected(executor, numbered(40)) == SQUARES
    assert len(begun) > 40


def test_a_scheduler_that_does_not_come_back_is_told_in_one_line(link, ready, monkeypatch):
    monkeypatch.setattr(executors, "PATIENCE", 0.2)
    executor = Cluster(ready("a"))
    link.lost, link.returns = True, False
    with pytest.raises(
        ClusterError, match=r"^cluster tcp://stand-in:8786 has not answered for 0 s: start its sched"
    ):
        collected(executor, numbered(3))


def test_workers_that_do_not_come_back_are_told_in_one_line(link, ready, monkeypatch):
    monkeypatch.setattr(executors, "PATIENCE", 0.2)
    executor, link.hold = Cluster(ready("a")), lambda call: True
    link.present.clear()
    with pytest.raises(ClusterError, match=r"^cluster tcp://stand-in:8786 has had no worker for 0 s: start some$"):
        collected(executor, numbered(3))


def test_a_worker_that_comes_later_is_welcome(link, ready):
    executor = Cluster(ready("a"))
    link.hold = lambda call: call.worker == "a"
    threading.Timer(0.1, lambda: link.add("b")).start()
    found = {}

    def finish():
        eventually(lambda: len(link.numbers("b")) >= 39)
        link.given[0].carry_out()

    threading.Thread(target=finish).start()
    found = collected(executor, numbered(40))
    assert found == SQUARES
    assert len(link.numbers("b")) >= 39


class Failing:
    """A task that fails some times."""

    def __init__(self, error, times):
        self.error, self.left, self.calls = error, times, 0

    def __call__(self, number):
        self.calls += 1
        if self.left:
            self.left -= 1
            raise self.error
        return number * number


def test_a_store_that_is_not_seen_yet_is_looked_at_again(ready):
    """File systems of many hosts may show a file some moments after it was written."""
    task = Failing(StoreError("zarr.json is missing: run again"), 2)
    assert collected(Cluster(ready("a")), numbered(5), task) == {n: n * n for n in range(5)}


@pytest.mark.parametrize(
    ("error", "calls"), [(StoreError("it is damaged"), 3), (OutputError("the disk is full"), 1), (KeyError("x"), 1)]
)
def test_other_errors_reach_the_caller(ready, error, calls):
    task = Failing(error, 99)
    with pytest.raises(type(error), match=str(error)):
        collected(Cluster(ready("a")), numbered(1), task)
    assert task.calls == calls


def test_a_task_that_ends_worker_after_worker_ends_the_run(link, ready):
    executor = Cluster(ready("a", "b", "c", "d", "e"))

    def hold(call):
        if call.arguments[2][0] == 0:
            threading.Timer(0.02, lambda: link.present.pop(call.worker, None)).start()
            return True
        return False

    link.hold = hold
    with pytest.raises(ProcessError, match=r"^4 workers ended while they had the same task, the last"):
        collected(executor, numbered(5))


def test_results_in_order_wait_for_few(link, ready):
    """What comes early is held in memory, so not all calls may begin before the first one ends."""
    hands = Hands(Cluster(ready("a", "b")), 1)
    link.hold = lambda call: call.arguments[2][0] == 0
    most = []

    def finish():
        eventually(lambda: len(link.given) >= 6)
        time.sleep(0.1)
        most.append(len(link.given))
        link.hold = lambda call: False
        link.given[0].carry_out()

    threading.Thread(target=finish).start()
    assert list(hands.in_order(square, numbered(40))) == list(SQUARES.values())
    assert most[0] <= 2 * hands.workers + 3


def test_a_worker_runs_as_many_tasks_as_asked_but_not_more_than_it_has_threads(link, ready):
    link.threads, under_way, most = 3, [], []
    lock = threading.Lock()

    def task(number):
        with lock:
            under_way.append(number)
            most.append(len(under_way))
        time.sleep(0.02)
        with lock:
            under_way.remove(number)

    executor = Cluster(ready("a"))
    for each, expected in ((1, 1), (2, 2), (5, 3)):
        most.clear()
        list(executor.map(task, numbered(12), each))
        assert max(most) == expected


def test_a_caller_that_has_had_enough_leaves_after_the_tasks_under_way(link, ready):
    executor, ended = Cluster(ready("a", "b")), []

    def task(number):
        time.sleep(0.1 * number)
        ended.append(number)

    found = executor.map(task, numbered(20), 1)
    next(found)
    found.close()
    assert len(link.given) <= 3
    assert len(ended) == len(link.given)


HERE = workers.what_bytes_depend_on()


@pytest.mark.parametrize(
    ("introduction", "digest", "reason"),
    [
        ({"depends": {**HERE, "numpy": "1.0"}}, "same", f"numpy is 1.0, here it is {HERE['numpy']}"),
        ({"depends": {**HERE, "machine": "aarch64"}}, "same", "machine is aarch64, here it is"),
        (
            {"depends": {**HERE, "mlsolve's source": "0" * 64}},
            "same",
            "mlsolve's source is 000000000000, here",
        ),
        ({"depends": {k: v for k, v in HERE.items() if k != "kernels"}}, "same", "kernels is missing, here it is"),
        ({"store": "it does not see /shared"}, "same", "it does not see /shared"),
        ({"error": ModuleNotFoundError("No module", name="mlsolve")}, "same", "mlsolve is not installed there"),
        ({"error": ValueError("odd\nand more")}, "same", "ValueError: odd"),
        ({}, "other", "it computes other bytes, its processor may be of another kind"),
    ],
)
def test_a_worker_that_differs_is_left_out_with_its_reason(link, tmp_path, introduction, digest, reason):
    link.add("good")
    link.add("bad", digest=digest, **introduction)
    crew = Crew(link, tmp_path, "cpu", None)
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        crew.meet()
        crew.try_out(Trial("cpu", None, None, "same"))
        eventually(lambda: crew.look() or crew.workers["bad"].state == "out")
        assert collected(Cluster(crew), numbered(9)) == {n: n * n for n in range(9)}
    (told,) = [str(one.message) for one in heard]
    assert told.startswith("worker bad")
    assert f" is left out: {reason}" in told
    assert link.numbers("bad") == []


def test_a_worker_that_does_not_answer_what_it_read_is_left_out(link, tmp_path, monkeypatch):
    """It sees the token, but what it writes does not arrive: the folder there is a copy."""
    monkeypatch.setattr(crews, "appears", lambda path, content: False)
    link.add("a")
    with (
        pytest.warns(UserWarning, match=r"worker a on a is left out: what it writes into .* is not seen here"),
        pytest.raises(ClusterError, match="has no worker that can take tiles: mend what the warnings name"),
    ):
        Crew(link, tmp_path, "cpu", None).meet()


def test_memory_is_shared_by_the_workers_of_a_host_and_little_of_it_leaves_a_worker_out(link, tmp_path):
    link.add("a", "b", host="one", memory=8 << 30)
    link.add("c", host="two", memory=3 << 30)
    crew = Crew(link, tmp_path, "cpu", None)
    crew.meet()
    crew.try_out(Trial("cpu", None, None, "same"))
    eventually(lambda: crew.look() or len(crew.ready) == 3)
    assert crew.means.memory == 3 << 29
    with pytest.warns(UserWarning, match=r"c on c is left out: it has 1.5 GiB for tiles that need 1.8 GiB"):
        crew.require_memory(int(1.8 * 2**30))
    assert crew.means.memory == 2 << 30
    link.add("d", host="three", memory=3 << 30)
    with pytest.warns(UserWarning, match="worker d on d is left out: it has 1.5 GiB"):
        eventually(lambda: crew.look() or ("d" in crew.workers and crew.workers["d"].state == "out"))


def test_a_worker_that_sees_too_little_room_is_left_out(link, tmp_path):
    """A quota may be another for each host."""
    link.add("a", disk=8 << 30)
    link.add("b", disk=1 << 30)
    crew = Crew(link, tmp_path, "cpu", None)
    crew.meet()
    crew.try_out(Trial("cpu", None, None, "same"))
    eventually(lambda: crew.look() or len(crew.ready) == 2)
    with pytest.warns(UserWarning, match=r"b on b is left out: it sees 1 GiB free in .*, the run needs 2 GiB"):
        crew.require_room(2 << 30)
    link.add("c", disk=1 << 30)
    with pytest.warns(UserWarning, match=r"c on c is left out: it sees 1 GiB free"):
        eventually(lambda: crew.look() or ("c" in crew.workers and crew.workers["c"].state == "out"))
    with (
        pytest.warns(UserWarning, match=r"a on a is left out: it sees 8 GiB free"),
        pytest.raises(ClusterError, match="has no worker that can take tiles"),
    ):
        crew.require_room(9 << 30)


def test_a_cluster_without_workers_is_told_in_one_line(link, tmp_path, monkeypatch):
    monkeypatch.setattr(crews, "ASSEMBLING", 0.1)
    with pytest.raises(ClusterError, match=r"-in:8786 has no workers: start some, as docs/cluster.md shows$"):
        Crew(link, tmp_path, "cpu", None).meet()
    link.add("a")
    link.submit = lambda *_: None
    with pytest.raises(ClusterError, match=r"^the workers of .*stand-in:8786 do not answer: restart them$"):
        Crew(link, tmp_path, "cpu", None).meet()


def test_the_files_of_introductions_are_removed(link, tmp_path, ready):
    crew = ready("a", "b")
    assert len(list(tmp_path.iterdir())) == 3
    crew.close()
    assert list(tmp_path.iterdir()) == []


def test_a_worker_that_comes_after_the_folder_was_cleared_sees_a_token_again(link, tmp_path, ready):
    crew = ready("a")
    for path in tmp_path.iterdir():
        path.unlink()
    link.add("b")
    eventually(lambda: crew.look() or len(crew.ready) == 2)


@pytest.mark.parametrize(
    "text", ["", "host", "local", "local:0", "local:257", "http://host:8786", "ws://host:1", "tcp://host"]
)
def test_what_is_no_address_is_refused(text):
    with pytest.raises(OptionError, match=r"^cluster is .*: give "):
        ClusterAddress.parse(text)


@pytest.mark.parametrize("text", ["127.0.0.1:8786", "wall-1:8786", "[::1]:8786"])
def test_an_address_without_a_protocol_is_told_with_one(text):
    with pytest.raises(OptionError, match=re.escape(f"as in tcp://{text}, or local:4")):
        ClusterAddress.parse(text)


@pytest.mark.parametrize("port", [0, 65536, 99999])
def test_a_port_that_does_not_exist_is_refused(port):
    with pytest.raises(OptionError, match=f"^cluster is tcp://host:{port}: its port must be 1 to 65535"):
        ClusterAddress.parse(f"tcp://host:{port}")


def test_addresses():
    assert ClusterAddress.parse("local:4") == ClusterAddress(None, 4)
    assert ClusterAddress.parse("local:4").host is None
    assert str(ClusterAddress.parse("tls://host:8786")) == "tls://host:8786"
    assert ClusterAddress.parse("tls://host:8786").host == ("host", 8786)
    assert ClusterAddress.parse("tcp://[::1]:1").host == ("::1", 1)


def test_a_task_without_a_place_is_called_as_it_is():
    assert carry_out(None, square, (7,)) == 49


def test_a_trial_is_not_changed_by_one_who_fails_it(link, tmp_path):
    """What the first worker finds is what the others must find, where this machine cannot tell."""
    link.add("a", digest="one")
    crew = Crew(link, tmp_path, "cpu", None)
    crew.meet()
    crew.try_out(Trial("cpu", None))
    link.add("b", digest="two")
    with pytest.warns(UserWarning, match="worker b on b is left out: it computes other bytes"):
        eventually(lambda: crew.look() or (crew.workers.get("b") is not None and crew.workers["b"].state == "out"))
    assert dataclasses.replace(crew.trial, digest=None) == Trial("cpu", None)
    assert crew.trial.digest == "one"


def test_who_waits_for_workers_can_be_interrupted(link, tmp_path, ready):
    class Enough(Exception):
        pass

    def stop(ready, present):
        raise Enough

    with pytest.raises(Enough):
        Crew(link, tmp_path, "cpu", None, stop).meet()
    executor = Cluster(ready("a"), stop)
    link.hold = lambda call: True
    with pytest.raises(Enough):
        collected(executor, numbered(3))


def test_who_leaves_and_is_interrupted_again_does_not_wait(link, ready, monkeypatch):
    """The generator ends without an error: there it would be printed with a traceback."""
    link.ends_workers = True
    link.hold = lambda call: call.arguments[2][0] == 1
    executor = Cluster(ready("a", "b"))
    results = executor.map(square, numbered(3), 1)
    assert next(results) == (0, 0)

    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr(executor, "_ended", interrupted)
    results.close()


def test_how_many_workers_are_ready_is_told(link, tmp_path):
    """A worker that is left out is no longer counted, one that has not proved itself yet is."""
    told = []
    link.add("a", "b")
    link.add("c", digest="other")
    crew = Crew(link, tmp_path, "cpu", None, lambda ready, present: told.append((len(ready), present)))
    crew.meet()
    with pytest.warns(UserWarning, match="worker c on c is left out"):
        crew.try_out(Trial("cpu", None, digest="same"))
    assert told[-1] == (2, 2)  # before the first task
    executor = Cluster(crew, lambda ready, present: told.append((len(ready), present)))
    assert told[0] == (0, 0)
    assert (0, 3) in told
    told.clear()
    assert collected(executor, numbered(40)) == SQUARES
    assert set(told) == {(2, 2)}


def test_an_answer_to_an_introduction_from_one_who_has_gone_is_not_counted(link, tmp_path, ready):
    """Another worker has come under its name, who must prove itself."""
    crew, held, introduces = ready("a"), [], link._introduce

    def hold(call):
        held.append(call)

    link._introduce = hold
    link.add("b")
    eventually(lambda: crew.look() or len(held) == 1)
    gone = crew.workers["b"]
    del link.present["b"]
    eventually(lambda: crew.look() or "b" not in crew.workers)
    link.add("b")
    eventually(lambda: crew.look() or len(held) == 2)
    introduces(held[0])
    for _ in range(5):
        crew.look()
    assert gone.state == crew.workers["b"].state == "introducing"
    introduces(held[1])
    eventually(lambda: crew.look() or len(crew.ready) == 2)


def test_a_frozen_worker_s_task_is_copied_before_it_is_late(link, ready, monkeypatch):
    monkeypatch.setattr(executors, "STRAGGLING", 1e9)
    executor = Cluster(ready("a", "b"))
    link.hold = lambda call: call.worker == "a" and not link.frozen.add("a")
    assert collected(executor, numbered(40)) == SQUARES
    assert len(link.numbers("a")) == 1


def test_what_one_who_went_away_answers_later_is_not_counted(link, ready):
    """Its task has been given to another, who is still at it."""
    executor = Cluster(ready("a", "b", "c"))
    held = []

    def hold(call):
        if call.arguments[2][0] not in (0, 1):
            return False
        held.append(call)
        if len(held) == 2:
            link.present.pop(held[0].worker)
        if len(held) == 3:
            held[0].carry_out()
            threading.Timer(0.1, lambda: [call.carry_out() for call in held[1:]]).start()
        return True

    link.hold = hold
    assert collected(executor, numbered(2)) == {0: 0, 1: 1}
    assert len(held) == 3


def test_a_worker_is_not_given_a_task_that_it_has(link, ready):
    link.threads = 2
    executor = Cluster(ready("a"))

    def hold(call):
        if call.arguments[2][0] == 0:
            threading.Timer(0.5, call.carry_out).start()
        return call.arguments[2][0] == 0

    link.hold = hold
    found = dict(executor.map(square, numbered(20), 2))
    assert len(found) == 20
    assert link.numbers("a").count(0) == 1


def test_workers_of_a_host_are_left_out_with_one_warning(link, tmp_path):
    link.add("good")
    link.add("bad", "worse", store="it does not see /shared", name="wall-2")
    crew = Crew(link, tmp_path, "cpu", None)
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        crew.meet()
        eventually(lambda: crew.look() or sum(one.state == "out" for one in crew.workers.values()) == 2)
    assert len(heard) == 1


def test_a_worker_with_less_memory_than_was_given_is_left_out(link, tmp_path):
    link.add("a", memory=4 << 30)
    link.add("b", memory=1 << 30)
    crew = Crew(link, tmp_path, "cpu", 2 << 30)
    with pytest.warns(UserWarning, match="worker b on b is left out: it has 1 GiB free of the --memory 2 GiB"):
        crew.meet()
    assert crew.workers["b"].state == "out"
    crew.try_out(Trial("cpu", None, None, "same"))
    assert crew.means.memory == 2 << 30


def test_a_new_scheduler_has_workers_prove_themselves_again(link, ready):
    crew = ready("a", "b")
    before = set(crew.workers.values())
    link.lost = True
    assert collected(Cluster(crew), numbered(40)) == SQUARES
    assert before.isdisjoint(crew.workers.values())


def test_a_scheduler_that_is_lost_while_workers_are_asked_is_asked_again(link, tmp_path, monkeypatch):
    """It was busy for seconds, or was started again."""
    link.add("a", "b")
    crew, looks = Crew(link, tmp_path, "cpu", None), []
    seen = link.workers

    def once_lost():
        looks.append(link.lost)
        if len(looks) == 1:
            link.lost = True
        return seen()

    monkeypatch.setattr(link, "workers", once_lost)
    crew.meet()
    crew.try_out(Trial("cpu", None))
    assert len(crew.ready) == 2
    monkeypatch.setattr(crews, "ASSEMBLING", 0.1)
    for back in (False, True):  # also one that comes back again and again, and does not answer
        crew.forget_all()
        monkeypatch.setattr(link, "regain", lambda waits, back=back: back)
        link.lost = True
        with pytest.raises(ClusterError, match=r"stand-in:8786 does not answer any more: start it again$"):
            crew.meet()


def test_an_introduction_sees_what_is_in_the_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "_APPEARING", 0.2)
    monkeypatch.setattr(workers.appears, "__defaults__", (0.2,))
    token, answer = tmp_path / "token", tmp_path / "answer"
    question = {"token": str(token), "answer": str(answer), "content": "words", "gpu": False}
    for written in (None, "other words"):
        if written is not None:
            token.write_text(written)
        assert introduce(question)["store"] == f"it does not see {tmp_path}: mount it there under the same path"
        assert not answer.exists()
    token.write_text("words")
    found = introduce(question)
    assert (found["store"], answer.read_text()) == ("", "words")
    assert found["depends"] == HERE
    assert found["disk"] > 0
    assert introduce({**question, "answer": str(tmp_path / "no" / "answer")})["store"].startswith("it cannot write")
