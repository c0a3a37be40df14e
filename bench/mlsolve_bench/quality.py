"""Time to quality and parity: from the same pictures, by the same loop, ours and torch's.

The loop is mlsolve's own: `mlsolve.solve` is given a backend whose workspaces are the opponent's. So start,
levels, schedule and stopping are the same, and only who computes the iteration differs.
"""

import time
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any, Final, Literal
from unittest.mock import patch

import numpy as np
import numpy.typing as npt

import mlsolve
from mlsolve import Options, Step, solver
from mlsolve.rounds.problem import BETAS
from mlsolve_kernels.objective.terms import Objective

from .opponents import OURS, workspace
from .problem import EXPOSURE, LAYERS, PLANES, RATE, Problem, cat, pictures

TARGET_SSIM: Final = 0.95
"""SSIM of the stack as seen to the target that is asked for, in encoded transmittance, at full size."""

GUIDE_SSIM: Final = 0.70
"""Mean SSIM of the layers to their guides that is asked for along with it."""

PARITY_STEPS: Final = 20


class OpponentBackend:
    """A backend for mlsolve's solver whose workspaces are those of an opponent."""

    name: Literal["cpu", "cuda"] = "cpu"
    device: str | None = None

    def __init__(self, opponent: str, threads: int, device: str) -> None:
        """Let `opponent` compute with `threads` threads on `device`."""
        self._made = (opponent, threads, device)

    def workspace(
        self,
        target: npt.NDArray[np.float32],
        guides: npt.NDArray[np.float32],
        objective: Objective,
        bounds: tuple[float, float],
    ) -> Any:
        """Return the opponent's workspace for `target` (C, H, W) and `guides` (N, C, H, W)."""
        opponent, threads, device = self._made
        problem = Problem(np.ascontiguousarray(target), np.ascontiguousarray(guides), objective, bounds, BETAS)
        return workspace(opponent, problem, threads, device)

    def close(self) -> None:
        """Nothing is shared among the workspaces."""


@contextmanager
def computed_by(opponent: str, threads: int, device: str = "cpu") -> Any:
    """Let `mlsolve.solve` compute its iterations with `opponent` for a while; with ours nothing changes."""
    if opponent == OURS:
        yield
        return
    with patch.object(solver, "open_backend", lambda *_: OpponentBackend(opponent, threads, device)):
        yield


def time_to_quality(
    opponent: str,
    side: int,
    threads: int,
    levels: int | None = None,
    device: str = "cpu",
    load: Callable[[int], Any] = pictures,
) -> dict[str, Any]:
    """Return the seconds `opponent` takes from the pictures to TARGET_SSIM and GUIDE_SSIM, compiling left out.

    Wall-clock from the call of `mlsolve.solve` to the iteration at full size that finds both reached, default
    settings at EXPOSURE. levels: as in `Options`; a solve of one iteration a level goes before, so that all is
    compiled. load: makes target and guides of a size. The seconds are None if it ends without reaching them.
    """
    target, guides = load(side)
    settings: dict[str, Any] = {"exposure": EXPOSURE, "threads": threads, "levels": levels, "backend": device}
    seen: list[tuple[float, Step]] = []

    def reached(step: Step) -> bool:
        seen.append((time.perf_counter(), step))
        return step.level == step.levels and step.target_ssim >= TARGET_SSIM and step.mean_guide_ssim >= GUIDE_SSIM

    with computed_by(opponent, threads, device):
        mlsolve.solve(target, guides, Options(iterations=1, **settings))
        began = time.perf_counter()
        solution = mlsolve.solve(target, guides, Options(**settings), callback=reached)
    ended, last = seen[-1]
    return {
        "seconds": ended - began if solution.stop == "callback" else None,
        "iterations at full size": sum(step.level == step.levels for _, step in seen),
        "levels": last.levels,
        "target SSIM": last.target_ssim,
        "mean guide SSIM": last.mean_guide_ssim,
    }


def parity(
    opponent: str, side: int, threads: int, steps: int = PARITY_STEPS, device: str = "cpu"
) -> dict[str, float]:
    """Return how far apart ours and `opponent` are after `steps` steps from the same start, the cat's guides."""
    return apart_after(opponent, cat(side), threads, steps, device)


def apart_after(opponent: str, problem: Problem, threads: int, steps: int, device: str = "cpu") -> dict[str, float]:
    """Return the largest and the mean difference of the layers and that of the loss, after `steps` steps."""
    layers, losses = [], []
    for name in (OURS, opponent):
        solving = workspace(name, problem, threads, device)
        for _ in range(steps):
            solving.iterate(RATE)
        layers.append(np.array(solving.layers))
        losses.append(problem.objective.loss(solving.iterate(RATE)))
    difference = np.abs(layers[0] - layers[1])
    return {
        "steps": steps,
        "largest layer difference": float(difference.max()),
        "mean layer difference": float(difference.mean()),
        "loss difference": abs(losses[0] - losses[1]),
        "loss": losses[0],
    }


def per_value(seconds: float, side: int) -> float:
    """Return nanoseconds for each pixel, plane and layer of an iteration that takes `seconds`."""
    return seconds * 1e9 / (side**2 * PLANES * LAYERS)
