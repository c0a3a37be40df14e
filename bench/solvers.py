"""Two ways to solve: python bench/solvers.py [FOLDER] [--side 600 ...] [--turns 3] [--only NAME ...] [--out FILE]

Every problem is solved by `solver="adam"` and by `solver="newton"` with their own default iterations, in turns.
`--by NAME=VALUE ...` names other options for the second way, for example `--by solver=adam iterations=30`. What the
second way refuses, such as `newton` with several arrangements, is named and left out.

Loss, scores of the 8-bit sheets and the ratio of the median times go into a Markdown table; of several stacks the
differences are those of the stack that loses most. Both ways have the exposures that the first one found. With a
tolerance the loss is the mean of the last ten iterations, whose misalignments are random. Losses and scores are
the same to the bit on one kind of machine; times are not.

FOLDER holds cat1.jpg, dog.jpg, girl.jpg and pattern1.jpg, 2, 3, 4, 6 and 7. Without it only the problems made of
the example pictures are solved.
"""

import argparse
import dataclasses
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import mlsolve
from mlsolve import Arrangement, Options, Placement, Problem
from mlsolve.errors import OptionError
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


def soft(side: int) -> npt.NDArray[np.float32]:
    """Return a mask that falls from 1 in the middle to 0.07 in the corners."""
    across = (np.arange(side) / (side - 1) - 0.5) ** 2
    return np.asarray(0.05 + 0.95 * np.exp(-(across[:, np.newaxis] + across) / 0.08), dtype=np.float32)


