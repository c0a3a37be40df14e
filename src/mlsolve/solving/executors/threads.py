"""Several threads of this process, for tasks that need no backend, such as those that make pictures."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from .base import Executor, Task, carried_out


class Threads:
    """Several threads of this process. They have no backend, and share what the tasks are given."""

    apart = False

    def __init__(self, workers: int) -> None:
        """Start `workers` threads; if it is 1, none: the thread that calls `map` does the work."""
        self.workers = workers
        self._pool = ThreadPoolExecutor(workers, "mlsolve-pictures") if workers > 1 else None

    def map(self, task: Task, calls: Sequence[tuple[Any, ...]]) -> Iterator[tuple[int, Any]]:
        """Call task(*call) for each of `calls`, in several threads."""
        if self._pool is not None:
            yield from carried_out(self._pool, self.workers, task, calls)
            return
        for number, call in enumerate(calls):
            yield number, task(*call)

    def reserve(self, size: int) -> None:
        """Do nothing: its tasks solve no tiles."""

    def drop(self) -> None:
        """Do nothing: tasks leave nothing behind."""

    def close(self) -> None:
        """End the threads."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)


@contextmanager
def without_backend(executor: Executor, workers: int) -> Iterator[Executor]:
    """Yield what runs tasks that need no backend, beside `executor`: itself if apart, else `workers` threads."""
    if executor.apart:
        yield executor
        return
    threads = Threads(workers)
    try:
        yield threads
    finally:
        threads.close()
