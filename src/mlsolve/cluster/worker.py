"""What a worker does: it says what it is, proves that it computes the same bytes, and carries tasks out.

These functions are called by Dask in a worker's process. What is sent to `introduce`, and what it returns, are
plain values: the worker may have another version of mlsolve.
"""

import hashlib
import os
import platform
import shutil
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from ..errors import BackendError
from ..solving.backends import Backend, CpuBackend, CudaBackend, may_use_gpu
from ..solving.balancing import balanced
from ..solving.callbacks import Listener
from ..solving.carriers import draw_carriers
from ..solving.dependencies import dependencies
from ..solving.executors.resources import current, provide
from ..solving.executors.serial import Serial
from ..solving.level_pictures import store_pictures
from ..solving.levels import halve_pictures, solve_levels
from ..solving.plan import Limits
from ..solving.spec import BETAS, Spec
from ..solving.store import MemoryStore
from ..system.files import write_bytes
from ..system.memory import available_memory

_APPEARING: Final = 15.0
"""Seconds within which a file that one host wrote must appear on another; NFS may take some."""

_LOOKS: Final = 0.1
"""Seconds between two looks for it."""

_IDLE: Final = 120.0
"""Seconds after which a worker without tasks gives back memory and threads, or the memory of its GPU."""


@dataclass(frozen=True)
class Place:
    """How tasks are carried out on a worker."""

    backend: str
    """ "cpu" or "cuda"."""
    threads: int
    """Threads that advance a tile."""

    @property
    def streams(self) -> int:
        """Tiles at the same time: one, or two on a GPU, which computes one while the other is loaded or saved."""
        return 2 if self.backend == "cuda" else 1


def introduce(question: dict[str, Any]) -> dict[str, Any]:
    """Return what this worker is, as plain values.

    question: "token" and "answer", two files in the folder of the run: the first was written by the caller and is
    read here, the second is written here; "gpu": whether to look for a GPU.
    """
    token, answer = Path(question["token"]), Path(question["answer"])
    found: dict[str, Any] = {
        "depends": what_bytes_depend_on(),
        "python": platform.python_version(),
        "host": f"{socket.gethostname()} {_boot()}",
        "name": socket.gethostname(),
        "pid": os.getpid(),
        "memory": available_memory(),
        "store": _exchange(token, answer, question["content"]),
        "gpu": None,
        "gpu_memory": None,
    }
    if not found["store"]:
        found["disk"] = shutil.disk_usage(token.parent).free
    if question["gpu"] and may_use_gpu("auto"):
        try:
            backend = CudaBackend(BETAS)
        except BackendError:
            return found
        found |= {"gpu": backend.device, "gpu_memory": backend.free_memory()}
        backend.close()
    return found


def what_bytes_depend_on() -> dict[str, str | None]:
    """Return what must be the same on all workers: `dependencies`, and the source of mlsolve itself."""
    return {**dependencies("", None, None), "mlsolve's source": _source_digest()}


@cache
def _source_digest() -> str:
    """Return the SHA-256 of the source files of this package, names included."""
    digest, root = hashlib.sha256(), Path(__file__).parents[1]
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _exchange(token: Path, answer: Path, content: str) -> str:
    """Read one file and write the other; return "", or what is wrong with the folder."""
    if not appears(token, content):
        return f"it does not see {token.parent}: mount it there under the same path"
    try:
        write_bytes(answer, content.encode())
    except OSError as error:
        return f"it cannot write into {token.parent}: {error}"
    return ""


def appears(path: Path, content: str, within: float = _APPEARING) -> bool:
    """Return whether the file `path` has, or gets within some seconds, this content."""
    end = time.monotonic() + within
    while True:
        try:
            if path.read_text(encoding="utf-8") == content:
                return True
        except OSError:
            pass
        if time.monotonic() > end:
            return False
        time.sleep(_LOOKS)


def _boot() -> str:
    """Return what tells this start of this machine from others, where the system has such a thing."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def try_out(place: Place, spec: Spec) -> tuple[str, str | None, str | None]:
    """Solve a few pixels; return a digest of the layers, the name of the GPU, and how Adam is compiled for it."""
    found: tuple[str, str | None, str | None] = _station(place).run(_try_out_here, (spec,))
    return found


def _try_out_here(spec: Spec) -> tuple[str, str | None, str | None]:
    backend = current().backend
    return digest_of_trial(spec, backend), backend.device, backend.adam(spec.objective)


def digest_of_trial(spec: Spec, backend: Backend) -> str:
    """Return the SHA-256 of the layers that `spec`, of a few pixels, is solved to from random pictures."""
    store, rng = MemoryStore(), np.random.default_rng(21)
    height, width = spec.shapes[-1]
    pictures = [
        rng.uniform(0.05, 0.95, (height, width, planes)).astype(np.float32) for planes in spec.picture_planes
    ]
    store_pictures(store, spec, pictures)
    executor = Serial(_Borrowed(backend))
    halve_pictures(store, spec, executor)
    draw_carriers(store, spec)
    spec, _ = balanced(store, spec, False)
    spec.save(store)
    _, record = solve_levels(store, executor, Limits(), Listener())
    executor.close()
    layers = store.open(f"{record.state}/state").data
    return hashlib.sha256(np.ascontiguousarray(layers).tobytes()).hexdigest()


class _Borrowed:
    """A backend that is not closed by who uses it."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def close(self) -> None:
        pass


def carry_out(place: Place | None, task: Callable[..., Any], call: tuple[Any, ...]) -> Any:
    """Call task(*call) on what this process keeps for `place`; None: right here, the task needs no backend."""
    if place is None:
        return task(*call)
    return _station(place).run(task, call)


class _Station:
    """The threads of this process that carry tasks out, each with a backend; they end when they are idle for long.

    The tasks of several runs take turns on it, so that a worker never holds more workspaces than it has streams.
    """

    def __init__(self, place: Place) -> None:
        self._place, self._under_way, self._used = place, 0, time.monotonic()
        self._lock = threading.Lock()
        self._backends: list[Backend] = []
        self._pool: ThreadPoolExecutor | None = None

    def run(self, task: Callable[..., Any], call: tuple[Any, ...]) -> Any:
        """Call task(*call) in one of the threads."""
        with self._lock:
            self._under_way += 1
            try:
                pool = self._pool = self._pool or self._opened()
            except BaseException:
                self._under_way -= 1
                raise
        try:
            return pool.submit(task, *call).result()
        finally:
            with self._lock:
                self._under_way -= 1
                self._used = time.monotonic()
            threading.Timer(_IDLE, self._close_if_idle).start()

    def _opened(self) -> ThreadPoolExecutor:
        """Open a backend for each stream and start its thread."""
        place = self._place
        for _ in range(place.streams):
            self._backends.append(
                CudaBackend(BETAS) if place.backend == "cuda" else CpuBackend(place.threads, BETAS)
            )
        waiting = list(self._backends)
        return ThreadPoolExecutor(place.streams, "mlsolve-tiles", lambda: provide(waiting.pop()))

    def _close_if_idle(self) -> None:
        with self._lock:
            if self._under_way or self._pool is None or time.monotonic() - self._used < _IDLE:
                return
            self._pool.shutdown()
            self._pool = None
            for backend in self._backends:
                backend.close()
            self._backends.clear()


_stations: Final = dict[Place, _Station]()
_opening: Final = threading.Lock()


def _station(place: Place) -> _Station:
    """Return the station of this process for `place`."""
    with _opening:
        return _stations.setdefault(place, _Station(place))
