"""`mlsolve animate`: a film of the sheets on the light box."""

import sys
from pathlib import Path
from typing import Final

from mlsolve.job.settings import Setting

from .echo import echo
from .options import Given, Parameter, folder, switch, verb

_USUAL: Final = (720, 25.0)
_GIF: Final = (480, 12.5)
"""Pixels of the longer side, and frames a second, unless something else is asked for."""


@verb(
    folder("Folder that mlsolve run wrote."),
    Parameter(
        "out",
        Setting(
            help="Film to write; .mp4 needs pip install 'mlsolve[film]'.",
            kind=Path,
            short="-o",
            metavar="FILE",
            limits="FILE.mp4, FILE.webp or FILE.gif",
            otherwise="FOLDER.mp4, or FOLDER.webp without mlsolve[film]",
            example="prints.webp",
        ),
    ),
    Parameter(
        "size",
        Setting(
            help="Longer side of the film.",
            kind=int,
            unit="pixels",
            limits="64 to 4096",
            otherwise=f"{_USUAL[0]}, or {_GIF[0]} for a GIF",
            example="480",
        ),
    ),
    Parameter(
        "seconds",
        Setting(
            help="Length of the film.",
            unit="seconds",
            limits="up to 3600",
            otherwise="as long as every step needs to be seen",
            example="4",
        ),
    ),
    Parameter(
        "fps",
        Setting(
            help="Frames per second.",
            limits="1 to 120, a WebP to 90, a GIF to 50",
            otherwise=f"{_USUAL[1]:g}, or {_GIF[1]:g} for a GIF",
            example="12.5",
        ),
    ),
    switch("captions", "Say in words which sheets are shown, or not.", "--captions/--no-captions"),
    switch("overwrite", "Replace the film."),
    examples=(("animate prints --out prints.webp", "A film of the sheets in prints."),),
)
def animate(given: Given) -> None:
    """Make a film of the sheets in FOLDER: they slide, rotate and flip over each other until the picture appears.

    With several pictures they appear one after the other; then the sheets part again, so that the film can loop.
    The box grows brighter as the eye adapts to the dark stack. Every browser plays all three formats, .mp4 as a
    video, .webp and .gif as pictures; an MP4 is the smallest, a GIF the coarsest. Sheets for a printer and film
    (`run --media`) are shown as they will look, alone and over each other.
    """
    from rich.console import Console
    from rich.progress import track

    from mlsolve.film import check_film, usual_suffix, write_film
    from mlsolve.film.folder import film_of

    source, out, size, fps = given["folder"], given.get("out"), given.get("size"), given.get("fps")
    captions, overwrite = given.get("captions", True), given["overwrite"]
    resolved = source.resolve()
    path = resolved.parent / f"{resolved.name}{usual_suffix()}" if out is None else out
    usual = _GIF if path.suffix.lower() == ".gif" else _USUAL
    rate = usual[1] if fps is None else fps
    check_film(path, rate, overwrite)
    film = film_of(source, usual[0] if size is None else size, rate, given.get("seconds"), captions)
    shown = track(
        film,
        "animate",
        total=len(film),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
    write_film(path, shown, rate, overwrite)
    echo(f"{path}: {len(film)} frames of {film.size[0]}×{film.size[1]}, {len(film) / rate:.3g} s")
