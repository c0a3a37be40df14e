"""The benches for a GPU, with clocks and devices that are made up: what they measure and what they write."""

import json
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from cuda_host.device import HostDevice, needs_compiler
from mlsolve.errors import DeviceMemoryError
from mlsolve.solving.backends import CudaBackend
from mlsolve_bench.pair import our_workspace
from mlsolve_bench.problem import noise
from mlsolve_kernels.iteration.cuda import BATCH
from mlsolve_records import gpu_sections, machine, opponents, record_gpu
from mlsolve_records.arrangements import arrangements
from mlsolve_records.gpu_parts import KINDS, Part, is_recorded, merge, parts_of
from mlsolve_records.opponents import (
    COMPILED,
    DESCRIBED,
    FUSED,
    GPU_NAMES,
    LAUNCHES,
    OURS,
    STRONGEST,
    STRONGEST_GRAPH,
)

SECONDS = {OURS: 0.002, LAUNCHES: 0.003, DESCRIBED: 0.05, COMPILED: 0.03, STRONGEST: 0.01}
MACHINE = {"device": "NVIDIA H100 80GB HBM3", "date": "2026-11-28", "commit": "abc"}


@pytest.fixture
def fake(monkeypatch):
    """Everybody is there, an iteration is nothing, and what turns measure is made up."""

    def take_turns(iterations, turns):
        return {name: [SECONDS[name] * BATCH] * turns for name in iterations}

    monkeypatch.setattr(gpu_sections, "take_turns", take_turns)
    monkeypatch.setattr(gpu_sections, "free_all", lambda: None)
    device = types.SimpleNamespace(records=True)

    def batch_of(name, side, opened):
        opened[name] = device
        return name

    monkeypatch.setattr(gpu_sections, "batch_of", batch_of)
    monkeypatch.setattr(gpu_sections.opponents, "check", lambda device, names: None)
    return device


def timed(name, side=96):
    """What is measured of an opponent; fails with what a child would tell its parent."""
    found = record_gpu.measure_here(f"iterations/{side}/{name}", quick=True)
    return found["failed"] if "failed" in found else found["sizes"][str(side)]


def test_iterations_of_an_opponent_beside_ours(fake):
    assert timed(OURS) == {
        "milliseconds": {OURS: 2.0},
        "ours in the same turns": {},
        "times ours": {},
        "ours as graphs": {OURS: True},
    }
    found = timed(DESCRIBED)
    assert found["milliseconds"] == {DESCRIBED: pytest.approx(50)}
    assert found["ours in the same turns"] == {DESCRIBED: pytest.approx(2)}
    assert found["times ours"] == {DESCRIBED: pytest.approx(25)}
    assert timed(LAUNCHES)["times ours"][LAUNCHES] == pytest.approx(1.5)


def test_who_does_not_fit_is_measured_by_itself_or_said_to_fail(fake, monkeypatch):
    held = []

    def batch_of(name, side, opened):
        if name == DESCRIBED:
            raise RuntimeError("CUDA out of memory. Tried to allocate 20 GiB")
        if name == COMPILED:
            raise RuntimeError("Inductor is unhappy\nand says why")
        if name == STRONGEST and OURS in held[-1:]:
            held.clear()
            raise RuntimeError("CUDA out of memory")
        held.append(name)
        return name

    monkeypatch.setattr(gpu_sections, "batch_of", batch_of)
    assert timed(DESCRIBED) == "out of device memory"
    assert timed(COMPILED) == "Inductor is unhappy"
    assert timed(STRONGEST)["times ours"][STRONGEST] == pytest.approx(5)


def test_an_illegal_access_is_not_taken_for_too_little_memory():
    assert gpu_sections.reason_of(RuntimeError("CUDA error: an illegal memory access\nwas met")).startswith(
        "CUDA error"
    )
    assert gpu_sections.reason_of(DeviceMemoryError("3 layers need")) == "out of device memory"


def test_nobody_is_timed_who_solves_another_problem(fake, monkeypatch):
    def check(device, names):
        if COMPILED in names:
            raise AssertionError("torch compiled does not solve the problem it should: Apart(1, 2, 3)")

    monkeypatch.setattr(gpu_sections.opponents, "check", check)
    assert timed(COMPILED).startswith("torch compiled does not solve the problem")
    assert "milliseconds" in timed(DESCRIBED)


