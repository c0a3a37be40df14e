"""Writes tiled TIFF, a row of tiles at a time (TIFF 6.0, or BigTIFF if 32-bit offsets might not suffice)."""

import struct
from array import array
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Final

import numpy as np
import numpy.typing as npt

from .deflating import WHOLE, deflated
from .rows import Encoded, RowWriter
from .srgb_profile import grey_profile, srgb_profile

TILE: Final = 256

BIG: Final = 2**31
"""Files with more bytes of pixels are BigTIFF. It is half the range of offsets: deflate may expand noise."""

_ASCII, _SHORT, _LONG, _RATIONAL, _UNDEFINED, _LONG8 = 2, 3, 4, 5, 7, 16
_LAYOUT: Final = {_ASCII: "u1", _SHORT: "<u2", _LONG: "<u4", _RATIONAL: "<u4", _UNDEFINED: "u1", _LONG8: "<u8"}
"""Types of values in a directory (TIFF 6.0, section 2), and their names in NumPy."""

_DEFLATE, _HORIZONTAL, _INCH = 8, 2, 2


class TiffWriter(RowWriter):
    """A TIFF of deflated tiles. `write` takes the memory of at most two rows of tiles.

    profile: the ICC profile of its codes, if it is `tagged`; None: that of sRGB. Four planes are CMYK, which needs
    one.
    """

    part_rows: ClassVar[int] = TILE
    kinds: ClassVar[tuple[int, ...]] = (1, 3, 4)

    def __init__(
        self,
        path: Path,
        size: tuple[int, int],
        planes: int,
        bits: int,
        dpi: float | None = None,
        tagged: bool = True,
        profile: bytes | None = None,
        description: str = "",
    ) -> None:
        """Check the arguments. Nothing is written before the `with` statement begins.

        description: words for ImageDescription, in which letters beyond ASCII become "?".
        """
        super().__init__(path, size, planes, bits, dpi, tagged)
        if planes == 4 and profile is None:
            raise ValueError("planes is 4: give the profile of the inks")
        self._description = description
        self._profile = profile or (grey_profile() if planes == 1 else srgb_profile())

    def _block_rows(self) -> int:
        return TILE

    def _begin(self, file: BinaryIO) -> None:
        self._big = self.row_bytes * self.size[1] > BIG
        self._offsets, self._lengths = array("Q"), array("Q")
        # The offset of the directory is filled in at the end.
        file.write(struct.pack("<2sHHHQ", b"II", 43, 8, 0, 0) if self._big else struct.pack("<2sHI", b"II", 42, 0))

    def encode(self, rows: npt.NDArray[Any], top: int) -> Encoded:
        """Return a row of tiles; see RowWriter."""
        from mlsolve_kernels.codes import cpu  # imported late, because it loads the compiler

        tile = np.empty((TILE, TILE * self.planes), rows.dtype)
        flat, tiles = rows.reshape(len(rows), -1), []
        for start in range(0, flat.shape[1], tile.shape[1]):
            # Differences wrap around, and so does the sum when they are decoded.
            cpu.differences(flat, start, self.planes, tile)
            data = tile.astype(tile.dtype.newbyteorder("<"), copy=False).view(np.uint8)
            tiles.append(deflated(data, cpu.repeats(data), WHOLE))
        return Encoded(len(rows), tiles)

    def _encode_block(self, block: npt.NDArray[Any], top: int) -> Encoded:
        return self.encode(block, top)

    def _append(self, file: BinaryIO, encoded: Encoded) -> None:
        for tile in encoded.parts:
            self._offsets.append(file.tell())
            self._lengths.append(len(tile))
            file.write(tile)

    def _end(self, file: BinaryIO) -> None:
        width, height = self.size
        place = _LONG8 if self._big else _LONG
        tags: list[tuple[int, int, Any]] = [
            (256, _LONG, [width]),
            (257, _LONG, [height]),
            (258, _SHORT, [self.bits] * self.planes),
            (259, _SHORT, [_DEFLATE]),
            (262, _SHORT, [{1: 1, 3: 2, 4: 5}[self.planes]]),
            (277, _SHORT, [self.planes]),
            (284, _SHORT, [1]),
            (317, _SHORT, [_HORIZONTAL]),
            (322, _SHORT, [TILE]),
            (323, _SHORT, [TILE]),
            (324, place, self._offsets),
            (325, place, self._lengths),
        ]
        if self._description:
            tags.append((270, _ASCII, list(self._description.encode("ascii", "replace") + b"\0")))
        if self.tagged:
            tags.append((34675, _UNDEFINED, list(self._profile)))
        if self.dpi is not None:
            ratio = Fraction(self.dpi).limit_denominator(1000)
            resolution = [ratio.numerator, ratio.denominator]
            tags += [(282, _RATIONAL, resolution), (283, _RATIONAL, resolution), (296, _SHORT, [_INCH])]
        self._write_directory(file, sorted(tags, key=lambda tag: tag[0]))

    def _write_directory(self, file: BinaryIO, tags: list[tuple[int, int, Any]]) -> None:
        """Write values that do not fit into the directory, then the directory, then its offset into the header."""
        field, count = ("<Q", "<Q") if self._big else ("<I", "<H")
        room = struct.calcsize(field)
        entries = b""
        for number, kind, values in tags:
            items = len(values) // 2 if kind == _RATIONAL else len(values)
            content = np.asarray(values, _LAYOUT[kind]).tobytes()
            if len(content) > room:
                where = _aligned(file)
                file.write(content)
                content = struct.pack(field, where)
            entries += struct.pack("<HH", number, kind) + struct.pack(field, items) + content.ljust(room, b"\0")
        where = _aligned(file)
        file.write(struct.pack(count, len(tags)) + entries + bytes(room))
        file.seek(8 if self._big else 4)
        file.write(struct.pack(field, where))


def _aligned(file: BinaryIO) -> int:
    """Pad `file` with zeros to a multiple of eight bytes; return its position."""
    file.write(bytes(-file.tell() % 8))
    return file.tell()
