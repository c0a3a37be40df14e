"""What an executor is, and how a pool of threads or processes is given its tasks."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from concurrent.futures import Executor as Pool
from itertools import islice
from typing import Any, Protocol

Task = Callable[..., Any]


class Executor(Protocol):
    """Carries tasks out."""

    workers: int
    """Tasks that run at a time."""

    def map(self, task: Task, calls: Sequence[tuple[Any, ...]]) -> Iterator[tuple[int, Any]]:
        """Call task(*call) for each of `calls`; yield (number of the call, what it returned) as they come.

        What a task raises is raised here, once the others have ended or were never begun.
        """

    def drop(self) -> None:
        """Give back the memory that tasks so far took, where it is this process'; more tasks may come."""

    def close(self) -> None:
        """End what was started."""


def carried_out(
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
