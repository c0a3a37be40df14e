"""`mlsolve bench`. No test looks at a clock: machines are made up, with clocks of their own."""

import dataclasses
import json
import re
import subprocess
import sys
from contextlib import contextmanager

import pytest

from conftest import environment, on_a_terminal
from mlsolve.job.options import Options
from mlsolve.system.memory import BYTES_PER_VALUE
from mlsolve_bench import pair, report, turns
from mlsolve_bench.report import Comparison, Forecast, Pace, Stack

ITERATIONS = Options().iterations_for("newton")
RGB = Stack(layers=3, planes=3)


def pace(side, per_value=10e-9, stack=RGB, fastest=None):
    seconds = per_value * stack.values((side, side))
    return Pace((side, side), seconds, seconds if fastest is None else fastest, per_value)


class MadeUpMachine:
    """It takes `per_value` seconds for a value of an iteration, and ten times that for preparing it."""

    def __init__(self, per_value, compiling=0.0):
        self.now, self.per_value, self.compiling = 1000.0, per_value, compiling
        self.iterations = []
        self.told = []

    @contextmanager
    def open_iteration(self, side):
        values = RGB.values((side, side))
        self.now += 10 * self.per_value * values

        def iterate():
            self.now += self.per_value * values + self.compiling
            self.compiling = 0.0
            self.iterations.append(side)

        yield iterate

    def measure(self, free=None):
        return report.measure(
            RGB, free, self.open_iteration, lambda *told: self.told.append(told), lambda: self.now
        )


def sides(paces):
    return [pace.size[0] for pace in paces]


def test_a_fast_machine_shows_three_large_sizes():
    machine = MadeUpMachine(per_value=10e-9)
    paces = machine.measure()
    assert sides(paces) == [600, 1024, 2048]
    for found in paces:
        assert found.per_value == pytest.approx(10e-9)
        assert found.seconds == found.fastest == pytest.approx(10e-9 * 9 * found.size[0] ** 2)
    assert machine.iterations.count(2048) == 10  # one that allocates, nine that count


@pytest.mark.parametrize(
    ("per_value", "expected"), [(40e-9, [300, 600, 1024]), (1e-7, [150, 300, 600]), (1e-5, [150])]
)
def test_a_slow_machine_ends_in_time_all_the_same(per_value, expected):
    machine = MadeUpMachine(per_value)
    assert sides(machine.measure()) == expected
    if expected != [150]:
        # Once to get ready, then the budget; an iteration that has begun is let end.
        ready = 11 * per_value * RGB.values((150, 150))
        last = per_value * RGB.values((expected[-1], expected[-1]))
        assert machine.now - 1000 <= ready + report.SECONDS_FOR_OURS + last


def test_compiling_is_on_nobodys_clock():
    machine = MadeUpMachine(per_value=10e-9, compiling=100.0)
    paces = machine.measure()
    assert sides(paces) == [600, 1024, 2048]
    assert paces[0].seconds == pytest.approx(10e-9 * RGB.values((600, 600)))


def test_memory_is_not_overdrawn():
    machine = MadeUpMachine(per_value=10e-9)
    assert sides(machine.measure(free=RGB.peak_memory((1024, 1024)) - 1)) == [150, 300, 600]
    assert 1024 not in machine.iterations


def test_a_machine_that_becomes_slow_is_not_waited_for():
    machine = MadeUpMachine(per_value=10e-9)
    told = machine.told

    class Tell(list):
        def append(self, what):
            if what == ("1024×1024", 0.0):
                machine.per_value = 1e-6
            super().append(what)

    machine.told = Tell(told)
    assert sides(machine.measure()) == [300, 600, 1024]
    assert machine.iterations.count(1024) == 4


def test_every_size_is_told_from_its_start_to_its_end():
    machine = MadeUpMachine(per_value=10e-9)
    machine.measure()
    names = list(dict.fromkeys(name for name, _ in machine.told))
    assert names == ["getting ready", "150×150", "300×300", "600×600", "1024×1024", "2048×2048"]
    for name in names:
        shares = [share for told, share in machine.told if told == name]
        assert shares == sorted(shares)
        assert shares[0] == 0
        assert shares[-1] < 1


