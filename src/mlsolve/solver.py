"""Solving pictures that are held in memory: the rounds of `mlsolve.rounds`, with one tile for a whole level."""

import time
from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt

from mlsolve_kernels.objective.terms import Shape

from .arrays import as_image, planar, spread_grey
from .backends import Backend, CpuBackend, open_backend, warn_of_fallback
from .colour import decode
from .errors import DeviceMemoryError, InputError
from .history import History, Step
from .memory import check_memory
from .options import MAX_LAYERS, Options
from .pyramid import level_shapes
from .rounds.advance import Round, Stop
from .rounds.descent import descend, enlarge, halve_pictures
from .rounds.executors import Serial
from .rounds.pictures import as_codes, name_of
from .rounds.plan import Limits
from .rounds.problem import BETAS, Problem
from .rounds.tiles import Tile
from .solution import Solution
from .store import MemoryStore

FloatArray = npt.NDArray[np.float32]
Callback = Callable[[Step], bool | None]


def solve(
    target: npt.ArrayLike,
    guides: Iterable[npt.ArrayLike],
    options: Options | None = None,
    callback: Callback | None = None,
) -> Solution:
    """Compute layers that multiply to `target` while each alone looks like its guide (docs/maths.md).

    target: (H, W), (H, W, 3) or (H, W, 4), uint8, uint16 or float in [0, 1], sRGB code values; alpha is
    laid over white. guides: 1 to 16 pictures of the same size, one per layer. Pictures are taken to 16 bits. If
    none of them has colour, one plane is solved. callback: called with a `Step` for every iteration; return True to
    stop there. On a GPU iterations come in batches of ten: the whole batch is in the result when the callback ends
    it. If a GPU's memory gives out in the middle, backend auto begins anew on the CPU, and the callback sees it all
    again.

    Raises InputError for pictures that cannot be used, OptionError for options that do not suit their
    size, BackendError for a backend this machine does not have.
    """
    began = time.perf_counter()
    options = options or Options()
    target_image, guide_images = _accept(target, guides)
    height, width, planes = target_image.shape
    check_memory((width, height), len(guide_images), planes)
    shapes = level_shapes(height, width, options.levels)
    backend = open_backend(options, BETAS, Shape(len(guide_images), planes, height, width))
    solved = None
    try:
        solved = _solve(target_image, guide_images, shapes, options, backend, callback)
    except DeviceMemoryError as error:  # somebody else took the memory meanwhile
        if options.backend != "auto":
            raise
        warn_of_fallback(error)
    if solved is None:
        backend = CpuBackend(options.threads, BETAS)
        solved = _solve(target_image, guide_images, shapes, options, backend, callback)
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


class Silent:
    """Tells a callback of every step, if there is one, and of nothing else."""

    def __init__(self, callback: Callback | None = None) -> None:
        """callback: as for `solve`."""
        self._callback = callback

    def begin_round(self, plan: Round, tiles: int) -> None:
        """A round begins."""

    def iteration(self, plan: Round, tile: Tile, at: int) -> None:
        """An iteration of a tile is done."""

    def tile(self, plan: Round, tile: Tile) -> None:
        """A tile is done."""

    def step(self, step: Step) -> bool:
        """Tell the callback."""
        return self._callback is not None and bool(self._callback(step))


def _solve(
    target: FloatArray,
    guides: list[FloatArray],
    shapes: list[tuple[int, int]],
    options: Options,
    backend: Backend,
    callback: Callback | None,
) -> tuple[FloatArray, History, Stop]:
    """Solve every level; return layers (N, C, H, W) at full size, the history, and why it ended; close it."""
    planes, store = target.shape[2], MemoryStore()
    problem = Problem(len(guides), planes, tuple(shapes), (planes,) * (1 + len(guides)), options, backend.name)
    problem.save(store)
    for number, picture in enumerate((target, *guides)):
        array = store.create(name_of(problem.levels, number), (planes, *shapes[-1]), np.uint16, shapes[-1])
        for codes, image in zip(array.data, planar(picture), strict=True):
            codes[...] = as_codes(image)
    executor = Serial(backend)
    try:
        halve_pictures(store, problem, executor)
        history, record = descend(store, executor, Limits(), Silent(callback))
        executor.drop()
        layers = store.open(enlarge(store, executor, record)).data[:, 0]
    finally:
        executor.close()
    return np.swapaxes(layers, 0, 1), history, record.stop or "iterations"
