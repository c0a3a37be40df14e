"""Solving pictures that are held in memory: the rounds of `mlsolve.solve`, with one tile for a whole level."""

import dataclasses
import time
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mlsolve_kernels.iteration.objective import Shape
from mlsolve_kernels.placement.frames import Frame, disc
from mlsolve_kernels.threads import available_cores

from ..errors import DeviceMemoryError, InputError
from ..job.arrangements import Arrangement, Problem, check_arrangements
from ..job.options import Options
from ..job.settings import MAX_LAYERS
from ..media import Media
from ..pictures.arrays import as_image, spread_grey
from ..pictures.colour import as_planes, decode
from ..solving.backends import Backend, CpuBackend, open_backend, warn_of_fallback
from ..solving.callbacks import Callback, Callbacks
from ..solving.executors.serial import Serial
from ..solving.level_pictures import store_pictures
from ..solving.plan import Limits
from ..solving.spec import BETAS, Spec
from ..solving.store import MemoryStore
from ..system.memory import check_memory
from .pipeline import Solved, solve_in_store
from .solution import Solution

FloatArray = npt.NDArray[np.float32]


def solve(
    target: "npt.ArrayLike | Problem",
    guides: "Iterable[npt.ArrayLike] | Options | None" = None,
    options: Options | None = None,
    callback: Callback | None = None,
    media: Media | None = None,
) -> Solution:
    """Compute layers that multiply to `target` while each alone looks like its guide (docs/maths.md).

    target: (H, W), (H, W, 3) or (H, W, 4), uint8, uint16 or float in [0, 1], sRGB code values; alpha is
    composited over white. guides: 1 to 16 pictures of the same size, one per layer. Or, instead of both, a
    `Problem` with several arrangements, each of which shows a picture; options may follow it. Pictures are rounded
    to 16 bits. If none of them has colour, one plane is solved.

    callback: called with a `Step` for every iteration; return True to stop there. On a GPU iterations come in
    batches of ten, and the whole batch is in the result when the callback ends it. If a GPU runs out of memory in
    the middle, backend auto starts again on the CPU, and the callback sees every iteration again.

    media: the printer and film of the layers, as `load_media` returns it; the layers are then device codes.

    Raises InputError for pictures that cannot be used, OptionError for options that do not suit their
    size and for impossible arrangements, BackendError for a backend this machine does not have.
    """
    began = time.perf_counter()
    if isinstance(target, Problem) and isinstance(guides, Options) and options is None:
        guides, options = None, guides
    options = options or Options()
    asked = _accept(_asked(target, guides), media)
    height, width, planes = asked.targets[0].shape
    check_memory((width, height), len(asked.guides), planes, asked.images)
    spec = _spec(asked, options, media)
    backend = open_backend(options, BETAS, Shape(spec.layers, planes, height, width), spec.objective)
    found = None
    try:
        found = _solve(asked, spec, backend, callback)
    except DeviceMemoryError as error:  # another program took the memory meanwhile
        if options.backend != "auto":
            raise
        warn_of_fallback(error)
    if found is None:
        backend = CpuBackend(options.threads, BETAS)
        found = _solve(asked, spec, backend, callback)
    layers, solved = found
    return Solution(
        layers=decode(np.ascontiguousarray(np.moveaxis(layers, 1, -1))),
        targets=np.stack([asked.shown(target) for target in asked.targets]),
        guides=np.stack([asked.shown(guide) for guide in asked.guides]),
        arrangements=tuple(one.placed(len(asked.guides)) for one in asked.arrangements),
        balance=solved.balance,
        masks=asked.weights,
        options=options,
        history=solved.history,
        backend=backend.name,
        stop=solved.stop,
        seconds=time.perf_counter() - began,
        device=backend.device,
        adam=backend.adam(spec.objective),
        shape="disc" if asked.disc else "sheet",
        carriers=solved.carriers,
        media=media,
        solver=spec.options.solver,
    )


