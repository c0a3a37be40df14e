"""What `mlsolve run` and `mlsolve resume` have in common: a session, its progress, Ctrl-C, and what is printed."""

import gc
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .echo import echo
from .progress import Progress

if TYPE_CHECKING:
    from mlsolve.run.events import Event
    from mlsolve.run.session import Session

_BETWEEN_COLLECTIONS: Final = (700, 10, 10)
"""Python's own thresholds; `main` raises them for the time in which modules are loaded."""


class Interrupted(Exception):
    """Interrupted by Ctrl-C; the message says what was written and how to continue."""


def carry_out(session: "Session", shown: Path, as_json: bool) -> None:
    """Run `session` and print the result; shown: what its folder is called in messages."""
    from mlsolve.run.unfinished import how_to_continue

    goes_on = how_to_continue(shown, session.options)
    with session.stops_on_interrupt(), Progress(as_json) as progress:

        def hear(event: "Event") -> None:
            if event.kind == "ready":
                _collect_as_usual()
            progress.show(event)

        try:
            outcome = session.run(hear)
        except KeyboardInterrupt:  # the second one: whatever was being done is dropped
            if not session.can_be_resumed():
                raise
            raise Interrupted(f"interrupted; {goes_on}") from None
    if outcome.stop == "paused":
        then = f"; {goes_on}" if outcome.unfinished else ": nothing was written"
        raise Interrupted(f"interrupted {outcome.where}{then}")
    report: dict[str, Any] = json.loads((outcome.folder / "result.json").read_text(encoding="utf-8"))
    if outcome.peak_memory is not None:
        report["peak_memory"] = outcome.peak_memory
    if as_json:
        echo(json.dumps({"folder": str(shown), **report}, indent=2, ensure_ascii=False))
    else:
        from .report import print_result

        names = [Path(entry).name for entry in session.job.guides]
        print_result(report, shown, names)
    if outcome.stop == "callback":
        last = outcome.last
        assert last is not None
        raise Interrupted(
            f"interrupted in level {last.level} of {last.levels}, iteration {last.iteration} of "
            f"{last.iterations}: the best so far is in {shown}; {goes_on}"
        )
    if session.stopping:
        raise Interrupted(f"interrupted after the last iteration: the whole result is in {shown}")


def _collect_as_usual() -> None:
    """Run the garbage collector as often as Python does by default, now that everything is loaded.

    Loaded objects are never freed, so they need no scan. What a round leaves in reference cycles would otherwise
    count towards its memory.
    """
    gc.freeze()
    gc.set_threshold(*_BETWEEN_COLLECTIONS)
