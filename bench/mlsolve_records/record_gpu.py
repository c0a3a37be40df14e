"""Runs the benches on an NVIDIA GPU and records the figures: python -m mlsolve_records.record_gpu.

    --quick          small sizes and few turns, to test that everything works
    --only SECTION   measure this section only
    --sides N,N      sides of the pictures in pixels, by default 600,2048,7087
    --name OPPONENT  this opponent only, as in "torch strongest"; may be given several times
    --most SECONDS   kill a part that takes longer, and record that; by default 110
    --again          measure also what is recorded for this commit
    --results FOLDER folder of the file; by default bench/results of the clone
    --logs FOLDER    keep what the parts print, and why they failed in full

Writes <device>.json after each part. A part is one opponent at one size in a process of its own, where mlsolve
takes turns with it: at the largest size two opponents in PyTorch would not fit into memory together. What was
interrupted goes on where it was: parts that are recorded for this commit are skipped.
"""

import argparse
import json
import re
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn

from mlsolve.errors import MlsolveError

from . import gpu_sections, machine
from .children import Ended, run
from .figures import duration
from .gpu_parts import KINDS, Part, is_recorded, merge, parts_of, sides_in_order
from .opponents import GPU_NAMES, OURS
from .record import RESULTS, write

SIDES: Final = (600, 2048, 7087)
QUICK_SIDES: Final = (96, 200)

MOST: Final = 110.0
"""Seconds that a part may take: with its start, two minutes."""

SHORTEST: Final = 5.0
"""Seconds that a part needs at least. If fewer are left, it is not begun."""


class Asked(NamedTuple):
    """What is to be measured, and where it is written."""

    folder: Path
    parts: tuple[Part, ...]
    sides: tuple[int, ...]
    quick: bool = False
    again: bool = False
    most: float = MOST
    until: float | None = None
    """Time of time.monotonic() at which the last part must have ended; None: no such time."""
    described: dict[str, Any] | None = None
    """What `describe` has said of this machine; None: it is asked."""
    logs: Path | None = None
    """Folder of what the parts print; None: it is not kept."""
    file: str | None = None
    """Name of the file in `folder`; None: that of the device."""


class Refused(Exception):
    """The device cannot be described; the message says why."""


class NoGpu(Refused):
    """No GPU works."""


REFUSED: Final = "mlsolve_records: error: "
"""What a line on stderr begins with that says why nothing was done; the exit status is then 2."""


def describe(sides: Iterable[int], most: float = MOST, tries: bool = True) -> dict[str, Any]:
    """Return machine, launches and missing opponents, asked of a child that ends within `most` seconds.

    tries: see `opponents.missing`. Raises NoGpu if no GPU works, Refused if the child fails in another way.
    """
    words = ["--describe", "--sides", ",".join(map(str, sides)), *([] if tries else ["--untried"])]
    found, ended = measured_by_child(words, most)
    if isinstance(found, str):
        raise (NoGpu if ended.status == 2 else Refused)(found.removeprefix(REFUSED))
    return found


def measured_by_child(
    arguments: list[str], most: float, log: Path | None = None
) -> tuple[dict[str, Any] | str, Ended]:
    """Return what a child of this program writes, or why it failed, in one line; and how it ended.

    log: the file of what it prints; None: that is not kept.
    """
    with tempfile.TemporaryDirectory() as folder:
        out, log = Path(folder) / "out.json", log or Path(folder) / "log.txt"
        command = [sys.executable, "-m", "mlsolve_records.record_gpu", *arguments, "--out", str(out)]
        ended = run(command, most, log)
        if failure := ended.failure(most):
            return failure, ended
        try:
            found: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return "ended without a result", ended
        return found, ended


def measure(part: Part, asked: Asked, most: float) -> tuple[dict[str, Any] | str, float]:
    """Measure `part` in a child; return its fragment of the section, or why it failed, and the seconds it took."""
    log = None if asked.logs is None else asked.logs / log_of(part)
    found, ended = measured_by_child(["--part", part.key, *(["--quick"] if asked.quick else [])], most, log)
    if isinstance(found, dict) and "failed" in found:
        return str(found["failed"]), ended.seconds
    return found, ended.seconds


def log_of(part: Part) -> str:
    """Return the name of the file of what `part` prints."""
    return f"{re.sub('[^a-z0-9]+', '-', part.key.lower())}.log"


