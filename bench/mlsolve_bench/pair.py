"""The two programs that `mlsolve bench` compares: mlsolve's iteration, and a plain one in PyTorch, same loss."""

from collections.abc import Callable, Iterable
from typing import Any, Final

from mlsolve.solving.backends import Backend, CpuBackend, fill
from mlsolve_kernels.iteration.objective import Shape

from .problem import RATE, Problem, noise

OURS: Final = "mlsolve"
DESCRIBED: Final = "torch as described"


def our_workspace(problem: Problem, backend: Backend) -> Any:
    """Return mlsolve's workspace, ready to `iterate(rate)` from the guides."""
    ours = backend.workspace(Shape(*problem.guides.shape), problem.objective, problem.bounds)
    fill(ours, problem.target, problem.guides, problem.guides)
    return ours


def workspace(name: str, problem: Problem, threads: int) -> Any:
    """Return the workspace of one of the two on the CPU. Raises ImportError if torch is missing or broken."""
    if name == OURS:
        return our_workspace(problem, CpuBackend(threads, problem.betas))
    from .torch_baselines import AsDescribed

    return AsDescribed(problem, threads)


def steps(side: int, threads: int, names: Iterable[str] = (OURS, DESCRIBED)) -> dict[str, Callable[[], object]]:
    """Return, for each of `names`, a function without arguments that runs one iteration at `side`×`side` pixels."""
    problem = noise(side)

    def step(name: str) -> Callable[[], object]:
        prepared = workspace(name, problem, threads)
        return lambda: prepared.iterate(RATE)

    return {name: step(name) for name in names}
