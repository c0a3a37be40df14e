"""What is settled on a GPU, with steps that are small programs, and devices and benches that are made up."""

import json
import os
import subprocess
import sys
import time
from importlib.util import find_spec
from inspect import signature
from pathlib import Path
from types import SimpleNamespace

import pytest

from mlsolve.solving.backends import CudaBackend
from mlsolve_records import children, decisions, gpu_sections, record_gpu, settle_gpu
from mlsolve_records.children import Ended
from mlsolve_records.gpu_parts import Part, merge
from mlsolve_records.opponents import LAUNCHES, OURS, STRONGEST, STRONGEST_GRAPH
from mlsolve_records.settle_gpu import OPENING, WITHIN, Step
from mlsolve_records.settle_table import MEASURED, table


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


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="Windows has no process groups: run it on Linux or macOS")
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


def described(sides, **_):
    return {"machine": {"device": "G", "commit": "c"}}


def settled(out, *todo, describe=described, **more):
    found = settle_gpu.settle(out, todo=lambda _: iter(todo), describe=describe, **more)
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
        "gpu": "done",
        "fails": "ValueError: as it must",
        "hangs": "took more than 1 s",
        "dies": "ended with status -6 and said nothing",
        "is well": "done",
    }
    assert (tmp_path / "is-well.log").read_text() == "well\n"


def test_what_was_done_is_written_before_the_next_step_begins(tmp_path):
    look = f"import pathlib; print(pathlib.Path({str(tmp_path / 'settled.json')!r}).read_text())"
    settled(tmp_path, Step("first", 60, python("pass")), Step("second", 60, python(look)))
    assert list(json.loads((tmp_path / "second.log").read_text())["steps"]) == ["gpu", "first"]


def test_without_a_gpu_one_line_is_said_and_nothing_written(tmp_path, monkeypatch, capsys):
    def describe(sides, most, tries):
        raise record_gpu.NoGpu("backend is cuda: there is no NVIDIA driver here")

    out, settle = tmp_path / "new" / "out", settle_gpu.settle
    monkeypatch.setattr(settle_gpu, "settle", lambda out, within: settle(out, within, describe=describe))
    with pytest.raises(SystemExit) as stop:
        settle_gpu.main(["--out", str(out)])
    assert stop.value.code == 2
    said = capsys.readouterr()
    assert said.err == "mlsolve_records: error: backend is cuda: there is no NVIDIA driver here\n"
    assert said.out == ""
    assert list(tmp_path.iterdir()) == []


def test_a_gpu_that_cannot_be_described_is_asked_once_and_tested_all_the_same(tmp_path):
    asked, recorded = [], []

    def describe(sides, most, tries):
        asked.append((most, tries))
        raise record_gpu.Refused("took more than 25 s")

    assert settled(
        tmp_path,
        Step("floor", 60, bench=("floor", (600,), None), settles=True),
        Step("torch", 60, bench=("iterations", (600,), None)),
        Step("tests", 60, python("print('well')"), settles=True),
        record=recorded.append,
        describe=describe,
    ) == {
        "gpu": "took more than 25 s",
        "floor": "not done: gpu: took more than 25 s",
        "torch": "not done: gpu: took more than 25 s",
        "tests": "done",
    }
    assert asked == [(OPENING, False)], "torch is not asked for"
    assert recorded == []
    assert json.loads((tmp_path / "settled.json").read_text())["settled"] is False


def test_a_tool_that_is_not_installed_is_said(tmp_path):
    profile = Step("profile", 40, absent="Nsight Compute is not installed")
    assert settled(tmp_path, profile)["profile"] == "not done: Nsight Compute is not installed"
    assert table(tmp_path)[-1] == "profile: not done: Nsight Compute is not installed"


def test_no_step_is_begun_for_which_no_time_is_left(tmp_path):
    late = Step("late", 60, python("print('no')"))
    assert settled(tmp_path, late, within=4.0) == {"gpu": "done", "late": "not done: no time was left"}
    assert not (tmp_path / "late.log").exists()


def test_seconds_are_kept_for_what_settles_something():
    """A step has its own, and what those before it have not used; but not what is kept for later ones."""
    a, b, c = (Step(name, 40, settles=True) for name in "abc")
    extra = Step("extra", 40)
    assert settle_gpu.limit(a, [b, c, extra], 120) == 40
    assert settle_gpu.limit(a, [b, c, extra], 150) == 70
    assert settle_gpu.limit(extra, [b, c], 150) == 40
    assert settle_gpu.limit(c, [extra], 30) == 30
    assert settle_gpu.limit(a, [b, c], 60) == 40, "with too little time for all, those that come first have theirs"
    assert settle_gpu.limit(a, [b, c], 20) == 20


