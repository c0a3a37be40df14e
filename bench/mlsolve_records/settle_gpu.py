"""Settles on a GPU, in five minutes, what cannot be settled without one: python -m mlsolve_records.settle_gpu.

    --out FOLDER      what is measured, and the logs; by default ./settled
    --within SECONDS  all together; by default 300

Opens the GPU, times the iteration beside its goals and beside torch, runs the GPU tests and compares the
alternatives of the backend: all of that fits into five minutes, whatever hangs. What is left of them goes to Nsight
Compute's reading of the passes if it is installed, to compute-sanitizer, and to the other benches. Every step is a
process of its own with a limit, and settled.json is written after each, so a step that fails or hangs costs nothing
but itself. Prints a table of the goals beside the figures. Figures of an earlier call are removed first.
"""

import argparse
import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from mlsolve_bench.pair import our_workspace
from mlsolve_bench.problem import RATE, noise
from mlsolve_kernels.iteration.cuda import BATCH

from . import decisions, machine, record_gpu
from .children import run
from .gpu_parts import Part, parts_of
from .gpu_sections import free_all, reason_of
from .opponents import FUSED, OURS, STRONGEST, STRONGEST_GRAPH
from .record import write
from .settle_table import GOALS, MEASURED, SETTLED, TABLE, decided_in, read, table, values

CLONE: Final = Path(__file__).parents[2]

WITHIN: Final = 300.0
OPENING: Final = 25.0
"""Seconds that opening and describing the GPU may take; about 8 on one whose kernels are not compiled yet."""

SHORTEST: Final = 5.0
"""Seconds that a step needs at least. If fewer are left, it is not begun."""

PROFILED_SIDE: Final = 2048

REPORT: Final = "passes.ncu-rep"
LOGS: Final = "logs"
"""The folder of what the parts of the benches print."""

EPILOG: Final = f"""writes into FOLDER:
  {TABLE:14}  the goals beside the figures, as printed
  {SETTLED:14}  how each step ended
  {MEASURED:14}  the figures, as record_gpu writes them
  decide-*.json   milliseconds of each alternative of the backend
  {REPORT}  what Nsight Compute read, if it is installed
  *.log, {LOGS}/    what the steps and the parts of the benches print
Files of these names from an earlier call are removed; nothing else in FOLDER is touched.

exit status:
  0  the GPU tests passed, and every step that settles something has measured
  1  not so; the table says which step failed, and why
  2  no GPU works, or the command line is wrong: nothing was written"""


class Step(NamedTuple):
    """One thing that is done."""

    name: str
    most: float
    """Seconds that it may take, all its parts together."""
    command: tuple[str, ...] = ()
    """What is run in a process of its own; () if `bench` says it."""
    bench: tuple[str, tuple[int, ...], tuple[str, ...] | None] | None = None
    """Section, sides and opponents of record_gpu, which runs its parts in processes of their own."""
    absent: str = ""
    """What it needs that is not here, as in "ncu is not installed"; then it has neither command nor bench."""
    settles: bool = False
    """Whether its seconds are kept for it: what comes before it may use only what is beyond them."""

    @property
    def log(self) -> str:
        """The name of the file of what its command prints."""
        return f"{self.name.replace(',', '').replace(' ', '-')}.log"

    @property
    def parts(self) -> list[Part]:
        """The parts of its bench: each opponent at all sizes, then the next opponent."""
        if self.bench is None:
            return []
        section, sides, names = self.bench
        found = list(parts_of([section], sides, names))
        return found if names is None else sorted(found, key=lambda part: names.index(str(part.name)))


