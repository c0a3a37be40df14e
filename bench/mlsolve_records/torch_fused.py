"""PyTorch with a fused CUDA kernel for SSIM and its gradient, the package fused-ssim, if it is installed.

Window, constants and padding are those of docs/maths.md §3. It differentiates by its first picture. All layers go
through one call, as a batch. Its function `fused_ssim` returns the mean over the batch; the map behind it gives the
terms of every layer at the same cost.

Newer versions also have `fused_l1_ssim_loss`, which adds an absolute error to each pixel of the same map. It is not
used: the objective has a squared error, and of the stack only.

A CUDA graph of this opponent is not possible, because the package launches its kernels on the default stream, which
cannot be captured.
"""

from typing import Any

import torch
from fused_ssim import FusedSSIMMap

from mlsolve_bench.torch_baselines import AsDescribed
from mlsolve_bench.torch_settings import why_not_compiled
from mlsolve_kernels.window import C1, C2


def mean_ssim(pictures: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """Return the mean SSIM of each picture of a batch to its counterpart, (n, c, H, W) → (n,)."""
    return FusedSSIMMap.apply(C1, C2, pictures.contiguous(), others, "same", True).mean(dim=(1, 2, 3))


def _stack(layers: torch.Tensor, target: torch.Tensor, scale: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the stack of `layers` (N, C, H, W), (1, C, H, W), and its mean squared error to `target`."""
    seen = layers.prod(dim=0, keepdim=True) / scale
    return seen, ((seen - target) ** 2).mean()


class WithFusedSsim(AsDescribed):
    """The objective as described: SSIM by the fused kernel, torch's fused Adam, torch.compile for the rest."""

    fused = True

    def prepare(self, device: str) -> None:
        """Compile what surrounds the kernel if torch.compile works; the kernel has its own constants."""
        compiles = device == "cuda" and why_not_compiled(device) is None
        self.stack: Any = torch.compile(_stack, dynamic=False) if compiles else _stack

    def terms(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return SSIM and squared error of the stack, and SSIM of the layers (N,), at the present layers."""
        seen, error = self.stack(self.parameters, self.target, self.problem.objective.stacks[0].scale)
        return mean_ssim(seen, self.target).sum(), error, mean_ssim(self.parameters, self.guides)