def test_whatever_hangs_every_step_that_settles_something_has_its_time(tmp_path, monkeypatch):
    """All take as long as they may, on a clock that is made up."""
    now, began = [1000.0], {}

    def run(command, most, log, folder):
        began[log.stem] = now[0] - 1000.0
        now[0] += most
        return Ended(None, most, "")

    def describe(sides, most, tries):
        now[0] += most
        return described(sides)

    def record(asked):
        section = f"{asked.parts[0].section}-{len(asked.parts)}"
        began[section] = now[0] - 1000.0
        for part in asked.parts:
            most = min(asked.most, asked.until - now[0])
            if most >= record_gpu.SHORTEST:
                began.setdefault(part.key, now[0] - 1000.0)
                now[0] += most
        (asked.folder / MEASURED).write_text("{}")
        return asked.folder / MEASURED

    monkeypatch.setattr(settle_gpu, "tool", lambda name: name)
    monkeypatch.setattr(settle_gpu, "run", run)
    monkeypatch.setattr(settle_gpu.time, "monotonic", lambda: now[0])
    found = settle_gpu.settle(tmp_path, describe=describe, record=record)
    todo = list(settle_gpu.steps(tmp_path))
    needed = [step for step in todo if step.settles]
    assert OPENING + sum(step.most for step in needed) <= WITHIN
    assert needed == todo[: len(needed)], "what does not settle anything comes later"
    outcomes = {name: step["outcome"] for name, step in found["steps"].items()}
    assert [name for name in outcomes if "no time was left" not in outcomes[name]][-1] == "decide fuses_adam"
    assert {step.log.removesuffix(".log") for step in needed if step.command} <= set(began)
    for side in (600, 2048):
        assert f"floor/{side}" in began
        assert f"arrangements/{side}" in began
        assert f"iterations/{side}/{STRONGEST_GRAPH}" in began
    assert now[0] <= 1000.0 + WITHIN
    assert found["settled"] is False


def test_benches_say_which_of_their_parts_failed(tmp_path):
    """A bench that raises is only a step that failed."""
    told = {"machine": {"device": "G", "commit": "c"}}
    recorded = []

    def record(asked):
        assert asked.described == told
        recorded.extend(part.key for part in asked.parts)
        path = asked.folder / asked.file
        results = {"missing": {STRONGEST_GRAPH: "fused-ssim is not installed"}}
        results |= json.loads(path.read_text()) if path.exists() else {}
        stamp = {"date": "d", "commit": "c", "took": 1, "most": 1}
        for part in asked.parts:
            if part == Part("iterations", 600, STRONGEST):
                merge(results, part, "took more than 60 s", stamp)
            elif part in (Part("iterations", 600, OURS), Part("floor", 600)):
                merge(results, part, {}, stamp)
            elif part.section == "arrangements":
                merge(results, part, "out of device memory", stamp)
            elif part.section == "memory":
                raise RuntimeError("the disk is full")
        path.write_text(json.dumps(results))
        return path

    names = (OURS, STRONGEST, LAUNCHES, STRONGEST_GRAPH)
    steps = (
        Step("floor", 60, bench=("floor", (600,), None), settles=True),
        Step("torch", 60, bench=("iterations", (600,), names), settles=True),
        Step("memory", 60, bench=("memory", (600,), (OURS,))),
        Step("again", 60, bench=("iterations", (600,), (OURS, LAUNCHES))),
    )
    assert settled(tmp_path, *steps, record=record) == {
        "gpu": "done",
        "floor": "done",
        "torch": "done but for iterations/600/torch strongest: took more than 60 s; "
        "iterations/600/mlsolve, launch by launch: no time was left; "
        "iterations/600/torch strongest, as a CUDA graph: fused-ssim is not installed",
        "memory": "the disk is full",
        "again": "done but for iterations/600/mlsolve, launch by launch: no time was left",
    }
    assert recorded.count("iterations/600/mlsolve") == 1, "what this call has measured is not measured again"
    assert json.loads((tmp_path / "settled.json").read_text())["settled"] is True
    arranged = Step("arrangements", 60, bench=("arrangements", (600, 2048), None), settles=True)
    assert settled(tmp_path, arranged, record=record)["arrangements"] == (
        "arrangements/600 and arrangements/2048: out of device memory"
    )
    assert json.loads((tmp_path / "settled.json").read_text())["settled"] is False


