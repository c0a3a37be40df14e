"""What a calibration found, patch by patch, and a picture of it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from ..pictures.colour import light_from_srgb, srgb_from_light
from ..pictures.picture_files import save_png
from .layout import Layout, Rectangle
from .readings import Reading
from .samples import Array

Image = npt.NDArray[np.uint8]

_SCALE: Final = 4.0
"""Pixels a mm of the picture."""
_FOOT: Final = 150
_GOOD, _FAIR, _POOR, _OUT = (40, 170, 60), (235, 170, 0), (225, 60, 30), (200, 0, 200)


@dataclass(frozen=True)
class Findings:
    """What a calibration found."""

    names: tuple[str, ...]
    """Patches, as in chart.json; of stacks, two with + between them; or rows of a table."""
    measured: Array
    """Light through them relative to the empty box, (n, P) linear sRGB or grey."""
    predicted: Array
    """The same by the profile, (n, P)."""
    difference: Array
    """ΔE00 by a fit without the patch, (n,)."""
    kept: npt.NDArray[np.bool_]
    """Whether it counted, (n,)."""
    notes: tuple[str, ...] = ()
    """What was assumed, or should be known."""
    blur: float = 0.0
    """Width in mm over which edges rise in the photographs."""
    noise: float = 0.0
    """Median over the patches of the standard deviation within a patch, as a share of the empty box."""
    picture: Image | None = field(default=None, repr=False)
    """Rectified photographs with what was found, (H, W, 3) uint8 sRGB; None for a table."""

    @property
    def left_out(self) -> tuple[str, ...]:
        """The patches that were found to be spoiled."""
        return tuple(name for name, kept in zip(self.names, self.kept, strict=True) if not kept)

    def save(self, path: Path) -> None:
        """Write the picture as PNG. Raises OutputError."""
        if self.picture is not None:
            save_png(path, self.picture)


def drawn(layout: Layout, readings: list[tuple[Reading, str]], found: Findings) -> Image:
    """Return the picture: chart by chart, each patch with its prediction in its middle and a frame of its quality.

    readings: with a prefix of patches' groups: "" for a sheet, "laid" where the strip lies on it.
    """
    at = {name: number for number, name in enumerate(found.names)}
    panels = [_panel(layout, reading, kind, found, at) for reading, kind in readings]
    gap = np.full((panels[0].shape[0], 20, 3), 255, np.uint8)
    joined = np.hstack([part for panel in panels for part in (panel, gap)][:-1])
    foot = np.full((_FOOT, joined.shape[1], 3), 255, np.uint8)
    used = found.difference[found.kept]
    figures = f"dE00 median {np.median(used):.2f}, 95th {np.percentile(used, 95):.2f}, worst {used.max():.2f}"
    words = (
        (f"{len(used)} patches, {figures}", (0, 0, 0)),
        (
            "frames: green up to dE00 2, yellow to 5, red beyond; crossed out: spoiled. Middles: as predicted.",
            (0, 0, 0),
        ),
        ("left out: " + (", ".join(found.left_out) or "none"), _OUT if found.left_out else (0, 0, 0)),
    )
    for row, (text, colour) in enumerate(words):
        size = min(0.8, 0.8 * (joined.shape[1] - 20) / cv2.getTextSize(text, 0, 0.8, 1)[0][0])
        cv2.putText(foot, text, (10, 40 + 40 * row), cv2.FONT_HERSHEY_SIMPLEX, size, colour, 1, cv2.LINE_AA)
    return np.vstack([joined, foot])


def _panel(layout: Layout, reading: Reading, kind: str, found: Findings, at: dict[str, int]) -> Image:
    width, height = (round(side * _SCALE) for side in layout.size)
    shown = cv2.resize(np.clip(reading.picture, 0, 1), (width, height), interpolation=cv2.INTER_AREA)
    panel = np.ascontiguousarray(np.rint(shown * 255).astype(np.uint8))
    over = layout.of("over")
    for patch in layout.patches:
        name = patch.name
        if kind == "laid":
            if patch.group == "over":
                continue
            if patch.group == "under":
                name = f"{patch.name}+{over[layout.of('under').index(patch)].name}"
        if name in at:
            _mark(panel, patch.where, found, at[name])
    return panel


def _mark(panel: Image, where: Rectangle, found: Findings, at: int) -> None:
    x, y, width, height = (round(one * _SCALE) for one in where)
    off = found.difference[at]
    colour = _OUT if not found.kept[at] else _GOOD if off <= 2 else _FAIR if off <= 5 else _POOR
    third = width // 3
    middle = panel[y + third : y + height - third, x + third : x + width - third]
    # As bright and as warm as the box is there: a good prediction cannot be seen.
    shown = light_from_srgb(np.median(middle.reshape(-1, 3), axis=0) / 255)
    share = np.maximum(found.predicted[at], 1e-4) / np.maximum(found.measured[at], 1e-4)
    middle[:] = np.rint(255 * srgb_from_light(np.clip(shown * share, 0, 1)))
    cv2.rectangle(panel, (x, y), (x + width, y + height), colour, 2)
    if not found.kept[at]:
        cv2.line(panel, (x, y), (x + width, y + height), colour, 2)
        cv2.line(panel, (x + width, y), (x, y + height), colour, 2)
