"""What memory there is, on any system, and what a run takes of it if nobody says."""

import json
import re
import sys
from collections import namedtuple
from pathlib import Path

import psutil
import pytest

from mlsolve.errors import OptionError
from mlsolve.job.job import Job
from mlsolve.run import budget, estimate, precompile
from mlsolve.run.budget import Budget
from mlsolve.run.rehearsal import Line, Times
from mlsolve.system import memory
from mlsolve.system.memory import (
    as_size,
    available_memory,
    installed_memory,
    parse_memory,
    peak_memory,
    resident_memory,
)
from mlsolve_kernels.control_groups import MemoryLimit

GIB = 2**30
System = namedtuple("System", "total available free")
Held = namedtuple("Held", "rss")
HeldOnWindows = namedtuple("HeldOnWindows", "rss peak_wset")


def group(left, limit=GIB):
    return MemoryLimit(Path("/groups/mine"), limit, left)


@pytest.mark.parametrize(
    ("limit", "available"),
    [(None, 20 * GIB), (group(GIB), GIB), (group(0), 0), (group(30 * GIB, 90 * GIB), 20 * GIB)],
)
def test_the_smaller_of_what_system_and_control_group_leave(monkeypatch, limit, available):
    monkeypatch.setattr(psutil, "virtual_memory", lambda: System(24 * GIB, 20 * GIB, 3 * GIB))
    monkeypatch.setattr(memory, "memory_limit", lambda: limit)
    assert available_memory() == available
    assert installed_memory() == 24 * GIB


@pytest.mark.parametrize("error", [OSError("no /proc"), NotImplementedError("this system")])
def test_a_system_that_does_not_tell(monkeypatch, error):
    def fails():
        raise error

    monkeypatch.setattr(psutil, "virtual_memory", fails)
    monkeypatch.setattr(memory, "memory_limit", lambda: None)
    assert available_memory() is installed_memory() is None
    monkeypatch.setattr(memory, "memory_limit", lambda: group(GIB))
    assert available_memory() == GIB


def test_here_psutil_is_asked(monkeypatch):
    monkeypatch.setattr(memory, "memory_limit", lambda: None)
    assert available_memory() == pytest.approx(psutil.virtual_memory().available, rel=0.2)
    assert 0 < available_memory() < installed_memory()


@pytest.mark.parametrize(
    ("size", "words"),
    [(4 * GIB, "4GiB"), (500 * 2**20, "500MiB"), (2_000_000, "2MB"), (3 * 10**9, "3GB"), (2_000_001, "2000001")],
)
def test_a_size_is_written_as_it_is_read(size, words):
    assert as_size(size) == words
    assert parse_memory(words) == size


@pytest.mark.parametrize(
    "given",
    [
        Budget(),
        Budget(500 * 2**20, processes=3),
        Budget(threads=2, devices=(0, 2)),
        Budget(123_456_789, cluster="tcp://host:8786", threads=4),
    ],
)
def test_a_budget_is_what_its_options_give(given, monkeypatch):
    """The line that ends a run says how to continue it with the same budget."""
    from mlsolve.run.session import Session
    from mlsolve_cli import carry_out
    from mlsolve_cli.main import main

    found = []
    monkeypatch.setattr(Session, "resume", lambda folder, budget: Session(None, folder, budget))
    monkeypatch.setattr(carry_out, "carry_out", lambda session, *_: found.append(session))
    with pytest.raises(SystemExit) as stop:
        main(["resume", "o", *given.options.split()])
    assert not stop.value.code
    assert [one.options for one in found] == [given.options]
    assert found[0]._budget == given


@pytest.mark.skipif(sys.platform != "linux", reason="compares with what Linux tells of a process: run it there")
def test_what_this_process_holds_is_what_linux_tells():
    assert resident_memory() == pytest.approx(psutil.Process().memory_info().rss, rel=0.1)
    assert resident_memory() <= peak_memory()


@pytest.mark.parametrize(("held", "peak"), [(Held(7000), None), (HeldOnWindows(7000, 9000), 9000)])
def test_what_this_process_holds_elsewhere(monkeypatch, held, peak):
    """macOS tells no peak, Windows does; neither has /proc."""
    monkeypatch.setattr(memory, "kilobytes", lambda path, name: None)
    monkeypatch.setattr(psutil.Process, "memory_info", lambda self: held)
    assert resident_memory() == 7000
    assert peak_memory() == peak


def test_what_may_not_be_asked(monkeypatch):
    def fails(self):
        raise psutil.AccessDenied

    monkeypatch.setattr(memory, "kilobytes", lambda path, name: None)
    monkeypatch.setattr(psutil.Process, "memory_info", fails)
    assert resident_memory() is peak_memory() is None


