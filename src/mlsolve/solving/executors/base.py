"""The interface of an executor, and the submission of tasks to a pool of threads or processes."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from concurrent.futures import Executor as Pool
from itertools import islice
from typing import Any, Protocol

Task = Callable[..., Any]


class Executor(Protocol):
    """Runs tasks."""

    @property
    def workers(self) -> int:
        """Tasks that run at the same time."""

    @property
    def apart(self) -> bool:
        """Whether tasks run in other processes.

        Then what they are given is pickled, they get no functions that report back, and they share no memory with
        the caller.
        """

    def map(self, task: Task, calls: Sequence[tuple[Any, ...]]) -> Iterator[tuple[int, Any]]:
        """Call task(*call) for each of `calls`; yield (number of the call, result) in the order they finish.

        An error in a task is raised here, once the other running tasks have ended and no further one has begun.
        """

    def reserve(self, size: int) -> None:
        """Be told that no tile to come needs more than `size` bytes of main memory."""

    def drop(self) -> None:
        """Free the memory that this process keeps between tasks. More tasks may follow."""

    def close(self) -> None:
        """End its threads and processes and release its backends."""


class Hands(Protocol):
    """Runs tasks that need no backend, in other processes."""

    def in_order(self, task: Task, calls: Sequence[tuple[Any, ...]]) -> Iterator[Any]:
        """Call task(*call) for each of `calls`; yield the results in order, holding few that come early."""


def carried_out(
    pool: Pool, workers: int, task: Task, calls: Sequence[tuple[Any, ...]]
) -> Iterator[tuple[int, Any]]:
    """Run the calls in `pool`, with one more submitted than it has workers; yield (number of the call, result).

    Submitted calls cannot always be cancelled, so the others wait here.
    """
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
        raise  # the pool ends the other calls itself, and fails if some are cancelled meanwhile
    except BaseException:
        # The caller may clean up after this, so no other task may still be writing.
        wait([future for future in under_way if not future.cancel()])
        raise
