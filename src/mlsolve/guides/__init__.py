"""Procedural guides: pictures generated from a family, a size and a seed.

A good guide has contrast and edges everywhere and no large flat areas, because SSIM depends on structure. The same
family, size, seed and palette give the same picture.

Knows no files and no jobs. Called by job, run and the command line.
"""

from collections.abc import Callable
from typing import Final

from ..errors import OptionError
from .canvas import canvas_bytes
from .drawing import Drawing, Kept, Picture, opencv_alone
from .kaleidoscope import Kaleidoscope, block_bytes, kaleidoscope
from .mosaic import mosaic, polygon_bytes
from .palette import PALETTES, Palette, palette
from .rosette import POLYGON_BYTES, rosette

__all__ = [
    "FAMILIES",
    "PALETTES",
    "Drawing",
    "Kept",
    "Palette",
    "Picture",
    "drawing_bytes",
    "generate",
    "generated",
    "kaleidoscope",
    "mosaic",
    "opencv_alone",
    "palette",
    "rosette",
]


def _mosaic_kaleidoscope(size: tuple[int, int], seed: int, colours: Palette) -> Kaleidoscope:
    """Return a kaleidoscope whose photo is a generated mosaic, so that no photo is needed."""
    photo = mosaic(_photo_size(size), seed, colours)
    return Kaleidoscope(photo.region, photo.size, size, seed, fold=4 + seed % 5)


def _photo_size(size: tuple[int, int]) -> tuple[int, int]:
    """Return (width, height) of the mosaic in a generated kaleidoscope of `size`, in pixels."""
    return max(size), max(size)


FAMILIES: Final[dict[str, Callable[[tuple[int, int], int, Palette], Drawing]]] = {
    "rosette": rosette,
    "mosaic": mosaic,
    "kaleidoscope": _mosaic_kaleidoscope,
}
"""The generated families by name, in the order in which `mlsolve run` uses them."""


def generate(family: str, size: tuple[int, int], seed: int = 0, palette_name: str | None = None) -> Picture:
    """Return a complete guide, (H, W, 3) uint8 sRGB. Arguments and errors as for `generated`."""
    return generated(family, size, seed, palette_name).whole()


def generated(family: str, size: tuple[int, int], seed: int = 0, palette_name: str | None = None) -> Drawing:
    """Return a guide that can be drawn region by region; a region has the same bytes as in the complete picture.

    family: a key of FAMILIES. size: (width, height) in pixels. seed: 0 or more. palette_name: a key of PALETTES or
    hexadecimal colours such as "#112233,#ddeeff"; None: the seed chooses one. Raises OptionError if the family or
    the palette is unknown.
    """
    if family not in FAMILIES:
        raise OptionError(f"guide family is {family!r}: use {', '.join(FAMILIES)}")
    return FAMILIES[family](size, seed, palette(palette_name, seed))


def drawing_bytes(family: str, size: tuple[int, int], side: int) -> int:
    """Return the bytes needed to draw a generated guide in regions, excluding the regions themselves.

    family: a key of FAMILIES. size: (width, height) in pixels. side: width and height of a region in pixels.
    """
    if family == "kaleidoscope":
        photo_size = _photo_size(size)
        return drawing_bytes("mosaic", photo_size, side) + block_bytes(photo_size, size, side)
    return canvas_bytes(size) + (POLYGON_BYTES if family == "rosette" else polygon_bytes(size))
