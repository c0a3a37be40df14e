"""`mlsolve guide`: make a procedural guide."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from mlsolve.errors import OptionError, OutputError
from mlsolve.job import settings
from mlsolve.job.settings import MAX_COUNT, Setting

from .echo import echo
from .options import CMYK_PROFILE, Given, Parameter, switch, verb

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@verb(
    Parameter(
        "family",
        Setting(
            help="Kind of guide.",
            kind=str,
            metavar="FAMILY",
            limits="kaleidoscope, mosaic or rosette",
            example="kaleidoscope",
        ),
        argument=True,
        required=True,
    ),
    Parameter(
        "out",
        Setting(help="PNG file to write.", kind=Path, short="-o", metavar="FILE.png", example="guide.png"),
        required=True,
    ),
    Parameter("size", dataclasses.replace(settings.SIZE, help="Size of the guide: N for a square, or WxH."), 600),
    Parameter("seed", Setting(help="Seed of the drawing.", kind=int, low=0, high=MAX_COUNT, example="3"), 0),
    Parameter(
        "palette",
        Setting(
            help="Palette, or colours of your own; not for a photo.",
            kind=str,
            limits="ember, lagoon, meadow, dusk, ink, festival or colours",
            otherwise="chosen by the seed",
            metavar="NAME|#RRGGBB,…",
            example="lagoon",
        ),
    ),
    Parameter(
        "photo",
        Setting(
            help="Picture that the kaleidoscope mirrors.",
            kind=Path,
            metavar="FILE",
            otherwise="a mosaic",
            example="garden.jpg",
        ),
    ),
    CMYK_PROFILE,
    Parameter(
        "fold",
        Setting(
            help="Wedges of the kaleidoscope.",
            kind=int,
            unit="wedges",
            limits="2 to 64",
            otherwise="6 with a photo, else by seed",
            example="8",
        ),
    ),
    switch("overwrite", "Replace the file."),
    examples=(
        (
            "guide kaleidoscope --photo garden.jpg --fold 8 --size 1200 --out guide.png",
            "A kaleidoscope of a photo.",
        ),
        ("guide mosaic --seed 3 --palette lagoon --out mosaic.png", "A triangulated mosaic in shades of blue."),
    ),
)
def guide(given: Given) -> None:
    """Draw a guide: a kaleidoscope of a photo or of a mosaic, a triangulated mosaic, or a rosette."""
    family, out, seed = given["family"], given["out"], given.get("seed", 0)
    palette, photo, fold = (given.get(name) for name in ("palette", "photo", "fold"))
    if seed < 0:
        raise OptionError(f"--seed is {seed}: it must be 0 or more")
    if family != "kaleidoscope" and (photo is not None or fold is not None):
        raise OptionError(f"--photo and --fold belong to the kaleidoscope, not to {family}: leave them out")
    if palette is not None and photo is not None:
        raise OptionError("--palette is for generated guides: leave it out where --photo is given")
    if out.suffix.lower() != ".png":
        raise OutputError(f"{out} does not end in .png: guides are written as PNG")
    if out.exists() and not given["overwrite"]:
        raise OutputError(f"{out} exists already: choose another --out or add --overwrite")

    from mlsolve.job.job import parse_size
    from mlsolve.pictures import picture_files

    loaded = None if photo is None else picture_files.load_picture(photo, given.get("cmyk_profile"))
    picture_files.save_png(out, _draw(family, parse_size(given.get("size", "600")), seed, palette, loaded, fold))
    echo(out)


def _draw(
    family: str,
    size: tuple[int, int],
    seed: int,
    palette: str | None,
    photo: "npt.NDArray[np.float32] | None",
    fold: int | None,
) -> "npt.NDArray[np.uint8]":
    """Return the guide, (H, W, 3) uint8 sRGB."""
    from mlsolve.guides import generate, kaleidoscope
    from mlsolve.pictures.arrays import code_values

    if photo is not None:
        return kaleidoscope(code_values(photo), size, seed, 6 if fold is None else fold)
    if fold is not None:
        side = max(size)
        return kaleidoscope(generate("mosaic", (side, side), seed, palette), size, seed, fold)
    return generate(family, size, seed, palette)
