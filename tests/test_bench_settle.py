"""What is settled on a GPU, with steps that are small programs, and devices and benches that are made up."""

import json
import os
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import pytest

from mlsolve_records import children, decisions, gpu_sections, settle_gpu
from mlsolve_records.children import Ended
from mlsolve_records.gpu_parts import Part, merge
from mlsolve_records.opponents import LAUNCHES, OURS, STRONGEST, STRONGEST_GRAPH
from mlsolve_records.settle_gpu import Step


def python(code):
    return sys.executable, "-c", code


def test_a_command_that_ends_and_one_that_fails(tmp_path):
    log = tmp_path / "logs" / "log.txt"
    ended = children.run(python("print('all well')"), 60, log)
    assert (ended.status, ended.tail, ended.failure(60)) == (0, "all well\n", None)
    assert log.read_text() == "all well\n"
    ended = children.run(python("import sys; print('so far'); sys.exit('why it failed')"), 60, log)
    assert ended.status == 1
    assert ended.failure(60) == "why it failed"
    assert (
        children.run(python("raise SystemExit(3)"), 60, log).failure(60) == "ended with status 3 and said nothing"
    )
    assert "no-such-program" in children.run(("no-such-program",), 60, log).failure(60)


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="Windows has no process groups")
def test_a_command_that_takes_too_long_is_killed_with_its_children(tmp_path, monkeypatch):
    """And what it said until then is kept. Its time is up once its child is there."""
    pid, wait = tmp_path / "pid", subprocess.Popen.wait

    def wait_for_the_child(process, timeout=None):
        if timeout is None:
            return wait(process)
        while not (tmp_path / "log.txt").read_text():
            time.sleep(0.01)
        raise subprocess.TimeoutExpired(process.args, timeout)

    monkeypatch.setattr(subprocess.Popen, "wait", wait_for_the_child)
    sleeper = "import time; time.sleep(600)"
    code = (
        "import pathlib, subprocess, sys\n"
        f"child = subprocess.Popen([sys.executable, '-c', {sleeper!r}])\n"
        f"pathlib.Path({str(pid)!r}).write_text(str(child.pid))\n"
        "print('begun', flush=True)\n"
        "child.wait()\n"
    )
    ended = children.run(python(code), 3, tmp_path / "log.txt")
    assert ended.status is None
    assert ended.failure(3) == "took more than 3 s"
    assert ended.tail == "begun\n"
    assert has_ended(int(pid.read_text()))


def has_ended(pid):
    """Whether a process ends soon: it was killed, but its parent may not have noticed."""
    for _ in range(1000):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        state = Path(f"/proc/{pid}/stat")
        if state.exists() and state.read_text().rsplit(")", 1)[1].split()[0] == "Z":
            return True
        time.sleep(0.01)
    return False


def settled(out, *todo, **more):
    found = settle_gpu.settle(out, todo=lambda _: iter(todo), **more)
    assert json.loads((out / "settled.json").read_text()) == found
    return {name: step["outcome"] for name, step in found["steps"].items()}


def test_a_step_that_fails_hangs_or_says_nothing_costs_nothing_but_itself(tmp_path):
    assert settled(
        tmp_path,
        Step("fails", 60, python("raise ValueError('as it must')")),
        Step("hangs", 1, python("import time; time.sleep(600)")),
        Step("dies", 60, python("import os; os.abort()")),
        Step("is well", 60, python("print('well')")),
    ) == {
        "fails": "ValueError: as it must",
        "hangs": "took more than 1 s",
        "dies": "ended with status -6 and said nothing",
        "is well": "done",
    }
    assert (tmp_path / "is-well.log").read_text() == "well\n"


def test_what_was_done_is_written_before_the_next_step_begins(tmp_path):
    look = f"import pathlib; print(pathlib.Path({str(tmp_path / 'settled.json')!r}).read_text())"
    settled(tmp_path, Step("first", 60, python("pass")), Step("second", 60, python(look)))
    assert list(json.loads((tmp_path / "second.log").read_text())["steps"]) == ["first"]


