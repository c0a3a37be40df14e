"""From chart to wall: python bench/prints.py FOLDER [SIZE].

All is printed, lit, seen and measured in the laboratory, which knows nothing of the model. For halftone and
continuous printers it prints a chart, photographs it and measures it with instruments, makes profiles, solves three
sheets through them, prints the sheets and compares the stack with what was predicted and with the target. The table
goes to bench/results/prints.md, profiles and pictures to FOLDER, whose profiles are used again. SIZE is 600 pixels.
"""

import dataclasses
import functools
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

import laboratory
from mlsolve import Media, Options, Solution, load_media, psnr, solve, ssim
from mlsolve.calibration import chart
from mlsolve.calibration.calibrating import calibrate, calibrate_table
from mlsolve.calibration.tables import load_spectrum, load_table
from mlsolve.errors import InputError
from mlsolve.pictures.colour import light_from_srgb, srgb_from_light
from mlsolve.pictures.difference import delta_e00, lab_from_light
from mlsolve.pictures.picture_files import load_picture
from mlsolve_kernels.light.ink.inks import DEGREE

Printer = laboratory.HalftonePrinter | laboratory.ContinuousPrinter
Image = npt.NDArray[np.float32]

EXAMPLES = Path(__file__).parents[1] / "examples"
TARGET = "woman.jpg"
GUIDES = ("gravel.jpg", "brick.jpg", "grass.jpg")
EXPOSURE = 0.1
INDEX = 1.57
DPI = 100.0
CHART_FINE, FINE = 12, 48
"""Points in a pixel of the chart and of the sheets, whose pixels are 1 mm, of a printer of 1200 dpi."""
SPOILED = (20, 75, 130)
"""Patches that are painted over."""
BRIEFLY = ("halftone, grids",)
"""Printers of which only two rows are made."""
AWAY = 2.0
"""Metres from the eye to the stack."""
BOX = laboratory.led(fall_off=0.2)
CAMERA = laboratory.Camera(size=(3200, 2400))
WITH_REFERENCE = "{} and stacks by colorimeter"
MEASURED = (
    "photographs",
    WITH_REFERENCE.format("photographs"),
    "densitometer",
    WITH_REFERENCE.format("densitometer"),
    "spectrophotometer",
    "spectrophotometer, box known",
    "colorimeter",
)
RESULTS = Path(__file__).parent / "results" / "prints.md"


class Row(NamedTuple):
    """What came of a job."""

    printer: str
    profile: str
    fit: str
    solution: Solution
    printed: Image
    """What the eye sees of the printed stack, linear sRGB."""
    photographed: Image
    """What the camera sees of it."""


def printers() -> dict[str, Printer]:
    """Return the printers by name. Every sheet of a halftone has screens of its own."""
    turned = enumerate(((15.0, 4.0), (25.0, 5.3), (35.0, 7.0)))
    am = tuple(laboratory.Screen("am", angle, period, seed) for seed, (angle, period) in turned)
    return {
        "halftone, scattered dots": laboratory.HalftonePrinter(),
        "halftone, grids": laboratory.HalftonePrinter(screens=am),
        "continuous dye": laboratory.ContinuousPrinter(),
    }


def main() -> None:
    """Write the table."""
    folder, size = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 600
    folder.mkdir(parents=True, exist_ok=True)
    target, *guides = (squared(EXAMPLES / name, size) for name in (TARGET, *GUIDES))
    lines = []
    for name, printer in printers().items():
        profiles = {"none": None, **measured(printer, folder, name)}
        photographed = profiles[MEASURED[0]]
        assert photographed is not None
        profiles["photographs, crosstalk ignored"] = without_crosstalk(photographed)
        for kind, media in profiles.items():
            if name in BRIEFLY and kind not in ("none", MEASURED[0]):
                continue
            began = time.perf_counter()
            found = solve(target, guides, Options(exposure=EXPOSURE), media=media)
            row = Row(name, kind, fit_of(media), found, *on_the_wall(printer, found))
            lines.append(line(row))
            print(lines[-1], f"{time.perf_counter() - began:.0f} s", flush=True)
            show(folder / f"{name}, {kind}.png".replace(" ", "-"), row)
    head = HEAD.format(size=size, pictures=f"{TARGET}, guides {', '.join(GUIDES)}")
    RESULTS.write_text(head + "\n".join(lines) + "\n\n" + went_wrong())


