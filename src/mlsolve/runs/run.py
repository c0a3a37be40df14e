"""A run from beginning to end, or from wherever it was left to the end."""

import dataclasses
import os
import platform
import shutil
import time
from pathlib import Path
from typing import Any, Final, Protocol

from mlsolve_kernels.compiled import sources_digest
from mlsolve_kernels.objective.terms import Shape

from ..backends import CpuBackend, CudaBackend, open_backend, warn_of_fallback
from ..errors import DeviceMemoryError, InputError, MlsolveError, OutputError, StoreError
from ..folder import Summary, check_output, prove, replace_folder, versions, write_report
from ..history import Step
from ..images import Picture, open_picture
from ..job import Job
from ..memory import trim
from ..options import Options
from ..pyramid import level_shapes
from ..rounds.advance import Round, Stop
from ..rounds.descent import Record, descend, enlarge, halve_pictures
from ..rounds.executors import Devices, Executor, Processes, Serial
from ..rounds.plan import LevelPlan
from ..rounds.problem import BETAS, Problem
from ..rounds.tiles import Tile
from ..store import DiskStore
from .inputs import digest_of, make_pictures
from .lock import locked
from .machine import Machine, Shares, check_disk, disk_bytes, plans, shares, states_left
from .output import codes_of, write_layers

SUFFIX: Final = ".unfinished"
"""What is added to the name of a run's folder while it is not finished."""

_FORMAT: Final = 1
_RUN: Final = "run"
_DONE: Final = "pictures/done"
_WRITTEN: Final = "written"
_RESULT: Final = "result"
"""Folder in which the result is put together."""


class Listener(Protocol):
    """Hears how a run goes; may raise an exception to end it at once. It can be resumed then."""

    def stage(self, name: str, share: float) -> None:
        """So much of "pictures", "writing" or "scoring" is done, 0 to 1."""

    def begin_solve(self, problem: Problem, cost: list[float]) -> None:
        """The solve begins; cost: of an iteration of a value at each level, against one in memory."""

    def begin_round(self, plan: Round, tiles: int, done: int) -> None:
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


def unfinished(folder: Path) -> Path:
    """Return where the run that is to become `folder` keeps its state; either name may be given."""
    absolute = Path(os.path.abspath(folder))  # noqa: PTH100  a link is not followed
    return absolute if absolute.name.endswith(SUFFIX) else absolute.with_name(absolute.name + SUFFIX)


def begin(job: Job, folder: Path, machine: Machine, listener: Listener, overwrite: bool = False) -> Outcome:
    """Solve `job` into `folder`, by region, within what `machine` allows.

    Until it is finished its state lies beside `folder` (`unfinished`), from where `resume` goes on after whatever
    befell it. Raises InputError, OptionError, BackendError, OutputError, before anything large is done if possible.
    """
    check_output(folder, overwrite)
    root = unfinished(folder)
    if os.path.lexists(root) and not overwrite:
        raise OutputError(
            f"{root} holds an unfinished run: mlsolve resume {folder} goes on with it, --overwrite discards it"
        )
    problem, files, device = _problem(job)
    parent = _existing(root)
    parts = shares(machine, problem, job, files, states_left(problem, parent))
    check_disk(disk_bytes(problem, job, files, plans(problem, parts.limits)), parent)
    document = {
        "format": _FORMAT,
        "bytes depend on": _versions(problem, device),
        "job": _plain(job),
        "inputs": {str(path.absolute()): digest_of(path) for path in files_of(job)},
        "overwrite": overwrite,
        "device": device,
    }
    with locked(root, new=True):
        store = DiskStore(root)
        for entry in root.iterdir():
            if entry.name != "lock":
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        store.save(_RUN, document)
        problem.save(store)
        return _carry_on(store, job, folder, machine, parts, listener)


