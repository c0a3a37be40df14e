"""for-the-shop.txt: what the shop is told, in words that can be sent along with the files."""

from collections.abc import Iterator, Sequence

from .inventory import Inventory
from .plan import Plan


def order_text(made: Inventory, dpi: float, colours: str, notes: Sequence[str]) -> str:
    """Return the text.

    dpi: of the pictures in the files. colours: what they are in. notes: what else the shop or the maker
    should know.
    """
    name, plan = made.run, made.plan
    lines = [
        f"{name}: transparent sheets that are looked at in a stack, on a light box",
        "",
        *_list(made),
        "",
        *_sizes(made),
        f"Resolution      {dpi:g} dpi, binary"
        if made.inks
        else f"Resolution      {dpi:.5g} pixels per inch, continuous tone",
        f"Colours         {colours}",
        "Material        film for screens; what is printed through them is clear film or clear acrylic"
        if made.inks
        else "Material        clear film or clear acrylic, the same for all sheets",
        "",
        "Please:",
        "- NO WHITE: no white ink, no flood, no underbase, no spot colour. Empty parts stay clear.",
        "- Print at 100 %. No scaling, no fit to page, no sharpening, no automatic colour correction.",
        _sides(plan),
    ]
    if plan.targets:
        lines.append("- What is in the border is part of the artwork: crosses, rings, lines and words. Print it.")
    lines.append("- All sheets on the same machine, in the same direction, one after the other.")
    if made.inks:
        lines.append(
            f"- Positive, {'wrong' if plan.mirrored else 'right'}-reading, emulsion up, density 4 or more. The "
            "dots are in the file: add no screen."
        )
    lines += _joining(made)
    if any(one.plan.pins for one in made.files):
        lines += [
            "",
            f"Punch holes of {made.shop.pin_diameter:g} mm at the bold rings with the word HOLE, by the "
            "crosses inside and never by the edges.",
            "Do not punch the thin squares with the word TARGET beside them.",
        ]
    if notes:
        lines += ["", "Notes:", *(f"- {one}" for one in notes)]
    return "\n".join(lines) + "\n"


def _list(made: Inventory) -> Iterator[str]:
    """Yield what is in every file."""
    yield f"{len(made.files)} files, one print of each:"
    names = max(len(one.name) for one in made.files)
    words = [made.part_of(one) for one in made.files]
    wide = max(map(len, words))
    for one, what in zip(made.files, words, strict=True):
        size = "{:.1f} x {:.1f} mm".format(*one.plan.trim)
        yield f"  {one.name:<{names}}   {what:<{wide}}   {size}   {one.screen}".rstrip()
    if made.tiled:
        yield ""
        yield "The sheet in each file is larger than the paper, and lies on {} pages of {:g} x {:g} mm:".format(
            len(made.tiles), *made.paper
        )
        for tile in made.tiles:
            where = f"row {tile.row + 1} of {tile.rows}, column {tile.column + 1} of {tile.columns}"
            yield (f"  page {tile.page}   {where}   {tile.part.width:.1f} x {tile.part.height:.1f} mm of the sheet")


def _sizes(made: Inventory) -> Iterator[str]:
    """Yield the lines about sizes."""
    sizes = {"{:.1f} x {:.1f} mm".format(*one.plan.trim) for one in made.files}
    if made.tiles:
        yield "Paper           {:g} x {:g} mm, one page after the other".format(*made.paper)
        yield f"Size of a sheet {sizes.pop()}"
        return
    where = "" if made.shop.kind == "tiff" else " (TrimBox)"
    yield f"Trimmed size    {sizes.pop() + where if len(sizes) == 1 else f'as listed{where}'}"
    bleed = made.plan.bleed
    where = "; the files are larger by it" if made.shop.kind == "tiff" else " (BleedBox)"
    yield f"Bleed           {bleed:g} mm on each side{where}" if bleed else "Bleed           none"


def _joining(made: Inventory) -> Iterator[str]:
    """Yield what becomes of the files, where a file is not a sheet."""
    if made.inks:
        count = len(made.inks)
        yield ""
        yield (
            f"The {count} films of a sheet ({', '.join(made.inks)}) are for {count} screens, and one clear sheet "
            "is printed through all of them, in register by the targets."
            if count > 1
            else "Each film is for a screen of its own, through which one clear sheet is printed."
        )
        yield "No two films have the same screen, on purpose: change no angle and no pattern."
    if made.parted:
        yield ""
        yield (
            f"Each sheet comes in {made.columns * made.rows} parts, which the maker joins. Trim each part as its "
            "own sheet, and do not put them together."
        )
    if made.tiled:
        yield ""
        yield "How the pages are cut and glued together is told in assembly.pdf, page 3."


def _sides(plan: Plan) -> str:
    """Return the line about the side that is printed."""
    text = bool(plan.texts)
    if plan.mirrored:
        reads = "text reads right from the front" if text else "they look right from the front"
        return f"- The files ARE mirrored, for printing on the back: {reads}. Do not mirror."
    return f"- The files are NOT mirrored{', and text reads right' if text else ''}. Do not mirror them."
