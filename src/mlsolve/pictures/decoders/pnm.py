"""Decodes binary PBM, PGM and PPM of any size: a header in text, followed by the pixels."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from ..declared.colour_space import Mode
from .stored import Stored, rows_at_a_time

_FIELD: Final = rb"(?:\s|#[^\n]*\n)+(\d+)"
_HEADER: Final = {
    b"P4": re.compile(rb"P4" + _FIELD * 2 + rb"\s"),
    b"P5": re.compile(rb"P5" + _FIELD * 3 + rb"\s"),
    b"P6": re.compile(rb"P6" + _FIELD * 3 + rb"\s"),
}


def describe(path: Path) -> Stored:
    """Return the description of the PBM, PGM or PPM file `path`; raises ValueError if its header is invalid."""
    with path.open("rb") as file:
        start = file.read(4096)
    header = _HEADER[start[:2]].match(start)
    if header is None:
        raise ValueError("no header")
    numbers = [int(number) for number in header.groups()]
    width, height, largest = numbers if len(numbers) == 3 else (*numbers, 1)
    if not (width and height and 0 < largest < 65536):
        raise ValueError(f"a header of {width}×{height} pixels up to {largest}")
    packed, colour, deep = start[:2] == b"P4", start[:2] == b"P6", largest > 255
    planes = 3 if colour else 1
    row_bytes = (width + 7) // 8 if packed else width * planes * (2 if deep else 1)
    chunk_rows = rows_at_a_time(width * planes * (2 if deep else 1), 1, height)
    top_code = 65535 if deep else 255

    def chunks(_: object) -> Iterator[npt.NDArray[Any]]:  # these formats declare no colours, so there is no step
        with path.open("rb") as file:
            file.seek(header.end())
            for top in range(0, height, chunk_rows):
                rows = min(chunk_rows, height - top)
                data = file.read(rows * row_bytes)
                if len(data) < rows * row_bytes:
                    raise ValueError("the last rows are missing")
                yield decoded(data, rows)

    def decoded(data: bytes, rows: int) -> npt.NDArray[Any]:
        codes: npt.NDArray[Any] = np.frombuffer(data, ">u2" if deep else np.uint8)
        if packed:
            bits = np.unpackbits(codes.reshape(rows, row_bytes), axis=1, count=width)
            return np.asarray((1 - bits) * np.uint8(255)).reshape(rows, width, 1)
        if largest != top_code:
            scaled = (codes.astype(np.uint32) * (2 * top_code) + largest) // (2 * largest)
            codes = np.minimum(scaled, top_code)
        return codes.astype(np.uint16 if deep else np.uint8).reshape(rows, width, planes)

    mode: Mode = "RGB" if colour else "L"
    depth: Literal[8, 16] = 16 if deep else 8
    held = chunk_rows * width * planes * 8
    return Stored((width, height), mode, False, depth, 1, None, chunks, chunk_rows, held)
