"""How a run shows where it is: a bar on a terminal, a line now and then elsewhere, or JSON lines."""

import json
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from mlsolve.run.events import Event

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

_BETWEEN_LINES: Final = 5.0
_BETWEEN_EVENTS: Final = 0.2
"""Seconds between lines, and between JSON events."""

_NAMED: Final = 3
"""Most workers that are named in a line."""

COMPILING: Final = "compiling the kernels, once for this version: some 20 s"


class Progress:
    """Shows the events of a session on standard error; use it in a `with` block."""

    def __init__(self, as_json: bool = False) -> None:
        """as_json: show events as JSON, one a line."""
        self._as_json = as_json
        self._last_line = self._last_event = time.monotonic()
        self._crew = CrewWords()
        self._bar: RichProgress | None = None
        if sys.stderr.isatty() and not as_json:
            from rich.console import Console
            from rich.progress import BarColumn, TextColumn
            from rich.progress import Progress as Bar

            self._bar = Bar(
                TextColumn("{task.fields[where]}"),
                BarColumn(bar_width=8),
                TextColumn("{task.fields[words]}"),
                console=Console(stderr=True),
                transient=True,
            )
            self._task = self._bar.add_task("", total=1.0, where="", words="starting")

    def __enter__(self) -> "Progress":
        """Put up the bar."""
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the bar down."""
        if self._bar is not None:
            self._bar.stop()

    def show(self, event: Event) -> None:
        """Show `event`, unless another was shown just before."""
        if event.kind == "compile":
            self._print(COMPILING)
        elif event.kind == "workers":
            self._show_workers(event)
        elif event.kind == "balance":
            self._show_balance(event)
        elif event.kind == "stage":
            self._show(event, f"{event.stage} {event.share:.0%}{_on_workers(event)}")
        elif event.kind in ("iteration", "tile"):
            tiled = (event.tiles or 1) > 1
            if tiled and not self._of_image(event):
                self._show(event, _words_of_tile(event))
            elif not tiled and event.kind == "iteration":
                self._show(event, _words_of_step(event))

    @staticmethod
    def _of_image(event: Event) -> bool:
        """Whether it is an iteration of the whole image, not of a tile."""
        return event.kind == "iteration" and event.of_tile is None

    def _show_balance(self, event: Event) -> None:
        """Print exposures and casts if there are several pictures, or if a cast remains."""
        assert event.balance is not None
        names, balance = event.names, event.balance
        lines = balance.words(names)
        if len(names) == 1 and len(lines) == 1:
            return
        if self._as_json:
            report = {"event": "balance", "exposures": balance.exposures, "cast": balance.cast.tolist()}
            self._print(json.dumps(report, ensure_ascii=False))
            return
        for line in lines:
            self._print(line)
        if len(names) > 1 and len(lines) > len(names):
            self._print("mlsolve suggest JOB.toml tries whether other rotations and flips would suit them better")

    def _show_workers(self, event: Event) -> None:
        """Tell how many workers are ready."""
        assert event.workers is not None
        assert event.workers_present is not None
        if self._as_json:
            names = ("workers", "workers_present", "workers_lost")
            found = {"event": "workers", **{name: getattr(event, name) for name in names}}
            self._print(json.dumps({**found, "seconds": round(event.seconds, 2)}))
            return
        words = self._crew.words(event.workers, event.workers_present, event.workers_lost)
        if words and self._bar is not None and event.stage == "starting":
            self._bar.update(self._task, words=words)
        elif words:
            self._print(words)

    def _show(self, event: Event, words: str) -> None:
        now = time.monotonic()
        if self._as_json:
            if event.last or now - self._last_event >= _BETWEEN_EVENTS:
                self._last_event = now
                self._print(json.dumps(_plain(event), ensure_ascii=False))
            return
        remaining = "" if event.seconds_left is None else f" {duration(event.seconds_left)} left"
        where = _where(event)
        if self._bar is not None:
            # All of it fits into the 80 columns of a plain terminal.
            self._bar.update(self._task, completed=event.done, where=where, words=words + remaining)
        elif (event.last and (event.tiles or 1) == 1) or now - self._last_line >= _BETWEEN_LINES:
            self._last_line = now
            self._print(f"{where}  {words}  {event.done:.0%} of all{',' if remaining else ''}{remaining}".strip())

    def _print(self, line: str) -> None:
        with suppress(BrokenPipeError):  # the reader has gone; keep solving
            print(line, file=sys.stderr, flush=True)


def _where(event: Event) -> str:
    if event.stage != "solving":
        return ""
    where = f"level {event.level}/{event.levels}"
    if (event.tiles or 1) > 1 and (event.rounds or 1) > 1:
        where += f" round {event.round}/{event.rounds}"
    return where


class CrewWords:
    """How many workers of a cluster are ready, in words: at once if some are lost or all are there, else rarely."""

    def __init__(self) -> None:
        """Nothing was told yet."""
        self._ready: int | None = None
        self._told = 0.0

    def words(self, ready: int, present: int, lost: Sequence[str]) -> str:
        """Return the words for `ready` workers of `present`, or "" for nothing new.

        present: those not left out. lost: those that were ready before, and are not any more.
        """
        before, now = self._ready, time.monotonic()
        self._ready = ready
        if before is None:
            from mlsolve.cluster.crew import ASSEMBLING
            from mlsolve.cluster.link import CONNECTING

            return (
                f"asking the cluster: up to {CONNECTING:.0f} s for its scheduler, {ASSEMBLING:.0f} s for a worker"
            )
        if lost:
            more = f" and {len(lost) - _NAMED} more" if len(lost) > _NAMED else ""
            from mlsolve.cluster.executor import PATIENCE

            end = "" if ready else f"; waiting up to {PATIENCE:.0f} s for workers, or for the scheduler"
            return f"{workers_in_words(len(lost))} lost, {ready} left: {', '.join(lost[:_NAMED])}{more}{end}"
        if ready == present:
            return f"{workers_in_words(ready)} ready" if ready > before else ""
        if now - self._told < _BETWEEN_LINES:
            return ""
        self._told = now
        return f"{ready} of {workers_in_words(present)} ready"


def workers_in_words(count: int) -> str:
    """Return "1 worker", "2 workers"."""
    return f"{count} worker{'s' * (count != 1)}"


def _on_workers(event: Event) -> str:
    """Return on how many workers of a cluster it runs, "" without one."""
    return "" if event.workers is None else f", {workers_in_words(event.workers)}"


def _words_of_step(event: Event) -> str:
    step = event.step
    assert step is not None
    return (
        f"{step.iteration}/{step.iterations} loss {step.loss:.3f} "
        f"SSIM {step.target_ssim:.3f} guides {step.mean_guide_ssim:.3f}"
    )


def _words_of_tile(event: Event) -> str:
    assert event.tile is not None
    assert event.tiles is not None
    words = f"tile {min(event.tile + 1, event.tiles)}/{event.tiles}"
    if event.workers is not None:
        words = f"{event.tile} of {event.tiles} tiles{_on_workers(event)}"
    if event.of_tile is not None:
        words += f" iteration {event.of_tile[0]}/{event.of_tile[1]}"
    return words if event.step is None else f"{words} loss {event.step.loss:.3f}"


def _plain(event: Event) -> dict[str, Any]:
    """Return the JSON form of `event`."""
    plain: dict[str, Any] = {"event": "progress", "stage": event.stage}
    if event.share is not None:
        plain["share"] = round(event.share, 4)
    names = ("level", "levels", "round", "rounds", "tile", "tiles", "iteration", "iterations", "workers")
    plain |= {name: getattr(event, name) for name in names if getattr(event, name) is not None}
    if event.step is not None:
        step = event.step
        plain |= {"loss": step.loss, "target_ssim": step.target_ssim, "guide_ssim": step.mean_guide_ssim}
    left = event.seconds_left
    plain |= {"done": round(event.done, 4), "seconds": round(event.seconds, 2)}
    plain["seconds_left"] = None if left is None else round(left, 1)
    return plain


def duration(seconds: float) -> str:
    """Return `seconds` in words short enough for a status line."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