def test_without_a_gpu_nothing_else_is_tried(tmp_path):
    asked = []
    assert settled(
        tmp_path,
        Step("gpu", 60, python("import sys; sys.exit('no GPU: none')"), needed=True),
        Step("tests", 60, python("print('no')")),
        Step("floor", 60, bench=("floor", (600,), None)),
        record=asked.append,
    ) == {"gpu": "no GPU: none", "tests": "not done: gpu failed", "floor": "not done: gpu failed"}
    assert asked == []


def test_no_step_is_begun_for_which_no_time_is_left(tmp_path):
    assert settled(tmp_path, Step("late", 60, python("print('no')")), within=4.0) == {
        "late": "not done: no time was left"
    }
    assert not (tmp_path / "late.log").exists()


def test_benches_say_which_of_their_parts_failed(tmp_path):
    """The device is described once for all of them, and a bench that raises is only a step that failed."""
    described, path = [], tmp_path / "device.json"

    def describe(sides, most):
        described.append(sides)
        return {"machine": {"device": "G"}}

    def record(asked):
        assert asked.described == {"machine": {"device": "G"}}
        results = {"missing": {STRONGEST_GRAPH: "torch finds no CUDA device"}}
        stamp = {"date": "d", "commit": "c", "took": 1, "most": 1}
        for part in asked.parts:
            if part == Part("iterations", 600, STRONGEST):
                merge(results, part, "took more than 60 s", stamp)
            elif part in (Part("iterations", 600, OURS), Part("floor", 600)):
                merge(results, part, {}, stamp)
            elif part.section == "memory":
                raise RuntimeError("the disk is full")
        path.write_text(json.dumps(results))
        return path

    names = (OURS, STRONGEST, LAUNCHES, STRONGEST_GRAPH)
    assert settled(
        tmp_path,
        Step("floor", 60, bench=("floor", (600,), None)),
        Step("torch", 60, bench=("iterations", (600,), names)),
        Step("memory", 60, bench=("memory", (600,), (OURS,))),
        record=record,
        describe=describe,
    ) == {
        "floor": "done",
        "torch": "done but for iterations/600/torch strongest, as a CUDA graph: torch finds no CUDA device; "
        "iterations/600/torch strongest: took more than 60 s; "
        "iterations/600/mlsolve, launch by launch: no time was left",
        "memory": "the disk is full",
    }
    assert len(described) == 1


def test_steps_are_in_order_and_their_modules_exist(tmp_path, monkeypatch):
    """The GPU and its tests come first; Nsight Compute is asked only where it is."""
    monkeypatch.setattr(settle_gpu, "profiler", lambda: None)
    without = [step.name for step in settle_gpu.steps(tmp_path)]
    assert without[:3] == ["gpu", "tests", "floor"]
    assert {"decide graphs 600", "decide graphs 2048", "arrangements", "torch"} < set(without)
    monkeypatch.setattr(settle_gpu, "profiler", lambda: "/opt/ncu")
    todo = list(settle_gpu.steps(tmp_path))
    assert {step.name for step in todo} - set(without) == {"profile", "profile, read", "profile, source"}
    assert [step.name for step in todo if step.needed] == ["gpu"]
    for step in todo:
        assert bool(step.command) != bool(step.bench)
        if "-m" in step.command:
            assert find_spec(step.command[step.command.index("-m") + 1]) is not None
    (profile,) = (step for step in todo if step.name == "profile")
    assert profile.command[:3] == ("/opt/ncu", "--clock-control", "none")


class Backend:
    """A backend with arguments of all kinds."""

    def __init__(
        self,
        betas: tuple[float, float],
        device: object = None,
        graphs: bool = True,
        adam: Literal["fused", "separate"] | None = None,
        ahead: Literal[2, 3] = 3,
        label: str = "",
        threads: int | None = None,
    ) -> None:
        self.chosen = adam


def test_what_the_backend_offers_is_decided():
    assert decisions.offered(Backend) == [
        ("graphs", (True, False), (600, 2048)),
        ("adam", ("fused", "separate"), (600, 2048, 7087)),
        ("ahead", (2, 3), (600, 2048, 7087)),
    ]
    assert [one.argument for one in decisions.offered()][:1] == ["graphs"]


