"""`mlsolve bench`: the speed of this machine."""

import dataclasses
import json
import platform
import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mlsolve.errors import OptionError
from mlsolve.job import settings
from mlsolve.job.options import Options

from .options import BUDGET, JSON, LAYERS, Given, Parameter, switch, verb

if TYPE_CHECKING:
    from mlsolve_bench.report import Comparison, Forecast, Pace, Stack, Tell

_NO_TORCH: Final = "torch is not installed: pip install 'mlsolve[bench]' brings it for a comparison"

_BUSY: Final = 1.5
"""How far the median may lie above the fastest iteration before it is said that the machine is busy."""

_COLUMNS: Final = 80

_ITERATIONS: Final = Options().iterations_for(Options().step_for(moved=False))
"""Iterations at each level of a solve with default settings."""


@verb(
    dataclasses.replace(LAYERS, setting=dataclasses.replace(LAYERS.setting, help="Number of layers in the stack.")),
    switch("colour", "Three planes per layer, or one.", "--colour/--grey"),
    *(one for one in BUDGET if one.name == "threads"),
    JSON,
    Parameter("print", settings.PRINT, hidden=True),
    examples=(("bench --layers 4 --grey", "The speed of this machine for four layers in grey."),),
)
def bench(given: Given) -> None:
    """Measure the speed of this machine at a few sizes, in under a minute, and compare it with torch if installed.

    **mlsolve estimate** reports how long a print takes, and the memory and disk it needs.
    """
    if "print" in given:
        raise OptionError(
            f"bench measures the machine and takes no --print: use mlsolve estimate --print {given['print']}"
        )
    layers, threads = given.get("layers", LAYERS.default), given.get("threads")
    LAYERS.setting.check("--layers", layers)
    settings.THREADS.check("threads", threads)

    from mlsolve.system.memory import available_memory
    from mlsolve_bench.report import Stack, forecast, iteration, measure

    stack = Stack(layers, 3 if given.get("colour", True) else 1)
    machine = _this_machine(threads)
    if not given["json"]:
        _print_machine(machine, stack)
    _announce_compiling()
    with _progress() as tell:
        free = available_memory()
        paces = measure(stack, free, lambda side: iteration(side, stack, threads), tell)
        comparison = _compared(machine.threads, tell)
    solves = [forecast(pace.size, stack, paces) for pace in paces]
    if given["json"]:
        _echo(json.dumps(_as_json(machine, stack, paces, solves, comparison), indent=2, ensure_ascii=False))
        return
    _print_table(paces, solves)
    _print_comparison(comparison)


@dataclass(frozen=True)
class _Machine:
    """What computes; memory in bytes, None where the system does not tell."""

    processor: str
    cores: int
    threads: int
    memory: int | None
    free: int | None


def _this_machine(threads: int | None) -> _Machine:
    from mlsolve.system.memory import available_memory, installed_memory
    from mlsolve_kernels.threads import available_cores

    cores = available_cores()
    return _Machine(processor(), cores, threads or cores, installed_memory(), available_memory())


