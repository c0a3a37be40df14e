"""The connection to a Dask scheduler. Nothing else imports Dask."""

import logging
import os
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final, Literal, Protocol

from ..errors import ClusterError, first_line
from .address import ClusterAddress, require_dask

_CONNECTING: Final = 10.0
"""Seconds within which a scheduler must answer at first."""

_HANDSHAKE: Final = 10.0
"""Seconds that it has for the first words after a connection was accepted."""

_SOONEST: Final = 0.5
"""Seconds that each of several results has at least."""

_KNOCKS: Final = 0.2
"""Seconds between two attempts to connect."""

_ASKING: Final = 5.0
"""Seconds within which it must answer later."""

_GATHERING: Final = 8.0
"""Seconds within which the results of tasks that are done must arrive; they are small."""


class LostScheduler(Exception):
    """The scheduler does not answer."""


@dataclass(frozen=True)
class Seen:
    """A worker as the scheduler sees it."""

    threads: int
    heard: float
    """When it was last heard, by the scheduler's clock."""


@dataclass(frozen=True)
class Answer:
    """What became of a submitted call."""

    kind: Literal["result", "error", "lost"]
    """lost: the worker or the scheduler went away, nobody knows whether the call was carried out."""
    value: Any = None
    """The result, or the exception."""


class Submitted(Protocol):
    """A call that was submitted."""

    def answer(self) -> Answer:
        """Return what became of it, once it has been told to be done."""


class Link(Protocol):
    """A connection to workers."""

    address: str
    ends_workers: bool
    """Whether `close` ends the workers."""

    def workers(self) -> dict[str, Seen]:
        """Return the workers by their names. Raises LostScheduler."""

    def submit(
        self, worker: str, done: Callable[[Submitted], None], function: Callable[..., Any], *arguments: Any
    ) -> Submitted:
        """Have `worker` call `function`; done: is called, in any thread, when there is an answer."""

    def answers(self, calls: Sequence[Submitted]) -> list[Answer]:
        """Return what became of calls that are done; many at once cost hardly more than one."""

    def regain(self) -> bool:
        """Try to connect again, for some seconds; return whether that succeeded."""

    def close(self) -> None:
        """Disconnect; end the workers that were started for it."""


