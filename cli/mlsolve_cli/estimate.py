"""`mlsolve estimate`: what a print will need, before anything starts."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlsolve.errors import OptionError
from mlsolve.job.options import MAX_LAYERS, Options

if TYPE_CHECKING:
    from mlsolve.run.estimate import Estimate


def estimate(
    target: Annotated[
        Path | None, typer.Argument(help="The picture, for its size and colour.", show_default=False)
    ] = None,
    job: Annotated[Path | None, typer.Option(help="A job.toml, for everything it says.")] = None,
    size: Annotated[str | None, typer.Option(metavar="N|WxH", help="Pixels of the sheets.")] = None,
    print_size: Annotated[
        str | None,
        typer.Option("--print", metavar="WxH(mm|cm|in)|A3", help="Size of the print: 600x900mm, A2-landscape."),
    ] = None,
    dpi: Annotated[
        float | None, typer.Option(help="Pixels an inch. [default: 100 with --print]", show_default=False)
    ] = None,
    layers: Annotated[int | None, typer.Option(help=f"Layers, 1 to {MAX_LAYERS}. [default: 3]")] = None,
    colour: Annotated[
        bool, typer.Option("--colour/--grey", help="Three planes a layer, or one, where no pictures tell.")
    ] = True,
    iterations: Annotated[
        int | None, typer.Option(help=f"Steps at each level. [default: {Options.iterations}]")
    ] = None,
    levels: Annotated[int | None, typer.Option(help="Sizes solved. [default: as many as suit]")] = None,
    memory: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Memory to use. [default: half of what is free]")
    ] = None,
    processes: Annotated[int, typer.Option(help="Processes that share the work.")] = 1,
    threads: Annotated[int | None, typer.Option(help="Threads. [default: one per core]")] = None,
    file_format: Annotated[str | None, typer.Option("--format", metavar="png|tiff", help="As for run.")] = None,
    bits: Annotated[int | None, typer.Option(metavar="8|16", help="As for run.")] = None,
    cmyk_profile: Annotated[Path | None, typer.Option(metavar="FILE.icc", help="As for run.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder on the disk to be used.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Tell pixels, memory, disk and time of a print on this machine, before anything starts.

    It times a few iterations, which takes some seconds, and needs no pictures: a size and --layers will do.

    Example: **mlsolve estimate --print 2x1m --dpi 300 --memory 4GiB**
    """
    from mlsolve.run.budget import Budget
    from mlsolve.run.estimate import estimate_job
    from mlsolve.system.memory import parse_memory

    from .run import request_of

    Options(threads=threads)  # refuses what is out of range
    names = {"iterations": iterations, "levels": levels, "threads": threads}
    settings = {name: value for name, value in names.items() if value is not None}
    wanted = {"dpi": dpi, "format": file_format, "bits": bits, "cmyk_profile": cmyk_profile}
    changes: dict[str, Any] = {name: value for name, value in wanted.items() if value is not None}
    pictures = target is not None or job is not None
    if not pictures and size is None and print_size is None:
        raise OptionError("there is no size: give --print 600x900mm, --size, a picture or a job.toml")
    stand_in = None if pictures else Path("target")
    request = request_of(job, target or stand_in, None, layers, (size, print_size), changes, settings)
    budget = Budget(None if memory is None else parse_memory(memory), processes, threads)
    found = estimate_job(request, budget, out or Path(), None if pictures else colour)
    if as_json:
        typer.echo(json.dumps(found.plain(), indent=2, ensure_ascii=False))
    else:
        _print(found)


def _print(found: "Estimate") -> None:
    from mlsolve.system.memory import in_words

    from .progress import duration

    width, height = found.size
    typer.echo(f"pixels    {width}×{height}, {width * height / 1e6:.3g} megapixels, {found.planes} planes")
    if found.dpi is not None:
        inches = width / found.dpi, height / found.dpi
        millimetres = f"{inches[0] * 25.4:.0f}×{inches[1] * 25.4:.0f} mm"
        typer.echo(f"print     {millimetres} at {found.dpi:g} dpi, a pixel is {25.4 / found.dpi:.3f} mm")
    typer.echo(f"layers    {found.layers}, {found.iterations} iterations at each of {found.levels} levels")
    whole = "in one tile" if found.tiles == 1 else f"in {found.tiles} tiles of {found.tile[0]}×{found.tile[1]}"
    rounds = "one round" if found.rounds == 1 else f"{found.rounds} rounds"
    typer.echo(f"rounds    full size {whole}, {rounds}, at {found.cost:.2f} times the cost in memory")
    free = "" if found.memory_free is None else f" of {in_words(found.memory_free)} free"
    typer.echo(f"memory    {in_words(found.memory)}{free}; all in memory would take {in_words(found.memory_whole)}")
    typer.echo(f"disk      {in_words(found.disk)} of {in_words(found.disk_free)} free")
    typer.echo(f"time      about {duration(found.seconds)}, {found.nanoseconds:.2g} ns a value and iteration here")
    if found.disk > found.disk_free:
        typer.echo("it does not fit on this disk: choose another with --out, or a smaller size")
