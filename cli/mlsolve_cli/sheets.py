"""`mlsolve sheets`: files for a print shop, and the pages that say how to assemble what it prints."""

import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mlsolve.job.settings import MEMORY, THREADS, Setting
from mlsolve.ranges import choice

from .echo import echo
from .options import JSON, OVERWRITE, Given, Parameter, folder, verb

if TYPE_CHECKING:
    from mlsolve.sheets.shop import Shop

_INTENTS: Final = ("perceptual", "relative", "saturation")
_MEMORY: Final = dataclasses.replace(
    MEMORY, help="Memory to use; less of it leaves fewer threads, the files are the same.", more=""
)
_THREADS: Final = dataclasses.replace(
    THREADS, help="Threads that compress the sheets; the files do not depend on it.", more=""
)


@verb(
    folder("Folder that mlsolve run wrote."),
    Parameter(
        "shop",
        Setting(
            help="What the shop takes: generic-backlit, generic-uv-acrylic, generic-film, home, or your own file.",
            kind=str,
            metavar="NAME|FILE.toml",
            example="generic-backlit",
        ),
        required=True,
    ),
    Parameter(
        "out",
        Setting(
            help="Folder to write.",
            kind=Path,
            short="-o",
            metavar="FOLDER",
            otherwise="FOLDER-sheets",
            example="for-the-shop",
        ),
    ),
    Parameter(
        "dpi",
        Setting(
            help="Resolution of layers that do not say how large they are printed.",
            unit="pixels per inch",
            low=1,
            high=10000,
            otherwise="as the run says",
            example="100",
        ),
    ),
    Parameter(
        "profile",
        Setting(
            help="ICC profile of the shop, to write CMYK.",
            kind=Path,
            metavar="FILE.icc",
            otherwise="RGB is written",
            example="shop.icc",
        ),
    ),
    Parameter(
        "intent",
        Setting(
            help="How colours beyond the shop's inks are brought within them, with --profile.",
            kind=str,
            choices=_INTENTS,
            otherwise="relative",
            example="perceptual",
        ),
    ),
    Parameter(
        "bleed",
        Setting(help="Bleed.", unit="mm", low=0, high=50, otherwise="as the shop asks", example="3"),
    ),
    Parameter(
        "border",
        Setting(
            help="Border with marks and holes around the picture; 0 for none.",
            unit="mm",
            low=0,
            high=200,
            otherwise="as the shop's file says",
            example="0",
        ),
    ),
    Parameter(
        "mirror",
        Setting(
            help="Print mirrored, to be seen through the material.",
            kind=bool,
            flag="--mirror/--no-mirror",
            otherwise="as the shop's file says",
            example=" ",
        ),
    ),
    Parameter(
        "screen",
        Setting(
            help="Dots of films: am, of different sizes, or fm, of equal size at random.",
            kind=str,
            choices=("am", "fm"),
            otherwise="as the shop's file says",
            example="fm",
        ),
    ),
    Parameter(
        "split",
        Setting(
            help="Columns and rows of parts that each sheet is cut into.",
            kind=str,
            metavar="CxR",
            otherwise="one part",
            example="2x1",
        ),
    ),
    Parameter("memory", _MEMORY),
    Parameter("threads", _THREADS),
    OVERWRITE,
    JSON,
    examples=(
        ("sheets prints --shop generic-backlit --dpi 100", "Files for a shop that prints on backlit film."),
        ("sheets prints --shop home --dpi 100 --out pages", "Pages for a printer at home, to be glued together."),
    ),
)
def sheets(given: Given) -> None:
    """Make the files that a print shop takes from a finished run, and pages that say how to assemble the sheets.

    One file a sheet: PDF/X-4 or TIFF with bleed, register targets, holes for pins, verniers and a bar to measure
    stretch by; binary films for screen printing; or pages of A4 for a printer at home. `assembly.pdf` is for the
    workshop, `for-the-shop.txt` for the order. What the shop does not take is refused before anything is written,
    and the way out is named. A shop is a small TOML file (docs/sheets.md).
    """
    from rich.console import Console
    from rich.progress import Progress

    from mlsolve.errors import OptionError
    from mlsolve.sheets.folder import make_sheets
    from mlsolve.sheets.shop import load_shop
    from mlsolve.sheets.tasks import Wanted
    from mlsolve.system.memory import parse_memory

    source: Path = given["folder"]
    out: Path = given.get("out") or source.absolute().with_name(source.absolute().name + "-sheets")
    shop = load_shop(given["shop"])
    _check_effect(given, shop)
    own = {name: given[name] for name in ("bleed", "border", "mirror", "screen") if name in given}
    shop = dataclasses.replace(shop, **own)
    parts = given.get("split", "1x1").lower().split("x")
    if len(parts) != 2 or not all(part.isdecimal() and 1 <= int(part) <= 26 for part in parts):
        raise OptionError(f"split is {given['split']!r}: give columns and rows, each 1 to 26, as in 2x1")
    shown = Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())
    with shown:
        bar = shown.add_task("sheets", total=1.0)
        wanted = Wanted(
            given.get("dpi"),
            given.get("profile"),
            given.get("intent") or "relative",
            (int(parts[0]), int(parts[1])),
            None if "memory" not in given else parse_memory(str(given["memory"])),
            given.get("threads"),
            bool(given.get("overwrite")),
            lambda share: shown.update(bar, completed=share),
        )
        written = make_sheets(source, out, shop, wanted)
    if given.get("json"):
        facts = {
            "folder": str(out),
            "files": written.files,
            "trimmed": [round(side, 3) for side in written.plan.trim],
            "bleed": written.plan.bleed,
            "dpi": written.dpi,
            "colours": written.colours,
            "mirrored": written.plan.mirrored,
            "pages": written.pages,
            "warnings": written.warnings,
            "notes": written.notes,
        }
        echo(json.dumps(facts, indent=2, ensure_ascii=False))
        return
    trim = written.plan.trim
    echo(f"{'sheets':<10} {len(written.files) - 2} files for {shop.name}, {trim[0]:.1f}×{trim[1]:.1f} mm each")
    if written.pages > 1:
        echo(f"{'pages':<10} {written.pages} of paper for each sheet")
    echo(f"{'colours':<10} {written.colours}, no white, no spot colours")
    echo(f"{'sides':<10} {'mirrored, for printing on the back' if written.plan.mirrored else 'not mirrored'}")
    for warning in written.warnings:
        echo(f"{'warning':<10} {warning}")
    for note in written.notes:
        echo(f"{'note':<10} {note}")
    echo(f"{'look at':<10} {out / 'assembly.pdf'}")


def _check_effect(given: Given, shop: "Shop") -> None:
    """Raise OptionError for an option that would change nothing."""
    from mlsolve.errors import OptionError

    if "screen" in given and shop.colour != "films":
        raise OptionError(
            f"screen is {given['screen']}, and {shop.name} prints in continuous tone: leave --screen out, or take "
            "a shop of films, as generic-film"
        )
    choice("--intent", given.get("intent") or "relative", _INTENTS)
    if "intent" in given and "profile" not in given:
        raise OptionError(
            f"intent is {given['intent']}, and no colours are converted: add --profile, the shop's ICC profile, or "
            "leave --intent out"
        )