def test_the_floor_counts_the_bytes_that_are_said(fake, monkeypatch):
    monkeypatch.setattr(gpu_sections, "copy_rate", lambda size: 3e12)
    monkeypatch.setattr(gpu_sections, "kernel_times", lambda side: {"passes": 1.0})
    found = gpu_sections.floor(Part("floor", 1000), quick=True)["sizes"]["1000"]
    assert found["copying its bytes"] == pytest.approx(152 * 3e6 / 3e12 * 1e3)
    assert found["times the copy"] == pytest.approx(2.0 / 0.152)
    assert found["bytes a second"] == pytest.approx(152 * 3e6 / 0.002)


@needs_compiler
def test_arrangements_beside_a_plain_iteration(fake, monkeypatch, tmp_path):
    """They run, all of them, and what is timed is a batch."""
    ran = []

    def take_turns(iterations, turns):
        ran.extend(len(batch()) for name, batch in iterations.items() if name != OURS)
        return {name: [(1 + len(ran)) * BATCH / 1e3] * turns for name in iterations}

    monkeypatch.setattr(gpu_sections, "take_turns", take_turns)
    monkeypatch.setattr(gpu_sections, "open_device", lambda graphs: HostDevice(tmp_path))
    found = gpu_sections.arranged(Part("arrangements", 12), quick=True)["milliseconds"]["12"]
    assert ran == [BATCH] * 5
    assert list(found.values()) == pytest.approx([1, 2, 3, 4, 5, 6])
    assert list(found) == ["plain", *arrangements(12)]


def test_results_say_whether_graphs_were_replayed(fake, monkeypatch):
    """What the device says after its iterations, beside an opponent too; nothing of a device that does not say."""
    monkeypatch.setattr(gpu_sections, "copy_rate", lambda size: 3e12)
    monkeypatch.setattr(gpu_sections, "kernel_times", lambda side: {})

    def floor():
        return gpu_sections.floor(Part("floor", 96), quick=True)["sizes"]["96"]["ours as graphs"]

    def arranged():
        monkeypatch.setattr(gpu_sections, "open_device", lambda graphs: fake)
        monkeypatch.setattr(gpu_sections, "arrangements", lambda side: {})
        return gpu_sections.arranged(Part("arrangements", 96), quick=True)["ours as graphs"]

    assert (floor(), arranged()) == (True, {"96": {"plain": True, "arranged": True}})

    def take_turns(iterations, turns):
        fake.records = False  # the recording fails, in the first batch
        return {name: [1.0] * turns for name in iterations}

    for measured, expected in (
        (lambda: timed(LAUNCHES)["ours as graphs"], {LAUNCHES: False}),
        (lambda: timed(STRONGEST)["ours as graphs"], {STRONGEST: False}),
        (floor, False),
        (arranged, {"96": {"plain": False, "arranged": False}}),
    ):
        fake.records = True
        monkeypatch.setattr(gpu_sections, "take_turns", take_turns)
        assert measured() == expected
    assert gpu_sections.replays_graphs(HostDevice(Path())) is False
    assert gpu_sections.replays_graphs(None) is None


def test_the_device_of_a_batch_is_told(monkeypatch):
    """Of mlsolve's only: torch opens its own."""
    work = types.SimpleNamespace(_device="device", advance=len)
    monkeypatch.setattr(opponents, "workspace", lambda *_: work)
    opened = {}
    for name in (OURS, STRONGEST):
        assert gpu_sections.batch_of(name, 8, opened)() == BATCH
    assert opened == {OURS: "device"}
    assert gpu_sections.batch_of(OURS, 8)() == BATCH


