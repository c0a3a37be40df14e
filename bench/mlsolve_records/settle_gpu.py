"""Settles on a GPU, in five minutes, what cannot be settled without one: python -m mlsolve_records.settle_gpu.

    --out FOLDER      what is measured, and the logs; by default ./settled
    --within SECONDS  all together; by default 300

Opens the GPU, runs the GPU tests, times the iteration, compares the alternatives of the backend, reads the passes
with Nsight Compute if it is installed, and runs the benches against torch. Every step is a process of its own with
a limit, and settled.json is written after each, so a step that fails or hangs costs nothing but itself. Prints a
table of the goals beside the figures.
"""

import argparse
import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from mlsolve_bench.pair import our_workspace
from mlsolve_bench.problem import RATE, noise
from mlsolve_kernels.iteration.cuda import BATCH

from . import decisions, machine, record_gpu
from .children import run
from .figures import duration
from .gpu_parts import parts_of
from .gpu_sections import reason_of
from .opponents import FUSED, OURS, STRONGEST, STRONGEST_GRAPH
from .record import write

CLONE: Final = Path(__file__).parents[2]

WITHIN: Final = 300.0
DESCRIBING: Final = 40.0
"""Seconds that the description of the device may take, which tries torch.compile."""

SHORTEST: Final = 5.0
"""Seconds that a step needs at least. If fewer are left, it is not begun."""

NEEDED: Final = ("gpu", "tests")
"""The steps without which the figures mean nothing; the exit status is theirs."""

PROFILED_SIDE: Final = 2048

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


class Step(NamedTuple):
    """One thing that is done."""

    name: str
    most: float
    """Seconds that it may take."""
    command: tuple[str, ...] = ()
    """What is run in a process of its own; () if `bench` says it."""
    bench: tuple[str, tuple[int, ...], tuple[str, ...] | None] | None = None
    """Section, sides and opponents of record_gpu, which runs its parts in processes of their own."""
    needed: bool = False
    """Whether nothing after it makes sense without it."""


def steps(out: Path) -> Iterator[Step]:
    """Yield all steps, what matters most first."""
    python = (sys.executable, "-m")
    here = (*python, "mlsolve_records.settle_gpu")
    yield Step("gpu", 60, (*python, "mlsolve_kernels.iteration.cuda"), needed=True)
    yield Step("tests", 120, (*python, "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", "tests"))
    yield Step("floor", 30, bench=("floor", tuple(GOALS), None))
    for decision in decisions.offered():
        for side in decision.sides:
            into = out / f"decide-{decision.argument}-{side}.json"
            words = (decision.argument, str(side), str(into))
            yield Step(f"decide {decision.argument} {side}", 40, (*here, "--decide", *words))
    yield Step("arrangements", 40, bench=("arrangements", (600, 2048), None))
    if ncu := profiler():
        report = out / "passes.ncu-rep"
        yield Step("profile", 40, (ncu, *profiling(report), *here, "--iterate", str(PROFILED_SIDE)))
        yield Step("profile, read", 20, (ncu, "--import", str(report), "--page", "details"))
        yield Step("profile, source", 20, (ncu, "--import", str(report), "--page", "source", "--csv"))
    yield Step("torch", 60, bench=("iterations", (2048, 600), (STRONGEST_GRAPH, STRONGEST, FUSED)))
    yield Step("rest", 60, bench=("iterations", (600, 2048, 7087), None))
    yield Step("memory", 40, bench=("memory", (2048,), (OURS,)))


def profiler() -> str | None:
    """Return the path of Nsight Compute; None if it is not installed."""
    return shutil.which("ncu") or shutil.which("ncu", path="/usr/local/cuda/bin")


def profiling(report: Path) -> tuple[str, ...]:
    """Return the options that read one launch of two passes each, by instruction; clocks stay as they are."""
    sections = ("SpeedOfLight", "LaunchStats", "Occupancy", "WarpStateStats", "InstructionStats", "SourceCounters")
    return (
        *("--clock-control", "none", "--kernel-name", "regex:pass|step"),
        *("--launch-skip", "4", "--launch-count", "2"),
        *(word for section in sections for word in ("--section", section)),
        *("--force-overwrite", "--export", str(report)),
    )


