"""Writes the figures of docs/performance.md and docs/gpu.md from bench/results: python -m mlsolve_records.pages.

These figures are not edited by hand; a test compares them. It also prints what README.md must say of whole runs, if
that is not there yet.
"""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from . import gpu_page, instructions, whole_runs_page
from .figures import duration, ratio
from .opponents import COMPILED, DESCRIBED, OURS, PUBLISHED, STRONGEST
from .record import RESULTS

PERFORMANCE_PAGE: Final = Path(__file__).parents[2] / "docs" / "performance.md"
GPU_PAGE: Final = Path(__file__).parents[2] / "docs" / "gpu.md"
README: Final = Path(__file__).parents[2] / "README.md"

BEGIN: Final = "<!-- figures: written by python -m mlsolve_records.pages from bench/results; do not edit -->"
END: Final = "<!-- figures: end -->"
MARKS: Final = BEGIN, END
WHOLE_RUNS: Final = BEGIN.replace("figures:", "whole runs:"), END.replace("figures:", "whole runs:")
"""The marks of whole runs in docs/performance.md."""
INSTRUCTIONS: Final = BEGIN.replace("figures:", "instructions:"), END.replace("figures:", "instructions:")
"""The marks of the tables of instructions in docs/gpu.md."""

ORDER: Final = (STRONGEST, COMPILED, DESCRIBED, PUBLISHED)
"""The columns of PyTorch: the strongest first, which is the one that counts."""

NOTHING: Final = (
    "No figures are recorded yet: `python -m mlsolve_records.record` makes them, on this machine or yours."
)


def figures(folder: Path = RESULTS) -> str:
    """Return the text between the marks of docs/performance.md: every CPU's result in `folder`, by file name."""
    parts = [machine_figures(found) for found in _results(folder) if "device" not in found["machine"]]
    return "\n\n".join(part for part in parts if part) or NOTHING


def gpu_figures(folder: Path = RESULTS) -> str:
    """Return the text between the marks of docs/gpu.md: every GPU's result in `folder`, by file name."""
    parts = [gpu_page.device_figures(found) for found in _results(folder) if "device" in found["machine"]]
    return "\n\n".join(parts) or gpu_page.NOTHING


def _results(folder: Path) -> list[dict[str, Any]]:
    """Return the results of machines in `folder`, without quick ones and those of whole runs."""
    paths = (path for path in sorted(folder.glob("*.json")) if path.name != instructions.FILE)
    files = [path for path in paths if not path.stem.startswith("whole-runs-") and not path.stem.endswith("-quick")]
    return [json.loads(path.read_text(encoding="utf-8")) for path in files]


def machine_figures(results: dict[str, Any]) -> str:
    """Return the tables of one machine, each below a line that describes it."""
    parts = [
        _heading(results["machine"]),
        *_alone(results.get("ours")),
        *_against_torch(results.get("opponents")),
        *_memory(results.get("memory")),
        *_quality(results.get("quality")),
        *_floor(results.get("floor")),
    ]
    return "\n\n".join(parts)


def ratios(results: dict[str, Any], name: str) -> tuple[float, float]:
    """Return the smallest and largest ratio of the opponent `name` to mlsolve for an iteration, over all sizes."""
    found = [
        entry["times ours"][name] for entry in results["opponents"]["sizes"].values() if name in entry["times ours"]
    ]
    return min(found), max(found)


def inserted(page: str, text: str, marks: tuple[str, str] = MARKS) -> str:
    """Return `page` with `text` between its marks. Raises ValueError unless each mark occurs once."""
    begin, end = marks
    if page.count(begin) != 1 or page.count(end) != 1 or page.index(begin) > page.index(end):
        raise ValueError(f"the page needs these two lines, once and in this order: {begin} and {end}")
    before, rest = page.split(begin)
    _, after = rest.split(end)
    return f"{before}{begin}\n\n{text}\n\n{end}{after}"


def performance_page(page: str) -> str:
    """Return docs/performance.md with all its figures."""
    return inserted(inserted(page, figures()), whole_runs_page.whole_run_figures(), WHOLE_RUNS)


def gpu_page_of(page: str, folder: Path = RESULTS) -> str:
    """Return docs/gpu.md with all its figures. Raises ValueError if `folder` has no instructions.json."""
    counted = instructions.recorded(folder)
    if counted is None:
        raise ValueError(f"{folder} has no {instructions.FILE}: python -m mlsolve_records.instructions writes it")
    return inserted(inserted(page, gpu_figures(folder)), instructions.tables(counted), INSTRUCTIONS)


def missing_claim(readme: str) -> str:
    """Return what README.md must say of whole runs and does not; "" if it says so or nothing is recorded."""
    path = whole_runs_page.README_RESULTS
    if not path.exists():
        return ""
    claim = whole_runs_page.claim(json.loads(path.read_text(encoding="utf-8")))
    return "" if claim in " ".join(readme.split()) else claim


def _heading(machine: dict[str, Any]) -> str:
    cores = f"{machine['cores']} core{'s' if machine['cores'] > 1 else ''}"
    memory = f", {machine['memory GB']:.0f} GB" if machine.get("memory GB") else ""
    torch = f", torch {machine['torch']}" if machine.get("torch") else ""
    return (
        f"**{machine['cpu']}, {cores}{memory}**; Python {machine['python']}, numba {machine['numba']}{torch}; "
        f"{machine['date']}."
    )


