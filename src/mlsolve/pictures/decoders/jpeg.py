"""Determines the kind of a JPEG before decoding, so that unsupported files are not reported as damaged."""

import struct
from pathlib import Path
from typing import BinaryIO, Final

from ...errors import InputError

_FRAMES: Final = {
    0xC0: "baseline",
    0xC1: "extended",
    0xC2: "progressive",
    0xC3: "lossless",
    **dict.fromkeys((0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF), "hierarchical"),
    0xC9: "arithmetic",
    0xCA: "arithmetic",
    0xCB: "lossless arithmetic",
    0xF7: "JPEG-LS",
}
"""Markers that begin a frame, and the coding processes they stand for (ITU-T T.81, table B.1; T.87)."""

_READ: Final = ("baseline", "extended", "progressive", "arithmetic")

_SCAN: Final = 0xDA
_ALONE: Final = (0x01, *range(0xD0, 0xDA))
"""Markers without a length."""


def check(path: Path) -> None:
    """Raise InputError if the JPEG `path` has more than 8 bits or an unsupported coding process."""
    with path.open("rb") as file:
        found = _frame(file)
    if found is None:
        return  # the decoder will report what is missing
    process, bits = found
    if process not in _READ:
        name = process if process == "JPEG-LS" else f"{process} JPEG"
        raise InputError(f"{path} is a {name}, which is not supported: save it as PNG or TIFF")
    if bits != 8:
        raise InputError(
            f"{path} is a JPEG with {bits} bits per sample, only 8 are supported: save it as 16-bit PNG or TIFF"
        )


def _frame(file: BinaryIO) -> tuple[str, int] | None:
    """Return the coding process and the bits per sample of the JPEG `file`; None if it ends before its frame."""
    at = 2
    while True:
        file.seek(at)
        head = file.read(4)
        if len(head) < 4 or head[0] != 0xFF:
            return None
        marker = head[1]
        if marker == 0xFF:  # fill byte
            at += 1
        elif marker in _ALONE:
            at += 2
        elif marker in _FRAMES:
            precision = file.read(1)
            return (_FRAMES[marker], precision[0]) if precision else None
        elif marker == _SCAN:
            return None
        else:
            at += 2 + struct.unpack(">H", head[2:])[0]
