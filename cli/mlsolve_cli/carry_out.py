"""What `mlsolve run` and `mlsolve resume` have in common: the run, its progress, Ctrl-C, and what is printed."""

import gc
import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

import typer

from .progress import Progress

if TYPE_CHECKING:
    from mlsolve.job.job import Job
    from mlsolve.run.pipeline import Listener, Outcome
    from mlsolve.solving.history import Step
    from mlsolve.solving.rounds import Round
    from mlsolve.solving.tiles import Tile

_BETWEEN_COLLECTIONS: Final = (700, 10, 10)
"""Python's own thresholds; `main` raises them for the time in which modules are loaded."""

_SMALL: Final = 20_000_000
"""Pixels up to which a stopped run is written out as it stands: it takes but seconds."""


class Interrupted(Exception):
    """Ctrl-C came; the message tells what there is and how to go on."""


class Stopped(Exception):
    """Ctrl-C came where there is nothing to be written yet."""


def carry_out(act: "Callable[[Listener], Outcome]", folder: Path, as_json: bool, job: "Job | None") -> None:
    """Call `act` with something that shows how it goes; print the result.

    job: what is carried out, None if there is nothing, which `act` will say.
    """
    from mlsolve.run.unfinished import is_run, unfinished
    from mlsolve.system.memory import forget_peak, peak_memory, resident_memory, return_memory_early, trim

    from .report import print_result

    return_memory_early()
    warm_up(job)
    trim()
    before = resident_memory()
    forget_peak()
    with _interruptible() as marks:
        watched = _Watched(as_json, marks)
        try:
            with watched:
                outcome = act(watched)
        except Stopped as stopped:
            raise Interrupted(f"{stopped}: mlsolve resume {folder} goes on") from None
        except KeyboardInterrupt:  # the second one: whatever was being done is dropped
            if not is_run(unfinished(folder)):
                raise
            raise Interrupted(f"interrupted: mlsolve resume {folder} goes on") from None
        interrupted = bool(marks)
    peak = peak_memory()
    report: dict[str, Any] = json.loads((outcome.folder / "result.json").read_text(encoding="utf-8"))
    if before is not None and peak is not None:
        report["peak_memory"] = max(0, peak - before)
    if as_json:
        typer.echo(json.dumps({"folder": str(folder), **report}, indent=2, ensure_ascii=False))
    else:
        names = [Path(entry).name for entry in job.guides] if job is not None else []
        print_result(report, outcome.folder if folder.suffix == ".unfinished" else folder, names)
    if outcome.stop == "callback":
        last = outcome.last
        raise Interrupted(
            f"interrupted in level {last.level} of {last.levels}, iteration {last.iteration} of "
            f"{last.iterations}: the best so far is in {folder}, mlsolve resume {folder} goes on"
        )
    if interrupted:
        raise Interrupted(f"interrupted after the last iteration: the whole result is in {folder}")


def warm_up(job: "Job | None") -> None:
    """Load and compile what a run of `job` takes, so that the memory of a run can be told from it."""
    from mlsolve.run.precompile import check_room, is_compiled, run_everything_once
    from mlsolve.solving.backends import may_use_gpu

    check_room(job)
    if not may_use_gpu("auto") and not is_compiled(job):
        with suppress(BrokenPipeError):
            typer.echo("compiling the kernels, once for this version: some 20 s", err=True)
    run_everything_once(job)
    # What is loaded stays and need not be looked through for garbage again, which from here on is looked for often:
    # what a round leaves in cycles would otherwise count against its memory.
    gc.freeze()
    gc.set_threshold(*_BETWEEN_COLLECTIONS)


class _Watched(Progress):
    """Progress that ends a run when Ctrl-C has left a mark."""

    def __init__(self, as_json: bool, marks: list[int]) -> None:
        super().__init__(as_json)
        self._marks = marks

    def stage(self, name: str, share: float) -> None:
        super().stage(name, share)
        # A small print is written out all the same, a large one can be written by resuming.
        if self._marks and (name == "pictures" or self._unit() > _SMALL):
            raise Stopped(f"interrupted while {_DOING[name]}")

    def iteration(self, plan: "Round", tile: "Tile", at: int) -> None:
        super().iteration(plan, tile, at)
        self._stop_tiles(plan)

    def tile(self, plan: "Round", tile: "Tile") -> None:
        super().tile(plan, tile)
        self._stop_tiles(plan)

    def step(self, step: "Step") -> bool:
        return super().step(step) or bool(self._marks)

    def _stop_tiles(self, plan: "Round") -> None:
        if self._marks and self.tiled:
            raise Stopped(f"interrupted in level {plan.level} of {self._fields['levels']}, round {plan.number}")


_DOING: Final = {
    "pictures": "preparing the pictures",
    "writing": "writing the layers",
    "scoring": "scoring the layers",
}


@contextmanager
def _interruptible() -> Iterator[list[int]]:
    """Let the first Ctrl-C put a mark into the list that is given; the second one ends the program."""
    marks: list[int] = []

    def mark(number: int, frame: FrameType | None) -> None:
        if marks:
            raise KeyboardInterrupt
        marks.append(number)

    before = signal.signal(signal.SIGINT, mark)
    try:
        yield marks
    finally:
        signal.signal(signal.SIGINT, before)
