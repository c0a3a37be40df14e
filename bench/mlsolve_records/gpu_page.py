"""The figures of docs/gpu.md, from the results of record_gpu.py in bench/results."""

from typing import Any, Final

from .figures import duration, ratio
from .opponents import COMPILED, DESCRIBED, FUSED, GRAPH, OURS, STRONGEST

ORDER: Final = (STRONGEST, FUSED, COMPILED, DESCRIBED)

NOTHING: Final = """No GPU figures are recorded yet. `make bench-gpu` records them.

| one iteration, three RGB layers | mlsolve | torch strongest | torch compiled | torch as described |
| --- | --- | --- | --- | --- |
| 600×600 | not measured yet | not measured yet | not measured yet | not measured yet |
| 2048×2048 | not measured yet | not measured yet | not measured yet | not measured yet |
| 7087×7087 | not measured yet | not measured yet | not measured yet | not measured yet |"""


def device_figures(results: dict[str, Any]) -> str:
    """Return the paragraphs of one device: its name, the table of iterations, and the other measurements."""
    machine = results["machine"]
    torch = f", torch {machine['torch']}" if machine.get("torch") else ""
    heading = (
        f"**{machine['device']}**; CuPy {machine['cupy']}, numba {machine['numba']}{torch}; {machine['date']}."
    )
    parts = [heading, _table(results.get("iterations")), _lines(results)]
    return "\n\n".join(part for part in parts if part)


def _table(section: dict[str, Any] | None) -> str:
    if not section:
        return ""
    sizes = section["sizes"]
    names = [
        name for name in ORDER if any(name in {**e["milliseconds"], **e.get("failed", {})} for e in sizes.values())
    ]
    head = [
        "one iteration, three RGB layers",
        "mlsolve",
        "as a CUDA graph",
        *(f"{name} to mlsolve" for name in names),
    ]
    lines = [head, ["---"] * len(head)]
    for side, entry in sizes.items():
        times = entry["milliseconds"]
        line = [f"{side}×{side}", _or_dash(times.get(OURS)), _or_dash(times.get(GRAPH))]
        for name in names:
            if name in times:
                beside = duration(entry["ours in the same turns"][name])
                line.append(f"{duration(times[name])} to {beside}: {ratio(entry['times ours'][name])}")
            else:
                line.append(entry.get("failed", {}).get(name, "–"))
        lines.append(line)
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _lines(results: dict[str, Any]) -> str:
    """Return the list of the other measurements."""
    lines = []
    if floor := results.get("floor"):
        sizes = ", ".join(f"{size['times the copy']:.2f} at {side}²" for side, size in floor["sizes"].items())
        lines.append(
            f"A copy within device memory moves {floor['copy'] / 1e12:.2f} TB/s, read and written. An iteration "
            f"takes so many times the copy of 152 bytes a pixel and plane: {sizes}."
        )
    if memory := results.get("memory"):
        for side, entry in memory["bytes"].items():
            parts = [f"{name} {taken / 1e9:.2g} GB" for name, taken in entry.items() if taken and name != "counted"]
            lines.append(f"Peak device memory at {side}²: {', '.join(parts)}.")
    if quality := results.get("quality"):
        parts = []
        for name, runs in quality["reached"].items():
            for label, run in runs.items():
                taken = "not reached" if run["seconds"] is None else duration(run["seconds"] * 1e3)
                parts.append(f"{name}, {label}: {taken}")
        asked = quality["asked"]
        lines.append(
            f"Time to SSIM {asked['target SSIM']:g} of the stack, {asked['mean guide SSIM']:.2f} of the layers, "
            f"the cat at {quality['side']}×{quality['side']}, compiled before: {'; '.join(parts)}."
        )
    return "\n".join(f"- {line}" for line in lines)


def _or_dash(milliseconds: float | None) -> str:
    return "–" if milliseconds is None else duration(milliseconds)
