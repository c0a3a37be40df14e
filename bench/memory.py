"""Peak memory of a solve: python bench/memory.py [SIDE] prints bytes for each pixel, plane and layer.

Three RGB layers, two iterations a level, files written; less what the process holds before, kernels compiled.
"""

import resource
import sys
import tempfile

import numpy as np

from mlsolve import Options, solve


def peak() -> int:
    """Return the peak resident memory so far in bytes (Linux counts in kibibytes)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    """Print the figure for a square of SIDE pixels, 2048 if none is given."""
    side = int(sys.argv[1]) if len(sys.argv) > 1 else 2048
    rng = np.random.default_rng(0)
    small = rng.random((4, 64, 64, 3), dtype=np.float32)
    solve(small[0], small[1:], Options(iterations=2)).save(tempfile.mkdtemp() + "/small")
    before = peak()
    pictures = rng.random((4, side, side, 3), dtype=np.float32)
    solve(pictures[0], pictures[1:], Options(iterations=2)).save(tempfile.mkdtemp() + "/large")
    print(f"{side}×{side}: {(peak() - before) / (9 * side**2):.0f} bytes for each pixel, plane and layer")


if __name__ == "__main__":
    main()