@dataclass(frozen=True)
class _Asked:
    """The pictures of a problem, all of one size and with one number of planes."""

    targets: list[FloatArray]
    guides: list[FloatArray]
    masks: list[FloatArray]
    """(H, W, 1) each, of the arrangements that have one."""
    arrangements: tuple[Arrangement, ...]
    disc: bool

    @property
    def images(self) -> int:
        """Extra images that several stacks need: targets, their statistics, placed sheets."""
        stacks, layers = len(self.targets), len(self.guides)
        return 0 if stacks == 1 else 3 * (stacks - 1) + 2 * layers + 1

    @property
    def pictures(self) -> list[FloatArray]:
        """All of them, as those of a `solving.spec.Problem` are counted."""
        return [*self.targets, *self.guides, *self.masks]

    @property
    def weights(self) -> tuple[FloatArray | None, ...]:
        """The mask of every arrangement; None where there is none."""
        masks = iter(self.masks)
        return tuple(None if one.mask is None else next(masks) for one in self.arrangements)

    def shown(self, picture: FloatArray) -> FloatArray:
        """Return `picture` as a sheet shows it: round sheets are clear outside the circle."""
        if not self.disc:
            return picture
        shape = picture.shape[:2]
        return np.where(disc(shape, Frame(0, 0), shape)[..., np.newaxis] != 0, picture, np.float32(1))


def _asked(target: "npt.ArrayLike | Problem", guides: "Iterable[npt.ArrayLike] | Options | None") -> Problem:
    if not isinstance(target, Problem):
        try:
            return Problem(list(guides), [Arrangement(target)])  # type: ignore[arg-type]
        except TypeError:
            raise InputError(f"guides is {guides!r}: give a sequence of pictures, one per layer") from None
    if guides is not None:
        raise InputError("guides are given beside a Problem, which holds its own: leave them out")
    return target


def _accept(problem: Problem, media: Media | None = None) -> _Asked:
    """Return targets, guides and masks as images of one size, targets and guides with one number of planes."""
    guides, arrangements = list(problem.guides), tuple(problem.arrangements)
    if not 1 <= len(guides) <= MAX_LAYERS:
        raise InputError(f"there are {len(guides)} guides: give 1 to {MAX_LAYERS}, one per layer")
    if not all(isinstance(one, Arrangement) for one in arrangements):
        raise InputError("arrangements hold something else: give mlsolve.Arrangement objects")
    check_arrangements(arrangements, len(guides), None, problem.shape)
    several = len(arrangements) > 1
    named = [f"target {a}" if several else "target" for a in range(1, len(arrangements) + 1)]
    targets = [as_image(one.target, name) for one, name in zip(arrangements, named, strict=True)]  # type: ignore[arg-type]
    others = [(as_image(guide, f"guide {k}"), f"guide {k}") for k, guide in enumerate(guides, start=1)]
    masks = [
        (as_image(one.mask, f"mask of {name}"), f"mask of {name}")  # type: ignore[arg-type]
        for one, name in zip(arrangements, named, strict=True)
        if one.mask is not None
    ]
    height, width = targets[0].shape[:2]
    for image, name in [*zip(targets[1:], named[1:], strict=True), *others, *masks]:
        if image.shape[:2] != (height, width):
            raise InputError(
                f"{name} is {image.shape[1]}×{image.shape[0]}, the {named[0]} is "
                f"{width}×{height}: bring it to that size, for example by mlsolve.fit_image"
            )
    check_arrangements(arrangements, len(guides), (width, height), problem.shape)
    spread = spread_grey([*targets, *(image for image, _ in others)])
    if media is not None and spread[0].shape[2] != media.planes:
        spread = [as_planes(image, media.planes) for image in spread]
    weights = [image.mean(axis=2, keepdims=True, dtype=np.float32) for image, _ in masks]
    for weight, (_, name) in zip(weights, masks, strict=True):
        if not weight.any():
            raise InputError(f"{name} is black everywhere: nothing of the target would count")
    count = len(targets)
    return _Asked(spread[:count], spread[count:], weights, arrangements, problem.shape == "disc")


def _spec(asked: _Asked, options: Options, media: Media | None) -> Spec:
    """Return the spec of the pictures and options."""
    height, width, _ = asked.targets[0].shape
    planes = [picture.shape[2] for picture in asked.pictures]
    return Spec.resolve(asked.arrangements, len(asked.guides), (width, height), planes, options, asked.disc, media)


def _solve(asked: _Asked, spec: Spec, backend: Backend, callback: Callback | None) -> tuple[FloatArray, Solved]:
    """Solve every level, close the backend; return layers (N, C, H, W) at full size and the rest of the result."""
    spec, store = dataclasses.replace(spec, backend=backend.name), MemoryStore()
    store_pictures(store, spec, asked.pictures)
    executor, threads = Serial(backend), spec.options.threads or available_cores()
    try:
        solved = solve_in_store(store, spec, executor, Limits(), Callbacks(callback), painters=threads)
        layers = store.open(solved.layers).data[:, 0]
    finally:
        executor.close()
    return np.swapaxes(layers, 0, 1), solved