@needs_compiler
def test_the_launches_of_an_iteration_are_timed_one_by_one(monkeypatch, tmp_path):
    """All of them run, on the stream of the device; only the clock is made up."""
    device, ran = HostDevice(tmp_path), []
    device.stream = "its stream"
    launch = device.launch
    monkeypatch.setattr(device, "launch", lambda kernel, *more: (ran.append(kernel), launch(kernel, *more)))

    def workspace(name, problem, threads, on):
        assert (name, on) == (LAUNCHES, "cuda")
        return our_workspace(problem, CudaBackend(problem.betas, device))

    def device_seconds(run, stream):
        assert stream == "its stream"
        ran.clear()
        run()
        return {"stack_pass": 2.0, "layer_step": 3.0}[ran[0]] if len(ran) == 1 else 5.0

    monkeypatch.setattr(opponents, "workspace", workspace)
    monkeypatch.setattr(gpu_sections, "_device_seconds", device_seconds)
    assert gpu_sections.kernel_times(12) == {"stack pass": 2e3, "layer pass": 3e3, "all": 5e3}
    assert ran == ["stack_pass", "layer_step"]


def test_every_part_has_a_key_that_leads_back_to_it():
    parts = list(parts_of(list(KINDS), (600, 2048)))
    assert [Part.of(part.key) for part in parts] == parts
    assert len(set(parts)) == len(parts)
    assert set(KINDS) == set(gpu_sections.MEASURE)
    assert Part("iterations", 600, STRONGEST_GRAPH) in parts
    assert Part("memory", 600, LAUNCHES) not in parts
    assert {part.name for part in parts if part.section == "iterations"} == set(GPU_NAMES)
    with pytest.raises(ValueError, match="part is 'speed/600': use SECTION"):
        Part.of("speed/600")
    with pytest.raises(ValueError, match="part is 'iterations/600': use SECTION"):
        Part.of("iterations/600")


def stamp(commit="abc", most=100.0):
    return {"date": "2026-11-28", "commit": commit, "took": 1.0, "most": most}


def iterations_of(name, milliseconds, side=600):
    entry = {"milliseconds": {name: milliseconds}, "ours in the same turns": {}, "times ours": {}}
    return {"batch": BATCH, "sizes": {str(side): entry}}


def test_parts_join_and_an_entry_is_of_one_commit():
    """What is left of another commit, or of nobody knows which, goes when its size is measured anew."""
    old = {**iterations_of(OURS, 9.0), "note": "by hand", "commit": "old"}
    old["sizes"]["2048"] = {"milliseconds": {OURS: 99.0}}
    results = {"iterations": old}
    merge(results, Part("iterations", 600, OURS), iterations_of(OURS, 1.0), stamp())
    merge(results, Part("iterations", 600, STRONGEST), iterations_of(STRONGEST, 5.0), stamp())
    merge(results, Part("iterations", 600, COMPILED), "Inductor is unhappy", stamp())
    sizes = results["iterations"]["sizes"]
    assert sizes["600"]["milliseconds"] == {OURS: 1.0, STRONGEST: 5.0}
    assert sizes["600"]["failed"] == {COMPILED: "Inductor is unhappy"}
    assert sizes["2048"] == {"milliseconds": {OURS: 99.0}}
    assert "note" not in results["iterations"]

    merge(results, Part("iterations", 2048, STRONGEST), iterations_of(STRONGEST, 7.0, 2048), stamp())
    assert sizes["2048"]["milliseconds"] == {STRONGEST: 7.0}
    merge(results, Part("iterations", 600, COMPILED), iterations_of(COMPILED, 3.0), stamp())
    assert sizes["600"]["failed"] == {}
    assert sizes["600"]["milliseconds"] == {OURS: 1.0, STRONGEST: 5.0, COMPILED: 3.0}

    merge(results, Part("iterations", 600, OURS), iterations_of(OURS, 0.5), stamp("new"))
    assert sizes["600"]["milliseconds"] == {OURS: 0.5}
    assert sizes["2048"]["milliseconds"] == {STRONGEST: 7.0}
    assert "iterations/600/torch compiled" not in results["parts"]


def test_what_is_recorded_is_not_measured_again():
    part, results = Part("iterations", 600, COMPILED), {}
    assert not is_recorded(results, part, "abc", 100)
    merge(results, part, "took more than 100 s", stamp())
    assert is_recorded(results, part, "abc", 100)
    assert not is_recorded(results, part, "abc", 200)
    assert not is_recorded(results, part, "def", 100)
    merge(results, part, "out of device memory", stamp())
    assert is_recorded(results, part, "abc", 200)
    merge(results, part, iterations_of(COMPILED, 1.0), stamp("abc+"))
    assert not is_recorded(results, part, "abc+", 100)
    merge(results, part, iterations_of(COMPILED, 1.0), stamp(None))
    assert not is_recorded(results, part, None, 100)


