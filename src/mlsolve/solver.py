"""The loop: from coarse to fine, at each level so many steps at a falling rate, until it is time to stop."""

import math
import time
from collections.abc import Callable, Iterable
from typing import Final

import numpy as np
import numpy.typing as npt

from mlsolve_kernels.objective.terms import Objective, Terms

from .arrays import as_image, planar, spread_grey
from .backends import Backend, CpuBackend, Workspace, open_backend, warn_of_fallback
from .colour import decode, encode, exposure_scale, printable_range
from .errors import DeviceMemoryError, InputError
from .history import History, Step
from .memory import check_memory
from .options import MAX_LAYERS, Options
from .pyramid import level_shapes
from .resize import double, halve
from .solution import Solution, Stop

FloatArray = npt.NDArray[np.float32]
Callback = Callable[[Step], bool | None]

BETAS: Final = (0.8, 0.95)
"""Decay rates of Adam's moments, both shorter than usual, for a level lasts but some sixty steps: with
(0.9, 0.99) it took a hundred to the same loss (bench/LOG.md, mlsolve_bench.convergence)."""

_WARM_UP: Final = 5
"""Iterations over which the rate rises at the start of a level: Adam's first step moves every pixel by the
whole rate whatever its gradient, which from a good start only does harm (bench/LOG.md #4)."""

_LEAST_GAIN: Final = 1e-4
"""By how much of itself the loss must fall to count as falling, for `patience`."""

_START_NOISE: Final = 1 / 255
"""Width of the noise added to the guides at the start: it tells layers with equal guides apart."""

_FLOOR: Final = 0.1
"""Encoded light below which the target's density is not counted: near-black pixels need not be matched."""


def solve(
    target: npt.ArrayLike,
    guides: Iterable[npt.ArrayLike],
    options: Options | None = None,
    callback: Callback | None = None,
) -> Solution:
    """Compute layers that multiply to `target` while each alone looks like its guide (docs/maths.md).

    target: (H, W), (H, W, 3) or (H, W, 4), uint8, uint16 or float in [0, 1], sRGB code values; alpha is
    laid over white. guides: 1 to 16 pictures of the same size, one per layer. If none of them has colour,
    one plane is solved. callback: called with a `Step` for every iteration; return True to stop there. On a GPU
    iterations come in batches of ten: the whole batch is in the result when one of them is the last. If a GPU's
    memory gives out in the middle, backend auto begins anew on the CPU, and the callback sees it all again.

    Raises InputError for pictures that cannot be used, OptionError for options that do not suit their
    size, BackendError for a backend this machine does not have.
    """
    began = time.perf_counter()
    options = options or Options()
    target_image, guide_images = _accept(target, guides)
    height, width = target_image.shape[:2]
    check_memory((width, height), len(guide_images), target_image.shape[2])
    shapes = level_shapes(height, width, options.levels)
    problem = encode(planar(target_image)), encode(np.stack([planar(guide) for guide in guide_images]))
    backend = open_backend(options, BETAS, (len(guide_images), target_image.shape[2], height, width))
    solved = None
    try:
        solved = _descend(*problem, shapes, options, backend, callback)
    except DeviceMemoryError as error:  # somebody else took the memory meanwhile
        if options.backend != "auto":
            raise
        warn_of_fallback(error)
    finally:
        backend.close()
    if solved is None:
        backend = CpuBackend(options.threads, BETAS)
        try:
            solved = _descend(*problem, shapes, options, backend, callback)
        finally:
            backend.close()
    layers, history, stop = solved
    return Solution(
        layers=decode(np.ascontiguousarray(np.moveaxis(layers, 1, -1))),
        target=target_image,
        guides=np.stack(guide_images),
        options=options,
        history=history,
        backend=backend.name,
        stop=stop,
        seconds=time.perf_counter() - began,
        device=backend.device,
    )


def _accept(target: npt.ArrayLike, guides: Iterable[npt.ArrayLike]) -> tuple[FloatArray, list[FloatArray]]:
    """Return target and guides as images of one size with one number of planes."""
    target_image = as_image(target, "target")
    try:
        guides = list(guides)
    except TypeError:
        raise InputError(f"guides is {guides!r}: give a sequence of pictures, one per layer") from None
    if not 1 <= len(guides) <= MAX_LAYERS:
        raise InputError(f"there are {len(guides)} guides: give 1 to {MAX_LAYERS}, one per layer")
    guide_images = [as_image(guide, f"guide {k}") for k, guide in enumerate(guides, start=1)]
    for k, guide in enumerate(guide_images, start=1):
        if guide.shape[:2] != target_image.shape[:2]:
            raise InputError(
                f"guide {k} is {guide.shape[1]}×{guide.shape[0]}, the target is "
                f"{target_image.shape[1]}×{target_image.shape[0]}: bring it to that size, "
                "for example by mlsolve.fit_image"
            )
    target_image, *guide_images = spread_grey([target_image, *guide_images])
    return target_image, guide_images


def objective_of(options: Options, layers: int) -> Objective:
    """Return the objective that `options` mean for so many layers."""
    return Objective(
        exposure_scale(options.exposure),
        options.ssim_weight,
        options.mse_weight,
        options.guide_weight_for(layers),
    )