@pytest.mark.parametrize(
    ("given", "processes", "device", "taken"),
    [
        (None, 1, None, GIB // 2),
        # Each of four processes loads the program for itself.
        (None, 4, None, (GIB - 4 * budget.PROGRAM) // 2),
        (None, 100, None, 0),
        # With a GPU there is one process, whatever was said.
        (None, 4, 8 * GIB, GIB // 2),
        (3 * GIB, 4, None, 3 * GIB),
    ],
)
def test_a_run_takes_half_of_what_is_free(monkeypatch, given, processes, device, taken):
    monkeypatch.setattr(budget, "available_memory", lambda: GIB)
    assert Budget(given, processes, device=device).total == taken


def test_a_run_takes_what_it_needs_where_the_system_does_not_tell(monkeypatch):
    monkeypatch.setattr(budget, "available_memory", lambda: None)
    assert Budget().total is None
    assert Budget(GIB).total == GIB


def test_an_estimate_counts_with_what_a_run_would_take(monkeypatch, tmp_path, save, picture):
    job = Job(save("t.png", picture(600, 700)), ("mosaic:3",) * 3)
    line = Line(1.0, 1e-8)
    monkeypatch.setattr(estimate, "rehearsed", lambda *arguments: Times(*[line] * 6))
    for free, tiled in ((60 << 20, True), (None, False), (GIB, False)):
        for module in (budget, estimate):
            monkeypatch.setattr(module, "available_memory", lambda free=free: free)
        found = estimate.estimate_job(job, Budget(), tmp_path / "o", None)
        assert (found.tiles > 1) is tiled
        assert found.memory == (30 << 20 if tiled else found.memory_whole)
        assert found.memory_free == free


@pytest.mark.parametrize(("processes", "beside"), [(1, ""), (2, " beside 2 processes")])
def test_a_refusal_says_where_the_memory_comes_from(mlsolve, monkeypatch, save, picture, processes, beside):
    free = (4 << 20) + (0 if processes == 1 else 2 * budget.PROGRAM)
    monkeypatch.setattr(budget, "available_memory", lambda: free)
    done = mlsolve("run", save("t.png", picture(40, 40)), "--processes", processes)
    assert done.refusal.startswith(f"memory is 2 MiB, half of what is free{beside}: this print needs ")


def test_the_least_memory_counts_what_drawing_takes_in_every_process(mlsolve, save, picture):
    """Bands of this width take some 35 MB to draw, and every process draws."""
    arguments = ("run", save("t.png", picture(40, 40)), "--size", 2000, "--memory", "1MiB", "-g")

    def least(guide, processes):
        (found,) = re.findall(r"needs (\d+)MiB", mlsolve(*arguments, guide, "--processes", processes).refusal)
        return int(found)

    alone, drawn = least(arguments[1], 1), least("mosaic:1", 1)
    assert drawn - alone > 10
    assert least("mosaic:1", 4) - drawn == pytest.approx(3 * drawn, abs=3 * 10)


@pytest.mark.parametrize(("compiled", "enough"), [(True, 45 << 20), (False, 180 << 20)])
def test_the_program_itself_must_fit(mlsolve, monkeypatch, save, picture, compiled, enough):
    monkeypatch.setattr(precompile, "is_compiled", lambda job: compiled)
    for limit in (None, group(enough)):
        monkeypatch.setattr(precompile, "memory_limit", lambda limit=limit: limit)
        precompile.check_room(None)
    monkeypatch.setattr(precompile, "memory_limit", lambda: group(enough - 1))
    with pytest.raises(OptionError):
        precompile.check_room(None)
    monkeypatch.setattr(precompile, "memory_limit", lambda: group(30 << 20, 256 << 20))
    assert mlsolve("run", save("t.png", picture(40, 40))).refusal == (
        "the control group /groups/mine has 30 MiB of its 256 MiB of memory left: mlsolve takes "
        + ("45 MiB to load" if compiled else "180 MiB to compile")
        + " its kernels, so raise that limit"
    )


def test_info_tells_of_the_limit(mlsolve, monkeypatch):
    for limit in (None, group(300 << 20)):
        monkeypatch.setattr("mlsolve_kernels.control_groups.memory_limit", lambda limit=limit: limit)
        monkeypatch.setattr(memory, "memory_limit", lambda limit=limit: limit)
        (line,) = (line for line in mlsolve("info").out.splitlines() if line.startswith("memory"))
        facts = json.loads(mlsolve("info", "--json").out)["memory"]
        if limit is None:
            assert line.endswith(" free")
            assert facts["free"] > 0
            assert facts["control group"] is None
        else:
            assert line.split(maxsplit=1)[1] == "300 MiB free; control group /groups/mine is limited to 1 GiB"
            assert facts == {"free": 300 << 20, "control group": {"path": "/groups/mine", "limit": GIB}}


def test_more_than_the_control_group_has_left_is_refused(mlsolve, monkeypatch, save, picture):
    """The kernel would end the run in the middle; what fits is solved."""
    save("t.png", picture(40, 40))
    run = ("run", "t.png", "-g", "rosette:1", "--iterations", 2)
    monkeypatch.setattr(budget, "memory_limit", lambda: group(GIB // 2))
    refused = mlsolve(*run, "--memory", "600MiB", "--out", "a")
    assert refused.status == 2
    assert refused.err.splitlines()[-1] == (
        "mlsolve: error: memory is 600 MiB: the control group /groups/mine has 512 MiB left of its 1 GiB, "
        "give less, or leave --memory out"
    )
    assert mlsolve(*run, "--memory", "500MiB", "--out", "b").status == 0
