"""PyTorch with a fused CUDA kernel for SSIM and its gradient, the package fused-ssim, if it is installed.

Window, constants and padding are those of docs/maths.md §3. It differentiates by its first picture.
"""

import torch
from fused_ssim import fused_ssim

from mlsolve_bench.torch_baselines import AsDescribed


class WithFusedSsim(AsDescribed):
    """The objective as described, with SSIM by the fused kernel and torch's fused Adam."""

    fused = True

    def prepare(self, device: str) -> None:
        """Do nothing: the kernel has its own constants."""

    def terms(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return SSIM and squared error of the stack, and SSIM of the layers (N,), at the present layers."""
        seen = self.parameters.prod(dim=0, keepdim=True) / self.problem.objective.stacks[0].scale
        error = ((seen - self.target) ** 2).mean()
        pairs = zip(self.parameters, self.guides, strict=True)
        guides = [fused_ssim(layer[None], guide[None], padding="same") for layer, guide in pairs]
        return fused_ssim(seen, self.target, padding="same"), error, torch.stack(guides)
