"""One task after the other, in this process."""

from collections.abc import Iterator, Sequence
from typing import Any

from ..backends import Backend
from .base import Task
from .resources import provided


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
