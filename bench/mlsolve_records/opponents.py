"""The opponents that are timed: mlsolve's iteration, and those in PyTorch, on the same problem.

Before anything is timed, `check` verifies that all solve the same problem or, for the program as published, its own
documented problem.
"""

from collections.abc import Callable, Iterable
from importlib.util import find_spec
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from mlsolve.solving.backends import Backend, CpuBackend, CudaBackend
from mlsolve_bench.pair import DESCRIBED as DESCRIBED
from mlsolve_bench.pair import OURS as OURS
from mlsolve_bench.pair import our_workspace
from mlsolve_bench.problem import RATE, Problem, noise
from mlsolve_kernels.iteration import reference

from .published_reference import published_loss

PUBLISHED: Final = "torch as published"
COMPILED: Final = "torch compiled"
STRONGEST: Final = "torch strongest"
NAMES: Final = (OURS, PUBLISHED, DESCRIBED, COMPILED, STRONGEST)
"""All opponents on the CPU: mlsolve, then the others from the slowest to the fastest."""

LAUNCHES: Final = "mlsolve, launch by launch"
"""mlsolve without CUDA graphs; OURS replays them."""
STRONGEST_GRAPH: Final = "torch strongest, as a CUDA graph"
FUSED: Final = "torch with fused-ssim"
GPU_NAMES: Final = (OURS, LAUNCHES, DESCRIBED, COMPILED, STRONGEST, STRONGEST_GRAPH, FUSED)
"""All opponents on a GPU."""
OWN: Final = (OURS, LAUNCHES)
"""Those that are mlsolve."""

TOLERANCE: Final = 1e-4
"""Tolerances of the loss (absolute) and the gradient (relative L2) against the float64 reference."""

STEPS: Final = 5
"""Steps after which the layers are compared as well."""

LAYER_TOLERANCE: Final = 1e-4
"""Tolerance of the mean difference of layers after STEPS steps. Single pixels may differ more: where a gradient is
almost zero its sign is random, and Adam's first steps move by the full learning rate in that direction."""


class Apart(NamedTuple):
    """The differences of an opponent from the float64 reference, and of its layers from mlsolve's."""

    loss: float
    """Absolute difference."""
    gradient: float | None
    """Relative L2; None for mlsolve, whose iteration does not store its gradient: tests check it."""
    layers: float | None
    """Mean absolute difference from mlsolve after STEPS steps; None if the problem is a different one."""


def missing(device: str = "cpu", tries: bool = True) -> dict[str, str]:
    """Return the opponents that are not available on `device` here, each with the reason in one line.

    tries: import torch and compile something, which takes seconds; False: only see which packages are installed.
    """
    torch_names = [name for name in names_on(device) if name not in OWN]
    if find_spec("torch") is None:
        return dict.fromkeys(torch_names, "torch is not installed: pip install 'mlsolve[bench]'")
    without: dict[str, str] = {}
    if tries:
        import torch

        if device == "cuda" and not torch.cuda.is_available():
            return dict.fromkeys(torch_names, "torch finds no CUDA device: install a build of torch for CUDA")
        from mlsolve_bench.torch_settings import why_not_compiled

        reason = why_not_compiled(device)
        compiled = {COMPILED, STRONGEST, STRONGEST_GRAPH}
        without = {} if reason is None else {name: reason for name in torch_names if name in compiled}
    if device == "cuda" and find_spec("fused_ssim") is None:
        without[FUSED] = "fused-ssim is not installed: it is built from its sources, with nvcc"
    return without


def names_on(device: str) -> tuple[str, ...]:
    """Return the opponents on `device`."""
    return GPU_NAMES if device == "cuda" else NAMES


def available(device: str = "cpu") -> list[str]:
    """Return the names of the opponents that are available on `device`, mlsolve first."""
    without = missing(device)
    return [name for name in names_on(device) if name not in without]


def left_out(device: str = "cpu") -> list[str]:
    """Return the opponents that are not available on `device` and why, one line for each reason."""
    without = missing(device)
    lines = []
    for reason in dict.fromkeys(without.values()):
        names = ", ".join(name for name, why in without.items() if why == reason)
        lines.append(f"left out: {names}: {reason}")
    return lines


