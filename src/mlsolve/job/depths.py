"""How deep the sheets of an arrangement lie, and what follows: how large they are printed, how they are seen.

All lengths are in pixels at full size, angles in degrees (docs/maths.md §13).
"""

import math
from collections.abc import Sequence
from typing import Final

from ..errors import OptionError
from .arrangements import Arrangement, Placement
from .options import Options
from .viewing import View, magnification, seen_shift

_NEAREST: Final = 0.1
"""Largest d/(n D): a viewer nearer than that sees the sheets at sizes that differ by more than a tenth."""


def depths_of(options: Options, sheets: int) -> tuple[float, ...]:
    """Return how deep each of `sheets` sheets lies behind the first, in pixels; 0 where no gap is given."""
    gaps = options.gap or (0.0,)
    result = [0.0]
    for k in range(sheets - 1):
        result.append(result[-1] + gaps[k % len(gaps)])
    return tuple(result)


def print_scales(
    options: Options, arrangements: Sequence[Arrangement | Sequence[Placement]], layers: int
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


def views_of(options: Options, sheets: int) -> tuple[View, ...]:
    """Return the directions from which a stack of `sheets` sheets is scored: half of the angle, and all of it."""
    if not options.view or sheets == 1:
        return ()
    depths = depths_of(options, sheets)
    return tuple(
        View(angle, tuple(seen_shift(depth, angle, options.refraction) for depth in depths))
        for angle in (options.view / 2, options.view)
    )


def check_views(options: Options, arrangements: Sequence[Arrangement], layers: int, shape: tuple[int, int]) -> None:
    """Raise OptionError where gap, viewer and view do not suit `layers` sheets of `shape` = (height, width)."""
    if options.gap is None:
        for name in ("viewer", "view"):
            if getattr(options, name):
                value = getattr(options, name)
                raise OptionError(f"{name} is {value:g} and there is no gap: give --gap 3mm, or leave {name} out")
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
