"""What a second worker is worth: python bench/cluster_efficiency.py [--size 10000] [--turns 2].

The same print is solved in tiles by one worker of one thread and by two of them, in turns, whole runs from pictures
to the report. It prints the seconds of each run and of its stages, the efficiency (the seconds of one worker,
divided by twice those of two), and the bytes that workers read and write while they solve.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
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


def run(place, words, count):
    """Solve on `count` workers; return the seconds of the whole run and of its stages, and the bytes moved."""
    hosts, folder = Hosts(count), place / f"on-{count}"
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


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=10000)
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--iterations", type=int, default=12)
    parser.add_argument("--memory", default="400MiB")
    options = parser.parse_args()
    found = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        target, *guides = drawn(place)
        words = ["run", target, *(word for guide in guides for word in ("--guide", guide)), "--exposure", 0.2]
        words += ["--size", options.size, "--iterations", options.iterations, "--memory", options.memory]
        for _ in range(options.turns):
            for count in (1, 2):
                took, spans, tiles, bytes_moved = run(place, words, count)
                found[count].append((took, spans["solving"]))
                stages = ", ".join(f"{stage} {seconds:.0f} s" for stage, seconds in spans.items())
                gigabytes = {kind: f"{size / 1e9:.1f}" for kind, size in bytes_moved.items()}
                print(
                    f"{count} worker{'s' * (count > 1)}: {took:.0f} s ({stages}), up to {tiles} tiles a round, "
                    f"read {gigabytes['rchar']} GB, written {gigabytes['wchar']} GB",
                    flush=True,
                )
        assert content(place / "on-1") == content(place / "on-2")
    for number, what in enumerate(("whole runs", "solving alone")):
        one, two = (statistics.median(times[number] for times in found[count]) for count in (1, 2))
        print(f"{what}: {one:.0f} s and {two:.0f} s, efficiency {one / (2 * two):.3f}")


if __name__ == "__main__":
    main()