def record(asked: Asked, measure: Callable[..., tuple[dict[str, Any] | str, float]] = measure) -> Path:
    """Measure what is asked, merge it into this device's file after each part, and return the file.

    measure: measures one part. Raises Refused if there is no device.
    """
    described = asked.described or describe(asked.sides)
    here = described["machine"]
    usual = f"{machine.words(here['device'])}{'-quick' if asked.quick else ''}.json"
    path = asked.folder / (asked.file or usual)
    results: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    results["machine"] = here
    results["missing"] = described["missing"]
    results["launches"] = {**results.get("launches", {}), **described["launches"]}
    for part in asked.parts:
        if part.name in described["missing"]:
            continue
        if not asked.again and is_recorded(results, part, here["commit"], asked.most):
            _say(f"{part.key}: recorded already")
            continue
        most = asked.most if asked.until is None else min(asked.most, asked.until - time.monotonic())
        if most < SHORTEST:
            _say(f"{part.key}: no time is left")
            continue
        found, seconds = measure(part, asked, most)
        stamp = {"date": here["date"], "commit": here["commit"], "took": round(seconds, 1), "most": most}
        merge(results, part, found, stamp)
        sides_in_order(results)
        write(path, results)
        _say(f"{part.key}: {found if isinstance(found, str) else 'measured'}, {seconds:.0f} s")
    write(path, results)
    return path


NO_GRAPHS: Final = f" ({OURS} without graphs: the device did not record any)"


def summary(results: dict[str, Any]) -> list[str]:
    """Return the figures of `results` as lines for people."""
    lines = []
    for side, entry in results.get("iterations", {}).get("sizes", {}).items():
        for name, taken in entry["milliseconds"].items():
            times = f", {entry['times ours'][name]:.2f} times {OURS}" if name in entry["times ours"] else ""
            launched = entry.get("ours as graphs", {}).get(name) is False
            lines.append(f"{side}² {name}: {duration(taken)}{times}{NO_GRAPHS if launched else ''}")
        lines += [f"{side}² {name}: {reason}" for name, reason in entry.get("failed", {}).items()]
    for side, entry in results.get("floor", {}).get("sizes", {}).items():
        kernels = ", ".join(f"{name} {duration(taken)}" for name, taken in entry["kernels"].items())
        lines.append(f"{side}² {entry['times the copy']:.2f} copies of 152 bytes: {kernels}")
    for side, entry in results.get("arrangements", {}).get("milliseconds", {}).items():
        ratios = (f"{name} {taken / entry['plain']:.2f}" for name, taken in entry.items() if name != "plain")
        lines.append(f"{side}² in plain iterations of {duration(entry['plain'])}: {', '.join(ratios)}")
    return lines


def measure_here(key: str, quick: bool) -> dict[str, Any]:
    """Measure the part `key` in this process; return its fragment, or {"failed": why} if an opponent fails."""
    part = Part.of(key)
    try:
        return gpu_sections.MEASURE[part.section](part, quick)
    except Exception as error:  # whatever an opponent, its compiler or the device raises
        traceback.print_exc()
        return {"failed": gpu_sections.reason_of(error)}


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    made = argparse.ArgumentParser("python -m mlsolve_records.record_gpu", description="Run the GPU benches.")
    made.add_argument("--quick", action="store_true", help="small sizes and few turns")
    made.add_argument("--only", choices=list(KINDS), help="measure one section")
    made.add_argument("--sides", help="sides in pixels, as in 600,2048")
    made.add_argument("--name", action="append", choices=GPU_NAMES, help="measure this opponent only; repeatable")
    made.add_argument("--most", type=float, default=MOST, help="kill a part that takes longer, in seconds")
    made.add_argument("--again", action="store_true", help="measure also what is recorded for this commit")
    made.add_argument("--results", type=Path, default=RESULTS, help="folder of the results")
    made.add_argument("--logs", type=Path, help="folder of what the parts print")
    for hidden in ("--part", "--out"):
        made.add_argument(hidden, help=argparse.SUPPRESS)
    for hidden in ("--describe", "--untried"):
        made.add_argument(hidden, action="store_true", help=argparse.SUPPRESS)
    return made


def main(arguments: list[str]) -> None:
    """Read the command line and record; a child measures one part, or describes the machine."""
    chosen = parser().parse_args(arguments)
    sides: tuple[int, ...] = QUICK_SIDES if chosen.quick else SIDES
    if chosen.sides:
        sides = tuple(int(side) for side in chosen.sides.split(","))
    if chosen.part or chosen.describe:
        try:
            if chosen.describe:
                found = gpu_sections.describe(sides, not chosen.untried)
            else:
                found = measure_here(chosen.part, chosen.quick)
        except MlsolveError as error:
            refuse(error)
        write(Path(chosen.out), found)
        return
    parts = tuple(parts_of(list(KINDS) if chosen.only is None else [chosen.only], sides, chosen.name))
    wish = Asked(chosen.results, parts, sides, chosen.quick, chosen.again, chosen.most, logs=chosen.logs)
    try:
        path = record(wish)
    except Refused as error:
        refuse(error)
    for line in summary(json.loads(path.read_text(encoding="utf-8"))):
        _say(line)
    _say(f"written: {path}")


def refuse(error: Exception) -> NoReturn:
    """Say in one line why nothing is done, and end with status 2."""
    print(f"{REFUSED}{error}", file=sys.stderr)
    raise SystemExit(2) from None


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
