"""The executor of a cluster: it gives each task to a worker that is ready, and waits for no particular worker."""

import math
import queue
import statistics
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

from ..errors import ClusterError, ProcessError, StoreError
from ..solving.executors.base import Task
from .crew import Crew, Worker
from .link import Answer, LostScheduler, Submitted, Waits, wait_only
from .worker import carry_out

PATIENCE: Final = 40.0
"""Seconds for which a run waits for a scheduler to come back, or for a worker that can take a task."""

STRAGGLING: Final = 2.0
"""A task that takes this many times the median is given to another worker too, once one has nothing else to do."""

_SHORTEST: Final = 1.0
"""Seconds that a task must have taken before it is given to another worker too."""

_TICK: Final = 0.25
"""Seconds between two looks at the workers while no task ends."""

_AGAIN: Final = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
"""Seconds until a task that finds the store damaged is tried again: a host may see for a while what was before."""

_DEADLY: Final = 4
"""Workers that may end while they have one task; then it is the task."""

_LEAVING: Final = 2.0
"""Seconds for which tasks under way are waited for when the caller has had enough."""


@dataclass(eq=False)
class _Attempt:
    """A call that a worker was given."""

    number: int
    worker: Worker
    of: "_Calls"
    began: float = field(default_factory=time.monotonic)


@dataclass(eq=False)
class _Calls:
    """The calls of one `map`."""

    waiting: deque[int]
    """Numbers of calls that no worker has."""
    under_way: dict[int, list[_Attempt]] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    """What those that are done took."""
    lost: dict[int, int] = field(default_factory=dict)
    """How many workers went away with a call."""
    failed: dict[int, int] = field(default_factory=dict)
    """How many times a call found the store damaged."""
    later: list[tuple[float, int]] = field(default_factory=list)
    """When to try such calls again, and their numbers."""

    @property
    def unfinished(self) -> bool:
        return bool(self.waiting or self.under_way or self.later)

    def wake(self) -> None:
        """Let calls wait again whose time has come."""
        now = time.monotonic()
        self.waiting.extendleft(number for when, number in self.later if when <= now)
        self.later = [one for one in self.later if one[0] > now]