def test_the_iteration_is_the_solvers():
    """The layers it improves are those of the stack asked for."""
    for stack in (RGB, Stack(layers=2, planes=1)):
        with report.iteration(24, stack, threads=1) as iterate:
            first = iterate()
            for _ in range(20):
                last = iterate()
        assert len(first["guide_ssim"]) == stack.layers
        assert last["stack_mse"] < first["stack_mse"]


def test_a_solve_is_the_sum_of_its_levels():
    paces = [pace(600), pace(2048)]
    found = report.forecast((600, 600), RGB, paces)
    pixels = 600**2 + 300**2 + 150**2 + 75**2 + 38**2
    assert found.levels == 5
    assert found.seconds == pytest.approx(ITERATIONS * pixels * 9 * 10e-9)
    assert found.memory == BYTES_PER_VALUE * 600**2 * 9
    wide = report.forecast((1200, 300), Stack(layers=5, planes=1), paces)
    assert wide.levels == 4  # down to 38 pixels, the last above COARSEST_SIDE
    pixels = 1200 * 300 + 600 * 150 + 300 * 75 + 150 * 38
    assert wide.seconds == pytest.approx(ITERATIONS * pixels * 5 * 10e-9)


def test_the_cost_of_a_value_is_interpolated_and_never_extrapolated():
    paces = [pace(1024, 20e-9), pace(256, 10e-9)]

    def cost_at_full_size(side):
        """What the full size adds to the levels below, which a solve of half the size has as well."""
        seconds = (
            report.forecast((side, side), RGB, paces).seconds
            - report.forecast((side // 2, side // 2), RGB, paces).seconds
        )
        return seconds / (ITERATIONS * RGB.values((side, side)))

    assert cost_at_full_size(512) == pytest.approx(15e-9)
    assert cost_at_full_size(128) == pytest.approx(10e-9)
    assert cost_at_full_size(4096) == pytest.approx(20e-9)


@pytest.fixture
def fake_torch(monkeypatch):
    """Opponents and turns made up: an iteration takes mlsolve 5 ms and torch 100 ms, at any size."""
    calls = []

    def steps(side, threads, names=("mlsolve", "torch as described")):
        iterations = {
            "mlsolve": lambda: calls.append(("mlsolve", side, threads)),
            "torch as described": lambda: calls.append(("torch", side, threads)),
        }
        return {name: iterations[name] for name in names}

    def take_turns(iterations, turns):
        for _ in range(turns + 1):
            for iterate in iterations.values():
                iterate()
        # One turn each was disturbed; medians do not mind.
        return {name: [9.0] + [0.005 if name == "mlsolve" else 0.1] * (turns - 1) for name in iterations}

    monkeypatch.setattr(pair, "steps", steps)
    monkeypatch.setattr(turns, "take_turns", take_turns)
    monkeypatch.setattr(report, "version", lambda package: {"torch": "2.0"}[package])
    return calls


def test_torch_takes_turns(fake_torch):
    ticks = iter([0.0, 0.01])
    told = []
    found = report.compare(2, lambda *what: told.append(what), lambda: next(ticks))
    assert found == Comparison((600, 600), 0.005, 0.1, "2.0")
    assert found.ratio == pytest.approx(20)
    # Torch alone at the smallest size, to see what it can afford; then both in turns.
    assert fake_torch[:2] == [("torch", 150, 2)] * 2
    assert fake_torch[2:6] == [("mlsolve", 600, 2), ("torch", 600, 2)] * 2
    shares = [share for name, share in told if "in turns" in name]
    assert shares == sorted(shares)
    assert 0.9 < shares[-1] < 1


def test_ours_in_the_pair_is_the_solvers():
    assert set(pair.steps(24, 1, names=(pair.OURS,))) == {"mlsolve"}
    iterate = pair.steps(24, 1, names=(pair.OURS,))[pair.OURS]
    first = iterate()
    for _ in range(5):
        last = iterate()
    assert last["stack_mse"] < first["stack_mse"]


def test_torch_is_asked_for_no_more_than_it_can_do_in_time():
    assert report.side_to_compare(0.05) == 600
    assert report.side_to_compare(0.3) == 300
    assert report.side_to_compare(30.0) == 150


@pytest.fixture
def measured(monkeypatch):
    """The command on a made-up machine: 10 ns a value, torch twenty times slower, 24 GB free of 32.

    What a solve takes is made up as well, so that the words here outlive a change of the defaults.
    """

    def forecast(size, stack, paces):
        values = stack.values(size)
        return Forecast(size, 4 if max(size) < 2048 else 6, 100 * 4 / 3 * 10e-9 * values, 65 * values)

    paces = [pace(600), pace(1024), pace(2048, 10.4e-9)]
    comparison = Comparison((600, 600), 0.0324, 0.648, "2.13.0")
    monkeypatch.setattr(report, "measure", lambda *_: paces)
    monkeypatch.setattr(report, "forecast", forecast)
    monkeypatch.setattr(report, "compare", lambda *_: comparison)
    monkeypatch.setattr("mlsolve.system.memory.available_memory", lambda: 24 * 10**9)
    monkeypatch.setattr("mlsolve_kernels.threads.available_cores", lambda: 2)
    monkeypatch.setattr("mlsolve_kernels.compiled.is_cached", lambda: True)
    monkeypatch.setattr("mlsolve_cli.bench.processor", lambda: "Abacus 3000")
    monkeypatch.setattr("mlsolve.system.memory.installed_memory", lambda: 32 * 10**9)
    monkeypatch.setattr("mlsolve_cli.bench.find_spec", lambda name: object())
    return paces


def test_the_table(mlsolve, measured):
    done = mlsolve("bench")
    assert done.status == 0
    assert done.err == ""
    machine, table, comparison = done.out.split("\n\n")
    assert machine.splitlines() == [
        "Abacus 3000, 2 cores, 32 GB of memory, 24 GB free",
        "3 layers in colour, on 2 threads",
    ]
    assert table.splitlines()[:4] == [
        "size         an iteration     a value    whole solve    peak memory",
        "600×600           32.4 ms     10.0 ns          4.3 s         211 MB",
        "1024×1024         94.4 ms     10.0 ns           13 s         613 MB",
        "2048×2048          393 ms     10.4 ns           50 s        2.45 GB",
    ]
    footnote = " ".join(table.split()[table.split().index("A") :])
    assert f"A whole solve is {ITERATIONS} iterations at each of 4 to 6 sizes" in footnote
    assert comparison.splitlines()[:2] == [
        "20 times as fast as torch 2.13.0 at 600×600, three layers in colour",
        "An iteration takes torch 648 ms and mlsolve 32.4 ms where they take turns on the",
    ]


def last_paragraphs(done, count):
    assert done.status == 0, done.err
    return done.out.rstrip("\n").split("\n\n")[-count:]


def test_a_system_that_does_not_tell_its_memory(mlsolve, measured, monkeypatch):
    monkeypatch.setattr("mlsolve.system.memory.available_memory", lambda: None)
    monkeypatch.setattr("mlsolve.system.memory.installed_memory", lambda: None)
    done = mlsolve("bench", "--grey", "--layers", 1, "--threads", 1)
    assert done.out.splitlines()[:2] == ["Abacus 3000, 2 cores", "1 layer in grey, on 1 thread"]
    assert json.loads(mlsolve("bench", "--json").out)["machine"]["free"] is None


def test_a_busy_machine_is_told_of(mlsolve, measured):
    assert "busy" not in mlsolve("bench").out
    measured[0] = dataclasses.replace(measured[0], fastest=measured[0].seconds / 2)
    said = " ".join(mlsolve("bench").out.split())
    assert "Something else keeps this machine busy: half of the iterations took 2.0 times as long" in said


def test_every_line_fits_a_plain_terminal(mlsolve, measured):
    measured[0] = dataclasses.replace(measured[0], fastest=measured[0].seconds / 2)
    done = mlsolve("bench")
    assert max(len(line) for line in done.out.splitlines()) <= 80


def test_json(mlsolve, measured):
    found = json.loads(mlsolve("bench", "--json").out)
    assert found["machine"] == {
        "processor": "Abacus 3000",
        "cores": 2,
        "threads": 2,
        "memory": 32 * 10**9,
        "free": 24 * 10**9,
    }
    assert (found["layers"], found["planes"], found["iterations"]) == (3, 3, ITERATIONS)
    assert [entry["size"] for entry in found["sizes"]] == [[600, 600], [1024, 1024], [2048, 2048]]
    first = found["sizes"][0]
    assert first["iteration_seconds"] == pytest.approx(0.0324)
    assert first["ns_per_value"] == pytest.approx(10)
    assert first["solve_seconds"] == pytest.approx(4.32)
    assert first["memory"] == 210_600_000
    assert found["torch"]["ratio"] == pytest.approx(20)


def test_without_torch(mlsolve, measured, monkeypatch):
    monkeypatch.setattr("mlsolve_cli.bench.find_spec", lambda name: None)
    assert last_paragraphs(mlsolve("bench"), 1) == [
        "torch is not installed: pip install 'mlsolve[bench]' brings it for a comparison"
    ]
    assert json.loads(mlsolve("bench", "--json").out)["torch"] is None


def test_with_a_broken_torch(mlsolve, measured, monkeypatch):
    def broken(*_):
        raise ImportError("libtorch.so: cannot open shared object file\nand more")

    monkeypatch.setattr(report, "compare", broken)
    assert last_paragraphs(mlsolve("bench"), 1) == [
        "torch cannot be imported, so there is no comparison: libtorch.so: cannot open shared object file"
    ]


def test_the_first_time_it_says_that_it_compiles(mlsolve, measured, monkeypatch):
    monkeypatch.setattr("mlsolve_kernels.compiled.is_cached", lambda: False)
    assert mlsolve("bench").err.startswith("compiling the kernels")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--layers", 0), "--layers is 0: it must be from 1 to 16"),
        (("--layers", 17), "--layers is 17"),
        (("--threads", 0), "threads is 0: it must be from 1 to 1024"),
        (("--print", "A3"), "takes no --print: use mlsolve estimate --print A3"),
    ],
)
def test_it_refuses_before_it_measures(mlsolve, monkeypatch, arguments, words):
    def measure(*_):
        raise AssertionError("it measured")

    monkeypatch.setattr(report, "measure", measure)
    assert words in mlsolve("bench", *arguments).refusal


