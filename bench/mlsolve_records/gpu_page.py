"""The figures of docs/gpu.md, from the results of record_gpu.py in bench/results."""

from typing import Any, Final

from .figures import duration, ratio
from .opponents import COMPILED, DESCRIBED, FUSED, OURS, STRONGEST, STRONGEST_GRAPH

ORDER: Final = (STRONGEST_GRAPH, STRONGEST, FUSED, COMPILED, DESCRIBED)

NOTHING: Final = """No GPU figures are recorded yet. `make bench-gpu` records them.

| one iteration, three RGB layers | mlsolve | torch strongest | torch compiled | torch as described |
| --- | --- | --- | --- | --- |
| 600×600 | not measured yet | not measured yet | not measured yet | not measured yet |
| 2048×2048 | not measured yet | not measured yet | not measured yet | not measured yet |
| 7087×7087 | not measured yet | not measured yet | not measured yet | not measured yet |"""

SECTIONS: Final = ("iterations", "floor", "arrangements", "memory", "quality")


def device_figures(results: dict[str, Any]) -> str:
    """Return the paragraphs of one device: its name, the table of iterations, and the other measurements."""
    machine = results["machine"]
    torch = f", torch {machine['torch']}" if machine.get("torch") else ""
    heading = f"**{machine['device']}**; CuPy {machine['cupy']}, numba {machine['numba']}{torch}; {_when(results)}."
    parts = [heading, _table(results.get("iterations")), _lines(results)]
    return "\n\n".join(part for part in parts if part)


def _when(results: dict[str, Any]) -> str:
    """Return the date and commit of the measurements; if they differ, those of each section."""
    by_section: dict[str, list[str]] = {}
    for section in SECTIONS:
        if not (found := results.get(section)):
            continue
        parts = [part for key, part in results.get("parts", {}).items() if key.split("/")[0] == section]
        by_section[section] = sorted({_stamp(part) for part in parts or [found]} - {""})
    stamps = {stamp for found in by_section.values() for stamp in found}
    if len(stamps) > 1:
        return "; ".join(f"{section}: {' and '.join(found)}" for section, found in by_section.items() if found)
    return stamps.pop() if stamps else str(results["machine"]["date"])


def _stamp(measured: dict[str, Any]) -> str:
    commit = measured.get("commit")
    return f"{measured['date']}, commit {commit}" if commit else str(measured.get("date", ""))


def _table(section: dict[str, Any] | None) -> str:
    if not section or not section.get("sizes"):
        return ""
    sizes = section["sizes"]
    given = {name for entry in sizes.values() for name in (*entry["milliseconds"], *entry.get("failed", {}))}
    names = [name for name in ORDER if name in given]
    variants = sorted(name for name in given if name.startswith(f"{OURS}, "))
    head = [
        "one iteration, three RGB layers",
        "mlsolve",
        *(name.removeprefix(f"{OURS}, ") for name in variants),
        *(f"{name} to mlsolve" for name in names),
    ]
    lines = [head, ["---"] * len(head)]
    for side, entry in sizes.items():
        times, failed = entry["milliseconds"], entry.get("failed", {})
        line = [f"{side}×{side}"]
        line += [duration(times[name]) if name in times else failed.get(name, "–") for name in (OURS, *variants)]
        for name in names:
            if name in times:
                beside = duration(entry["ours in the same turns"][name])
                line.append(f"{duration(times[name])} to {beside}: {ratio(entry['times ours'][name])}")
            else:
                line.append(failed.get(name, "–"))
        lines.append(line)
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _lines(results: dict[str, Any]) -> str:
    """Return the list of the other measurements."""
    lines = []
    if note := results.get("iterations", {}).get("note"):
        lines.append(f"The table is {note}.")
    floor = results.get("floor", {})
    if floor.get("sizes"):
        sizes = ", ".join(
            f"{size['times the copy']:.2f} at {side}²"
            + (f" ({duration(size['milliseconds'])})" if "milliseconds" in size else "")
            for side, size in floor["sizes"].items()
        )
        lines.append(
            f"A copy within device memory moves {floor['copy'] / 1e12:.2f} TB/s, read and written. An iteration "
            f"takes so many times the copy of 152 bytes a pixel and plane, timed apart from the table: {sizes}."
        )
        for side, size in floor["sizes"].items():
            kernels = {name: taken for name, taken in size.get("kernels", {}).items() if name != "all"}
            if kernels:
                parts = ", ".join(f"{name} {duration(taken)}" for name, taken in kernels.items())
                lines.append(f"The launches of an iteration at {side}², each by itself, with its start: {parts}.")
    for side, entry in results.get("arrangements", {}).get("milliseconds", {}).items():
        ratios = {name: taken / entry["plain"] for name, taken in entry.items() if name != "plain"}
        parts = ", ".join(f"{name} {times:.2f}" for name, times in ratios.items())
        lines.append(f"Arrangements at {side}², in plain iterations of {duration(entry['plain'])}: {parts}.")
    for side, entry in results.get("memory", {}).get("bytes", {}).items():
        held = {name: taken for name, taken in entry.items() if taken and name != "counted"}
        parts = ", ".join(f"{name} {taken / 1e9:.2g} GB" for name, taken in held.items())
        lines.append(f"Peak device memory at {side}²: {parts}.")
    quality = results.get("quality", {})
    if quality.get("reached"):
        reached = []
        for name, runs in quality["reached"].items():
            for label, run in runs.items():
                taken = "not reached" if run["seconds"] is None else duration(run["seconds"] * 1e3)
                reached.append(f"{name}, {label}: {taken}")
        asked = quality["asked"]
        lines.append(
            f"Time to SSIM {asked['target SSIM']:g} of the stack, {asked['mean guide SSIM']:.2f} of the layers, "
            f"the cat at {quality['side']}×{quality['side']}, compiled before: {'; '.join(reached)}."
        )
    return "\n".join(f"- {line}" for line in lines)
