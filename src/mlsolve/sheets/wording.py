"""What assembly.pdf says, in plain sentences."""

import itertools
from typing import Final

from ..job.arrangements import Placement
from ..report.lettering import writable
from .inventory import Inventory
from .plan import Plan
from .workshop import Stack, Workshop

_DAYLIGHT: Final = 6500
"""Colour temperature in kelvin of the white that sRGB codes mean (IEC 61966-2-1: D65)."""
_ORDINARY: Final = 10000
"""What the brightest ordinary boxes reach, in cd/m²."""


def sheets_words(shop: Workshop, made: Inventory) -> str:
    """Return what the sheets are."""
    form = "round pictures, " if shop.disc else ""
    border = " with their border" if made.plan.targets else ""
    size = f"{form}{made.whole[0]:.1f} × {made.whole[1]:.1f} mm each{border}"
    reads = " Turn each sheet until its text can be read and its arrow UP points up." if made.plan.texts else ""
    first = " Begin on page 3: it tells how the files become sheets." if made.needs_joining else ""
    if made.parted:
        first = (
            f" Each comes in {made.columns * made.rows} parts with borders of their own, {made.plan.trim[0]:.1f} × "
            f"{made.plan.trim[1]:.1f} mm: page 3 tells how they become sheets."
        )
    return f"{len(shop.layers)} clear sheets, {size}.{reads}{first}"


def order_words(shop: Workshop) -> str:
    """Return how the pictures of the order are to be read."""
    ends = "Left is the top of the stack, towards you; right is the bottom, on the box."
    if all(one.still for stack in shop.stacks for one in stack.place):
        return f"{ends} No sheet is turned or flipped."
    return (
        f"{ends} Sheets with an arrow are turned, and pictured as they then lie: the single arrow shows where the "
        "UP of the sheet points, the double arrow that it was turned over, along the arrow."
    )


def turn_words(one: Placement, pixel: float) -> str:
    """Return how a sheet is turned, in the order in which it is done. pixel: a pixel of the print, in mm."""
    parts = []
    if one.flip:
        parts.append("turn over left to right" if one.flip == "h" else "turn over top to bottom")
    turned = one.rotate % 360
    if turned:
        parts.append(
            "rotate 180°"
            if turned == 180
            else f"rotate {turned:g}° left"
            if turned < 180
            else f"rotate {360 - turned:g}° right"
        )
    for shift, ways in zip(one.shift, (("left", "right"), ("up", "down")), strict=True):
        if shift:
            parts.append(f"shift {abs(shift) * pixel:.2g} mm {ways[shift > 0]}")
    return ", ".join(parts) or "as it is"


def side_words(shop: Workshop, mirrored: bool) -> list[str]:
    """Return what lies between the sheets, and where their print is."""
    print_side = "away from you: you look through the material" if mirrored else "towards you"
    flips = any(one.flip for stack in shop.stacks for one in stack.place)
    whose = "The printed side of a sheet that is not turned over" if flips else "The printed side"
    words = [_gap_words(shop), f"{whose} is {print_side}."]
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


def hole_words(plan: Plan) -> str:
    """Return what is done with holes, as a caption."""
    return f"bold ring: punch {plan.pins[0].diameter:g} mm"


def target_words() -> str:
    """Return what is done with targets, as a caption."""
    return "thin square: never punch"


def aligning_words(shop: Workshop, plan: Plan) -> list[str]:
    """Return the steps of aligning. They tell of no mark that the sheets have no room for."""
    last = "Tape one edge, check again, tape the others."
    if not plan.targets:
        return [
            "1. These sheets have no border, and so no marks. Wear gloves. Begin with the bottom sheet.",
            "2. Align two opposite corners of the picture first, then the others.",
            f"3. Lay the other sheets on it as page 1 says. {last}",
        ]
    holes = (
        f"Punch holes of {plan.pins[0].diameter:g} mm at the bold rings with the word HOLE, the punch set on the "
        "cross inside and never against an edge. With pins through them the sheets lie right, and the targets only "
        "check it. Punch no target: these are the thin squares."
        if plan.pins
        else "These sheets are too small for holes: align them by eye."
    )
    measure = "Measure the bars: where they differ, the printer stretched a sheet. " if plan.bars else ""
    steps = [
        f"Wear gloves. {measure}{holes} Begin with the sheet at the bottom.",
        "Lay the next one on it as page 1 says. Align two opposite corners first, by the crosses of their targets, "
        "then the other two, then the middles of the sides. Look straight down on each cross.",
    ]
    places = [one for stack in shop.stacks for one in stack.place]
    if any(one.rotate % 90 for one in places):
        steps.append(
            "Where a sheet is turned by another angle than 90°, its marks lie beside those of the others: bring "
            "the middles of the pictures together, and turn it until the picture is sharp."
        )
    if any(one.shift != (0.0, 0.0) for one in places):
        steps.append("Where a sheet is shifted, its targets lie off those of the others by that much.")
    if plan.verniers:
        still = all(one.still for one in places)
        turned = "" if still else " They are for sheets that are not turned; others are aligned by their targets."
        with_own = sorted({one.sheet for one in plan.verniers})
        count = len(shop.layers)
        whose = "Every sheet from 2 on has its own, with its number"
        if len(with_own) < count - 1:
            whose = f"Sheets 2 to {with_own[-1]} have" if len(with_own) > 1 else "Sheet 2 has"
            whose += " their own, with their number" if len(with_own) > 1 else " its own, with its number"
        steps.append(
            f"Read the verniers at the bottom and on the right. {whose}, against sheet 1. Where the long lines "
            "meet, it is aligned. If the first short line beside the long one meets its partner, it is 0.1 mm off, "
            "if the second does, 0.2 mm."
            f"{turned}"
        )
    steps.append(last)
    return [f"{number}. {words}" for number, words in enumerate(steps, start=1)]


