"""The workers of a cluster that carry out a run."""

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlsolve_kernels.threads import available_cores

from ..cluster.address import ClusterAddress, require_dask
from ..job.job import Job
from ..pictures.picture_files import Picture
from ..solving.backends import CpuBackend
from ..solving.spec import BETAS, Spec
from .budget import Budget, Shares, shares
from .precompile import few_pixels

if TYPE_CHECKING:
    from ..cluster.crew import Crew
    from ..cluster.executor import Cluster, Hands
    from ..cluster.link import Link, Waits


@dataclass(frozen=True)
class Staff:
    """The workers of a run, and what each of them may use."""

    crew: "Crew"
    spec: Spec
    """What is solved, its backend known."""
    budget: Budget
    """Of each worker, and of this process."""
    given: Budget
    """What was asked for."""
    workers: int
    """How many were ready at the beginning."""
    device: str | None
    """The GPU that each has; None on the CPU."""
    adam: str | None
    """How Adam's step is compiled for it."""


def cluster_of(staff: Staff, waits: "Waits") -> "Cluster":
    """Return what gives tasks to the workers; waits: is called meanwhile, and may raise."""
    from ..cluster.executor import Cluster

    return Cluster(staff.crew, waits)


def shares_of(
    staff: Staff | None, budget: Budget, spec: Spec, job: Job, files: list[Picture], disk: int | None
) -> Shares:
    """Return what each stage may use: on each worker of `staff`, or on this machine if that is None.

    Workers that have too little memory are left out. Other arguments as of `budget.shares`.
    """
    if staff is None:
        return shares(budget, spec, job, files, disk)
    parts = shares(budget, spec, job, files, disk, passing=False)
    if budget.memory is not None:
        staff.crew.require_memory(budget.memory)
    return dataclasses.replace(parts, limits=dataclasses.replace(parts.limits, at_once=staff.workers))


def hands_of(staff: Staff, parts: Shares, waits: "Waits") -> "Hands":
    """Return what gives the workers tasks that need no backend, as many at a time as their memory allows."""
    from ..cluster.executor import Hands

    return Hands(cluster_of(staff, waits), min(parts.writers, parts.bands.workers))


@contextmanager
def linked(budget: Budget, waits: "Waits") -> "Iterator[Link | None]":
    """Yield a link to the cluster of `budget`, None if it names none; waits: is called meanwhile, and may raise.

    Raises OptionError for an address that is none, ClusterError if nobody answers there or Dask is not installed.
    """
    if budget.cluster is None:
        yield None
        return
    address = ClusterAddress.parse(budget.cluster)
    require_dask()
    from ..cluster.link import DaskLink

    link = DaskLink(address, budget.threads or available_cores(), waits)
    try:
        yield link
    finally:
        link.close()


@contextmanager
def assembled(
    link: "Link",
    root: Path,
    job: Job,
    spec: Spec,
    budget: Budget,
    waits: "Waits",
    resumes: bool = False,
) -> Iterator[Staff]:
    """Yield the workers behind `link` that have proved to compute what this machine would compute.

    root: the folder of the run, which all of them must see. waits: is called while they are waited for, and may
    raise. resumes: whether the backend is that of `spec`, not one that `job` asks for. Raises ClusterError if there
    is no such worker.
    """
    from ..cluster.crew import Crew, Trial
    from ..cluster.worker import digest_of_trial

    backend = spec.backend if resumes else job.options.backend
    crew = Crew(link, root, backend, budget.memory, waits)
    try:
        crew.meet()
        if backend == "auto":
            backend = "cuda" if any(one.found.get("gpu") for one in crew.workers.values()) else "cpu"
        few, digest = dataclasses.replace(few_pixels(job), backend=backend), None
        if backend == "cpu":
            here = CpuBackend(1, BETAS)
            digest = digest_of_trial(few, here)
            here.close()
        # The threads of this machine were shared out when its workers were started.
        threads = None if link.address.startswith("local:") else budget.threads
        crew.try_out(Trial(backend, few, threads, digest))
        means = crew.means
        assert crew.trial is not None
        each = dataclasses.replace(
            budget, memory=means.memory, processes=1, threads=means.threads, device=means.device_memory
        )
        spec = dataclasses.replace(spec, backend=backend)
        yield Staff(crew, spec, each, budget, means.workers, means.device, means.adam)
    finally:
        crew.close()
