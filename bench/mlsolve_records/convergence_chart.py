"""The chart of the study: bench/results/convergence.png, from the tables in the same folder."""

import csv
import statistics
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

from .convergence_recipes import FINALISTS

_COLOURS = dict(zip((recipe.name for recipe in FINALISTS), ("#8a8d93", "#1f5fa8", "#c8452d"), strict=True))
_STYLE = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#707176",
    "axes.grid": True,
    "grid.color": "#e3e2de",
    "figure.facecolor": "#f6f5f1",
    "axes.facecolor": "#f6f5f1",
}
_LOSS = "loss against first, %"
_COST = "iterations at full size, smaller ones by their share of the pixels"

Line = list[tuple[float, float]]


def draw(folder: Path) -> None:
    """Draw convergence.png into `folder` from convergence-steps-SIDE.csv and convergence-budget-SIDE.csv there."""
    steps = sorted(folder.glob("convergence-steps-*.csv"), key=_side)
    budgets = sorted(folder.glob("convergence-budget-*.csv"), key=_side)
    with pyplot.rc_context(_STYLE):
        panels = len(steps) + len(budgets) + 1
        figure, axes = pyplot.subplots(-(-panels // 2), 2, figsize=(11, 4 * -(-panels // 2)), squeeze=False)
        places = iter(axes.flat)
        for path in steps:
            _loss_panel(next(places), path)
        for path in budgets:
            _budget_panel(next(places), path)
        _quality_panel(next(places), steps[0])
        for left in places:
            left.set_axis_off()
        handles, names = axes.flat[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="upper center", ncols=len(names), frameon=False, fontsize=10)
        figure.tight_layout(rect=(0, 0, 1, 0.96))
        figure.savefig(folder / "convergence.png", dpi=110)


def _loss_panel(axes: Any, path: Path) -> None:
    """Draw the loss at full size during a solve."""
    rows = _rows(path)
    axes.set_title(f"{_side(path)}×{_side(path)}: loss while solving, median of {_count(rows)} problems")
    for name, colour in _COLOURS.items():
        lines = _lines(rows, name, _LOSS)
        for line in lines:
            axes.plot(*zip(*line, strict=True), color=colour, linewidth=0.5, alpha=0.35)
        middle = _median(lines)
        axes.plot(*zip(*middle, strict=True), color=colour, linewidth=2, label=_label(rows, name))
        axes.plot(*middle[-1], "o", color=colour, markersize=5)
    _loss_axes(axes, 12)


def _budget_panel(axes: Any, path: Path) -> None:
    """Draw the final loss of solves of different lengths."""
    rows = _rows(path)
    axes.set_title(
        f"{_side(path)}×{_side(path)}: loss at the end of shorter and longer solves, {_count(rows)} problems"
    )
    for name, colour in _COLOURS.items():
        lines = [sorted(line) for line in _lines(rows, name, _LOSS)]
        for line in lines:
            axes.plot(*zip(*line, strict=True), color=colour, linewidth=0.5, alpha=0.35)
        axes.plot(*zip(*_median(lines), strict=True), color=colour, linewidth=2, marker="o", markersize=4)
    axes.set_xscale("log")
    axes.set_xticks((10, 20, 40, 80, 160), ("10", "20", "40", "80", "160"))
    axes.minorticks_off()
    _loss_axes(axes, 12)


def _quality_panel(axes: Any, path: Path) -> None:
    """Draw the SSIM to the target, and that of the layers to their guides."""
    rows = _rows(path)
    axes.set_title(f"{_side(path)}×{_side(path)}: SSIM, target (above) and mean of the guides (below)")
    for name, colour in _COLOURS.items():
        for measure in ("target SSIM", "guide SSIM"):
            axes.plot(*zip(*_median(_lines(rows, name, measure)), strict=True), color=colour, linewidth=2)
    axes.set_ylim(0.6, 1)
    axes.set_xlim(left=0)
    axes.set_xlabel(_COST)


def _loss_axes(axes: Any, highest: float) -> None:
    axes.axhline(0, color="#18191d", linewidth=0.8)
    axes.set_ylim(-2, highest)
    if axes.get_xscale() == "linear":
        axes.set_xlim(left=0)
    axes.set_xlabel(_COST)
    axes.set_ylabel("loss above where the first defaults end, %")


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _side(path: Path) -> int:
    return int(path.stem.rsplit("-", 1)[1])


def _count(rows: list[dict[str, str]]) -> int:
    return len({row["problem"] for row in rows})


def _label(rows: list[dict[str, str]], name: str) -> str:
    most = max(int(row["iteration"]) for row in rows if row["recipe"] == name) - 1
    return f"{name}: {most} iterations a level"


def _lines(rows: list[dict[str, str]], name: str, measure: str) -> list[Line]:
    """Return a line (cost, measure) for every problem."""
    lines: dict[str, Line] = {}
    for row in rows:
        if row["recipe"] == name:
            lines.setdefault(row["problem"], []).append((float(row["cost"]), float(row[measure])))
    return list(lines.values())


def _median(lines: list[Line]) -> Line:
    """Return the median of lines with the same costs."""
    return [(points[0][0], statistics.median(value for _, value in points)) for points in zip(*lines, strict=True)]
