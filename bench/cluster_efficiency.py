"""What a second worker is worth: python bench/cluster_efficiency.py [--size 10000] [--turns 2].

The same print is solved in tiles by one worker of one thread, by two of them, and twice at the same time by two
clusters of one worker that know nothing of each other, in turns, whole runs from pictures to the report. It prints
the seconds of each run and of its stages, and the bytes that workers read and write while they solve. The
efficiency is the seconds of one worker, divided by twice those of two. What two separate clusters reach in its
place is what the cores and the disk allow.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from cluster_ordeals import Hosts
from mlsolve.pictures import picture_files
from ordeals import content


def drawn(folder, side=1000):
    """Draw a grey target and two grey guides, which the run enlarges."""
    rng, (y, x) = np.random.default_rng(1), np.mgrid[0:side, 0:side] / side
    for number in range(3):
        waves = np.sin(2 * np.pi * (rng.uniform(1, 9) * x + rng.uniform(1, 9) * y))
        picture = np.clip(0.5 + 0.3 * waves + 0.1 * (x > y) + 0.05 * rng.standard_normal((side, side)), 0, 1)
        codes = np.rint(picture[..., np.newaxis] * 255).astype(np.uint8)
        with picture_files.PngWriter(folder / f"{number}.png", (side, side), 1, 8) as file:
            file.write(codes)
    return [folder / f"{number}.png" for number in range(3)]


def moved(hosts):
    """Return the bytes that the workers have read and written so far."""
    total = {"rchar": 0, "wchar": 0}
    for one in hosts.workers:
        for line in Path(f"/proc/{one.process.pid}/io").read_text().splitlines():
            name, _, value = line.partition(": ")
            if name in total:
                total[name] += int(value)
    return total


def run(folder, words, count):
    """Solve on `count` workers; return the seconds, those of each stage, the tiles, and the bytes moved."""
    hosts = Hosts(count)
    try:
        time.sleep(5)  # all workers are there
        began, before = time.perf_counter(), moved(hosts)
        command = [sys.executable, "-m", "mlsolve_cli", *map(str, words), "--overwrite", "--json"]
        done = subprocess.run(
            [*command, "--cluster", hosts.address, "--out", folder], capture_output=True, text=True, check=False
        )
        took, after = time.perf_counter() - began, moved(hosts)
    finally:
        hosts.end()
    if done.returncode:
        raise SystemExit(done.stderr[-1000:])
    events = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    tiles = max(event.get("tiles", 0) for event in events)
    ends = {event["stage"]: event["seconds"] for event in events if event["event"] == "progress"}
    spans, last = {}, 0.0
    for stage in ("pictures", "solving", "writing", "scoring"):
        spans[stage], last = ends[stage] - last, ends[stage]
    return took, spans, tiles, {name: after[name] - before[name] for name in before}


def told(what, took, spans, tiles, bytes_moved):
    """Print one run in a line."""
    stages = ", ".join(f"{stage} {seconds:.0f} s" for stage, seconds in spans.items())
    gigabytes = {kind: f"{size / 1e9:.1f}" for kind, size in bytes_moved.items()}
    print(
        f"{what}: {took:.0f} s ({stages}), up to {tiles} tiles a round, "
        f"read {gigabytes['rchar']} GB, written {gigabytes['wchar']} GB",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=10000)
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--iterations", type=int, default=12)
    parser.add_argument("--memory", default="400MiB")
    options = parser.parse_args()
    one, two, apart = "one worker", "two workers", "two clusters of one worker at once"
    found = {one: [], two: [], apart: []}
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(2) as pool:
        place = Path(name)
        target, *guides = drawn(place)
        words = ["run", target, *(word for guide in guides for word in ("--guide", guide)), "--exposure", 0.2]
        words += ["--iterations", options.iterations, "--memory", options.memory, "--size"]
        run(place / "warm", [*words, 600], 1)  # kernels are compiled once, outside the turns
        words.append(options.size)
        for _ in range(options.turns):
            for what, counts in ((one, [1]), (two, [2]), (apart, [1, 1])):
                folders = [place / f"{what}-{number}" for number in range(len(counts))]
                runs = list(pool.map(run, folders, [words] * len(counts), counts))
                for each in runs:
                    told(what, *each)
                found[what].append((max(each[0] for each in runs), max(each[1]["solving"] for each in runs)))
        for what in (two, apart):
            assert content(place / f"{one}-0") == content(place / f"{what}-0")
    for number, what in enumerate(("whole runs", "solving alone")):
        seconds = {
            name: statistics.median(times[number] for times in all_times) for name, all_times in found.items()
        }
        print(
            f"{what}: {seconds[one]:.0f} s on one worker, {seconds[two]:.0f} s on two, efficiency "
            f"{seconds[one] / (2 * seconds[two]):.3f}; two separate clusters at once {seconds[apart]:.0f} s, "
            f"which allows {seconds[one] / seconds[apart]:.3f}"
        )


if __name__ == "__main__":
    main()
