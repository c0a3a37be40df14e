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

CONNECTING: Final = 30.0
"""Seconds within which a scheduler must answer at first."""

_HANDSHAKE: Final = 10.0
"""Seconds that it has for the first words after a connection was accepted."""

_SOONEST: Final = 0.5
"""Seconds that each of several results has at least."""

_SYN: Final = 2.0
"""Seconds within which a host must accept or refuse a connection; then it is tried again."""

_KNOCKS: Final = 0.2
"""Seconds between two attempts to connect."""

_ASKING: Final = 5.0
"""Seconds within which it must answer later."""

_GATHERING: Final = 8.0
"""Seconds within which the results of tasks that are done must arrive; they are small."""


Waits = Callable[[tuple[str, ...], int], None]
"""Called a few times a second while workers are waited for, or have tasks under way: with the workers that are
ready, and how many there are that are not left out. It may raise."""


def wait_only(ready: tuple[str, ...], present: int) -> None:
    """Do nothing while workers are waited for."""


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

    def regain(self, waits: Waits) -> bool:
        """Try to connect again, for some seconds; return whether that succeeded."""

    def close(self) -> None:
        """Disconnect; end the workers that were started for it."""


class DaskLink:
    """A connection to the workers of a Dask scheduler."""

    def __init__(self, address: ClusterAddress, cores: int, waits: Waits = wait_only) -> None:
        """Connect, or start workers on this machine, which share `cores` cores; waits: is called meanwhile.

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
            self._client = self._connect(CONNECTING, waits)
        except _NotConnected as error:
            self.close()
            raise ClusterError(f"cluster {self.address} cannot be used: {error}") from None
        except BaseException:  # of `waits`
            self.close()
            raise

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

    def regain(self, waits: Waits) -> bool:
        """Try to connect again, for some seconds; return whether that succeeded."""
        self._disconnect()
        try:
            self._client = self._connect(_ASKING, waits)
        except _NotConnected:
            return False
        return True

    def close(self) -> None:
        """Disconnect; end the workers of this machine that were started for it."""
        self._disconnect()
        if self._here is not None:
            self._here.close()

    def _connect(self, timeout: float, waits: Waits) -> Any:
        """Return a client, once something listens there, which may take up to `timeout` seconds.

        Raises _NotConnected, and what `waits` raises. The client is made in a thread, because Dask waits for ever
        for one who accepts a connection and then says nothing: a scheduler that is frozen, or what is none.
        """
        from distributed import Client

        _wait_until_accepted(self._scheduler, timeout, waits)
        made = Future[Any]()

        def make() -> None:
            try:
                name = f"mlsolve-{os.getpid()}"
                client = Client(self._scheduler, timeout=timeout, set_as_default=False, name=name)
            except Exception as error:  # what listens there may answer anything
                with suppress(InvalidStateError):  # nobody waits for it any more
                    made.set_exception(_NotConnected(_why_no_scheduler(self._scheduler, error)))
                return
            try:
                made.set_result(client)
            except InvalidStateError:
                client.close(timeout=1)

        threading.Thread(target=make, name="mlsolve-connect", daemon=True).start()
        end = time.monotonic() + _HANDSHAKE
        while True:
            try:
                waits((), 0)
                return made.result(_KNOCKS)
            except TimeoutError as error:
                if time.monotonic() > end:
                    made.cancel()
                    raise _NotConnected(_why_no_scheduler(self._scheduler, error)) from None
            except BaseException:
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


class _NotConnected(Exception):
    """There is no connection; the message says why, and what to do about it."""


def _wait_until_accepted(scheduler: str, timeout: float, waits: Waits) -> None:
    """Return as soon as something accepts connections at an address; raises _NotConnected after `timeout` seconds.

    A scheduler may be starting. A host that nobody knows is not waited for.
    """
    where, end = ClusterAddress.parse(scheduler).host, time.monotonic() + timeout
    assert where is not None
    host, port = where
    while True:
        waits((), 0)
        left = end - time.monotonic()
        try:
            socket.create_connection(where, _SYN).close()
        except socket.gaierror:
            raise _NotConnected(f"this machine knows no host {host}, mend the name or give an address") from None
        except OSError as error:
            if left > _KNOCKS:
                time.sleep(_KNOCKS)
                continue
            if isinstance(error, ConnectionRefusedError):
                what = f"nothing listens on port {port} of {host}, start the scheduler there"
                raise _NotConnected(f"{what} as docs/cluster.md shows") from None
            what = f"{host} does not answer ({first_line(error)}), see whether it runs"
            raise _NotConnected(f"{what} and whether a firewall closes port {port}") from None
        else:
            return


def _why_no_scheduler(scheduler: str, error: Exception) -> str:
    """Return why what listens at an address cannot be used, and what to do about it; error: what Dask raised."""
    if scheduler.startswith("tls:"):
        where = "in ~/.config/dask/mlsolve.yaml as docs/cluster.md shows"
        if isinstance(error, TypeError):  # as Dask says that it has no context
            return f"Dask has no certificate and key here, name the scheduler's {where}"
        name = f"name the scheduler's certificate and key {where}"
        return f"TLS fails ({first_line(error)}), give tcp:// if the scheduler was started with that, or {name}"
    return (
        "what listens there does not answer as a Dask scheduler; it may be frozen, have another version of "
        "distributed, use TLS (give tls://), or be something else, as the dashboard is: give the scheduler's port"
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
