"""`mlsolve run`: from pictures to a folder of layers."""

import dataclasses
import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlsolve.errors import InputError, OptionError
from mlsolve.options import MAX_LAYERS, Options

if TYPE_CHECKING:
    from mlsolve.history import Step
    from mlsolve.job import Job


def _default(name: str) -> str:
    return f" [default: {getattr(Options, name):g}]"


def run(
    context: typer.Context,
    target: Annotated[
        Path | None, typer.Argument(help="The picture the stack shall show.", show_default=False)
    ] = None,
    guide: Annotated[
        list[str] | None,
        typer.Option(
            "--guide",
            "-g",
            help="What a layer shall look like: a picture, or FAMILY:SEED for a generated one (rosette:7). "
            "Once per layer. Without it, --layers guides are generated.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder to write. [default: TARGET-layers]")
    ] = None,
    job: Annotated[
        Path | None,
        typer.Option(help="Take pictures and settings from this job.toml; options given here override it."),
    ] = None,
    layers: Annotated[int | None, typer.Option(help="How many guides to generate, 1 to 16. [default: 3]")] = None,
    size: Annotated[
        str | None, typer.Option(metavar="N|WxH", help="Pixels of the sheets. [default: the target's]")
    ] = None,
    fit: Annotated[
        str | None,
        typer.Option(
            metavar="cover|contain|stretch",
            help="How pictures of other proportions fill the sheet. [default: cover]",
        ),
    ] = None,
    exposure: Annotated[
        float | None,
        typer.Option(
            help="Share of the backlight that white lets through, 0 to 1: a lower one needs a brighter box "
            "and gives the layers more freedom." + _default("exposure")
        ),
    ] = None,
    iterations: Annotated[int | None, typer.Option(help="Steps at each level." + _default("iterations"))] = None,
    levels: Annotated[
        int | None, typer.Option(help="Sizes solved from coarse to fine. [default: as many as suit the size]")
    ] = None,
    backend: Annotated[
        str | None,
        typer.Option(
            metavar="auto|cpu|cuda",
            help="What computes; auto: an NVIDIA GPU that works, else the CPU. [default: auto]",
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(help="Seed of the start and of generated guides." + _default("seed")),
    ] = None,
    ssim_weight: Annotated[
        float | None, typer.Option(help="Weight of the stack's SSIM." + _default("ssim_weight"))
    ] = None,
    mse_weight: Annotated[
        float | None, typer.Option(help="Weight of the stack's squared error." + _default("mse_weight"))
    ] = None,
    guide_weight: Annotated[
        float | None,
        typer.Option(help="Weight of each guide. [default: 1, for N > 3 layers 3/N]"),
    ] = None,
    min_density: Annotated[
        float | None,
        typer.Option(help="Optical density of the clearest sheet." + _default("min_density")),
    ] = None,
    max_density: Annotated[
        float | None,
        typer.Option(help="Optical density of the darkest print." + _default("max_density")),
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="Step size at the start of a level." + _default("learning_rate"))
    ] = None,
    target_ssim: Annotated[
        float | None, typer.Option(help="Stop at full size once the stack's SSIM is this. [default: never]")
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(help="End a level after so many iterations without gain. [default: never]"),
    ] = None,
    threads: Annotated[int | None, typer.Option(help="Threads. [default: one per core]")] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace what an earlier run wrote into the folder.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Compute layers that multiply to TARGET and write them.

    The folder holds layer-1.png … layer-N.png to print, stack.png as seen on the light box, sheet.png to
    look at, result.json with the scores, and job.toml, which repeats the run.

    Example: **mlsolve run portrait.jpg --guide leaves.png --guide waves.png --out prints --size 1200**
    """
    names = {field.name for field in dataclasses.fields(Options)}
    settings = {name: value for name, value in context.params.items() if name in names and value is not None}
    request = _request(job, target, guide, layers, size, fit, settings)
    _carry_out(request, out or Path(f"{request.target.stem}-layers"), overwrite, as_json)


def _request(
    job: Path | None,
    target: Path | None,
    guide: list[str] | None,
    layers: int | None,
    size: str | None,
    fit: str | None,
    settings: dict[str, Any],
) -> "Job":
    """Return the job that the command line asks for: what the job file says, changed by the options given."""
    from mlsolve.job import Job, guide_entry, load_job, own_guides, parse_size

    if layers is not None and not 1 <= layers <= MAX_LAYERS:
        raise OptionError(f"--layers is {layers}: it must be from 1 to {MAX_LAYERS}")
    if layers is not None and guide:
        raise OptionError("--layers counts generated guides: leave it out where --guide is given")
    base = None if job is None else load_job(job)
    if target is None and base is None:
        raise InputError("there is no target: give a picture, as in: mlsolve run portrait.jpg")
    options = dataclasses.replace(Options() if base is None else base.options, **settings)
    if guide:
        guides = tuple(guide_entry(text, Path()) for text in guide)
    elif base is not None and layers is None:
        guides = base.guides
    else:
        guides = own_guides(layers or 3, options.seed)
    changes: dict[str, Any] = {"guides": guides, "options": options}
    if target is not None:
        changes["target"] = target
    if size is not None:
        changes["size"] = parse_size(size)
    if fit is not None:
        changes["fit"] = fit
    return Job(**changes) if base is None else dataclasses.replace(base, **changes)


def _carry_out(job: "Job", out: Path, overwrite: bool, as_json: bool) -> None:
    """Solve `job`, write the folder `out`, tell how it went."""
    from mlsolve.backends import check_backend, may_use_gpu
    from mlsolve.folder import check_output, write_solution

    from .progress import Progress
    from .report import print_result

    check_backend(job.options.backend)
    check_output(out, overwrite)
    target, guides = job.pictures()
    height, width = target.shape[:2]

    from mlsolve_kernels.compiled import is_cached

    if not may_use_gpu(job.options.backend) and not is_cached():
        with suppress(BrokenPipeError):
            typer.echo("compiling the kernels, once for this version: some 10 s", err=True)

    from mlsolve.solver import solve

    with _interruptible() as marks:
        with Progress((height, width), job.options) as progress:

            def watch(step: "Step") -> bool:
                progress.show(step)
                return bool(marks)

            solution = solve(target, guides, job.options, watch)
        weight = job.options.guide_weight_for(len(guides))
        levels = solution.history[-1].levels
        options = dataclasses.replace(job.options, backend=solution.backend, levels=levels, guide_weight=weight)
        write_solution(solution, out, overwrite, job.resolved((width, height), options))
        interrupted = bool(marks)
    report = json.loads((out / "result.json").read_text(encoding="utf-8"))
    if as_json:
        typer.echo(json.dumps({"folder": str(out), **report}, indent=2, ensure_ascii=False))
    else:
        print_result(report, out, job)
    if interrupted and solution.stop == "callback":
        last = solution.history[-1]
        raise Interrupted(
            f"interrupted in level {last.level} of {last.levels}, iteration {last.iteration} of "
            f"{last.iterations}: the best so far is in {out}"
        )
    if interrupted:
        raise Interrupted(f"interrupted after the last iteration: the whole result is in {out}")


class Interrupted(Exception):
    """Ctrl-C came, and what there was has been written; the message tells where."""


@contextmanager
def _interruptible() -> Iterator[list[int]]:
    """Let the first Ctrl-C put a mark into the list that is given; the second one ends the program."""
    marks: list[int] = []

    def mark(number: int, frame: FrameType | None) -> None:
        if marks:
            raise KeyboardInterrupt
        marks.append(number)

    before = signal.signal(signal.SIGINT, mark)
    try:
        yield marks
    finally:
        signal.signal(signal.SIGINT, before)
