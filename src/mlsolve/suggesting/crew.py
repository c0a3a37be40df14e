"""Threads that solve side by side, each small solve in one thread: they are too small to share."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import TypeVar

from mlsolve_kernels.threads import available_cores

Item = TypeVar("Item")
Result = TypeVar("Result")


class Crew:
    """Threads for many small tasks; use it in a `with` block. Results do not depend on their number."""

    def __init__(self, threads: int | None = None) -> None:
        """threads: None: one per core."""
        self._pool = ThreadPoolExecutor(threads or available_cores(), "mlsolve-suggest")
        self._left = threading.Event()

    def map(self, task: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """Return task(item) for every item, in order. Ctrl-C ends it once the tasks that have begun are done."""
        futures = [self._pool.submit(self._do, task, item) for item in items]
        return [future.result() for future in futures]

    def _do(self, task: Callable[[Item], Result], item: Item) -> Result:
        if self._left.is_set():
            raise KeyboardInterrupt
        return task(item)

    def __enter__(self) -> "Crew":
        """Return it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the threads, at once if there was an error."""
        self._left.set()
        self._pool.shutdown(cancel_futures=True)
