"""A run from beginning to end, or from wherever it was left to the end."""

import dataclasses
import shutil
import time
from pathlib import Path
from typing import Final, Literal, Protocol

from mlsolve_kernels.objective.terms import Shape

from ..errors import DeviceMemoryError, InputError, MlsolveError, OutputError, ProcessError, StoreError
from ..job.arrangements import check_arrangements, check_registration
from ..job.job import Job
from ..job.options import Options
from ..job.print_size import MAX_SIDE
from ..pictures.arrays import check_size
from ..pictures.picture_files import Picture, open_picture
from ..report.folder import check_output, replace_folder
from ..report.result import Summary, write_report
from ..scoring.layer_files import prove
from ..solving.backends import CpuBackend, CudaBackend, open_backend, warn_of_fallback
from ..solving.balance import Balance
from ..solving.balancing import balanced
from ..solving.executors.base import Executor
from ..solving.executors.gpu import Devices
from ..solving.executors.processes import Processes
from ..solving.executors.serial import Serial
from ..solving.history import Step
from ..solving.levels import descend, enlarge, halve_pictures
from ..solving.plan import LevelPlan
from ..solving.pyramid import level_shapes
from ..solving.rounds import Round, Stop
from ..solving.spec import BETAS, Problem, stacks_of
from ..solving.store import DiskStore
from ..solving.tiles import Tile
from ..system.lock import locked
from ..system.memory import trim
from .budget import Machine, Shares, check_disk, disk_bytes, plans, shares, states_left
from .inputs import digest_of, make_pictures
from .outputs import codes_of, laid_stacks, write_layers
from .unfinished import (
    RESULT,
    RUN,
    WRITTEN,
    check_dependencies,
    check_free,
    clear,
    dependencies,
    finished,
    is_run,
    job_of,
    plain,
    sweep,
    unfinished,
)

_FORMAT: Final = 2
"""Of a run's state; another number for whatever an older mlsolve could not go on with."""

_DONE: Final = "pictures/done"

_TILE_ON_GPU: Final = 2048
"""Side of a tile, in pixels, for one plane of which a GPU must have room to be worth its while."""


class Listener(Protocol):
    """Hears how a run goes; may raise an exception to end it at once. It can be resumed then."""

    def stage(self, name: str, share: float) -> None:
        """So much of "pictures", "writing" or "scoring" is done, 0 to 1."""

    def balanced(self, balance: Balance, names: list[str]) -> None:
        """The pictures have been looked at; names: of the targets."""

    def begin(self, problem: Problem, cost: list[float]) -> None:
        """What there is to do; cost: of an iteration of a value at each level, against one in memory."""

    def begin_round(self, plan: Round, tiles: int) -> None:
        """A round begins."""

    def iteration(self, plan: Round, tile: Tile, at: int) -> None:
        """An iteration of a tile is done."""

    def tile(self, plan: Round, tile: Tile) -> None:
        """A tile is done."""

    def step(self, step: Step) -> bool:
        """An iteration of the whole image is done; return True to stop there, with what there is as the result."""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    folder: Path
    stop: Stop
    last: Step
    unfinished: Path | None
    """Where it can be resumed, if it was stopped."""


def begin(job: Job, folder: Path, machine: Machine, listener: Listener, overwrite: bool = False) -> Outcome:
    """Solve `job` into `folder`, by region, within what `machine` allows.

    Until it is finished its state lies beside `folder` (`unfinished`), from where `resume` goes on after whatever
    befell it. Raises InputError, OptionError, BackendError, OutputError, before anything large is done if possible.
    """
    check_output(folder, overwrite)
    root = unfinished(folder)
    check_free(root, overwrite)
    files = opened(job)
    problem, device, memory = _problem(job, files)
    machine = dataclasses.replace(machine, device=memory)
    parent = _existing(root)
    parts = shares(machine, problem, job, list(files.values()), states_left(problem, parent))
    check_disk(disk_bytes(problem, job, list(files.values()), plans(problem, parts.limits)), parent)
    document = {
        "format": _FORMAT,
        "bytes depend on": dependencies(problem, device),
        "job": plain(job),
        "inputs": {str(path.absolute()): digest_of(path) for path in job.inputs},
        "overwrite": overwrite,
        "device": device,
    }
    with locked(root, new=True):
        clear(root)
        store = DiskStore(root)
        problem.save(store)
        store.save(RUN, document)
        return _carry_on(_Work(store, job, files, folder, machine, parts, listener))


