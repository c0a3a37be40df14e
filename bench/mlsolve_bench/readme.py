"""Writes README's speed section and that of docs/gpu.md from bench/results: python -m mlsolve_bench.readme.

Nobody writes figures there by hand; a test compares.
"""

import json
import sys
from pathlib import Path
from typing import Any, Final

from . import gpu_page
from .figures import duration, ratio
from .opponents import COMPILED, DESCRIBED, OURS, PUBLISHED, STRONGEST
from .record import RESULTS

README: Final = Path(__file__).parents[2] / "README.md"
GPU_PAGE: Final = Path(__file__).parents[2] / "docs" / "gpu.md"

BEGIN: Final = "<!-- figures: written by python -m mlsolve_bench.readme from bench/results; do not edit -->"
END: Final = "<!-- figures: end -->"

ORDER: Final = (STRONGEST, COMPILED, DESCRIBED, PUBLISHED)
"""Torch's columns: the strongest first, which is the one that counts."""

NOTHING: Final = (
    "No figures are recorded yet: `python -m mlsolve_bench.record` makes them, on this machine or yours."
)


def figures(folder: Path = RESULTS) -> str:
    """Return the text between the marks of README.md: every CPU's result in `folder`, by file name."""
    parts = [machine_figures(found) for found in _results(folder) if "device" not in found["machine"]]
    return "\n\n".join(part for part in parts if part) or NOTHING


def gpu_figures(folder: Path = RESULTS) -> str:
    """Return the text between the marks of docs/gpu.md: every GPU's result in `folder`, by file name."""
    parts = [gpu_page.device_figures(found) for found in _results(folder) if "device" in found["machine"]]
    return "\n\n".join(parts) or gpu_page.NOTHING


def _results(folder: Path) -> list[dict[str, Any]]:
    """Return the results in `folder`, but for the quick ones."""
    files = sorted(path for path in folder.glob("*.json") if not path.stem.endswith("-quick"))
    return [json.loads(path.read_text(encoding="utf-8")) for path in files]


def machine_figures(results: dict[str, Any]) -> str:
    """Return the paragraphs of one machine: its name, the table of iterations, and what else was measured."""
    parts = [_heading(results["machine"]), _table(results), _lines(results)]
    return "\n\n".join(part for part in parts if part)


def inserted(readme: str, text: str) -> str:
    """Return the page `readme` with `text` between its marks; raises ValueError if not both are there once."""
    if readme.count(BEGIN) != 1 or readme.count(END) != 1 or readme.index(BEGIN) > readme.index(END):
        raise ValueError(f"the page needs these two lines, once and in this order: {BEGIN} and {END}")
    before, rest = readme.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{after}"


def _heading(machine: dict[str, Any]) -> str:
    cores = f"{machine['cores']} core{'s' if machine['cores'] > 1 else ''}"
    memory = f", {machine['memory GB']:.0f} GB" if machine.get("memory GB") else ""
    torch = f", torch {machine['torch']}" if machine.get("torch") else ""
    return (
        f"**{machine['cpu']}, {cores}{memory}**; Python {machine['python']}, numba {machine['numba']}{torch}; "
        f"{machine['date']}."
    )


def _table(results: dict[str, Any]) -> str:
    """Return the table of iterations: a line a side, ours, every opponent and how many times longer it takes."""
    ours = results.get("ours", {}).get("by threads", {})
    against = results.get("opponents", {})
    sizes = against.get("sizes", {})
    names = [name for name in ORDER if any(name in entry["milliseconds"] for entry in sizes.values())]
    sides = sorted({int(side) for side in sizes} | {int(s) for by in ours.values() for s in by["milliseconds"]})
    if not sides:
        return ""
    threads = sorted(ours, key=int)
    head = [
        "one iteration, three RGB layers",
        *(f"mlsolve alone, {count} thread{'s' if count != '1' else ''}" for count in threads),
        *(f"{name} to mlsolve, {against['threads']} threads" for name in names),
    ]
    lines = [head, ["---"] * len(head)]
    for side in map(str, sides):
        line = [f"{side}×{side}"]
        line += [_or_dash(ours[count]["milliseconds"].get(side)) for count in threads]
        entry = sizes.get(side, {"milliseconds": {}, "ours in the same turns": {}, "times ours": {}})
        for name in names:
            taken = entry["milliseconds"].get(name)
            if taken is None:
                line.append("–")
            else:
                beside = entry["ours in the same turns"][name]
                line.append(f"{duration(taken)} to {duration(beside)}: {ratio(entry['times ours'][name])}")
        lines.append(line)
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _or_dash(milliseconds: float | None) -> str:
    return "–" if milliseconds is None else duration(milliseconds)


def _lines(results: dict[str, Any]) -> str:
    """Return a list of what was measured besides."""
    lines = [*_memory(results.get("memory")), *_quality(results.get("quality")), *_floor(results.get("floor"))]
    return "\n".join(f"- {line}" for line in lines)


def _memory(section: dict[str, Any] | None) -> list[str]:
    if not section:
        return []
    by_name = section["peak"]
    parts = [
        f"{name} "
        + ", ".join(f"{by_side['bytes'] / 1e9:.2g} GB at {side}²" for side, by_side in by_name[name].items())
        for name in (OURS, *ORDER)
        if name in by_name
    ]
    return ["Peak memory of the iterations: " + "; ".join(parts) + "."]


def _quality(section: dict[str, Any] | None) -> list[str]:
    if not section:
        return []
    parts = []
    for name, runs in section["reached"].items():
        for label, run in runs.items():
            taken = "not reached" if run["seconds"] is None else duration(run["seconds"] * 1e3)
            parts.append(f"{name}, {label}: {taken}")
    asked, side = section["asked"], section["side"]
    return [
        f"Time to SSIM {asked['target SSIM']:g} of the stack with {asked['mean guide SSIM']:.2f} of the layers, "
        f"the cat at {side}×{side}, compiled before: " + "; ".join(parts) + "."
    ]


def _floor(section: dict[str, Any] | None) -> list[str]:
    if not section:
        return []
    lines = []
    for threads, entry in sorted(section["by threads"].items(), key=lambda item: int(item[0])):
        shares = ", ".join(f"{size['share of the floor']:.0%} at {side}²" for side, size in entry["sizes"].items())
        rates = entry["rates"]
        lines.append(
            f"The floor, {threads} thread{'s' if threads != '1' else ''}: {rates['copy'] / 1e9:.1f} GB/s copying, "
            f"{rates['update'] / 1e9:.1f} GB/s reading two and writing one, {rates['fma'] / 1e9:.0f} thousand "
            f"million multiply-adds a second; of what the slower of memory and arithmetic allows an iteration "
            f"reaches {shares}."
        )
    return lines


def main() -> None:
    """Rewrite both pages; say whether anything changed."""
    for page, text in ((README, figures()), (GPU_PAGE, gpu_figures())):
        before = page.read_text(encoding="utf-8")
        after = inserted(before, text)
        page.write_text(after, encoding="utf-8")
        print(f"{page.name}: {'as it was' if after == before else 'figures written'}", file=sys.stdout)


if __name__ == "__main__":
    main()
