"""A GPU, given two tiles at a time."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ..backends import Backend
from .base import Task, carried_out
from .resources import provide


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
        yield from carried_out(self._pool, self.workers, task, calls)

    def drop(self) -> None:
        """Leave the workspaces on the GPU: the memory is not this process'."""

    def close(self) -> None:
        """Give the device's memory back."""
        self._pool.shutdown(cancel_futures=True)
        self._close_backends()

    def _close_backends(self) -> None:
        for backend in self._backends:
            backend.close()
