"""Compare the bytes of the CUDA kernels of two checkouts, on the host: python bench/compare_kernels.py OTHER

OTHER is another checkout of the repository, such as `git worktree add` creates from an earlier commit. Each runs
its own kernels on the processor (tests/cuda_host) over the same pictures: terms and gradients of one evaluation,
sums, layers and moments of several steps, statistics, and arrangements of every kind. All must be the same bytes:
the exit status is 1 if some differ or a checkout cannot run. Needs g++.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]

PROBE = """
import hashlib, json, sys, tempfile
from pathlib import Path
import numpy as np
from cuda_host.arrangements import Both
from cuda_host.checks import CASES, problem, statistics_by, workspace
from cuda_host.device import HostDevice

found = {}

def tell(name, *values):
    digest = hashlib.sha256()
    for value in values:
        digest.update(value.tobytes() if isinstance(value, np.ndarray) else repr(value).encode())
    found[name] = digest.hexdigest()

def tell_state(name, work):
    moments = [np.empty(work.shape[2:], np.float32) for _ in range(2)]
    for number, moment in enumerate(moments):
        work.take_moment(number, work.shape.layers - 1, 0, moment)
    tell(f"{name}: layers", work.layers)
    tell(f"{name}: moments", *moments)

def plain(sums):
    return [sorted((name, tuple(values)) for name, values in one.items()) for one in sums]

with tempfile.TemporaryDirectory() as place:
    folder = Path(place)
    for shape in CASES:
        work = workspace(*problem(np.random.default_rng(5), *shape), HostDevice(folder))
        tell(f"{shape}: terms", plain([work.evaluate()]))
        tell(f"{shape}: gradient", work.gradient)
        tell(f"{shape}: sums", plain(work.advance([0.03 / (1 + step) for step in range(7)])))
        tell_state(shape, work)
    for kind in ((1,), (2,), (2, slice(1))):
        both = Both(*kind)
        work = both.on(HostDevice(folder))
        tell(f"arranged {kind}: sums", plain(work.advance([0.0] * 2, both.lying)))
        work.evaluate(both.lying[1])
        tell(f"arranged {kind}: gradient", work.gradient)
        work.advance([0.02] * 3, both.lying + both.lying[:1])
        tell_state(f"arranged {kind}", work)
    for size in ((1, 3), (12, 119), (60, 33), (300, 130)):
        image = np.random.default_rng(9).random((2, *size)).astype(np.float32)
        tell(f"statistics {size}", *statistics_by(HostDevice(folder), image))
print(json.dumps(found))
"""
"""Prints the digest of everything that the kernels of a checkout compute, by name."""


def digests(checkout: Path) -> dict[str, str]:
    """Return what the kernels of `checkout` compute, by name. Exits with one line if they cannot be run."""
    folders = (str(checkout / name) for name in ("tests", "src", "kernels", "cli", "bench"))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(folders)}
    command = [sys.executable, "-c", PROBE]
    done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{checkout} cannot run its kernels: {(done.stderr.splitlines() or ['it said nothing'])[-1]}")
    found: dict[str, str] = json.loads(done.stdout)
    return found


def main(arguments: list[str]) -> None:
    """Compare and tell what differs."""
    if len(arguments) != 1 or arguments[0].startswith("-") or not Path(arguments[0], "tests").is_dir():
        sys.exit("usage: python bench/compare_kernels.py OTHER, a checkout of this repository")
    here, there = digests(HERE), digests(Path(arguments[0]).resolve())
    names = here.keys() | there.keys()
    differ = sorted(name for name in names if here.get(name) != there.get(name))
    for name in differ:
        print(f"differs: {name}")
    print(f"{len(names) - len(differ)} of {len(names)} are the same bytes")
    sys.exit(1 if differ else 0)


if __name__ == "__main__":
    main(sys.argv[1:])
