"""The strongest opponent found in PyTorch: everything written by hand, in one compiled function.

Three things make it about four times faster than separable convolutions with autograd under torch.compile
(bench/LOG.md). Blurs are sums of shifted slices, which Inductor fuses into vectorised loops; oneDNN's convolutions
are slow with one channel per group. The gradient is written out as in docs/maths.md §3, so that B[x], B[x²] and
B[xy] share their loops and nothing is kept for a backward pass. And pictures are flat in memory with zeros between
rows and planes, so that a shift is a slice and no loop has a border (with torch's padding, Inductor tests for the
border at every tap, which is several times slower).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import pad

from mlsolve_bench.problem import Problem
from mlsolve_bench.torch_baselines import read_together
from mlsolve_bench.torch_settings import batch_on, use_threads
from mlsolve_kernels.iteration.objective import Terms
from mlsolve_kernels.window import C1, C2, RADIUS, REACH, SIZE, taps

FloatArray = npt.NDArray[np.float32]

_TAPS = [float(tap) for tap in taps()]
_MARGIN_ROWS = REACH + 1
"""Zero rows above every plane and below the last: the reach of two blurs, down and along."""


class Flat:
    """The layout of pictures: consecutive rows of `stride` values, with zeros after each row and between planes."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        """Lay out pictures of `shape` (C, H, W)."""
        self.planes, self.height, self.width = shape
        self.stride = -(-(self.width + RADIUS) // 16) * 16
        self.reach = REACH * self.stride + REACH
        """Values by which two blurs shorten an array on either side."""

    def lay(self, pictures: torch.Tensor) -> torch.Tensor:
        """Return `pictures` (…, C, H, W) as (…, L), surrounded by zeros."""
        rows = pad(pictures, (0, self.stride - self.width, _MARGIN_ROWS, 0))
        return pad(rows.flatten(-3), (0, _MARGIN_ROWS * self.stride)).contiguous()

    def lift(self, flat: torch.Tensor) -> torch.Tensor:
        """Return the pictures (…, C, H, W) in `flat` (…, L)."""
        rows = flat[..., : -_MARGIN_ROWS * self.stride].unflatten(
            -1, (self.planes, self.height + _MARGIN_ROWS, self.stride)
        )
        return rows[..., _MARGIN_ROWS:, : self.width]


def _weigh(z: torch.Tensor, step: int) -> torch.Tensor:
    """Return the sum of `z` (…, n) at 11 places `step` apart, weighted by the window: (…, n - 10·step)."""
    size = z.shape[-1] - (SIZE - 1) * step
    total = _TAPS[0] * z[..., :size]
    for k in range(1, SIZE):
        total = total + _TAPS[k] * z[..., k * step : k * step + size]
    return total


def _blur(z: torch.Tensor, stride: int) -> torch.Tensor:
    """Blur along the rows and down the columns; shorter by 5·stride + 5 on either side."""
    return _weigh(_weigh(z, 1), stride)


def _ssim(x: torch.Tensor, constant: Any, stride: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the sum of SSIM over `x` (…, L), and its gradient by `x`, shorter by two blurs on either side.

    constant: y, B[y], B[y²] - B[y]², and 1 where there is a pixel, 0 in the margins.
    """
    y, my, vy, inside = constant
    mx, square_x, product = _blur(x, stride), _blur(x * x, stride), _blur(x * y, stride)
    a1, a2 = 2 * mx * my + C1, 2 * (product - mx * my) + C2
    d1, d2 = mx * mx + my * my + C1, (square_x - mx * mx) + vy + C2
    inverse = inside / (d1 * d2)
    s = a1 * a2 * inverse
    by_variance, by_covariance = -s * d1 * inverse, 2 * a1 * inverse
    by_mean = 2 * (my * a2 * inverse - mx * s * d2 * inverse)
    q = by_mean - 2 * mx * by_variance - my * by_covariance
    cut = (x.shape[-1] - inside.shape[-1]) // 2
    middle = slice(2 * cut, x.shape[-1] - 2 * cut)
    gradient = (
        _blur(q, stride)
        + 2 * x[..., middle] * _blur(by_variance, stride)
        + y[..., middle] * _blur(by_covariance, stride)
    )
    return s.sum(dim=-1), gradient


def _evaluate(layers: torch.Tensor, target: Any, guides: Any, weights: Any, stride: int) -> Any:
    """Return the gradient by `layers` (N, L) without its ends, and the sums of the terms; weights: an Objective."""
    seen = layers.prod(dim=0) / weights.stacks[0].scale
    ssim, by_ssim = _ssim(seen, target, stride)
    guide_ssim, by_guide_ssim = _ssim(layers, guides, stride)
    reach = REACH * stride + REACH
    middle = slice(reach, layers.shape[-1] - reach)
    x = layers[:, middle]
    error = seen[middle] - target[0][middle]
    by_seen = (
        2 * weights.stacks[0].weight("stack_mse") * error - weights.stacks[0].weight("stack_ssim") * by_ssim
    ) / weights.stacks[0].scale
    numbers = range(len(layers))
    others = [torch.stack([x[j] for j in numbers if j != k]).prod(dim=0) for k in numbers]
    gradient = by_seen * torch.stack(others) - weights.weight("guide_ssim") * by_guide_ssim
    return gradient, ssim, (error * error).sum(), guide_ssim


