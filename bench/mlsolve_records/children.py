"""Commands in processes of their own that end within a limit, whatever they do."""

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

TAIL = 4000
"""Characters of the output that are kept."""


LINE = 500
"""Characters of a line that says why something failed. What to do about it is at its end."""


class Ended(NamedTuple):
    """How a command ended."""

    status: int | None
    """Its exit status; None if it was killed because it took too long."""
    seconds: float
    tail: str
    """The end of its output."""

    def failure(self, most: float) -> str | None:
        """Return in one line why it failed; None if it did not. most: the limit it had, in seconds."""
        if self.status == 0:
            return None
        if self.status is None:
            return took_more_than(most)
        lines = [line.strip() for line in self.tail.splitlines() if line.strip()]
        return lines[-1][:LINE] if lines else f"ended with status {self.status} and said nothing"


def took_more_than(most: float) -> str:
    """Return what is recorded of a command that was killed after `most` seconds."""
    return f"took more than {most:.0f} s"


def run(command: Sequence[str], most: float, log: Path, folder: Path | None = None) -> Ended:
    """Run `command` in `folder`, its output into the file `log`; kill it and its children after `most` seconds.

    It gets a process group of its own. A compiler cannot be interrupted from inside, so only killing the process
    keeps a limit.
    """
    began = time.monotonic()
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8") as out:
        try:
            process = subprocess.Popen(
                command, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
            )
        except OSError as error:
            out.write(f"{command[0]}: {error.strerror}\n")
            process = None
        status: int | None = 127
        if process is not None:
            try:
                status = process.wait(max(0.0, most))
            except subprocess.TimeoutExpired:
                status = None
            finally:  # also what it has left behind, and also after Ctrl-C
                kill_group(process)
    text = log.read_text(encoding="utf-8", errors="replace")
    return Ended(status, time.monotonic() - began, text[-TAIL:])


def kill_group(process: "subprocess.Popen[Any]") -> None:
    """Kill `process`, which leads a group, and everything in its group."""
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError, PermissionError):  # everything has ended
            os.killpg(process.pid, signal.SIGKILL)
    elif process.poll() is None:
        process.kill()
    process.wait()
