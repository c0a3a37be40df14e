"""One or several GPUs, each of which works on two tiles at a time."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, Final, NamedTuple

from ..backends import Backend
from .base import Task, carried_out
from .resources import Resources, lent


class _Stream(NamedTuple):
    """A stream of a GPU, with a workspace of its own."""

    order: int
    number: int
    """Of the GPU."""
    resources: Resources


class Devices:
    """One or several GPUs, each of which works on two tiles at a time, each of these on its own stream.

    While a GPU computes one tile, the other is read from disk and copied to it, or copied back and written.
    """

    apart = False
    streams: Final = 2
    """Tiles at a time on a GPU."""

    def __init__(self, open_backend: Callable[[int], Backend], numbers: Sequence[int]) -> None:
        """open_backend: opens the GPU of a number; called once for each stream. numbers: of the GPUs.

        What it raises is raised here, once the streams that were opened are closed.
        """
        self.workers = self.streams * len(numbers)
        self._opened = ExitStack()
        self._free: list[_Stream] = []
        """The streams without a tile."""
        self._busy = dict.fromkeys(numbers, 0)
        """Tiles in progress on each GPU."""
        self._lock = threading.Lock()
        try:
            for order, number in enumerate((*numbers,) * self.streams):
                stream = _Stream(order, number, Resources(open_backend(number)))
                self._opened.callback(stream.resources.close)
                self._free.append(stream)
        except BaseException:
            self._opened.close()
            raise
        self._pool = ThreadPoolExecutor(self.workers, "mlsolve-gpu")

    def map(self, task: Task, calls: Sequence[tuple[Any, ...]]) -> Iterator[tuple[int, Any]]:
        """Call task(*call) for each of `calls`, two at a time on each GPU."""
        yield from carried_out(self._pool, self.workers, partial(self._on_a_stream, task), calls)

    def reserve(self, size: int) -> None:
        """Do nothing: tiles are in device memory."""

    def drop(self) -> None:
        """Keep the workspaces: their memory is on the GPUs."""

    def close(self) -> None:
        """End the threads and free the device memory, on all GPUs even if one fails."""
        self._pool.shutdown(cancel_futures=True)
        self._opened.close()

    def _on_a_stream(self, task: Task, *call: Any) -> Any:
        with self._stream() as resources, lent(resources):
            return task(*call)

    @contextmanager
    def _stream(self) -> Iterator[Resources]:
        """Take a stream; there are as many as threads, so one is free.

        It is one of the GPU that is least busy, so that no GPU has two tiles while another has none. Where there is
        a choice it is always the same one: one tile after another takes one workspace.
        """
        with self._lock:
            stream = min(self._free, key=lambda one: (self._busy[one.number], one.order))
            self._free.remove(stream)
            self._busy[stream.number] += 1
        try:
            yield stream.resources
        finally:
            with self._lock:
                self._free.append(stream)
                self._busy[stream.number] -= 1
