"""`make bench`: one iteration of three RGB layers, mlsolve and torch, by pytest-benchmark."""

import pytest
from opponents import RATE, check, ours, steps

from mlsolve_kernels.threads import available_cores


def test_opponents_solve_the_same_problem():
    check()


@pytest.mark.parametrize("threads", sorted({1, available_cores()}))
@pytest.mark.parametrize("side", [600, 1024, 2048])
def test_mlsolve(benchmark, side, threads):
    workspace = ours(side, threads)
    benchmark.extra_info["ns per pixel, plane and layer"] = None
    benchmark.pedantic(workspace.iterate, (RATE,), rounds=max(5, 20 * 600**2 // side**2), warmup_rounds=2)
    benchmark.extra_info["ns per pixel, plane and layer"] = benchmark.stats.stats.median * 1e9 / (9 * side**2)


def test_torch_as_described(benchmark):
    iterate = steps(600, available_cores())["torch as described"]
    benchmark.pedantic(iterate, rounds=5, warmup_rounds=1)