@pytest.fixture
def recorder(tmp_path):
    """Records parts that are made up, with `fails` of them; every call is in `asked`."""
    told = {"machine": MACHINE, "launches": {}, "missing": {FUSED: "not installed"}}
    asked, fails = [], {}

    def measure(part, wish, most):
        asked.append((part.key, most))
        if part.key == fails.get("interrupted"):
            raise KeyboardInterrupt
        if part.key in fails:
            return fails[part.key], most
        return iterations_of(part.name, 1.0, part.side), 3.0

    def record(sides=(600,), names=(OURS, COMPILED, FUSED), **more):
        parts = tuple(parts_of(["iterations"], sides, names))
        wish = record_gpu.Asked(tmp_path, parts, sides, described=told, **more)
        return record_gpu.record(wish, measure)

    return types.SimpleNamespace(record=record, asked=asked, fails=fails, told=told)


def test_a_file_by_the_name_of_the_device(recorder):
    path = recorder.record()
    assert path.name == "nvidia-h100-80gb-hbm3.json"
    written = json.loads(path.read_text())
    assert written["machine"] == MACHINE
    assert written["missing"] == {FUSED: "not installed"}
    assert written["iterations"]["sizes"]["600"]["milliseconds"] == {OURS: 1.0, COMPILED: 1.0}
    assert [key for key, _ in recorder.asked] == ["iterations/600/mlsolve", "iterations/600/torch compiled"]


def test_what_was_interrupted_goes_on_where_it_was(recorder):
    recorder.fails["interrupted"] = "iterations/2048/mlsolve"
    with pytest.raises(KeyboardInterrupt):
        recorder.record((600, 2048))
    recorder.fails.clear()
    recorder.asked.clear()
    path = recorder.record((600, 2048))
    assert [key for key, _ in recorder.asked] == ["iterations/2048/mlsolve", "iterations/2048/torch compiled"]
    assert list(json.loads(path.read_text())["iterations"]["sizes"]) == ["600", "2048"]
    recorder.record((600, 2048), again=True)
    assert len(recorder.asked) == 6


def test_a_part_that_takes_too_long_is_recorded_as_failed_and_the_next_one_is_measured(recorder):
    recorder.fails["iterations/600/mlsolve"] = "took more than 110 s"
    written = json.loads(recorder.record().read_text())
    assert written["iterations"]["sizes"]["600"]["failed"] == {OURS: "took more than 110 s"}
    assert written["iterations"]["sizes"]["600"]["milliseconds"] == {COMPILED: 1.0}


def test_no_part_is_begun_for_which_no_time_is_left(recorder, monkeypatch):
    now = iter((0.0, 96.0))
    monkeypatch.setattr(record_gpu.time, "monotonic", lambda: next(now))
    recorder.record(until=100.0)
    assert recorder.asked == [("iterations/600/mlsolve", 100.0)]


def test_the_summary_has_all_that_was_measured():
    entry = {
        "milliseconds": {OURS: 0.1, STRONGEST: 0.5},
        "times ours": {STRONGEST: 5.0},
        "failed": {COMPILED: "why"},
    }
    results = {
        "iterations": {"sizes": {"600": entry}},
        "floor": {"sizes": {"600": {"times the copy": 1.5, "kernels": {"target pass": 0.05}}}},
        "arrangements": {"milliseconds": {"600": {"plain": 0.1, "still": 0.12}}},
    }
    assert record_gpu.summary(results) == [
        "600² mlsolve: 0.1 ms",
        "600² torch strongest: 0.5 ms, 5.00 times mlsolve",
        "600² torch compiled: why",
        "600² 1.50 copies of 152 bytes: target pass 0.05 ms",
        "600² in plain iterations of 0.1 ms: still 1.20",
    ]
    assert record_gpu.summary({"floor": {"date": "2026-11-28"}}) == []
    entry["ours as graphs"] = {OURS: False, STRONGEST: True}
    assert record_gpu.summary(results)[:2] == [
        "600² mlsolve: 0.1 ms (mlsolve without graphs: the device did not record any)",
        "600² torch strongest: 0.5 ms, 5.00 times mlsolve",
    ]