def measured(printer: Printer, folder: Path, name: str) -> dict[str, Media | None]:
    """Return profiles of a printer by how they were measured."""
    kept = {kind: folder / f"{name}, {kind}.toml".replace(" ", "-") for kind in MEASURED}
    if not all(path.exists() for path in kept.values()):
        for kind, media in profiled(printer, folder, name).items():
            kept[kind].write_text(media.toml())
    return {kind: load_media(path) for kind, path in kept.items()}


def profiled(printer: Printer, folder: Path, name: str) -> dict[str, Media]:
    """Print and measure the chart; return the profiles."""
    page = chart.make("rgb", "A4", DPI)
    alone = laboratory.transmittance([printer.print(page.codes, 0, CHART_FINE)])
    stacked = laboratory.transmittance(laid(page, printer))
    shot, over, empty = (CAMERA.photograph(one, BOX, at) for at, one in enumerate((alone, stacked, None)))
    media, findings = calibrate(page, [shot], empty, CAMERA.dark(BOX), [over], "photographed", index=INDEX)
    if findings.picture is not None:
        cv2.imwrite(str(folder / f"{name}, chart.png".replace(" ", "-")), findings.picture[..., ::-1])
    found = {MEASURED[0]: media}
    instruments: dict[str, Callable[[Image, Sequence[laboratory.Place]], str]] = {
        "colorimeter": functools.partial(laboratory.Colorimeter().table, box=BOX),
        "densitometer": laboratory.Densitometer().table,
        "spectrophotometer": laboratory.Spectrophotometer().table,
    }
    files = {kind: folder / f"{name}, {kind}.csv".replace(" ", "-") for kind in (*instruments, "reference", "box")}
    for kind, table in instruments.items():
        whole = table(alone, places(page, stacked=False))
        pairs = table(stacked, places(page, stacked=True))
        files[kind].write_text(whole + pairs.partition("\n")[2])
        found[kind], _ = calibrate_table(load_table(files[kind]), kind, index=INDEX)
        if kind == "colorimeter":
            files["reference"].write_text(pairs)
    reference = load_table(files["reference"])
    kind = WITH_REFERENCE.format("photographs")
    found[kind], _ = calibrate(
        page, [shot], empty, CAMERA.dark(BOX), [over], kind, index=INDEX, reference=reference
    )
    kind = WITH_REFERENCE.format("densitometer")
    densities = load_table(files["densitometer"])
    found[kind], _ = calibrate_table(densities, kind, index=INDEX, reference=reference)
    files["box"].write_text(laboratory.Spectrophotometer().emitted(BOX))
    spectra = load_table(files["spectrophotometer"], load_spectrum(files["box"]))
    found["spectrophotometer, box known"], _ = calibrate_table(spectra, "box known", index=INDEX)
    return found


