"""Who is timed: mlsolve's iteration, and torch's on the same problem.

Before anything is timed, `check` makes sure that all solve the same problem, or in the case of the program as
published, the problem it says.
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
"""All opponents on the CPU, from the slowest to the fastest behind ours."""

GRAPH: Final = "mlsolve, as a CUDA graph"
FUSED: Final = "torch with fused-ssim"
GPU_NAMES: Final = (OURS, GRAPH, DESCRIBED, COMPILED, STRONGEST, FUSED)
"""All opponents on a GPU."""

TOLERANCE: Final = 1e-4
"""How far loss (absolute) and gradient (relative L2) may be from the float64 reference."""

STEPS: Final = 5
"""Steps after which the layers are compared, too."""

LAYER_TOLERANCE: Final = 1e-4
"""How far layers may be apart after STEPS, on the mean; the farthest may be further: where a gradient is next to
nothing its sign is chance, and Adam's first steps take the whole rate by the sign."""


class Apart(NamedTuple):
    """How far an opponent is from the float64 reference, and its layers from ours."""

    loss: float
    """Absolute difference."""
    gradient: float | None
    """Relative L2; None for ours, whose iteration keeps no gradient: tests look at it there."""
    layers: float | None
    """Mean absolute difference from ours after STEPS steps; None where the problem is another."""


def missing(device: str = "cpu") -> dict[str, str]:
    """Return the opponents that cannot be had on `device` here, each with the reason in one line."""
    torch_names = [name for name in names_on(device) if name not in (OURS, GRAPH)]
    if find_spec("torch") is None:
        return dict.fromkeys(torch_names, "torch is not installed: pip install 'mlsolve[bench]'")
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        return dict.fromkeys(torch_names, "torch finds no CUDA device: install a build of torch for CUDA")
    from mlsolve_bench.torch_settings import why_not_compiled

    reason = why_not_compiled(device)
    without = {} if reason is None else dict.fromkeys((COMPILED, STRONGEST), reason)
    if device == "cuda" and find_spec("fused_ssim") is None:
        without[FUSED] = "fused-ssim is not installed: it is built from its sources, with nvcc"
    return without


def names_on(device: str) -> tuple[str, ...]:
    """Return the opponents on `device`."""
    return GPU_NAMES if device == "cuda" else NAMES


def available(device: str = "cpu") -> list[str]:
    """Return the names of the opponents that can be had on `device`, ours first."""
    without = missing(device)
    return [name for name in names_on(device) if name not in without]


def left_out(device: str = "cpu") -> list[str]:
    """Return who cannot be had on `device` and why, a line for each reason."""
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
    if name in (OURS, GRAPH):
        on_gpu = device == "cuda"
        backend: Backend
        backend = CudaBackend(problem.betas, graphs=name == GRAPH) if on_gpu else CpuBackend(threads, problem.betas)
        return our_workspace(problem, backend)
    if name == STRONGEST:
        from .torch_strongest import Strongest

        return Strongest(problem, threads, device)
    from mlsolve_bench.torch_baselines import AsDescribed, AsPublished, Compiled

    if name == FUSED:
        from .torch_fused import WithFusedSsim

        return WithFusedSsim(problem, threads, device)
    makers: dict[str, Callable[[Problem, int, str], Any]]
    makers = {PUBLISHED: AsPublished, DESCRIBED: AsDescribed, COMPILED: Compiled}
    return makers[name](problem, threads, device)


def iteration(name: str, problem: Problem, threads: int, device: str = "cpu") -> Callable[[], object]:
    """Return one iteration of the opponent `name` as a function of nothing."""
    prepared = workspace(name, problem, threads, device)
    if name == PUBLISHED:  # its learning rate belongs to it
        return lambda: prepared.iterate()
    return lambda: prepared.iterate(RATE)


def steps(
    side: int, threads: int, device: str = "cpu", names: Iterable[str] | None = None
) -> dict[str, Callable[[], object]]:
    """Return one iteration of each opponent at `side`×`side` pixels as a function, by name; ours is "mlsolve".

    names: which of NAMES; None for all that can be had here: without torch, ours alone. `left_out` says why.
    """
    problem = noise(side)
    chosen = available(device) if names is None else names
    return {name: iteration(name, problem, threads, device) for name in chosen}


def check(side: int = 96, device: str = "cpu", names: Iterable[str] | None = None) -> dict[str, Apart]:
    """Return how far every opponent that can be had is from what it should compute, by name; names: or only these.

    Raises AssertionError, naming the opponent, if it is too far: then it solves another problem, and its speed
    means nothing.
    """
    problem = noise(side)
    rng = np.random.default_rng(1)
    inner = (0.1 + 0.8 * rng.random(problem.guides.shape)).astype(np.float32)  # within the bounds, off the guides
    found: dict[str, Apart] = {}
    ours = inner
    for name in available(device) if names is None else names:
        prepared = workspace(name, problem, 1, device)
        prepared.start(inner)
        if name in (OURS, GRAPH):
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
    """Return the layers of a workspace after `number` steps from where it stands, a copy (N, C, H, W)."""
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
    """Compare one of torch's with the reference of its own objective, and its layers with ours."""
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
