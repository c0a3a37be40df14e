"""The base class of picture writers: takes any number of rows at a time, and encodes them in blocks of its own."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, ClassVar, Final, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from ...errors import OutputError
from ...system.files import Partial, refusals

LARGEST_SIDE: Final = 2**31 - 1
"""Maximum side in pixels: the limit of PNG, and of TIFF decoders that use signed numbers."""

_Writer = TypeVar("_Writer", bound="RowWriter")


@dataclass(frozen=True)
class Encoded:
    """Some rows, as a file holds them."""

    rows: int
    parts: list[bytes]
    """What is written, in this order."""
    sums: list[tuple[int, int]] = field(default_factory=list)
    """Adler-32 and length of what was compressed, where the format needs them."""


class RowWriter(ABC):
    """A picture file that is written from the top, completely or not at all.

    size: (width, height) in pixels. planes: 1 for grey, 3 for sRGB. bits: 8 or 16. dpi: pixels per inch on paper;
    None: unknown. tagged: whether it declares its colours as sRGB; device codes declare none, so that no driver
    converts them. To be used in a `with` statement: at its end, when all rows are written, the file gets its name;
    after an error it is removed. Raises OutputError if the file cannot be written, and ValueError for other
    arguments, or for too few or too many rows.

    Rows are given to `write`, any number at a time. Or, to use several threads, parts of `part_rows` rows are given
    to `encode`, in any thread and order, and what it returns to `add`, in order. The bytes are the same.
    """

    part_rows: ClassVar[int]
    """Rows of a part, except the last one."""

    def __init__(
        self,
        path: Path,
        size: tuple[int, int],
        planes: int,
        bits: int,
        dpi: float | None = None,
        tagged: bool = True,
    ) -> None:
        """Check the arguments. Nothing is written before the `with` statement begins."""
        if not all(1 <= side <= LARGEST_SIDE for side in size):
            raise OutputError(f"{path} would be {size[0]}×{size[1]} pixels: a side may be 1 to {LARGEST_SIDE}")
        if planes not in (1, 3):
            raise ValueError(f"planes is {planes}: give 1 or 3")
        if bits not in (8, 16):
            raise ValueError(f"bits is {bits}: give 8 or 16")
        if dpi is not None and not 0 < dpi < 1e6:
            raise ValueError(f"dpi is {dpi}: give a number above 0 and below a million, or None")
        self.path, self.size, self.planes, self.bits, self.dpi = path, size, planes, bits, dpi
        self.tagged = tagged
        self._done = 0
        self._filled = 0
        self._block: npt.NDArray[Any] | None = None

    @property
    def row_bytes(self) -> int:
        """Bytes per row of pixels."""
        return self.size[0] * self.planes * self.bits // 8

    def __enter__(self: _Writer) -> _Writer:
        """Open the file under a temporary name."""
        with refusals(self.path):
            self._partial = Partial(self.path)
            try:
                self._begin(self._partial.file)
            except BaseException:
                self._partial.discard()
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]:
        """Give the file its name, or remove it after an error."""
        try:
            if kind is None:
                self._finish()
        finally:
            self._partial.discard()
        return False

    def write(self, rows: npt.NDArray[Any]) -> None:
        """Write the next rows, (h, width, planes) sRGB code values, uint8 or uint16 according to `bits`."""
        wanted = np.uint8 if self.bits == 8 else np.uint16
        if rows.ndim != 3 or rows.shape[1:] != (self.size[0], self.planes) or rows.dtype != wanted:
            raise ValueError(
                f"rows is {rows.shape} {rows.dtype}: give (h, {self.size[0]}, {self.planes}) {np.dtype(wanted)}"
            )
        if self._done + self._filled + len(rows) > self.size[1]:
            raise ValueError(f"rows exceed the height of {self.size[1]}: give no more than that")
        if self._block is None:
            self._block = np.empty((min(self._block_rows(), self.size[1]), *rows.shape[1:]), wanted)
        start = 0
        while start < len(rows):
            part = rows[start : start + len(self._block) - self._filled]
            self._block[self._filled : self._filled + len(part)] = part
            self._filled += len(part)
            start += len(part)
            if self._filled == len(self._block):
                self._flush()

    @abstractmethod
    def encode(self, rows: npt.NDArray[Any], top: int) -> Encoded:
        """Return a part encoded: contiguous `rows` as for `write`, from row `top` on, a multiple of `part_rows`."""

    def add(self, encoded: Encoded) -> None:
        """Write the next part, which `encode` returned."""
        with refusals(self.path):
            self._append(self._partial.file, encoded)
        self._done += encoded.rows

    def _flush(self) -> None:
        if self._block is not None and self._filled:
            self.add(self._encode_block(self._block[: self._filled], self._done))
            self._filled = 0

    def _finish(self) -> None:
        self._flush()
        if self._done < self.size[1]:
            raise ValueError(f"only {self._done} of {self.size[1]} rows were written to {self.path}: give all")
        with refusals(self.path):
            self._end(self._partial.file)
            self._partial.keep()

    @abstractmethod
    def _block_rows(self) -> int:
        """Return how many rows are encoded at a time."""

    @abstractmethod
    def _begin(self, file: BinaryIO) -> None:
        """Write the part of the file before the pixels."""

    @abstractmethod
    def _encode_block(self, block: npt.NDArray[Any], top: int) -> Encoded:
        """Return the next `_block_rows()` rows, or fewer at the end, encoded; top: the first one's number."""

    @abstractmethod
    def _append(self, file: BinaryIO, encoded: Encoded) -> None:
        """Write what was encoded."""

    @abstractmethod
    def _end(self, file: BinaryIO) -> None:
        """Write the part of the file after the pixels."""
