"""for-the-shop.txt: what the shop is told, in words that can be sent along with the files."""

from collections.abc import Sequence

from .plan import Plan
from .shop import Shop


def order_text(
    name: str,
    shop: Shop,
    plans: Sequence[Plan],
    files: Sequence[str],
    dpi: float,
    colours: str,
    screens: Sequence[str],
    notes: Sequence[str],
) -> str:
    """Return the text.

    plans: of the sheets, or their parts. files: their names, in the same order, or all films. screens: a line for
    each film. notes: what else the shop or the maker should know.
    """
    plan = plans[0]
    lines = [
        f"{name}: transparent sheets that are looked at in a stack, on a light box",
        "",
        f"{len(files)} files, one print of each:",
        *(f"  {one}" for one in files),
        "",
        f"Trimmed size    {plan.trim[0]:.1f} x {plan.trim[1]:.1f} mm (TrimBox)",
        f"Bleed           {plan.bleed:g} mm on each side (BleedBox)" if plan.bleed else "Bleed           none",
        f"Resolution      {dpi:.5g} pixels per inch, continuous tone"
        if not screens
        else f"Resolution      {dpi:g} dpi",
        f"Colours         {colours}",
        "Material        clear film or clear acrylic, the same for all sheets",
        "",
        "Please:",
        "- NO WHITE: no white ink, no flood, no underbase, no spot colour. Empty parts stay clear.",
        "- Print at 100 %. No scaling, no fit to page, no sharpening, no automatic colour correction.",
        _sides(plan.mirrored),
        "- The crosses, rings, bars and texts in the border are part of the artwork. Print them.",
        "- All sheets on the same machine, in the same direction, one after the other.",
    ]
    if screens:
        lines += [
            "- Positive, right-reading, emulsion up, density 4 or more. The dots are in the file: add no screen.",
            "",
            "Screens:",
            *(f"  {one}" for one in screens),
        ]
    if shop.border:
        lines += [
            "",
            f"Punch holes of {shop.pin_diameter:g} mm at the rings, by the printed crosses and never by the edges.",
        ]
    if notes:
        lines += ["", "Notes:", *(f"- {one}" for one in notes)]
    return "\n".join(lines) + "\n"


def _sides(mirrored: bool) -> str:
    """Return the line about the side that is printed."""
    if mirrored:
        return "- The files ARE mirrored, for printing on the back: text reads right from the front. Do not mirror."
    return "- The files are NOT mirrored, and text reads right. Do not mirror them."
