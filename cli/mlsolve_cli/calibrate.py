"""`mlsolve calibrate`: a media profile from photographs of a chart, or from a table of measurements."""

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlsolve.errors import OptionError, OutputError
from mlsolve.job.settings import Setting

from .echo import echo
from .options import JSON, Given, Parameter, switch, verb

if TYPE_CHECKING:
    from mlsolve.calibration.findings import Findings
    from mlsolve.media import Media


_NEEDS_BOX = (
    "there is no --box: spectra count as seen on a box that is equally bright at all wavelengths, which a white "
    "LED is not"
)


def _picture(name: str, words: str, otherwise: str, example: str, repeated: bool = False) -> Parameter:
    declared = Setting(help=words, kind=Path, metavar="FILE", otherwise=otherwise, example=example)
    return Parameter(name, declared, repeated=repeated)


def _text(name: str, words: str, otherwise: str, example: str) -> Parameter:
    return Parameter(name, Setting(help=words, kind=str, metavar="TEXT", otherwise=otherwise, example=example))


@verb(
    _picture("chart", "The chart.json that mlsolve chart wrote, or its folder.", "there is a --table", "chart"),
    _picture(
        "shot",
        "Photograph or scan of the whole chart on the light box; several are averaged.",
        "there is a --table",
        "photo.jpg",
        repeated=True,
    ),
    _picture(
        "stacked",
        "Photograph of the chart with its strip cut off and laid over the marked rows.",
        "stacks are not measured",
        "stacked.jpg",
        repeated=True,
    ),
    _picture(
        "empty",
        "Photograph of the box without the chart, from the same place.",
        "clear film between the patches stands for it",
        "empty.jpg",
    ),
    _picture("dark", "Photograph with the lens covered.", "black is 0", "dark.jpg"),
    _picture(
        "table",
        "Measurements instead of photographs: CSV, or a CGATS file as ArgyllCMS writes (.ti3).",
        "there are shots",
        "table.csv",
    ),
    _picture(
        "reference",
        "Table of some patches, best of stacks, by a colorimeter or spectrophotometer: what the eye sees of them.",
        "camera and densitometer count as the eye",
        "reference.csv",
    ),
    _picture(
        "box",
        "Spectrum of the light box: CSV with columns nm and power, or .sp. For tables of spectra.",
        "the box counts as equally bright at all wavelengths",
        "box.csv",
    ),
    _text("name", "Name of the profile.", "the name of --out", "my-printer"),
    _text("about", "Printer, film, settings, date: what to remember.", "what it was made from", "'dye on PET'"),
    Parameter(
        "index",
        Setting(
            help="Refractive index of the sheets: 1.49 acrylic, 1.57 PET.",
            low=1,
            high=3,
            otherwise="light reflected between sheets does not count",
            example="1.57",
        ),
    ),
    Parameter(
        "out",
        Setting(
            help="Profile to write; a picture of what was found is written beside it, as FILE.png.",
            kind=Path,
            short="-o",
            metavar="FILE.toml",
            otherwise="media.toml",
            example="film.toml",
        ),
    ),
    switch("overwrite", "Replace the files."),
    JSON,
    examples=(
        ("calibrate --chart chart --shot photo.jpg", "A profile from one photograph."),
        (
            "calibrate --chart chart --shot photo.jpg --stacked stacked.jpg --empty empty.jpg --out film.toml",
            "The same with the strip laid over and the empty box.",
        ),
        (
            "calibrate --chart chart --shot photo.jpg --reference reference.csv --out exact.toml",
            "Photographs, and some patches measured by a colorimeter.",
        ),
        ("calibrate --table table.csv --out density.toml", "A profile from a densitometer's table."),
    ),
)
def calibrate(given: Given) -> None:
    """Make a media profile from photographs of a chart, or from a table of measurements.

    It finds the chart in the photographs, reads its patches, and fits base, curves and crosstalk of the inks.
    Photographs that are clipped, dim, blurred, or of another chart are refused. Spoiled patches are found and left
    out; a picture beside the profile shows what was found.
    """
    out: Path = given.get("out", Path("media.toml"))
    picture = out.with_suffix(".png")
    if out.suffix.lower() != ".toml":
        raise OutputError(f"{out} does not end in .toml: profiles are TOML files")
    written = (out,) if "table" in given else (out, picture)
    for path in written:
        if path.exists() and not given["overwrite"]:
            raise OutputError(f"{path} exists already: choose another --out or add --overwrite")
    media, found = _calibrated(given, given.get("name", out.stem))

    from mlsolve.system.files import write_bytes

    write_bytes(out, media.toml().encode())
    found.save(picture)
    if given["json"]:
        echo(json.dumps(_plain(media, found, written), indent=2, ensure_ascii=False))
        return
    assert media.fit is not None
    fit = media.fit
    echo(
        f"{fit.patches} patches, each predicted by the others: ΔE00 median {fit.median:.2f}, "
        f"95th percentile {fit.percentile95:.2f}, worst {fit.worst:.2f}"
    )
    if found.left_out:
        echo(f"left out as spoiled: {', '.join(found.left_out)}")
    for note in found.notes:
        echo(note)
    for path in written:
        echo(path)


