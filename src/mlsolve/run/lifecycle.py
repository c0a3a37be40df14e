"""A run from files to files: begin it, resume it wherever it was left, and clean up afterwards."""

import dataclasses
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mlsolve_kernels.iteration.objective import Shape

from ..errors import (
    ClusterError,
    DeviceMemoryError,
    InputError,
    MlsolveError,
    OutputError,
    ProcessError,
    StoreError,
)
from ..job.job import Job
from ..job.job_file import parse_job
from ..pictures.picture_files import Picture
from ..report.folder import check_output, replace_folder
from ..solving.backends import CpuBackend, CudaBackend, warn_of_fallback
from ..solving.balance import Balance
from ..solving.dependencies import dependencies
from ..solving.executors.base import Executor
from ..solving.executors.gpu import Devices
from ..solving.executors.processes import Processes
from ..solving.executors.serial import Serial
from ..solving.plan import LevelPlan
from ..solving.spec import BETAS, Spec, stack_specs
from ..solving.store import DiskStore
from ..system.lock import locked
from ..system.memory import trim
from .budget import Budget, Shares, plans, shares
from .disk import check_disk, disk_bytes, states_left
from .events import Outcome
from .gpus import Gpu, choose_gpus, same_gpus
from .inputs import SPOOLED, digest_of, make_pictures
from .job_spec import opened, spec_of_job
from .pipeline import Listener, solve_in_store, write_result
from .staff import Staff, assembled, cluster_of, hands_of, linked, shares_of
from .unfinished import (
    RESULT,
    RUN,
    WRITTEN,
    check_dependencies,
    check_free,
    clear,
    finished,
    how_to_continue,
    is_run,
    sweep,
    unfinished,
)

if TYPE_CHECKING:
    from ..cluster.link import Link

FORMAT: Final = 7
"""Version of a run's state. It changes whenever an older mlsolve could not resume the run."""

_TILE_ON_GPU: Final = 2048
"""Side in pixels of the smallest tile worth solving on a GPU: it must hold one plane of it."""


def begin(job: Job, folder: Path, budget: Budget, listener: Listener, overwrite: bool = False) -> Outcome:
    """Solve `job` into `folder`, region by region, within `budget`.

    Until the run is finished, its state is in a folder beside `folder` (`unfinished`), from which `resume`
    continues after any interruption. Raises InputError, OptionError, BackendError and OutputError, if possible
    before any long work.
    """
    check_output(folder, overwrite)
    root = unfinished(folder)
    check_free(root, overwrite, budget.options)
    files = opened(job)
    spec = dataclasses.replace(spec_of_job(job, files), bits=job.bits)
    with linked(budget, listener.waits_for_workers) as link:
        if link is None:
            spec, gpu = with_backend(job, spec, budget.devices)
            return _begin(
                _Begun(job, files, folder, overwrite, spec, gpu, budget, listener), locked(root, new=True)
            )
        # Workers show that they see the folder of the run, so it must be there, and be ours, before they are asked.
        with (
            locked(root, new=True),
            assembled(link, root, job, spec, budget, listener.waits_for_workers) as staff,
        ):
            gpu = Gpu(staff.device, staff.adam, staff.budget.device)
            begun = _Begun(job, files, folder, overwrite, staff.spec, gpu, staff.budget, listener, staff)
            return _begin(begun, nullcontext())


def _begin(begun: "_Begun", lock: AbstractContextManager[None]) -> Outcome:
    """Check what the run needs, save what it is, and carry on; lock: held from the first change of its folder."""
    job, spec, gpu, root = begun.job, begun.spec, begun.gpu, unfinished(begun.folder)
    parent, budget = existing(root), begun.budget.on(gpu)
    files = list(begun.files.values())
    parts = shares_of(begun.staff, budget, spec, job, files, states_left(spec, parent))
    levels = plans(spec, parts.limits)
    needed = disk_bytes(spec, job, files, levels, parts.bands, 1 if begun.staff is None else SPOOLED)
    check_disk(needed, parent)
    if begun.staff is not None:
        begun.staff.crew.require_room(needed)
    document = {
        "format": FORMAT,
        "bytes depend on": dependencies(spec.backend, gpu.name, gpu.adam),
        "job": job.toml(None),
        "inputs": {str(path.absolute()): digest_of(path) for path in job.inputs},
        "overwrite": begun.overwrite,
        "device": gpu.name,
        "adam": gpu.adam,
    }
    with lock:
        clear(root)
        store = DiskStore(root, durable=begun.staff is not None)
        spec.save(store)
        store.save(RUN, document)
        return _carry_on(_Work(store, job, begun.files, begun.folder, budget, parts, begun.listener, begun.staff))


