"""A GPU that works on two tiles at a time."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ..backends import Backend
from .base import Task, carried_out
from .resources import provide


class Devices:
    """A GPU that works on two tiles at a time, each on its own stream.

    While it computes one tile, the other is read from disk and copied to the GPU, or copied back and written.
    """

    workers = 2
    apart = False

    def __init__(self, open_backend: Callable[[], Backend]) -> None:
        """open_backend: opens the GPU; called once for each stream."""
        self._backends: list[Backend] = []
        try:
            for _ in range(self.workers):
                self._backends.append(open_backend())
        except BaseException:  # the second could not be opened: release the first
            self._close_backends()
            raise
        waiting = list(self._backends)
        self._pool = ThreadPoolExecutor(self.workers, "mlsolve-gpu", lambda: provide(waiting.pop()))

    def map(self, task: Task, calls: Sequence[tuple[Any, ...]]) -> Iterator[tuple[int, Any]]:
        """Call task(*call) for each of `calls`, two at a time."""
        yield from carried_out(self._pool, self.workers, task, calls)

    def reserve(self, size: int) -> None:
        """Do nothing: tiles are in device memory."""

    def drop(self) -> None:
        """Keep the workspaces: their memory is on the GPU."""

    def close(self) -> None:
        """End the threads and free the device memory."""
        self._pool.shutdown(cancel_futures=True)
        self._close_backends()

    def _close_backends(self) -> None:
        for backend in self._backends:
            backend.close()