def test_without_a_gpu_the_bench_refuses_in_one_line(capsys, monkeypatch, tmp_path):
    """The child that opens the device, and the parent that passes on what it said."""
    with pytest.raises(SystemExit) as stop:
        record_gpu.main(["--describe", "--out", str(tmp_path / "out.json")])
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert said == (
        "mlsolve_records: error: backend is cuda: there is no NVIDIA driver here: use --backend cpu, or install "
        "one and pip install 'mlsolve[cuda13]', or 'mlsolve[cuda12]' for drivers before 580\n"
    )
    ended = record_gpu.Ended(2, 1.0, f"some warning\n{said}")
    monkeypatch.setattr(record_gpu, "run", lambda command, most, log: ended)
    with pytest.raises(SystemExit) as stop:
        record_gpu.main(["--quick", "--results", str(tmp_path)])
    assert stop.value.code == 2
    assert capsys.readouterr().err == said


def test_no_gpu_is_told_from_a_child_that_fails(monkeypatch):
    """Whole, because what to do about it is at the end of the line."""
    why = "backend is cuda: some GPU does not work (" + 200 * "x" + "): bring its driver up to date"
    ends = {"status": 2, "tail": f"mlsolve_records: error: {why}\n"}
    asked = []

    def run(command, most, log):
        asked.append(command)
        return record_gpu.Ended(ends["status"], 1.0, ends["tail"])

    monkeypatch.setattr(record_gpu, "run", run)
    with pytest.raises(record_gpu.NoGpu) as stop:
        record_gpu.describe((600,))
    assert str(stop.value) == why
    ends |= {"status": 1, "tail": "Traceback\nKeyError: 'x'\n"}
    with pytest.raises(record_gpu.Refused, match="KeyError: 'x'") as stop:
        record_gpu.describe((600,), tries=False)
    assert not isinstance(stop.value, record_gpu.NoGpu)
    assert ["--untried" in command for command in asked] == [False, True]


def test_a_device_is_described_without_torch_if_asked(monkeypatch, tmp_path):
    """Not even its import is tried: it may take long, and it may be broken."""
    device = types.SimpleNamespace(name="G")
    monkeypatch.setattr(gpu_sections, "open_device", lambda: device)
    monkeypatch.setattr(gpu_sections, "launches", lambda device, side: {})
    monkeypatch.setattr(gpu_sections, "versions", dict)
    monkeypatch.setitem(sys.modules, "torch", None)
    packages = {"torch"}
    monkeypatch.setattr(opponents, "find_spec", lambda name: name if name in packages else None)
    record_gpu.main(["--describe", "--untried", "--sides", "96", "--out", str(tmp_path / "out.json")])
    assert list(json.loads((tmp_path / "out.json").read_text())["missing"]) == [FUSED]
    packages.clear()
    assert set(opponents.missing("cuda", tries=False)) == set(GPU_NAMES) - {OURS, LAUNCHES}
    packages.add("torch")
    with pytest.raises(ImportError):
        gpu_sections.describe((96,))


def test_a_child_that_says_nothing_has_failed(monkeypatch, tmp_path):
    monkeypatch.setattr(record_gpu, "run", lambda command, most, log: record_gpu.Ended(0, 1.0, ""))
    wish = record_gpu.Asked(tmp_path, (), (600,))
    assert record_gpu.measure(Part("floor", 600), wish, 10.0) == ("ended without a result", 1.0)
    monkeypatch.setattr(record_gpu, "run", lambda command, most, log: record_gpu.Ended(None, 10.0, "x"))
    assert record_gpu.measure(Part("floor", 600), wish, 10.0) == ("took more than 10 s", 10.0)


