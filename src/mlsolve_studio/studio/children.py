"""Starts the processes in which the studio works, and reads what they tell."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from mlsolve.errors import InputError, ProcessError

Message = dict[str, Any]

_LIMIT: Final = 300.0
"""Seconds that a short task may take."""


class Child:
    """A task of worker.py in a process of its own; `done` gets its exit status, `hear` every message."""

    def __init__(
        self,
        task: tuple[str, ...],
        folder: Path,
        hear: Callable[[Message], None],
        done: Callable[[int], None] = lambda status: None,
    ) -> None:
        """Start `task`, name and arguments, in `folder`. hear, done: called in a thread of the child's own."""
        name, *more = task
        command = [sys.executable, "-m", f"{__package__}.worker", json.dumps([name, str(folder), *more])]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        self._hear, self._done = hear, done
        self._thread = threading.Thread(target=self._read, name=f"studio-{name}", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as told:
            for line in told:
                with suppress(ValueError):
                    message = json.loads(line)
                    if isinstance(message, dict):
                        self._hear(message)
        status = self._process.wait()
        self._let_go()
        self._done(status)

    @property
    def pid(self) -> int:
        """Of its process."""
        return self._process.pid

    def stop(self) -> None:
        """Ask it to stop at the next point from which it can be resumed."""
        self._let_go()

    def _let_go(self) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()

    def kill(self) -> None:
        """End it now."""
        self._process.kill()

    def join(self, seconds: float | None = None) -> bool:
        """Wait until it has ended and all was heard; return whether it has."""
        self._thread.join(seconds)
        return not self._thread.is_alive()


def ask(
    *task: str, folder: Path, limit: float = _LIMIT, unwanted: threading.Event | None = None
) -> tuple[Message, list[str]]:
    """Carry out a short task; return its last message and its warnings.

    unwanted: set when nobody waits for the answer any more. Raises InputError with the line of a task that was
    refused, ProcessError if it took too long, broke or is not wanted any more.
    """
    messages: list[Message] = []
    child, until = Child(task, folder, messages.append), time.monotonic() + limit
    while not child.join(0.1):
        dropped = unwanted is not None and unwanted.is_set()
        if not dropped and time.monotonic() < until:
            continue
        child.kill()
        child.join()
        if dropped:
            raise ProcessError(f"{task[0]} was cancelled")
        raise ProcessError(f"{task[0]} took longer than {limit:g} s: try a smaller picture")
    warned = [one["line"] for one in messages if one["event"] == "warning"]
    told = [one for one in messages if one["event"] != "warning"]
    if not told:
        raise ProcessError(f"{task[0]} ended before its work was done: there may be too little memory")
    if told[-1]["event"] == "error":
        raise InputError(told[-1]["line"])
    return told[-1], warned
