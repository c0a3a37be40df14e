"""Problems, recipes, and the solve of a problem with a recipe: the solver's loop with all choices open."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from mlsolve.job.job import Job
from mlsolve.pictures.arrays import planar
from mlsolve.pictures.colour import decode, encode, printable_range
from mlsolve.pictures.resize import average, double, halve, interpolate
from mlsolve.scoring.scores import score
from mlsolve.solving.spec import objective_of
from mlsolve_kernels.iteration.objective import Objective, Terms
from mlsolve_kernels.iteration.stepwise import StepwiseWorkspace
from mlsolve_kernels.threads import Team

from .convergence_steps import Adam, Level, Step

FloatArray = npt.NDArray[np.float32]
Shape = Literal["cosine", "root", "line", "square", "hold", "exponential", "reciprocal", "constant"]

_FALL: dict[Shape, Callable[[float], float]] = {
    "cosine": lambda done: (1 + math.cos(math.pi * done)) / 2,
    "root": lambda done: math.sqrt(1 - done),
    "line": lambda done: 1 - done,
    "square": lambda done: (1 - done) ** 2,
    "hold": lambda done: 1.0 if done <= 0.5 else (1 + math.cos(math.pi * (2 * done - 1))) / 2,
    "reciprocal": lambda done: 1 / (1 + 4 * done),
    "constant": lambda done: 1.0,
}
"""The schedule: the learning rate, from 1 towards 0, as a function of the progress of a level from 0 to 1."""


@dataclass(frozen=True)
class Recipe:
    """How to solve."""

    name: str
    step: Callable[[Level], Step] = Adam
    """Makes the optimiser of a level."""
    iterations: int = 100
    """At full size."""
    coarse: float = 1.0
    """Factor for the iterations at coarser levels."""
    coarsest: int = 64
    """Shortest side of the coarsest level, in pixels."""
    peak: float = 0.03
    """The highest learning rate at full size."""
    coarse_peak: float | None = None
    """The highest learning rate at coarser levels; None: as at full size."""
    last: float = 0.05
    """Share of the rate at the end of a level."""
    shape: Shape = "cosine"
    warm_up: int = 5
    """Iterations over which the rate rises."""
    transfer: Literal["layers", "difference", "ratio"] = "layers"
    """What goes from size to size: the layers; the layers and a share of the detail of the guides, which is
    their difference or ratio to themselves at half size."""
    detail: float = 0.5
    """That share."""
    start: Literal["thinned", "guides", "projected"] = "thinned"
    """Initial layers: the guides with reduced density; unchanged; or reduced, then moved to the exact product."""
    balance: float | None = None
    """Share of a level after which the brightness is balanced (`balanced`); None: never."""

    def rate(self, iteration: int, finest: bool) -> float:
        """Return the rate of `iteration`, from 1."""
        peak = self.peak if finest or self.coarse_peak is None else self.coarse_peak
        done = (iteration - 1) / self.count(finest)
        rising = min(1.0, iteration / self.warm_up)
        if self.shape == "exponential":
            return float(peak * rising * self.last**done)
        return peak * rising * (self.last + (1 - self.last) * _FALL[self.shape](done))

    def count(self, finest: bool) -> int:
        """Return the iterations of a level."""
        return self.iterations if finest else round(self.iterations * self.coarse)


class Problem(NamedTuple):
    """Pictures and exposure."""

    name: str
    job: Job
    grey: bool = False

    def pictures(self, side: int) -> tuple[FloatArray, list[FloatArray]]:
        """Return target and guides, (side, side, C) sRGB."""
        target, guides = replace(self.job, size=(side, side)).pictures()
        if self.grey:
            return target.mean(axis=2, keepdims=True), [guide.mean(axis=2, keepdims=True) for guide in guides]
        return target, guides


class Point(NamedTuple):
    """The state of a solve before an iteration, or at its end."""

    level: int
    """From 1, the coarsest."""
    iteration: int
    cost: float
    """Iterations so far, each counted as its share of the pixels at full size."""
    loss: float
    target_ssim: float
    guide_ssim: float


class Outcome(NamedTuple):
    """The result of a solve; scores are those of the 8-bit files."""

    points: list[Point]
    target_ssim: float
    psnr: float
    guide_ssim: float

    @property
    def finest(self) -> list[Point]:
        """The points at full size, the last one after the last iteration."""
        return [point for point in self.points if point.level == self.points[-1].level]


def solve(problem: Problem, recipe: Recipe, side: int, team: Team) -> Outcome:
    """Solve `problem` at `side` × `side` pixels with `recipe`."""
    target, guides = problem.pictures(side)
    options = problem.job.options
    objective = objective_of(options, len(guides))
    bounds = printable_range(options.min_density, options.max_density)
    levels = _levels(target, guides, objective, bounds, recipe.coarsest)
    layers = _start(recipe, levels[0])
    points: list[Point] = []
    cost = 0.0
    for number, level in enumerate(levels, start=1):
        if number > 1:
            layers = level.clip(_brought_up(recipe, layers, levels[number - 2], level))
        finest = number == len(levels)
        share = level.target.size / levels[-1].target.size
        layers, path = _solve_level(recipe, level, layers, finest, team)
        for iteration, terms in enumerate(path):
            points.append(_point(terms, objective, number, iteration + 1, cost + iteration * share))
        cost += recipe.count(finest) * share
    printed = np.rint(decode(np.ascontiguousarray(np.moveaxis(layers, 1, -1))) * 255).astype(np.uint8)
    scores = score(printed, target, guides, options.exposure)
    return Outcome(points, scores.target_ssim, scores.target_psnr, scores.mean_guide_ssim)


def balanced(layers: FloatArray, level: Level, rounds: int = 2) -> FloatArray:
    """Return `layers` made lighter or darker, smoothly, so that the stack has the target's local brightness.

    The windows of SSIM are 11 pixels wide. Errors over larger distances hardly affect it, so steps are slow there.
    Averages over 16×16 pixels give the missing brightness, and all layers get an equal share.
    """
    shape = level.target.shape[-2:]
    small = (-(-shape[0] // 16), -(-shape[1] // 16))
    wanted = np.log(np.maximum(average(level.target, small), np.float32(0.01)))
    for _ in range(rounds):
        stack = layers.prod(axis=0) / np.float32(level.objective.stacks[0].scale)
        missing = wanted - np.log(np.maximum(average(stack, small), np.float32(0.01)))
        gain = np.exp(interpolate(missing, shape) / np.float32(len(layers)))
        layers = level.clip(np.asarray(layers * gain, dtype=np.float32))
    return layers


def _levels(
    target: FloatArray, guides: list[FloatArray], objective: Objective, bounds: tuple[float, float], coarsest: int
) -> list[Level]:
    """Return the levels, the coarsest first."""
    levels = [Level(encode(planar(target)), encode(np.stack([planar(g) for g in guides])), objective, bounds)]
    while True:
        finest = levels[0]
        shape = (-(-finest.target.shape[-2] // 2), -(-finest.target.shape[-1] // 2))
        if min(shape) < coarsest:
            return levels
        levels.insert(0, replace(finest, target=halve(finest.target, shape), guides=halve(finest.guides, shape)))


def thinned(level: Level) -> FloatArray:
    """Return the guides with a little noise, thinner if their stack is too dark, like solving/start.py."""
    noise = np.random.default_rng(0).random(level.guides.shape, dtype=np.float32) - np.float32(0.5)
    start = level.clip(level.guides + np.float32(1 / 255) * noise)
    wanted = float(np.log(level.objective.stacks[0].scale * np.maximum(level.target, 0.1)).mean(dtype=np.float64))
    stacked = float(np.log(start).sum(axis=0).mean(dtype=np.float64))
    return start ** np.float32(wanted / stacked) if stacked < wanted < 0 else start


def _start(recipe: Recipe, level: Level) -> FloatArray:
    if recipe.start == "guides":
        return level.clip(level.guides)
    layers = thinned(level)
    if recipe.start == "projected":
        for _ in range(3):
            stack = np.maximum(layers.prod(axis=0) / np.float32(level.objective.stacks[0].scale), np.float32(0.02))
            missing = np.maximum(level.target, np.float32(0.02)) / stack
            layers = level.clip(layers * missing ** np.float32(1 / len(layers)))
    return layers


def _brought_up(recipe: Recipe, layers: FloatArray, coarse: Level, fine: Level) -> FloatArray:
    """Return `layers` at the size of `fine`."""
    shape = fine.target.shape[-2:]
    raised = double(layers, shape)
    if recipe.transfer == "difference":
        return raised + np.float32(recipe.detail) * (fine.guides - double(coarse.guides, shape))
    if recipe.transfer == "ratio":
        low = np.float32(fine.bounds[0])
        detail = np.maximum(fine.guides, low) / np.maximum(double(coarse.guides, shape), low)
        return np.asarray(raised * detail ** np.float32(recipe.detail), dtype=np.float32)
    return raised


def _solve_level(
    recipe: Recipe, level: Level, layers: FloatArray, finest: bool, team: Team
) -> tuple[FloatArray, list[Terms]]:
    """Return the layers after one level, and the terms before every iteration; at full size also at the end."""
    workspace = StepwiseWorkspace(level.target, level.guides, level.objective, level.bounds, (0.9, 0.99), team)
    step = recipe.step(level)
    iterations = recipe.count(finest)
    balance = None if recipe.balance is None else max(1, round(recipe.balance * iterations))
    path = []
    for iteration in range(1, iterations + 1):
        if iteration == balance:
            layers = balanced(layers, level)
        terms, gradient = _evaluate(workspace, layers)
        path.append(terms)
        layers = step.step(layers, gradient, recipe.rate(iteration, finest))
    if finest:
        path.append(_evaluate(workspace, layers)[0])
    return layers, path


def _evaluate(workspace: StepwiseWorkspace, layers: FloatArray) -> tuple[Terms, FloatArray]:
    """Return the terms and the gradient at `layers`."""
    workspace.start(layers)
    terms = workspace.evaluate()
    return terms, np.ascontiguousarray(workspace.gradient)


def _point(terms: Terms, objective: Objective, level: int, iteration: int, cost: float) -> Point:
    mean_guide = sum(terms["guide_ssim"]) / len(terms["guide_ssim"])
    return Point(level, iteration, cost, objective.loss(terms), terms["stack_ssim"][0], mean_guide)
