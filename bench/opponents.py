"""Who is timed: mlsolve's iteration, and the same iteration written in torch.

Both solve the same problem: three RGB layers, product through the exposure, SSIM + MSE to the target, SSIM to
the guides, Adam, projection. `check` makes sure of it before anything is timed.
"""

from collections.abc import Callable

import numpy as np
import torch

from mlsolve_kernels.objective.terms import Objective
from mlsolve_kernels.sweep.cpu import CpuWorkspace
from mlsolve_kernels.threads import Team
from mlsolve_kernels.window import C1, C2, RADIUS, taps

OBJECTIVE = Objective(0.1 ** (1 / 2.2), 3.0, 10.0, 1.0)
BOUNDS = (0.073, 1.0)
BETAS = (0.9, 0.99)
RATE = 0.01


def problem(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a target (3, side, side) and three guides (3, 3, side, side), float32 in [0, 1]."""
    rng = np.random.default_rng(0)
    return (
        rng.random((3, side, side), dtype=np.float32),
        rng.random((3, 3, side, side), dtype=np.float32),
    )


def ours(side: int, threads: int) -> CpuWorkspace:
    """Return mlsolve's workspace; `iterate(RATE)` is one iteration."""
    target, guides = problem(side)
    workspace = CpuWorkspace(target, guides, OBJECTIVE, BOUNDS, BETAS, Team(threads))
    workspace.start(guides)
    return workspace


class TorchAsDescribed:
    """The program as one would write it in torch: dense 11×11 grouped convolutions, autograd, torch's Adam."""

    def __init__(self, side: int, threads: int) -> None:
        """Prepare; `iterate()` is one iteration."""
        torch.set_num_threads(threads)
        target, guides = problem(side)
        self.target, self.guides = torch.from_numpy(target)[None], torch.from_numpy(guides)
        self.layers = torch.from_numpy(guides).clamp(*BOUNDS).requires_grad_()
        window = np.outer(taps(), taps()).astype(np.float32)
        self.window = torch.from_numpy(window).expand(3, 1, -1, -1).contiguous()
        self.adam = torch.optim.Adam([self.layers], lr=RATE, betas=BETAS)

    def ssim(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Return the mean SSIM of each picture of `x` to `y`, (n, 3, H, W) → (n,)."""

        def blur(z: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.conv2d(z, self.window, padding=RADIUS, groups=3)

        mx, my = blur(x), blur(y)
        vx, vy, c = blur(x * x) - mx * mx, blur(y * y) - my * my, blur(x * y) - mx * my
        s = (2 * mx * my + C1) * (2 * c + C2) / ((mx * mx + my * my + C1) * (vx + vy + C2))
        return s.mean(dim=(1, 2, 3))

    def loss(self) -> torch.Tensor:
        """Return the loss at the present layers."""
        seen = self.layers.prod(dim=0, keepdim=True) / OBJECTIVE.scale
        return (
            OBJECTIVE.ssim_weight * (1 - self.ssim(seen, self.target).sum())
            + OBJECTIVE.mse_weight * ((seen - self.target) ** 2).mean()
            + OBJECTIVE.guide_weight * (1 - self.ssim(self.layers, self.guides)).sum()
        )

    def iterate(self) -> None:
        """Take one step."""
        self.adam.zero_grad(set_to_none=True)
        # Per-pixel measure, as in mlsolve, so that Adam's epsilon means the same.
        (self.loss() * self.target.numel()).backward()
        self.adam.step()
        with torch.no_grad():
            self.layers.clamp_(*BOUNDS)


def check(side: int = 96) -> tuple[float, float]:
    """Return how far loss (absolute) and gradient (relative L2) of the two are apart; raise if they differ."""
    workspace, torch_side = ours(side, 1), TorchAsDescribed(side, 1)
    terms = workspace.evaluate()
    loss = torch_side.loss()
    (loss * torch_side.target.numel()).backward()
    theirs = torch_side.layers.grad.numpy()
    apart = float(np.linalg.norm(workspace.gradient - theirs) / np.linalg.norm(theirs))
    difference = abs(OBJECTIVE.loss(terms) - float(loss.detach()))
    if apart > 1e-4 or difference > 1e-4:
        raise AssertionError(f"not the same problem: loss {difference:.2g} apart, gradient {apart:.2g}")
    return difference, apart


def steps(side: int, threads: int) -> dict[str, Callable[[], object]]:
    """Return one iteration of each opponent as a function."""
    workspace, described = ours(side, threads), TorchAsDescribed(side, threads)
    return {"mlsolve": lambda: workspace.iterate(RATE), "torch as described": described.iterate}
