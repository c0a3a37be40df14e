"""The description of a picture as its file stores it, which every decoder returns."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy.typing as npt

from ..declared.colour_space import ColourSpace, Mode

CHUNK: Final = 1 << 18
"""Approximate bytes that decoders return at a time: less costs time for every call, more costs memory."""

BANDS: Final[dict[Mode, int]] = {"L": 1, "RGB": 3, "CMYK": 4, "LAB": 3}
"""Channels of a mode without alpha."""


@dataclass(frozen=True)
class Stored:
    """The properties of a picture file, and a function that decodes it.

    size: (width, height) in pixels, as stored. mode: the meaning of the channels except alpha. alpha: whether
    another channel, the last, is alpha. bits: of a channel. orientation: EXIF orientation. colours: the ICC profile
    or colour space that the file declares; None: it declares none, or sRGB. frames: number of frames or pages; the
    first is read. chunk_rows: rows that `chunks` yields at a time. held: bytes that the decoder holds in addition.

    chunks: called with a step of the libvips pipeline that converts the colours, or None. It yields the rows from
    first to last as (h, width, channels) uint8 or, for 16 bits, uint16; CIELAB is encoded as in ICC profiles. It
    starts over at every call, and may raise any exception if the file is damaged.
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
    """Return how many rows to decode at a time: a multiple of `step` with about CHUNK bytes, or all rows."""
    return min(max(1, CHUNK // (row_bytes * step)) * step, max(height, 1))