class Cluster:
    """Runs tasks on the workers of a crew.

    Every task is given to one worker by name; Dask does not choose. So a worker that has not proved itself gets
    none; one that is frozen or cut off is not waited for, because others are given its tasks as well; and a
    scheduler that is started again gets all tasks again. Two workers may be given the same task.
    """

    apart = True

    def __init__(self, crew: Crew, waits: Waits = wait_only) -> None:
        """Use the workers of `crew`; waits: is called while tasks are under way."""
        self._crew, self._waits = crew, waits
        self._answers: queue.SimpleQueue[tuple[_Attempt, Submitted]] = queue.SimpleQueue()

    @property
    def workers(self) -> int:
        """Tasks that run at the same time."""
        return max(1, sum(self._room(one, None) for one in self._crew.ready))

    def map(
        self, task: Task, calls: Sequence[tuple[Any, ...]], each: int | None = None, ahead: int | None = None
    ) -> Iterator[tuple[int, Any]]:
        """Call task(*call) for each of `calls`; yield (number of the call, result) in the order they finish.

        each: tasks that a worker runs at the same time, which then have no backend; None: as many tiles as it can.
        ahead: how many calls beyond the first one that is not finished may begin; None: any number. Raises what a
        task raises, ClusterError if there is no worker for long, and ProcessError if workers end again and again
        while they have the same task.
        """
        mine, lonely = _Calls(deque(range(len(calls)))), time.monotonic()
        try:
            while mine.unfinished:
                self._waits(self._crew.names, self._crew.present)
                lonely = self._look(mine, lonely)
                mine.wake()
                self._give(mine, task, calls, each, ahead)
                ended = self._ended()
                # Workers get their next tasks before the results of the last ones are fetched, which takes longer.
                self._give(mine, task, calls, each, ahead)
                for attempt, answer in self._answered(ended):
                    found = self._take(attempt, answer)
                    if found is not None and attempt.of is mine:
                        yield found
        except (ClusterError, ProcessError, KeyboardInterrupt):
            raise  # nobody to wait for, or no time
        except BaseException:
            self._let_finish(mine)
            raise

    def reserve(self, size: int) -> None:
        """Do nothing: each worker solves tiles of one size after the other."""

    def drop(self) -> None:
        """Do nothing: workers give back their memory when they have had no task for some time."""

    def close(self) -> None:
        """Do nothing: who opened the link closes it, as more tasks may follow."""

    def _look(self, mine: _Calls, lonely: float) -> float:
        """See who is there; return since when nobody could take a task.

        Calls whose workers are gone wait again. Raises ClusterError after PATIENCE seconds without anybody.
        """
        crew, now = self._crew, time.monotonic()
        try:
            crew.look()
        except LostScheduler:
            self._regain(mine)
            return time.monotonic()
        for number, attempts in list(mine.under_way.items()):
            for one in list(attempts):
                if crew.workers.get(one.worker.address) is not one.worker:
                    attempts.remove(one)
                    self._lost(mine, number, one)
            if not attempts:
                del mine.under_way[number]
                mine.waiting.appendleft(number)
        if crew.ready:
            return now
        if now - lonely > PATIENCE:
            raise ClusterError(f"cluster {crew.link.address} has had no worker for {PATIENCE:.0f} s: start some")
        return lonely

    def _lost(self, mine: _Calls, number: int, attempt: _Attempt) -> None:
        mine.lost[number] = mine.lost.get(number, 0) + 1
        if mine.lost[number] >= _DEADLY:
            raise ProcessError(
                f"{_DEADLY} workers ended while they had the same task, the last one {attempt.worker.address}, "
                "most likely because memory ran out: give a smaller --memory, or workers more"
            )

    def _regain(self, mine: _Calls) -> None:
        """Connect to the scheduler again; all calls under way wait again."""
        crew, end = self._crew, time.monotonic() + PATIENCE
        self._waits((), 0)
        while not crew.link.regain(self._waits):
            if time.monotonic() > end:
                raise ClusterError(
                    f"cluster {crew.link.address} has not answered for {PATIENCE:.0f} s: start its scheduler and "
                    "workers again"
                )
            time.sleep(_TICK)
        crew.forget_all()
        mine.waiting.extendleft(sorted(mine.under_way, reverse=True))
        mine.under_way.clear()

    def _give(
        self, mine: _Calls, task: Task, calls: Sequence[tuple[Any, ...]], each: int | None, ahead: int | None
    ) -> None:
        """Give calls to the workers that have room."""
        last = len(calls)
        if ahead is not None:
            left = [*mine.waiting, *mine.under_way, *(number for _, number in mine.later)]
            last = min(left, default=0) + ahead
        for worker in sorted(self._crew.ready, key=lambda one: one.under_way):
            while worker.under_way < self._room(worker, each):
                number = self._next(mine, worker, last)
                if number is None:
                    break
                attempt = _Attempt(number, worker, mine)
                place = self._crew.place_of(worker) if each is None else None

                def done(call: Submitted, attempt: _Attempt = attempt) -> None:
                    self._answers.put((attempt, call))

                try:
                    self._crew.link.submit(worker.address, done, carry_out, place, task, calls[number])
                except LostScheduler:
                    if number not in mine.under_way:
                        mine.waiting.appendleft(number)
                    return  # the next look finds out, too
                mine.under_way.setdefault(number, []).append(attempt)
                worker.under_way += 1

    def _next(self, mine: _Calls, worker: Worker, last: int) -> int | None:
        """Return the number of the call that `worker` is to be given; None: none."""
        if mine.waiting:
            return mine.waiting.popleft() if mine.waiting[0] < last else None
        now, usual = time.monotonic(), statistics.median(mine.seconds) if mine.seconds else None
        late: list[tuple[float, int]] = []
        for number, attempts in mine.under_way.items():
            if any(one.worker is worker for one in attempts):
                continue
            heard = [one for one in attempts if not one.worker.silent]
            since = min((one.began for one in heard), default=0.0)
            slow = usual is not None and now - since > max(STRAGGLING * usual, _SHORTEST)
            if not heard or (slow and len(heard) == 1):
                late.append((since, number))
        return min(late)[1] if late else None

    def _room(self, worker: Worker, each: int | None) -> int:
        """Return how many tasks `worker` may have at the same time."""
        return (
            min(self._crew.place_of(worker).streams, worker.threads) if each is None else min(each, worker.threads)
        )

    def _ended(self) -> list[tuple[_Attempt, Submitted]]:
        """Wait for a call to end, but not long; return all that have, whose workers have room again."""
        found: list[tuple[_Attempt, Submitted]] = []
        with suppress(queue.Empty):
            found.append(self._answers.get(timeout=_TICK))
            while True:
                found.append(self._answers.get_nowait())
        for attempt, _ in found:
            attempt.worker.under_way = max(0, attempt.worker.under_way - 1)
        return found

    def _answered(self, ended: list[tuple[_Attempt, Submitted]]) -> list[tuple[_Attempt, Answer]]:
        """Return what became of calls that have ended."""
        answers = self._crew.link.answers([call for _, call in ended])
        return [(attempt, answer) for (attempt, _), answer in zip(ended, answers, strict=True)]

    def _take(self, attempt: _Attempt, answer: Answer) -> tuple[int, Any] | None:
        """Take an answer; return the number and the result of a call if it is the first answer to it."""
        mine, number = attempt.of, attempt.number
        attempts = mine.under_way.get(number)
        if attempts is None or attempt not in attempts:
            return None
        attempts.remove(attempt)
        if answer.kind == "result":
            del mine.under_way[number]
            mine.seconds.append(time.monotonic() - attempt.began)
            return number, answer.value
        if answer.kind == "error":
            times = mine.failed.get(number, 0)
            mine.failed[number] = times + 1
            if attempts:  # another worker may succeed
                return None
            if not isinstance(answer.value, StoreError) or times >= len(_AGAIN):
                raise answer.value
            del mine.under_way[number]
            mine.later.append((time.monotonic() + _AGAIN[times], number))
            return None
        self._lost(mine, number, attempt)
        if not attempts:
            del mine.under_way[number]
            mine.waiting.appendleft(number)
        return None

    def _let_finish(self, mine: _Calls) -> None:
        """Wait for tasks under way, so that what they have computed is kept.

        Workers of this machine end with the run, so theirs are waited for to the end. Others finish them anyway. A
        second Ctrl-C ends the waiting.
        """
        end = math.inf if self._crew.link.ends_workers else time.monotonic() + _LEAVING
        while mine.under_way and time.monotonic() < end:
            there = self._crew.workers
            for attempts in list(mine.under_way.values()):
                attempts[:] = [one for one in attempts if there.get(one.worker.address) is one.worker]
                attempts[:] = [one for one in attempts if not one.worker.silent]
            mine.under_way = {number: attempts for number, attempts in mine.under_way.items() if attempts}
            try:
                for attempt, answer in self._answered(self._ended()):
                    self._take(attempt, answer)
                self._crew.look()
            except KeyboardInterrupt:
                return  # the caller is on its way out already
            except Exception:
                continue  # the caller has another error, or none that matters