def test_steps_are_in_order_and_their_modules_exist(tmp_path, monkeypatch):
    """What decides comes first; tools that are not installed are said to be absent."""
    first = ["floor", "arrangements", "torch", "tests", "decide graphs", "decide fuses_adam"]
    monkeypatch.setattr(settle_gpu, "tool", lambda name: None)
    without = list(settle_gpu.steps(tmp_path))
    assert [step.name for step in without] == [*first, "profile", "sanitizer", "rest", "memory"]
    assert {step.name: step.absent for step in without if step.absent} == {
        "profile": "Nsight Compute is not installed",
        "sanitizer": "compute-sanitizer is not installed",
    }
    monkeypatch.setattr(settle_gpu, "tool", lambda name: f"/opt/{name}")
    todo = list(settle_gpu.steps(tmp_path))
    profiled = ["profile", "profile, read", "profile, source"]
    assert [step.name for step in todo] == [*first, *profiled, "sanitizer", "rest", "memory"]
    by_name = {step.name: step for step in todo}
    for step in (*without, *todo):
        assert bool(step.command) + bool(step.bench) + bool(step.absent) == 1
        if "-m" in step.command:
            assert find_spec(step.command[step.command.index("-m") + 1]) is not None
    assert by_name["profile"].command[:3] == ("/opt/ncu", "--clock-control", "none")
    assert by_name["tests"].command[-2:] == ("-k", "not sanitizer")
    assert by_name["sanitizer"].command[-2:] == ("-k", "sanitizer")
    assert [part.key for part in by_name["torch"].parts][:3] == [
        f"iterations/600/{STRONGEST_GRAPH}",
        f"iterations/2048/{STRONGEST_GRAPH}",
        f"iterations/600/{STRONGEST}",
    ]


def test_the_gpu_tests_say_how_many_failed_and_the_sanitizers_are_apart(tmp_path, monkeypatch):
    """Run as the steps run them, on a file of tests for a GPU that needs none."""
    tests = tmp_path / "test_it.py"
    tests.write_text(
        "import pytest\npytestmark = pytest.mark.gpu\ndef test_one(): pass\ndef test_two(): assert False\n"
        "@pytest.mark.parametrize('tool', 'ab')\ndef test_compute_sanitizer(tool): pass\n"
    )

    def outcome(name):
        (step,) = (one for one in settle_gpu.steps(tmp_path) if one.name == name)
        command = [str(tests) if word == "tests" else word for word in step.command]
        config = ("-c", str(settle_gpu.CLONE / "pyproject.toml"))
        return children.run((*command, *config), 60, tmp_path / "log.txt", tmp_path).tail.splitlines()[-1]

    monkeypatch.setattr(settle_gpu, "tool", lambda name: name)
    assert outcome("tests").startswith("1 failed, 1 passed, 2 deselected")
    assert outcome("sanitizer").startswith("2 passed, 2 deselected")


class Backend:
    """A backend that fuses Adam or not, on a device that records graphs or not."""

    def __init__(self, betas, graphs=True, fuses_adam=True, records=None):
        self.chosen = fuses_adam
        self._device = SimpleNamespace(records=graphs if records is None else records)


def test_what_is_decided_are_arguments_of_the_backend():
    """The first value is the default, and of what is a switch both sides are compared."""
    arguments = signature(CudaBackend).parameters
    for one in decisions.OFFERED:
        assert one.argument in arguments
        assert one.values[0] is arguments[one.argument].default
        assert one.values == (True, False)
    assert set(arguments) - {one.argument for one in decisions.OFFERED} == {"betas", "device", "number"}


@pytest.fixture
def turns(monkeypatch):
    """Milliseconds are made up: two where Adam is fused, else three; what was asked is in a list."""

    def take_turns(iterations, turns):
        asked.append([batch() for batch in iterations.values()])
        return {name: [0.02 if name == "True" else 0.03] * turns for name in iterations}

    def our_workspace(problem, backend):
        return SimpleNamespace(advance=lambda rates: (backend.chosen, len(rates)))

    asked = []
    monkeypatch.setattr(decisions, "our_workspace", our_workspace)
    monkeypatch.setattr(gpu_sections, "take_turns", take_turns)
    monkeypatch.setattr(gpu_sections, "free_all", lambda: None)
    return asked