def workspace(name: str, problem: Problem, threads: int, device: str = "cpu") -> Any:
    """Return the workspace of the opponent `name`, ready to `iterate(rate)` from the guides."""
    if name not in names_on(device):
        raise ValueError(f"opponent is {name!r}: use {', '.join(names_on(device))}")
    if name in OWN:
        on_gpu = device == "cuda"
        backend: Backend
        backend = CudaBackend(problem.betas, graphs=name == OURS) if on_gpu else CpuBackend(threads, problem.betas)
        return our_workspace(problem, backend)
    if name == STRONGEST:
        from .torch_strongest import Strongest

        return Strongest(problem, threads, device)
    if name == STRONGEST_GRAPH:
        from .torch_graph import StrongestAsGraph

        return StrongestAsGraph(problem, threads, device)
    from mlsolve_bench.torch_baselines import AsDescribed, AsPublished, Compiled

    if name == FUSED:
        from .torch_fused import WithFusedSsim

        return WithFusedSsim(problem, threads, device)
    makers: dict[str, Callable[[Problem, int, str], Any]]
    makers = {PUBLISHED: AsPublished, DESCRIBED: AsDescribed, COMPILED: Compiled}
    return makers[name](problem, threads, device)


def iteration(name: str, problem: Problem, threads: int, device: str = "cpu") -> Callable[[], object]:
    """Return a function without arguments that runs one iteration of the opponent `name`."""
    prepared = workspace(name, problem, threads, device)
    if name == PUBLISHED:  # it has its own learning rate
        return lambda: prepared.iterate()
    return lambda: prepared.iterate(RATE)


def steps(
    side: int, threads: int, device: str = "cpu", names: Iterable[str] | None = None
) -> dict[str, Callable[[], object]]:
    """Return, by name, a function for each opponent that runs one iteration at `side`×`side` pixels.

    names: some of NAMES; None: all that are available here, without torch only "mlsolve". `left_out` says why.
    """
    problem = noise(side)
    chosen = available(device) if names is None else names
    return {name: iteration(name, problem, threads, device) for name in chosen}


def check(side: int = 96, device: str = "cpu", names: Iterable[str] | None = None) -> dict[str, Apart]:
    """Return the differences of every available opponent from its reference, by name; names: only these.

    Raises AssertionError, naming the opponent, if a difference is too large: it then solves a different problem,
    and its speed is meaningless.
    """
    problem = noise(side)
    rng = np.random.default_rng(1)
    inner = (0.1 + 0.8 * rng.random(problem.guides.shape)).astype(np.float32)  # in bounds, not at the guides
    found: dict[str, Apart] = {}
    ours = inner
    for name in available(device) if names is None else names:
        prepared = workspace(name, problem, 1, device)
        prepared.start(inner)
        if name in OWN:
            expected = problem.objective.loss(
                reference.terms(inner, problem.target, problem.guides, problem.objective)
            )
            loss = problem.objective.loss(prepared.iterate(RATE))
            prepared.start(inner)
            ours = layers_after(prepared, STEPS)
            found[name] = Apart(abs(loss - expected), None, None)
        else:
            found[name] = _apart(name, problem, prepared, inner, ours)
        _refuse(name, found[name])
    return found


def layers_after(prepared: Any, number: int) -> npt.NDArray[np.float32]:
    """Return a copy of the layers of a workspace after `number` more steps, (N, C, H, W)."""
    for _ in range(number):
        prepared.iterate(RATE)
    return np.array(prepared.layers)


def _apart(
    name: str,
    problem: Problem,
    prepared: Any,
    start: npt.NDArray[np.float32],
    ours: npt.NDArray[np.float32],
) -> Apart:
    """Compare an opponent in PyTorch with the reference of its objective, and its layers with mlsolve's."""
    target, guides, objective = problem.target, problem.guides, problem.objective
    loss, gradient = prepared.evaluate()
    layers = None
    if name == PUBLISHED:
        expected, right = published_loss(start, target, guides)
    else:
        expected = objective.loss(reference.terms(start, target, guides, objective))
        right = reference.gradient(start, target, guides, objective)
        layers = float(np.abs(layers_after(prepared, STEPS) - ours).mean())
    return Apart(abs(loss - expected), float(np.linalg.norm(gradient - right) / np.linalg.norm(right)), layers)


def _refuse(name: str, apart: Apart) -> None:
    wrong = apart.loss > TOLERANCE or (apart.gradient or 0) > TOLERANCE or (apart.layers or 0) > LAYER_TOLERANCE
    if wrong or not np.isfinite([apart.loss, apart.gradient or 0, apart.layers or 0]).all():
        raise AssertionError(f"{name} does not solve the problem it should: {apart}")