def test_the_child_of_a_part_gets_its_key_and_a_log(monkeypatch, tmp_path):
    asked = []

    def run(command, most, log):
        asked.append((command[1:-1], most, log))
        Path(command[-1]).write_text('{"failed": "no g++"}')
        return record_gpu.Ended(0, 2.0, "")

    monkeypatch.setattr(record_gpu, "run", run)
    wish = record_gpu.Asked(tmp_path, (), (600,), quick=True, logs=tmp_path)
    assert record_gpu.measure(Part("iterations", 600, STRONGEST_GRAPH), wish, 10.0) == ("no g++", 2.0)
    words = ["-m", "mlsolve_records.record_gpu", "--part", f"iterations/600/{STRONGEST_GRAPH}", "--quick", "--out"]
    log = tmp_path / "iterations-600-torch-strongest-as-a-cuda-graph.log"
    assert asked == [(words, 10.0, log)]


def test_an_opponent_that_does_not_exist_is_refused(capsys):
    with pytest.raises(SystemExit) as stop:
        record_gpu.main(["--name", "jax"])
    assert stop.value.code == 2
    assert "invalid choice: 'jax'" in capsys.readouterr().err


def test_names_of_devices():
    assert machine.words("NVIDIA GeForce RTX 4090") == "nvidia-geforce-rtx-4090"


def test_opponents_advance_as_they_iterate():
    """A batch gives what its iterations give one by one, and the solver can use it."""
    pytest.importorskip("torch", reason="needs the extra bench: pip install 'mlsolve[bench]'")
    problem = noise(16)
    rates = [0.03, 0.02, 0.01]
    for name in (DESCRIBED,):
        one, all_at_once = (opponents.workspace(name, problem, 1) for _ in range(2))
        single = [one.iterate(rate) for rate in rates]
        for one_by_one, together in zip(single, all_at_once.advance(rates), strict=True):
            np.testing.assert_allclose(together["guide_ssim"], one_by_one["guide_ssim"], rtol=1e-6)
            np.testing.assert_allclose(together["stack_ssim"], one_by_one["stack_ssim"], rtol=1e-6)
            np.testing.assert_allclose(together["stack_mse"], one_by_one["stack_mse"], rtol=1e-6)
        np.testing.assert_array_equal(one.layers, all_at_once.layers)


def test_opponents_on_a_gpu(monkeypatch):
    """mlsolve replays graphs, and once more launch by launch, whatever the backend does by default."""
    assert opponents.names_on("cuda")[:2] == (OURS, LAUNCHES)
    assert {STRONGEST, STRONGEST_GRAPH, FUSED, COMPILED, DESCRIBED} < set(opponents.names_on("cuda"))
    asked = []
    monkeypatch.setattr(opponents, "CudaBackend", lambda betas, graphs: asked.append(graphs))
    monkeypatch.setattr(opponents, "our_workspace", lambda problem, backend: None)
    for name in (OURS, LAUNCHES):
        opponents.workspace(name, noise(16), 1, "cuda")
    assert asked == [True, False]


def test_where_torch_does_not_compile_three_are_missing_on_a_gpu(monkeypatch):
    torch = pytest.importorskip("torch", reason="needs the extra bench: pip install 'mlsolve[bench]'")
    from mlsolve_bench import torch_settings

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch_settings, "why_not_compiled", lambda device: "no g++")
    found = opponents.missing("cuda")
    assert {name for name, why in found.items() if why == "no g++"} == {COMPILED, STRONGEST, STRONGEST_GRAPH}


def test_a_graph_is_recorded_after_a_call_on_another_stream(monkeypatch):
    """With a torch.cuda of our own, which writes down what is asked of it."""
    torch = pytest.importorskip("torch", reason="needs the extra bench: pip install 'mlsolve[bench]'")
    from mlsolve_records.torch_graph import recorded

    done = []

    class Stream:
        def __init__(self, name="side"):
            self.name = name

        def wait_stream(self, other):
            done.append(f"{self.name} waits for {other.name}")

    class Graph:
        def replay(self):
            done.append("replayed")

    class Within:
        def __init__(self, what, pool=None):
            self.what = f"{type(what).__name__} {pool}"

        def __enter__(self):
            done.append(f"in {self.what}")

        def __exit__(self, *_):
            done.append(f"out of {self.what}")

    main = Stream("main")
    made = {"Stream": Stream, "CUDAGraph": Graph, "graph": Within, "stream": Within, "current_stream": lambda: main}
    for name, what in made.items():
        monkeypatch.setattr(torch.cuda, name, what)

    def run():
        done.append("run")
        return done.count("run")

    result, replay = recorded(run, "pool")
    replay()
    assert result == 2
    assert done == [
        "side waits for main",
        *("in Stream None", "run", "out of Stream None"),
        "main waits for side",
        *("in Graph pool", "run", "out of Graph pool"),
        "replayed",
    ]


