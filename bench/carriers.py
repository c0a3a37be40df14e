"""Tolerance with and without carriers: python bench/carriers.py TARGET GUIDE GUIDE GUIDE [--picture FILE].

Solves a job at 600 pixels and exposure 0.1 with several tolerances, weights of hiding, regions. Prints
a table: SSIM in place; misaligned by the tolerance, against the target at rest and moved; largest leak; guides.
--picture: sheets and misaligned stack without carriers (above) and with them (below), as a JPEG.
"""

import argparse
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from mlsolve import Options, Solution, compose, solve, ssim, ssim_moved
from mlsolve.job.arrangements import Arrangement
from mlsolve.job.job import Job

SIDE, EXPOSURE, TOLERANCE = 600, 0.1, 3.0

RUNS: tuple[dict[str, Any], ...] = (
    *({"carriers": regions} for regions in ("off", 3, 6, 9, 12, 24)),
    *({"hide_weight": hide, "carriers": how} for hide, how in itertools.product((1.0, 2.0, 5.0), ("off", 9))),
    *({"registration": pixels, "carriers": how} for pixels, how in itertools.product((1.0, 2.0, 5.0), ("off", 9))),
    *({"hide_weight": 0.9, "guide_weight": 0.35, "carriers": regions} for regions in (6, 9)),
    {"hide_weight": 1.1, "guide_weight": 0.25, "iterations": 120},
)
"""Options of the runs; registration is 3 pixels where it is not given."""

_FLAGS = {"hide_weight": "hide", "guide_weight": "guide-weight"}


def main() -> None:
    """Solve and print, one line for each run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", type=Path)
    parser.add_argument("guides", nargs="+")
    parser.add_argument("--picture", type=Path)
    asked = parser.parse_args()
    guides = tuple(Path(one) if Path(one).exists() else one for one in asked.guides)
    target, pictures = Job((Arrangement(asked.target),), guides, size=(SIDE, SIDE)).pictures()

    def solved(options: Mapping[str, Any]) -> Solution:
        return solve(target, pictures, Options(**{"registration": TOLERANCE, "exposure": EXPOSURE, **options}))

    if asked.picture:
        rows = [_row(solved({"carriers": how})) for how in ("off", "auto")]
        drawn = Image.fromarray(np.concatenate(rows))
        drawn.resize((1200, 600), Image.Resampling.LANCZOS).save(asked.picture, quality=88)
        return
    print("| options | in place | misaligned | misaligned, target moved | leak | guides |")
    print("|---|---|---|---|---|---|")
    for run in RUNS:
        solution, pixels = solved(run), int(run.get("registration", TOLERANCE))
        off = _misaligned(solution, pixels)
        scores = solution.scores
        figures = (
            ssim(off, target),
            ssim_moved(off, target, pixels),
            max(scores.stacks[0].leak),
            scores.mean_guide_ssim,
        )
        told = " ".join(
            f"--{_FLAGS.get(name, name)} {value:g}" if name != "carriers" else f"--carriers {value}"
            for name, value in run.items()
        )
        print(
            f"| `{told}` | {scores.target_ssim:.3f} | " + " | ".join(f"{one:.3f}" for one in figures) + " |",
            flush=True,
        )


def _misaligned(solution: Solution, pixels: int) -> npt.NDArray[np.float32]:
    """Return the stack, the second sheet shifted to the right, the third down."""
    shifts = ((0, 0), (0, pixels), (pixels, 0))
    moved = [np.roll(one, by, axis=(0, 1)) for one, by in zip(solution.layers, shifts, strict=True)]
    return compose(moved, EXPOSURE)


def _row(solution: Solution) -> npt.NDArray[np.uint8]:
    """Return the sheets and their stack, misaligned, side by side, (H, 4 W, 3)."""
    pictures = np.concatenate([*solution.layers, _misaligned(solution, int(TOLERANCE))], axis=1)
    return np.asarray(np.rint(np.clip(pictures, 0, 1) * 255), dtype=np.uint8)


if __name__ == "__main__":
    main()
