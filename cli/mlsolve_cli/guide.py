"""`mlsolve guide`: make a procedural guide."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlsolve.errors import OptionError, OutputError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


def guide(
    family: Annotated[str, typer.Argument(help="kaleidoscope, mosaic or rosette.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="PNG file to write.")],
    size: Annotated[str, typer.Option(metavar="N|WxH", help="Pixels.")] = "600",
    seed: Annotated[int, typer.Option(help="Another seed, another guide; 0 or more.")] = 0,
    palette: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|#RRGGBB,…",
            help="ember, lagoon, meadow, dusk, ink, festival, or colours. [default: by seed]",
        ),
    ] = None,
    photo: Annotated[
        Path | None,
        typer.Option(help="Picture a kaleidoscope is made of. [default: a mosaic]"),
    ] = None,
    cmyk_profile: Annotated[
        Path | None, typer.Option(metavar="FILE.icc", help="ICC profile of a CMYK photo that carries none.")
    ] = None,
    fold: Annotated[
        int | None, typer.Option(help="Wedges of a kaleidoscope, 2 to 64. [default: 6 of a photo, else by seed]")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file.")] = False,
) -> None:
    """Make a guide: a kaleidoscope of a photo or of a mosaic, a triangulated mosaic, or a rosette.

    Example: **mlsolve guide kaleidoscope --photo garden.jpg --fold 8 --size 1200 --out guide.png**
    """
    if seed < 0:
        raise OptionError(f"--seed is {seed}: it must be 0 or more")
    if family != "kaleidoscope" and (photo is not None or fold is not None):
        raise OptionError(f"--photo and --fold belong to the kaleidoscope, not to {family}: leave them out")
    if palette is not None and photo is not None:
        raise OptionError("--palette is for generated guides: leave it out where --photo is given")
    if out.suffix.lower() != ".png":
        raise OutputError(f"{out} does not end in .png: guides are written as PNG")
    if out.exists() and not overwrite:
        raise OutputError(f"{out} exists already: choose another --out or add --overwrite")

    from mlsolve.job.job import parse_size
    from mlsolve.pictures import picture_files

    loaded = None if photo is None else picture_files.load_picture(photo, cmyk_profile)
    picture_files.save_png(out, _draw(family, parse_size(size), seed, palette, loaded, fold))
    typer.echo(out)


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
