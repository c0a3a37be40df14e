"""The figures of whole runs in docs/performance.md and README.md, from the results of whole_runs.py."""

import json
import statistics
from pathlib import Path
from typing import Any, Final

from .figures import duration, ratio
from .record import RESULTS
from .whole_runs import BEFORE, STAGES, THIS

NOTHING: Final = (
    "No whole run is recorded yet: `python -m mlsolve_records.whole_runs` times them, on this machine or yours."
)

SAID: Final = {
    "600": "600×600",
    "2362": "2362×2362",
    "7087": "7087×7087",
    "tiles": "7087×7087 in 2 GiB",
    "large": "30,000×20,000, TIFF, in 2 GiB",
}
"""The heads of the columns, by case."""

README_RESULTS: Final = RESULTS / "whole-runs-amd-epyc-zen-4-2-cores.json"
"""The record of the machine that README.md names."""

BESIDES: Final = "all but solving"

LINES: Final = {
    **{name: name for name in STAGES.values()},
    "end": "report, end",
    BESIDES: BESIDES,
    "whole": "the whole run",
    "processor": "processor time",
    "verify": "`mlsolve verify` of it",
}
"""The heads of the lines, by what is recorded."""


def results_in(folder: Path = RESULTS) -> list[dict[str, Any]]:
    """Return the records of whole runs in `folder` by file name, without quick ones."""
    files = sorted(path for path in folder.glob("whole-runs-*.json") if not path.stem.endswith("-quick"))
    return [json.loads(path.read_text(encoding="utf-8")) for path in files]


def whole_run_figures(folder: Path = RESULTS) -> str:
    """Return the text between the marks of whole runs in docs/performance.md: every machine in `folder`."""
    return "\n\n".join(machine_table(results) for results in results_in(folder)) or NOTHING


def machine_table(results: dict[str, Any]) -> str:
    """Return the table of one machine below lines that describe it: a line per stage, a column per case."""
    machine, cases = results["machine"], results["cases"]
    cores = f"{machine['cores']} core{'s' if machine['cores'] > 1 else ''}"
    threads = _each({f"{case['threads']} thread{'s' if case['threads'] > 1 else ''}" for case in cases.values()})
    dates = _each({case["date"] for case in cases.values()})
    turns = ", ".join(str(len(case["turns"][THIS])) for case in cases.values())
    this = _each({case["commits"][THIS] or "unknown" for case in cases.values()})
    before = _each({case["commits"][BEFORE] or "unknown" for case in cases.values() if BEFORE in case["commits"]})
    commits = f"commit {this}" + (f", the version before: commit {before}" if before else "")
    heading = (
        f"**{machine['cpu']}, {cores}**; Python {machine['python']}, numba {machine['numba']}; {threads}; {dates}; "
        f"{commits}."
    )
    said = f"Medians of {turns} turns:"
    if before:
        said = f"The version before / this one, and how many times faster this one is; medians of {turns} turns:"
    lines = [
        [head, *(_cell(case, name) for case in cases.values())]
        for name, head in LINES.items()
        if any(_has(case, name) for case in cases.values())
    ]
    rows = [["", *(SAID[name] for name in cases)], ["---"] * (len(cases) + 1), *lines]
    table = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    return f"{heading}\n\n{said}\n\n{table}"


def claim(results: dict[str, Any]) -> str:
    """Return what README.md says of whole runs, from the record of one machine."""
    cases, parts = results["cases"], []
    if "600" in cases:
        whole, solving = _seconds(cases["600"], "whole"), _seconds(cases["600"], "solving")
        parts.append(f"takes {whole} at 600×600, of which the solve takes {solving}")
    if "7087" in cases:
        parts.append(f"takes {_seconds(cases['7087'], BESIDES)} without the solve at 7087×7087")
    return f"A whole run from files to files {', and '.join(parts)}" if parts else ""


def median(case: dict[str, Any], which: str, name: str) -> float:
    """Return the median of the seconds of `name` over the turns of `which` version.

    name: as recorded, or BESIDES, which is the whole run without solving.
    """
    taken = case["turns"][which]
    if name == BESIDES:
        return float(statistics.median(one["whole"] - one["solving"] for one in taken))
    return float(statistics.median(one[name] for one in taken))


def _seconds(case: dict[str, Any], name: str) -> str:
    return duration(1e3 * median(case, THIS, name))


def _cell(case: dict[str, Any], name: str) -> str:
    if not _has(case, name):
        return "–"
    if BEFORE not in case["turns"]:
        return _seconds(case, name)
    before, this = median(case, BEFORE, name), median(case, THIS, name)
    return f"{duration(1e3 * before)} / {duration(1e3 * this)} = {ratio(before / this)}"


def _has(case: dict[str, Any], name: str) -> bool:
    return name == BESIDES or name in case["turns"][THIS][0]


def _each(said: set[str]) -> str:
    """Return what cases say, once if all say the same."""
    return ", ".join(sorted(said))