def resume(folder: Path, machine: Machine, listener: Listener) -> Outcome:
    """Go on with the run that was to become `folder`, to the very bytes it would have come to.

    Raises StoreError if its state is damaged or foreign, InputError if a picture is not what it was.
    """
    root = unfinished(folder)
    folder = root.with_name(root.name.removesuffix(SUFFIX))
    if not (root / f"{_RUN}.json").is_file():
        why = "its run was finished" if (folder / "result.json").is_file() else "no run was begun there"
        raise InputError(f"{folder} cannot be resumed, {why}: see mlsolve run --help")
    with locked(root):
        store = DiskStore(root)
        document = store.load(_RUN)
        try:
            if document["format"] != _FORMAT:
                raise StoreError(
                    f"{root} is of format {document['format']}: resume it with the mlsolve that began it"
                )
            job = _job(document["job"])
            problem = Problem.load(store)
            _check_versions(root, document["bytes depend on"], _versions(problem, document["device"]))
            inputs = document["inputs"]
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, MlsolveError):
                raise
            raise StoreError(f"{root} is no run of mlsolve: delete it, and run anew") from None
        for name, digest in inputs.items():
            if digest_of(Path(name)) != digest:
                raise InputError(f"{name} is not what it was when the run began: bring it back, or run anew")
        files = [open_picture(path) for path in files_of(job)]
        parts = shares(machine, problem, job, files, states_left(problem, root))
        return _carry_on(store, job, folder, machine, parts, listener)


def guides_of(folder: Path) -> list[str]:
    """Return what the guides of the unfinished run of `folder` are called, none if there is no such run."""
    store = DiskStore(unfinished(folder))
    return [Path(entry).name for entry in _job(store.load(_RUN)["job"]).guides] if store.has(_RUN) else []


def _problem(job: Job) -> tuple[Problem, list[Picture], str | None]:
    """Return what `job` asks for, its picture files, and what the GPU is called, if one computes."""
    files = opened(job)
    width, height = job.size or files[job.target].size
    picture_planes = planes_of_pictures(job, files)
    layers, planes = len(job.guides), max(picture_planes)
    shapes = tuple(level_shapes(height, width, job.options.levels))
    backend = open_backend(job.options, BETAS, Shape(layers, planes, *shapes[-1]))
    name, device = backend.name, backend.device
    backend.close()
    weight = job.options.guide_weight_for(layers)
    options = dataclasses.replace(job.options, levels=len(shapes), guide_weight=weight, threads=None)
    return Problem(layers, planes, shapes, picture_planes, options, name), list(files.values()), device


def _carry_on(
    store: DiskStore, job: Job, folder: Path, machine: Machine, parts: Shares, listener: Listener
) -> Outcome:
    """Do what is left of a run; remove its state if nothing of it is worth keeping."""
    try:
        try:
            return _stages(store, job, folder, machine, parts, listener)
        except DeviceMemoryError as error:  # somebody else took the memory meanwhile
            if job.options.backend != "auto":
                raise
            warn_of_fallback(error)
        # What a GPU has done cannot be gone on with by a CPU: the last places differ.
        for level in range(1, Problem.load(store).levels + 1):
            store.remove(f"level-{level}")
        Record().save(store)
        dataclasses.replace(Problem.load(store), backend="cpu").save(store)
        store.save(_RUN, {**store.load(_RUN), "device": None})
        parts = dataclasses.replace(parts, limits=dataclasses.replace(parts.limits, gpu=False))
        return _stages(store, job, folder, machine, parts, listener)
    except BaseException:
        if not any(store.path.glob("pictures/picture-*-done.json")):
            shutil.rmtree(store.path, ignore_errors=True)
        raise


