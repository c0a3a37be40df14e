"""A team of threads that run one kernel together.

Kernels release the GIL, so plain Python threads run them side by side: no OpenMP or TBB to find at
run time, no abort when two solvers run at once, and any number of workers on any machine. The kernel
is called once per worker as `kernel(*arguments, worker, workers)` and takes its share of the rows.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .compiled import kernel
from .control_groups import core_limit


@kernel
def share_of(rows: int, worker: int, workers: int) -> tuple[int, int]:
    """Return the rows start … stop - 1 of `rows` that fall to `worker`, of `workers`; to be used in kernels."""
    return rows * worker // workers, rows * (worker + 1) // workers


def available_cores() -> int:
    """Return the number of cores this process may use: those it may run on, or fewer if its time is limited.

    A control group grants processor time, a container's `--cpus 1.5`: on a large machine threads beyond that would
    only wait in turns. A part of a core counts as one.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    granted = core_limit()
    return cores if granted is None else min(cores, granted)


class Team:
    """`workers` threads, the calling one among them."""

    def __init__(self, workers: int | None = None) -> None:
        """Start the team; `workers` is 1 or more, or None for one per core."""
        self.workers = available_cores() if workers is None else workers
        self._pool = ThreadPoolExecutor(self.workers - 1, "mlsolve") if self.workers > 1 else None

    def run(self, kernel: Callable[..., None], *arguments: Any) -> None:
        """Call `kernel(*arguments, worker, workers)` for every worker and return when all have."""
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
