"""The goals beside what settle_gpu.py has measured, and the files that this is read from."""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from . import decisions
from .figures import duration
from .opponents import OURS

SETTLED: Final = "settled.json"
TABLE: Final = "table.txt"
MEASURED: Final = "measured.json"
"""What record_gpu writes, with all figures of this call."""

GOALS: Final[dict[int, tuple[float, float | None, float | None]]] = {
    7087: (8.3, 1.4, None),
    2048: (0.80, None, 5.0),
    600: (0.11, None, 6.0),
}
"""What an H200 is to reach, by side: milliseconds, copies of 152 bytes, times as fast as the fastest torch."""

ARRANGED: Final = {
    "still": 1.3,
    "quarter turns": 1.3,
    "slight turns": 1.3,
    "two stacks": 1.5,
    "nothing given away": 1.3,
}
"""The most plain iterations that an arranged one is to take."""


def decided_in(out: Path, argument: str, side: int) -> Path:
    """Return the file of what was measured of an argument of the backend at one side."""
    return out / f"decide-{argument}-{side}.json"


def read(path: Path) -> dict[str, Any]:
    """Return what a file of results says; nothing if it is not there, or was half written when time was up."""
    with suppress(OSError, ValueError):
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found
    return {}


def table(out: Path) -> list[str]:
    """Return the goals beside what this call has written into `out`, as lines."""
    results, steps = read(out / MEASURED), read(out / SETTLED).get("steps", {})
    lines = [f"{results['machine']['device']}, commit {results['machine']['commit']}"] if results else []
    lines += [f"{'':54} {'to reach':>10} {'measured':>12}"]
    for side, (milliseconds, copies, times) in GOALS.items():
        entry = results.get("floor", {}).get("sizes", {}).get(str(side), {})
        lines.append(_line(f"{side}²", duration(milliseconds), _or_none(entry.get("milliseconds"), duration)))
        if copies is not None:
            lines.append(
                _line(f"{side}², copies of 152 bytes", f"{copies:g}", _or_none(entry.get("times the copy")))
            )
        if times is not None:
            against = results.get("iterations", {}).get("sizes", {}).get(str(side), {}).get("times ours", {})
            torch = {name: ratio for name, ratio in against.items() if not name.startswith(OURS)}
            name = min(torch, key=lambda one: torch[one], default=None)
            said = f"{side}², times as fast as " + (name or "torch")
            lines.append(_line(said, f"{times:g}", _or_none(None if name is None else torch[name])))
    for side, entry in results.get("arrangements", {}).get("milliseconds", {}).items():
        for name, most in ARRANGED.items():
            measured = None if name not in entry else entry[name] / entry["plain"]
            lines.append(_line(f"{side}², {name}", f"{most:g}", _or_none(measured)))
    for argument, _, sides in decisions.OFFERED:
        for side in sides:
            if found := read(decided_in(out, argument, side)):
                lines.append(f"{argument} {side}²: {values(found)}")
    lines += _without_graphs(results)
    return lines + [f"{name}: {one['outcome']}" for name, one in steps.items() if one["outcome"] != "done"]


def values(found: dict[str, float | str]) -> str:
    """Return what was measured of the values of an argument of the backend, in one line."""
    taken = (f"{value} {one if isinstance(one, str) else duration(one)}" for value, one in found.items())
    return ", ".join(taken)


def _without_graphs(results: dict[str, Any]) -> list[str]:
    """Return a line for each section in which graphs were asked for, but the device did not record them."""
    said = [
        (section, side, entry.get("ours as graphs"))
        for section in ("floor", "iterations")
        for side, entry in results.get(section, {}).get("sizes", {}).items()
    ]
    arranged = results.get("arrangements", {}).get("ours as graphs", {})
    said += [("arrangements", side, graphs) for side, graphs in arranged.items()]
    found: dict[str, list[str]] = {}
    for section, side, graphs in said:
        if False in (graphs.values() if isinstance(graphs, dict) else (graphs,)):
            found.setdefault(section, []).append(side)
    return [f"{section}: graphs not recorded at {', '.join(sides)}" for section, sides in found.items()]


def _line(name: str, goal: str, measured: str) -> str:
    return f"{name:54} {goal:>10} {measured:>12}"


def _or_none(value: float | None, form: Callable[[float], str] = "{:.2f}".format) -> str:
    return "not measured" if value is None else form(value)
