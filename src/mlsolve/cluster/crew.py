"""The workers of a run: who is there, who has proved to compute the same bytes, and who is left out, and why."""

import queue
import secrets
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from ..errors import ClusterError, OutputError
from ..solving.spec import Spec
from ..system.files import write_bytes
from ..system.memory import in_words
from .link import Link, LostScheduler, Seen, Submitted, Waits, wait_only
from .worker import Place, appears, introduce, try_out, what_bytes_depend_on

ASSEMBLING: Final = 50.0
"""Seconds within which the first worker must have proved itself."""

_INTRODUCING: Final = 45.0
"""Seconds for which a run waits at its beginning for workers that were there then."""

SILENT: Final = 8.0
"""Seconds after which a worker that is not heard gets no more tasks, and its tasks are given to others as well."""

_LOOKS: Final = 0.5
"""Seconds between two looks at who is there."""

State = Literal["introducing", "introduced", "trying", "ready", "out"]


@dataclass(eq=False)
class Worker:
    """A worker, and how far it has come."""

    address: str
    threads: int
    state: State = "introducing"
    found: dict[str, Any] = field(default_factory=dict)
    """How it introduced itself."""
    answer: Path | None = None
    """The file that it writes while it introduces itself."""
    stamp: float = 0.0
    """The scheduler's time when it was last heard."""
    heard: float = 0.0
    """The same by this process's clock."""
    under_way: int = 0
    """Tasks that it has been given and not answered."""

    @property
    def name(self) -> str:
        """Its address and, once it is known, its host."""
        host = self.found.get("name")
        return f"{self.address} on {host}" if host else self.address

    @property
    def silent(self) -> bool:
        """Whether it has not been heard for long."""
        return time.monotonic() - self.heard > SILENT


@dataclass(frozen=True)
class Trial:
    """What a worker must show before its first task."""

    place: str
    """The backend: "cpu" or "cuda"."""
    spec: Spec
    """Of a few pixels."""
    threads: int | None = None
    """Most threads of a worker; None: as many as it has."""
    digest: str | None = None
    """Of the layers that it must find; None: what the first worker finds."""
    device: str | None = None
    """The GPU that it must have; None with "cuda": what the first one has."""
    adam: str | None = None
    """How Adam is compiled for that."""


@dataclass(frozen=True)
class Means:
    """What the workers that are ready have at least."""

    workers: int
    memory: int | None
    """Bytes that each may use; None: unknown."""
    threads: int
    """The most threads of any of them."""
    device: str | None
    adam: str | None
    device_memory: int | None