def test_alternatives_take_turns_and_one_that_fails_does_not_hide_the_others(monkeypatch):
    class Work:
        def __init__(self, name):
            self.name = name

        def advance(self, rates):
            return self.name, len(rates)

    asked = []

    def take_turns(iterations, turns):
        asked.append([batch() for batch in iterations.values()])
        return {name: [0.02 if name == "fused" else 0.03] * turns for name in iterations}

    monkeypatch.setattr(decisions, "our_workspace", lambda problem, backend: Work(backend.chosen))
    monkeypatch.setattr(gpu_sections, "take_turns", take_turns)
    monkeypatch.setattr(gpu_sections, "free_all", lambda: None)
    found = decisions.decide("adam", ("fused", "separate"), 16, Backend)
    assert found == {"fused": pytest.approx(2), "separate": pytest.approx(3)}
    assert asked == [[("fused", 10), ("separate", 10)]]

    def broken(betas, adam):
        if adam == "fused":
            raise RuntimeError("nvJitLink refuses\nthis and that")
        return Backend(betas, adam=adam)

    found = decisions.decide("adam", ("fused", "separate"), 16, broken)
    assert found == {"fused": "nvJitLink refuses", "separate": pytest.approx(3)}


def test_the_table_has_goals_beside_figures(tmp_path):
    lines = settle_gpu.table(tmp_path)
    assert sum(line.endswith("not measured") for line in lines) == 6
    entry = {"milliseconds": {}, "times ours": {LAUNCHES: 1.0, STRONGEST: 5.5, STRONGEST_GRAPH: 5.25}}
    device = {
        "machine": {"device": "Some GPU", "commit": "abc"},
        "iterations": {"sizes": {"2048": entry}},
        "floor": {"sizes": {"7087": {"milliseconds": 8.21, "times the copy": 1.38}}},
        "arrangements": {"milliseconds": {"600": {"plain": 0.1, "still": 0.12, "two stacks": 0.145}}},
    }
    steps = {"gpu": {"outcome": "done"}, "tests": {"outcome": "2 failed, 37 passed"}}
    files = {
        "some-gpu.json": json.dumps(device),
        "decide-adam-600.json": json.dumps({"fused": 0.11, "separate": "no LTO"}),
        "settled.json": json.dumps({"steps": steps}),
        "half.json": '{"machine": ',
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    table = [" ".join(line.split()) for line in settle_gpu.table(tmp_path)]
    assert table[0] == "Some GPU, commit abc"
    for line in (
        "7087² 8.3 ms 8.21 ms",
        "7087², copies of 152 bytes 1.4 1.38",
        "2048², times as fast as torch strongest, as a CUDA graph 5 5.25",
        "600², times as fast as torch 6 not measured",
        "600², still 1.3 1.20",
        "600², two stacks 1.5 1.45",
        "adam 600²: fused 0.11 ms, separate no LTO",
        "tests: 2 failed, 37 passed",
    ):
        assert line in table, line


def test_the_command_line_says_where_everything_is(tmp_path, monkeypatch, capsys):
    """The status is that of the GPU and its tests; a bench for which there was no time does not count."""
    outcomes = {"gpu": "done", "tests": "1 failed", "rest": "not done: no time was left"}
    steps = {name: {"outcome": outcome} for name, outcome in outcomes.items()}
    monkeypatch.setattr(settle_gpu, "settle", lambda out, within: {"steps": steps})
    tmp_path.joinpath("o").mkdir()
    with pytest.raises(SystemExit) as stop:
        settle_gpu.main(["--out", str(tmp_path / "o")])
    assert stop.value.code == 1
    steps["tests"]["outcome"] = "done"
    settle_gpu.main(["--out", str(tmp_path / "o")])
    assert f"all in {tmp_path / 'o'}" in capsys.readouterr().out
    assert "not measured" in (tmp_path / "o" / "table.txt").read_text()


def test_an_end_is_told_by_its_last_line():
    assert Ended(1, 1.0, "Traceback\n  File\nValueError: x\n\n").failure(5) == "ValueError: x"
