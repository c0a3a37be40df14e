"""Times whole runs, from files to files, by stage: python -m mlsolve_records.whole_runs [--against CHECKOUT].

    --against CHECKOUT  take turns with another checkout of the repository, as `git worktree add` makes one
    --cases CASE ...    some of 600, 2362, 7087, tiles and large; by default all but large, which takes far longer
    --threads N         threads of the runs; 2 by default
    --turns N           turns of every case, instead of its own number
    --quick             small sizes and one turn, to test that everything works
    --results FOLDER    folder of the file; by default bench/results of the clone

Every run is `mlsolve run` in a process of its own, as a user pays for it. Before its turns a case is run once at a
small size, which compiles the kernels. Stages are timed from outside, by the moments when the lines of `--json`
arrive: a stage ends with its last line. So what follows the last iteration until all layers are written counts as
writing. Everything is written to the folder for temporary files (TMPDIR), on the disk that is to be measured.

Writes whole-runs-<CPU>-<cores>.json, with every single turn, after each case. Nothing else should run meanwhile.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final, NamedTuple

from mlsolve.errors import MlsolveError, OptionError

from . import machine
from .record import BUSY, RESULTS, write

HERE: Final = Path(__file__).parents[2]
THIS, BEFORE = "this", "before"

STAGES: Final = {
    "pictures": "start, pictures",
    "solving": "solving",
    "writing": "writing",
    "scoring": "scoring",
}
"""The stages that lines of progress name, and how they are recorded. What comes after the last of them is "end"."""


class Failed(MlsolveError):
    """A run that failed, or that cannot be timed."""


class Case(NamedTuple):
    """A whole run to be timed."""

    arguments: tuple[str, ...]
    """Of `mlsolve run`, without threads and folder."""
    small: tuple[str, ...]
    """What is added to them for the run that compiles, and with --quick."""
    turns: int
    verify: bool = False
    """Whether `mlsolve verify` of the result is timed as well."""


_PHOTOGRAPHS: Final = (
    *("examples/chelsea.jpg", "--guide", "examples/coffee.jpg", "--guide", "examples/rocket.jpg"),
    *("--guide", "examples/cat.jpg"),
)
_DRAWN: Final = (
    *("examples/chelsea.jpg", "--guide", "rosette:1", "--guide", "mosaic:2", "--guide", "kaleidoscope:3"),
    *("--iterations", "1"),
)
_SMALL, _SMALL_TILES = ("--size", "96"), ("--size", "1000", "--memory", "64MiB")

CASES: Final = {
    "600": Case((*_PHOTOGRAPHS, "--size", "600"), _SMALL, 7),
    "2362": Case((*_PHOTOGRAPHS, "--size", "2362", "--iterations", "4"), _SMALL, 3, verify=True),
    "7087": Case((*_DRAWN, "--size", "7087", "--memory", "16GiB"), _SMALL, 3),
    "tiles": Case((*_DRAWN, "--size", "7087", "--memory", "2GiB"), _SMALL_TILES, 3),
    "large": Case((*_DRAWN, "--size", "30000x20000", "--memory", "2GiB", "--format", "tiff"), _SMALL_TILES, 1),
}
"""7087 pixels are 600 mm at 300 dpi. They need 12.5 GiB to be solved whole."""


def environment(checkout: Path) -> dict[str, str]:
    """Return the environment in which Python imports the packages of `checkout`."""
    folders = (str(checkout / name) for name in ("src", "kernels", "cli", "bench"))
    return {**os.environ, "PYTHONPATH": os.pathsep.join(folders)}


def timed(checkout: Path, *arguments: str) -> dict[str, float]:
    """Run the command line of `checkout`, and return its seconds.

    "whole": from its start to its end. "processor": user and system time, workers included. For `mlsolve run` with
    --json also the seconds of every stage, which add up to "whole". Raises Failed if it fails or compiles kernels.
    """
    command = [sys.executable, "-m", "mlsolve_cli", *arguments]
    said: list[str] = []
    ends: dict[str, float] = {}
    began = time.perf_counter()
    process = subprocess.Popen(
        command,
        cwd=checkout,
        env=environment(checkout),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    with process.stderr as lines:
        for line in lines:
            now = time.perf_counter() - began
            event = json.loads(line) if line.startswith("{") else {}
            if event.get("event") == "progress":
                ends[event["stage"]] = now
            elif not event:
                said.append(line.strip())
    _, status, usage = os.wait4(process.pid, 0)
    whole = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise Failed(f"mlsolve {arguments[0]} in {checkout}: {said[-1] if said else 'it said nothing'}")
    if any(line.startswith("compiling") for line in said):
        raise Failed(f"mlsolve {arguments[0]} in {checkout} compiled kernels and cannot be timed: run it again")
    found = {"whole": whole, "processor": usage.ru_utime + usage.ru_stime}
    return found | split(ends, whole) if "--json" in arguments else found


def split(ends: dict[str, float], whole: float) -> dict[str, float]:
    """Return the seconds of every stage. ends: when each was last heard of. Raises Failed if one is missing."""
    if missing := [name for name in STAGES if name not in ends]:
        raise Failed(f"the run was silent about its stages: {', '.join(missing)}")
    found, before = {}, 0.0
    for name, recorded in STAGES.items():
        found[recorded] = ends[name] - before
        before = ends[name]
    return found | {"end": whole - before}


def turn(checkout: Path, arguments: tuple[str, ...], verify: bool) -> dict[str, float]:
    """Run once in `checkout` and return the seconds as `timed` does; verify: with those of `mlsolve verify`."""
    with tempfile.TemporaryDirectory(prefix="mlsolve-whole-runs-") as place:
        folder = str(Path(place) / "run")
        found = timed(checkout, "run", *arguments, "--json", "--out", folder)
        return found | {"verify": timed(checkout, "verify", folder)["whole"]} if verify else found


def measure(
    case: Case, checkouts: dict[str, Path], threads: int, turns: int | None, quick: bool
) -> dict[str, list[dict[str, float]]]:
    """Return the turns of every checkout; each comes first in every second turn."""
    common = ("--threads", str(threads), "--backend", "cpu")
    small = (*case.arguments, *common, *case.small)
    for checkout in checkouts.values():
        try:
            turn(checkout, small, case.verify)
        except Failed:
            turn(checkout, small, case.verify)  # it has compiled its kernels by now
    found: dict[str, list[dict[str, float]]] = {name: [] for name in checkouts}
    for number in range(turns or (1 if quick else case.turns)):
        for name in list(checkouts)[:: 1 if number % 2 else -1]:
            taken = turn(checkouts[name], small if quick else (*case.arguments, *common), case.verify)
            found[name].append(taken)
            _say(f"  {name}: " + ", ".join(f"{stage} {seconds:.2f} s" for stage, seconds in taken.items()))
    return found


def record(
    folder: Path, names: list[str], against: Path | None, threads: int, turns: int | None, quick: bool
) -> Path:
    """Time the cases `names`, merge them into this machine's file in `folder`, and return the file."""
    checkouts = {THIS: HERE}
    if against is not None:
        if not (against / "cli" / "mlsolve_cli").is_dir() or against.resolve() == HERE:
            raise OptionError(f"--against is {against}: give the folder of another checkout of mlsolve")
        checkouts[BEFORE] = against.resolve()
    here, load = machine.describe(), machine.load()
    if load is not None and load > BUSY:
        _say(f"this machine is busy (load {load:g}): what else runs is in the figures")
    name = f"whole-runs-{machine.slug(here['cpu'], here['cores'])}{'-quick' if quick else ''}.json"
    path = folder / name
    results = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"cases": {}}
    for name in names:
        _say(f"— {name}")
        entry: dict[str, Any] = {
            "date": here["date"],
            "commits": {which: machine.commit(checkout) for which, checkout in checkouts.items()},
            "load before": machine.load(),
            "threads": threads,
            "arguments": " ".join(CASES[name].arguments),
            "turns": measure(CASES[name], checkouts, threads, turns, quick),
        }
        results["machine"] = here
        merged = results["cases"] | {name: entry}
        results["cases"] = {one: merged[one] for one in CASES if one in merged}
        write(path, results)
    return path


def main(arguments: list[str]) -> None:
    """Read the command line and record."""
    parser = argparse.ArgumentParser(
        "python -m mlsolve_records.whole_runs", description="Time whole runs by stage, and record them."
    )
    parser.add_argument("--against", type=Path, help="another checkout of the repository, to take turns with")
    usual = [name for name in CASES if name != "large"]
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=usual, help="the runs to time")
    parser.add_argument("--threads", type=int, default=2, help="threads of the runs")
    parser.add_argument("--turns", type=int, help="turns of every case")
    parser.add_argument("--quick", action="store_true", help="small sizes and one turn")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the results")
    given = parser.parse_args(arguments)
    try:
        path = record(given.results, given.cases, given.against, given.threads, given.turns, given.quick)
    except MlsolveError as error:
        print(f"mlsolve_records: error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    _say(f"written: {path}")


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
