"""`make bench`: one iteration of three RGB layers, in mlsolve and in PyTorch, with pytest-benchmark."""

import pytest

from mlsolve_bench.problem import noise
from mlsolve_kernels.threads import available_cores
from mlsolve_records.opponents import NAMES, OURS, check, iteration, missing
from mlsolve_records.quality import apart_after, per_value

WITHOUT = missing()


@pytest.fixture(scope="session")
def steps_at_600():
    """One iteration of an opponent at 600×600, all threads; prepared at the first request."""
    made = {}

    def step(name):
        if name not in made:
            made[name] = iteration(name, noise(600), available_cores())
        return made[name]

    return step


def test_opponents_solve_the_same_problem():
    """Check first that all opponents solve the same problem."""
    found = check()
    assert set(found) == set(NAMES) - set(WITHOUT)


@pytest.mark.parametrize("name", [name for name in NAMES[2:] if name not in WITHOUT])
def test_parity_after_some_steps(name):
    apart = apart_after(name, noise(64), threads=available_cores(), steps=10)
    assert apart["mean layer difference"] < 1e-4
    assert apart["loss difference"] < 1e-4


@pytest.mark.parametrize("threads", sorted({1, available_cores()}))
@pytest.mark.parametrize("side", [600, 1024, 2048])
def test_mlsolve(benchmark, side, threads):
    """mlsolve at several sizes, on one thread and on all."""
    step = iteration(OURS, noise(side), threads)
    benchmark.pedantic(step, rounds=max(5, 20 * 600**2 // side**2), warmup_rounds=2)
    benchmark.extra_info["ns per pixel, plane and layer"] = per_value(benchmark.stats.stats.median, side)


@pytest.mark.parametrize("turn", [1, 2, 3])
@pytest.mark.parametrize("name", NAMES)
def test_in_turns(benchmark, name, turn, steps_at_600):
    """All opponents at 600×600, all threads, one after the other, three times."""
    if name in WITHOUT:
        pytest.skip(WITHOUT[name])
    benchmark.group = "600×600, in turns"
    benchmark.pedantic(steps_at_600(name), rounds=3, warmup_rounds=1)