def steps(out: Path) -> Iterator[Step]:
    """Yield all steps, what matters most first. With OPENING, those that settle something fit into WITHIN."""
    python = (sys.executable, "-m")
    here = (*python, "mlsolve_records.settle_gpu")
    tests = (*python, "pytest", "-m", "gpu", "-p", "no:cacheprovider", "tests", "-k")
    torch = (STRONGEST_GRAPH, STRONGEST, FUSED)
    yield Step("floor", 45, bench=("floor", tuple(sorted(GOALS)), None), settles=True)
    yield Step("arrangements", 30, bench=("arrangements", (600, 2048), None), settles=True)
    yield Step("torch", 75, bench=("iterations", (600, 2048), torch), settles=True)
    yield Step("tests", 60, (*tests, "not sanitizer"), settles=True)
    for decision in decisions.OFFERED:
        most = sum(20 if side > 2048 else 10 for side in decision.sides)
        command = (*here, "--decide", decision.argument, str(out))
        yield Step(f"decide {decision.argument}", most, command, settles=True)
    if ncu := tool("ncu"):
        report = out / REPORT
        yield Step("profile", 40, (ncu, *profiling(report), *here, "--iterate", str(PROFILED_SIDE)))
        yield Step("profile, read", 20, (ncu, "--import", str(report), "--page", "details"))
        yield Step("profile, source", 20, (ncu, "--import", str(report), "--page", "source", "--csv"))
    else:
        yield Step("profile", 40, absent="Nsight Compute is not installed")
    if tool("compute-sanitizer"):
        yield Step("sanitizer", 240, (*tests, "sanitizer"))
    else:
        yield Step("sanitizer", 240, absent="compute-sanitizer is not installed")
    yield Step("rest", 120, bench=("iterations", (600, 2048, 7087), None))
    yield Step("memory", 40, bench=("memory", (2048,), (OURS,)))


