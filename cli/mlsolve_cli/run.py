"""`mlsolve run`: from pictures to a folder of layers."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlsolve.errors import InputError, OptionError
from mlsolve.job.options import MAX_LAYERS, Options

if TYPE_CHECKING:
    from mlsolve.job.job import Job


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
    print_size: Annotated[
        str | None,
        typer.Option(
            "--print",
            metavar="WxH(mm|cm|in)|A3",
            help="Size of the print instead of --size: 600x900mm, 24x36in, A2-landscape.",
        ),
    ] = None,
    dpi: Annotated[
        float | None,
        typer.Option(help="Pixels an inch, written into the layers. [default: 100 with --print, else none]"),
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
        float | None,
        typer.Option(help="Weight of a stack's squared error. [default: 10, of several arrangements 20]"),
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
        float | None,
        typer.Option(help="Step size at the start of a level. [default: 0.045, with --registration 0.02]"),
    ] = None,
    target_ssim: Annotated[
        float | None, typer.Option(help="Stop at full size once the stack's SSIM is this. [default: never]")
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(help="End a level after so many iterations without gain. [default: never]"),
    ] = None,
    hide_weight: Annotated[
        float | None,
        typer.Option(
            "--hide",
            metavar="W",
            help="Weight of what a sheet alone gives away of a picture; 3 halves it and more. [default: 0]",
        ),
    ] = None,
    colour_weight: Annotated[
        float | None,
        typer.Option(
            metavar="W",
            help="Weight of what the colours of each layer differ from its guide's." + _default("colour_weight"),
        ),
    ] = None,
    registration: Annotated[
        str | None,
        typer.Option(
            metavar="LENGTH",
            help="How far sheets may lie off and the picture shall still be seen: 0.3mm, 3px. "
            "[default: not at all]",
        ),
    ] = None,
    registration_turn: Annotated[
        float | None, typer.Option(help="How far they may be turned off besides, in degrees. [default: 0]")
    ] = None,
    mask: Annotated[
        Path | None,
        typer.Option(help="Weights of the target's pixels: a picture, white counts whole, black not at all."),
    ] = None,
    cmyk_profile: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.icc", help="ICC profile of CMYK pictures that carry none. [default: ideal inks]"
        ),
    ] = None,
    threads: Annotated[int | None, typer.Option(help="Threads. [default: one per core]")] = None,
    memory: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Memory to use, as 4GiB. [default: half of what is free]")
    ] = None,
    processes: Annotated[int, typer.Option(help="Processes that share the work.")] = 1,
    file_format: Annotated[
        str | None,
        typer.Option("--format", metavar="png|tiff", help="Files of the layers; tiff is tiled. [default: png]"),
    ] = None,
    bits: Annotated[
        int | None, typer.Option(metavar="8|16", help="Bits a channel of the layers. [default: 8]")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace what an earlier run wrote into the folder.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the result as JSON, and progress as JSON lines on standard error.")
    ] = False,
) -> None:
    """Compute layers that multiply to TARGET and write them.

    Several pictures from the same sheets, which are turned, flipped or shifted for each, take a --job: see
    examples/. The folder holds layer-1.png … layer-N.png to print, stack.png as seen on the light box, sheet.png to
    look at, result.json with the scores, and job.toml, which repeats the run. Any size fits into any --memory:
    larger ones are solved in tiles, to the same bytes. An interrupted run is taken up by **mlsolve resume**.

    Example: **mlsolve run portrait.jpg --guide leaves.png --guide waves.png --out prints --size 1200**
    """
    from mlsolve.run.budget import Budget
    from mlsolve.run.session import Session
    from mlsolve.system.memory import parse_memory

    from .carry_out import carry_out

    names = {field.name for field in dataclasses.fields(Options)}
    settings = {name: value for name, value in context.params.items() if name in names and value is not None}
    settings.pop("registration", None)  # whose length the dpi tells
    changes = {"fit": fit, "format": file_format, "bits": bits, "dpi": dpi, "cmyk_profile": cmyk_profile}
    changes = {name: value for name, value in changes.items() if value is not None}
    request = request_of(job, target, guide, layers, (size, print_size), changes, settings, registration, mask)
    _warn_of_pixels(request)
    budget = Budget(None if memory is None else parse_memory(memory), processes, request.options.threads)
    folder = out or Path(f"{request.target.stem}-layers")
    carry_out(Session(request, folder, budget, overwrite=overwrite), folder, as_json)


def request_of(
    job: Path | None,
    target: Path | None,
    guide: list[str] | None,
    layers: int | None,
    size: tuple[str | None, str | None],
    changes: dict[str, Any],
    settings: dict[str, Any],
    registration: str | None = None,
    mask: Path | None = None,
) -> "Job":
    """Return the job that the command line asks for: what the job file says, changed by the options given.

    size: what --size and --print say. changes: other fields of the job; settings: of its options, and registration
    as it was typed.
    """
    from mlsolve.job.arrangements import Arrangement
    from mlsolve.job.job import Job, own_guides, parse_size
    from mlsolve.job.job_file import guide_entry, load_job
    from mlsolve.job.print_size import DPI, parse_dpi, parse_length, parse_print_size

    pixels, print_size = size
    if pixels is not None and print_size is not None:
        raise OptionError("--size and --print are both given: leave one of them out")

    if layers is not None and not 1 <= layers <= MAX_LAYERS:
        raise OptionError(f"--layers is {layers}: it must be from 1 to {MAX_LAYERS}")
    if layers is not None and guide:
        raise OptionError("--layers counts generated guides: leave it out where --guide is given")
    base = None if job is None else load_job(job, changes.get("dpi"))
    if target is None and base is None:
        raise InputError("there is no target: give a picture, as in: mlsolve run portrait.jpg")
    if print_size is not None:
        dpi = changes.setdefault("dpi", DPI if base is None or base.dpi is None else base.dpi)
        changes["size"] = parse_print_size(print_size).pixels(parse_dpi(dpi))
    if registration is not None:
        dpi = changes.get("dpi", None if base is None else base.dpi)
        settings = {**settings, "registration": parse_length(_bare(registration), "--registration", dpi)}
    options = dataclasses.replace(Options() if base is None else base.options, **settings)
    if guide:
        guides = tuple(guide_entry(text, Path()) for text in guide)
    elif base is not None and layers is None:
        guides = base.guides
    else:
        guides = own_guides(layers or 3, options.seed)
    changes = {**changes, "guides": guides, "options": options}
    if target is not None or mask is not None:
        if base is not None and len(base.arrangements) > 1:
            raise OptionError(f"{job} has several arrangements: change targets and masks there")
        before = None if base is None else base.arrangements[0]
        if before is None:
            assert target is not None
            lain = Arrangement(target)
        else:
            lain = before if target is None else dataclasses.replace(before, target=target)
        changes["arrangements"] = (lain if mask is None else dataclasses.replace(lain, mask=mask),)
    if pixels is not None:
        changes["size"] = parse_size(pixels)
    return Job(**changes) if base is None else dataclasses.replace(base, **changes)


def _bare(length: str) -> str | float:
    """Return a number without a unit as a number: pixels."""
    try:
        return float(length)
    except ValueError:
        return length


def _warn_of_pixels(job: "Job") -> None:
    """Say so where a print's pixels are smaller than hands can align, and no tolerance was asked for."""
    from mlsolve.job.print_size import FINEST_DPI, pixel_pitch

    sheets = max(len(one.placed(len(job.guides))) for one in job.arrangements)
    if job.dpi is None or job.dpi <= FINEST_DPI or job.options.registration or sheets == 1:
        return
    typer.echo(
        f"mlsolve: warning: at {job.dpi:g} dpi a pixel is {pixel_pitch(job.dpi):.2g} mm, smaller than the "
        f"{pixel_pitch(FINEST_DPI):.2g} mm that hands can align, and one pixel off ruins a stack: add "
        f"--registration 0.3mm, or print at {FINEST_DPI} dpi or less",
        err=True,
    )
