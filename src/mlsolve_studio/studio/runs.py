"""The runs of a studio: one at a time, the others in line.

A run is carried out by a process of its own, not by a thread of the server. A run that the system kills for its
memory must not take the server with it. What a run leaves in its process, as compiled kernels and buffers, goes
with it. While kernels are compiled, a thread would hold Python's lock for up to 0.6 s at a time, in which the
page gets no answer; once they are compiled there is no difference (bench/LOG.md, "The studio"). The process is
on a leash: when the server goes, however it goes, the session is stopped as by Ctrl-C, so that nothing computes
on unseen.

What is known of a run is in its folder, so a server that starts finds all of it: job.toml, what mlsolve keeps and
writes beside it, and run.json for what those do not tell.
"""

import json
import re
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from mlsolve.errors import InputError, OutputError
from mlsolve.run.unfinished import is_run, unfinished
from mlsolve.sheets.shop import shop_names
from mlsolve.system.files import refusals, write_bytes

from .children import Child, Message
from .folder import RUN, StudioFolder, prints_of, slug
from .jobs import Checked
from .worker import PREVIEWS

State = Literal["waiting", "running", "stopping", "stopped", "finished", "failed"]

MOST: Final = 9999
"""Runs that a studio holds."""

_UNDER_WAY: Final = ("waiting", "running", "stopping")
_OF_PROGRESS: Final = (
    *("stage", "done", "seconds", "seconds_left", "level", "levels", "round", "rounds", "tile", "tiles"),
    *("iteration", "iterations", "ssim", "guides", "loss", "exposures"),
)
_KINDS: Final = (
    (re.compile(r"layer-\d+\.(?:png|tif)"), "layer"),
    (re.compile(r"stack(?:-\d+)?\.png"), "stack"),
    (re.compile(r"sheet\.png"), "overview"),
    (re.compile(r"job\.toml"), "job"),
)


@dataclass
class Run:
    """A run and what is known of it."""

    name: str
    title: str
    titles: tuple[str, ...]
    """Of its pictures."""
    created: float
    """Seconds since 1970."""
    state: State = "waiting"
    line: str = ""
    """Why it failed, or where it was stopped."""
    warnings: list[str] = field(default_factory=list)
    progress: Message = field(default_factory=dict)
    """What the session told last."""
    previews: int = 0
    """How often previews were written."""
    trail: list[tuple[float, float]] = field(default_factory=list)
    """Share of the run that was done and the SSIM of the first stack then."""
    size: tuple[int, int] | None = None
    """(width, height) of its sheets, once they are written."""
    ssim: tuple[float, ...] = ()
    """Of its stacks, as result.json says."""
    sheets: dict[str, Message] = field(default_factory=dict)
    """What was made for shops: state, line, notes, by the name of the shop."""