@pytest.fixture
def strongest_as_graph(monkeypatch):
    """The opponent, with nothing compiled, and with a graph that computes when it is replayed and when recorded."""
    torch = pytest.importorskip("torch", reason="needs the extra bench: pip install 'mlsolve[bench]'")
    from mlsolve_records import torch_graph, torch_strongest

    recordings = []

    def recorded(run, pool):
        recordings.append(pool)
        run()
        result = torch.empty_like(run())
        return result, lambda: result.copy_(run())

    monkeypatch.setattr(torch_strongest, "_compiled_step", torch_strongest._step)
    monkeypatch.setattr(torch_graph, "recorded", recorded)
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: "pool")
    return torch_strongest.Strongest, torch_graph.StrongestAsGraph, recordings


def test_the_strongest_as_a_graph_takes_the_same_steps(strongest_as_graph):
    """Recording leaves no trace in layers and moments; each length of a batch is recorded once, in one pool."""
    strongest, as_graph, recordings = strongest_as_graph
    problem = noise(24)
    one, other = strongest(problem, 1), as_graph(problem, 1)
    for rates in ([0.03, 0.02, 0.01], [0.02], [0.01, 0.02, 0.03]):
        assert other.advance(rates) == one.advance(rates)
        np.testing.assert_array_equal(other.layers, one.layers)
    assert other.iterate(0.02) == one.advance([0.02])[0]
    assert recordings == ["pool", "pool"]

    for work in (one, other):  # new arrays, which the old graphs do not know
        work.start(problem.guides[::-1].copy())
    assert other.advance([0.03]) == one.advance([0.03])
    assert len(recordings) == 3
    np.testing.assert_array_equal(other.layers, one.layers)


def test_the_fused_opponent_solves_the_same_problem_with_two_calls(monkeypatch):
    """With a FusedSSIMMap of our own in place of the package's, which needs a GPU."""
    pytest.importorskip("torch", reason="needs the extra bench: pip install 'mlsolve[bench]'")
    from mlsolve_bench.torch_baselines import dense_window
    from mlsolve_kernels.window import C1, C2

    batches = []

    def apply(c1, c2, first, second, padding, train):
        assert (c1, c2, padding, train) == (C1, C2, "same", True)
        assert first.is_contiguous()
        batches.append(len(first))
        return ssim_map(first, second, dense_window(first.shape[1], "cpu"))

    package = types.SimpleNamespace(FusedSSIMMap=types.SimpleNamespace(apply=apply))
    monkeypatch.setitem(sys.modules, "fused_ssim", package)
    monkeypatch.delitem(sys.modules, "mlsolve_records.torch_fused", raising=False)
    from mlsolve_records.torch_fused import WithFusedSsim

    problem = noise(24)
    ours, theirs = opponents.workspace(OURS, problem, 1), WithFusedSsim(problem, 1)
    for rate in (0.02, 0.01):
        mine, yours = ours.iterate(rate), theirs.iterate(rate)
        assert problem.objective.loss(mine) == pytest.approx(problem.objective.loss(yours), abs=1e-5)
        np.testing.assert_allclose(mine["guide_ssim"], yours["guide_ssim"], atol=1e-5)
    assert batches == [1, 3] * 2
    monkeypatch.delitem(sys.modules, "mlsolve_records.torch_fused")


def ssim_map(x, y, window):
    """SSIM of every pixel, (n, c, H, W)."""
    from torch.nn.functional import conv2d

    from mlsolve_kernels.window import C1, C2, RADIUS

    def blur(z):
        return conv2d(z, window, padding=RADIUS, groups=len(window))

    mx, my = blur(x), blur(y)
    vx, vy, c = blur(x * x) - mx * mx, blur(y * y) - my * my, blur(x * y) - mx * my
    return (2 * mx * my + C1) * (2 * c + C2) / ((mx * mx + my * my + C1) * (vx + vy + C2))
