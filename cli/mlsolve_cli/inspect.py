"""`mlsolve inspect`: what a shop's preflight says of a file."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlsolve.job.settings import Setting

from .echo import echo
from .options import JSON, Given, Parameter, verb

if TYPE_CHECKING:
    from mlsolve.sheets.findings import Report


@verb(
    Parameter(
        "file",
        Setting(help="PDF, TIFF or another picture.", kind=Path, metavar="FILE", example="sheet-1.pdf"),
        argument=True,
        required=True,
    ),
    Parameter(
        "shop",
        Setting(
            help="Shop that it is for: the name of an included one, or a file.",
            kind=str,
            metavar="NAME|FILE.toml",
            otherwise="what any shop objects to",
            example="generic-backlit",
        ),
    ),
    Parameter(
        "print",
        Setting(
            help="Size that it is to have when it is trimmed.",
            kind=str,
            metavar="WxH(mm|cm|in)|A3",
            otherwise="not checked",
            example="288x208mm",
        ),
    ),
    JSON,
    examples=(
        ("inspect for-the-shop/sheet-1.pdf", "Look at a file as a shop does."),
        (
            "inspect for-the-shop/sheet-1.pdf --shop generic-backlit --print 288x208mm",
            "Compare it with what a shop takes and with the size that it is to have.",
        ),
    ),
)
def inspect(given: Given) -> None:
    """Look at a file as a shop's preflight does: size, bleed, resolution, colours, inks, profile, fonts.

    What a shop may ask about is a warning, what it refuses or prints wrong is an error. The exit status is 0 if
    there is neither, 1 for warnings, 2 for errors. A PDF needs pip install 'mlsolve[shop]'.
    """
    from mlsolve.job.print_size import parse_print_size
    from mlsolve.sheets.inspection import Asked, inspect_file
    from mlsolve.sheets.shop import load_shop

    size = parse_print_size(given["print"]) if "print" in given else None
    asked = Asked(
        load_shop(given["shop"]) if "shop" in given else None,
        None if size is None else (size.width, size.height),
    )
    report = inspect_file(given["file"], asked)
    if given.get("json"):
        echo(json.dumps(_facts(report), indent=2, ensure_ascii=False))
    else:
        _show(report)
    if report.status:
        raise SystemExit(report.status)


def _show(report: "Report") -> None:
    """Print a report."""
    pages = "" if report.pages == 1 else f", {report.pages} pages"
    echo(f"{'file':<11} {report.file}: {report.kind}{pages}")
    if report.trim is None or report.page is None:
        echo(f"{'size':<11} unknown")
    else:
        bleed = "no bleed" if not report.bleed else f"bleed {report.bleed:.1f} mm"
        echo(
            f"{'size':<11} trimmed {report.trim[0]:.1f}×{report.trim[1]:.1f} mm, page {report.page[0]:.1f}×"
            f"{report.page[1]:.1f} mm, {bleed}"
        )
    if report.pictures:
        width, height, dpi = max(report.pictures, key=lambda one: one[0] * one[1])
        at = f"{dpi:.1f} dpi, " if dpi else "the file says none, "
        count = len(report.pictures)
        many = f"{count} pictures, the largest" if count > 1 else "1 picture of"
        echo(f"{'resolution':<11} {at}{many} {width}×{height} pixels")
    echo(f"{'colours':<11} {', '.join(report.colours) or 'none'}")
    spots = f"spot colours: {', '.join(report.spots)}" if report.spots else "no spot colours, no white"
    echo(f"{'inks':<11} {spots}")
    echo(f"{'profile':<11} {report.profile or 'none'}")
    echo(f"{'fonts':<11} {'not embedded: ' + ', '.join(report.fonts) if report.fonts else 'none are missing'}")
    for one in report.findings:
        echo(f"{one.level:<11} {one.words}")
    if not report.findings:
        echo(f"{'found':<11} nothing that a shop would object to")


def _facts(report: "Report") -> dict[str, Any]:
    """Return a report as values for JSON."""
    import dataclasses

    return {**dataclasses.asdict(report), "dpi": report.dpi, "status": report.status}
