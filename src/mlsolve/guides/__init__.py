"""Procedural guides: pictures to lay over other pictures, made from a family, a size and a seed.

What makes a good guide is what SSIM can hold on to: contrast and edges everywhere, no large flat parts.
The same family, size, seed and palette give the same picture.

Knows no files and no jobs. Called by job, run and the command line.
"""

from collections.abc import Callable
from typing import Final

from ..errors import OptionError
from .canvas import canvas_bytes
from .drawing import Drawing, Picture
from .kaleidoscope import Kaleidoscope, block_bytes, kaleidoscope
from .mosaic import mosaic
from .palette import PALETTES, Palette, palette
from .rosette import rosette

__all__ = [
    "FAMILIES",
    "PALETTES",
    "Drawing",
    "Palette",
    "Picture",
    "drawing_bytes",
    "generate",
    "generated",
    "kaleidoscope",
    "mosaic",
    "palette",
    "rosette",
]


def _mosaic_kaleidoscope(size: tuple[int, int], seed: int, colours: Palette) -> Kaleidoscope:
    """A kaleidoscope of a mosaic, for those who have no photo at hand."""
    photo = mosaic(_photo_size(size), seed, colours)
    return Kaleidoscope(photo.region, photo.size, size, seed, fold=4 + seed % 5)


def _photo_size(size: tuple[int, int]) -> tuple[int, int]:
    """Return the size of the mosaic that such a kaleidoscope shows."""
    return max(size), max(size)


FAMILIES: Final[dict[str, Callable[[tuple[int, int], int, Palette], Drawing]]] = {
    "rosette": rosette,
    "mosaic": mosaic,
    "kaleidoscope": _mosaic_kaleidoscope,
}
"""The generated families, by name, in the order in which `mlsolve run` takes them."""


def generate(family: str, size: tuple[int, int], seed: int = 0, palette_name: str | None = None) -> Picture:
    """Return a guide, (H, W, 3) uint8 sRGB; as `generated`, drawn whole."""
    return generated(family, size, seed, palette_name).whole()


def generated(family: str, size: tuple[int, int], seed: int = 0, palette_name: str | None = None) -> Drawing:
    """Return a guide of which any region can be had, with the bytes of the whole.

    family: a key of FAMILIES. size: (width, height). seed: 0 or more. palette_name: a key of PALETTES or
    hexadecimal colours, "#112233,#ddeeff"; None: chosen by the seed. Raises OptionError for a family or a
    palette that is not known.
    """
    if family not in FAMILIES:
        raise OptionError(f"guide family is {family!r}: use {', '.join(FAMILIES)}")
    return FAMILIES[family](size, seed, palette(palette_name, seed))


def drawing_bytes(family: str, size: tuple[int, int], side: int) -> int:
    """Return the memory that drawing a generated guide in regions of `side` × `side` takes, but for the regions.

    family: a key of FAMILIES. size: (width, height) in pixels.
    """
    if family == "kaleidoscope":
        photo_size = _photo_size(size)
        return canvas_bytes(photo_size) + block_bytes(photo_size, size, side)
    return canvas_bytes(size)
