"""Gaps between sheets, viewers and views: what can be set, and the optics (docs/maths.md §13).

All lengths are in pixels at full size, angles in degrees.
"""

import math
from dataclasses import dataclass
from typing import Any, Final

from ..errors import OptionError
from ..ranges import number
from .print_size import parse_length
from .settings import MAX_LAYERS, Setting

MATERIALS: Final = {"acrylic": 1.49, "film": 1.57, "glass": 1.52, "air": 1.0}
"""Refractive indices of what may lie between the printed sides: PMMA, PET, crown glass."""

_DENSEST: Final = 3.0
_LONGEST: Final = 1e9
_STEEPEST: Final = 80.0

GAP: Final = Setting(
    help="Distance between the printed sides of neighbouring sheets, as 3mm, or one for each gap, as 3mm,5mm.",
    more="The first sheet faces the viewer. The gaps are listed from the front; one length stands for all of them. "
    "A number without a unit means pixels, and so does the field in Python; a length needs dpi. It changes "
    "something together with view or viewer.",
    kind=tuple[float, ...],
    as_text=True,
    unit="pixels",
    limits=f"1 to {MAX_LAYERS - 1} lengths above 0",
    otherwise="the sheets lie on each other",
    metavar="LENGTH[,LENGTH…]",
    example="3mm",
    toml='["3mm", "5mm"]',
    python="(17.7, 29.5)",
)
MATERIAL: Final = Setting(
    help="What fills the gaps: acrylic, film, glass, air, or its refractive index.",
    more="acrylic is 1.49, film (PET) 1.57, glass 1.52, air 1. A denser material makes the gap look smaller.",
    kind=str,
    as_text=True,
    limits=f"acrylic, film, glass, air, or 1 to {_DENSEST:g}",
    metavar="NAME|N",
    example="glass",
    toml='"glass"',
    python='"glass"',
)
VIEWER: Final = Setting(
    help="Distance of the viewer, as 1.5m, for whom the sheets are made to match from edge to edge.",
    more="A sheet at depth d looks smaller by 1 + d/(n D), with the refractive index n and the distance D. "
    "So it is to be printed larger by that factor. The files have the same pixels as without, and with dpi each "
    "carries its own size.",
    as_text=True,
    unit="pixels",
    limits="at least ten times as far away as the last sheet looks deep",
    otherwise="far away: all sheets look equally large",
    metavar="LENGTH",
    example="1.5m",
    toml='"1.5m"',
    python="8858",
)
VIEW: Final = Setting(
    help="Half-angle of the cone of viewing directions from which the picture must hold, as 15deg.",
    more="It costs some sharpness and guide fidelity. The stack is also scored at half of the angle and at all of "
    "it. It needs gap.",
    as_text=True,
    unit="degrees",
    low=0.0,
    high=_STEEPEST,
    metavar="ANGLE",
    example="15deg",
    toml='"15deg"',
    python="15",
)

LENGTHS: Final = ("registration", "gap", "viewer")
"""Options that are lengths; a job file and the command line give them a unit."""


@dataclass(frozen=True)
class View:
    """A direction from which a stack is scored: from the right, at an angle to the normal of the sheets."""

    degrees: float
    shifts: tuple[float, ...]
    """How far every sheet is seen displaced to the right, in pixels; the first is not."""

    @property
    def pixels(self) -> float:
        """The displacement of the deepest sheet."""
        return self.shifts[-1]


def with_lengths(given: dict[str, Any], dpi: float | None, before: str = "") -> dict[str, Any]:
    """Return the options `given` with lengths in pixels and angles in degrees, at `dpi` pixels per inch.

    before: what an option is called with, as "--". Raises OptionError for a length that has no meaning.
    """
    found = dict(given)
    for name in LENGTHS:
        if name not in found:
            continue
        value, called = found[name], before + name
        if name == "gap":
            parts = value.split(",") if isinstance(value, str) else value
            parts = parts if isinstance(parts, list | tuple) else [parts]
            found[name] = tuple(parse_length(_bare(part), called, dpi) for part in parts)
        else:
            found[name] = parse_length(_bare(value), called, dpi)
    if "view" in found:
        found["view"] = _angle(found["view"], before + "view")
    return found


def checked_gap(value: object) -> tuple[float, ...] | None:
    """Return the distances between sheets as a tuple, None if there are none. Raises OptionError."""
    if value is None:
        return None
    parts = value if isinstance(value, list | tuple) else (value,)
    if not 1 <= len(parts) < MAX_LAYERS:
        raise OptionError(f"gap has {len(parts)} lengths: give one, or one for each gap between the sheets")
    return tuple(number("gap", part, 1e-6, _LONGEST) for part in parts)


def checked_material(value: object) -> str | float:
    """Return the name of a material, or a refractive index. Raises OptionError for anything else."""
    if isinstance(value, str):
        text = value.strip().lower()
        if text in MATERIALS:
            return text
        try:
            value = float(text)
        except ValueError:
            names = ", ".join(MATERIALS)
            raise OptionError(
                f"material is {value!r}: use {names}, or a refractive index from 1 to {_DENSEST:g}"
            ) from None
    return number("material", value, 1.0, _DENSEST)


def checked_viewer(value: object) -> float | None:
    """Return the distance of the viewer, None if it is not given. Raises OptionError."""
    return None if value is None else number("viewer", value, 1e-6, _LONGEST)


def seen_shift(depth: float, degrees: float, index: float) -> float:
    """Return how far a point at `depth` is seen displaced along the surface, at `degrees` to its normal.

    depth · tan(asin(sin(degrees) / index)), by Snell's law: the unit is that of depth. index: of refraction, 1 or
    more.
    """
    return depth * math.tan(math.asin(math.sin(math.radians(degrees)) / index))


def magnification(depth: float, index: float, viewer: float | None) -> float:
    """Return how much larger a sheet at `depth` must be, to look as large as the first to a viewer at `viewer`.

    1 + depth / (index · viewer), which holds for small angles. viewer: None: far away, where it is 1.
    """
    return 1.0 if viewer is None else 1.0 + depth / (index * viewer)


def _angle(value: object, called: str) -> object:
    """Return the degrees that "15deg", "15°" or a number means."""
    if not isinstance(value, str):
        return value
    text = value.strip().removesuffix("°").removesuffix("deg").strip()
    try:
        return float(text)
    except ValueError:
        raise OptionError(f"{called} is {value!r}: give an angle, as in 15deg") from None


def _bare(length: object) -> object:
    """Return a number without a unit as a number: pixels."""
    if not isinstance(length, str):
        return length
    try:
        return float(length)
    except ValueError:
        return length
