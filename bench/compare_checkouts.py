"""Compare two checkouts: python bench/compare_checkouts.py OTHER [--only bytes|speed|memory] [--quick]

OTHER is another checkout of the repository, such as `git worktree add` creates from an earlier commit. It is
compared with the checkout of this script, with the same interpreter. Only public interfaces are used, so modules
may have moved. Runs of every kind must write the same pixels, byte for byte once they are decoded: the exit status
is 1 if some differ or a run fails. Files may be compressed differently.
Speed and memory are reported as ratios of this checkout to the other, with the smallest and largest ratio of a
turn. They do not affect the exit status. MORE and LESS mean that all figures of one checkout are beyond all of the
other's; "unclear" means that the noise is larger than the difference, or that there were too few turns, as with
--quick. No other program should run on the machine at the same time.
"""

import argparse
import hashlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mlsolve.pictures.picture_files import open_picture

HERE = Path(__file__).resolve().parents[1]

DEMO = (
    *("examples/chelsea.jpg", "--guide", "rosette:1:ember", "--guide", "mosaic:4:lagoon"),
    *("--guide", "kaleidoscope:3:dusk", "--size", "480", "--exposure", "0.05", "--overwrite"),
)
"""The arguments of `make demo`, except --out."""
GALLERY = "one-from-three", "two-from-three", "three-from-six", "one-from-nine"
"""The runs of `make gallery`."""
CPU = "--backend", "cpu", "--threads", "2"
TIGHT = "--memory", "24MiB"
TILED = "examples/cat.jpg", "--guide", "examples/coffee.jpg", "--guide", "examples/rocket.jpg", "--format", "tiff"
"""A run without generated guides, which need more memory; it fits into TIGHT."""

PROBE = """
import json, sys, time
import numpy as np
from mlsolve import Arrangement, Options, Placement, Problem, solve
kind, side, iterations = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
first, second, *guides = np.random.default_rng(0).random((5, side, side, 3), dtype=np.float32)
arrangements = [Arrangement(first)]
if kind == "turned":
    place = [Placement(1), Placement(2, rotate=90), Placement(3, rotate=180)]
    arrangements.append(Arrangement(second, place))
hide = 3.0 if kind == "hiding" else 0.0
options = Options(levels=1, iterations=iterations, hide_weight=hide, backend="cpu", threads=2)
stamps = []
solve(Problem(guides, arrangements), options, callback=lambda step: stamps.append(time.perf_counter()))
print(json.dumps([after - before for before, after in zip(stamps, stamps[1:])]))
"""
"""Prints the seconds of every iteration: KIND SIDE ITERATIONS."""
PROBES = (("plain", 600, 80, 30), ("plain", 2048, 16, 8), ("turned", 600, 40, 16), ("hiding", 600, 40, 16))
"""Kind, side in pixels, iterations, and iterations with --quick."""

SPEED, MEMORY = 0.03, 0.02
"""Largest difference of a ratio from 1 that counts as equal."""


class Failed(Exception):
    """A run failed; the message says in one line what happened."""


class Done(NamedTuple):
    """The result of a process: the JSON that it wrote, its progress, its seconds and its peak memory in bytes."""

    report: Any
    events: list[dict[str, Any]]
    seconds: float
    resident: int


Turns = tuple[list[Done], list[Done]]
"""Figures measured in turns: those of the other checkout, and those of this one."""


def environment(checkout: Path) -> dict[str, str]:
    """Return the environment in which Python imports `checkout`."""
    folders = (str(checkout / name) for name in ("src", "kernels", "cli", "bench"))
    return {**os.environ, "PYTHONPATH": os.pathsep.join(folders)}


