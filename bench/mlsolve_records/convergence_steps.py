"""The steps of the study, in plain NumPy. The kernels implement the one that won.

Every step keeps the state of one level. `step(x, gradient, rate)` returns the next layers; x and gradient
are (N, C, H, W) float32, the gradient in the per-pixel measure (docs/maths.md §5).
"""

from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from mlsolve.pictures.resize import average, interpolate
from mlsolve_kernels.blur.reference import blur
from mlsolve_kernels.iteration.objective import Objective
from mlsolve_kernels.window import C2

FloatArray = npt.NDArray[np.float32]

_BLOCK: Final = 32
"""Side of the blocks of a common gain, in pixels: three windows."""


@dataclass(frozen=True)
class Level:
    """What is solved at one size."""

    target: FloatArray
    """(C, H, W), encoded transmittance."""
    guides: FloatArray
    """(N, C, H, W), encoded transmittance."""
    objective: Objective
    bounds: tuple[float, float]
    """Printable range of encoded transmittance."""

    def clip(self, x: FloatArray) -> FloatArray:
        """Return `x` clamped to the printable range."""
        return np.clip(x, np.float32(self.bounds[0]), np.float32(self.bounds[1]))


class Step(Protocol):
    """The state of an optimiser at one level."""

    def step(self, x: FloatArray, gradient: FloatArray, rate: float) -> FloatArray:
        """Return the layers after one step from `x`."""


class Adam:
    """Adam as the kernels have it; with Nesterov's look ahead (Dozat 2016); or of u = log x."""

    def __init__(
        self, level: Level, betas: tuple[float, float] = (0.9, 0.99), nesterov: bool = False, log: bool = False
    ) -> None:
        """Start with moments of zero."""
        self._level, self._betas, self._nesterov, self._log = level, betas, nesterov, log
        self._first, self._second = np.zeros_like(level.guides), np.zeros_like(level.guides)
        self._count = 0

    def step(self, x: FloatArray, gradient: FloatArray, rate: float) -> FloatArray:
        """Return the layers after one step from `x`."""
        if self._log:  # dL/du = x dL/dx, and a step of u moves x by x times as much
            gradient = gradient * x
        first, second = (np.float32(beta) for beta in self._betas)
        self._count += 1
        self._first += (1 - first) * (gradient - self._first)
        self._second += (1 - second) * (gradient * gradient - self._second)
        correct_first = np.float32(1 / (1 - self._betas[0] ** self._count))
        correct_second = np.float32(1 / (1 - self._betas[1] ** self._count))
        moment = self._first * correct_first
        if self._nesterov:
            moment = first * moment + (1 - first) * correct_first * gradient
        move = np.float32(rate) * moment / (np.sqrt(self._second * correct_second) + np.float32(1e-8))
        moved = x - move * x if self._log else x - move
        return self._level.clip(np.asarray(moved, dtype=np.float32))