def resume(folder: Path, machine: Machine, listener: Listener) -> Outcome:
    """Go on with the run that was to become `folder`, to the very bytes it would have come to.

    Raises StoreError if its state is damaged or foreign, InputError if a picture is not what it was.
    """
    root = unfinished(folder)
    folder = finished(root)
    if not is_run(root):
        why = "its run was finished" if (folder / "result.json").is_file() else "no run was begun there"
        raise InputError(f"{folder} cannot be resumed, {why}: see mlsolve run --help")
    with locked(root):
        sweep(root)
        store = DiskStore(root)
        document = store.load(RUN)
        try:
            if document["format"] != _FORMAT:
                raise StoreError(
                    f"{root} is of format {document['format']}: resume it with the mlsolve that began it"
                )
            job, inputs, overwrite = job_of(document["job"]), document["inputs"], document["overwrite"]
            then = document["bytes depend on"]
            problem = Problem.load(store)
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, MlsolveError):
                raise
            raise StoreError(f"{root} is no run of this mlsolve: delete it, and run anew") from None
        check_output(folder, overwrite or store.has(WRITTEN))
        device, memory = _gpu(problem)
        check_dependencies(root, then, dependencies(problem, device))
        for name, digest in inputs.items():
            if digest_of(Path(name)) != digest:
                raise InputError(f"{name} is not what it was when the run began: bring it back, or run anew")
        files = opened(job)
        machine = dataclasses.replace(machine, device=memory)
        parts = shares(machine, problem, job, list(files.values()), states_left(problem, root))
        return _carry_on(_Work(store, job, files, folder, machine, parts, listener))


def job_in(folder: Path) -> Job | None:
    """Return the job of the unfinished run of `folder`, None if there is no such run."""
    root = unfinished(folder)
    return job_of(DiskStore(root).load(RUN)["job"]) if is_run(root) else None


def _problem(job: Job, files: dict[Path, Picture]) -> tuple[Problem, str | None, int | None]:
    """Return what `job` asks for, and what the GPU is called and has of free memory, if one computes."""
    width, height = size_of(job, files)
    picture_planes = planes_of_pictures(job, files)
    layers = len(job.guides)
    shapes = tuple(level_shapes(height, width, job.options.levels))
    # The least that must find room on a GPU: of what is larger, tiles are made.
    sides = (min(_TILE_ON_GPU, side) for side in shapes[-1])
    options = dataclasses.replace(job.options, levels=len(shapes), threads=None)
    objective = _described(job, shapes, picture_planes, options, "cpu").objective
    backend = open_backend(job.options, BETAS, Shape(layers, 1, *sides), objective)
    name, device, memory = backend.name, backend.device, backend.free_memory()
    backend.close()
    return _described(job, shapes, picture_planes, options, name), device, memory


def _described(
    job: Job,
    shapes: tuple[tuple[int, int], ...],
    picture_planes: tuple[int, ...],
    options: Options,
    backend: Literal["cpu", "cuda"],
) -> Problem:
    """Return `job` as what is solved, its settings named."""
    check_registration(options.registration, shapes[-1])
    layers, stacks = len(job.guides), stacks_of(job.arrangements)
    options = dataclasses.replace(
        options,
        guide_weight=options.guide_weight_for(layers),
        mse_weight=options.mse_weight_for(len(stacks)),
        learning_rate=options.rate,
    )
    disc = job.shape == "disc"
    return Problem(layers, max(picture_planes), shapes, picture_planes, options, backend, stacks, disc)


def _gpu(problem: Problem) -> tuple[str | None, int | None]:
    """Return name and free memory of the GPU that a run was begun with; raises BackendError if there is none."""
    if problem.backend == "cpu":
        return None, None
    backend = CudaBackend(BETAS)
    try:
        return backend.device, backend.free_memory()
    finally:
        backend.close()


@dataclasses.dataclass(frozen=True)
class _Work:
    """A run under way: what it is of, where it goes, and what it may take."""

    store: DiskStore
    job: Job
    files: dict[Path, Picture]
    folder: Path
    machine: Machine
    parts: Shares
    listener: Listener


def _carry_on(work: _Work) -> Outcome:
    """Do what is left of a run; remove its state if nothing of it is worth keeping."""
    store = work.store
    try:
        try:
            return _stages(work)
        except DeviceMemoryError as error:  # somebody else took the memory meanwhile
            if work.job.options.backend != "auto":
                raise
            warn_of_fallback(error)
        return _stages(_without_gpu(work))
    except InputError:  # a picture turned out to be damaged: this run comes to nothing
        clear(store.path)
        raise
    except BaseException as error:
        if not any(store.path.glob("pictures/picture-*-done.json")):
            clear(store.path)
        elif isinstance(error, OutputError | ProcessError):
            raise type(error)(f"{error}; mlsolve resume {work.folder} goes on") from None
        raise


def _without_gpu(work: _Work) -> _Work:
    """Return what is left to do on the CPU: all but the pictures, for a CPU's last places differ from a GPU's."""
    store = work.store
    problem = dataclasses.replace(Problem.load(store), backend="cpu")
    store.remove("progress")
    for level in range(1, problem.levels + 1):
        store.remove(f"level-{level}")
    problem.save(store)
    store.save(RUN, {**store.load(RUN), "bytes depend on": dependencies(problem, None), "device": None})
    machine = dataclasses.replace(work.machine, device=None)
    parts = shares(machine, problem, work.job, list(work.files.values()), states_left(problem, store.path))
    return dataclasses.replace(work, machine=machine, parts=parts)


