"""`mlsolve verify`: score a folder of layers again."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from mlsolve.errors import InputError, OptionError


def verify(
    folder: Annotated[Path, typer.Argument(help="Folder with layer-1.png … layer-N.png.")],
    target: Annotated[
        Path | None, typer.Option(help="The picture the stack shall show. [default: as in job.toml]")
    ] = None,
    guide: Annotated[
        list[str] | None,
        typer.Option("--guide", "-g", help="What each layer shall look like. [default: as in job.toml]"),
    ] = None,
    exposure: Annotated[
        float | None, typer.Option(help="Exposure of the stack. [default: as in job.toml, else 1]")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the scores as JSON.")] = False,
) -> None:
    """Score the layers in FOLDER from their files.

    What to compare with stands in the folder's job.toml; for other folders give --target, and --guide
    once per layer if they shall be scored too.

    Example: **mlsolve verify prints**
    """
    from mlsolve.folder import layer_files, target_report
    from mlsolve.images import open_picture
    from mlsolve.job import Job, guide_entry, load_job
    from mlsolve.options import Options
    from mlsolve.runs.verify import score_folder

    from .report import print_scores

    sheets = layer_files(folder)
    size = open_picture(sheets[0]).size
    described = load_job(folder / "job.toml") if (folder / "job.toml").exists() else None
    guides = tuple(guide_entry(text, Path()) for text in guide or ())
    if described is not None:
        target = target or described.target
        guides = guides or described.guides
        exposure = described.options.exposure if exposure is None else exposure
    if target is None:
        raise InputError(f"{folder} holds no job.toml: give --target, and --guide once per layer")
    if guides and len(guides) != len(sheets):
        raise OptionError(f"{folder} holds {len(sheets)} layers, guides are {len(guides)}: give one per layer")
    job = Job(
        target,
        # Without guides the target stands in for them, so that one road serves both; it is not reported.
        guides or (target,) * len(sheets),
        size,
        "cover" if described is None else described.fit,
        Options(exposure=1.0 if exposure is None else exposure),
    )
    scores = score_folder(folder, job)
    report: dict[str, Any] = {
        "arrangements": [
            {"target": str(target), "exposure": job.options.exposure, **target_report(scores)},
        ],
        "guides": [round(value, 6) for value in scores.guide_ssim] if guides else [],
    }
    if as_json:
        typer.echo(json.dumps(report, indent=2, ensure_ascii=False))
    else:
        print_scores(report["arrangements"], report["guides"], [Path(entry).name for entry in guides])