class BlockNewton:
    """A Newton step for the N values of the layers at one pixel, with Nesterov's momentum.

    The Hessian is approximated pixel by pixel and plane by plane by an N×N matrix,

        H = diag(d_k) + h (J Jᵀ + θ diag(J_k²)),    J_k = dp/dx_k = (product of the others) / scale,
        d_k = g_weight · 2 B[1 / (2 v_k + C2)],     h = ssim_weight · 2 B[1 / (2 v_T + C2)] + 2 mse_weight,

    v_k, v_T the windowed variances of guide and target. Where two pictures are nearly alike, 1 - SSIM is
    their squared difference, weighted by 1 / (vx + vy + C2) within each window, but for the windows' means;
    with vx ≈ vy that gives d_k and h, constants of the level. The inverse of a diagonal plus J Jᵀ is the
    Sherman–Morrison formula: one division and a dozen multiplications per value.

    A value at a bound whose gradient pushes outwards is excluded from J (Bertsekas 1982). Otherwise the other
    values would assume a move that the bound forbids, and converge to the wrong place.

    coupled=False keeps only the diagonal, h N J_k² instead of J Jᵀ.

    Errors over distances beyond the windows hardly affect SSIM, and h and d_k, which suit fine detail, are far too
    large for them. So a common gain of all layers, x_k (1 + t), is one more unknown for each block of
    32×32 pixels: dL/dt = Σ g_k x_k against the curvature N g_weight + N² (ssim_weight + 2 mse_weight p²), of
    which `gain_share` is taken at each step, interpolated between the blocks.
    """

    def __init__(
        self,
        level: Level,
        momentum: float = 0.9,
        damping: float = 0.2,
        nesterov: bool = True,
        coupled: bool = True,
        active: bool = True,
        gain_share: float = 0.2,
    ) -> None:
        """Measure the curvatures. damping: θ. active: whether values at bounds are excluded as described above."""
        self._gain_share = np.float32(gain_share)
        self._level, self._momentum, self._damping = level, np.float32(momentum), np.float32(damping)
        self._nesterov, self._coupled, self._active = nesterov, coupled, active
        objective = level.objective
        mse = np.float32(2 * objective.stacks[0].weight("stack_mse"))
        self.of_target = np.float32(objective.stacks[0].weight("stack_ssim")) * _curvature(level.target) + mse
        # Without a guide's weight nothing but the product holds a layer, and a black neighbour ends that too.
        least = np.float32(0.001) * self.of_target
        self.of_guides = np.maximum(np.float32(objective.weight("guide_ssim")) * _curvature(level.guides), least)
        self._velocity = np.zeros_like(level.guides)

    def step(self, x: FloatArray, gradient: FloatArray, rate: float) -> FloatArray:
        """Return the layers after one step from `x`; rate: about 1."""
        low, high = (np.float32(bound) for bound in self._level.bounds)
        free = ~(((x <= low) & (gradient > 0)) | ((x >= high) & (gradient < 0)))
        direction = self.direction(x, gradient, free if self._active else np.ones_like(free))
        move = np.float32(rate) * (direction + self._gain(x, gradient, free))
        self._velocity = self._momentum * self._velocity - move
        ahead = self._momentum * self._velocity - move if self._nesterov else self._velocity
        moved = x + ahead
        bounded = self._level.clip(moved)
        if self._active:
            self._velocity[bounded != moved] = 0
        return bounded

    def direction(self, x: FloatArray, gradient: FloatArray, free: npt.NDArray[np.bool_]) -> FloatArray:
        """Return H⁻¹ gradient; free: the values that take part in J."""
        by_layer = np.stack([np.delete(x, k, axis=0).prod(axis=0) for k in range(len(x))])
        by_layer /= np.float32(self._level.objective.stacks[0].scale)
        by_layer *= free
        h = self.of_target
        if not self._coupled:
            return np.asarray(gradient / (self.of_guides + h * by_layer**2 * len(x)), dtype=np.float32)
        diagonal = self.of_guides + self._damping * h * by_layer**2
        uncoupled, weighted = gradient / diagonal, by_layer / diagonal
        through = h * (by_layer * uncoupled).sum(axis=0) / (1 + h * (by_layer * weighted).sum(axis=0))
        return np.asarray(uncoupled - weighted * through, dtype=np.float32)

    def _gain(self, x: FloatArray, gradient: FloatArray, free: npt.NDArray[np.bool_]) -> FloatArray:
        """Return x_k t: how far the common gain of each block moves the layers, values at a bound left out."""
        shape, objective = x.shape[-2:], self._level.objective
        blocks = (-(-shape[0] // _BLOCK), -(-shape[1] // _BLOCK))
        if self._gain_share == 0 or min(blocks) < 2:
            return np.zeros_like(x)
        stack = x.prod(axis=0) / np.float32(objective.stacks[0].scale)
        count = free.sum(axis=0).astype(np.float32)
        fit = (
            np.float32(objective.stacks[0].weight("stack_ssim"))
            + np.float32(2 * objective.stacks[0].weight("stack_mse")) * stack**2
        )
        bent = count * np.float32(objective.weight("guide_ssim")) + count**2 * fit
        curvature = average(np.asarray(bent, dtype=np.float32), blocks)
        slope = average(np.asarray((gradient * x * free).sum(axis=0), dtype=np.float32), blocks)
        gain = np.asarray(self._gain_share * slope / np.maximum(curvature, 1e-3), dtype=np.float32)
        return np.asarray(x * free * interpolate(gain, shape), dtype=np.float32)


class BarzilaiBorwein:
    """Steps along the gradient, their length from the last two gradients (Barzilai & Borwein 1988), capped."""

    def __init__(self, level: Level, furthest: float = 0.05) -> None:
        """Start without a memory. furthest: root mean square, at most, of a step."""
        self._level, self._furthest = level, furthest
        self._before: tuple[FloatArray, FloatArray] | None = None

    def step(self, x: FloatArray, gradient: FloatArray, rate: float) -> FloatArray:
        """Return the layers after one step from `x`; rate: a factor on the step, 1 for the method as it stands."""
        length = 0.002
        if self._before is not None:
            moved, turned = x - self._before[0], gradient - self._before[1]
            bent = float(np.vdot(moved, turned))
            if bent > 0:
                length = float(np.vdot(moved, moved)) / bent
        self._before = x, gradient.copy()
        most = self._furthest / max(float(np.sqrt(np.mean(gradient**2))), 1e-12)
        return self._level.clip(x - np.float32(rate * min(length, most)) * gradient)


class Lbfgs:
    """L-BFGS (Nocedal & Wright 2006, algorithm 7.4) with steps of a fixed share, capped; no line search."""

    def __init__(self, level: Level, memory: int = 8, furthest: float = 0.03) -> None:
        """Start without a memory. memory: pairs kept. furthest: root mean square, at most, of a step."""
        self._level, self._memory, self._furthest = level, memory, furthest
        self._pairs: list[tuple[FloatArray, FloatArray, float]] = []
        self._before: tuple[FloatArray, FloatArray] | None = None

    def step(self, x: FloatArray, gradient: FloatArray, rate: float) -> FloatArray:
        """Return the layers after one step from `x`; rate: the share of the quasi-Newton step taken."""
        if self._before is not None:
            moved, turned = x - self._before[0], gradient - self._before[1]
            bent = float(np.vdot(moved, turned))
            if bent > 1e-6 * float(np.vdot(turned, turned)):
                self._pairs = [*self._pairs, (moved, turned, bent)][-self._memory :]
        self._before = x, gradient.copy()
        direction = self._direction(gradient)
        most = self._furthest / max(float(np.sqrt(np.mean(direction**2))), 1e-12)
        return self._level.clip(x - np.float32(min(rate, most)) * direction)

    def _direction(self, gradient: FloatArray) -> FloatArray:
        """Return the inverse Hessian that the pairs amount to, times `gradient`."""
        if not self._pairs:
            return np.float32(0.002) * gradient
        result, shares = gradient.copy(), []
        for moved, turned, bent in reversed(self._pairs):
            shares.append(float(np.vdot(moved, result)) / bent)
            result -= np.float32(shares[-1]) * turned
        moved, turned, bent = self._pairs[-1]
        result *= np.float32(bent / float(np.vdot(turned, turned)))
        for (moved, turned, bent), share in zip(self._pairs, reversed(shares), strict=True):
            result += np.float32(share - float(np.vdot(turned, result)) / bent) * moved
        return result


def _curvature(images: FloatArray) -> FloatArray:
    """Return 2 B[1 / (2 v + C2)], v the windowed variance of `images` (…, H, W)."""
    variance = np.maximum(blur(np.square(images, dtype=np.float64)) - blur(images) ** 2, 0)
    return np.asarray(2 * blur(1 / (2 * variance + C2)), dtype=np.float32)
