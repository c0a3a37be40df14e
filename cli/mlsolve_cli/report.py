"""What a run and a verification print at the end."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from mlsolve.job import Job


def print_result(report: dict[str, Any], folder: Path, job: "Job") -> None:
    """Print what `mlsolve run` wrote into `folder`; `report` is its result.json."""
    width, height = report["size"]
    count = len(report["guides"])
    typer.echo(
        f"{count} {'layer' if count == 1 else 'layers'} of {width}×{height} pixels, {report['iterations']} "
        f"iterations in {report['seconds']:.1f} s on the {report['device'] or 'cpu backend'}"
    )
    print_scores(report["arrangements"], report["guides"], [Path(entry).name for entry in job.guides])
    last = f" … {folder / f'layer-{count}.png'}" if count > 1 else ""
    typer.echo(f"look at   {folder / 'sheet.png'}\nprint     {folder / 'layer-1.png'}{last}")


def print_scores(arrangements: Sequence[dict[str, Any]], guides: Sequence[float], names: Sequence[str]) -> None:
    """Print the scores of stacks and layers, one a line."""
    for arrangement in arrangements:
        psnr = arrangement["psnr"]
        decibels = "exact" if psnr is None else f"{psnr:.1f} dB"
        name = Path(arrangement["target"]).name
        seen = f"{name} at exposure {arrangement['exposure']:g}"
        typer.echo(f"stack     SSIM {arrangement['ssim']:.3f}  {decibels:>8}   {seen}")
    for number, (value, name) in enumerate(zip(guides, names, strict=True), start=1):
        typer.echo(f"{f'layer {number}':<9} SSIM {value:.3f}             {name}")