def test_alternatives_take_turns_and_one_that_fails_does_not_hide_the_others(turns):
    found = decisions.decide("fuses_adam", (True, False), 16, Backend)
    assert found == {"True": pytest.approx(2), "False": pytest.approx(3)}
    assert turns == [[(True, 10), (False, 10)]]

    def broken(betas, fuses_adam):
        if fuses_adam:
            raise RuntimeError("nvJitLink refuses\nthis and that")
        return Backend(betas, fuses_adam=fuses_adam)

    found = decisions.decide("fuses_adam", (True, False), 16, broken)
    assert found == {"True": "nvJitLink refuses", "False": pytest.approx(3)}


def test_launches_are_not_compared_with_launches(turns):
    """A device that records no graphs launches kernel by kernel, whatever it is asked for."""
    timed = {"True": pytest.approx(2), "False": pytest.approx(3)}
    assert decisions.decide("graphs", (True, False), 16, Backend) == timed

    def without(betas, **chosen):
        return Backend(betas, records=False, **chosen)

    expected = {"True": "not recorded", "False": pytest.approx(3)}
    assert decisions.decide("graphs", (True, False), 16, without) == expected
    assert decisions.decide("fuses_adam", (True, False), 16, without) == timed

    def silent(betas, graphs):
        return SimpleNamespace(chosen=graphs, _device=object())

    assert decisions.decide("graphs", (True, False), 16, silent) == timed


def test_a_decision_is_written_side_by_side(tmp_path, monkeypatch, capsys):
    """What was measured before a later side takes too long is there; a child that measures nothing fails."""
    found = {600: {"True": 0.1, "False": 0.2}, 2048: {"True": "no LTO", "False": 1.0}}

    def decide(argument, values, side):
        if side == 7087:
            raise KeyboardInterrupt
        return found[side]

    monkeypatch.setattr(decisions, "decide", decide)
    monkeypatch.setattr(settle_gpu, "free_all", lambda: None)
    with pytest.raises(KeyboardInterrupt):
        settle_gpu.main(["--decide", "fuses_adam", str(tmp_path)])
    for side, one in found.items():
        assert json.loads((tmp_path / f"decide-fuses_adam-{side}.json").read_text()) == one
    assert "600: {'True': 0.1" in capsys.readouterr().out
    found |= {side: {"True": "no LTO", "False": "no memory"} for side in found}
    with pytest.raises(SystemExit) as stop:
        settle_gpu.main(["--decide", "graphs", str(tmp_path)])
    assert stop.value.code == "nothing was measured: True no LTO, False no memory"


