"""The opponents in PyTorch as people write them: as published, as described, and tuned with torch.compile.

Each is a workspace like mlsolve's own: `start(layers)`, `iterate(rate)`, `layers`. All take float32 arrays of
encoded transmittance, and a device, "cpu" or "cuda". The fastest one is in torch_strongest.py.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import conv2d

from mlsolve_kernels.iteration.objective import Terms
from mlsolve_kernels.window import C1, C2, RADIUS, SIZE, taps

from .problem import Problem
from .torch_settings import batch_on, use_threads

FloatArray = npt.NDArray[np.float32]

PUBLISHED_RATE: Final = 0.001
"""Learning rate of the program that mlsolve grew from."""


def mean_ssim(x: torch.Tensor, y: torch.Tensor, window: torch.Tensor) -> torch.Tensor:
    """Return the mean SSIM of each picture of `x` to `y`, (n, c, H, W) → (n,); window: (c, 1, 11, 11)."""

    def blur(z: torch.Tensor) -> torch.Tensor:
        return conv2d(z, window, padding=RADIUS, groups=len(window))

    mx, my = blur(x), blur(y)
    vx, vy, c = blur(x * x) - mx * mx, blur(y * y) - my * my, blur(x * y) - mx * my
    s = (2 * mx * my + C1) * (2 * c + C2) / ((mx * mx + my * my + C1) * (vx + vy + C2))
    return s.mean(dim=(1, 2, 3))


def dense_window(channels: int, device: str) -> torch.Tensor:
    """Return the 11×11 window for each of `channels`, (channels, 1, 11, 11) float32."""
    window = torch.from_numpy(np.outer(taps(), taps()).astype(np.float32)).to(device)
    return window.expand(channels, 1, SIZE, SIZE).contiguous()


class AsPublished:
    """The objective of the program from which mlsolve grew. It differs from mlsolve's.

    The stack is the mean of the clamped layers, and SSIM is the only term. Pictures are channels-last but are
    passed to an SSIM that expects channels first: it takes every row of the picture for a channel, and blurs over
    columns and colours. published_reference.py has the same in float64.
    """

    def __init__(self, problem: Problem, threads: int, device: str = "cpu") -> None:
        """Prepare to `iterate` from the guides."""
        use_threads(threads)
        last = (torch.from_numpy(np.moveaxis(z, -3, -1).copy()) for z in (problem.target, problem.guides))
        self.target, self.guides = (z.to(device) for z in last)
        self.window = dense_window(self.target.shape[0], device)
        self.start(problem.guides)

    def start(self, layers: FloatArray) -> None:
        """Restart from `layers` (N, C, H, W)."""
        moved = np.ascontiguousarray(np.moveaxis(layers, 1, -1))
        self.parameters = torch.from_numpy(moved).to(self.guides.device, copy=True).requires_grad_()
        self.adam = torch.optim.Adam([self.parameters], lr=PUBLISHED_RATE)

    @property
    def layers(self) -> FloatArray:
        """The present layers, (N, C, H, W)."""
        return np.moveaxis(self.parameters.detach().cpu().numpy(), -1, 1)

    def loss(self) -> torch.Tensor:
        """Return the loss at the present layers."""
        clamped = self.parameters.clamp(0, 1)
        stack = clamped.mean(dim=0, keepdim=True)
        to_target = 1 - mean_ssim(stack, self.target[None], self.window).sum()
        return to_target + (1 - mean_ssim(clamped, self.guides, self.window)).sum()

    def evaluate(self) -> tuple[float, FloatArray]:
        """Return the loss and its gradient by the layers (N, C, H, W), in the per-pixel measure."""
        self.parameters.grad = None
        loss = self.loss()
        (loss * self.target.numel()).backward()
        return loss.item(), np.moveaxis(gradient_of(self.parameters), -1, 1)

    def iterate(self, rate: float = PUBLISHED_RATE) -> float:
        """Take one step; return the loss before it."""
        self.adam.param_groups[0]["lr"] = rate
        self.adam.zero_grad(set_to_none=True)
        loss = self.loss()
        loss.backward()
        self.adam.step()
        return float(loss.detach())


class AsDescribed:
    """The objective of docs/maths.md, written plainly: dense 11×11 grouped convolutions, autograd, Adam."""

    fused: bool | None = None
    """Whether to use torch's fused Adam; None: torch decides."""

    def __init__(self, problem: Problem, threads: int, device: str = "cpu") -> None:
        """Prepare to `iterate` from the guides."""
        use_threads(threads)
        self.problem = problem
        self.batch = batch_on(device)
        self.target = torch.from_numpy(problem.target).to(device)[None]
        self.guides = torch.from_numpy(problem.guides).to(device)
        self.prepare(device)
        self.start(problem.guides)

    def prepare(self, device: str) -> None:
        """Make the constants."""
        self.window = dense_window(self.target.shape[1], device)

    def start(self, layers: FloatArray) -> None:
        """Restart from `layers` (N, C, H, W), clamped to the bounds."""
        parameters = torch.from_numpy(layers).to(self.guides.device, copy=True)
        self.parameters = parameters.clamp_(*self.problem.bounds).requires_grad_()
        self.adam = torch.optim.Adam([self.parameters], betas=self.problem.betas, fused=self.fused)

    @property
    def layers(self) -> FloatArray:
        """The present layers, (N, C, H, W)."""
        layers: FloatArray = self.parameters.detach().cpu().numpy()
        return layers

    def terms(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return SSIM and squared error of the stack, and SSIM of the layers (N,), at the present layers."""
        seen = self.parameters.prod(dim=0, keepdim=True) / self.problem.objective.stacks[0].scale
        error = ((seen - self.target) ** 2).mean()
        guides = mean_ssim(self.parameters, self.guides, self.window)
        return mean_ssim(seen, self.target, self.window).sum(), error, guides

    def backward(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Store the gradient in `parameters.grad` and return the terms.

        It is in the per-pixel measure, as in mlsolve, so that Adam's epsilon has the same effect.
        """
        self.adam.zero_grad(set_to_none=True)
        ssim, error, guides = self.terms()
        weights = self.problem.objective
        loss = (
            weights.stacks[0].weight("stack_ssim") * (1 - ssim)
            + weights.stacks[0].weight("stack_mse") * error
            + weights.weight("guide_ssim") * (1 - guides).sum()
        )
        (loss * self.target.numel()).backward()
        return ssim, error, guides

    def evaluate(self) -> tuple[float, FloatArray]:
        """Return the loss and its gradient by the layers (N, C, H, W), in the per-pixel measure."""
        loss = self.problem.objective.loss(numbers(*self.backward()))
        return loss, gradient_of(self.parameters)

    def step(self, rate: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Take one step at learning rate `rate`; return the terms before the step, still on the device."""
        terms = self.backward()
        self.adam.param_groups[0]["lr"] = rate
        self.adam.step()
        with torch.no_grad():
            self.parameters.clamp_(*self.problem.bounds)
        return terms

    def iterate(self, rate: float) -> Terms:
        """Take one step at learning rate `rate`; return the terms before the step."""
        return numbers(*self.step(rate))

    def advance(self, rates: Sequence[float]) -> list[Terms]:
        """Take one step for each of `rates`; read the terms after the last one, as mlsolve does on a GPU."""
        return read_together([self.step(rate) for rate in rates])


_TAPS = torch.from_numpy(taps().astype(np.float32))


def separable_blur(z: torch.Tensor) -> torch.Tensor:
    """Blur (n, c, H, W) along the rows, then down the columns, one group a channel."""
    channels = z.shape[1]
    window = _TAPS.to(z.device).expand(channels, 1, 1, SIZE)
    along = conv2d(z, window, padding=(0, RADIUS), groups=channels)
    return conv2d(along, window.transpose(2, 3), padding=(RADIUS, 0), groups=channels)


def mean_ssim_to_constant(
    x: torch.Tensor, y: torch.Tensor, my: torch.Tensor, square_y: torch.Tensor
) -> torch.Tensor:
    """Return the mean SSIM of each picture of `x` to `y`, whose B[y] and B[y²] are known, (n, c, H, W) → (n,)."""
    mx, square_x, product = separable_blur(torch.cat([x, x * x, x * y], dim=1)).chunk(3, dim=1)
    a1, a2 = 2 * mx * my + C1, 2 * (product - mx * my) + C2
    d1 = mx * mx + my * my + C1
    d2 = (square_x - mx * mx) + (square_y - my * my) + C2
    return (a1 * a2 / (d1 * d2)).mean(dim=(1, 2, 3))


def _tuned_terms(layers: torch.Tensor, scale: float, target: Any, guides: Any) -> tuple[torch.Tensor, ...]:
    """Return SSIM and squared error of the stack and SSIM of the layers; target, guides: (y, B[y], B[y²])."""
    seen = layers.prod(dim=0, keepdim=True) / scale
    error = ((seen - target[0]) ** 2).mean()
    return mean_ssim_to_constant(seen, *target).sum(), error, mean_ssim_to_constant(layers, *guides)


class Compiled(AsDescribed):
    """The same with the usual tuning: separable convolutions, constants computed once, fused Adam, torch.compile.

    The objective is compiled, and autograd's backward pass with it.
    """

    fused = True

    def prepare(self, device: str) -> None:
        """Make the constants and the functions that are compiled on first use."""
        self.constants = [(y, separable_blur(y), separable_blur(y * y)) for y in (self.target, self.guides)]
        self.compiled_terms = torch.compile(_tuned_terms, dynamic=False)

    def terms(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return SSIM and squared error of the stack, and SSIM of the layers (N,), at the present layers."""
        ssim, error, guides = self.compiled_terms(
            self.parameters, self.problem.objective.stacks[0].scale, *self.constants
        )
        return ssim, error, guides


def numbers(ssim: torch.Tensor, error: torch.Tensor, guides: torch.Tensor) -> Terms:
    """Return the terms as numbers. Reading them waits until a CUDA device has finished all work."""
    return Terms(stack_ssim=(ssim.item(),), stack_mse=(error.item(),), guide_ssim=tuple(guides.tolist()))


def read_together(steps: Sequence[Sequence[torch.Tensor]]) -> list[Terms]:
    """Return the terms of several steps, each SSIM, squared error and SSIM of the layers, in one transfer."""
    lines = torch.stack([torch.cat([part.reshape(-1) for part in terms]) for terms in steps]).tolist()
    return [Terms(stack_ssim=(line[0],), stack_mse=(line[1],), guide_ssim=tuple(line[2:])) for line in lines]


def gradient_of(parameters: torch.Tensor) -> FloatArray:
    """Return the gradient that `backward` stored in `parameters.grad`."""
    assert parameters.grad is not None
    gradient: FloatArray = parameters.grad.cpu().numpy()
    return gradient
