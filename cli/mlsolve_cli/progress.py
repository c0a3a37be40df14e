"""How a run shows where it is: a bar on a terminal, a line now and then elsewhere."""

import sys
import time
from contextlib import suppress
from types import TracebackType
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar

from mlsolve.history import Step
from mlsolve.options import Options
from mlsolve.pyramid import level_shapes

_SECONDS_BETWEEN_LINES: Final = 5.0

_SAME_BATCH: Final = 1e-4
"""Seconds from one step's showing to the next within which both belong to one batch: they were taken together."""


class Progress:
    """Shows every `Step` on standard error; use it in a `with` block."""

    def __init__(self, shape: tuple[int, int], options: Options) -> None:
        """Prepare for a solve of `shape` (height, width) pixels."""
        shapes = level_shapes(*shape, options.levels)
        self._iterations = options.iterations
        self._pixels = [height * width for height, width in shapes]
        self._work = sum(self._pixels) * options.iterations
        self._level = 0
        self._level_began = self._last_line = self._shown = time.monotonic()
        self._level_first, self._rate = 1, 0.0
        self._bar: Bar | None = None
        if sys.stderr.isatty():
            self._bar = Bar(
                TextColumn("level {task.fields[level]}"),
                BarColumn(bar_width=8),
                TextColumn("{task.fields[words]}"),
                console=Console(stderr=True),
                transient=True,
            )
            self._task = self._bar.add_task("", total=self._work, level="1", words="starting")

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

    def show(self, step: Step) -> None:
        """Show `step`."""
        now = time.monotonic()
        if step.level != self._level:
            self._level, self._level_began, self._rate = step.level, now, 0.0
            self._level_first = step.iteration
        elif now - self._shown > _SAME_BATCH:
            # The first iterations of a level compile or allocate; the pace is counted from their end. A GPU's come
            # in batches: what counts is from the beginning of one to that of another.
            self._rate = (step.iteration - self._level_first) / (now - self._level_began)
        done = sum(self._pixels[: step.level - 1]) * self._iterations
        done += self._pixels[step.level - 1] * step.iteration
        pace = ""
        if self._rate > 0:
            left = (self._work - done) / (self._rate * self._pixels[step.level - 1])
            pace = f"{self._rate:.{0 if self._rate >= 10 else 2}f} it/s {duration(left)} left"
        if self._bar is not None:
            # All of it fits into the 80 columns of a plain terminal.
            words = (
                f"{step.iteration}/{step.iterations} loss {step.loss:.3f} "
                f"SSIM {step.target_ssim:.3f} guides {step.mean_guide_ssim:.3f} {pace}"
            )
            level = f"{step.level}/{step.levels}"
            self._bar.update(self._task, completed=done, level=level, words=words)
        elif step.iteration == step.iterations or now - self._last_line >= _SECONDS_BETWEEN_LINES:
            self._last_line = now
            line = (
                f"level {step.level}/{step.levels}  iteration {step.iteration}/{step.iterations}  "
                f"loss {step.loss:.4f}  target SSIM {step.target_ssim:.4f}  "
                f"guides {step.mean_guide_ssim:.4f}  {pace}"
            )
            with suppress(BrokenPipeError):  # whoever read along has gone: no reason to lose a solve
                print(line.rstrip(), file=sys.stderr, flush=True)
        self._shown = time.monotonic()


def duration(seconds: float) -> str:
    """Return `seconds` in words short enough for a status line."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
