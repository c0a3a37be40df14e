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
"""Seconds between a process' looks whether the one that started it is still there."""


class Processes:
    """Several processes on this machine, each with a team of threads of its own."""

    def __init__(self, workers: int, threads: int) -> None:
        """Start `workers` processes of `threads` threads each."""
        self.workers = workers
        # Not forked: a process that has threads cannot be, and on some systems there is no fork.
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(workers, context, _begin_process, (threads, os.getpid()))

    def map(self, task: Task, calls: Sequence[tuple[Any, ...]]) -> Iterator[tuple[int, Any]]:
        """Call task(*call) for each of `calls`, as processes come free.

        Raises MlsolveError if a process is killed.
        """
        try:
            yield from carried_out(self._pool, self.workers, task, calls)
        except BrokenProcessPool:
            self._pool.shutdown()  # returns once the other processes are killed as well
            raise ProcessError(
                f"a process of --processes {self.workers} ended unexpectedly, most likely for want of memory: "
                "use fewer --processes or a smaller --memory"
            ) from None

    def drop(self) -> None:
        """Leave each process its workspace: the memory is not this one's."""

    def close(self) -> None:
        """End the processes, once they have finished what they are at."""
        self._pool.shutdown(cancel_futures=True)


def _begin_process(threads: int, parent: int) -> None:
    """Prepare a process of the pool: Ctrl-C is for its parent, and without that it ends."""
    from ..backends import CpuBackend
    from ..spec import BETAS

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    provide(CpuBackend(threads, BETAS))


def _end_with(parent: int) -> None:
    """End this process when `parent` has ended, in whatever way: nobody would ask it for anything any more."""
    while os.getppid() == parent:
        time.sleep(_LOOKS)
    os._exit(1)
