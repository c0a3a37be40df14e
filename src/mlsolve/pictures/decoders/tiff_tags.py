"""Reads the directory of a TIFF, without its pixels, for the tags that libvips does not report."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

import numpy as np
import numpy.typing as npt

_SHORT: Final = 3
_TYPES: Final = {_SHORT: "u2", 4: "u4", 16: "u8"}
"""Types of values that are read (TIFF 6.0, section 2): SHORT, LONG and BigTIFF's LONG8."""

_MOST_TAGS: Final = 65535
"""Maximum number of tags in a TIFF. A BigTIFF could have more, but a larger number is taken for damage."""


class Entry(NamedTuple):
    """A tag in the first directory of a TIFF."""

    tag: int
    kind: int
    """Type of its values."""
    items: int
    """Number of values."""
    at: int
    """Offset in the file of its values, or, if they do not fit into the entry, of their offset."""


class Layout(NamedTuple):
    """Byte order, and the `struct` formats of offsets in the file and of the number of tags."""

    order: str
    place: str
    number: str


def read(path: Path, wanted: tuple[int, ...]) -> dict[int, npt.NDArray[np.uint64]]:
    """Return the values of the tags `wanted` in the first directory of the TIFF or BigTIFF `path`, by tag.

    Tags that are missing or are not unsigned integers are left out. Raises ValueError or struct.error if the file
    is truncated.
    """
    found = {}
    size = path.stat().st_size
    with path.open("rb") as file:
        layout = _layout(file)
        for entry in list(_entries(file, layout)):
            if entry.tag not in wanted or entry.kind not in _TYPES:
                continue
            values = np.dtype(layout.order + _TYPES[entry.kind])
            if entry.items * values.itemsize > size:
                raise ValueError(f"a tag of {entry.items} values")
            file.seek(entry.at)
            if entry.items * values.itemsize > struct.calcsize(layout.place):
                file.seek(struct.unpack(layout.place, file.read(struct.calcsize(layout.place)))[0])
            content = file.read(entry.items * values.itemsize)
            found[entry.tag] = np.frombuffer(content, values, entry.items).astype(np.uint64)
    return found


def place_of(path: Path, tag: int) -> tuple[int, str]:
    """Return the offset in the TIFF `path` of the value of `tag`, a single SHORT, and its `struct` format.

    Raises ValueError if there is no such tag, struct.error if the file is truncated.
    """
    with path.open("rb") as file:
        layout = _layout(file)
        for entry in _entries(file, layout):
            if entry.tag == tag and entry.kind == _SHORT and entry.items == 1:
                return entry.at, layout.order + "H"
    raise ValueError(f"no tag {tag}")


def _layout(file: BinaryIO) -> Layout:
    """Return the layout of `file`, which differs between TIFF and BigTIFF."""
    file.seek(0)
    head = file.read(4)
    order = "<" if head[:2] == b"II" else ">"
    big = struct.unpack(order + "H", head[2:])[0] == 43
    return Layout(order, order + "Q", order + "Q") if big else Layout(order, order + "I", order + "H")


def _entries(file: BinaryIO, layout: Layout) -> Iterator[Entry]:
    """Yield the entries of the first directory."""
    room = struct.calcsize(layout.place)
    file.seek(8 if room == 8 else 4)
    (start,) = struct.unpack(layout.place, file.read(room))
    file.seek(start)
    (count,) = struct.unpack(layout.number, file.read(struct.calcsize(layout.number)))
    if count > _MOST_TAGS:
        raise ValueError(f"a directory of {count} tags")
    at, size = file.tell(), 4 + 2 * room
    directory = file.read(count * size)
    for begin in range(0, len(directory), size):
        tag, kind = struct.unpack_from(layout.order + "HH", directory, begin)
        (items,) = struct.unpack_from(layout.place, directory, begin + 4)
        yield Entry(tag, kind, items, at + begin + 4 + room)
