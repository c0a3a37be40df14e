"""`mlsolve media`: list, show and check media profiles."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlsolve.job.settings import Setting

from .echo import echo
from .options import JSON, Given, Parameter, switch, verb

if TYPE_CHECKING:
    from mlsolve.media import Media


@verb(
    Parameter(
        "profile",
        Setting(
            help="File of a profile, or the name of an included one.",
            kind=str,
            metavar="PROFILE",
            otherwise="list the included ones",
            example="inkjet-film",
        ),
        argument=True,
    ),
    Parameter(
        "out",
        Setting(
            help="Picture of its curves and colours to write.",
            kind=Path,
            short="-o",
            metavar="FILE.png",
            otherwise="none",
            example="film.png",
        ),
    ),
    switch("overwrite", "Replace the picture."),
    JSON,
    examples=(
        ("media", "List the included profiles."),
        ("media inkjet-film --out film.png", "Show one, and draw its curves and colours."),
    ),
)
def media(given: Given) -> None:
    """List the included media profiles, or check one and show what it says.

    A profile is what a printer leaves on a film, in numbers: `mlsolve run --media PROFILE` solves for it, and
    `mlsolve calibrate` makes one of your own printer and film. A profile that cannot be used is refused with the
    reason.
    """
    from mlsolve.errors import OptionError, OutputError
    from mlsolve.media import load_media, media_names
    from mlsolve.pictures.picture_files import save_png
    from mlsolve.report.media_picture import media_picture

    if "profile" not in given:
        if "out" in given:
            raise OptionError("--out is the picture of one profile: name it, as in mlsolve media inkjet-film")
        listed = {name: load_media(name) for name in media_names()}
        if given["json"]:
            echo(json.dumps([_facts(one) for one in listed.values()], indent=2, ensure_ascii=False))
            return
        for name, one in listed.items():
            echo(f"{name:<17} {one.about}")
        return
    found = load_media(given["profile"])
    if "out" in given:
        out: Path = given["out"]
        if out.suffix.lower() != ".png":
            raise OutputError(f"{out} does not end in .png: the picture is a PNG file")
        if out.exists() and not given["overwrite"]:
            raise OutputError(f"{out} exists already: choose another --out or add --overwrite")
        save_png(out, media_picture(found))
    facts = _facts(found)
    if given["json"]:
        echo(json.dumps(facts, indent=2, ensure_ascii=False))
        return
    echo(f"{'name':<12} {found.name}\n{'from':<12} {found.about}\n{'digest':<12} {found.digest}")
    echo(f"{'channels':<12} {', '.join(facts['channels'])}")
    echo(f"{'clear film':<12} density {', '.join(f'{one:.2f}' for one in facts['clear'])}")
    echo(f"{'full ink':<12} density {', '.join(f'{one:.2f}' for one in facts['full'])}, all channels together")
    if found.index is not None:
        echo(f"{'surfaces':<12} reflect {100 * found.inks.reflectance:.1f} % (refractive index {found.index:g})")
    fit = found.fit
    if fit is None:
        echo(f"{'known to':<12} not measured: print a chart and run mlsolve calibrate for figures of your own")
    else:
        spoiled = f", {fit.left_out} more left out as spoiled" if fit.left_out else ""
        echo(
            f"{'known to':<12} ΔE00 {fit.median:.2f}, 95 % {fit.percentile95:.2f}, worst {fit.worst:.2f}, each of "
            f"{fit.patches} patches predicted from the others{spoiled}"
        )
    if "out" in given:
        echo(f"{'look at':<12} {given['out']}")


def _facts(found: "Media") -> dict[str, Any]:
    """Return what is said of a profile, as values for JSON."""
    import dataclasses

    from mlsolve.media.media import CHANNELS
    from mlsolve.solving.spec import density_range

    return {
        "name": found.name,
        "about": found.about,
        "digest": found.digest,
        "channels": list(CHANNELS[found.planes]),
        "clear": [round(one, 4) for one in density_range(found.inks, 1.0)],
        "full": [round(one, 4) for one in density_range(found.inks, 0.0)],
        "index": found.index,
        "fit": None if found.fit is None else dataclasses.asdict(found.fit),
    }
