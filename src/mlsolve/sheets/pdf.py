"""Writes the objects of a PDF one after the other (ISO 32000-1), streams of any length among them."""

import zlib
from collections.abc import Iterable
from typing import BinaryIO, Final

_HEAD: Final = b"%PDF-1.6\n%\xe2\xe3\xcf\xd3\n"
"""PDF/X-4 is made of PDF 1.6 (ISO 15930-7); the second line says that the file is binary."""

POINTS: Final = 72 / 25.4
"""Points in a millimetre."""


class Pdf:
    """A PDF that is written from its beginning to its end. OSError from the file system is passed on."""

    def __init__(self, file: BinaryIO) -> None:
        """file: empty, at its beginning."""
        self._file = file
        self._places: list[int] = []
        self._at = 0
        self._put(_HEAD)

    def reserve(self) -> int:
        """Return the number of an object that is written later."""
        self._places.append(0)
        return len(self._places)

    def add(self, body: str | bytes, number: int | None = None) -> int:
        """Write an object; number: a reserved one. Returns its number."""
        number = self.reserve() if number is None else number
        self._places[number - 1] = self._at
        data = body.encode("ascii") if isinstance(body, str) else body
        self._put(b"%d 0 obj\n%b\nendobj\n" % (number, data))
        return number

    def stream(self, entries: str, data: bytes, compress: bool = True) -> int:
        """Write `data` as a stream whose dictionary has `entries`. Returns its number."""
        if compress:
            entries, data = entries + " /Filter /FlateDecode", zlib.compress(data, 9)
        head = f"<< {entries} /Length {len(data)} >>\nstream\n".encode("ascii")
        return self.add(head + data + b"\nendstream")

    def long_stream(self, entries: str, parts: Iterable[bytes]) -> int:
        """Write a stream in parts; its length is an object of its own, after it. Returns its number."""
        number, length = self.reserve(), self.reserve()
        self._places[number - 1] = self._at
        self._put(f"{number} 0 obj\n<< {entries} /Length {length} 0 R >>\nstream\n".encode("ascii"))
        start = self._at
        for part in parts:
            self._put(part)
        size = self._at - start
        self._put(b"\nendstream\nendobj\n")
        self.add(str(size), length)
        return number

    def finish(self, root: int, info: int, identity: str) -> None:
        """Write the table of objects and the trailer. identity: 32 hexadecimal digits that name the file."""
        start = self._at
        count = len(self._places) + 1
        table = "".join(f"{place:010d} 00000 n \n" for place in self._places)
        self._put(
            (
                f"xref\n0 {count}\n0000000000 65535 f \n{table}trailer\n<< /Size {count} /Root {root} 0 R "
                f"/Info {info} 0 R /ID [<{identity}> <{identity}>] >>\nstartxref\n{start}\n%%EOF\n"
            ).encode("ascii")
        )

    def _put(self, data: bytes) -> None:
        self._file.write(data)
        self._at += len(data)


def text_string(text: str) -> str:
    """Return `text` as a string object: UTF-16 with its mark, in hexadecimal digits."""
    return f"<{('﻿' + text).encode('utf-16-be').hex().upper()}>"


def numbers(*values: float) -> str:
    """Return numbers as PDF has them: without exponents, to a tenth of a thousandth."""
    return " ".join(f"{value:.4f}".rstrip("0").rstrip(".") if value % 1 else f"{value:.0f}" for value in values)