def _calibrated(given: Given, name: str) -> "tuple[Media, Findings]":
    """Return the profile and what was found."""
    from mlsolve.calibration.calibrating import calibrate as from_shots
    from mlsolve.calibration.calibrating import calibrate_table
    from mlsolve.calibration.chart import load
    from mlsolve.calibration.tables import has_spectra, load_spectrum, load_table

    index, table = given.get("index"), given.get("table")
    tables = [given[one] for one in ("table", "reference") if one in given]
    if "box" in given and not any(has_spectra(one) for one in tables):
        raise OptionError(f"--box is {given['box']}, but no table holds spectra: leave it out")
    box = load_spectrum(given["box"]) if "box" in given else None
    reference = load_table(given["reference"], box) if "reference" in given else None
    if table is not None:
        for other in ("chart", "shot", "stacked", "empty", "dark"):
            if other in given:
                raise OptionError(f"--{other} belongs to photographs, --table is {table}: give one or the other")
        measured = load_table(table, box)
        media, found = calibrate_table(
            measured, name, given.get("about", f"Table {table.name}{_beside(given)}"), index, reference
        )
        if box is None and any(has_spectra(one) for one in tables):
            found = dataclasses.replace(found, notes=(*found.notes, _NEEDS_BOX))
        return media, found
    if "chart" not in given or "shot" not in given:
        raise OptionError("there is nothing to calibrate from: give --chart and --shot, or --table")
    _once(given)
    shots = given["shot"]
    return from_shots(
        load(given["chart"]),
        shots,
        given.get("empty"),
        given.get("dark"),
        given.get("stacked", ()),
        name,
        given.get("about", f"Chart photographed in {', '.join(one.name for one in shots)}{_beside(given)}"),
        index,
        reference,
    )


def _beside(given: Given) -> str:
    """Return what else a profile is made from, as a part of a sentence."""
    others = [("empty box", "empty"), ("reference", "reference"), ("box", "box")]
    found = (
        [f"strip laid over in {', '.join(one.name for one in given['stacked'])}"] if given.get("stacked") else []
    )
    return "".join(
        f"; {one}" for one in [*found, *(f"{what} {given[key].name}" for what, key in others if key in given)]
    )


def _once(given: Given) -> None:
    """Raise OptionError if a picture is given as what it cannot be all at once."""
    seen: dict[Path, str] = {}
    for name in ("shot", "stacked", "empty", "dark"):
        for path in given.get(name, ()) if name in ("shot", "stacked") else [given[name]] if name in given else []:
            if seen.get(path, name) != name:
                raise OptionError(f"{path} is given as --{seen[path]} and as --{name}: each shows something else")
            seen[path] = name


def _plain(media: "Media", found: "Findings", written: tuple[Path, ...]) -> dict[str, Any]:
    assert media.fit is not None
    return {
        "name": media.name,
        "digest": media.digest,
        "fit": dataclasses.asdict(media.fit),
        "left_out": list(found.left_out),
        "notes": list(found.notes),
        "blur_mm": round(found.blur, 3),
        "noise": round(found.noise, 5),
        "files": [str(path) for path in written],
    }
