"""Who carries tasks out: this process, several of them, or a GPU. A task is a plain function of plain arguments, so
that a cluster's scheduler could be one more."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from typing import Any, Final, Protocol

from ..backends import Backend
from .resources import provide, provided

Task = Callable[..., Any]

_LOOKS: Final = 1.0
"""Seconds between a process' looks whether the one that started it is still there."""


class Executor(Protocol):
    """Carries tasks out."""

    workers: int
    """Tasks that run at a time."""

    def map(self, task: Task, calls: Sequence[tuple[Any, ...]]) -> Iterator[tuple[int, Any]]:
        """Call task(*call) for each of `calls`; yield (number of the call, what it returned) as they come.

        What a task raises is raised here, once the others have ended or were never begun.
        """

    def close(self) -> None:
        """End what was started."""


class Serial:
    """One task after the other, here."""

    workers = 1

    def __init__(self, backend: Backend) -> None:
        """Let tasks use `backend`, which is closed in the end."""
        self._context = provided(backend)
        self._resources = self._context.__enter__()

    def map(self, task: Task, calls: Sequence[tuple[Any, ...]]) -> Iterator[tuple[int, Any]]:
        """Call task(*call) for each of `calls`, in their order."""
        for number, call in enumerate(calls):
            yield number, task(*call)

    def drop(self) -> None:
        """Give the memory back that the tasks until now took; more of them may come."""
        self._resources.drop()

    def close(self) -> None:
        """Close the backend."""
        self._context.__exit__(None, None, None)


class Processes:
    """Several processes on this machine, each with a team of threads of its own."""

    def __init__(self, workers: int, threads: int) -> None:
        """Start `workers` processes of `threads` threads each."""
        self.workers = workers
        # Not forked: a process that has threads cannot be, and on some systems there is no fork.
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(workers, context, _begin_process, (threads, os.getpid()))

    def map(self, task: Task, calls: Sequence[tuple[Any, ...]]) -> Iterator[tuple[int, Any]]:
        """Call task(*call) for each of `calls`, as processes come free."""
        yield from _in_order_of_completion([self._pool.submit(task, *call) for call in calls])

    def close(self) -> None:
        """End the processes, once they have finished what they are at."""
        self._pool.shutdown(cancel_futures=True)


class Devices:
    """A GPU that is given two tiles at a time, on streams of their own.

    While it computes one, the other is read from disk and copied to it, or copied back and written.
    """

    workers = 2

    def __init__(self, open_backend: Callable[[], Backend]) -> None:
        """open_backend: opens the GPU, once for each stream."""
        self._backends = [open_backend() for _ in range(self.workers)]
        waiting = list(self._backends)
        self._pool = ThreadPoolExecutor(self.workers, "mlsolve-gpu", lambda: provide(waiting.pop()))

    def map(self, task: Task, calls: Sequence[tuple[Any, ...]]) -> Iterator[tuple[int, Any]]:
        """Call task(*call) for each of `calls`, two at a time."""
        yield from _in_order_of_completion([self._pool.submit(task, *call) for call in calls])

    def close(self) -> None:
        """Give the device's memory back."""
        self._pool.shutdown(cancel_futures=True)
        for backend in self._backends:
            backend.close()


def _in_order_of_completion(futures: list[Future[Any]]) -> Iterator[tuple[int, Any]]:
    numbers = {future: number for number, future in enumerate(futures)}
    try:
        for future in as_completed(futures):
            yield numbers[future], future.result()
    finally:
        for future in futures:
            future.cancel()


def _begin_process(threads: int, parent: int) -> None:
    """Prepare a process of the pool: Ctrl-C is for its parent, and without that it ends."""
    from ..backends import CpuBackend
    from .problem import BETAS

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    provide(CpuBackend(threads, BETAS))


def _end_with(parent: int) -> None:
    """End this process when `parent` has ended, in whatever way: nobody would ask it for anything any more."""
    while os.getppid() == parent:
        time.sleep(_LOOKS)
    os._exit(1)