def _alone(section: dict[str, Any] | None) -> list[str]:
    """Return the table of mlsolve's iterations alone: a line per size, a column per number of threads."""
    by_threads = (section or {}).get("by threads", {})
    if not by_threads:
        return []
    counts = sorted(by_threads, key=int)
    sides = sorted({int(side) for found in by_threads.values() for side in found["milliseconds"]})
    lines = [
        [_size(side), *(_or_dash(by_threads[count]["milliseconds"].get(str(side))) for count in counts)]
        for side in sides
    ]
    said = "An iteration of mlsolve by itself, three RGB layers:"
    return [said, _table(["pixels", *(_threads(count) for count in counts)], lines)]


def _against_torch(section: dict[str, Any] | None) -> list[str]:
    """Return the table of mlsolve and PyTorch in turns: a line per size, a column per opponent."""
    sizes = (section or {}).get("sizes", {})
    names = [name for name in ORDER if any(name in entry["milliseconds"] for entry in sizes.values())]
    if section is None or not names:
        return []
    lines = []
    for side, entry in sizes.items():
        line = [_size(side)]
        for name in names:
            taken = entry["milliseconds"].get(name)
            if taken is None:
                line.append("–")
            else:
                beside = entry["ours in the same turns"][name]
                line.append(f"{duration(taken)} / {duration(beside)} = {ratio(entry['times ours'][name])}")
        lines.append(line)
    said = (
        f"An iteration of torch / of mlsolve in the same turns, and how many times longer torch takes; three RGB "
        f"layers, {_threads(section['threads'])}:"
    )
    return [said, _table(["pixels", *names], lines)]


def _memory(section: dict[str, Any] | None) -> list[str]:
    if not section:
        return []
    peak = section["peak"]
    names = [name for name in (OURS, *ORDER) if name in peak]
    sides = sorted({int(side) for name in names for side in peak[name]})
    lines = []
    for name in names:
        found = (peak[name].get(str(side)) for side in sides)
        lines.append([name, *("–" if entry is None else f"{entry['bytes'] / 1e9:.2g} GB" for entry in found)])
    return ["Peak memory of the iterations:", _table(["", *map(_size, sides)], lines)]


def _quality(section: dict[str, Any] | None) -> list[str]:
    if not section:
        return []
    asked, reached = section["asked"], section["reached"]
    labels = list(dict.fromkeys(label for runs in reached.values() for label in runs))
    lines = []
    for name, runs in reached.items():
        line = [name]
        for label in labels:
            run = runs.get(label)
            if run is None:
                line.append("–")
            else:
                line.append("not reached" if run["seconds"] is None else duration(run["seconds"] * 1e3))
        lines.append(line)
    said = (
        f"Time until the stack reaches SSIM {asked['target SSIM']:g} and the layers {asked['mean guide SSIM']:.2f} "
        f"on average, the cat at {_size(section['side'])}, kernels compiled before:"
    )
    return [said, _table(["", *labels], lines)]


def _floor(section: dict[str, Any] | None) -> list[str]:
    if not section:
        return []
    found = sorted(section["by threads"].items(), key=lambda item: int(item[0]))
    sides = sorted({int(side) for _, entry in found for side in entry["sizes"]})
    rates, shares = [], []
    for count, entry in found:
        rate = entry["rates"]
        rates.append(
            [
                _threads(count),
                f"{rate['copy'] / 1e9:.1f} GB/s",
                f"{rate['update'] / 1e9:.1f} GB/s",
                f"{rate['fma'] / 1e9:.0f} billion/s",
            ]
        )
        at_sides = (entry["sizes"].get(str(side)) for side in sides)
        shares.append(
            [_threads(count), *("–" if at is None else f"{at['share of the floor']:.0%}" for at in at_sides)]
        )
    return [
        "What this machine can do:",
        _table(["", "copy", "read two, write one", "multiply-adds"], rates),
        "The share of that which an iteration reaches, memory or arithmetic, whichever is slower:",
        _table(["", *map(_size, sides)], shares),
    ]


def _table(head: list[str], lines: Iterable[list[str]]) -> str:
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, ["---"] * len(head), *lines))


def _size(side: int | str) -> str:
    return f"{side}×{side}"


def _threads(count: int | str) -> str:
    return f"{count} thread{'s' if str(count) != '1' else ''}"


def _or_dash(milliseconds: float | None) -> str:
    return "–" if milliseconds is None else duration(milliseconds)


def main() -> None:
    """Rewrite both pages; print whether anything changed."""
    for page, written in ((PERFORMANCE_PAGE, performance_page), (GPU_PAGE, gpu_page_of)):
        before = page.read_text(encoding="utf-8")
        after = written(before)
        page.write_text(after, encoding="utf-8")
        print(f"{page.name}: {'as it was' if after == before else 'figures written'}", file=sys.stdout)
    if claim := missing_claim(README.read_text(encoding="utf-8")):
        print(f"README.md must say: {claim}", file=sys.stdout)


if __name__ == "__main__":
    main()
