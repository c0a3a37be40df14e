"""Time to quality, and parity, of mlsolve and PyTorch with the same pictures and the same loop.

The loop is mlsolve's: `mlsolve.solve` gets a backend whose workspaces are the opponent's. So start, levels,
schedule and stopping are the same, and only the computation of an iteration differs.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from typing import Any, Final, Literal
from unittest.mock import patch

import numpy as np
import numpy.typing as npt

import mlsolve
from mlsolve import Options, Step
from mlsolve.run import solver
from mlsolve.solving.spec import BETAS
from mlsolve_bench.problem import EXPOSURE, LAYERS, PLANES, RATE, Problem
from mlsolve_kernels.exact import ERROR_BITS, SSIM_BITS
from mlsolve_kernels.iteration.objective import Objective, Shape, Sums, Terms
from mlsolve_kernels.placement.frames import WHOLE, Frame
from mlsolve_kernels.placement.move import Moves
from mlsolve_kernels.region import Region

from .opponents import OURS, workspace
from .pictures import cat, pictures

FloatArray = npt.NDArray[np.float32]

TARGET_SSIM: Final = 0.95
"""Required SSIM of the stack to its target, in encoded transmittance, at full size."""

GUIDE_SSIM: Final = 0.70
"""Required mean SSIM of the layers to their guides."""

PARITY_STEPS: Final = 20


class OpponentWorkspace:
    """An opponent's workspace with the interface of the solver: filled plane by plane, then created.

    In memory a level is one round of one tile, so there are no moments to load or save.
    """

    remote = False

    def __init__(self, shape: Shape, make: Callable[[FloatArray, FloatArray], Any]) -> None:
        """make: returns the opponent, given target (C, H, W) and guides (N, C, H, W), encoded transmittance."""
        self.shape, self._make = shape, make
        self._pixels = shape.planes * shape.height * shape.width
        self._target = np.empty(shape[1:], dtype=np.float32)
        self._guides, self._layers = (np.empty(shape, dtype=np.float32) for _ in range(2))
        self._solving: Any = None
        self._moved = False

    @property
    def batch(self) -> int:
        """How many iterations `advance` is best given at a time."""
        return int(self._solving.batch)

    def put_target(self, plane: int, image: FloatArray, top: int = 0, stack: int = 0) -> None:
        """Copy `image` (h, W) into a plane of the target, from row `top` on."""
        self._target[plane, top : top + len(image)] = image

    def put_guide(self, layer: int, plane: int, image: FloatArray, top: int = 0) -> None:
        """Copy `image` (h, W) into a plane of a guide, from row `top` on."""
        self._guides[layer, plane, top : top + len(image)] = image

    def put_layer(
        self,
        layer: int,
        plane: int,
        image: FloatArray,
        moments: tuple[FloatArray, FloatArray] | None = None,
        top: int = 0,
    ) -> None:
        """Copy `image` (h, W) into a plane of a layer, from row `top` on."""
        assert moments is None, "opponents start a level with moments of zero"
        self._bring_back()
        self._layers[layer, plane, top : top + len(image)] = image

    def prepare(
        self,
        step: int = 0,
        counted: Sequence[Region] | None = None,
        iterations: int | None = None,
        frames: Sequence[Frame] = WHOLE,
        image: tuple[int, int] | None = None,
    ) -> None:
        """Create the opponent's workspace; `counted` must be the whole image."""
        assert step == 0, "opponents start a level with its first step"
        _, height, width = self._target.shape
        assert counted is None or list(counted) == [Region(0, height, 0, width)], "opponents know no tiles"
        # Copies, because an opponent may keep references to its input.
        self._solving = self._make(self._target.copy(), self._guides.copy())
        self._solving.start(self._layers)

    def take_layer(self, layer: int, plane: int, out: FloatArray, top: int = 0) -> None:
        """Copy the present state of a plane of a layer, from row `top` on, into `out` (h, W)."""
        self._bring_back()
        out[...] = self._layers[layer, plane, top : top + len(out)]

    def take_moment(self, moment: int, layer: int, plane: int, out: FloatArray, top: int = 0) -> None:
        """Refuse: the solver needs moments only if another round follows, and in memory none does."""
        raise NotImplementedError("opponents hand no moments on")

    def advance(self, rates: Sequence[float], moves: Sequence[Moves] | None = None) -> list[Sums]:
        """Take one step for each of `rates`; return, for each, the sums of the terms before it, as floats."""
        assert moves is None, "opponents know one stack of unmoved layers"
        self._moved = True
        return [self._sums(terms) for terms in self._solving.advance(rates)]

    def _sums(self, terms: Terms) -> Sums:
        similarity, error = self._pixels * 2.0**SSIM_BITS, self._pixels * 2.0**ERROR_BITS
        by_layer = tuple(ssim * similarity for ssim in terms["guide_ssim"])
        ssim, mse = terms["stack_ssim"][0] * similarity, terms["stack_mse"][0] * error
        return Sums(stack_ssim=(ssim,), stack_mse=(mse,), guide_ssim=by_layer)

    def _bring_back(self) -> None:
        """Copy the opponent's layers, if it has changed them."""
        if self._moved:
            self._layers[...] = self._solving.layers
            self._moved = False


class OpponentBackend:
    """A backend for mlsolve's solver whose workspaces are those of an opponent."""

    name: Literal["cpu", "cuda"] = "cpu"
    device: str | None = None
    loaders = 1

    def __init__(self, opponent: str, threads: int, device: str) -> None:
        """Compute with `opponent`, with `threads` threads, on `device`."""
        self._made = (opponent, threads, device)

    def adam(self, objective: Objective) -> str | None:
        """Return None: opponents have an Adam of their own."""
        return None

    def reserve(self, size: int) -> None:
        """Do nothing: opponents allocate as they like."""

    def free_memory(self) -> int | None:
        """Return None: opponents do not compute tiles."""
        return None

    def workspace(
        self, shape: Shape, objective: Objective, bounds: tuple[float, float], windows: int = 1
    ) -> OpponentWorkspace:
        """Return a workspace of `shape`, which becomes the opponent's once it is filled."""
        opponent, threads, device = self._made

        def make(target: FloatArray, guides: FloatArray) -> Any:
            return workspace(opponent, Problem(target, guides, objective, bounds, BETAS), threads, device)

        return OpponentWorkspace(shape, make)

    def close(self) -> None:
        """Do nothing: the workspaces share nothing."""


@contextmanager
def computed_by(opponent: str, threads: int, device: str = "cpu") -> Any:
    """Make `mlsolve.solve` compute its iterations with `opponent` in this block; with mlsolve nothing changes."""
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
        mlsolve.solve(target, guides, Options(iterations=1, solver="adam", **settings))
        began = time.perf_counter()
        solution = mlsolve.solve(target, guides, Options(solver="adam", **settings), callback=reached)
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
    """Return the difference of mlsolve and `opponent` after `steps` steps from the same start, the cat's guides."""
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
    """Return the nanoseconds per pixel, plane and layer of an iteration that takes `seconds`."""
    return seconds * 1e9 / (side**2 * PLANES * LAYERS)