def _stages(work: _Work) -> Outcome:
    """Prepare the pictures, solve, write, score, and put the result in its place."""
    began = time.perf_counter()
    store, job, folder, parts, listener = work.store, work.job, work.folder, work.parts, work.listener
    problem, run = Problem.load(store), store.load(RUN)
    levels = plans(problem, parts.limits)
    listener.begin(problem, [plan.cost for plan in levels])
    executor = _executor(problem, work.machine, levels)
    try:
        if not store.has(_DONE):
            _make_pictures(work, problem, executor)
        # Found anew after an interruption, for it is told as well.
        problem, balance = balanced(store, dataclasses.replace(problem, stacks=stacks_of(job.arrangements)))
        problem.save(store)
        listener.balanced(balance, [path.name for path in job.targets])
        prepared = time.perf_counter() - began
        history, record = descend(store, executor, parts.limits, listener)
        name = enlarge(store, executor, record)
    finally:
        executor.close()
    trim()
    stop = record.stop or "iterations"
    stage = store.path / RESULT
    shutil.rmtree(stage, ignore_errors=True)
    stage.mkdir()
    write_layers(store, name, job, stage, parts, listener)
    trim()
    registration = problem.options.registration
    proof = prove(
        stage,
        laid_stacks(problem),
        codes_of(store, problem),
        store,
        work.machine.threads,
        parts.rows,
        registration,
        lambda share: listener.stage("scoring", share),
        round_sheets=problem.disc,
    )
    trim()
    seconds = record.seconds + prepared
    summary = Summary(balance, registration, history, stop, seconds, problem.backend, run["device"], problem.disc)
    options = dataclasses.replace(problem.options, backend=problem.backend)
    height, width = problem.shapes[-1]
    write_report(stage, folder, summary, proof, job.resolved((width, height), options))
    store.flush()
    overwrite = run["overwrite"] or store.has(WRITTEN)
    store.save(WRITTEN, {})
    replace_folder(stage, folder, overwrite)
    if stop != "callback":
        clear(store.path)
    return Outcome(folder, stop, history[-1], store.path if stop == "callback" else None)


def _make_pictures(work: _Work, problem: Problem, executor: Executor) -> None:
    """Bring target and guides to every level's size."""
    store, side, listener = work.store, work.parts.side, work.listener
    count = len(problem.picture_planes)

    def tell(number: int, share: float) -> None:
        listener.stage("pictures", 0.9 * (number + share) / count)

    make_pictures(store, work.job, work.files, executor, side, tell)
    halve_pictures(store, problem, executor, side)
    store.flush()
    store.save(_DONE, {})
    listener.stage("pictures", 1.0)


def _executor(problem: Problem, machine: Machine, levels: list[LevelPlan]) -> Executor:
    """Return who carries the tasks out."""
    tiled = any(plan.sides != shape for plan, shape in zip(levels, problem.shapes, strict=True))
    if problem.backend == "cuda":
        return Devices(lambda: CudaBackend(BETAS)) if tiled else Serial(CudaBackend(BETAS))
    if machine.processes > 1:
        return Processes(machine.processes, machine.threads_each)
    return Serial(CpuBackend(machine.threads, BETAS))


def opened(job: Job) -> dict[Path, Picture]:
    """Return the picture files of `job`, their headers read."""
    if job.cmyk_profile is not None and not job.cmyk_profile.is_file():
        raise InputError(f"cmyk-profile is {job.cmyk_profile}, which is no file: check the name")
    return {path: open_picture(path, job.cmyk_profile) for path in job.files}


def size_of(job: Job, files: dict[Path, Picture]) -> tuple[int, int]:
    """Return (width, height) of the sheets in pixels, the target's if the job names none.

    Raises InputError if that cannot be solved.
    """
    if job.size is not None:
        return job.size
    width, height = files[job.target].size
    check_arrangements(job.arrangements, len(job.guides), (width, height), job.shape)
    check_size((width, height), str(job.target))
    if max(width, height) > MAX_SIDE:
        raise InputError(f"{job.target} is {width}×{height} pixels: give a --size of {MAX_SIDE} pixels at the most")
    return width, height


def planes_of_pictures(job: Job, files: dict[Path, Picture]) -> tuple[int, ...]:
    """Return the planes of targets, guides and masks, 1 or 3; generated guides have colour, masks have none."""
    colours = (files[entry].planes if isinstance(entry, Path) else 3 for entry in (*job.targets, *job.guides))
    return (*colours, *(1 for _ in job.masks))


def _existing(path: Path) -> Path:
    """Return `path`, or the innermost folder above it that is there."""
    return next(parent for parent in (path, *path.parents) if parent.exists())
