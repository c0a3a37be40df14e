"""The resources that a process keeps between tasks: threads or a GPU, and one workspace. They never affect the
result of a task."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mlsolve_kernels.iteration.objective import Shape

from ..backends import Backend, Workspace
from ..spec import Spec

_here = threading.local()


class Resources:
    """Threads or a GPU, and the last workspace."""

    def __init__(self, backend: Backend) -> None:
        """Use `backend`."""
        self.backend = backend
        self._key: Any = None
        self._reserved = False
        self._workspace: Workspace | None = None

    def workspace(self, shape: Shape, spec: Spec, windows: int = 1, level: int | None = None) -> Workspace:
        """Return a workspace of `shape` for `windows` windows of `level`; its contents are arbitrary.

        level: None: the finest.
        """
        key = shape, spec.objective_at(spec.levels if level is None else level), spec.bounds, windows
        if self._workspace is None or key != self._key:
            self._workspace = None  # frees its memory before the next one is allocated
            self._workspace, self._key = self.backend.workspace(*key), key
        return self._workspace

    def reserve(self, size: int) -> None:
        """Use the same `size` bytes of main memory for all workspaces to come."""
        self.drop()
        self.backend.reserve(size)
        self._reserved = True

    def drop(self) -> None:
        """Free the memory of the workspace, and what was reserved for others."""
        self._workspace, self._key = None, None
        if self._reserved:
            self.backend.reserve(0)
            self._reserved = False

    def close(self) -> None:
        """Free the workspace and close the backend."""
        self.drop()
        self.backend.close()


def provide(backend: Backend) -> Resources:
    """Make the tasks of this thread use `backend` from now on."""
    _here.resources = Resources(backend)
    return current()


def current() -> Resources:
    """Return the resources of this thread; `provide` must have been called in it."""
    found: Resources = _here.resources
    return found


@contextmanager
def lent(resources: Resources) -> Iterator[None]:
    """Make the tasks of this thread use `resources` inside the `with` block."""
    before = getattr(_here, "resources", None)
    _here.resources = resources
    try:
        yield
    finally:
        _here.resources = before


@contextmanager
def provided(backend: Backend) -> Iterator[Resources]:
    """Make the tasks of this thread use `backend` inside the `with` block; close it at the end."""
    before = getattr(_here, "resources", None)
    resources = provide(backend)
    try:
        yield resources
    finally:
        resources.close()
        _here.resources = before
