"""Colours for the generated guides."""

import re
from typing import Final

import numpy as np
import numpy.typing as npt

from ..errors import OptionError

Palette = npt.NDArray[np.float32]
"""(n, 3) float32 sRGB in [0, 1], n ≥ 2, from dark to light."""

PALETTES: Final = {
    "ember": "#1f0f12,#7a1f23,#d1492e,#f2a541,#fbe9c6",
    "lagoon": "#06202b,#0b4f6c,#2a9d8f,#8fd3c1,#f4f1de",
    "meadow": "#16261a,#2f6b3a,#8ab446,#e9d758,#fdf6dc",
    "dusk": "#1b1530,#4a2f73,#a23b72,#f18f6b,#fde8d0",
    "ink": "#101014,#3b3f4a,#7d838f,#c3c7cd,#f7f7f5",
    "festival": "#14213d,#c1121f,#2a9d8f,#f4a300,#fff3e0",
}
"""Named palettes as hexadecimal sRGB colours, from dark to light."""


def palette(name: str | None, seed: int) -> Palette:
    """Return a palette, (n, 3) float32 sRGB in [0, 1].

    name: a key of PALETTES, or two or more hexadecimal colours separated by commas; None: `seed` chooses one.
    Raises OptionError for anything else.
    """
    if name is None:
        name = list(PALETTES)[seed % len(PALETTES)]
    colours = PALETTES.get(name, name).split(",")
    if len(colours) < 2 or not all(re.fullmatch(r"#[0-9a-fA-F]{6}", colour) for colour in colours):
        raise OptionError(
            f"palette is {name!r}: use {', '.join(PALETTES)}, or two or more colours like '#112233,#ddeeff'"
        )
    codes = [[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in colours]
    return np.array(codes, dtype=np.float32) / np.float32(255)


def shade(colours: Palette, position: float) -> tuple[float, float, float]:
    """Return the sRGB colour in [0, 1] at `position`: 0 is the first colour, 1 the last, linear in between."""
    at = min(max(position, 0.0), 1.0) * (len(colours) - 1)
    low = min(int(at), len(colours) - 2)
    red, green, blue = colours[low] + (colours[low + 1] - colours[low]) * np.float32(at - low)
    return float(red), float(green), float(blue)