def went_wrong() -> str:
    """Return what is said of a chart with three spoiled patches and of a shot that is clipped, as Markdown."""
    page, printer = chart.make("rgb", "A4", DPI), laboratory.ContinuousPrinter()
    through = laboratory.transmittance([printer.print(page.codes, 0, CHART_FINE)])
    empty = CAMERA.photograph(None, BOX, 2)
    clipped = dataclasses.replace(CAMERA, exposure=1.6).photograph(through, BOX)
    try:
        calibrate(page, [clipped])
        refusal = "it was not refused"
    except InputError as error:
        refusal = str(error)
    places_of_sheets = places(page, stacked=False)
    bad = [places_of_sheets[at] for at in SPOILED]
    for place, share in zip(bad, (0.6, 0.05, 1.0), strict=True):
        top, left, height, width = place.where
        part = through[top - height // 2 : top + 2 * height, left - width // 2 : left + 2 * width]
        part[...] = share * np.linspace(0.3, 1, part.shape[-1])
    media, findings = calibrate(page, [CAMERA.photograph(through, BOX)], empty, CAMERA.dark(BOX), index=INDEX)
    return (
        f"Three spoiled patches, {', '.join(place.name for place in bad)} (dye): left out "
        f"{', '.join(findings.left_out) or 'none'}; ΔE00 of the others {fit_of(media)}.\n\n"
        f"A shot with exposure 1.6: {refusal}.\n"
    )


def laid(page: chart.Chart, printer: Printer) -> tuple[laboratory.Sheet, laboratory.Sheet]:
    """Return the chart without its strip, and the strip of another print of it laid over, with other screens."""
    rows = np.arange(page.codes.shape[0])[:, np.newaxis] + np.zeros((1, 1), int)
    below, over = page.cut_and_laid(rows, air=-1)
    ends = [np.flatnonzero(part[:, 0] >= 0) for part in (below, over)]
    moved = np.full_like(page.codes, 255)
    moved[ends[1]] = page.codes[over[ends[1], 0]]
    extents = [(int(end[0]), int(end[-1]) + 1) for end in ends]
    return printer.print(page.codes, 0, CHART_FINE).cut(*extents[0]), printer.print(moved, 1, CHART_FINE).cut(
        *extents[1]
    )


def places(page: chart.Chart, stacked: bool) -> list[laboratory.Place]:
    """Return where an instrument measures the chart: single sheets, or where the strip is laid over."""
    layout, scale = page.layout, page.dpi / 25.4
    over = layout.of("over")
    found = []
    for group in ("under",) if stacked else ("main", "under", "over"):
        for at, patch in enumerate(layout.of(group)):
            left, top, width, height = (one * scale for one in patch.where)
            where = round(top + height / 4), round(left + width / 4), round(height / 2), round(width / 2)
            codes = [patch.codes, over[at].codes] if stacked else [patch.codes]
            found.append(laboratory.Place(f"{patch.name}{'s' if stacked else ''}", codes, where))
    return found


def without_crosstalk(media: Media) -> Media:
    """Return the profile with inks that each absorb in one band only, and bands that are the eye's planes."""
    one, clear = tuple(tuple(float(a == b) for b in range(3)) for a in range(3)), (1.0,) * (DEGREE + 1)
    curves = tuple(
        tuple(curve if b == i else clear for i, curve in enumerate(band))
        for b, band in enumerate(media.inks.curves)
    )
    return dataclasses.replace(media, inks=media.inks._replace(curves=curves, to_eye=one), fit=None)


def fit_of(media: Media | None) -> str:
    """Return how well a profile predicts patches that it was not fitted to."""
    if media is None or media.fit is None:
        return "–"
    return f"{media.fit.median:.1f} / {media.fit.percentile95:.1f}"


def squared(path: Path, size: int) -> Image:
    """Return the middle of a picture, (size, size, C) sRGB in [0, 1]."""
    picture = load_picture(path)
    height, width = picture.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    part = np.ascontiguousarray(picture[top : top + side, left : left + side])
    return np.atleast_3d(cv2.resize(part, (size, size), interpolation=cv2.INTER_AREA)).astype(np.float32)


def on_the_wall(printer: Printer, found: Solution) -> tuple[Image, Image]:
    """Return what the eye and the camera see of the printed sheets on the box, linear sRGB."""
    sheets = [printer.print(colour(codes), at, FINE) for at, codes in enumerate(found.printed)]
    through, exposure = laboratory.transmittance(sheets), np.float32(found.exposures[0])
    return laboratory.look(through, BOX) / exposure, CAMERA.colours(through, BOX) / exposure


def colour(picture: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a picture, (H, W, 1 or 3), with three planes."""
    return np.repeat(picture, 3 // picture.shape[2], axis=2)


def difference(one: Image, other: Image, away: float = 0) -> str:
    """Return median and 95th percentile of ΔE00 between linear sRGB, clipped as a display clips it.

    away: metres from which both are seen; 0: pixel by pixel.
    """
    pair = [laboratory.from_afar(light, 1.0, away) if away else light for light in (one, other)]
    apart = delta_e00(*(lab_from_light(np.clip(light, 0, 1)) for light in pair))
    return f"{np.median(apart):.1f} / {np.percentile(apart, 95):.1f}"


def line(row: Row) -> str:
    """Return a line of the table."""
    predicted, target = (
        np.asarray(light_from_srgb(colour(picture)), dtype=np.float32)
        for picture in (row.solution.stack, row.solution.target)
    )
    codes = srgb(row.printed)
    similar = ssim(codes, colour(row.solution.target)), psnr(codes, colour(row.solution.target))
    scores = row.solution.scores
    cells = (
        row.printer,
        row.profile,
        row.fit,
        difference(predicted, row.printed),
        difference(predicted, row.printed, AWAY),
        difference(predicted, row.photographed),
        difference(target, row.printed),
        f"{similar[0]:.3f}",
        f"{similar[1]:.1f} dB",
        f"{scores.target_ssim:.3f}",
        f"{scores.mean_guide_ssim:.3f}",
    )
    return "| " + " | ".join(cells) + " |"


def srgb(light: Image) -> Image:
    """Return the sRGB codes of light, clipped."""
    return np.asarray(srgb_from_light(np.clip(light, 0, 1)), dtype=np.float32)


def show(path: Path, row: Row) -> None:
    """Write target, prediction, print and the first sheet beside each other."""
    shown: Sequence[Image] = [row.solution.target, row.solution.stack, srgb(row.printed), row.solution.looks[0]]
    codes = np.hstack([np.rint(255 * colour(picture)) for picture in shown]).astype(np.uint8)
    cv2.imwrite(str(path), codes[..., ::-1])


HEAD = """# Prints

`python bench/prints.py FOLDER {size}`: from chart to wall in bench/laboratory, which knows nothing of the model.
Colours are ΔE00, median / 95th percentile over the pixels, clipped as a display clips them.

Three sheets of {size} pixels at exposure 0.1: target {pictures}. Pixels of 1 mm on an LED box,
printed on polyester film (n = 1.57, haze 3 %) by printers that are uneven by 1 %. Halftones have 48 × 48 points a
pixel (1200 dpi), every sheet its own screens. The chart, A4, is printed twice, and the strip of the second print
is laid over. Photographs have perspective, vignetting 25 %, a box that falls off by 20 %, noise, and JPEG 93; the
densitometer shows two decimals; the spectrophotometer, but for *box known*, does not know the spectrum of the box;
the colorimeter measures on the box. *Stacks by colorimeter*: of those two rows only, as `--reference`.

* *fit*: what the profile says of itself, patches left out.
* *predicted, printed*: how the stack was predicted, and what the eye sees of the printed one, pixel by pixel with
  the grain of the halftone; then as sharp as from 2 m; then as the camera sees the print.
* *to target*: what the eye sees of the print and the target, with SSIM and PSNR. *promised*: SSIM of the
  predicted stack.
* *crosstalk ignored*: the densities of the photographed profile, but inks that each absorb in one band only.

| printer | profile | fit | predicted, printed | from 2 m | camera | to target | SSIM | PSNR | promised | guides |
|---|---|---|---|---|---|---|---|---|---|---|
"""

if __name__ == "__main__":
    main()