class Crew:
    """The workers behind a link. `look` must be called again and again: workers come and go."""

    def __init__(self, link: Link, root: Path, backend: str, memory: int | None, waits: Waits = wait_only) -> None:
        """root: the folder of the run. backend: what the job asks for. memory: bytes for each worker, if given."""
        self.link, self._root, self._memory, self._waits = link, root, memory, waits
        self._asks_for_gpu = backend != "cpu"
        self.workers: dict[str, Worker] = {}
        self.trial: Trial | None = None
        self._needed: int | None = None
        self._room = 0
        self._answers: queue.SimpleQueue[tuple[Worker, Submitted, Callable[[Worker, Any], None]]]
        self._answers = queue.SimpleQueue()
        self._content = secrets.token_hex(16)
        self._token = root / f".token.partial-{self._content[:12]}"
        self._looked = 0.0
        self._told: set[str] = set()
        write_bytes(self._token, self._content.encode())

    def close(self) -> None:
        """Remove the files by which workers show that they see the folder."""
        for path in (self._token, *(w.answer for w in self.workers.values() if w.answer is not None)):
            path.unlink(missing_ok=True)

    @property
    def ready(self) -> list[Worker]:
        """The workers that may be given tasks, and are heard."""
        return [one for one in self.workers.values() if one.state == "ready" and not one.silent]

    @property
    def names(self) -> tuple[str, ...]:
        """The workers that are ready, as they are told: with address and host."""
        return tuple(one.name for one in self.ready)

    @property
    def present(self) -> int:
        """How many workers there are that are not left out, ready or not."""
        return sum(one.state != "out" for one in self.workers.values())

    def meet(self) -> None:
        """Wait until those who are there have introduced themselves; raises ClusterError if nobody does."""
        self._wait(lambda one: one.state not in ("introducing",), "introduced")

    def try_out(self, trial: Trial) -> None:
        """Have all workers do `trial`, also those that come later; wait until one is ready.

        Raises ClusterError if none is.
        """
        self.trial = trial
        self._wait(lambda one: one.state in ("ready", "out"), "ready")

    def require_memory(self, needed: int) -> None:
        """Leave out workers that have less memory than `needed` bytes, unless that are all; also later ones."""
        able = [one for one in self.ready if (self.memory_of(one) or needed) >= needed]
        if not able:
            return
        self._needed = needed
        for one in list(self.workers.values()):
            if one.state == "ready":
                self._check_memory(one)

    def require_room(self, needed: int) -> None:
        """Leave out workers that see less than `needed` bytes free in the folder of the run; also later ones.

        Raises ClusterError if that are all.
        """
        self._room = needed
        for one in list(self.workers.values()):
            if one.state == "ready":
                self._check_room(one)
        if not self.ready:
            raise ClusterError(self._nobody())

    def memory_of(self, worker: Worker) -> int | None:
        """Return the bytes that a worker may use: the figure given, or its share of half of what is free there."""
        if self._memory is not None:
            return self._memory
        free = worker.found["memory"]
        beside = [one for one in self.workers.values() if one.found.get("host") == worker.found["host"]]
        return None if free is None else int(free) // 2 // max(1, len(beside))

    @property
    def means(self) -> Means:
        """What the workers that are ready have at least."""
        ready = self.ready
        if not ready:
            raise ClusterError(self._nobody())
        assert self.trial is not None
        known = [size for size in map(self.memory_of, ready) if size is not None]
        on_gpus = [one.found["gpu_memory"] for one in ready if one.found["gpu_memory"] is not None]
        on_gpu = min(on_gpus, default=None) if self.trial.place == "cuda" else None
        return Means(
            len(ready),
            min(known, default=None),
            max(self.place_of(one).threads for one in ready),
            self.trial.device,
            self.trial.adam,
            on_gpu,
        )

    def described(self) -> list[dict[str, Any]]:
        """Return what the workers are that are ready: their address, host, threads, memory in bytes, and GPU."""
        return [
            {
                "address": one.address,
                "host": one.found["name"],
                "threads": self.place_of(one).threads,
                "memory": self.memory_of(one),
                "gpu": one.found["gpu"],
            }
            for one in self.ready
        ]

    def place_of(self, worker: Worker) -> Place:
        """Return how tasks are carried out on a worker."""
        assert self.trial is not None
        threads = worker.threads if self.trial.threads is None else min(worker.threads, self.trial.threads)
        return Place(self.trial.place, threads)

    def look(self) -> None:
        """See who is there, and let those who are new prove themselves. Raises LostScheduler."""
        if time.monotonic() - self._looked >= _LOOKS:
            self._looked = time.monotonic()
            self._see(self.link.workers())
        while not self._answers.empty():
            worker, call, then = self._answers.get()
            if self.workers.get(worker.address) is not worker:
                continue
            answer = call.answer()
            if answer.kind == "result":
                then(worker, answer.value)
            elif answer.kind == "error":
                self._leave_out(worker, _reason(answer.value))
            else:  # whether it is still there is seen at the next look
                self.workers.pop(worker.address, None)

    def forget_all(self) -> None:
        """Forget all workers: the scheduler is a new one."""
        self.workers.clear()
        self._looked = 0.0

    def _see(self, seen: dict[str, Seen]) -> None:
        for address in self.workers.keys() - seen.keys():
            del self.workers[address]
        for address, one in seen.items():
            known = self.workers.get(address)
            if known is None:
                known = self.workers[address] = Worker(address, one.threads)
                self._introduce(known)
            if one.heard != known.stamp:
                known.stamp, known.heard = one.heard, time.monotonic()
        if self.trial is not None:
            for known in list(self.workers.values()):
                if known.state == "introduced":
                    self._try(known)

    def _introduce(self, worker: Worker) -> None:
        if not self._token.exists():  # the folder was cleared when the run began
            write_bytes(self._token, self._content.encode())
        worker.answer = self._root / f".answer.partial-{secrets.token_hex(6)}"
        question = {
            "token": str(self._token),
            "answer": str(worker.answer),
            "content": self._content,
            "gpu": self._asks_for_gpu,
        }
        self._ask(worker, self._introduced, introduce, question)

    def _introduced(self, worker: Worker, found: dict[str, Any]) -> None:
        worker.found = found
        here, there = what_bytes_depend_on(), found["depends"]
        differing = [name for name in sorted(here.keys() | there.keys()) if here.get(name) != there.get(name)]
        if differing:
            name = differing[0]
            self._leave_out(
                worker,
                f"{name} is {_brief(there.get(name))}, here it is {_brief(here.get(name))}: install the same there",
            )
        elif found["store"]:
            self._leave_out(worker, found["store"])
        elif worker.answer is not None and not appears(worker.answer, self._content):
            self._leave_out(worker, f"what it writes into {self._root} is not seen here")
        elif self._memory is not None and found["memory"] is not None and found["memory"] < self._memory:
            free = in_words(found["memory"])
            self._leave_out(worker, f"it has {free} free of the --memory {in_words(self._memory)}: give less")
        else:
            worker.state = "introduced"

    def _try(self, worker: Worker) -> None:
        trial = self.trial
        assert trial is not None
        if trial.place == "cuda" and worker.found["gpu"] is None:
            self._leave_out(worker, "it has no GPU that works: mend that, or give --backend cpu")
            return
        worker.state = "trying"
        self._ask(worker, self._tried, try_out, self.place_of(worker), trial.spec)

    def _tried(self, worker: Worker, found: tuple[str, str | None, str | None]) -> None:
        digest, device, adam = found
        trial = self.trial
        assert trial is not None
        if trial.digest is None:
            self.trial = trial = Trial(trial.place, trial.spec, trial.threads, digest, device, adam)
        if trial.place == "cuda" and trial.device is not None and device != trial.device:
            self._leave_out(worker, f"it has a {device}, the run uses a {trial.device}")
        elif trial.place == "cuda" and trial.adam is not None and adam != trial.adam:
            self._leave_out(worker, f"Adam is compiled by {adam} there, the run uses {trial.adam}")
        elif digest != trial.digest:
            self._leave_out(worker, "it computes other bytes, its processor may be of another kind")
        else:
            worker.state = "ready"
            self._check_memory(worker)
            self._check_room(worker)

    def _check_room(self, worker: Worker) -> None:
        free = int(worker.found["disk"])
        if free < self._room:
            sees = f"it sees {in_words(free)} free in {self._root}"
            self._leave_out(worker, f"{sees}, the run needs {in_words(self._room)}")

    def _check_memory(self, worker: Worker) -> None:
        memory = self.memory_of(worker)
        if self._needed is not None and memory is not None and memory < self._needed:
            self._leave_out(worker, f"it has {in_words(memory)} for tiles that need {in_words(self._needed)}")

    def _leave_out(self, worker: Worker, reason: str) -> None:
        """Give a worker no tasks, and warn; once for each reason and machine."""
        worker.state = "out"
        told = f"{worker.found.get('name') or worker.address} {reason}"
        if told not in self._told:
            self._told.add(told)
            warnings.warn(f"worker {worker.name} is left out: {reason}", stacklevel=2)

    def _ask(
        self, worker: Worker, then: Callable[[Worker, Any], None], function: Callable[..., Any], *arguments: Any
    ) -> None:
        def done(call: Submitted) -> None:
            self._answers.put((worker, call, then))

        self.link.submit(worker.address, done, function, *arguments)

    def _wait(self, settled: Callable[[Worker], bool], state: State) -> None:
        """Look until every worker is settled, or some seconds are over and one has reached `state`."""
        began = time.monotonic()
        while True:
            self._waits(self.names, self.present)
            try:
                self.look()
            except LostScheduler:  # it is asked again: it may be busy for seconds, or started again
                self.forget_all()
                self.link.regain(self._waits)
                if time.monotonic() - began > ASSEMBLING:
                    raise ClusterError(
                        f"cluster {self.link.address} does not answer any more: start it again"
                    ) from None
                continue
            waited, workers = time.monotonic() - began, list(self.workers.values())
            some = any(one.state == state for one in workers)
            if some and (all(settled(one) or one.silent for one in workers) or waited > _INTRODUCING):
                self._waits(self.names, self.present)  # so that it is told at once who is ready
                return
            if waited > ASSEMBLING or (workers and not some and all(one.state == "out" for one in workers)):
                raise ClusterError(self._nobody())
            time.sleep(0.02)

    def _nobody(self) -> str:
        """Return why there is no worker."""
        out = [one for one in self.workers.values() if one.state == "out"]
        if out:
            return f"cluster {self.link.address} has no worker that can take tiles: mend what the warnings name"
        if self.workers:
            return f"the workers of cluster {self.link.address} do not answer: restart them"
        return f"cluster {self.link.address} has no workers: start some, as docs/cluster.md shows"


def _brief(value: object) -> str:
    """Return a version as it is told: digests are long."""
    text = "missing" if value is None else str(value)
    return text if len(text) <= 20 else text[:12]


def _reason(error: BaseException) -> str:
    """Return why a worker cannot say what it is."""
    if isinstance(error, ModuleNotFoundError):
        return f"{error.name} is not installed there"
    if isinstance(error, OutputError):
        return str(error)
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'}"
