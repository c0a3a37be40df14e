"""What a run and a verification print at the end."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer


def print_result(report: dict[str, Any], folder: Path, names: Sequence[str]) -> None:
    """Print what `mlsolve run` wrote into `folder`; names: of the guides."""
    width, height = report["size"]
    count = len(report["guides"])
    typer.echo(
        f"{count} {'layer' if count == 1 else 'layers'} of {width}×{height} pixels, {report['iterations']} "
        f"iterations in {report['seconds']:.1f} s on the {report['device'] or 'cpu backend'}"
    )
    print_scores(report["arrangements"], report["guides"], names)
    suffix = "png" if (folder / "layer-1.png").exists() else "tif"
    last = f" … {folder / f'layer-{count}.{suffix}'}" if count > 1 else ""
    typer.echo(f"look at   {folder / 'sheet.png'}\nprint     {folder / f'layer-1.{suffix}'}{last}")


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
