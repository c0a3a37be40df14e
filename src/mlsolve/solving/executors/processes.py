"""Several processes on this machine."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Final

from ...errors import ProcessError
from .base import Task, carried_out
from .resources import provide

_LOOKS: Final = 1.0
"""Seconds between two checks of a process whether its parent still runs."""


class Processes:
    """Several processes on this machine, each with its own team of threads."""

    apart = True

    def __init__(self, workers: int, threads: int) -> None:
        """Start `workers` processes of `threads` threads each."""
        self.workers = workers
        # Not "fork": it is unsafe in a process with threads, and some systems do not have it.
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(workers, context, _begin_process, (threads, os.getpid()))

    def map(self, task: Task, calls: Sequence[tuple[Any, ...]]) -> Iterator[tuple[int, Any]]:
        """Call task(*call) for each of `calls` as processes become free.

        Raises ProcessError if a process is killed.
        """
        try:
            yield from carried_out(self._pool, self.workers, task, calls)
        except BrokenProcessPool:
            self._pool.shutdown()  # returns once the other processes have been killed, too
            raise ProcessError(
                f"a process of --processes {self.workers} ended unexpectedly, most likely because memory ran out: "
                "use fewer --processes or a smaller --memory"
            ) from None

    def reserve(self, size: int) -> None:
        """Do nothing: each process solves tiles of one size after the other."""

    def drop(self) -> None:
        """Keep the workspaces: their memory belongs to the other processes."""

    def close(self) -> None:
        """End the processes once they have finished their present tasks."""
        self._pool.shutdown(cancel_futures=True)


def _begin_process(threads: int, parent: int) -> None:
    """Prepare a process of the pool: it ignores Ctrl-C, which its parent handles, and ends with its parent."""
    from ..backends import CpuBackend
    from ..spec import BETAS

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    provide(CpuBackend(threads, BETAS))


def _end_with(parent: int) -> None:
    """End this process when `parent` has ended, for whatever reason: no more tasks would come."""
    while os.getppid() == parent:
        time.sleep(_LOOKS)
    os._exit(1)