def film_words(made: Inventory) -> list[str]:
    """Return how the films of a sheet become a sheet."""
    count = len(made.inks)
    steps = [
        "A film is not a sheet. It is black where its ink is to be, and exposes one screen, which prints one ink."
    ]
    if count == 1:
        return [*steps, "Print each film's ink on a clear sheet of its own."]
    by = "all targets, bars and words coincide" if made.plan.targets else "their edges coincide"
    return [
        *steps,
        f"1. Lay the {count} films of a sheet over each other on a light table, in register: {by}. If they do "
        "not, ask for new films.",
        f"2. Expose {count} screens, one for each film. Never use a film for two inks, or for two sheets: each has "
        "a screen of its own, so that dots do not coincide.",
        f"3. Print {', '.join(made.inks[:-1])} and {made.inks[-1]} on the same clear sheet, one after the other, "
        f"each dry before the next, so that {by}. Then go on with the next sheet.",
    ]


def part_words(made: Inventory) -> list[str]:
    """Return how parts are joined."""
    plan, bleed = made.plan, made.shop.bleed
    every = f"row 1, column 1 from the part r1c1 of sheets 1 to {made.sheets}, and so on"
    beyond = f"Beyond the cut, each part shows {bleed:g} mm of its neighbour, which go with it. " if bleed else ""
    if plan.cuts:
        cut = (
            "2. Cut each finished stack on the sides where another part joins it, as arrows show: through all its "
            "sheets at once, along a straight edge from one dashed mark CUT to the other. " + beyond + "Acrylic is "
            "sawn there by the shop, before it is stacked."
        )
    else:
        cut = "2. The parts have no border: the shop trims them at the edge of the picture, where they join. " + (
            "" if bleed else "Cut off what is left beyond the picture."
        )
    return [
        f"1. Each part is a stack of its own. Assemble it as pages 1 and 2 tell: {every}.",
        cut.strip(),
        "3. Lay the stacks edge to edge on the box, as drawn. No edge overlaps another: what lies twice is too "
        "dark. Where the picture goes on without a step, they are right. Tape them in the border, never over the "
        "picture.",
    ]


def page_words(made: Inventory) -> list[str]:
    """Return how pages from home become a sheet."""
    first, last = made.tiles[0], made.tiles[-1]
    names = [one.name for one in made.files]
    named = names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"
    order = (
        "row by row from the top, and in a row from the left"
        if first.rows > 1 and first.columns > 1
        else ("from the top" if first.rows > 1 else "from the left")
    )
    mirrored = (
        " They are mirrored: look at them through the film, so that text reads right, and work from that side."
        if made.plan.mirrored
        else ""
    )
    words = [
        f"Every file, {named}, has pages 1 to {last.page}: {order}. Print at 100 %, without fit to page, and "
        f"measure the bar.{mirrored}"
    ]
    number = 1
    if first.columns > 1:
        rows = "In every row, from the left: c" if first.rows > 1 else "From the left: c"
        words.append(
            f"{number}. {rows}ut the left edge of the next page at its marks. Glue or tape it on top of the clear "
            f"strip of the page before, {made.shop.overlap:g} mm wide: its cut edge exactly on the right edge of "
            "what is printed there."
        )
        number += 1
    if first.rows > 1:
        rows = "Then the rows, from the top: c" if first.columns > 1 else "From the top: c"
        words.append(
            f"{number}. {rows}ut the top edge of the next {'row' if first.columns > 1 else 'page'} at its marks, "
            f"and glue it on top of the clear strip below the one before, {made.shop.overlap:g} mm wide: its cut "
            "edge exactly on the lower edge of what is printed there."
        )
        number += 1
    words.append(
        f"{number}. So the later page always lies on top, and never two prints on each other. Then the glued pages "
        "are one sheet."
    )
    return words


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