def square(side: int) -> npt.NDArray[np.float32]:
    """Return a mask that is 1 in a rectangle and 0.1 around it."""
    mask = np.full((side, side), 0.1, dtype=np.float32)
    mask[side // 4 : 3 * side // 4, side // 5 : 4 * side // 5] = 1
    return mask


TURNED = (Placement(1), Placement(2, rotate=90), Placement(3, rotate=180))
FIVE = (
    (Placement(1), Placement(2, rotate=90), Placement(3, rotate=180), Placement(4), Placement(5, rotate=270)),
    (Placement(1, rotate=180), Placement(2), Placement(3), Placement(4, rotate=90), Placement(5, flip="h")),
)
HOURS = (Placement(1), Placement(2, rotate=30), Placement(3, rotate=180))
THREE_OF_SIX = tuple(tuple(map(Placement, sheets)) for sheets in ((1, 2, 3), (3, 4, 5), (5, 6, 1)))

Mask = Callable[[int], npt.NDArray[np.float32]]
Shown = tuple[str, tuple[Placement, ...] | None, Mask | None]

ARRANGED: dict[str, tuple[tuple[Shown, ...], tuple[str, ...], str, dict[str, Any]]] = {
    "pair: girl, cat1": ((("girl", None, None), ("cat1", TURNED, None)), PATTERNS[:3], "sheet", {"exposure": 0.2}),
    "pair: chelsea, coffee": (
        (("chelsea", None, None), ("coffee", TURNED, None)),
        own_guides(3, 0),
        "sheet",
        {"exposure": 0.2},
    ),
    "triple: three of six": (
        tuple((name, place, None) for name, place in zip(("girl", "cat1", "dog"), THREE_OF_SIX, strict=True)),
        PATTERNS,
        "sheet",
        {"exposure": 0.05},
    ),
    "triple: five sheets": (
        (("chelsea", None, None), ("coffee", FIVE[0], None), ("rocket", FIVE[1], None)),
        own_guides(5, 1),
        "sheet",
        {"exposure": 0.1},
    ),
    "registration: cat1": (
        (("cat1", None, None),),
        PATTERNS[:3],
        "sheet",
        {"exposure": 0.1, "registration": 3.0},
    ),
    "registration: coffee": (
        (("coffee", None, None),),
        own_guides(5, 0),
        "sheet",
        {"exposure": 0.1, "registration": 1.5},
    ),
    "hiding: cat1": ((("cat1", None, None),), PATTERNS[:3], "sheet", {"exposure": 0.1, "hide_weight": 2.0}),
    "hiding: coffee": ((("coffee", None, None),), own_guides(2, 0), "sheet", {"hide_weight": 1.0}),
    "disc: dog, 2 layers": ((("dog", None, None),), PATTERNS[:2], "disc", {"exposure": 0.2}),
    "disc: cat1, 3 layers": ((("cat1", None, None),), PATTERNS[:3], "disc", {"exposure": 0.1}),
    "disc: coffee, 6 layers": ((("coffee", None, None),), own_guides(6, 1), "disc", {"exposure": 0.1}),
    "disc: chelsea, 9 layers": ((("chelsea", None, None),), own_guides(9, 0), "disc", {"exposure": 0.05}),
    "disc: a pair": ((("woman", None, None), ("cat", HOURS, None)), own_guides(3, 0), "disc", {"exposure": 0.05}),
    "mask: coffee, 2 layers": ((("coffee", None, square),), own_guides(2, 0), "sheet", {}),
    "mask: cat1, 3 layers": ((("cat1", None, soft),), PATTERNS[:3], "sheet", {"exposure": 0.1}),
    "mask: girl, 4 layers": ((("girl", None, soft),), PATTERNS[:4], "sheet", {"exposure": 0.1}),
    "mask: dog, 6 layers": ((("dog", None, square),), PATTERNS, "sheet", {"exposure": 0.1}),
    "mask: chelsea, 9 layers": ((("chelsea", None, square),), own_guides(9, 0), "sheet", {"exposure": 0.05}),
    "mask: cat1, 16 layers": ((("cat1", None, soft),), own_guides(16, 0), "sheet", {"exposure": 0.05}),
    "mask and disc: coffee, 6 layers": ((("coffee", None, soft),), own_guides(6, 1), "disc", {"exposure": 0.1}),
}
"""Arrangements (target, placements, mask), guides, shape and options by name."""

ALL = {name: (((target, None, None),), guides, "sheet", own) for name, (target, guides, own) in PROBLEMS.items()}
ALL |= ARRANGED

HEAD = (
    "| problem | loss, first way | second | SSIM | second | guides | second | PSNR | second | time |\n"
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


def problem(name: str, side: int, folder: Path | None) -> Problem | None:
    """Return a problem of `side` × `side` pixels; None if a picture is missing."""
    shown, guides, shape, _ = ALL[name]
    targets = [picture(target, side, folder) for target, _, _ in shown]
    looks = [picture(one, side, folder) for one in guides]
    if any(one is None for one in (*targets, *looks)):
        return None
    pairs = zip(targets, shown, strict=True)
    return Problem(
        looks,
        [Arrangement(one, place, mask=None if mask is None else mask(side)) for one, (_, place, mask) in pairs],
        shape,
    )


def compared(
    name: str, side: int, folder: Path | None, turns: int, threads: int, second: dict[str, Any]
) -> str | None:
    """Return the line of a problem in the table; None if a picture is missing."""
    asked, settings = problem(name, side, folder), ALL[name][3]
    if asked is None:
        return None
    seconds: tuple[list[float], list[float]] = ([], [])
    found: list[Any] = [None, None]
    for turn in range(turns + 1):
        for way, own in enumerate(({"solver": "adam"}, second)):
            try:
                options = Options(threads=threads, backend="cpu", **{**settings, **own})
                began = time.perf_counter()
                found[way] = mlsolve.solve(asked, options=options)
            except OptionError as error:
                return f"| {name} | {error} |" + " |" * 8
            if turn:  # the first turn compiles
                seconds[way].append(time.perf_counter() - began)
            named = zip(asked.arrangements, found[0].exposures, strict=True)
            asked = dataclasses.replace(
                asked, arrangements=[dataclasses.replace(one, exposure=exposure) for one, exposure in named]
            )
    last = 10 if "registration" in settings else 1
    before, after = (statistics.fmean(step.loss for step in one.history[-last:]) for one in found)
    cells = [name, f"{before:.4f}", f"{100 * (after / before - 1):+.2f} %"]
    one, two = (way.scores for way in found)
    ssim = min(zip(one.stacks, two.stacks, strict=True), key=lambda pair: pair[1].ssim - pair[0].ssim)
    psnr = min(zip(one.stacks, two.stacks, strict=True), key=lambda pair: pair[1].psnr - pair[0].psnr)
    cells += [f"{ssim[0].ssim:.4f}", f"{ssim[1].ssim - ssim[0].ssim:+.4f}"]
    cells += [f"{one.mean_guide_ssim:.4f}", f"{two.mean_guide_ssim - one.mean_guide_ssim:+.4f}"]
    cells += [f"{psnr[0].psnr:.1f}", f"{psnr[1].psnr - psnr[0].psnr:+.1f}"]
    ratio = statistics.median(seconds[1]) / statistics.median(seconds[0])
    return f"| {' | '.join([*cells, f'{ratio:.2f}'])} |"


def option(text: str) -> tuple[str, Any]:
    """Return the name and the value of an option, given as NAME=VALUE."""
    name, value = text.split("=", 1)
    for kind in (int, float):
        try:
            return name, kind(value)
        except ValueError:
            continue
    return name, value


def main() -> None:
    """Solve the problems and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--side", type=int, nargs="+", default=[600])
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", nargs="+", default=[""], help="problems whose names contain one of these")
    parser.add_argument("--by", nargs="+", type=option, default=[("solver", "newton")], metavar="NAME=VALUE")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    lines = []
    for side in asked.side:
        lines += [f"\n{side}×{side} pixels:\n", HEAD]
        for name in ALL:
            if any(word in name for word in asked.only):
                line = compared(name, side, asked.folder, asked.turns, asked.threads, dict(asked.by))
                lines += [line] if line else []
                print(line, flush=True)
    if asked.out:
        asked.out.write_text("\n".join(lines).strip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
