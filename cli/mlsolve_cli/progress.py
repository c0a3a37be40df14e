"""How a run shows where it is: a bar on a terminal, a line now and then elsewhere, or JSON lines."""

import json
import sys
import time
from collections import deque
from contextlib import suppress
from types import TracebackType
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar

from mlsolve.solving.balance import Balance
from mlsolve.solving.history import Step
from mlsolve.solving.rounds import Round
from mlsolve.solving.spec import Problem
from mlsolve.solving.tiles import Tile

_BETWEEN_LINES: Final = 5.0
_BETWEEN_EVENTS: Final = 0.2
"""Seconds between lines, and between JSON events."""

_SAME_BATCH: Final = 1e-4
"""Seconds from one showing to the next within which both belong to one batch: they were taken together."""

_REMEMBERED: Final = 20.0
"""Seconds over which the pace is taken."""

STAGES: Final = {"pictures": 10.0, "writing": 5.0, "scoring": 30.0}
"""What the stages besides the solve cost, in iterations of the whole picture in memory (bench/LOG.md #53)."""


class Progress:
    """Shows how a run goes on standard error; use it in a `with` block. It is a `mlsolve.run.pipeline.Listener`."""

    def __init__(self, as_json: bool = False) -> None:
        """as_json: show events as JSON, one a line."""
        self._as_json = as_json
        self._began = self._last_line = self._last_event = time.monotonic()
        self._fields: dict[str, Any] = {"stage": "starting"}
        self._total, self._done = 0.0, 0.0
        self._costs: list[float] = []
        self._pixels: list[int] = []
        self._iterations = 1
        self._tiles = self._tile = 0
        self._pace: deque[tuple[float, float]] = deque()
        self.tiled = False
        """Whether a round of several tiles is under way."""
        self._bar: Bar | None = None
        if sys.stderr.isatty() and not as_json:
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

    def stage(self, name: str, share: float) -> None:
        """Show that so much of "pictures", "writing" or "scoring" is done."""
        self.tiled = False
        if self._fields["stage"] != name:
            self._pace.clear()
        self._fields = {"stage": name, "share": round(share, 4)}
        after = {"pictures": self._total / self._unit() - STAGES["pictures"], "writing": STAGES["scoring"]}
        self._done = self._total - self._unit() * (after.get(name, 0.0) + (1 - share) * STAGES[name])
        self._show(f"{name} {share:.0%}", last=share == 1.0)

    def balanced(self, balance: Balance, names: list[str]) -> None:
        """Tell what the pictures ask of the sheets, where there are several or what they ask cannot be had."""
        lines = balance.words(names)
        if len(names) > 1 or len(lines) > 1:
            if self._as_json:
                report = {"event": "balance", "exposures": balance.exposures, "cast": balance.cast.tolist()}
                self._print(json.dumps(report, ensure_ascii=False))
            else:
                for line in lines:
                    self._print(line)
                if len(names) > 1 and len(lines) > len(names):
                    self._print(
                        "mlsolve suggest JOB.toml tries whether other turns and flips would suit them better"
                    )

    def begin(self, problem: Problem, cost: list[float]) -> None:
        """Take in what there is to do; cost: of an iteration of a value at each level, against one in memory."""
        self._costs = cost
        self._pixels = [height * width for height, width in problem.shapes]
        self._iterations = problem.options.iterations
        work = sum(pixels * each for pixels, each in zip(self._pixels, cost, strict=True)) * self._iterations
        self._total = work + self._unit() * sum(STAGES.values())
        self._done = 0.0
        self._pace.clear()

    def begin_round(self, plan: Round, tiles: int) -> None:
        """Show that a round begins."""
        left = self._iterations - plan.first
        self._fields = {
            "stage": "solving",
            "level": plan.level,
            "levels": len(self._pixels),
            "round": plan.number,
            "rounds": plan.number - 1 + -(-left // plan.iterations),
            "tile": 0,
            "tiles": tiles,
            "iteration": plan.first,
            "iterations": self._iterations,
        }
        self._tiles, self._tile, self.tiled = tiles, 0, tiles > 1
        self._set_done(plan, 0.0)
        self._pace.clear()

    def iteration(self, plan: Round, tile: Tile, at: int) -> None:
        """Show an iteration of a tile."""
        if self._tiles > 1:
            self._set_done(plan, (self._tile + (at + 1) / plan.iterations) / self._tiles)
            self._show(self._where_in_tiles(f"iteration {at + 1}/{plan.iterations}"))

    def tile(self, plan: Round, tile: Tile) -> None:
        """Show that a tile is done."""
        self._tile += 1
        self._fields["tile"] = self._tile
        if self._tiles > 1:
            self._set_done(plan, self._tile / self._tiles)
            self._show(self._where_in_tiles(""), last=self._tile == self._tiles)

    def step(self, step: Step) -> bool:
        """Show what an iteration of the whole image came to."""
        self._fields |= {
            "stage": "solving",
            "level": step.level,
            "levels": step.levels,
            "iteration": step.iteration,
            "iterations": step.iterations,
            "loss": step.loss,
            "target_ssim": step.target_ssim,
            "guide_ssim": step.mean_guide_ssim,
        }
        if self._tiles == 1:
            self._level_share(step.level, step.iteration)
            words = (
                f"{step.iteration}/{step.iterations} loss {step.loss:.3f} "
                f"SSIM {step.target_ssim:.3f} guides {step.mean_guide_ssim:.3f}"
            )
            self._show(words, last=step.iteration == step.iterations)
        return False

    def _unit(self) -> float:
        """Return the work of one iteration at full size."""
        return float(self._pixels[-1]) if self._pixels else 1.0

    def _set_done(self, plan: Round, share: float) -> None:
        self._level_share(plan.level, plan.first + share * plan.iterations)

    def _level_share(self, level: int, iterations: float) -> None:
        """Take in that so many iterations of a level are done."""
        works = [pixels * cost for pixels, cost in zip(self._pixels, self._costs, strict=True)]
        solved = sum(works[: level - 1]) * self._iterations + works[level - 1] * iterations
        self._done = self._unit() * STAGES["pictures"] + solved

    def _where_in_tiles(self, words: str) -> str:
        found = f"tile {min(self._tile + 1, self._tiles)}/{self._tiles} {words}"
        loss = self._fields.get("loss")
        return found if loss is None else f"{found} loss {loss:.3f}"

    def _left(self, now: float) -> float | None:
        """Return the seconds that are left, None while nobody knows."""
        if not self._pace or now - self._pace[-1][0] > _SAME_BATCH:
            self._pace.append((now, self._done))
        while len(self._pace) > 2 and now - self._pace[0][0] > _REMEMBERED:
            self._pace.popleft()
        (since, before), (_, done) = self._pace[0], self._pace[-1]
        if not self._total or now - since < 0.05 or done <= before:
            return None
        return (self._total - self._done) * (now - since) / (done - before)

    def _show(self, words: str, last: bool = False) -> None:
        now = time.monotonic()
        left = self._left(now)
        share = self._done / self._total if self._total else 0.0
        where = ""
        if self._fields["stage"] == "solving":
            where = f"level {self._fields['level']}/{self._fields['levels']}"
            if self.tiled and self._fields["rounds"] > 1:
                where += f" round {self._fields['round']}/{self._fields['rounds']}"
        remaining = "" if left is None else f" {duration(left)} left"
        if self._as_json:
            if last or now - self._last_event >= _BETWEEN_EVENTS:
                self._last_event = now
                event = {"event": "progress", **self._fields, "done": round(share, 4)}
                event["seconds"] = round(now - self._began, 2)
                event["seconds_left"] = None if left is None else round(left, 1)
                self._print(json.dumps(event, ensure_ascii=False))
        elif self._bar is not None:
            # All of it fits into the 80 columns of a plain terminal.
            self._bar.update(self._task, completed=share, where=where, words=words + remaining)
        elif (last and self._tiles <= 1) or now - self._last_line >= _BETWEEN_LINES:
            self._last_line = now
            self._print(f"{where}  {words}  {share:.0%} of all{',' if remaining else ''}{remaining}".strip())

    def _print(self, line: str) -> None:
        with suppress(BrokenPipeError):  # whoever read along has gone: no reason to lose a solve
            print(line, file=sys.stderr, flush=True)


def duration(seconds: float) -> str:
    """Return `seconds` in words short enough for a status line."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
