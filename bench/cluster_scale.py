"""How many workers the engine of a cluster serves: python bench/cluster_scale.py [--workers 1,4,16,64,256].

A real scheduler and real workers of Dask, many to a process, so that 256 of them fit on one machine; the tasks
sleep as long as tiles take. It prints the efficiency (the seconds of all tasks, divided by those of all workers),
and what a task costs beyond its own seconds. All of Dask's work is done by this machine, where a cluster has hosts.
"""

import argparse
import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from cluster_ordeals import Supervised, free_port
from mlsolve.cluster.address import ClusterAddress
from mlsolve.cluster.crew import Crew, Trial
from mlsolve.cluster.executor import Cluster
from mlsolve.cluster.link import DaskLink

EACH = 64
"""Most workers of a process."""


class Trusting(Crew):
    """A crew that takes every worker as it is: nothing is computed here."""

    def _introduce(self, worker):
        worker.found = {"name": "here", "host": "here", "memory": None, "disk": 0, "gpu": None, "gpu_memory": None}
        worker.state = "ready"


def sleep(seconds):
    time.sleep(seconds)


async def work(address, count):
    """Be `count` workers until the scheduler has gone."""
    from distributed import Worker

    async with contextlib.AsyncExitStack() as stack:
        workers = [
            await stack.enter_async_context(Worker(address, nthreads=1, dashboard=False, memory_limit=0))
            for _ in range(count)
        ]
        await asyncio.gather(*(one.finished() for one in workers))


@contextlib.contextmanager
def crew_of(count, place):
    """Yield a crew of `count` workers."""
    address = f"tcp://127.0.0.1:{free_port()}"
    scheduler = Supervised(["distributed.cli.dask_scheduler", "--host", address, "--no-dashboard", "--no-show"])
    parts = [min(EACH, count - first) for first in range(0, count, EACH)]
    processes = [
        subprocess.Popen([sys.executable, __file__, "--be", f"{address} {part}"], stderr=subprocess.DEVNULL)
        for part in parts
    ]
    try:
        time.sleep(2)
        link = DaskLink(ClusterAddress.parse(address), os.cpu_count() or 1)
        crew = Trusting(link, place, "cpu", None)
        crew.trial = Trial("cpu", None, None, "")
        while len(crew.workers) < count:
            crew.look()
            time.sleep(0.1)
        yield crew
        crew.close()
        link.close()
    finally:
        for one in processes:
            one.kill()
            one.wait()
        scheduler.end()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", default="1,4,16,64,128,256")
    parser.add_argument("--seconds", default="0,0.1,1,10")
    parser.add_argument("--rounds", type=int, default=3, help="tasks for each worker")
    parser.add_argument("--be", help="used by itself")
    options = parser.parse_args()
    if options.be:
        address, count = options.be.split()
        asyncio.run(work(address, int(count)))
        return
    print("| workers | a task takes | tasks a second | efficiency | more than its own seconds |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        for count in map(int, options.workers.split(",")):
            with crew_of(count, Path(name)) as crew:
                executor = Cluster(crew)
                list(executor.map(sleep, [(0,)] * count, 1))
                for seconds in map(float, options.seconds.split(",")):
                    tasks = count * options.rounds if seconds else max(200, count)
                    began = time.perf_counter()
                    for _ in executor.map(sleep, [(seconds,)] * tasks, 1):
                        pass
                    took = time.perf_counter() - began
                    efficiency = tasks * seconds / (count * took)
                    own = (took * count / tasks - seconds) * 1e3
                    print(
                        f"| {count} | {seconds:g} s | {tasks / took:.0f} | {efficiency:.2f} | {own:.0f} ms |",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
