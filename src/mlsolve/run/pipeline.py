"""The stages of a solve, written once: prepare → balance → solve → to full size, then write → score → report.

`mlsolve.solve` is the first half with a store in memory; a run from files to files is both halves; precompiling is
both halves at 24 pixels.
"""

import dataclasses
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from ..job.depths import print_scales
from ..job.job import Job
from ..report.carriers import StackCarriers
from ..report.folder import MEDIA_FILE
from ..report.result import Summary, write_report
from ..scoring.layer_files import score_layer_files
from ..solving.balance import Balance
from ..solving.balancing import balanced
from ..solving.callbacks import Listener as SolveListener
from ..solving.carriers import draw_carriers
from ..solving.executors.base import Executor, Hands
from ..solving.executors.threads import without_backend
from ..solving.history import History
from ..solving.levels import PICTURE_SIDE, halve_pictures, solve_levels, to_full_size
from ..solving.plan import Limits
from ..solving.rounds import Stop
from ..solving.spec import Spec
from ..solving.store import DiskStore, Store
from ..system.memory import trim
from .budget import Shares
from .outputs import carriers_of, codes_of, placed_stacks, write_layers

PICTURES_DONE: Final = "pictures/done"
"""A document that is there once the pictures of every level are."""


class Listener(SolveListener):
    """Receives the events of a run and ignores them; subclasses do not. Any method may raise to end the run."""

    def begin(self, spec: Spec, cost: list[float]) -> None:
        """The plan is known; cost: of an iteration of a value at each level, relative to one in memory."""

    def stage(self, name: str, share: float) -> None:
        """The share of "pictures", "writing" or "scoring" that is done, 0 to 1."""

    def waits_for_workers(self, ready: tuple[str, ...], present: int) -> None:
        """Called a few times a second while workers of a cluster are waited for, or have tasks under way.

        ready: those that can take tiles. present: how many there are that are not left out.
        """

    def on_cluster(self, workers: Callable[[], int]) -> None:
        """A cluster carries the run out; workers: returns how many of its workers can take tiles now."""

    def balanced(self, balance: Balance, names: list[str]) -> None:
        """The exposures of the arrangements are known; names: of the targets."""


@dataclass(frozen=True)
class Solved:
    """What the first half of the pipeline leaves in its store."""

    spec: Spec
    """What was solved, every exposure named."""
    balance: Balance
    history: History
    stop: Stop
    layers: str
    """The array that holds the layers at full size, (C, 1 or 3, N, H, W): code values of `spec.bits`, or float32
    encoded transmittance if that is None or the solve was stopped early."""
    seconds: float
    """What it took, earlier processes included."""
    carriers: tuple[StackCarriers | None, ...]
    """The carriers of every stack; None for a stack without."""


def solve_in_store(
    store: Store,
    spec: Spec,
    executor: Executor,
    limits: Limits,
    listener: SolveListener,
    make_pictures: Callable[[Executor], None] = lambda executor: None,
    hear_balance: Callable[[Balance], None] = lambda balance: None,
    side: int = PICTURE_SIDE,
    tune: bool = True,
    painters: int = 1,
) -> Solved:
    """Balance and solve `spec`, or finish what an earlier process began; return what is in `store` then.

    make_pictures: puts the pictures at full size into `store` unless they are there, by the executor that it is
    given. hear_balance: hears the exposures. side: of the tiles of pictures. tune: whether exposures are tried out
    (solving/balancing.py). painters: threads that make pictures, if `executor` has no processes.
    """
    began = time.perf_counter()
    spec.save(store)
    if not store.has(PICTURES_DONE):
        with without_backend(executor, painters) as making:
            make_pictures(making)
            halve_pictures(store, spec, making, side)
        draw_carriers(store, spec)
        store.flush()
        store.save(PICTURES_DONE, {})
    # Balance again after an interruption, so that the listener is told too.
    spec, balance = balanced(store, spec, tune)
    spec.save(store)
    hear_balance(balance)
    prepared = time.perf_counter() - began
    history, record = solve_levels(store, executor, limits, listener)
    executor.drop()
    layers = to_full_size(store, executor, record)
    stop, seconds = record.stop or "iterations", record.seconds + prepared
    return Solved(spec, balance, history, stop, layers, seconds, carriers_of(store, spec))


def write_result(
    solved: Solved,
    store: DiskStore,
    job: Job,
    stage: Path,
    folder: Path,
    parts: Shares,
    device: tuple[str | None, str | None],
    listener: Listener,
    hands: Hands | None = None,
) -> None:
    """Write the layers into `stage`, score them from their files, and add the report.

    stage: a folder that does not exist yet, or is left from an earlier attempt. folder: what it is to become.
    device: name of the GPU, and how Adam's step was compiled for it. hands: encode and score in other processes;
    None: this one does.
    """
    spec = solved.spec
    shutil.rmtree(stage, ignore_errors=True)
    stage.mkdir()
    media = job.profile()
    if media is not None:
        (stage / MEDIA_FILE).write_text(media.toml(), encoding="utf-8")
    write_layers(store, solved.layers, job, stage, parts, listener, hands)
    trim()
    scoring = score_layer_files(
        stage,
        placed_stacks(spec),
        partial(codes_of, store, spec),
        store,
        parts.bands,
        spec.options.registration,
        lambda share: listener.stage("scoring", share),
        round_sheets=spec.disc,
        inks=spec.inks,
        hands=hands,
    )
    trim()
    summary = Summary(
        solved.balance,
        spec.options.registration,
        solved.history,
        solved.stop,
        solved.seconds,
        spec.backend,
        device[0],
        spec.disc,
        device[1],
        solved.carriers,
        media,
        spec.options,
        print_scales(job.options, job.arrangements, spec.layers),
        spec.options.solver,
    )
    options = dataclasses.replace(spec.options, backend=spec.backend)
    height, width = spec.shapes[-1]
    write_report(stage, folder, summary, scoring, job.resolved((width, height), options))
