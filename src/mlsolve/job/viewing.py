"""Sheets with gaps, seen from a distance and at an angle: what can be set, and the optics (docs/maths.md §13).

All lengths are in pixels at full size, angles in degrees.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ..errors import OptionError
from ..ranges import number
from .print_size import parse_length
from .settings import MAX_LAYERS, Setting

if TYPE_CHECKING:
    from .arrangements import Arrangement, Placement
    from .options import Options

MATERIALS: Final = {"acrylic": 1.49, "film": 1.57, "glass": 1.52, "air": 1.0}
"""Refractive indices of what may lie between the printed sides: PMMA, PET, crown glass."""

_DENSEST: Final = 3.0
_LONGEST: Final = 1e9
_STEEPEST: Final = 80.0
_NEAREST: Final = 0.1
"""Largest d/(n D): a viewer nearer than that sees the sheets at sizes that differ by more than a tenth."""

GAP: Final = Setting(
    help="Distance between the printed sides of neighbouring sheets, as 3mm, or one for each gap, as 3mm,5mm.",
    more="The first sheet faces the viewer. The gaps are listed from the front; one length stands for all of them. "
    "A number without a unit means pixels, and so does the field in Python; a length needs dpi. It changes "
    "something together with view or viewer.",
    kind=object,
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
    kind=object,
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


def check_viewing(options: "Options") -> None:
    """Raise OptionError where viewer or view have no gap, or the viewer is too near."""
    for name in ("viewer", "view"):
        if getattr(options, name) and options.gap is None:
            raise OptionError(
                f"{name} is {getattr(options, name):g} without a gap: give gap, as 3mm, or leave it out"
            )
    if options.viewer is not None:
        number("viewer", options.viewer, 1e-6, _LONGEST)


def depths_of(options: "Options", sheets: int) -> tuple[float, ...]:
    """Return how deep each of `sheets` sheets lies behind the first, in pixels; 0 where no gap is given."""
    gaps = options.gap or (0.0,)
    result = [0.0]
    for k in range(sheets - 1):
        result.append(result[-1] + gaps[k % len(gaps)])
    return tuple(result)


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


def print_scales(
    options: "Options", arrangements: "Sequence[Arrangement | Sequence[Placement]]", layers: int
) -> tuple[float, ...]:
    """Return how much larger than the first each of `layers` layers is to be printed, for the viewer.

    arrangements: of the sheets, or the placements in each of them. Raises OptionError where a layer lies at
    different depths in several arrangements, and there is a viewer.
    """
    scales: dict[int, float] = {}
    for at, arrangement in enumerate(arrangements, start=1):
        place = arrangement if isinstance(arrangement, Sequence) else arrangement.placed(layers)
        for one, depth in zip(place, depths_of(options, len(place)), strict=True):
            scale = magnification(depth, options.refraction, options.viewer)
            if not math.isclose(scales.setdefault(one.layer, scale), scale, rel_tol=1e-9):
                raise OptionError(
                    f"viewer asks for layer {one.layer} at another size in arrangement {at}, because it lies at "
                    "another depth: place it as deep everywhere, or leave viewer out"
                )
    return tuple(scales.get(layer, 1.0) for layer in range(1, layers + 1))


def views_of(options: "Options", sheets: int) -> tuple[View, ...]:
    """Return the directions from which a stack of `sheets` sheets is scored: half of the angle, and all of it."""
    if not options.view or sheets == 1:
        return ()
    depths = depths_of(options, sheets)
    return tuple(
        View(angle, tuple(seen_shift(depth, angle, options.refraction) for depth in depths))
        for angle in (options.view / 2, options.view)
    )


def check_views(
    options: "Options", arrangements: "Sequence[Arrangement]", layers: int, shape: tuple[int, int]
) -> None:
    """Raise OptionError where gap, viewer and view do not suit `layers` sheets of `shape` = (height, width)."""
    if options.gap is None:
        return
    most = min(shape) // 4
    for at, arrangement in enumerate(arrangements, start=1):
        sheets = len(arrangement.placed(layers))
        if len(options.gap) > 1 and len(options.gap) != sheets - 1:
            which = f"arrangement {at} has" if len(arrangements) > 1 else "there are"
            raise OptionError(
                f"gap has {len(options.gap)} lengths and {which} {sheets} sheets: give one length for all gaps, or "
                f"{sheets - 1}"
            )
        depth = depths_of(options, sheets)[-1]
        nearest = depth / (options.refraction * _NEAREST)
        if options.viewer is not None and options.viewer < nearest:
            raise OptionError(
                f"viewer is {options.viewer:g} pixels away and the last sheet {depth:g} pixels deep: give "
                f"{math.ceil(nearest)} pixels or more"
            )
        farthest = options.registration + seen_shift(depth, options.view, options.refraction)
        if options.view and farthest > most:
            raise OptionError(
                f"view is {options.view:g} degrees, at which the last sheet is seen {farthest:.4g} pixels off, and "
                f"the sheets are {shape[1]}×{shape[0]}: give an angle or gaps for which it is {most} or less"
            )
    print_scales(options, arrangements, layers)


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
