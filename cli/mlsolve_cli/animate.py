"""`mlsolve animate`: a film of the sheets on the light box."""

import sys
from pathlib import Path
from typing import Annotated, Final

import typer

_USUAL: Final = (720, 25.0)
_GIF: Final = (480, 12.5)
"""Pixels of the longer side, and frames a second, unless something else is asked for."""


def animate(
    folder: Annotated[Path, typer.Argument(help="Folder that mlsolve run wrote.")],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Film to write: .mp4, which takes pip install 'mlsolve[film]', .webp or .gif. "
            "[default: FOLDER.mp4, or FOLDER.webp without that]",
            show_default=False,
        ),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            help=f"Pixels of the longer side. [default: {_USUAL[0]}, a GIF {_GIF[0]}]", show_default=False
        ),
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(help="Length of the film. [default: as looks well]", show_default=False)
    ] = None,
    fps: Annotated[
        float | None,
        typer.Option(help=f"Frames a second. [default: {_USUAL[1]:g}, a GIF {_GIF[1]:g}]", show_default=False),
    ] = None,
    captions: Annotated[bool, typer.Option("--captions/--no-captions", help="What lies there, in words.")] = True,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the film.")] = False,
) -> None:
    """Make a film of the sheets in FOLDER: they slide, turn and flip over each other until the picture appears.

    One picture after the other, if they show several; then they go apart again, so that the film can be repeated.
    The box grows brighter as the eye adapts to the dark stack. Every browser plays all three kinds, .mp4 as a
    video, .webp and .gif as pictures; an MP4 is the smallest, a GIF the coarsest.

    Example: **mlsolve animate prints --out prints.webp**
    """
    from rich.console import Console
    from rich.progress import track

    from mlsolve.film import check_film, usual_suffix, write_film
    from mlsolve.film.folder import film_of

    resolved = folder.resolve()
    path = resolved.parent / f"{resolved.name}{usual_suffix()}" if out is None else out
    usual = _GIF if path.suffix.lower() == ".gif" else _USUAL
    rate = usual[1] if fps is None else fps
    check_film(path, rate, overwrite)
    film = film_of(folder, usual[0] if size is None else size, rate, seconds, captions)
    shown = track(
        film,
        "animate",
        total=len(film),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
    write_film(path, shown, rate, overwrite)
    typer.echo(f"{path}: {len(film)} frames of {film.size[0]}×{film.size[1]}, {len(film) / rate:.3g} s")
