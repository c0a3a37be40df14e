"""Who carries tasks out: this process, several of them, or a GPU. A task is a plain function of plain arguments, so
that a cluster's scheduler could be one more."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from concurrent.futures import Executor as Pool
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import Any, Final, Protocol

from ..backends import Backend
from ..errors import ProcessError
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
        """Call task(*call) for each of `calls`, as processes come free.

        Raises MlsolveError if a process is killed.
        """
        try:
            yield from _carried_out(self._pool, self.workers, task, calls)
        except BrokenProcessPool:
            self._pool.shutdown()  # returns once the other processes are killed as well
            raise ProcessError(
                f"a process of --processes {self.workers} ended unexpectedly, most likely for want of memory: "
                "use fewer --processes or a smaller --memory"
            ) from None

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
        self._backends: list[Backend] = []
        try:
            for _ in range(self.workers):
                self._backends.append(open_backend())
        except BaseException:  # the second cannot be had: the first is given back
            self._close_backends()
            raise
        waiting = list(self._backends)
        self._pool = ThreadPoolExecutor(self.workers, "mlsolve-gpu", lambda: provide(waiting.pop()))

    def map(self, task: Task, calls: Sequence[tuple[Any, ...]]) -> Iterator[tuple[int, Any]]:
        """Call task(*call) for each of `calls`, two at a time."""
        yield from _carried_out(self._pool, self.workers, task, calls)

    def close(self) -> None:
        """Give the device's memory back."""
        self._pool.shutdown(cancel_futures=True)
        self._close_backends()

    def _close_backends(self) -> None:
        for backend in self._backends:
            backend.close()


def _carried_out(
    pool: Pool, workers: int, task: Task, calls: Sequence[tuple[Any, ...]]
) -> Iterator[tuple[int, Any]]:
    """Give `pool` the calls, one more at a time than it has workers: what it was given it may not give back."""
    waiting, under_way = iter(enumerate(calls)), dict[Future[Any], int]()
    try:
        while True:
            for number, call in islice(waiting, workers + 1 - len(under_way)):
                under_way[pool.submit(task, *call)] = number
            if not under_way:
                return
            for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                yield under_way.pop(future), future.result()
    except BrokenExecutor:
        raise  # it ends the others itself, and stumbles over those that are cancelled meanwhile
    except BaseException:
        # Whoever cleans up after this must not have others write meanwhile.
        wait([future for future in under_way if not future.cancel()])
        raise


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
