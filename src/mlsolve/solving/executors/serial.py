"""One task after the other, in this process."""

from collections.abc import Iterator, Sequence
from typing import Any

from ..backends import Backend
from .base import Task
from .resources import provided


class Serial:
    """Runs one task after the other, in this process."""

    workers = 1
    apart = False

    def __init__(self, backend: Backend) -> None:
        """Make tasks use `backend`, which `close` closes."""
        self._context = provided(backend)
        self._resources = self._context.__enter__()

    def map(self, task: Task, calls: Sequence[tuple[Any, ...]]) -> Iterator[tuple[int, Any]]:
        """Call task(*call) for each of `calls`, in order."""
        for number, call in enumerate(calls):
            yield number, task(*call)

    def reserve(self, size: int) -> None:
        """Use the same `size` bytes of main memory for the tiles to come."""
        self._resources.reserve(size)

    def drop(self) -> None:
        """Free the workspace. More tasks may follow."""
        self._resources.drop()

    def close(self) -> None:
        """Close the backend."""
        self._context.__exit__(None, None, None)