def _stages(
    store: DiskStore, job: Job, folder: Path, machine: Machine, parts: Shares, listener: Listener
) -> Outcome:
    """Prepare the pictures, solve, write, score, and put the result in its place."""
    began = time.perf_counter()
    problem, run = Problem.load(store), store.load(_RUN)
    levels = plans(problem, parts.limits)
    executor = _executor(problem, machine, levels)
    try:
        if not store.has(_DONE):
            _make_pictures(store, problem, job, executor, parts, listener)
        prepared = time.perf_counter() - began
        listener.begin_solve(problem, [plan.cost for plan in levels])
        history, record = descend(store, executor, parts.limits, listener)
        name = enlarge(store, executor, record)
    finally:
        executor.close()
    trim()
    stop = record.stop or "iterations"
    stage = store.path / _RESULT
    shutil.rmtree(stage, ignore_errors=True)
    stage.mkdir()
    write_layers(store, name, job, stage, parts, listener)
    trim()
    proof = prove(
        stage,
        problem.options.exposure,
        codes_of(store, problem),
        machine.threads,
        parts.rows,
        lambda share: listener.stage("scoring", share),
    )
    trim()
    exposure, seconds = problem.options.exposure, record.seconds + prepared
    summary = Summary(exposure, history, stop, seconds, problem.backend, run["device"])
    options = dataclasses.replace(problem.options, backend=problem.backend)
    height, width = problem.shapes[-1]
    write_report(stage, folder, summary, proof, job.resolved((width, height), options))
    store.flush()
    overwrite = run["overwrite"] or store.has(_WRITTEN)
    store.save(_WRITTEN, {})
    replace_folder(stage, folder, overwrite)
    if stop != "callback":
        shutil.rmtree(store.path)
    return Outcome(folder, stop, history[-1], store.path if stop == "callback" else None)


def _make_pictures(
    store: DiskStore, problem: Problem, job: Job, executor: Executor, parts: Shares, listener: Listener
) -> None:
    """Bring target and guides to every level's size."""
    count = len(problem.picture_planes)

    def tell(number: int, share: float) -> None:
        listener.stage("pictures", 0.9 * (number + share) / count)

    make_pictures(store, problem, job, executor, parts.side, tell)
    halve_pictures(store, problem, executor, parts.side)
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


def _versions(problem: Problem, device: str | None) -> dict[str, str | None]:
    """Return all on which the last places of a result depend."""
    packages = {name: value for name, value in versions().items() if name not in ("python", "pillow")}
    return {
        **packages,
        "kernels": sources_digest(),
        "machine": platform.machine(),
        "backend": problem.backend,
        "device": device,
    }


def _check_versions(root: Path, then: dict[str, str | None], now: dict[str, str | None]) -> None:
    for name in sorted(then.keys() | now.keys()):
        if then.get(name) != now.get(name):
            raise StoreError(
                f"{root} was begun with {name} {then.get(name)}, here it is {now.get(name)}: its bytes would "
                "differ, resume it where it was begun, or run anew"
            )


def files_of(job: Job) -> list[Path]:
    """Return the picture files of `job`, each once."""
    return [entry for entry in dict.fromkeys((job.target, *job.guides)) if isinstance(entry, Path)]


def opened(job: Job) -> dict[Path, Picture]:
    """Return the picture files of `job`, their headers read."""
    return {path: open_picture(path) for path in files_of(job)}


def planes_of_pictures(job: Job, files: dict[Path, Picture]) -> tuple[int, ...]:
    """Return the planes of target and guides, 1 or 3; generated guides have colour."""
    return tuple(files[entry].planes if isinstance(entry, Path) else 3 for entry in (job.target, *job.guides))


def _plain(job: Job) -> dict[str, Any]:
    """Return `job` as plain values, its files by whole names."""
    guides = [
        {"file": str(entry.absolute())} if isinstance(entry, Path) else {"generated": entry} for entry in job.guides
    ]
    fields = {name: getattr(job, name) for name in ("size", "fit", "dpi", "format", "bits")}
    options = dataclasses.asdict(job.options)
    return {"target": str(job.target.absolute()), "guides": guides, "options": options, **fields}


def _job(plain: dict[str, Any]) -> Job:
    """Return the job that `_plain` made plain."""
    return Job(
        Path(plain["target"]),
        tuple(Path(entry["file"]) if "file" in entry else entry["generated"] for entry in plain["guides"]),
        None if plain["size"] is None else (plain["size"][0], plain["size"][1]),
        plain["fit"],
        Options(**plain["options"]),
        plain["dpi"],
        plain["format"],
        plain["bits"],
    )


def _existing(path: Path) -> Path:
    """Return `path`, or the innermost folder above it that is there."""
    return next(parent for parent in (path, *path.parents) if parent.exists())