def tool(name: str) -> str | None:
    """Return the path of a program of the CUDA toolkit; None if it is not installed."""
    return shutil.which(name) or shutil.which(name, path="/usr/local/cuda/bin")


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

    record, describe: run benches, and describe the device for them. Raises record_gpu.NoGpu if no GPU works;
    nothing is written then.
    """
    until = time.monotonic() + within
    began = time.monotonic()
    described: dict[str, Any] | str
    try:
        described = describe(tuple(GOALS), most=min(OPENING, within), tries=False)
    except record_gpu.NoGpu:
        raise
    except record_gpu.Refused as error:  # without it there are no benches, but tests may tell why
        described = str(error)
    all_steps = list(todo(out))
    forget(out, all_steps)
    found: dict[str, Any] = {"commit": machine.commit(), "steps": {}}

    def ended(name: str, outcome: str) -> None:
        seconds = time.monotonic() - began
        found["steps"][name] = {"outcome": outcome, "seconds": round(seconds, 1)}
        write(out / SETTLED, found)
        print(f"{name}: {outcome}, {seconds:.0f} s", flush=True)

    ended("gpu", described if isinstance(described, str) else "done")
    for number, step in enumerate(all_steps):
        began = time.monotonic()
        left = until - began
        most = limit(step, all_steps[number + 1 :], left)
        if step.absent:
            outcome = f"not done: {step.absent}"
        elif left < SHORTEST:
            outcome = "not done: no time was left"
        elif step.bench is None:
            outcome = run(step.command, most, out / step.log, CLONE).failure(most) or "done"
        elif isinstance(described, str):
            outcome = f"not done: gpu: {described}"
        else:
            outcome = _bench(step, out, most, described, record)
        ended(step.name, outcome)
    found["settled"] = all(_has_measured(found["steps"][step.name]) for step in all_steps if step.settles)
    found["settled"] &= _has_measured(found["steps"]["gpu"])
    write(out / SETTLED, found)
    return found


def limit(step: Step, later: Sequence[Step], left: float) -> float:
    """Return the seconds that `step` may take, with `left` of them left for it and the `later` ones.

    At least its own, and for a step that settles something also what those before it have not used: all that is
    left but for what is kept for later steps.
    """
    spare = left - sum(one.most for one in later if one.settles)
    return min(left, max(step.most, spare) if step.settles else step.most)


def forget(out: Path, todo: Sequence[Step]) -> None:
    """Remove what an earlier call has left in `out`: files whose names are those of this call, nothing else."""
    decided = (decided_in(out, one.argument, side) for one in decisions.OFFERED for side in one.sides)
    logs = (out / LOGS / record_gpu.log_of(part) for step in todo for part in step.parts)
    named = (out / name for name in (SETTLED, TABLE, MEASURED, REPORT, *(step.log for step in todo)))
    for path in (*named, *decided, *logs):
        path.unlink(missing_ok=True)


def _has_measured(step: dict[str, Any]) -> bool:
    return str(step["outcome"]).startswith("done")


def _bench(
    step: Step, out: Path, most: float, described: dict[str, Any], record: Callable[[record_gpu.Asked], Path]
) -> str:
    """Run the benches of `step` into `out`; return "done", or which parts failed.

    What an earlier step has measured is not measured again. A part may take half of the time, so that one that
    hangs leaves some for the others.
    """
    assert step.bench is not None
    until = time.monotonic() + most
    measured = {key for key, one in read(out / MEASURED).get("parts", {}).items() if "failed" not in one}
    parts = tuple(part for part in step.parts if part.key not in measured)
    each = most / 2 if len(parts) > 1 else most
    try:
        asked = record_gpu.Asked(out, parts, step.bench[1], most=each, until=until, described=described)
        results = json.loads(record(asked._replace(logs=out / LOGS, file=MEASURED)).read_text(encoding="utf-8"))
    except Exception as error:  # the steps after this one are worth their time all the same
        return reason_of(error)
    ledger, missing = results.get("parts", {}), results.get("missing", {})
    wrong = {part.key: ledger.get(part.key, {"failed": "no time was left"}).get("failed") for part in parts}
    wrong |= {part.key: missing[part.name] for part in parts if part.name in missing}
    by_reason: dict[str, list[str]] = {}
    for key, reason in wrong.items():
        if reason:
            by_reason.setdefault(reason, []).append(key)
    said = "; ".join(f"{' and '.join(keys)}: {reason}" for reason, keys in by_reason.items())
    all_failed = sum(map(len, by_reason.values())) == len(step.parts)
    return said if all_failed else f"done but for {said}" if said else "done"


def iterate(side: int) -> None:
    """Run a few iterations launch by launch, for the profiler to read."""
    from mlsolve.solving.backends import CudaBackend

    problem = noise(side)
    work = our_workspace(problem, CudaBackend(problem.betas, graphs=False))
    work.advance([RATE] * BATCH)


def decide(argument: str, out: Path) -> None:
    """Measure the values of an argument of the backend, side by side; write each as soon as it is measured.

    Ends with a message if nothing could be measured.
    """
    (decision,) = (one for one in decisions.OFFERED if one.argument == argument)
    all_found: list[dict[str, float | str]] = []
    for side in decision.sides:
        if all_found:
            free_all()
        found = decisions.decide(argument, decision.values, side)
        write(decided_in(out, argument, side), found)
        print(f"{side}: {found}", flush=True)
        all_found.append(found)
    if all(isinstance(one, str) for found in all_found for one in found.values()):
        sys.exit(f"nothing was measured: {values(all_found[0])}")


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    made = argparse.ArgumentParser(
        "python -m mlsolve_records.settle_gpu",
        description="Settle what needs a GPU.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument(
        "--out",
        type=Path,
        default=Path("settled"),
        metavar="FOLDER",
        help="folder of what is measured, by default ./settled",
    )
    made.add_argument(
        "--within", type=float, default=WITHIN, metavar="SECONDS", help="all together, by default 300"
    )
    made.add_argument("--decide", nargs=2, help=argparse.SUPPRESS)
    made.add_argument("--iterate", type=int, help=argparse.SUPPRESS)
    return made


def main(arguments: list[str]) -> None:
    """Read the command line and settle; a child decides one thing, or iterates."""
    chosen = parser().parse_args(arguments)
    if chosen.iterate:
        iterate(chosen.iterate)
        return
    if chosen.decide:
        argument, folder = chosen.decide
        decide(argument, Path(folder))
        return
    out = chosen.out.resolve()
    if out.exists() and not out.is_dir():
        parser().error(f"--out is {chosen.out}, a file: give a folder")
    if not chosen.within >= SHORTEST:
        parser().error(f"--within is {chosen.within:g}: give {SHORTEST:g} seconds or more")
    try:
        found = settle(out, chosen.within)
    except record_gpu.NoGpu as error:
        record_gpu.refuse(error)
    lines = table(out)
    (out / TABLE).write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))
    print(f"all in {out}")
    if not found["settled"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