def _descend(
    target: FloatArray,
    guides: FloatArray,
    shapes: list[tuple[int, int]],
    options: Options,
    backend: Backend,
    callback: Callback | None,
) -> tuple[FloatArray, History, Stop]:
    """Solve every level; return layers (N, C, H, W) at full size, the history, and why it ended.

    If the callback ends it, the layers are the better of where that level began and where it stands, for
    the first iterations of a level may lose a little; and they are brought to full size.
    """
    objective = objective_of(options, len(guides))
    bounds = printable_range(options.min_density, options.max_density)
    targets, guide_levels = [target], [guides]
    for shape in reversed(shapes[:-1]):
        targets.insert(0, halve(targets[0], shape))
        guide_levels.insert(0, halve(guide_levels[0], shape))

    layers = starting_layers(targets[0], guide_levels[0], objective.scale, bounds, options.seed)
    steps: list[Step] = []
    stop: Stop = "iterations"
    for level, shape in enumerate(shapes, start=1):
        if level > 1:
            layers = double(layers, shape)
        workspace = backend.workspace(targets.pop(0), guide_levels.pop(0), objective, bounds)
        workspace.start(layers)
        before = len(steps)
        stop = _solve_level(workspace, objective, options, (level, shapes), len(target), steps, callback)
        if stop != "callback" or steps[-1].loss <= steps[before].loss:
            layers = np.array(workspace.layers)
        del workspace  # before the next one takes its memory
        if stop == "callback":
            break
    if layers.shape[-2:] != shapes[-1]:
        layers = double(layers, shapes[-1])
    low, high = (np.float32(bound) for bound in bounds)
    return np.clip(layers, low, high), History(steps), stop


def starting_layers(
    target: FloatArray, guides: FloatArray, scale: float, bounds: tuple[float, float], seed: int
) -> FloatArray:
    """Return the layers to start from, (N, C, H, W): the guides, thinned if their stack would be too dark.

    Thinned: all densities times one factor, so that the stack has the mean density the target asks for.
    Sixteen guides laid over each other let no light through, and where there is none there is no gradient
    (16 layers, SSIM to the target 0.25 without this, 0.99 with it).
    """
    low, high = (np.float32(bound) for bound in bounds)
    rng = np.random.default_rng(seed)
    noise = rng.random(guides.shape, dtype=np.float32) - np.float32(0.5)
    start = np.clip(guides + np.float32(_START_NOISE) * noise, low, high)
    wanted = float(np.log(scale * np.maximum(target, np.float32(_FLOOR))).mean(dtype=np.float64))
    stacked = float(np.log(start).sum(axis=0).mean(dtype=np.float64))
    if stacked < wanted < 0:
        start = start ** np.float32(wanted / stacked)
    return np.asarray(start, dtype=np.float32)


def _solve_level(
    workspace: Workspace,
    objective: Objective,
    options: Options,
    place: tuple[int, list[tuple[int, int]]],
    planes: int,
    steps: list[Step],
    callback: Callback | None,
) -> Stop:
    """Iterate at one level, append to `steps`, return why it ended; place: the level's number, all shapes."""
    level, shapes = place
    best, best_iteration = math.inf, 0
    pixels = planes * shapes[level - 1][0] * shapes[level - 1][1]
    for first in range(1, options.iterations + 1, workspace.batch):
        batch = range(first, min(first + workspace.batch, options.iterations + 1))
        stop: Stop | None = None
        for iteration, sums in zip(
            batch, workspace.advance([_rate(options, iteration) for iteration in batch]), strict=True
        ):
            terms = sums.terms(pixels)
            step = _step(terms, objective, level, shapes, iteration, options.iterations)
            steps.append(step)
            if step.loss < best * (1 - _LEAST_GAIN):
                best, best_iteration = step.loss, iteration
            reason = _reason_to_stop(step, options, iteration - best_iteration, callback)
            stop = stop or reason
        if stop is not None:
            return stop
    return "iterations"


def _reason_to_stop(step: Step, options: Options, without_gain: int, callback: Callback | None) -> Stop | None:
    """Tell `callback` of `step` and return why to stop after it, None to go on."""
    if callback is not None and callback(step):
        return "callback"
    at_full_size = step.level == step.levels
    if at_full_size and options.target_ssim is not None and step.target_ssim >= options.target_ssim:
        return "target_ssim"
    if options.patience is not None and without_gain >= options.patience:
        return "patience"
    return None


def _rate(options: Options, iteration: int) -> float:
    """Return the learning rate of `iteration` (from 1): a short rise, then as the root of what is left to do."""
    rising = min(1.0, iteration / _WARM_UP)
    left = 1 - (iteration - 1) / options.iterations
    return options.learning_rate * rising * math.sqrt(left)


def _step(
    terms: Terms,
    objective: Objective,
    level: int,
    shapes: list[tuple[int, int]],
    iteration: int,
    iterations: int,
) -> Step:
    return Step(level, len(shapes), iteration, iterations, shapes[level - 1], objective.loss(terms), *terms)
