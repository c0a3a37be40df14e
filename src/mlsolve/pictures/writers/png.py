"""PNG, written in strips of rows that are compressed one by one (PNG specification, 3rd edition)."""

import struct
import zlib
from typing import Any, BinaryIO, ClassVar, Final

import numpy as np
import numpy.typing as npt

from ..decoders.png_chunks import SIGNATURE
from .deflating import RAW, deflated, joined_adler
from .rows import Encoded, RowWriter

_STRIP_BYTES: Final = 1 << 18
"""Most bytes of a strip, unless a row has more. Shorter ones gain nothing; longer ones leave the cache."""

_HEADER: Final = b"\x78\x01"
_LAST_BLOCK: Final = b"\x03\x00"
"""The header of a zlib stream, and an empty last block (RFC 1950 and 1951)."""

_PERCEPTUAL: Final = b"\0"


class PngWriter(RowWriter):
    """A PNG. `write` takes the memory of three strips: 256 KiB or a row each.

    Rows have Paeth's filter: on layers, photographs and drawings, no other filter, nor the best filter for each
    row, makes files smaller by more than 0.2 %; without a filter they are 4 to 19 % larger. The first row of a part
    has the filter Sub, which needs no row above, so that parts can be encoded at the same time.
    """

    part_rows: ClassVar[int] = 128

    def _block_rows(self) -> int:
        # A power of two, so that a part consists of whole strips.
        strip = max(1, _STRIP_BYTES // self.row_bytes)
        return min(self.part_rows, 1 << strip.bit_length() - 1)

    def _begin(self, file: BinaryIO) -> None:
        colour_type = 0 if self.planes == 1 else 2
        self._sums: list[tuple[int, int]] = []
        self._above: npt.NDArray[np.uint8] | None = None
        head = struct.pack(">IIBBBBB", *self.size, self.bits, colour_type, 0, 0, 0)
        file.write(SIGNATURE + _chunk(b"IHDR", head))
        if self.tagged:
            file.write(_chunk(b"sRGB", _PERCEPTUAL))
        if self.dpi is not None:
            a_metre = round(self.dpi / 0.0254)
            file.write(_chunk(b"pHYs", struct.pack(">IIB", a_metre, a_metre, 1)))

    def encode(self, rows: npt.NDArray[Any], top: int) -> Encoded:
        """Return `rows` encoded; see RowWriter."""
        parts, sums, above, step = [], [], None, self._block_rows()
        for start in range(0, len(rows), step):
            data, checked, above = self._strip(rows[start : start + step], top + start, above)
            parts.append(data)
            sums.append(checked)
        return Encoded(len(rows), parts, sums)

    def _encode_block(self, block: npt.NDArray[Any], top: int) -> Encoded:
        above = self._above if top % self.part_rows else None
        data, checked, below = self._strip(block, top, above)
        self._above = below.copy()
        return Encoded(len(block), [data], [checked])

    def _strip(
        self, rows: npt.NDArray[Any], top: int, above: npt.NDArray[np.uint8] | None
    ) -> tuple[bytes, tuple[int, int], npt.NDArray[np.uint8]]:
        """Return a strip as a chunk; Adler-32 and length of what it compresses; and the bytes of its last row."""
        from mlsolve_kernels.codes import cpu  # imported late, because it loads the compiler

        codes = (rows if self.bits == 8 else rows.astype(">u2")).view(np.uint8).reshape(len(rows), -1)
        first, before = (cpu.SUB, np.zeros_like(codes[0])) if above is None else (cpu.PAETH, above)
        filtered = np.empty((len(codes), 1 + codes.shape[1]), np.uint8)
        repeats = cpu.filtered(codes, before, first, self.planes * self.bits // 8, filtered)
        data = deflated(filtered, repeats, RAW)
        chunk = _chunk(b"IDAT", data if top else _HEADER + data)
        return chunk, (zlib.adler32(filtered.data), filtered.size), codes[-1]

    def _append(self, file: BinaryIO, encoded: Encoded) -> None:
        for part in encoded.parts:
            file.write(part)
        self._sums += encoded.sums

    def _end(self, file: BinaryIO) -> None:
        end = _LAST_BLOCK + struct.pack(">I", joined_adler(self._sums))
        file.write(_chunk(b"IDAT", end) + _chunk(b"IEND", b""))


def _chunk(name: bytes, content: bytes) -> bytes:
    return b"".join(
        (struct.pack(">I", len(content)), name, content, struct.pack(">I", zlib.crc32(content, zlib.crc32(name))))
    )