class Runs:
    """All runs of a studio. Any thread may call."""

    def __init__(self, folder: StudioFolder) -> None:
        """Find the runs in `folder`; what was under way when the last server ended is stopped."""
        self._folder = folder
        self._lock = threading.RLock()
        self._runs: dict[str, Run] = {}
        self._line: list[str] = []
        self._child: tuple[str, Child] | None = None
        self._making: list[Child] = []
        self._closed = False
        for path in sorted(folder.runs.iterdir()):
            if RUN.fullmatch(path.name) and path.is_dir() and (path / "job.toml").is_file():
                self._runs[path.name] = self._found(path)

    def _found(self, path: Path) -> Run:
        """Return the run in the folder `path`, as the last server left it."""
        try:
            known = json.loads((path / "run.json").read_text(encoding="utf-8"))
            run = Run(path.name, str(known["title"]), tuple(map(str, known["titles"])), float(known["created"]))
            run.state, run.line, run.warnings = known["state"], str(known["line"]), list(known["warnings"])
        except (OSError, ValueError, KeyError, TypeError):
            run = Run(path.name, path.name, (), path.stat().st_mtime, "stopped")
        if is_run(unfinished(prints_of(path))):
            if run.state in (*_UNDER_WAY, "finished"):
                run.state, run.line = "stopped", "the studio was closed"
        elif (prints_of(path) / "result.json").is_file():
            run.state = "finished"
        elif run.state != "failed":
            run.state, run.line = "stopped", run.line or "the studio was closed before it began"
        for shop in path.glob("sheets-*"):
            if shop.name[7:] in shop_names():
                run.sheets[shop.name[7:]] = {"state": "made", "done": 1.0, "line": "", "notes": []}
        run.previews = 1 if (path / PREVIEWS).is_dir() else 0
        self._score(run)
        return run

    def _score(self, run: Run) -> None:
        """Note size and scores of what the run has written."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            path = prints_of(self._folder.runs / run.name) / "result.json"
            result = json.loads(path.read_text(encoding="utf-8"))
            width, height = result["size"]
            run.size, run.ssim = (width, height), tuple(one["ssim"] for one in result["arrangements"])

    def begin(self, job: Checked) -> str:
        """Put a new run in line and return its name. Raises OutputError if its folder cannot be written."""
        with self._lock:
            numbers = [int(name.split("-")[0]) for name in self._runs]
            number = max(numbers, default=0) + 1
            if number > MOST:
                raise OutputError(f"there are {MOST} runs: use another --folder")
            stem = Path(job.name).stem
            name = f"{number:04d}-{slug(stem)}"
            path = self._folder.runs / name
            with refusals(path):
                path.mkdir()
            write_bytes(path / "job.toml", job.toml.encode())
            run = Run(name, stem, job.titles, time.time())
            self._runs[name] = run
            self._enqueue(run)
            return name

    def resume(self, name: object) -> None:
        """Put a run that was stopped, or that failed, in line again. Raises InputError for any other."""
        with self._lock:
            run = self._run(name)
            if run.state not in ("stopped", "failed"):
                raise InputError(f"{run.name} is {run.state}: there is nothing to continue")
            run.progress, run.line = {}, ""
            self._enqueue(run)

    def stop(self, name: object) -> None:
        """Stop a run, or take it out of the line. Raises InputError if it is not under way."""
        with self._lock:
            run = self._run(name)
            if run.state == "waiting":
                self._line.remove(run.name)
                self._change(run, "stopped", "it was taken out of the line")
            elif run.state == "running" and self._child is not None:
                self._change(run, "stopping")
                self._child[1].stop()
            elif run.state != "stopping":
                raise InputError(f"{run.name} is {run.state}: there is nothing to stop")

    def remove(self, name: object) -> Path:
        """Take a run off the list, move its folder to where nothing looks for runs, and return where that is.

        Raises InputError for one that is under way, OutputError if the folder cannot be moved.
        """
        with self._lock:
            run = self._run(name)
            if run.state in _UNDER_WAY or any(made["state"] == "making" for made in run.sheets.values()):
                raise InputError(f"{run.name} is under way: stop it first, or wait for it")
            place = self._folder.removed
            free = (place / f"{run.name}{again}" for again in ("", *(f"-{number}" for number in range(2, MOST))))
            with refusals(place):
                place.mkdir(exist_ok=True)
                to = next(path for path in free if not path.exists())
                (self._folder.runs / run.name).rename(to)
            del self._runs[run.name]
            return to

    def make_sheets(self, name: object, shop: object, dpi: object) -> None:
        """Begin to make the files for a shop. Raises InputError for a run or a shop that there is not."""
        with self._lock:
            run = self._run(name)
            if not isinstance(shop, str) or shop not in shop_names():
                raise InputError(f"shop is {shop!r}: choose one of {', '.join(shop_names())}")
            if run.state != "finished":
                raise InputError(f"{run.name} is {run.state}: sheets are made from a finished run")
            if dpi is not None and (isinstance(dpi, bool) or not isinstance(dpi, int | float)):
                raise InputError(f"dpi is {dpi!r}: give a number")
            if run.sheets.get(shop, {}).get("state") == "making":
                raise InputError(f"the sheets for {shop} are being made: wait for them")
            made: Message = {"state": "making", "done": 0.0, "line": "", "notes": []}
            run.sheets[shop] = made

            def hear(message: Message) -> None:
                with self._lock:
                    if message["event"] == "progress":
                        made["done"] = message["done"]
                    elif message["event"] == "sheets":
                        made.update(state="made", done=1.0, notes=message["notes"])
                    elif message["event"] == "error":
                        made.update(state="refused", line=message["line"])

            def done(status: int) -> None:
                with self._lock:
                    self._making = [one for one in self._making if one is not child]
                    if made["state"] == "making":
                        made.update(
                            state="refused", line="it ended before its work was done: is there enough memory?"
                        )

            task = "sheets", shop, "" if dpi is None else str(dpi)
            child = Child(task, self._folder.runs / run.name, hear, done)
            self._making.append(child)

    def close(self, seconds: float = 8.0) -> None:
        """Stop what is under way and wait for it a little; what goes on longer ends by itself."""
        with self._lock:
            self._closed = True
            self._line.clear()
            children = [*self._making]
            if self._child is not None:
                children.append(self._child[1])
            for child in children:
                child.stop()
        until = time.monotonic() + seconds
        for child in children:
            child.join(max(0.0, until - time.monotonic()))

    def all(self) -> list[dict[str, Any]]:
        """Return all runs in short, the newest first."""
        with self._lock:
            return [self._short(run) for run in reversed(self._runs.values())]

    def whole(self, name: object) -> dict[str, Any]:
        """Return all that is known of a run. Raises InputError if there is none."""
        with self._lock:
            run = self._run(name)
            path = self._folder.runs / run.name
            found = self._short(run)
            found |= {
                "titles": run.titles,
                "warnings": run.warnings,
                "progress": run.progress,
                "trail": run.trail,
                "pictures": len(list((path / PREVIEWS).glob("stack-*.png"))),
                "table": f"/table/{run.name}/",
                "toml": (path / "job.toml").read_text(encoding="utf-8"),
                "folder": str(path),
                "sheets": {
                    shop: {**made, "files": self._files(path / f"sheets-{shop}")}
                    for shop, made in run.sheets.items()
                },
                "files": self._files(prints_of(path)),
                "result": None,
            }
        with suppress(OSError, ValueError):
            found["result"] = json.loads((prints_of(path) / "result.json").read_text(encoding="utf-8"))
        return found

    def prints(self, name: str) -> Path:
        """Return the folder that a run has written. Raises InputError if there is none."""
        path = prints_of(self._folder.run(name))
        if not (path / "result.json").is_file():
            raise InputError(f"{name} has not written anything yet: wait for it")
        return path

    def folder_of(self, name: object, part: object) -> Path:
        """Return the folder of a run in which files may be asked for; raises InputError."""
        path = self._folder.run(name)
        if part == "prints":
            return prints_of(path)
        if part == PREVIEWS or (isinstance(part, str) and part.startswith("sheets-") and part[7:] in shop_names()):
            return path / str(part)
        raise InputError(f"there is no folder {part!r} of {path.name}: choose one of the list")

    def _run(self, name: object) -> Run:
        path = self._folder.run(name)
        if path.name not in self._runs:
            raise InputError(f"there is no run {name!r}: choose one of the list")
        return self._runs[path.name]

    def _short(self, run: Run) -> dict[str, Any]:
        path = self._folder.runs / run.name
        return {
            "name": run.name,
            "title": run.title,
            "state": run.state,
            "line": run.line,
            "created": run.created,
            "done": run.progress.get("done", 0.0),
            "previews": run.previews,
            "place": self._line.index(run.name) + 1 if run.name in self._line else 0,
            "saved": (prints_of(path) / "result.json").is_file(),
            "pictures": len(run.titles),
            "size": run.size,
            "ssim": run.ssim,
        }

    @staticmethod
    def _files(folder: Path) -> list[dict[str, Any]]:
        """Return the files of a folder: name, bytes, kind."""
        if not folder.is_dir():
            return []
        found = [path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")]
        kinds = {
            path: next((kind for like, kind in _KINDS if like.fullmatch(path.name)), "other") for path in found
        }
        order = ("layer", "stack", "overview", "job", "other")
        found.sort(key=lambda path: (order.index(kinds[path]), len(path.name), path.name))
        return [{"name": path.name, "bytes": path.stat().st_size, "kind": kinds[path]} for path in found]

    def _enqueue(self, run: Run) -> None:
        self._change(run, "waiting")
        self._line.append(run.name)
        self._next()

    def _next(self) -> None:
        """Start the first in line, if nothing runs."""
        if self._child is not None or not self._line or self._closed:
            return
        run = self._runs[self._line.pop(0)]
        self._change(run, "running")
        path = self._folder.runs / run.name
        try:
            child = Child(
                ("run",), path, lambda message: self._hear(run, message), lambda status: self._end(run, status)
            )
        except OSError as error:
            self._change(run, "failed", f"no process could be started: {error.strerror or error}")
            self._next()
            return
        self._child = run.name, child

    def _hear(self, run: Run, message: Message) -> None:
        """Take a message of the process that carries `run` out."""
        with self._lock:
            event = message["event"]
            if event == "warning":
                if message["line"] not in run.warnings:
                    run.warnings = [*run.warnings, message["line"]][-20:]
            elif event == "error":
                self._change(run, "failed", message["line"])
            elif event == "outcome":
                if message["stop"] == "paused":
                    self._change(run, "stopped", f"it was stopped {message['where']}")
                elif message["resumable"]:
                    self._change(run, "stopped")  # and the best so far is saved
                else:
                    self._change(run, "finished")
                self._score(run)
            else:
                run.progress = {
                    "event": event,
                    **{key: run.progress.get(key) for key in ("ssim", "guides", "loss", "exposures")},
                    **{key: message[key] for key in _OF_PROGRESS if message.get(key) is not None},
                }
                if message.get("previews"):
                    run.previews += 1
                # A run that is resumed passes again where it was; the trail goes on from where it ended.
                if message.get("ssim") is not None and (not run.trail or message["done"] > run.trail[-1][0]):
                    run.trail = _thinned([*run.trail, (round(message["done"], 4), round(message["ssim"], 4))])

    def _end(self, run: Run, status: int) -> None:
        """The process that carried `run` out has ended."""
        with self._lock:
            self._child = None
            if run.state in ("running", "stopping"):
                why = "its process ended before its work was done: there may be too little memory; continue it"
                self._change(run, "failed" if status else "stopped", why)
            self._next()

    def _change(self, run: Run, state: State, line: str = "") -> None:
        """Put down the state of a run, in its folder too."""
        run.state, run.line = state, line
        path = self._folder.runs / run.name
        run.line = self._folder.relative(line, path)
        known = {
            "title": run.title,
            "titles": run.titles,
            "created": run.created,
            "state": state,
            "line": run.line,
            "warnings": run.warnings,
        }
        with suppress(OutputError):
            write_bytes(path / "run.json", json.dumps(known, ensure_ascii=False, indent=1).encode())


def _thinned(trail: list[tuple[float, float]], most: int = 400) -> list[tuple[float, float]]:
    """Return a trail of at most so many points, every second left out where there are more."""
    return trail if len(trail) <= most else [*trail[:-1:2], trail[-1]]