def processor() -> str:
    """Return the processor's name, where the system tells it."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return " ".join(line.partition(":")[2].split())
    except (OSError, UnicodeDecodeError):
        pass
    return platform.processor() or platform.machine()


def _announce_compiling() -> None:
    from mlsolve_kernels.compiled import is_cached

    if not is_cached():
        _echo("compiling the kernels, once for this version: some 10 s", err=True)


@contextmanager
def _progress() -> Iterator["Tell"]:
    """Give a function that shows what is being measured: on a terminal a bar, elsewhere nothing."""
    if not sys.stderr.isatty():
        yield lambda what, share: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

    columns = (SpinnerColumn(), BarColumn(bar_width=24), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("getting ready", total=1.0)
        yield lambda what, share: bar.update(task, description=what, completed=share)


def _compared(threads: int, tell: "Tell") -> "Comparison | str":
    """Return the comparison with torch, or in words why there is none."""
    if find_spec("torch") is None:
        return _NO_TORCH
    from mlsolve_bench.report import compare

    try:
        return compare(threads, tell)
    except ImportError as error:
        return f"torch cannot be imported, so there is no comparison: {str(error).splitlines()[0]}"


def _print_machine(machine: _Machine, stack: "Stack") -> None:
    facts = [machine.processor, _counted(machine.cores, "core")]
    if machine.memory is not None:
        facts.append(f"{_bytes(machine.memory)} of memory")
    if machine.free is not None:
        facts.append(f"{_bytes(machine.free)} free")
    colour = "in colour" if stack.planes == 3 else "in grey"
    _echo(_styled(", ".join(facts), bold=True))
    _echo(f"{_counted(stack.layers, 'layer')} {colour}, on {_counted(machine.threads, 'thread')}\n")


def _print_table(paces: Sequence["Pace"], solves: Sequence["Forecast"]) -> None:
    heads = f"{'size':<11}{'an iteration':>14}{'a value':>12}{'whole solve':>15}{'peak memory':>15}"
    _echo(_styled(heads, bold=True))
    for pace, solve in zip(paces, solves, strict=True):
        size = "×".join(str(side) for side in pace.size)
        _echo(
            f"{size:<11}{_seconds(pace.seconds):>14}{f'{pace.per_value * 1e9:.1f} ns':>12}"
            f"{_seconds(solve.seconds):>15}{_bytes(solve.memory):>15}"
        )
    _print_wrapped(
        "A value is one pixel of one colour plane of one layer. A whole solve is "
        f"{_ITERATIONS} iterations at each of {_few([solve.levels for solve in solves])} sizes, from "
        "coarse to fine, all in memory; reading and writing the files comes on top.",
        dim=True,
    )
    unrest = max(pace.seconds / pace.fastest for pace in paces)
    if unrest > _BUSY:
        _print_wrapped(
            f"Something else keeps this machine busy: half of the iterations took {unrest:.1f} times as long as "
            "the fastest, or longer. Measure again when it is quiet."
        )


def _print_comparison(comparison: "Comparison | str") -> None:
    _echo()
    if isinstance(comparison, str):
        _echo(comparison)
        return
    width, height = comparison.size
    _echo(
        _styled(f"{comparison.ratio:.3g} times as fast as torch", bold=True)
        + f" {comparison.torch_version} at {width}×{height}, three layers in colour"
    )
    _print_wrapped(
        f"An iteration takes torch {_seconds(comparison.torch)} and mlsolve {_seconds(comparison.ours)} "
        "where they take turns on the same threads. Torch as described: the same loss written plainly, with "
        "dense convolutions and autograd; bench/ has stronger opponents.",
        dim=True,
    )


def _print_wrapped(text: str, dim: bool = False) -> None:
    for line in textwrap.wrap(text, _COLUMNS):
        _echo(_styled(line, dim=True) if dim else line)


def _echo(text: str = "", err: bool = False) -> None:
    """Print a line, without its style where that is not shown on a terminal."""
    import typer

    typer.echo(text, err=err)


def _styled(text: str, **style: bool) -> str:
    import typer

    return typer.style(text, **style)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _few(counts: Sequence[int]) -> str:
    """Return counts in words: "4", "4 or 5", "4 to 6"."""
    fewest, most = min(counts), max(counts)
    return str(fewest) if fewest == most else f"{fewest} {'or' if most == fewest + 1 else 'to'} {most}"


def _bytes(count: int) -> str:
    return f"{count / 1e9:.3g} GB" if count >= 1e9 else f"{count / 1e6:.3g} MB"


def _seconds(seconds: float) -> str:
    from .progress import duration

    if seconds < 0.9995:
        return f"{seconds * 1e3:.3g} ms"
    return f"{seconds:.1f} s" if seconds < 9.95 else duration(seconds)


def _as_json(
    machine: _Machine,
    stack: "Stack",
    paces: Sequence["Pace"],
    solves: Sequence["Forecast"],
    comparison: "Comparison | str",
) -> dict[str, Any]:
    """Return all of it: times in seconds, memory in bytes, sizes as (width, height) in pixels."""
    from mlsolve import __version__

    return {
        "version": __version__,
        "machine": vars(machine),
        **vars(stack),
        "iterations": _ITERATIONS,
        "sizes": [
            {
                "size": pace.size,
                "iteration_seconds": pace.seconds,
                "fastest_seconds": pace.fastest,
                "ns_per_value": pace.per_value * 1e9,
                "levels": solve.levels,
                "solve_seconds": solve.seconds,
                "memory": solve.memory,
            }
            for pace, solve in zip(paces, solves, strict=True)
        ],
        "torch": None if isinstance(comparison, str) else {**vars(comparison), "ratio": comparison.ratio},
    }
