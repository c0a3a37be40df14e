"""Which backend computes, and the small interface through which the solver sees it."""

from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from mlsolve_kernels.objective.terms import Objective, Terms

from .errors import BackendError
from .options import Options

FloatArray = npt.NDArray[np.float32]


class Workspace(Protocol):
    """The state of one level: layers, moments, constants, all allocated when it is made."""

    @property
    def layers(self) -> FloatArray:
        """The layers as they stand, (N, C, H, W) float32 encoded transmittance."""

    def start(self, layers: FloatArray) -> None:
        """Begin anew from `layers`."""

    def iterate(self, rate: float) -> Terms:
        """Take one step at learning rate `rate`; return the terms at the layers it started from."""


class Backend(Protocol):
    """Makes workspaces; `close` gives back what they share."""

    name: Literal["cpu", "cuda"]

    def workspace(
        self, target: FloatArray, guides: FloatArray, objective: Objective, bounds: tuple[float, float]
    ) -> Workspace:
        """Return a workspace for `target` (C, H, W) and `guides` (N, C, H, W)."""

    def close(self) -> None:
        """End threads, free device memory."""


class CpuBackend:
    """Numba kernels on the cores of this machine."""

    name: Literal["cpu", "cuda"] = "cpu"

    def __init__(self, threads: int | None, betas: tuple[float, float]) -> None:
        """Start `threads` threads, None for one per core."""
        from mlsolve_kernels.threads import Team

        self._team = Team(threads)
        self._betas = betas

    def workspace(
        self, target: FloatArray, guides: FloatArray, objective: Objective, bounds: tuple[float, float]
    ) -> Workspace:
        """Return a workspace in main memory."""
        from mlsolve_kernels.sweep.cpu import CpuWorkspace

        return CpuWorkspace(target, guides, objective, bounds, self._betas, self._team)

    def close(self) -> None:
        """End the threads."""
        self._team.close()


def resolve(name: str) -> Literal["cpu", "cuda"]:
    """Return the backend that `name` ("auto", "cpu" or "cuda") means here.

    Raises BackendError for "cuda": this version computes on the CPU only.
    """
    if name == "cuda":
        raise BackendError(
            "backend is cuda: this version of mlsolve has no CUDA backend yet, use --backend cpu or auto"
        )
    return "cpu"


def open_backend(options: Options, betas: tuple[float, float]) -> Backend:
    """Return the backend that `options` ask for, ready to make workspaces."""
    resolve(options.backend)
    return CpuBackend(options.threads, betas)
