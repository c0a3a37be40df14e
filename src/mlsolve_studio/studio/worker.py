"""What the studio does in processes of their own: `python -m mlsolve_studio.studio.worker TASK FOLDER …`.

picture NAME   read a picture whole, write its thumbnail
estimate       what the job.toml in FOLDER will need
run            carry the job.toml in FOLDER out, or resume it, by the session that the command line uses
sheets SHOP    make the files for a shop from the finished run

Messages are lines of JSON on standard output. The standard input is the leash: nothing is written to it, and
where it ends, because the server says so or has gone, the session is stopped; what it leaves can be resumed.
"""

import json
import math
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mlsolve.errors import OutputError, first_line
from mlsolve.system.lock import locked

from .folder import prints_of
from .lines import line_of, tell

if TYPE_CHECKING:
    from mlsolve.run.events import Event

PREVIEWS: Final = "previews"
PREVIEW_SIDE: Final = 640
THUMBNAIL_SIDE: Final = 320

_PATIENCE: Final = 30.0
"""Seconds to wait for another process of the same run."""

_BETWEEN: Final = 0.1
"""Seconds between two messages about iterations."""


def picture(name: str, thumbnail: str) -> None:
    """Read the picture `name` from its first row to its last and write its thumbnail, as the command line would."""
    import numpy as np

    from mlsolve.pictures.arrays import check_size
    from mlsolve.pictures.picture_files import open_picture, save_png, upright

    path = Path(name)
    found = open_picture(path)
    check_size(found.size, str(path))
    # Means of squares of pixels, by NumPy alone: Numba, which other previews need, takes a second to load.
    step = -(-max(found.size) // THUMBNAIL_SIDE)
    width = found.stored_size[0] // step
    rows = [
        band[:, : width * step].reshape(len(band), width, step, -1).mean(axis=(0, 2))
        for band in found.bands(step)
        if len(band) == step
    ]
    image = np.rint(np.stack(rows) / 257).astype(np.uint8)
    save_png(Path(thumbnail), np.ascontiguousarray(upright(image, found.orientation)))
    tell(event="picture", width=found.size[0], height=found.size[1], planes=found.planes)


def estimate() -> None:
    """Tell what the job will need, as `mlsolve estimate` does."""
    from mlsolve.job.job_file import load_job
    from mlsolve.report.result import box_report
    from mlsolve.run.budget import Budget
    from mlsolve.run.estimate import estimate_job
    from mlsolve.system.process import age

    job = load_job("job.toml")
    found = estimate_job(job, Budget(), Path("prints"), None, age())
    exposures = [job.options.exposure if one.exposure is None else one.exposure for one in job.arrangements]
    tell(event="estimate", **found.plain(), box=box_report(job.options, min(exposures)))


def run() -> None:
    """Carry out job.toml into the folder of prints, or resume it where it was left."""
    with _alone():
        _carry_out(prints_of(Path.cwd()))


def _carry_out(folder: Path) -> None:
    from mlsolve.job.job_file import load_job
    from mlsolve.run.session import Session
    from mlsolve.run.unfinished import is_run, unfinished

    if is_run(unfinished(folder)):
        session = Session.resume(folder, preview_side=PREVIEW_SIDE)
    else:
        session = Session(load_job("job.toml"), folder, preview_side=PREVIEW_SIDE)
    _on_a_leash(session.stop)
    outcome = session.run(_Reporter().hear)
    tell(event="outcome", stop=outcome.stop, where=outcome.where, resumable=outcome.unfinished is not None)


def sheets(name: str, dpi: str) -> None:
    """Make the files for a shop, as `mlsolve sheets` does."""
    from mlsolve.sheets.folder import make_sheets
    from mlsolve.sheets.shop import load_shop
    from mlsolve.sheets.tasks import Wanted

    _on_a_leash(lambda: os._exit(1))  # what was staged is removed by the next one
    wanted = Wanted(
        dpi=float(dpi) if dpi else None,
        overwrite=True,
        progress=lambda share: tell(event="progress", done=share),
    )
    prints = prints_of(Path.cwd())
    written = make_sheets(Path(prints.name), Path(f"sheets-{name}"), load_shop(name), wanted)
    tell(event="sheets", notes=[*written.warnings, *written.notes], pages=written.pages)


@contextmanager
def _alone() -> Iterator[None]:
    """Wait for the process of a server that was killed, which may still be writing what it has."""
    with ExitStack() as stack:
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                stack.enter_context(locked(Path()))
                break
            except OutputError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.2)
        yield


class _Reporter:
    """Turns the events of a session into messages."""

    def __init__(self) -> None:
        self._told = -math.inf
        self._previews = 0

    def hear(self, event: "Event") -> None:
        """Tell of `event`, unless another iteration was told just before."""
        if event.kind in ("iteration", "tile", "stage"):
            if event.seconds - self._told < _BETWEEN and not event.last:
                return
            self._told = event.seconds
        message: dict[str, Any] = {"event": event.kind, "stage": event.stage, "done": event.done}
        names = ("seconds", "seconds_left", "level", "levels", "round", "rounds", "tile", "tiles")
        message |= {name: getattr(event, name) for name in (*names, "iteration", "iterations", "names")}
        if event.step is not None:
            step = event.step
            message["ssim"], message["guides"], message["loss"] = (
                _number(step.target_ssim),
                _number(step.mean_guide_ssim),
                _number(step.loss),
            )
        if event.balance is not None:
            message["exposures"] = list(event.balance.exposures)
        if event.previews:
            message["previews"] = self._save(event)
        tell(**message)

    def _save(self, event: "Event") -> int:
        """Write the previews and return which ones they are, from 1."""
        from mlsolve.pictures.picture_files import save_png

        self._previews += 1
        Path(PREVIEWS).mkdir(exist_ok=True)
        for number, image in enumerate(event.previews, start=1):
            save_png(Path(PREVIEWS) / f"stack-{number}.png", image)
        return self._previews


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _on_a_leash(stop: Callable[[], None]) -> None:
    """Call `stop` when the standard input ends."""

    def watch() -> None:
        with suppress(OSError):
            os.read(0, 1)  # not sys.stdin, whose lock would be held when Python ends
        stop()

    threading.Thread(target=watch, name="studio-leash", daemon=True).start()


def _warn(message: Warning | str, *_: Any, **__: Any) -> None:
    tell(event="warning", line=" ".join(str(message).split()))


TASKS: Final[dict[str, Callable[..., None]]] = {
    "picture": picture,
    "estimate": estimate,
    "run": run,
    "sheets": sheets,
}


def main(arguments: list[str]) -> int:
    """Carry a task out; 0: it is done, 2: it was refused with one line."""
    # Ctrl-C reaches every process of a terminal; the server stops its own by the leash.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warnings.showwarning = _warn
    task, folder, *more = arguments
    os.chdir(folder)
    try:
        TASKS[task](*more)
    except Exception as error:
        try:
            tell(event="error", line=line_of(error))
        except Exception:  # the command line would show a traceback
            tell(event="error", line=f"it broke, please report it: {type(error).__name__}: {first_line(error)}")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
