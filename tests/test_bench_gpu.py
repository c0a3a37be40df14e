"""The benches for a GPU, with clocks and devices that are made up: what they measure and what they write."""

import json
import sys
import types

import numpy as np
import pytest

from cuda_host.device import HostDevice, compiler
from mlsolve.errors import DeviceMemoryError
from mlsolve_bench.problem import noise
from mlsolve_kernels.iteration.cuda import BATCH
from mlsolve_records import machine, opponents, record_gpu
from mlsolve_records.arrangements import arrangements
from mlsolve_records.opponents import COMPILED, DESCRIBED, FUSED, GRAPH, OURS, STRONGEST


@pytest.fixture
def fake(monkeypatch):
    """Everybody is there, an iteration is nothing, and what turns measure is made up."""
    seconds = {OURS: 0.002, GRAPH: 0.001, DESCRIBED: 0.05, COMPILED: 0.03, STRONGEST: 0.01}

    def take_turns(iterations, turns):
        return {name: [seconds[name] * BATCH] * turns for name in iterations}

    monkeypatch.setattr(record_gpu, "take_turns", take_turns)
    monkeypatch.setattr(record_gpu, "free_all", lambda: None)
    monkeypatch.setattr(record_gpu, "batch_of", lambda name, side: name)
    monkeypatch.setattr(record_gpu.opponents, "available", lambda device: list(seconds))
    monkeypatch.setattr(record_gpu.opponents, "missing", lambda device: {FUSED: "not installed"})
    monkeypatch.setattr(record_gpu.opponents, "check", lambda device, names: None)
    return seconds


def test_iterations_by_opponent(fake):
    found = record_gpu.iterations_section(None, (96,), quick=True)["sizes"]["96"]
    assert found["milliseconds"] == pytest.approx({name: second * 1e3 for name, second in fake.items()})
    assert found["times ours"][DESCRIBED] == pytest.approx(25)
    assert found["times ours"][GRAPH] == pytest.approx(0.5)
    assert "failed" not in found


def test_who_does_not_fit_is_measured_by_itself_or_said_to_fail(fake, monkeypatch):
    held = []

    def batch_of(name, side):
        if name == DESCRIBED:
            raise RuntimeError("CUDA out of memory. Tried to allocate 20 GiB")
        if name == COMPILED:
            raise RuntimeError("Inductor is unhappy\nand says why")
        if name == STRONGEST and OURS in held[-1:]:
            held.clear()
            raise RuntimeError("CUDA out of memory")
        held.append(name)
        return name

    monkeypatch.setattr(record_gpu, "batch_of", batch_of)
    found = record_gpu.iterations_section(None, (7087,), quick=True)["sizes"]["7087"]
    assert found["failed"] == {DESCRIBED: "out of device memory", COMPILED: "Inductor is unhappy"}
    assert found["times ours"][STRONGEST] == pytest.approx(5)


def test_an_illegal_access_is_not_taken_for_too_little_memory():
    assert record_gpu.reason_of(RuntimeError("CUDA error: an illegal memory access\nwas met")).startswith(
        "CUDA error"
    )
    assert record_gpu.reason_of(DeviceMemoryError("3 layers need")) == "out of device memory"


def test_ours_may_not_fit_either(fake, monkeypatch):
    def batch_of(name, side):
        raise DeviceMemoryError("3 layers of 7087×7087 pixels need 15.4 GB")

    monkeypatch.setattr(record_gpu, "batch_of", batch_of)
    found = record_gpu.iterations_section(None, (7087,), quick=True)["sizes"]["7087"]
    assert set(found["failed"].values()) == {"out of device memory"}
    assert OURS in found["failed"]


def test_nobody_is_timed_who_solves_another_problem(fake, monkeypatch):
    def check(device, names):
        if COMPILED in names:
            raise AssertionError("torch compiled does not solve the problem it should: Apart(1, 2, 3)")

    monkeypatch.setattr(record_gpu.opponents, "check", check)
    found = record_gpu.iterations_section(None, (96,), quick=True)["sizes"]["96"]
    assert found["failed"][COMPILED].startswith("torch compiled does not solve the problem")
    assert COMPILED not in found["milliseconds"]
    assert DESCRIBED in found["milliseconds"]


def test_the_floor_counts_the_bytes_that_are_said(fake, monkeypatch):
    monkeypatch.setattr(record_gpu, "copy_rate", lambda size: 3e12)
    monkeypatch.setattr(record_gpu, "kernel_times", lambda side: {"passes": 1.0})
    found = record_gpu.floor_section(None, (1000,), quick=True)["sizes"]["1000"]
    assert found["copying its bytes"] == pytest.approx(152 * 3e6 / 3e12 * 1e3)
    assert found["times the copy"] == pytest.approx(2.0 / 0.152)
    assert found["bytes a second"] == pytest.approx(152 * 3e6 / 0.002)