def settle(
    out: Path,
    within: float = WITHIN,
    todo: Callable[[Path], Iterator[Step]] = steps,
    record: Callable[[record_gpu.Asked], Path] = record_gpu.record,
    describe: Callable[..., dict[str, Any]] = record_gpu.describe,
) -> dict[str, Any]:
    """Do all steps within so many seconds; return how each ended, as settled.json in `out` has it.

    record, describe: run benches, and describe the device for them.
    """
    described = cache(lambda: describe(tuple(GOALS), most=DESCRIBING))
    until = time.monotonic() + within
    found: dict[str, Any] = {"commit": machine.commit(), "steps": {}}
    failed: str | None = None
    for step in todo(out):
        left = until - time.monotonic()
        began = time.monotonic()
        if failed:
            outcome = f"not done: {failed} failed"
        elif left < SHORTEST:
            outcome = "not done: no time was left"
        elif step.bench is not None:
            outcome = _bench(step, out, until, lambda asked: record(asked._replace(described=described())))
        else:
            most = min(step.most, left)
            ended = run(step.command, most, out / f"{step.name.replace(',', '').replace(' ', '-')}.log", CLONE)
            outcome = ended.failure(most) or "done"
        if step.needed and outcome != "done":
            failed = failed or step.name
        found["steps"][step.name] = {"outcome": outcome, "seconds": round(time.monotonic() - began, 1)}
        write(out / "settled.json", found)
        print(f"{step.name}: {outcome}, {time.monotonic() - began:.0f} s", flush=True)
    return found


def _bench(step: Step, out: Path, until: float, record: Callable[[record_gpu.Asked], Path]) -> str:
    """Run the benches of `step` into `out`; return "done", or which parts failed."""
    assert step.bench is not None
    section, sides, names = step.bench
    parts = tuple(parts_of([section], sides, names))
    try:
        path = record(record_gpu.Asked(out, parts, sides, most=step.most, until=until, logs=out / "logs"))
        results = json.loads(path.read_text(encoding="utf-8"))
    except Exception as error:  # the steps after this one are worth their time all the same
        return reason_of(error)
    ledger, missing = results.get("parts", {}), results.get("missing", {})
    wrong = {part.key: ledger.get(part.key, {"failed": "no time was left"}).get("failed") for part in parts}
    wrong |= {part.key: missing[part.name] for part in parts if part.name in missing}
    said = [f"{key}: {reason}" for key, reason in wrong.items() if reason]
    return f"done but for {'; '.join(said)}" if said else "done"


def table(out: Path) -> list[str]:
    """Return the goals beside what the files in `out` say, as lines."""
    results: dict[str, Any] = {}
    decided: dict[str, dict[str, float | str]] = {}
    steps: dict[str, dict[str, Any]] = {}
    for path in sorted(out.glob("*.json")):
        try:
            read = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            continue  # it was killed while it wrote
        if path.stem.startswith("decide-"):
            decided[path.stem.removeprefix("decide-").replace("-", " ")] = read
        elif "machine" in read:
            results = read
        elif "steps" in read:
            steps = read["steps"]
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
    for name, found in decided.items():
        values = (f"{one} {taken if isinstance(taken, str) else duration(taken)}" for one, taken in found.items())
        lines.append(f"{name}²: {', '.join(values)}")
    return lines + [f"{name}: {one['outcome']}" for name, one in steps.items() if one["outcome"] != "done"]


def _line(name: str, goal: str, measured: str) -> str:
    return f"{name:54} {goal:>10} {measured:>12}"


def _or_none(value: float | None, form: Callable[[float], str] = "{:.2f}".format) -> str:
    return "not measured" if value is None else form(value)


def iterate(side: int) -> None:
    """Run a few iterations launch by launch, for the profiler to read."""
    from mlsolve.solving.backends import CudaBackend

    problem = noise(side)
    work = our_workspace(problem, CudaBackend(problem.betas, graphs=False))
    work.advance([RATE] * BATCH)


def main(arguments: list[str]) -> None:
    """Read the command line and settle; a child decides one thing, or iterates."""
    parser = argparse.ArgumentParser("python -m mlsolve_records.settle_gpu", description="Settle what needs a GPU.")
    parser.add_argument(
        "--out", type=Path, default=Path("settled"), help="folder of what is measured, by default ./settled"
    )
    parser.add_argument("--within", type=float, default=WITHIN, help="seconds, all together")
    parser.add_argument("--decide", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--iterate", type=int, help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.iterate:
        iterate(chosen.iterate)
        return
    if chosen.decide:
        argument, side, into = chosen.decide
        (values,) = (one.values for one in decisions.offered() if one.argument == argument)
        decided = decisions.decide(argument, values, int(side))
        write(Path(into), decided)
        print(decided)
        return
    out = chosen.out.resolve()
    found = settle(out, chosen.within)
    lines = table(out)
    (out / "table.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))
    print(f"all in {out}")
    if not all(found["steps"].get(name, {}).get("outcome") == "done" for name in NEEDED):
        raise SystemExit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