class DaskLink:
    """A connection to the workers of a Dask scheduler."""

    def __init__(self, address: ClusterAddress, cores: int) -> None:
        """Connect, or start workers on this machine, which share `cores` cores.

        Raises ClusterError if Dask is not installed or the scheduler does not answer.
        """
        require_dask()
        _silence()
        self.address, self.ends_workers = str(address), address.scheduler is None
        self._here: _WorkersHere | None = None
        if address.scheduler is None:
            self._here = _WorkersHere(address.local, max(1, cores // address.local))
            self._scheduler = self._here.address
        else:
            self._scheduler = address.scheduler
        try:
            self._client = self._connect(_CONNECTING)
        except Exception as error:  # what listens there may answer anything
            self.close()
            why = str(error) if isinstance(error, _Unreachable) else _why_no_scheduler(address, error)
            raise ClusterError(f"cluster {self.address} cannot be used: {why}") from None

    def workers(self) -> dict[str, Seen]:
        """Return the workers by their addresses. Raises LostScheduler."""
        if self._here is not None:
            self._here.renew()
        try:
            found = self._client.sync(self._client.scheduler.identity, n_workers=-1, callback_timeout=_ASKING)
        except (OSError, TimeoutError, RuntimeError, AttributeError) as error:
            raise LostScheduler(str(error)) from None
        return {
            str(name): Seen(int(one["nthreads"]), float(one["last_seen"]))
            for name, one in found["workers"].items()
            if one.get("status", "running") == "running"
        }

    def submit(
        self, worker: str, done: Callable[[Submitted], None], function: Callable[..., Any], *arguments: Any
    ) -> Submitted:
        """Have `worker` call `function`, and no other."""
        try:
            future = self._client.submit(
                function,
                *arguments,
                key=f"mlsolve-{uuid.uuid4().hex}",
                workers=[worker],
                allow_other_workers=False,
                pure=False,
            )
        except (OSError, RuntimeError) as error:
            raise LostScheduler(str(error)) from None
        submitted = _DaskCall(future)
        future.add_done_callback(lambda _: done(submitted))
        return submitted

    def answers(self, calls: Sequence[Submitted]) -> list[Answer]:
        """Return what became of calls that are done: results in one request, if all of them can be had."""
        futures = [call.future for call in calls if isinstance(call, _DaskCall)]
        if len(futures) > 1 and all(one.status == "finished" for one in futures):
            client = self._client

            async def gathered() -> Any:
                return await client.gather(futures, asynchronous=True)

            # If one of them has gone, they are asked for one by one.
            with suppress(Exception):
                results = client.sync(gathered, callback_timeout=_GATHERING)
                return [Answer("result", result) for result in results]
        return self._one_by_one(calls)

    def _one_by_one(self, calls: Sequence[Submitted]) -> list[Answer]:
        """Return what became of calls: those whose workers do not answer are lost, all within some seconds."""
        end, found = time.monotonic() + _GATHERING, list[Answer]()
        for call in calls:
            wait = max(_SOONEST, end - time.monotonic())
            found.append(call.answer_within(wait) if isinstance(call, _DaskCall) else call.answer())
        return found

    def regain(self) -> bool:
        """Try to connect again, for some seconds; return whether that succeeded."""
        self._disconnect()
        try:
            self._client = self._connect(_ASKING)
        except Exception:  # what listens there may answer anything
            return False
        return True

    def close(self) -> None:
        """Disconnect; end the workers of this machine that were started for it."""
        self._disconnect()
        if self._here is not None:
            self._here.close()

    def _connect(self, timeout: float) -> Any:
        """Return a client, once something listens there, which may take up to `timeout` seconds.

        It is made in a thread, because Dask waits for ever for one who accepts a connection and then says nothing:
        a scheduler that is frozen, or what is none.
        """
        from distributed import Client

        _wait_until_accepted(self._scheduler, timeout)
        made = Future[Any]()

        def make() -> None:
            try:
                name = f"mlsolve-{os.getpid()}"
                client = Client(self._scheduler, timeout=timeout, set_as_default=False, name=name)
            except Exception as error:
                with suppress(InvalidStateError):  # nobody waits for it any more
                    made.set_exception(error)
                return
            try:
                made.set_result(client)
            except InvalidStateError:
                client.close(timeout=1)

        threading.Thread(target=make, name="mlsolve-connect", daemon=True).start()
        try:
            return made.result(_HANDSHAKE)
        except TimeoutError:
            made.cancel()
            raise

    def _disconnect(self) -> None:
        """Close the client, in a thread that is not waited for long: a scheduler that is gone never answers."""
        client = getattr(self, "_client", None)
        if client is None:
            return
        del self._client

        def close() -> None:
            with suppress(Exception):  # whatever it finds closed already
                client.close(timeout=1)

        thread = threading.Thread(target=close, daemon=True)
        thread.start()
        thread.join(3)


class _Unreachable(Exception):
    """Nothing accepts connections there; the message says why, and what to do about it."""


def _wait_until_accepted(scheduler: str, timeout: float) -> None:
    """Return as soon as something accepts connections at an address; raises _Unreachable after `timeout` seconds.

    A scheduler may be starting. A host that nobody knows is not waited for.
    """
    where, end = ClusterAddress.parse(scheduler).host, time.monotonic() + timeout
    assert where is not None
    host, port = where
    while True:
        left = end - time.monotonic()
        try:
            socket.create_connection(where, max(_KNOCKS, left)).close()
        except socket.gaierror:
            raise _Unreachable(f"this machine knows no host {host}, mend the name or give an address") from None
        except OSError as error:
            if left > _KNOCKS:
                time.sleep(_KNOCKS)
                continue
            if isinstance(error, ConnectionRefusedError):
                what = f"nothing listens on port {port} of {host}, start the scheduler there"
                raise _Unreachable(f"{what} as docs/cluster.md shows") from None
            what = f"{host} does not answer ({first_line(error)}), see whether it runs"
            raise _Unreachable(f"{what} and whether a firewall closes port {port}") from None
        else:
            return


def _why_no_scheduler(address: ClusterAddress, error: Exception) -> str:
    """Return why what listens at `address` cannot be used, and what to do about it; error: what Dask raised."""
    if str(address).startswith("tls:"):
        missing = isinstance(error, TypeError)  # as Dask says that it has no context
        what = "Dask has no certificates here" if missing else f"Dask's TLS fails ({first_line(error)})"
        return f"{what}, name those of the scheduler in its configuration as docs/cluster.md shows"
    return (
        "what listens there does not answer as a Dask scheduler, give the scheduler's port, not that of its "
        "dashboard, tls:// if it uses TLS, and install the same version of distributed on both sides"
    )


class _DaskCall:
    """A future of Dask."""

    def __init__(self, future: Any) -> None:
        self.future = future

    def answer(self) -> Answer:
        """Return what became of it."""
        return self.answer_within(_GATHERING)

    def answer_within(self, seconds: float) -> Answer:
        """Return what became of it; lost, if the result does not arrive within some seconds."""
        try:
            if self.future.status == "finished":
                return Answer("result", self.future.result(timeout=seconds))
            if self.future.status == "error":
                error = self.future.exception(timeout=seconds)
                return Answer("lost") if type(error).__name__ in _OF_DASK else Answer("error", error)
        except Exception:  # the worker went away with the result, or the scheduler did
            return Answer("lost")
        return Answer("lost")


_OF_DASK: Final = frozenset({"KilledWorker", "CancelledError", "FutureCancelledError", "FuturesCancelledError"})
"""Exceptions of Dask itself."""


class _WorkersHere:
    """A scheduler in this process, and workers in processes of their own, which are started again if they end."""

    def __init__(self, workers: int, threads: int) -> None:
        """Start `workers` workers of `threads` threads each."""
        from distributed import LocalCluster

        self._cluster = LocalCluster(
            n_workers=0,
            host="127.0.0.1",
            protocol="tcp",
            dashboard_address="127.0.0.1:0",  # any free port: there is always one
            silence_logs=logging.CRITICAL,
        )
        self.address: str = self._cluster.scheduler_address
        self._threads = threads
        self._processes = [self._started() for _ in range(workers)]

    def renew(self) -> None:
        """Start workers in the place of those that have ended."""
        self._processes = [one if one.poll() is None else self._started() for one in self._processes]

    def close(self) -> None:
        """End the workers, then the scheduler."""
        for one in self._processes:
            one.terminate()
        for one in self._processes:
            try:
                one.wait(_ASKING)
            except subprocess.TimeoutExpired:
                one.kill()
                one.wait()
        with suppress(Exception):  # it is going anyway
            self._cluster.close(timeout=_ASKING)

    def _started(self) -> "subprocess.Popen[bytes]":
        """Start a worker, in a session of its own: Ctrl-C is for the run, which lets workers finish their tiles."""
        words = ["--nthreads", str(self._threads), "--no-nanny", "--no-dashboard", "--memory-limit", "0"]
        return subprocess.Popen(
            [sys.executable, "-m", "distributed.cli.dask_worker", self.address, *words, "--death-timeout", "30"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )


def _silence() -> None:
    """Keep Dask from writing about workers that come and go: that is told by the run."""
    import dask

    import_module("distributed")  # which gives its loggers levels of their own
    dask.config.set({"distributed.admin.tick.limit": "1h"})
    for name in ("distributed", "tornado", "asyncio", *logging.root.manager.loggerDict):
        if name.partition(".")[0] in ("distributed", "tornado", "asyncio"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
