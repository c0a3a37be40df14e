"""The directory of a TIFF, read without its pixels: what libvips does not tell of."""

import struct
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

_TYPES: Final = {3: "u2", 4: "u4", 16: "u8"}
"""Types of the values that are wanted (TIFF 6.0, section 2): SHORT, LONG and BigTIFF's LONG8."""


def read(path: Path, wanted: tuple[int, ...]) -> dict[int, npt.NDArray[np.uint64]]:
    """Return those of the tags `wanted` that the first directory of the TIFF or BigTIFF `path` has.

    Tags of other types than whole numbers are left out. Raises ValueError or struct.error where the file ends.
    """
    with path.open("rb") as file:
        head = file.read(16)
        order = "<" if head[:2] == b"II" else ">"
        big = struct.unpack(order + "H", head[2:4])[0] == 43
        place, count = (order + "Q", order + "Q") if big else (order + "I", order + "H")
        room = struct.calcsize(place)
        file.seek(struct.unpack_from(place, head, 8 if big else 4)[0])
        (entries,) = struct.unpack(count, file.read(struct.calcsize(count)))
        directory = file.read(entries * (4 + 2 * room))
        found = {}
        for start in range(0, len(directory), 4 + 2 * room):
            tag, kind = struct.unpack_from(order + "HH", directory, start)
            if tag not in wanted or kind not in _TYPES:
                continue
            (items,) = struct.unpack_from(place, directory, start + 4)
            values = np.dtype(order + _TYPES[kind])
            content = directory[start + 4 + room : start + 4 + 2 * room]
            if items * values.itemsize > room:
                file.seek(struct.unpack(place, content)[0])
                content = file.read(items * values.itemsize)
            found[tag] = np.frombuffer(content, values, items).astype(np.uint64)
    return found