def python(checkout: Path, *arguments: object) -> Done:
    """Run this interpreter in `checkout`; it must write JSON. Raises Failed unless it succeeds."""
    command = [sys.executable, *map(str, arguments)]
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        began = time.perf_counter()
        process = subprocess.Popen(command, cwd=checkout, env=environment(checkout), stdout=output, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        text, said = output.read(), errors.read().splitlines()
    if process.returncode != 0:
        raise Failed(f"status {process.returncode}: {said[-1] if said else 'it said nothing'}")
    resident = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return Done(json.loads(text), list(events_of(said)), seconds, resident)


def events_of(lines: Iterable[str]) -> Iterable[dict[str, Any]]:
    """Yield the events that a run with --json writes to standard error."""
    for line in lines:
        if line.startswith("{"):
            yield json.loads(line)


def in_tiles(event: dict[str, Any]) -> bool:
    """Return whether `event` belongs to full size, solved in tiles."""
    return event.get("stage") == "solving" and event["level"] == event["levels"] and event["tiles"] > 1


def mlsolve(checkout: Path, *arguments: object) -> Done:
    """Run the command line of `checkout`, with --json."""
    return python(checkout, "-m", "mlsolve_cli", *arguments, "--json")


def stop(checkout: Path, signals: Sequence[int], least: int, *arguments: object) -> None:
    """Run the command line, and stop it with `signals` once round `least` of the tiles has begun."""
    command = [sys.executable, "-m", "mlsolve_cli", *map(str, arguments), "--json"]
    where, pipe = environment(checkout), subprocess.PIPE
    process = subprocess.Popen(command, cwd=checkout, env=where, stdout=subprocess.DEVNULL, stderr=pipe, text=True)
    for event in events_of(process.stderr or ()):
        if in_tiles(event) and event["round"] >= least:
            for number in signals:
                process.send_signal(number)
                time.sleep(0.1)
            break
    process.communicate()
    if process.returncode == 0:
        raise Failed("it ended before it could be stopped")


class Comparison:
    """Two checkouts, and the table of their comparison."""

    def __init__(self, other: Path, place: Path, quick: bool) -> None:
        """place: an empty folder for all output."""
        self.other, self.place, self.quick, self.differ = other, place, quick, False
        few = ("--iterations", 30) if quick else ()
        self.tiled = [*TILED, "--bits", 16, *CPU, *TIGHT, "--size", "400x420" if quick else "700x900", *few]
        self.whole = [*DEMO, *CPU, "--memory", "1GiB", "--size", 600, *few]
        self.line("what", "other", "this", "ratio", "verdict")

    def line(self, *cells: str) -> None:
        """Print a line of the table."""
        widths = 30, 10, 10, 20, 0
        print("  ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip(), flush=True)

    def folder(self) -> Path:
        """Return the name of a folder that does not exist yet."""
        return Path(tempfile.mkdtemp(dir=self.place)) / "run"

    def run(self, checkout: Path, *arguments: object) -> Done:
        """Run `mlsolve run`; its report names the output folder."""
        return mlsolve(checkout, "run", *arguments, "--out", self.folder())

    def run_in_tiles(self, checkout: Path, *arguments: object) -> Done:
        """Run a job that must be solved in tiles. Raises Failed if it was not."""
        done = self.run(checkout, *self.tiled, *arguments)
        if not any(map(in_tiles, done.events)):
            raise Failed("it was not solved in tiles")
        return done

    def run_stopped(self, checkout: Path) -> Done:
        """Interrupt a run in tiles, resume and kill it, and resume it to its end."""
        folder = self.folder()
        again = "resume", folder, *TIGHT, "--threads", 2
        stop(checkout, [signal.SIGINT] * 2, 2, "run", *self.tiled, "--out", folder)
        stop(checkout, [signal.SIGKILL], 1, *again)
        return mlsolve(checkout, *again)

    def warm(self) -> None:
        """Make both checkouts compile everything that is measured later."""
        for checkout in (self.other, HERE):
            for kind in ("plain", "turned", "hiding"):
                python(checkout, "-c", PROBE, kind, 96, 2)
            self.run(checkout, *self.whole, "--iterations", 2)
            self.run(checkout, *self.tiled, "--size", "400x420", "--iterations", 8)

    def bytes(self) -> None:
        """Compare the files that runs of all kinds write."""
        small = ("--size", 160) if self.quick else ()
        self.compare("demo", self.run, *DEMO, *small)
        for name in GALLERY:
            self.compare(name, self.run, "--job", f"examples/{name}.toml", *small)
        self.compare("in tiles", self.run_in_tiles)
        self.compare("in tiles, 2 processes", self.run_in_tiles, "--processes", 2)
        self.compare("in tiles, stopped twice", self.run_stopped)

    def compare(self, what: str, run: Callable[..., Done], *arguments: object) -> None:
        """Run in both checkouts and compare the output folders."""
        found: list[tuple[dict[str, str], str]] = []
        for name, checkout in (("other", self.other), ("this", HERE)):
            try:
                folder = Path(run(checkout, *arguments).report["folder"])
                numbers = (folder / "history.csv").read_text(encoding="utf-8").partition("\n")[2]
                found.append((digests_of(folder), numbers))
            except Failed as failure:
                self.differ = True
                self.line(what, "", "", "", f"FAILED in {name}: {failure}")
                return
        (others, told), (these, told_here) = found
        wrong = [name for name in sorted({*others, *these}) if others.get(name) != these.get(name)]
        self.differ = self.differ or bool(wrong)
        verdict = f"DIFFERENT: {', '.join(wrong)}" if wrong else f"same pixels, {len(these)} files"
        history = "same numbers" if told == told_here else "OTHER numbers"
        short = (hashlib.sha256(repr(digests).encode()).hexdigest()[:8] for digests in (others, these))
        self.line(what, *short, "", f"{verdict}; history: {history}")

    def in_turns(self, measure: Callable[..., Done], *arguments: object) -> Turns:
        """Measure both in turns; each comes first in every second turn."""
        found: dict[Path, list[Done]] = {self.other: [], HERE: []}
        for turn in range(3 if self.quick else 7):
            for checkout in (self.other, HERE) if turn % 2 == 0 else (HERE, self.other):
                found[checkout].append(measure(checkout, *arguments))
        return found[self.other], found[HERE]

    def judge(self, what: str, unit: str, turns: Turns, figure: Callable[[Done], float], within: float) -> None:
        """Print the medians of a figure, their ratio, and the smallest and largest ratio of a turn."""
        others, these = ([figure(done) for done in dones] for dones in turns)
        other, this = statistics.median(others), statistics.median(these)
        # With two equal checkouts, five figures each are separated by chance in one case of 126; three figures each
        # in one of ten.
        apart = len(these) >= 5 and (min(these) > max(others) or max(these) < min(others))
        verdict = ("MORE" if this > other else "LESS") if apart else "unclear"
        if abs(this / other - 1) <= within:
            verdict = f"within {within:.0%}"
        ratios = [mine / its for its, mine in zip(others, these, strict=True)]
        spread = f"{this / other:.3f} ({min(ratios):.2f}–{max(ratios):.2f})"
        self.line(what, f"{other:.4g} {unit}", f"{this:.4g} {unit}", spread, verdict)

    def speed(self) -> None:
        """Compare iterations of several kinds, and whole runs."""
        for kind, side, many, few in PROBES:
            turns = self.in_turns(python, "-c", PROBE, kind, side, few if self.quick else many)
            self.judge(f"iteration, {kind}, {side} px", "ms", turns, iteration, SPEED)
        self.judge("run, 600 px", "s", self.in_turns(self.run, *self.whole), lambda done: done.seconds, SPEED)

    def memory(self) -> None:
        """Compare the peak memory of runs: that of the process, and that which the run reports."""
        for what, arguments in (("600 px", self.whole), ("in tiles", self.tiled)):
            turns = self.in_turns(self.run, *arguments)
            self.judge(f"peak, {what}", "MiB", turns, lambda done: done.resident / 2**20, MEMORY)
            self.judge(f"held, {what}", "MiB", turns, lambda done: done.report["peak_memory"] / 2**20, MEMORY)


def digests_of(folder: Path) -> dict[str, str]:
    """Return a digest of the pixels of every layer and stack in `folder`, by name. Raises Failed without any."""
    paths = sorted([*folder.glob("layer-*"), *folder.glob("stack*.png")])
    if not paths:
        raise Failed("it left no layers")
    return {path.name: _pixels(path) for path in paths}


def _pixels(path: Path) -> str:
    """Return a digest of the size and the decoded pixels of a file."""
    picture = open_picture(path)
    digest = hashlib.sha256(repr((picture.size, picture.planes, picture.bits)).encode())
    for band in picture.bands(256):
        digest.update(band.data)
    return digest.hexdigest()


def iteration(done: Done) -> float:
    """Return the milliseconds of an iteration of a probe, without the first quarter."""
    return float(statistics.median(done.report[len(done.report) // 4 :])) * 1e3


def check(checkout: Path) -> None:
    """Raise Failed unless `checkout` imports its own modules."""
    files = "import json, mlsolve, mlsolve_cli as cli; print(json.dumps([mlsolve.__file__, cli.__file__]))"
    if not all(Path(name).resolve().is_relative_to(checkout) for name in python(checkout, "-c", files).report):
        raise Failed(f"{checkout} is no checkout of mlsolve")


def main() -> None:
    """Compare, and exit with status 1 if bytes differ or a run fails."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[2])
    parser.add_argument("other", metavar="OTHER", type=Path, help="another checkout of the repository")
    parser.add_argument("--only", choices=("bytes", "speed", "memory"), help="leave the others out")
    parser.add_argument("--quick", action="store_true", help="smaller and fewer, for some minutes in all")
    given = parser.parse_args()
    other = given.other.resolve()
    if other == HERE or not other.is_dir():
        parser.error(f"{given.other} is no other checkout")
    try:
        for checkout in (other, HERE):
            check(checkout)
        with tempfile.TemporaryDirectory() as place:
            comparison = Comparison(other, Path(place), given.quick)
            if given.only in (None, "bytes"):
                comparison.bytes()
            if given.only != "bytes":
                comparison.warm()
            if given.only in (None, "speed"):
                comparison.speed()
            if given.only in (None, "memory"):
                comparison.memory()
    except Failed as failure:
        sys.exit(f"FAILED: {failure}")
    sys.exit(1 if comparison.differ else 0)


if __name__ == "__main__":
    main()