def resume(folder: Path, budget: Budget, listener: Listener) -> Outcome:
    """Continue the unfinished run of `folder`; the result has the same bytes as an uninterrupted run.

    Raises StoreError if the state is damaged or of another version, InputError if a picture has changed.
    """
    root = unfinished(folder)
    folder = finished(root)
    check_resumable(root)
    with linked(budget, listener.waits_for_workers) as link, locked(root):
        sweep(root)
        store = DiskStore(root, durable=link is not None)
        with _damage_refused(root):
            document = _document(root)
            job, inputs, overwrite = parse_job(document["job"], root), document["inputs"], document["overwrite"]
            then = document["bytes depend on"]
            spec = Spec.load(store)
        check_output(folder, overwrite or store.has(WRITTEN))
        with _staff(link, root, job, spec, budget, listener) as staff:
            gpu = (
                same_gpus(spec, budget.devices)
                if staff is None
                else Gpu(staff.device, staff.adam, staff.budget.device)
            )
            check_dependencies(root, then, dependencies(spec.backend, gpu.name, gpu.adam))
            for name, digest in inputs.items():
                if digest_of(Path(name)) != digest:
                    raise InputError(f"{name} has changed since the run began: restore it, or run again")
            files = opened(job)
            budget = (budget if staff is None else staff.budget).on(gpu)
            parts = shares_of(staff, budget, spec, job, list(files.values()), states_left(spec, root))
            return _carry_on(_Work(store, job, files, folder, budget, parts, listener, staff))


@contextmanager
def _staff(
    link: "Link | None", root: Path, job: Job, spec: Spec, budget: Budget, listener: Listener
) -> "Iterator[Staff | None]":
    """Yield the workers that continue a run; None without a link."""
    if link is None:
        yield None
        return
    with assembled(link, root, job, spec, budget, listener.waits_for_workers, resumes=True) as staff:
        yield staff


def job_in(folder: Path) -> Job:
    """Return the job of the unfinished run of `folder`.

    Raises InputError if there is no such run, StoreError if it is damaged or of another version.
    """
    root = unfinished(folder)
    check_resumable(root)
    with _damage_refused(root):
        return parse_job(_document(root)["job"], root)


def check_resumable(root: Path) -> None:
    """Raise InputError unless `root` holds an unfinished run."""
    if not is_run(root):
        folder = finished(root)
        if (folder / "result.json").is_file():
            raise InputError(f"{folder} cannot be resumed: it is finished, its layers are there")
        raise InputError(f"{folder} cannot be resumed, no run was begun there: see mlsolve run --help")


def _document(root: Path) -> dict[str, Any]:
    """Return the document of the run in `root`; raises StoreError if another version of mlsolve wrote it."""
    document = DiskStore(root).load(RUN)
    if document["format"] != FORMAT:
        raise StoreError(f"{root} is of format {document['format']}: resume it with the mlsolve that began it")
    return document


@contextmanager
def _damage_refused(root: Path) -> Iterator[None]:
    """Turn what a document without the right content raises into a StoreError."""
    try:
        yield
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, MlsolveError):
            raise
        raise StoreError(f"{root} is not a run of this mlsolve: delete it, then run again") from None


def with_backend(job: Job, spec: Spec, devices: tuple[int, ...] | None) -> tuple[Spec, Gpu]:
    """Return `spec` with the backend that `job` asks for, and its GPUs; devices: see `gpus.choose_gpus`."""
    # The smallest tile that must fit on a GPU: of one plane, or of all where something couples them.
    sides = (min(_TILE_ON_GPU, side) for side in spec.shapes[-1])
    planes = spec.planes if spec.objective.couples_planes else 1
    gpu = choose_gpus(job.options.backend, Shape(spec.layers, planes, *sides), spec.objective, devices)
    return dataclasses.replace(spec, backend="cuda" if gpu.numbers else "cpu"), gpu


@dataclasses.dataclass(frozen=True)
class _Begun:
    """A run that is about to begin."""

    job: Job
    files: dict[Path, Picture]
    folder: Path
    overwrite: bool
    spec: Spec
    gpu: Gpu
    budget: Budget
    listener: Listener
    staff: Staff | None = None


@dataclasses.dataclass(frozen=True)
class _Work:
    """A run in progress: its job, where the result goes, and what it may use."""

    store: DiskStore
    job: Job
    files: dict[Path, Picture]
    folder: Path
    budget: Budget
    parts: Shares
    listener: Listener
    staff: Staff | None = None
    """The workers of a cluster; None: this machine."""


