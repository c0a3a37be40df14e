"""Loss against iterations: python -m mlsolve_records.convergence attempts|budget|curves|chart

    attempts   every recipe of convergence_recipes.py, one line for each problem
    budget     the finalists with few and with many iterations: the final result and its cost
    curves     the finalists, every iteration at full size
    chart      the chart of these, bench/results/convergence.png

The cost is counted in iterations at full size, coarser ones by their share of the pixels, so it does not depend on
the machine. The problems are the example pictures with generated guides; `--job job.toml`, once or several times,
adds other problems: target, guides and exposure are read, and pictures made square.
"""

import argparse
import csv
import math
import sys
from collections.abc import Iterable
from pathlib import Path

from mlsolve.job.job_file import load_job
from mlsolve_kernels.threads import Team

from .convergence_recipes import BUDGETS, FINALISTS, FIRST, PROBLEMS, attempts
from .convergence_solve import Outcome, Problem, Recipe, solve

_RESULTS = Path(__file__).parents[1] / "results"

Row = tuple[str, ...]

_SUMMARY: Row = (
    "recipe",
    "problem",
    "side",
    "iterations",
    "cost",
    "loss",
    "loss against first, %",
    "cost to 1 % above first",
    "cost to first",
    "cost to SSIM 0.95 and guides 0.70",
    "target SSIM",
    "PSNR",
    "guide SSIM",
)
_STEPS: Row = (
    "recipe",
    "problem",
    "side",
    "iteration",
    "cost",
    "loss against first, %",
    "target SSIM",
    "guide SSIM",
)


def main() -> None:
    """Read the command line and run the requested study."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("attempts", "budget", "curves", "chart"))
    parser.add_argument("--side", type=int, default=300, help="pixels of the square pictures")
    parser.add_argument("--job", type=Path, action="append", default=[], help="a problem of one's own")
    parser.add_argument("--problem", action="append", help="only these problems, by name")
    parser.add_argument("--recipe", action="append", help="only recipes whose name contains this")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=_RESULTS, help="folder for the tables and the picture")
    asked = parser.parse_args()
    if asked.what == "chart":
        from .convergence_chart import draw

        draw(asked.out)
        return
    problems = [*PROBLEMS, *(Problem(path.stem, load_job(path)) for path in asked.job)]
    problems = [problem for problem in problems if not asked.problem or problem.name in asked.problem]
    recipes = [
        recipe
        for recipe in _recipes(asked.what)
        if not asked.recipe or any(part in recipe.name for part in asked.recipe)
    ]
    study(asked.what, problems, recipes, asked.side, Team(asked.threads), asked.out)


def study(what: str, problems: list[Problem], recipes: list[Recipe], side: int, team: Team, out: Path) -> None:
    """Solve every problem with every recipe and write the tables to `out`, problem by problem.

    Solves that are already in the tables are not repeated. convergence-WHAT-SIDE.csv has a line for each solve;
    with "curves", convergence-steps-SIDE.csv has one for each iteration at full size.
    """
    out.mkdir(parents=True, exist_ok=True)
    summary_path, steps_path = (out / f"convergence-{name}-{side}.csv" for name in (what, "steps"))
    summary, steps = _read(summary_path, _SUMMARY), _read(steps_path, _STEPS)
    for problem in problems:
        there = {(row[0], row[3]): row for row in summary if row[1] == problem.name}
        before = there.get((FIRST.name, f"{FIRST.iterations}"))
        aim = float(before[5]) if before else solve(problem, FIRST, side, team).points[-1].loss
        for recipe in recipes:
            if (recipe.name, f"{recipe.iterations}") in there:
                continue
            outcome = solve(problem, recipe, side, team)
            summary.append(_summary(problem, recipe, side, outcome, aim))
            steps.extend(_steps(problem, recipe, side, outcome, aim))
            print(*summary[-1], sep="  ", file=sys.stderr)
        _write(summary_path, summary)
        if what == "curves":
            _write(steps_path, steps)


def _read(path: Path, heading: Row) -> list[Row]:
    """Return the rows of a table; only the heading if it does not exist yet."""
    if not path.exists():
        return [heading]
    with path.open(newline="", encoding="utf-8") as file:
        return [tuple(row) for row in csv.reader(file)]


def _write(path: Path, rows: list[tuple[str, ...]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def _recipes(what: str) -> list[Recipe]:
    if what == "attempts":
        return attempts()
    if what == "curves":
        return list(FINALISTS)
    return [Recipe(**{**vars(recipe), "iterations": count}) for recipe in FINALISTS for count in BUDGETS]


def _summary(problem: Problem, recipe: Recipe, side: int, outcome: Outcome, aim: float) -> Row:
    """Return the line of a solve; aim: the loss at which the first defaults end."""
    end = outcome.points[-1]
    return (
        recipe.name,
        problem.name,
        f"{side}",
        f"{recipe.iterations}",
        f"{end.cost:.1f}",
        f"{end.loss:.5f}",
        f"{100 * (end.loss / aim - 1):.2f}",
        _cost(point.cost for point in outcome.finest if point.loss <= 1.01 * aim),
        _cost(point.cost for point in outcome.finest if point.loss <= aim),
        _cost(point.cost for point in outcome.finest if point.target_ssim >= 0.95 and point.guide_ssim >= 0.7),
        f"{outcome.target_ssim:.4f}",
        f"{outcome.psnr:.2f}",
        f"{outcome.guide_ssim:.4f}",
    )


def _cost(costs: Iterable[float]) -> str:
    """Return the lowest of `costs`; an empty cell if the aim was never reached."""
    least = min(costs, default=math.inf)
    return "" if math.isinf(least) else f"{least:.1f}"


def _steps(problem: Problem, recipe: Recipe, side: int, outcome: Outcome, aim: float) -> Iterable[Row]:
    """Yield a line for every iteration at full size."""
    for point in outcome.finest:
        yield (
            recipe.name,
            problem.name,
            f"{side}",
            f"{point.iteration}",
            f"{point.cost:.1f}",
            f"{100 * (point.loss / aim - 1):.2f}",
            f"{point.target_ssim:.4f}",
            f"{point.guide_ssim:.4f}",
        )


if __name__ == "__main__":
    main()