class Hands:
    """The same workers for tasks that need no backend: each runs several at a time, one for each of its threads."""

    apart = True

    def __init__(self, cluster: Cluster, each: int) -> None:
        """each: tasks that a worker may run at the same time."""
        self._cluster, self._each = cluster, each

    @property
    def workers(self) -> int:
        """Tasks that run at the same time."""
        return self._cluster.workers * self._each

    def map(self, task: Task, calls: Sequence[tuple[Any, ...]]) -> Iterator[tuple[int, Any]]:
        """Call task(*call) for each of `calls`; yield (number of the call, result) in the order they finish."""
        yield from self._cluster.map(task, calls, self._each)

    def in_order(self, task: Task, calls: Sequence[tuple[Any, ...]]) -> Iterator[Any]:
        """Call task(*call) for each of `calls`; yield the results in order. Few of them wait for others."""
        held, following = dict[int, Any](), count()
        wanted = next(following)
        for number, result in self._cluster.map(task, calls, self._each, 2 * self.workers + 2):
            held[number] = result
            while wanted in held:
                yield held.pop(wanted)
                wanted = next(following)

    def reserve(self, size: int) -> None:
        """Do nothing: these tasks solve no tiles."""

    def drop(self) -> None:
        """Do nothing: tasks leave nothing behind."""

    def close(self) -> None:
        """Do nothing: the cluster is closed by who opened it."""
