"""A picture as its file stores it, before its colours are made sRGB: what the decoders give."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy.typing as npt

CHUNK: Final = 1 << 18
"""Bytes that decoders give at a time, about: less costs time for every call, more costs memory."""

Mode = Literal["L", "RGB", "CMYK"]

BANDS: Final[dict[Mode, int]] = {"L": 1, "RGB": 3, "CMYK": 4}
"""Channels of a mode without alpha."""


@dataclass(frozen=True)
class Stored:
    """What a file holds, and how to get at it.

    size: (width, height) as stored. mode: what the first channels are; one more is alpha, if `alpha` says so.
    chunks: gives the rows from the first to the last, whenever it is called, as (h, width, channels) uint8 or,
    for 16 bits, uint16; it may raise anything if the file is damaged. chunk_rows: rows it gives at a time.
    held: bytes the decoder holds besides.
    """

    size: tuple[int, int]
    mode: Mode
    alpha: bool
    bits: Literal[8, 16]
    orientation: int
    profile: bytes | None
    chunks: Callable[[], Iterator[npt.NDArray[Any]]]
    chunk_rows: int
    held: int


def rows_at_a_time(row_bytes: int, step: int, height: int) -> int:
    """Return how many rows to decode at a time: a multiple of `step`, CHUNK bytes or little more, or all."""
    return min(max(1, CHUNK // (row_bytes * step)) * step, max(height, 1))
