"""A picture as its file stores it, before its colours are made sRGB: what the decoders give."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy.typing as npt

from ..declared.colour_space import ColourSpace, Mode

CHUNK: Final = 1 << 18
"""Bytes that decoders give at a time, about: less costs time for every call, more costs memory."""

BANDS: Final[dict[Mode, int]] = {"L": 1, "RGB": 3, "CMYK": 4, "LAB": 3}
"""Channels of a mode without alpha."""


@dataclass(frozen=True)
class Stored:
    """What a file holds, and how to get at it.

    size: (width, height) as stored. mode: what the first channels are; one more is alpha, if `alpha` says so.
    colours: what the file says of them, an ICC profile or a colour space; None: nothing, or that they are sRGB.
    frames: of an animation, of which the first is read. chunks: gives the rows from the first to the last, whenever
    it is called, as (h, width, channels) uint8 or, for 16 bits, uint16, CIELAB as ICC profiles encode it; its
    colours changed by a step of libvips' pipeline unless that is None. It may raise anything if the file is
    damaged. chunk_rows: rows it gives at a time. held: bytes the decoder holds besides.
    """

    size: tuple[int, int]
    mode: Mode
    alpha: bool
    bits: Literal[8, 16]
    orientation: int
    colours: bytes | ColourSpace | None
    chunks: Callable[[Callable[[Any], Any] | None], Iterator[npt.NDArray[Any]]]
    chunk_rows: int
    held: int
    frames: int = 1


def rows_at_a_time(row_bytes: int, step: int, height: int) -> int:
    """Return how many rows to decode at a time: a multiple of `step`, CHUNK bytes or little more, or all."""
    return min(max(1, CHUNK // (row_bytes * step)) * step, max(height, 1))