def _carry_on(work: _Work) -> Outcome:
    """Do the rest of a run; remove its state if nothing in it is worth keeping."""
    store = work.store
    try:
        try:
            return _stages(work)
        except DeviceMemoryError as error:  # another program took the memory meanwhile
            if work.job.options.backend != "auto" or work.staff is not None:
                raise
            warn_of_fallback(error)
        return _stages(_without_gpu(work))
    except InputError:  # a picture is damaged: the run cannot continue
        clear(store.path)
        raise
    except BaseException as error:
        if not any(store.path.glob("pictures/*done.json")):
            clear(store.path)
        elif isinstance(error, OutputError | ProcessError | ClusterError):
            given = work.budget if work.staff is None else work.staff.given
            raise type(error)(f"{error}; {how_to_continue(work.folder, given.options)}") from None
        raise


def _without_gpu(work: _Work) -> _Work:
    """Return the work to do on the CPU: all but the pictures, because CPU and GPU differ in the last bits."""
    store = work.store
    spec = dataclasses.replace(Spec.load(store), backend="cpu")
    store.remove("progress")
    for level in range(1, spec.levels + 1):
        store.remove(f"level-{level}")
    spec.save(store)
    without = {"bytes depend on": dependencies(spec.backend, None, None), "device": None, "adam": None}
    store.save(RUN, {**store.load(RUN), **without})
    budget = work.budget.on(Gpu())
    parts = shares(budget, spec, work.job, list(work.files.values()), states_left(spec, store.path))
    return dataclasses.replace(work, budget=budget, parts=parts)


def _stages(work: _Work) -> Outcome:
    """Prepare the pictures, solve, write, score, and put the result in its place."""
    store, job, folder, parts, listener = work.store, work.job, work.folder, work.parts, work.listener
    spec, run = Spec.load(store), store.load(RUN)
    levels = plans(spec, parts.limits)
    if work.staff is not None:
        crew = work.staff.crew
        listener.on_cluster(lambda: len(crew.ready))
    listener.begin(spec, [plan.time for plan in levels])
    names = [path.name for path in job.targets]

    def prepare(making: Executor) -> None:
        make_pictures(
            store,
            job,
            work.files,
            making,
            parts.side,
            parts.held,
            lambda share: listener.stage("pictures", 0.9 * share),
            None if work.staff is None else run["inputs"],
        )

    def hear_balance(balance: Balance) -> None:
        listener.stage("pictures", 1.0)
        listener.balanced(balance, names)

    executor = (
        _executor(spec, work.budget, levels)
        if work.staff is None
        else cluster_of(work.staff, listener.waits_for_workers)
    )
    try:
        spec = dataclasses.replace(spec, stacks=stack_specs(job.arrangements, spec.options, spec.layers))
        solved = solve_in_store(
            store,
            spec,
            executor,
            parts.limits,
            listener,
            prepare,
            hear_balance,
            parts.side,
            painters=parts.painters,
        )
    finally:
        executor.close()
    trim()
    stage = store.path / RESULT
    hands = None if work.staff is None else hands_of(work.staff, parts, listener.waits_for_workers)
    write_result(solved, store, job, stage, folder, parts, (run["device"], run["adam"]), listener, hands)
    store.flush()
    overwrite = run["overwrite"] or store.has(WRITTEN)
    store.save(WRITTEN, {})
    replace_folder(stage, folder, overwrite)
    if solved.stop != "callback":
        clear(store.path)
    return Outcome(folder, solved.stop, solved.history[-1], store.path if solved.stop == "callback" else None)


def _executor(spec: Spec, budget: Budget, levels: list[LevelPlan]) -> Executor:
    """Return the executor that runs the tasks."""
    if spec.backend == "cuda":
        tiled = any(plan.sides != shape for plan, shape in zip(levels, spec.shapes, strict=True))
        if tiled or any(plan.parallel > 1 for plan in levels):
            return Devices(lambda number: CudaBackend(BETAS, number=number), budget.gpus)
        return Serial(CudaBackend(BETAS, number=budget.gpus[0]))
    if budget.processes > 1:
        return Processes(budget.processes, budget.threads_each)
    return Serial(CpuBackend(budget.threads, BETAS))


def existing(path: Path) -> Path:
    """Return `path`, or the innermost folder above it that exists."""
    return next(parent for parent in (path, *path.parents) if parent.exists())
