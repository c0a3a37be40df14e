"""Threads that solve side by side, each small solve in one thread: they are too small to share."""

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

    def map(self, task: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """Return task(item) for every item, in order. An error in one, or Ctrl-C, ends it."""
        futures = [self._pool.submit(task, item) for item in items]
        return [future.result() for future in futures]

    def __enter__(self) -> "Crew":
        """Return it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the threads once the tasks that have begun are done; the others are dropped."""
        self._pool.shutdown(cancel_futures=True)
