"""The summary that `mlsolve run` and `mlsolve verify` print at the end."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from .echo import echo

BRIGHTEST: Final = 5000
"""Luminance in cd/m² beyond which a light box is hard to buy: LED panels give 2000 to 5000."""


def print_result(report: dict[str, Any], folder: Path, names: Sequence[str]) -> None:
    """Print the summary of a run. report: its result.json. folder: its output folder. names: of the guides."""
    width, height = report["size"]
    count = len(report["guides"])
    echo(
        f"{count} {'layer' if count == 1 else 'layers'} of {width}×{height} pixels, {report['iterations']} "
        f"iterations in {report['seconds']:.1f} s on the {report['device'] or 'cpu backend'}"
    )
    print_scores(report["arrangements"], report["guides"], names, report.get("guides_colour", ()))
    print_media(report)
    print_registration(report["arrangements"], report["registration"])
    print_scale(report["print_scale"])
    suffix = "png" if (folder / "layer-1.png").exists() else "tif"
    last = f" … {folder / f'layer-{count}.{suffix}'}" if count > 1 else ""
    echo(f"look at   {folder / 'sheet.png'}\nprint     {folder / f'layer-1.{suffix}'}{last}")


def print_scores(
    arrangements: Sequence[dict[str, Any]],
    guides: Sequence[float],
    names: Sequence[str],
    colours: Sequence[dict[str, float]] = (),
) -> None:
    """Print the scores of stacks and layers, one to a line. A layer's leak is the largest of all arrangements.

    colours: the colour differences of the layers, with a media profile.
    """
    for number, arrangement in enumerate(arrangements, start=1):
        name = Path(arrangement["target"]).name
        source = f"{name} at exposure {arrangement['exposure']:.3g}"
        head = f"stack {number}" if len(arrangements) > 1 else "stack"
        echo(f"{head:<9} SSIM {arrangement['ssim']:.3f}  {_decibels(arrangement['psnr']):>8}   {source}")
        if "colour" in arrangement:
            found = arrangement["colour"]
            echo(f"{'':<9} {_colour(found)}, out of reach {100 * found['lacking']:.0f} % of the picture")
        if any("," in words for words in arrangement["layers"]) or len(arrangement["layers"]) < len(guides):
            echo(f"{'':<9} layers {'; '.join(arrangement['layers'])}")
        if arrangement.get("mask"):
            echo(f"{'':<9} weighted by {Path(arrangement['mask']).name}")
    largest = _largest_leak(arrangements)
    for number, (value, name) in enumerate(zip(guides, names, strict=True), start=1):
        leak = f"leak {largest[number]:.2f}" if number in largest else ""
        colour = f"{_colour(colours[number - 1])}   " if colours else ""
        echo(f"{f'layer {number}':<9} SSIM {value:.3f}  {leak:<10}   {colour}{name}".rstrip())


def print_media(report: dict[str, Any]) -> None:
    """Print which printer and film the scores are for, and how bright the box must be."""
    if "media" not in report:
        return
    fit = report["media"]["fit"]
    known = "" if fit is None else f", known to ΔE00 {fit['median']:.1f} (95 % {fit['percentile95']:.1f})"
    echo(f"{'media':<9} {report['media']['name']}{known}")
    print_box(report["box"])


def print_box(box: dict[str, float]) -> None:
    """Print how bright the box must be, and warn if few are; box: as in result.json."""
    room = f", with {box['room']:g} cd/m² of room light on the front" if box["room"] else ""
    echo(f"{'box':<9} {box['needed']:.0f} cd/m² for a white of {box['white']:g}{room}")
    if box["needed"] > BRIGHTEST:
        echo(
            f"mlsolve: warning: few light boxes give more than {BRIGHTEST} cd/m²: raise --exposure, or accept a "
            f"darker white with --white",
            err=True,
        )


def print_registration(arrangements: Sequence[dict[str, Any]], registration: float) -> None:
    """Print the SSIM of misaligned stacks, for each stack of more than one sheet.

    With a registration tolerance a second line has the SSIM to the target moved. Stacks with gaps that are solved
    for a cone of views get a line with their SSIM at an angle.
    """
    for number, arrangement in enumerate(arrangements, start=1):
        if not arrangement["misaligned"]:
            continue
        parts = [f"{one['pixels']:g} px: {one['ssim']:.3f}" for one in arrangement["misaligned"]]
        head = f"stack {number}" if len(arrangements) > 1 else "stack"
        solved = f"; solved for {registration:g} px" if registration else ""
        echo(f"{head:<9} SSIM at misalignment {', '.join(parts)}{solved}")
        moved = [(one["pixels"], one["ssim_moved"]) for one in arrangement["misaligned"]]
        parts = [f"{pixels:g} px: {value:.3f}" for pixels, value in moved if value is not None]
        if parts:
            echo(f"{'':<9} SSIM with the target moved {', '.join(parts)}")
        if arrangement["views"]:
            views = [
                f"{one['degrees']:g}° ({one['pixels']:.2g} px): {one['ssim']:.3f}" for one in arrangement["views"]
            ]
            echo(f"{'':<9} SSIM seen at 0°: {arrangement['ssim']:.3f}, {', '.join(views)}")


def print_scale(scales: Sequence[float]) -> None:
    """Print how much larger each layer is to be printed, unless all are as large."""
    if any(scale != 1 for scale in scales):
        shown = ", ".join(f"layer {k} {100 * scale:.3f} %" for k, scale in enumerate(scales, start=1))
        echo(f"scale     {shown}: for the viewer, deeper sheets are printed larger")


def _largest_leak(arrangements: Sequence[dict[str, Any]]) -> dict[int, float]:
    """Return the leak of each layer by its number, in the arrangement where it is largest."""
    found: dict[int, float] = {}
    for arrangement in arrangements:
        for words, value in zip(arrangement["layers"], arrangement["leak"], strict=True):
            layer = int(words.split(",")[0])
            found[layer] = max(value, found.get(layer, -1.0))
    return found


def _colour(found: dict[str, float]) -> str:
    """Return median and 95th percentile of colour differences in words."""
    return f"ΔE00 {found['median']:.1f} (95 % {found['percentile95']:.1f})"


def _decibels(psnr: float | None) -> str:
    return "exact" if psnr is None else f"{psnr:.1f} dB"
