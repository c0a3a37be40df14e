"""Captions and texts of the contact sheet."""

import math

from ..scoring.bands import Scoring
from ..scoring.previews import Preview
from ..scoring.scores import StackScores
from ..scoring.stack_scoring import StackScoring

Captioned = tuple[Preview, list[tuple[str, str]]]
"""A preview, and the lines of its caption as (text at the left, text at the right)."""


def displaced_previews(stack: StackScoring, found: StackScores) -> list[Captioned]:
    """Return the previews of a misaligned stack, each with the lines of its caption."""
    result = []
    for (pixels, preview), score in zip(stack.misaligned, found.misaligned, strict=True):
        lines = [(f"shift {pixels:g} px", f"SSIM {score.ssim:.3f}")]
        if score.ssim_moved is not None:
            lines.append(("target moved", f"SSIM {score.ssim_moved:.3f}"))
        result.append((preview, lines))
    return result


def view_previews(stack: StackScoring, found: StackScores) -> list[Captioned]:
    """Return the previews of a stack seen at an angle, each with the lines of its caption."""
    return [
        (preview, [(f"from {view.degrees:g}°", f"SSIM {score.ssim:.3f}")])
        for (view, preview), score in zip(stack.views, found.views, strict=True)
    ]


def view_text(scoring: Scoring) -> str:
    """Return what the previews of stacks at an angle show."""
    pixels = max(view.pixels for stack in scoring.stacks for view, _ in stack.views)
    degrees = max(view.degrees for stack in scoring.stacks for view, _ in stack.views)
    return (
        f"seen from the right; at {degrees:g}° the deepest sheet is seen {pixels:.3g} px to the right; "
        f"solved for views up to {degrees:g}° from all sides"
    )


def misalignment_text(scoring: Scoring) -> str:
    """Return how sheets are shifted, and the registration tolerance that the layers were solved with."""
    tolerance = (
        "target moved: SSIM where windows of some 60 px may find the target up to the shift away; "
        f"solved with a registration tolerance of {scoring.registration:g} px"
        if scoring.registration
        else "solved without registration tolerance"
    )
    return f"every sheet but the first is shifted, in turn right, down, left and up; {tolerance}"


def largest_leak(scoring: Scoring) -> list[float]:
    """Return the leak of each layer, in the arrangement where it is largest."""
    leak = [-1.0] * len(scoring.layers)
    for stack, found in zip(scoring.stacks, scoring.scores.stacks, strict=True):
        for one, value in zip(stack.placed.place, found.leak, strict=True):
            leak[one.layer - 1] = max(leak[one.layer - 1], value)
    return leak


def decibels(psnr: float) -> str:
    """Return a PSNR in words."""
    return "exact" if math.isinf(psnr) else f"{psnr:.1f} dB"
