"""Stacks with gaps seen at an angle: python bench/views.py TARGET GUIDE GUIDE GUIDE [--page FILE] [--picture FILE].

Solves a job at 600 pixels, 100×100 mm at 150 dpi, exposure 0.1, its sheets 3 mm of acrylic apart, for no cone and
for several. Prints a table: mean SSIM of the stack from eight sides at several angles, the least of them at 10°,
largest leak, guides. --page: adds the table to a page. --picture: the sheets, the stack from the front and at
10°, solved without a cone (above) and for ±12° (below), as a JPEG.
"""

import argparse
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from mlsolve import Options, Solution, compose, solve, ssim
from mlsolve.job.arrangements import Arrangement
from mlsolve.job.depths import depths_of
from mlsolve.job.job import Job
from mlsolve.job.print_size import INCH
from mlsolve.job.viewing import seen_shift

SIDE, DPI, EXPOSURE, MATERIAL = 600, 150, 0.1, "acrylic"
ANGLES = (0.0, 5.0, 10.0, 12.0, 15.0)
DIRECTIONS = 8

RUNS: tuple[dict[str, Any], ...] = (
    {"view": 0.0},
    *({"view": degrees} for degrees in (6.0, 12.0, 18.0)),
    *({"view": 12.0, **other} for other in ({"hide_weight": 1.0}, {"registration": 1.0}, {"carriers": 9})),
    *({"view": 12.0, "gap": millimetres} for millimetres in (1.0, 5.0)),
    {"view": 0.0, "gap": 0.125},
    {"view": 12.0, "gap": 3.0, "material": "air"},
)
"""Options of the runs; gaps are in millimetres, 3 where none is given."""

Image_ = npt.NDArray[np.float32]


def main() -> None:
    """Solve and print, one line for each run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", type=Path)
    parser.add_argument("guides", nargs="+")
    parser.add_argument("--page", type=Path)
    parser.add_argument("--picture", type=Path)
    asked = parser.parse_args()
    guides = tuple(Path(one) if Path(one).exists() else one for one in asked.guides)
    target, pictures = Job((Arrangement(asked.target),), guides, size=(SIDE, SIDE)).pictures()

    def solved(run: Mapping[str, Any]) -> Solution:
        gap = run.get("gap", 3.0) / INCH * DPI
        return solve(target, pictures, Options(**{**run, "gap": gap, "exposure": EXPOSURE}))

    if asked.picture:
        rows = [_row(solved({"view": degrees})) for degrees in (0.0, 12.0)]
        drawn = Image.fromarray(np.concatenate(rows))
        drawn.resize((1500, 600), Image.Resampling.LANCZOS).save(asked.picture, quality=88)
        return
    names = " ".join(Path(one).stem for one in (asked.target, *asked.guides))
    lines = [
        f"## {names}",
        "",
        f"| options | {' | '.join(f'{angle:g}°' for angle in ANGLES)} | least at 10° | leak | guides |",
        "|---" * (len(ANGLES) + 4) + "|",
    ]
    print("\n".join(lines), flush=True)
    for run in RUNS:
        solution = solved(run)
        found = {angle: [ssim(one, target) for one in _seen(solution, angle)] for angle in ANGLES}
        means = " | ".join(f"{np.mean(values):.3f}" for values in found.values())
        scores = solution.scores
        leak = max(scores.stacks[0].leak)
        lines.append(
            f"| `{_words(run)}` | {means} | {min(found[10.0]):.3f} | {leak:.2f} | {scores.mean_guide_ssim:.3f} |"
        )
        print(lines[-1], flush=True)
    if asked.page:
        with asked.page.open("a", encoding="utf-8") as page:
            page.write("\n".join(lines) + "\n\n")


def _words(run: Mapping[str, Any]) -> str:
    """Return the options of a run as they are typed."""
    flags = {"hide_weight": "hide"}
    units = {"view": "deg", "gap": "mm", "registration": "px"}
    named = {name: value for name, value in run.items() if name != "view" or value}
    return (
        " ".join(
            f"--{flags.get(name, name)} {value:g}{units.get(name, '')}"
            if name != "material"
            else f"--material {value}"
            for name, value in named.items()
        )
        or "none"
    )


def _seen(solution: Solution, angle: float) -> list[Image_]:
    """Return the stack as it is seen at `angle` from all sides; displacements are rounded to whole pixels."""
    depths = depths_of(solution.options, len(solution.layers))
    shifts = [seen_shift(depth, angle, solution.options.refraction) for depth in depths]
    stacks = []
    for side in range(DIRECTIONS if angle else 1):
        way = 2 * math.pi * side / DIRECTIONS
        ways = [(round(shift * math.sin(way)), round(shift * math.cos(way))) for shift in shifts]
        stacks.append(compose([_moved(one, by) for one, by in zip(solution.layers, ways, strict=True)], EXPOSURE))
    return stacks


def _moved(layer: Image_, by: tuple[int, int]) -> Image_:
    """Return a sheet displaced by whole pixels (down, right); the light box is seen beside it."""
    result = np.ones_like(layer)
    height, width = layer.shape[:2]
    down, right = by
    result[max(0, down) : height + min(0, down), max(0, right) : width + min(0, right)] = layer[
        max(0, -down) : height - max(0, down), max(0, -right) : width - max(0, right)
    ]
    return result


def _row(solution: Solution) -> npt.NDArray[np.uint8]:
    """Return the sheets, their stack from the front and at 10° side by side, (H, 5 W, 3)."""
    pictures = [*solution.layers, *_seen(solution, 0.0), _seen(solution, 10.0)[0]]
    return np.asarray(np.rint(np.clip(np.concatenate(pictures, axis=1), 0, 1) * 255), dtype=np.uint8)


if __name__ == "__main__":
    main()
