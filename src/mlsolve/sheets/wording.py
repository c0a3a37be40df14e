"""What assembly.pdf says, in plain sentences."""

import itertools
from typing import Final

from ..job.arrangements import Placement
from ..report.lettering import writable
from .plan import Plan
from .workshop import Stack, Workshop

_DAYLIGHT: Final = 6500
"""Colour temperature in kelvin of the white that sRGB codes mean (IEC 61966-2-1: D65)."""
_ORDINARY: Final = 10000
"""What the brightest ordinary boxes reach, in cd/m²."""


def sheets_words(shop: Workshop, plan: Plan) -> str:
    """Return what the sheets are."""
    form = "round, " if shop.disc else ""
    border = " with their border" if plan.targets else ""
    size = f"{form}{plan.trim[0]:.1f} × {plan.trim[1]:.1f} mm each{border}"
    reads = (
        " The text on every sheet reads right when its right side is towards you, and its arrow UP points up."
        if plan.targets
        else ""
    )
    return f"{len(shop.layers)} clear sheets, {size}.{reads}"


def order_words(shop: Workshop) -> str:
    """Return how the pictures of the order are to be read."""
    ends = "Left is the top of the stack, towards you; right is the bottom, on the box."
    if all(one.still for stack in shop.stacks for one in stack.place):
        return f"{ends} No sheet is turned or flipped."
    return (
        f"{ends} Sheets with an arrow are turned, and pictured as they then lie: the single arrow shows where the "
        "UP of the sheet points, the double arrow that it was turned over, along the arrow."
    )


def turn_words(one: Placement) -> str:
    """Return how a sheet is turned, in the order in which it is done."""
    parts = []
    if one.flip:
        parts.append("turn over left to right" if one.flip == "h" else "turn over top to bottom")
    turned = one.rotate % 360
    if turned:
        parts.append(f"rotate {turned:g}° left" if turned <= 180 else f"rotate {360 - turned:g}° right")
    if one.shift != (0.0, 0.0):
        parts.append(f"shift {one.shift[0]:g}, {one.shift[1]:g} px")
    return ", ".join(parts) or "as it is"


def side_words(shop: Workshop, mirrored: bool) -> list[str]:
    """Return what lies between the sheets, and where their print is."""
    print_side = "away from you: you look through the material" if mirrored else "towards you"
    words = [_gap_words(shop), f"The printed side of a sheet that is not turned over is {print_side}."]
    if shop.viewer is not None:
        words.append(
            f"Made for a viewer {shop.viewer / 1000:.3g} m away: deeper sheets are printed larger, so no sheet may "
            "change its place in the stack."
        )
    return words


def _gap_words(shop: Workshop) -> str:
    """Return the gaps between the sheets in words."""
    if not shop.material:
        return "The sheets lie directly on each other."
    depths = shop.stacks[0].depths
    gaps = [f"{after - before:.3g}" for before, after in itertools.pairwise(depths)]
    named = f"{gaps[0]} mm" if len(set(gaps)) == 1 else ", ".join(gaps) + " mm, from the top,"
    view = f" The picture holds up to {shop.view:g}° from the side." if shop.view else ""
    filled = shop.material if shop.material.isalpha() else f"a material of refractive index {shop.material}"
    return f"Between the printed sides of neighbours there is {named} of {filled}.{view}"


def box_words(shop: Workshop) -> list[str]:
    """Return which box is needed."""
    named: dict[float, list[str]] = {}
    for stack in shop.stacks:
        named.setdefault(stack.exposure, []).append(writable(stack.name))
    words = []
    for exposure, names in named.items():
        of = f" for {', '.join(names)}" if len(named) > 1 else ""
        words.append(
            f"{_figure(shop.white / exposure)} cd/m²{of}: the white of the picture then has {shop.white:g} cd/m², "
            f"as on a screen (exposure {exposure:.3g})."
        )
    bright = shop.white / min(named) > _ORDINARY
    words.append(
        f"With half of that the picture is half as bright, and a dim room helps. Colour temperature {_DAYLIGHT} K "
        "(daylight), the same all over."
        + (" Ordinary boxes reach 2,000 to 10,000 cd/m²: this needs a special one." if bright else "")
    )
    return words[-6:]


def aligning_words(shop: Workshop, plan: Plan) -> list[str]:
    """Return the steps of aligning."""
    last = "Tape one edge, check again, tape the others."
    if not plan.targets:
        return [
            "1. These sheets have no border, and so no marks. Wear gloves. Begin with the bottom sheet.",
            "2. Align two opposite corners of the picture first, then the others.",
            f"3. Lay the other sheets on it as page 1 says. {last}",
        ]
    holes = (
        f"Punch holes of {plan.pins[0].diameter:g} mm at the rings with a cross, by the crosses and never by the "
        "edges, and use pins."
        if plan.pins
        else "These sheets are too small for holes: align them by eye."
    )
    still = all(one.still for stack in shop.stacks for one in stack.place)
    turned = "" if still else " They are for sheets that are not turned; others are aligned by their crosses."
    return [
        f"1. Wear gloves. {holes} Begin with the sheet at the bottom.",
        "2. Lay the next one on it as page 1 says. Align two opposite corners first, by their crosses, then the "
        "other two, then the middles of the sides. Look straight down on each cross.",
        "3. Read the verniers at the bottom and on the right. Every sheet from 2 on has its own, with its number, "
        "against sheet 1. Where the long lines meet it is aligned; where the first line beside them meets it is "
        f"0.1 mm off, at the second 0.2 mm.{turned}",
        f"4. Measure the bars: where they differ, the printer stretched a sheet. {last}",
    ]


def exact_words(shop: Workshop) -> list[str]:
    """Return what misalignment costs."""
    first = (
        f"This set tolerates {shop.registration:.2g} mm."
        if shop.registration
        else "This set was solved without tolerance: a shift by one pixel of the print is seen."
    )
    words = [f"{first} Likeness to the picture (SSIM, 1 is equal):"]
    for stack in shop.stacks[:4]:
        words.append(_cost(stack, len(shop.stacks) > 1))
    if len(shop.stacks) > 4:
        words.append(f"The other {len(shop.stacks) - 4} are in result.json of the run.")
    return words


def _cost(stack: Stack, several: bool) -> str:
    known = [f"aligned {stack.ssim:.2f}"]
    known += [f"{one.millimetres:.2g} mm off {one.ssim:.2f}" for one in stack.tolerance]
    return (f"{writable(stack.name)}: " if several else "") + "   ·   ".join(known)


def _figure(value: float) -> str:
    """Return a brightness to two digits, with a comma between thousands."""
    return f"{float(f'{value:.2g}'):,.0f}"
