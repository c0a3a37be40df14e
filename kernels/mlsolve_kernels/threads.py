"""A team of threads that run one kernel together.

Kernels release the GIL, so plain Python threads run them in parallel. This needs no OpenMP or TBB at run time, does
not abort when two solvers run at once, and allows any number of workers on any machine. The kernel is called once
per worker, as `kernel(*arguments, worker, workers)`, and processes its share of the rows.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .compiled import kernel
from .control_groups import core_limit


@kernel
def share_of(rows: int, worker: int, workers: int) -> tuple[int, int]:
    """Return (start, stop): `worker`, one of `workers`, takes the rows start … stop - 1 of `rows`; for kernels."""
    return rows * worker // workers, rows * (worker + 1) // workers


def available_cores() -> int:
    """Return the number of cores that this process may use: those it may run on, or fewer if its time is limited.

    A control group limits processor time, such as a container's `--cpus 1.5`. More threads than that would only
    wait for each other. A fraction of a core counts as one.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    granted = core_limit()
    return cores if granted is None else min(cores, granted)


class Team:
    """A team of `workers` threads, including the calling thread."""

    def __init__(self, workers: int | None = None) -> None:
        """Start the team; `workers`: 1 or more, None: one per core."""
        self.workers = available_cores() if workers is None else workers
        self._pool = ThreadPoolExecutor(self.workers - 1, "mlsolve") if self.workers > 1 else None

    def run(self, kernel: Callable[..., None], *arguments: Any) -> None:
        """Call `kernel(*arguments, worker, workers)` for every worker; return when all calls have returned."""
        if self._pool is None:
            kernel(*arguments, 0, 1)
            return
        others = [self._pool.submit(kernel, *arguments, worker, self.workers) for worker in range(1, self.workers)]
        try:
            kernel(*arguments, 0, self.workers)
        finally:
            for other in others:
                other.result()

    def close(self) -> None:
        """End the threads."""
        if self._pool is not None:
            self._pool.shutdown()
