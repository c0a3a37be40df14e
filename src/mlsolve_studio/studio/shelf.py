"""The shelf: the guides that can be had, and their thumbnails."""

import re
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from mlsolve.errors import InputError, OptionError
from mlsolve.job.job import parse_generated

from .folder import shown

SIDE: Final = 192
"""Of a thumbnail, in pixels."""

EXAMPLES: Final = next(
    (
        place
        for place in (Path(__file__).parent / "examples", Path(__file__).parents[3] / "examples")
        if place.is_dir()
    ),
    Path(__file__).parent / "examples",
)
"""Pictures to begin with: those in the wheel, or those of a clone."""

_LONGEST: Final = 80


@lru_cache(maxsize=400)
def thumbnail(guide: str) -> bytes:
    """Return the thumbnail of the generated guide "FAMILY:SEED" or "FAMILY:SEED:PALETTE", a PNG.

    It is the guide drawn small: the same shapes and colours as at any size. Raises OptionError if there is no such
    guide.
    """
    from mlsolve.guides import generate
    from mlsolve.pictures.picture_files import save_png

    if len(guide) > _LONGEST or not re.fullmatch(r"[a-z]+:[0-9]{1,10}(:[A-Za-z0-9#,]+)?", guide):
        raise OptionError(f"guide is {shown(guide)}: use FAMILY:SEED or FAMILY:SEED:PALETTE")
    family, seed, palette = parse_generated(guide)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "guide.png"
        save_png(path, generate(family, (SIDE, SIDE), seed, palette))
        return path.read_bytes()


def generated() -> dict[str, Any]:
    """Return the families and the palettes, with their colours from dark to light."""
    from mlsolve.guides import FAMILIES, PALETTES

    return {
        "families": list(FAMILIES),
        "palettes": {name: colours.split(",") for name, colours in PALETTES.items()},
    }


def examples() -> list[str]:
    """Return the names of the pictures to begin with."""
    return sorted(path.name for path in EXAMPLES.glob("*.jpg"))


def example(name: object) -> Path:
    """Return the file of an example. Raises InputError if there is none of this name."""
    if name not in examples():
        raise InputError(f"there is no example {shown(name)}: choose one of the list")
    return EXAMPLES / str(name)