@pytest.mark.skipif(compiler() is None, reason="needs g++ to run CUDA kernels on the host: install g++")
def test_arrangements_beside_a_plain_iteration(fake, monkeypatch, tmp_path):
    """They run, all of them, and what is timed is a batch."""
    ran = []

    def take_turns(iterations, turns):
        ran.extend(len(batch()) for name, batch in iterations.items() if name != OURS)
        return {name: [(1 + len(ran)) * BATCH / 1e3] * turns for name in iterations}

    monkeypatch.setattr(record_gpu, "take_turns", take_turns)
    found = record_gpu.arrangements_section(HostDevice(tmp_path), (12,), quick=True)["milliseconds"]["12"]
    assert ran == [BATCH] * 5
    assert list(found.values()) == pytest.approx([1, 2, 3, 4, 5, 6])
    assert list(found) == ["plain", *arrangements(12)]


def test_a_file_by_the_name_of_the_device(tmp_path, monkeypatch):
    device = types.SimpleNamespace(name="NVIDIA H100 80GB HBM3")
    monkeypatch.setattr(record_gpu, "open_device", lambda: device)
    monkeypatch.setattr(record_gpu, "launches", lambda device, side: {})
    monkeypatch.setattr(record_gpu, "versions", lambda: {"cupy": "14"})
    monkeypatch.setitem(record_gpu.SECTIONS, "floor", lambda device, sides, quick: {"copy": 1.0})
    path = record_gpu.record(tmp_path, ["floor"], (96,), quick=False)
    assert path.name == "nvidia-h100-80gb-hbm3.json"
    written = json.loads(path.read_text())
    assert written["machine"]["device"] == device.name
    assert written["floor"]["copy"] == 1.0
    record_gpu.record(tmp_path, [], (96,), quick=False)
    assert json.loads(path.read_text())["floor"]["copy"] == 1.0


def test_without_a_gpu_the_bench_refuses_in_one_line(capsys):
    with pytest.raises(SystemExit) as stop:
        record_gpu.main(["--quick"])
    assert stop.value.code == 2
    assert capsys.readouterr().err == (
        "mlsolve_records: error: backend is cuda: there is no NVIDIA driver here: use --backend cpu, or install "
        "one and pip install 'mlsolve[cuda13]', or 'mlsolve[cuda12]' for drivers before 580\n"
    )


def test_names_of_devices():
    assert machine.words("NVIDIA GeForce RTX 4090") == "nvidia-geforce-rtx-4090"


def test_opponents_advance_as_they_iterate():
    """A batch gives what its iterations give one by one, and the solver can use it."""
    pytest.importorskip("torch", reason="needs the extra bench")
    problem = noise(16)
    rates = [0.03, 0.02, 0.01]
    for name in (DESCRIBED,):
        one, all_at_once = (opponents.workspace(name, problem, 1) for _ in range(2))
        single = [one.iterate(rate) for rate in rates]
        for one_by_one, together in zip(single, all_at_once.advance(rates), strict=True):
            np.testing.assert_allclose(together["guide_ssim"], one_by_one["guide_ssim"], rtol=1e-6)
            np.testing.assert_allclose(together[:2], one_by_one[:2], rtol=1e-6)
        np.testing.assert_array_equal(one.layers, all_at_once.layers)


def test_the_fused_opponent_solves_the_same_problem(monkeypatch):
    """With a fused_ssim of our own in place of the package, which needs a GPU."""
    torch = pytest.importorskip("torch", reason="needs the extra bench")
    from mlsolve_bench.torch_baselines import dense_window, mean_ssim

    def fused_ssim(first, second, padding):
        assert padding == "same"
        return mean_ssim(first, second, dense_window(first.shape[1], "cpu")).mean()

    monkeypatch.setitem(sys.modules, "fused_ssim", types.SimpleNamespace(fused_ssim=fused_ssim))
    monkeypatch.delitem(sys.modules, "mlsolve_records.torch_fused", raising=False)
    from mlsolve_records.torch_fused import WithFusedSsim

    problem = noise(24)
    ours, theirs = opponents.workspace(OURS, problem, 1), WithFusedSsim(problem, 1)
    for rate in (0.02, 0.01):
        mine, yours = ours.iterate(rate), theirs.iterate(rate)
        assert problem.objective.loss(mine) == pytest.approx(problem.objective.loss(yours), abs=1e-5)
    assert torch.is_tensor(theirs.parameters)
    monkeypatch.delitem(sys.modules, "mlsolve_records.torch_fused")
