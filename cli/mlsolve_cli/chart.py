"""`mlsolve chart`: a page to print, from which `mlsolve calibrate` makes a media profile."""

from pathlib import Path

from mlsolve.job.settings import MAX_COUNT, Setting

from .echo import echo
from .options import Given, Parameter, switch, verb


@verb(
    Parameter(
        "out",
        Setting(
            help="Folder for chart.pdf, chart.tif, chart.json and chart.csv, or one file NAME.pdf or NAME.tif.",
            kind=Path,
            short="-o",
            metavar="FOLDER",
            otherwise="chart",
            example="chart",
        ),
    ),
    Parameter(
        "channels",
        Setting(
            help="What the layers will be printed in: one grey channel, or red, green and blue.",
            kind=str,
            choices=("grey", "rgb"),
            example="grey",
        ),
        "rgb",
    ),
    Parameter(
        "paper",
        Setting(
            help="Sheet that the chart must fit on; a roll sets the width only.",
            kind=str,
            metavar="A4|letter|roll-WIDTHmm",
            limits="A4, letter or roll-90mm to roll-5000mm",
            example="roll-610mm",
        ),
        "A4",
    ),
    Parameter(
        "dpi",
        Setting(help="Pixels per inch of the chart.", low=72, high=2400, unit="dpi", example="150"),
        300,
    ),
    Parameter(
        "seed",
        Setting(
            help="Seed of the places of the patches; another chart needs another one.",
            kind=int,
            low=0,
            high=MAX_COUNT,
            example="3",
        ),
        0,
    ),
    Parameter(
        "format",
        Setting(
            help="Format of the page, if --out is a folder.",
            kind=str,
            choices=("pdf", "tiff", "both"),
            example="pdf",
        ),
        "both",
    ),
    switch("overwrite", "Replace the files."),
    examples=(
        ("chart --out chart", "A chart in colour on A4, as PDF and TIFF."),
        ("chart --channels grey --paper letter --out grey.pdf", "A grey chart on letter, as PDF."),
    ),
)
def chart(given: Given) -> None:
    """Write a page to print, from which mlsolve calibrate learns what the printer's inks let through.

    Print it on the film of the layers, at 100 % (actual size), with the same settings, and without colour
    management. The patches' places and device codes are in chart.json, which calibrate reads. docs/calibration.md
    leads from here to a profile.
    """
    from mlsolve.calibration.chart import FORMATS, make
    from mlsolve.ranges import choice

    kind = choice("format", given["format"], FORMATS) if "format" in given else None
    made = make(given.get("channels", "rgb"), given.get("paper", "A4"), given.get("dpi", 300), given.get("seed", 0))
    for path in made.save(given.get("out", Path("chart")), kind, given["overwrite"]):
        echo(path)
    width, height = made.layout.size
    echo(
        f"{len(made.layout.patches)} patches on {width:g} × {height:g} mm; print at 100 %: the bar on the left "
        "must be 100 mm long"
    )