def test_the_stack_asked_for_is_the_one_that_is_measured(mlsolve, measured, monkeypatch):
    seen = []

    def measure(stack, free, open_iteration, tell):
        with open_iteration(24) as iterate:
            seen.append((stack, len(iterate()["guide_ssim"])))
        return measured

    monkeypatch.setattr(report, "measure", measure)
    assert mlsolve("bench", "--layers", 2, "--grey", "--threads", 1).status == 0
    assert seen == [(Stack(2, 1), 2)]


def test_ctrl_c(mlsolve, measured, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(report, "measure", interrupt)
    done = mlsolve("bench")
    assert done.status == 130
    assert "Traceback" not in done.err
    assert done.err.startswith("mlsolve: interrupted")


def test_help(mlsolve):
    assert "Example: mlsolve bench --layers 4 --grey" in " ".join(mlsolve("bench", "--help").out.split())


SMALL = (
    "import sys\n"
    "import mlsolve_cli.bench\n"
    "from mlsolve_bench import report\n"
    "from mlsolve_cli.main import main\n"
    "report.SIDES = (12, 24, 40)\n"
    "mlsolve_cli.bench.find_spec = lambda name: None\n"
    "main(['bench', *sys.argv[1:]])\n"
)
"""The command as it is, on sizes that take no time, and without torch."""


def test_it_measures():
    done = subprocess.run(
        [sys.executable, "-c", SMALL, "--json", "--layers", "2", "--grey"],
        capture_output=True,
        text=True,
        env=environment(),
        check=True,
    )
    found = json.loads(done.stdout)
    assert [entry["size"][0] for entry in found["sizes"]] == [12, 24, 40]
    for entry in found["sizes"]:
        assert 0 < entry["fastest_seconds"] <= entry["iteration_seconds"]
        values = 2 * entry["size"][0] ** 2
        assert entry["ns_per_value"] * values == pytest.approx(entry["iteration_seconds"] * 1e9)
    assert found["machine"]["cores"] >= 1


def test_a_bar_on_a_terminal(tmp_path):
    status, out, shown = on_a_terminal([sys.executable, "-c", SMALL], tmp_path)
    assert status == 0
    text = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", shown)
    assert re.search(r"━+ getting ready|━+ \d+×\d+", text)
    assert "40×40" in out
    assert "\x1b" not in out
