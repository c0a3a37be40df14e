"""Peak memory; each figure is measured in its own process.

    python -m mlsolve_records.memory NAME SIDE [THREADS]    one opponent's iterations
    python -m mlsolve_records.memory solve SIDE [THREADS]   mlsolve.solve with files written, all levels

prints one line of JSON. The figure is the peak resident memory minus the memory that the process held before the
problem was made, with kernels compiled and libraries loaded: a small problem is solved first.
"""

import json
import re
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from mlsolve_kernels.threads import available_cores

SMALL = 96


def peak(anew: bool = False) -> int:
    """Return the peak resident memory of this process in bytes; anew: reset it to the present memory.

    Only Linux can reset the peak. Elsewhere it is the largest since the process began, and figures are too small if
    the preparation, such as compiling, needed more memory than the problem.
    """
    try:
        if anew:
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return int(re.findall(r"VmHWM:\s*(\d+) kB", status)[0]) * 1024
    except (OSError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def measure(name: str, side: int, threads: int) -> dict[str, float]:
    """Return the peak memory of `name` at `side`×`side` pixels, in bytes, and per pixel, plane and layer.

    name: an opponent, or "solve". It runs in its own process. Raises RuntimeError, with the end of its output, if
    that fails.
    """
    command = [sys.executable, "-m", "mlsolve_records.memory", name, str(side), str(threads)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"measuring the memory of {name} at {side}×{side} failed: {done.stderr.strip()[-300:]}")
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def _iterate(name: str, side: int, threads: int) -> None:
    """Make the problem and run two iterations."""
    from mlsolve_bench.problem import noise

    from .opponents import iteration

    step = iteration(name, noise(side), threads)
    step()
    step()


def _solve(side: int, threads: int) -> None:
    """Solve random pictures with two iterations per level and write the files."""
    import numpy as np

    from mlsolve import Options, solve

    pictures = np.random.default_rng(0).random((4, side, side, 3), dtype=np.float32)
    with tempfile.TemporaryDirectory() as folder:
        options = Options(iterations=2, threads=threads)
        solve(pictures[0], pictures[1:], options).save(Path(folder) / "prints")


def main(arguments: list[str]) -> None:
    """Measure here, in this process."""
    name, side = arguments[0], int(arguments[1])
    threads = int(arguments[2]) if len(arguments) > 2 else available_cores()

    def work(size: int) -> None:
        if name == "solve":
            _solve(size, threads)
        else:
            _iterate(name, size, threads)

    work(SMALL)
    before = peak(anew=True)
    work(side)
    used = peak() - before
    print(json.dumps({"bytes": used, "bytes per pixel, plane and layer": used / (9 * side**2)}))


if __name__ == "__main__":
    main(sys.argv[1:])
