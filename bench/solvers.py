"""Adam against Newton: python bench/solvers.py [FOLDER] [--side 600 ...] [--turns 3] [--only NAME ...] [--out FILE]

Every problem is solved by `solver="adam"` and by `solver="newton"` with their own default iterations, in turns.
Loss, scores of the 8-bit sheets and the ratio of the median times go into a Markdown table. Losses and scores
repeat to the bit on one kind of machine; times do not.

FOLDER holds cat1.jpg, dog.jpg, girl.jpg and pattern1.jpg, 2, 3, 4, 6 and 7. Without it only the problems made of
the example pictures are solved.
"""

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import mlsolve
from mlsolve import Options
from mlsolve.guides import generate
from mlsolve.job.job import own_guides, parse_generated
from mlsolve.pictures.picture_files import load_picture

EXAMPLES = Path(__file__).parents[1] / "examples"
PATTERNS = tuple(f"pattern{k}" for k in (7, 3, 4, 1, 2, 6))
PHOTOS = ("cat", "coffee", "photographer", "rocket", "shuttle", "retina", "brick", "gravel", "grass")
DARK = {"exposure": 0.005, "max_density": 1.0, "mse_weight": 20.0, "guide_weight": 0.5}

PROBLEMS: dict[str, tuple[str, tuple[str, ...], dict[str, Any]]] = {
    "coffee, 1 layer": ("coffee", ("rosette:9",), {"exposure": 0.5}),
    "coffee, 2 layers": ("coffee", ("mosaic:8", "rosette:9"), {}),
    "chelsea, 3 layers": ("chelsea", ("rosette:1:ember", "mosaic:4:lagoon", "kaleidoscope:3:dusk"), {}),
    "coffee, 3 layers": ("coffee", own_guides(3, 0), {"exposure": 0.1}),
    "chelsea, 5 layers": ("chelsea", own_guides(5, 2), {"exposure": 0.1}),
    "rocket, 6 layers": ("rocket", own_guides(6, 1), {"exposure": 0.1}),
    "chelsea, 9 layers": ("chelsea", own_guides(9, 0), {"exposure": 0.05}),
    "woman, 9 photographs": ("woman", PHOTOS, DARK),
    "coffee, 16 layers": ("coffee", own_guides(16, 0), {"exposure": 0.05}),
    "cat1, 1 layer": ("cat1", PATTERNS[:1], {"exposure": 0.5}),
    "girl, 2 layers": ("girl", PATTERNS[:2], {"exposure": 0.2}),
    "cat1, 3 layers": ("cat1", PATTERNS[:3], {"exposure": 0.1}),
    "dog, 3 layers": ("dog", PATTERNS[:3], {"exposure": 0.1}),
    "girl, 3 layers": ("girl", PATTERNS[:3], {"exposure": 0.1}),
    "girl, 5 layers": ("girl", own_guides(5, 2), {"exposure": 0.1}),
    "dog, 6 layers": ("dog", PATTERNS, {"exposure": 0.1}),
    "cat1, 9 layers": ("cat1", own_guides(9, 3), {"exposure": 0.05}),
    "dog, 16 layers": ("dog", own_guides(16, 1), {"exposure": 0.05}),
}
"""Target, guides and options by name. A word with a colon is a generated guide."""

HEAD = (
    "| problem | loss by adam | newton | SSIM by adam | newton | guides | newton | PSNR | newton | time |\n"
    "|---|---|---|---|---|---|---|---|---|---|"
)


def picture(name: str, side: int, folder: Path | None) -> Any:
    """Return a guide or a target of `side` × `side` pixels; None if it is not there."""
    if ":" in name:
        family, seed, palette = parse_generated(name)
        return generate(family, (side, side), seed, palette)
    for place in filter(None, (folder, EXAMPLES)):
        if (place / f"{name}.jpg").exists():
            return mlsolve.fit_image(load_picture(place / f"{name}.jpg"), (side, side), "cover")
    return None


def compared(name: str, side: int, folder: Path | None, turns: int, threads: int) -> str | None:
    """Return the line of a problem in the table; None if a picture is missing."""
    target, guides, settings = PROBLEMS[name]
    shown, looks = picture(target, side, folder), [picture(one, side, folder) for one in guides]
    if shown is None or any(one is None for one in looks):
        return None
    seconds: dict[str, list[float]] = {"adam": [], "newton": []}
    found = {}
    for turn in range(turns + 1):
        for solver in seconds:
            options = Options(threads=threads, backend="cpu", solver=solver, **settings)
            began = time.perf_counter()
            found[solver] = mlsolve.solve(shown, looks, options)
            if turn:  # the first turn compiles
                seconds[solver].append(time.perf_counter() - began)
    cells = [name]
    adam, newton = (found[solver] for solver in ("adam", "newton"))
    before, after = adam.history[-1].loss, newton.history[-1].loss
    cells += [f"{before:.4f}", f"{100 * (after / before - 1):+.2f} %"]
    one, two = adam.scores, newton.scores
    cells += [f"{one.stacks[0].ssim:.4f}", f"{two.stacks[0].ssim - one.stacks[0].ssim:+.4f}"]
    cells += [f"{one.mean_guide_ssim:.4f}", f"{two.mean_guide_ssim - one.mean_guide_ssim:+.4f}"]
    cells += [f"{one.stacks[0].psnr:.1f}", f"{two.stacks[0].psnr - one.stacks[0].psnr:+.1f}"]
    ratio = statistics.median(seconds["newton"]) / statistics.median(seconds["adam"])
    return f"| {' | '.join([*cells, f'{ratio:.2f}'])} |"


def main() -> None:
    """Solve the problems and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--side", type=int, nargs="+", default=[600])
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", nargs="+", default=[""], help="problems whose names contain one of these")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    lines = []
    for side in asked.side:
        lines += [f"\n{side}×{side} pixels:\n", HEAD]
        for name in PROBLEMS:
            if any(word in name for word in asked.only):
                line = compared(name, side, asked.folder, asked.turns, asked.threads)
                lines += [line] if line else []
                print(line, flush=True)
    if asked.out:
        asked.out.write_text("\n".join(lines).strip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
