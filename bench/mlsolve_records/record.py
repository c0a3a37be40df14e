"""Runs every bench on this machine and records the figures: python -m mlsolve_records.record.

    --quick          small sizes and few turns, to test that everything works; about two minutes
    --only SECTION   measure one section again and keep the rest of the file
    --results FOLDER folder of the file; by default bench/results of the clone

Writes <CPU>-<cores>.json. On two cores everything takes about ten minutes; nothing else should run meanwhile.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from mlsolve.errors import MlsolveError
from mlsolve_bench.problem import noise
from mlsolve_bench.turns import median_ratio, take_turns
from mlsolve_kernels.threads import available_cores

from . import floor, machine, memory, opponents, quality
from .opponents import COMPILED, DESCRIBED, OURS, PUBLISHED, STRONGEST

RESULTS: Final = Path(__file__).parents[1] / "results"

OUR_SIDES: Final = (600, 1024, 2048, 4096)
OPPONENT_SIDES: Final = {600: 9, 1024: 6, 2048: 5}
"""Sides that include torch, and the turns there; slow opponents get a third of these turns."""

FAST: Final = (OURS, STRONGEST, COMPILED)
SLOW: Final = (OURS, DESCRIBED, PUBLISHED)
"""Groups of opponents that take turns: slow ones would leave no time for many turns of the fast ones."""

BUSY: Final = 0.5
"""Load above which the machine is too busy for valid figures."""

PUBLISHED_UP_TO: Final = 1024

LEFT_OUT: Final = (
    f"{PUBLISHED} beyond {PUBLISHED_UP_TO}: half a minute an iteration at 2048; "
    f"all of torch at 4096: four times the time and memory of 2048, half a minute and over 20 GB for {DESCRIBED}"
)


def opponents_section(quick: bool) -> dict[str, Any]:
    """Milliseconds of an iteration with all threads, and ratios of the medians to mlsolve's in the same run."""
    threads, names = available_cores(), opponents.available()
    sides = {96: 3} if quick else OPPONENT_SIDES
    sizes: dict[str, Any] = {}
    for side, turns in sides.items():
        sizes[str(side)] = {"milliseconds": {}, "ours in the same turns": {}, "times ours": {}}
        for group, rounds in ((SLOW, max(2, turns // 3)), (FAST, turns)):
            skipped = {PUBLISHED} if side > PUBLISHED_UP_TO else set()
            present = [name for name in group if name in names and name not in skipped]
            seconds = take_turns(opponents.steps(side, threads, names=present), rounds)
            for name in present:
                if name != OURS:
                    sizes[str(side)]["milliseconds"][name] = statistics.median(seconds[name]) * 1e3
                    sizes[str(side)]["ours in the same turns"][name] = statistics.median(seconds[OURS]) * 1e3
                    sizes[str(side)]["times ours"][name] = median_ratio(seconds, name)
            _say(
                f"{side}×{side}: "
                + ", ".join(f"{n} {statistics.median(s) * 1e3:.1f} ms" for n, s in seconds.items())
            )
    return {"threads": threads, "missing": opponents.missing(), "left out": LEFT_OUT, "sizes": sizes}


def ours_section(quick: bool) -> dict[str, Any]:
    """Milliseconds of mlsolve's iteration by side and threads, the sides in turns, and the cost of a value."""
    found: dict[str, Any] = {}
    for threads in sorted({1, available_cores()}):
        sides = (96, 192) if quick else OUR_SIDES
        iterations = {str(side): opponents.iteration(OURS, noise(side), threads) for side in sides}
        seconds = take_turns(iterations, 3 if quick else 7)
        medians = {side: statistics.median(times) for side, times in seconds.items()}
        found[str(threads)] = {
            "milliseconds": {side: median * 1e3 for side, median in medians.items()},
            "ns per pixel, plane and layer": {
                side: quality.per_value(median, int(side)) for side, median in medians.items()
            },
        }
        _say(f"ours, {threads} threads: " + ", ".join(f"{s}² {m * 1e3:.1f} ms" for s, m in medians.items()))
    return {"by threads": found}


def memory_section(quick: bool) -> dict[str, Any]:
    """Peak memory in bytes of mlsolve at every side, of a whole solve, and of torch, each in its own process."""
    threads = available_cores()
    plan: dict[str, tuple[int, ...]] = {OURS: OUR_SIDES, "solve": (2048,)}
    plan |= {name: (600, 2048) for name in opponents.available() if name not in (OURS, PUBLISHED)}
    if quick:
        plan = dict.fromkeys(plan, (192,))
    found: dict[str, Any] = {}
    for name, sides in plan.items():
        found[name] = {str(side): memory.measure(name, side, threads) for side in sides}
        _say(f"memory, {name}: " + ", ".join(f"{s}² {m['bytes'] / 1e6:.0f} MB" for s, m in found[name].items()))
    return {"threads": threads, "peak": found}


def floor_section(quick: bool) -> dict[str, Any]:
    """Bandwidth and multiply-add rate of this machine, and the share of the floor that mlsolve reaches."""
    found: dict[str, Any] = {}
    for threads in sorted({1, available_cores()}):
        rates = floor.measure(threads, *((32, 2000) if quick else ()))
        sides = (192,) if quick else OUR_SIDES
        iterations = {str(side): opponents.iteration(OURS, noise(side), threads) for side in sides}
        seconds = take_turns(iterations, 3 if quick else 7)
        medians = {int(side): statistics.median(times) * 1e3 for side, times in seconds.items()}
        found[str(threads)] = floor.shares(rates, medians)
        gigabytes, fmas = rates.update / 1e9, rates.fma / 1e9
        _say(f"floor, {threads} threads: {gigabytes:.1f} GB/s, {fmas:.1f} G multiply-adds/s")
    return {"by threads": found}


def quality_section(quick: bool) -> dict[str, Any]:
    """Seconds to the required quality, at full size only and with the default levels."""
    threads, names = available_cores(), opponents.available()
    side = 96 if quick else 600
    found: dict[str, Any] = {}
    for name in (OURS, STRONGEST, DESCRIBED):
        for label, levels in (("default levels", None), ("full size only", 1)):
            # "Torch as described" would spend a minute on the coarse levels without benefit.
            if name in names and not (name == DESCRIBED and levels is None):
                found.setdefault(name, {})[label] = quality.time_to_quality(name, side, threads, levels)
                _say(f"quality, {name}, {label}: {found[name][label]['seconds']} s")
    asked = {"target SSIM": quality.TARGET_SSIM, "mean guide SSIM": quality.GUIDE_SSIM}
    return {"side": side, "threads": threads, "asked": asked, "reached": found}


def parity_section(quick: bool) -> dict[str, Any]:
    """Differences of the layers after the same steps from the same start."""
    threads, side = available_cores(), 96 if quick else 600
    names = [name for name in opponents.available() if name not in (OURS, PUBLISHED)]
    return {"side": side, "apart": {name: quality.parity(name, side, threads) for name in names}}


SECTIONS: Final[dict[str, Callable[[bool], dict[str, Any]]]] = {
    "opponents": opponents_section,
    "ours": ours_section,
    "memory": memory_section,
    "floor": floor_section,
    "quality": quality_section,
    "parity": parity_section,
}


def record(folder: Path, names: list[str], quick: bool) -> Path:
    """Measure the sections `names`, merge them into this machine's file in `folder`, and return the file.

    Each section records its date and commit. The file is written after each section.
    """
    here, load = machine.describe(), machine.load()
    if load is not None and load > BUSY:
        _say(f"this machine is busy (load {load:g}): figures taken now are unfair, to torch above all")
    path = folder / f"{machine.slug(here['cpu'], here['cores'])}{'-quick' if quick else ''}.json"
    results = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    for line in opponents.left_out():
        _say(line)
    for name, apart in opponents.check().items():
        _say(f"same problem: {name}, {apart}")
    for name in names:
        _say(f"— {name}")
        results["machine"] = here
        results[name] = {
            "date": here["date"],
            "commit": here["commit"],
            "load before": load,
            **SECTIONS[name](quick),
        }
        write(path, results)
    return path


def write(path: Path, results: dict[str, Any]) -> None:
    """Write `results` to `path` in the format of all results."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def main(arguments: list[str]) -> None:
    """Read the command line and record."""
    parser = argparse.ArgumentParser("python -m mlsolve_records.record", description="Run every bench, record it.")
    parser.add_argument("--quick", action="store_true", help="small sizes and few turns")
    parser.add_argument("--only", choices=list(SECTIONS), help="measure one section anew")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the results")
    chosen = parser.parse_args(arguments)
    names = list(SECTIONS) if chosen.only is None else [chosen.only]
    try:
        _say(f"written: {record(chosen.results, names, chosen.quick)}")
    except MlsolveError as error:
        print(f"mlsolve_records: error: {error}", file=sys.stderr)
        raise SystemExit(2) from None


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
