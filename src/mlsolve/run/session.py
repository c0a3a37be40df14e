"""A run as an object: it reports what happens, can be stopped, and knows what Ctrl-C means."""

import dataclasses
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from types import FrameType
from typing import Any, Final

from ..job.job import Job
from ..solving.backends import may_use_gpu
from ..solving.balance import Balance
from ..solving.history import Step
from ..solving.rounds import Round
from ..solving.spec import Spec
from ..solving.store import Store
from ..solving.tiles import Tile
from ..system.memory import forget_peak, peak_memory, resident_memory, return_memory_early, trim
from .budget import Budget
from .events import Event, Kind, Outcome, Stage
from .level_previews import level_previews
from .lifecycle import begin, job_in, resume
from .pace import Pace
from .pipeline import Listener
from .precompile import check_room, is_compiled, precompile
from .unfinished import SUFFIX, is_run, unfinished

Listen = Callable[[Event], None]

SMALL: Final = 20_000_000
"""Pixels up to which a stopped run is written out as it stands: it takes only seconds."""

_DOING: Final = {
    "pictures": "while preparing the pictures",
    "writing": "while writing the layers",
    "scoring": "while scoring the layers",
}


class Session:
    """A run of a job into a folder, within a budget of memory and threads.

        session = Session(load_job(Path("job.toml")), "prints")
        for event in session:
            print(event.kind, f"{event.done:.0%}", event.seconds_left)

    Iterating runs it in a thread of its own; `run` runs it in the caller's. Either way it can be run once. `stop`,
    from any thread, ends it early: a print of up to SMALL pixels that is solved whole is written out as it stands,
    a larger one is left to be resumed. What a session raises is what `mlsolve run` refuses with: InputError,
    OptionError, BackendError, OutputError, StoreError.
    """

    def __init__(
        self,
        job: Job,
        folder: str | PathLike[str],
        budget: Budget | None = None,
        *,
        overwrite: bool = False,
        preview_side: int | None = None,
    ) -> None:
        """Nothing happens yet.

        budget: None for half of the free memory, one process and a thread per core. overwrite: replace what an
        earlier run wrote into `folder`. preview_side: longer side, in pixels, of the previews of the stacks that
        come with the end of each level; None for no previews.
        """
        self.job = job
        self.folder = Path(folder)
        self.outcome: Outcome | None = None
        """How it ended, once it has."""
        self._budget, self._overwrite, self._preview_side = budget or Budget(), overwrite, preview_side
        self._stops = 0
        self._ready = False
        self._resumes = False

    @classmethod
    def resume(
        cls, folder: str | PathLike[str], budget: Budget | None = None, *, preview_side: int | None = None
    ) -> "Session":
        """Return a session that continues the unfinished run of `folder`; the result has the same bytes.

        Raises InputError if there is no such run, StoreError if it is damaged or of another version.
        """
        path = Path(folder)
        path = path.with_name(path.name.removesuffix(SUFFIX))
        session = cls(job_in(path), path, budget, preview_side=preview_side)
        session._resumes = True
        return session

    @property
    def options(self) -> str:
        """The options of the command line by which `mlsolve resume` gets the same budget, each after a space."""
        return self._budget.options

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._stops > 0

    def stop(self) -> None:
        """End the run at the next point from which it can be written out or resumed."""
        self._stops += 1

    @contextmanager
    def stops_on_interrupt(self) -> Iterator[None]:
        """Let the first Ctrl-C stop the session, and the second raise KeyboardInterrupt; main thread only.

        SIGTERM, by which job schedulers end a program, is taken as a Ctrl-C. While kernels are loaded and compiled
        there is nothing to stop: then the first raises it.
        """

        def interrupted(number: int, frame: FrameType | None) -> None:
            if self.stopping or not self._ready:
                raise KeyboardInterrupt
            self.stop()

        before = {number: signal.signal(number, interrupted) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def can_be_resumed(self) -> bool:
        """Tell whether there is an unfinished run of the folder."""
        return is_run(unfinished(self.folder))

    def run(self, listen: Listen = lambda event: None) -> Outcome:
        """Run it in this thread and return how it ended; listen: receives every event, and may raise to end it."""
        told = _Told(self, listen, self._preview_side)
        return_memory_early()
        check_room(self.job)
        if not may_use_gpu("auto") and not is_compiled(self.job):
            told.tell("compile")
        precompile(self.job)
        self._ready = True
        told.tell("ready")
        trim()
        before = resident_memory()
        forget_peak()
        try:
            if self._resumes:
                outcome = resume(self.folder, self._budget, told)
            else:
                outcome = begin(self.job, self.folder, self._budget, told, self._overwrite)
        except _Paused as paused:
            root = unfinished(self.folder)
            left = root if is_run(root) else None
            outcome = Outcome(self.folder, "paused", told.last_step, left, str(paused))
        peak = peak_memory()
        if before is not None and peak is not None:
            outcome = dataclasses.replace(outcome, peak_memory=max(0, peak - before))
        self.outcome = outcome
        told.end(outcome)
        return outcome

    def __iter__(self) -> Iterator[Event]:
        """Run it in a thread of its own and yield every event; to leave the loop early stops the session."""
        events: queue.SimpleQueue[Event | BaseException | None] = queue.SimpleQueue()

        def work() -> None:
            try:
                self.run(events.put)
            except BaseException as error:
                events.put(error)
            else:
                events.put(None)

        thread = threading.Thread(target=work, name="mlsolve-session")
        thread.start()
        try:
            while (event := events.get()) is not None:
                if isinstance(event, BaseException):
                    raise event
                yield event
        finally:
            self.stop()
            thread.join()


class _Paused(Exception):
    """The session was stopped where there is nothing to be written yet; the message says where."""


class _Told(Listener):
    """Turns the calls of a run into events, and ends the run when its session is stopping."""

    def __init__(self, session: Session, listen: Listen, preview_side: int | None) -> None:
        self._session, self._listen, self._preview_side = session, listen, preview_side
        self._began = time.monotonic()
        self._pace = Pace()
        self._stage: Stage = "starting"
        self._where: dict[str, Any] = {}
        self._tiled = self._carried = False
        self._workers: Callable[[], int] | None = None
        self._seen: tuple[tuple[str, ...], int] | None = None
        self.last_step: Step | None = None

    def tell(self, kind: Kind, **more: Any) -> None:
        """Tell the listener what happened."""
        now = time.monotonic()
        left = None if self._carried else self._pace.left(now)
        more = {**self._where, "workers": None if self._workers is None else self._workers(), **more}
        self._listen(Event(kind, self._stage, self._pace.share, now - self._began, left, **more))

    def end(self, outcome: Outcome) -> None:
        """Tell how it ended."""
        finished_now = outcome.unfinished is None and outcome.stop != "paused"
        self._stage, self._where = "done" if finished_now else self._stage, {}
        self.tell("end", outcome=outcome)

    def begin(self, spec: Spec, cost: list[float]) -> None:
        self._pace.begin(spec, cost)
        self._levels, self._iterations = spec.levels, spec.iterations
        self.tell("begin")

    def stage(self, name: Any, share: float) -> None:
        self._tiled = self._carried = False
        if self._stage != name:
            self._pace.forget()
        self._stage, self._where = name, {"share": share}
        self._pace.at_stage(name, share)
        self.tell("stage")
        # A small print is still written; a large one is written when it is resumed.
        if self._session.stopping and (name == "pictures" or self._pace.pixels > SMALL):
            raise _Paused(_DOING[name])

    def waits_for_workers(self, ready: tuple[str, ...], present: int) -> None:
        if self._seen != (ready, present):
            before = () if self._seen is None else self._seen[0]
            lost = tuple(one for one in before if one not in ready)
            self._seen = ready, present
            if ready and not before:  # while there was nobody, nothing was done
                self._pace.forget()
            self.tell("workers", workers=len(ready), workers_present=present, workers_lost=lost)
        # A small print that is solved whole is still written.
        early = self._stage in ("starting", "pictures")
        if self._session.stopping and (early or self._tiled or self._pace.pixels > SMALL):
            raise _Paused(self._where_paused())

    def on_cluster(self, workers: Callable[[], int]) -> None:
        self._workers = workers

    def balanced(self, balance: Balance, names: list[str]) -> None:
        self.tell("balance", balance=balance, names=tuple(names))

    def begin_round(self, plan: Round, tiles: int) -> None:
        self._stage, self._tiled = "solving", tiles > 1
        # A small level takes a cluster as long as its task takes on its way, which says nothing of the rest.
        self._carried = self._workers is not None and tiles == 1 and plan.level < self._levels
        self._where = {
            "level": plan.level,
            "levels": self._levels,
            "round": plan.number,
            "rounds": plan.number - 1 + -(-(self._iterations - plan.first) // plan.iterations),
            "tile": 0,
            "tiles": tiles,
            "iteration": plan.first,
            "iterations": self._iterations,
        }
        self._pace.at_round(plan, 0.0)
        self._pace.forget()
        self.tell("round")

    def iteration(self, plan: Round, tile: Tile, at: int) -> None:
        if self._tiled:
            tiles = self._where["tiles"]
            self._pace.at_round(plan, (self._where["tile"] + (at + 1) / plan.iterations) / tiles)
            self.tell("iteration", of_tile=(at + 1, plan.iterations))
        self._pause_between_tiles(plan)

    def tile(self, plan: Round, tile: Tile) -> None:
        self._where["tile"] += 1
        if self._tiled:
            self._pace.at_round(plan, self._where["tile"] / self._where["tiles"])
        self.tell("tile")
        self._pause_between_tiles(plan)

    def step(self, step: Step) -> bool:
        self.last_step = step
        self._stage = "solving"
        self._where |= {
            "level": step.level,
            "levels": step.levels,
            "iteration": step.iteration,
            "iterations": step.iterations,
            "step": step,
        }
        if self._where.get("tiles") == 1:
            self._pace.at_iteration(step.level, step.iteration)
        self.tell("iteration")
        return self._session.stopping

    def end_level(self, store: Store, spec: Spec, level: int, layers: str) -> None:
        side = self._preview_side
        self.tell("level", previews=() if side is None else level_previews(store, spec, level, layers, side))

    def _pause_between_tiles(self, plan: Round) -> None:
        if self._session.stopping and self._tiled:
            raise _Paused(f"in level {plan.level} of {self._levels}, round {plan.number}")

    def _where_paused(self) -> str:
        if self._stage == "starting":
            return "while waiting for workers"
        if self._stage == "solving":
            return "in level {level} of {levels}, round {round}".format(**self._where)
        return _DOING[self._stage]
