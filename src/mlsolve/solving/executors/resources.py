"""What a process keeps from one task to the next: threads or a GPU, and one workspace. It is never more than that:
a task's result does not depend on it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mlsolve_kernels.iteration.objective import Shape

from ..backends import Backend, Workspace
from ..spec import Spec

_here = threading.local()


class Resources:
    """Threads or a GPU, and the workspace that was used last."""

    def __init__(self, backend: Backend) -> None:
        """Use `backend`."""
        self.backend = backend
        self._key: Any = None
        self._workspace: Workspace | None = None

    def workspace(self, shape: Shape, spec: Spec, windows: int = 1) -> Workspace:
        """Return a workspace of `shape` for so many windows, filled with whatever it was filled with last."""
        key = shape, spec.objective, spec.bounds, windows
        if self._workspace is None or key != self._key:
            self._workspace = None  # before the next one takes its memory
            self._workspace, self._key = self.backend.workspace(*key), key
        return self._workspace

    def drop(self) -> None:
        """Give the workspace's memory back."""
        self._workspace, self._key = None, None

    def close(self) -> None:
        """Give everything back."""
        self.drop()
        self.backend.close()


def provide(backend: Backend) -> Resources:
    """Let the tasks of this thread use `backend` from now on."""
    _here.resources = Resources(backend)
    return current()


def current() -> Resources:
    """Return the resources of this thread; `provide` must have been called."""
    found: Resources = _here.resources
    return found


@contextmanager
def provided(backend: Backend) -> Iterator[Resources]:
    """Let the tasks of this thread use `backend` meanwhile; it is closed in the end."""
    before = getattr(_here, "resources", None)
    resources = provide(backend)
    try:
        yield resources
    finally:
        resources.close()
        _here.resources = before