def _step(state: Any, rates: torch.Tensor, constants: Any, settings: Any, stride: int) -> Any:
    """Take one step of Adam in place and project; return the sums of the terms before it.

    state: layers (N, L) and the moments without the layers' ends. rates: α / (1 - β1^t) and 1 / (1 - β2^t).
    """
    layers, first, second = state
    target, guides, inside = constants
    weights, (low, high), (beta_1, beta_2) = settings
    gradient, *sums = _evaluate(layers, target, guides, weights, stride)
    new_first = first + (1 - beta_1) * (gradient - first)
    new_second = second + (1 - beta_2) * (gradient * gradient - second)
    first.copy_(new_first)
    second.copy_(new_second)
    reach = REACH * stride + REACH
    x = layers[:, reach : layers.shape[-1] - reach]
    moved = x - rates[0] * new_first / ((new_second * rates[1]).sqrt() + 1e-8)
    x.copy_(moved.clamp(low, high) * inside)
    return sums


_compiled_step = torch.compile(_step, dynamic=False, fullgraph=True)
_compiled_evaluate = torch.compile(_evaluate, dynamic=False, fullgraph=True)


class Strongest:
    """The objective of docs/maths.md, its gradient and Adam's step in one function for torch.compile."""

    def __init__(self, problem: Problem, threads: int, device: str = "cpu") -> None:
        """Prepare to `iterate` from the guides."""
        use_threads(threads)
        self.problem = problem
        self.batch = batch_on(device)
        self.flat = flat = Flat(problem.target.shape)
        inside = flat.lay(torch.ones(problem.target.shape, device=device))
        half, reach, size = flat.reach // 2, flat.reach, inside.numel()
        self.inside = inside[reach : size - reach].clone()

        def constant(pictures: FloatArray) -> tuple[torch.Tensor, ...]:
            y = flat.lay(torch.from_numpy(pictures).to(device))
            mean = _blur(y, flat.stride)
            return y, mean, _blur(y * y, flat.stride) - mean * mean, inside[half : size - half].clone()

        self.constants = constant(problem.target), constant(problem.guides)
        self.start(problem.guides)

    def start(self, layers: FloatArray) -> None:
        """Restart from `layers` (N, C, H, W), clamped to the bounds."""
        clamped = torch.from_numpy(layers).to(self.inside.device).clamp(*self.problem.bounds)
        flat = self.flat.lay(clamped)
        first = torch.zeros(len(flat), len(self.inside), device=flat.device)
        self.state = flat, first, torch.zeros_like(first)
        self.number = 0

    @property
    def layers(self) -> FloatArray:
        """The present layers, (N, C, H, W)."""
        layers: FloatArray = self.flat.lift(self.state[0]).cpu().numpy()
        return layers

    def evaluate(self) -> tuple[float, FloatArray]:
        """Return the loss and its gradient by the layers (N, C, H, W), in the per-pixel measure."""
        weights = self.problem.objective
        gradient, *sums = _compiled_evaluate(self.state[0], *self.constants, weights, self.flat.stride)
        whole = pad(gradient, (self.flat.reach, self.flat.reach))
        return weights.loss(self._terms(sums)), self.flat.lift(whole).cpu().numpy()

    def corrected(self, rate: float) -> tuple[float, float]:
        """Return the rates of step `number` at learning rate `rate`: α / (1 - β1^t) and 1 / (1 - β2^t)."""
        beta_1, beta_2 = self.problem.betas
        return rate / (1 - beta_1**self.number), 1 / (1 - beta_2**self.number)

    def compute(self, rates: torch.Tensor) -> list[torch.Tensor]:
        """Take one step at corrected `rates` (2,), on the device; return the sums of the terms before it."""
        settings = self.problem.objective, self.problem.bounds, self.problem.betas
        constants = (*self.constants, self.inside)
        sums: list[torch.Tensor] = _compiled_step(self.state, rates, constants, settings, self.flat.stride)
        return sums

    def step(self, rate: float) -> list[torch.Tensor]:
        """Take one step at learning rate `rate`; return the sums of the terms before the step."""
        self.number += 1
        return self.compute(torch.tensor(self.corrected(rate), device=self.inside.device))

    def iterate(self, rate: float) -> Terms:
        """Take one step at learning rate `rate`; return the terms before the step."""
        return self._terms(self.step(rate))

    def advance(self, rates: Sequence[float]) -> list[Terms]:
        """Take one step for each of `rates`; read the terms after the last one, as mlsolve does on a GPU."""
        steps = [self.step(rate) for rate in rates]
        return read_together([[total / self.problem.target.size for total in sums] for sums in steps])

    def _terms(self, sums: list[torch.Tensor]) -> Terms:
        ssim, error, guides = (total / self.problem.target.size for total in sums)
        return Terms(stack_ssim=(ssim.item(),), stack_mse=(error.item(),), guide_ssim=tuple(guides.tolist()))