def test_the_table_has_goals_beside_figures(tmp_path):
    lines = table(tmp_path)
    assert sum(line.endswith("not measured") for line in lines) == 6
    entry = {"milliseconds": {}, "times ours": {LAUNCHES: 1.0, STRONGEST: 5.5, STRONGEST_GRAPH: 5.25}}
    entry["ours as graphs"] = {STRONGEST: True, LAUNCHES: False}
    floor = {"milliseconds": 8.21, "times the copy": 1.38, "ours as graphs": False}
    arranged = {"600": {"plain": 0.1, "still": 0.12, "two stacks": 0.145}}
    graphs = {"600": {"plain": True, "arranged": False}, "2048": {"plain": True, "arranged": None}}
    device = {
        "machine": {"device": "Some GPU", "commit": "abc"},
        "iterations": {"sizes": {"2048": entry, "600": {"ours as graphs": {OURS: True}}}},
        "floor": {"sizes": {"7087": floor, "600": {**floor, "ours as graphs": True}}},
        "arrangements": {"ours as graphs": graphs, "milliseconds": arranged},
    }
    steps = {"gpu": {"outcome": "done"}, "tests": {"outcome": "2 failed, 37 passed"}}
    files = {
        "measured.json": json.dumps(device),
        "decide-fuses_adam-600.json": json.dumps({"True": 0.11, "False": "no LTO"}),
        "decide-graphs-600.json": '{"True": ',
        "settled.json": json.dumps({"steps": steps}),
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    lines = [" ".join(line.split()) for line in table(tmp_path)]
    assert lines[0] == "Some GPU, commit abc"
    for line in (
        "7087² 8.3 ms 8.21 ms",
        "7087², copies of 152 bytes 1.4 1.38",
        "2048², times as fast as torch strongest, as a CUDA graph 5 5.25",
        "600², times as fast as torch 6 not measured",
        "600², still 1.3 1.20",
        "600², two stacks 1.5 1.45",
        "fuses_adam 600²: True 0.11 ms, False no LTO",
        "floor: graphs not recorded at 7087",
        "iterations: graphs not recorded at 2048",
        "arrangements: graphs not recorded at 600",
        "tests: 2 failed, 37 passed",
    ):
        assert line in lines, line


def test_nothing_of_an_earlier_call_is_shown_and_nothing_of_others_removed(tmp_path, monkeypatch):
    """All steps fail, in a folder where an earlier call has measured everything."""
    machine = {"device": "Old GPU", "commit": "old"}
    floor = {"sizes": {"600": {"milliseconds": 0.5, "times the copy": 9.0}}}
    part = Part("floor", 600)
    old = {
        "measured.json": json.dumps({"machine": machine, "floor": floor}),
        "table.txt": "old",
        "passes.ncu-rep": "old",
        "late.log": "old",
        "logs/floor-600.log": "old",
        **{f"decide-{one.argument}-600.json": json.dumps({"True": 0.5}) for one in decisions.OFFERED},
    }
    foreign = {
        "some-gpu.json": json.dumps({"machine": machine, "floor": floor}),
        "decide-adam-600.json": json.dumps({"fused": 0.5}),
        "notes.txt": "mine",
        "logs/mine.log": "mine",
    }
    (tmp_path / "logs").mkdir()
    for name, text in (old | foreign).items():
        (tmp_path / name).write_text(text)
    steps = Step("floor", 60, bench=(*part[:1], (600,), None)), Step("late", 60, python("raise SystemExit(3)"))

    def record(asked):
        assert not (asked.folder / asked.file).exists()
        raise RuntimeError("it hangs")

    settled(tmp_path, *steps, record=record)
    lines = table(tmp_path)
    assert sum(line.endswith("not measured") for line in lines) == 6
    assert lines[-2:] == ["floor: it hangs", "late: ended with status 3 and said nothing"]
    assert not any("0.5" in line or "old" in line.lower() for line in lines)
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {*foreign, "settled.json", "late.log"}
    for name, text in foreign.items():
        assert (tmp_path / name).read_text() == text


def test_the_command_line_says_where_everything_is(tmp_path, monkeypatch, capsys):
    """The status says whether all that settles something was measured."""
    found = {"settled": False}
    monkeypatch.setattr(settle_gpu, "settle", lambda out, within: found)
    tmp_path.joinpath("o").mkdir()
    with pytest.raises(SystemExit) as stop:
        settle_gpu.main(["--out", str(tmp_path / "o")])
    assert stop.value.code == 1
    found["settled"] = True
    settle_gpu.main(["--out", str(tmp_path / "o")])
    assert f"all in {tmp_path / 'o'}" in capsys.readouterr().out
    assert "not measured" in (tmp_path / "o" / "table.txt").read_text()


def test_the_help_says_what_is_written_and_how_it_ends(capsys):
    with pytest.raises(SystemExit) as stop:
        settle_gpu.main(["--help"])
    assert stop.value.code == 0
    said = capsys.readouterr().out
    for word in ("table.txt", "settled.json", "measured.json", "decide-*.json", "*.log", "exit status:"):
        assert word in said
    for status in ("  0  ", "  1  ", "  2  "):
        assert status in said
    assert "==SUPPRESS==" not in said


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["--out", "FILE"], "--out is FILE, a file: give a folder"),
        (["--within", "0"], "--within is 0: give 5 seconds or more"),
        (["--within", "nan"], "--within is nan: give 5 seconds or more"),
    ],
)
def test_a_wrong_command_line_is_refused(tmp_path, monkeypatch, capsys, words, error):
    monkeypatch.chdir(tmp_path)
    Path("FILE").write_text("mine")
    with pytest.raises(SystemExit) as stop:
        settle_gpu.main(words)
    assert stop.value.code == 2
    assert error in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["FILE"]


def test_an_end_is_told_by_its_last_line():
    assert Ended(1, 1.0, "Traceback\n  File\nValueError: x\n\n").failure(5) == "ValueError: x"
