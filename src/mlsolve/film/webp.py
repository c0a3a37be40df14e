"""Frames → an animated WebP.

Pillow encodes pictures, and here they are put together: its own animations hold all frames in memory, and come out
no smaller. The container is that of RFC 9649.
"""

import struct
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
import numpy.typing as npt
from PIL import Image, features

from ..errors import OptionError
from ..system.files import Partial, refusals
from .lasting import lasting

Frame = npt.NDArray[np.uint8]

MOST_FRAMES_A_SECOND: Final = 90.0
"""Browsers show a frame of ten ms or less for a tenth of a second."""
_QUALITY: Final = 80
"""Of 100: 37 dB for sheets that move, 41 dB for a picture that stands; at 90 half as much again is written."""
_EFFORT: Final = 4
"""Of 6. Less is faster and larger: at 2 half the time, and a twentieth more."""
_MOST_PIXELS: Final = 16383
"""Longest side of a lossy WebP."""
MOST_BYTES: Final = 2**32 - 10
"""What a RIFF file can hold."""
_TICKS: Final = 1000
"""A WebP counts in ms."""
_ANIMATED: Final = 2
"""The flag in VP8X."""
_REPLACES: Final = 2
"""The flag of a frame that is laid over the one before it without being blended with it."""
_FOREVER: Final = 0
_SIZE_AT: Final = 4
"""Where the size of a RIFF file stands in it."""


def check(path: Path) -> None:
    """Raise OptionError if no WebP can be written here, to `path` or elsewhere."""
    if not features.check("webp"):
        raise OptionError(
            f"{path} cannot be written, for this Pillow was built without WebP: write .gif, or pip install pillow"
        )


def write(path: Path, frames: Iterator[Frame], fps: float) -> None:
    """Write `frames`, one or more (h, w, 3) uint8 sRGB of one size, as a lossy WebP that repeats for ever.

    Two frames are held in memory. Of each, the part that differs from the frame before it is encoded; the same
    frames give the same bytes. Raises OptionError for frames that are too large, OutputError where the file system
    refuses.
    """
    with refusals(path):
        partial = Partial(path)
        try:
            _write(partial.file, path, lasting(frames, fps, _TICKS))
            partial.keep()
        finally:
            partial.discard()


def _write(file: BinaryIO, path: Path, frames: Iterator[tuple[Frame, int]]) -> None:
    """Write the whole of a WebP into `file`, of frames that last so many ms."""
    before: Frame | None = None
    for frame, duration in frames:
        if before is None:
            file.write(_head(path, frame))
        rows, columns = _changed(frame, before)
        file.write(_part(frame[rows, columns], (columns.start, rows.start), duration))
        before = frame
        if file.tell() > MOST_BYTES:
            raise OptionError(f"{path} takes more than the 4 GiB of a WebP: write .mp4, or fewer or smaller frames")
    size = file.tell() - _SIZE_AT - 4
    file.seek(_SIZE_AT)
    file.write(struct.pack("<I", size))


def _head(path: Path, frame: Frame) -> bytes:
    """Return what stands before the first frame; the size of the file is filled in at the end."""
    height, width = frame.shape[:2]
    if max(height, width) > _MOST_PIXELS:
        raise OptionError(
            f"frames are {width}×{height}: a WebP has {_MOST_PIXELS} pixels a side at the most, give a smaller size"
        )
    flags = struct.pack("<I", _ANIMATED)
    white = b"\xff\xff\xff\xff"
    return b"".join(
        (
            b"RIFF\0\0\0\0WEBP",
            _chunk(b"VP8X", flags + _three(width - 1) + _three(height - 1)),
            _chunk(b"ANIM", white + struct.pack("<H", _FOREVER)),
        )
    )


def _changed(frame: Frame, before: Frame | None) -> tuple[slice, slice]:
    """Return the least rows and columns that hold all that differs; they begin at even ones, as WebP wants it."""
    if before is None:
        return slice(0, frame.shape[0]), slice(0, frame.shape[1])
    differs = (frame != before).any(axis=2)
    rows, columns = (np.flatnonzero(differs.any(axis=axis)) for axis in (1, 0))
    return slice(rows[0] // 2 * 2, rows[-1] + 1), slice(columns[0] // 2 * 2, columns[-1] + 1)


def _part(image: Frame, corner: tuple[int, int], duration: int) -> bytes:
    """Return the chunk that lays `image` at `corner`, (x, y) and even, for so many ms."""
    (left, top), (height, width) = corner, image.shape[:2]
    place = (left // 2, top // 2, width - 1, height - 1, duration)
    picture = BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(picture, "WEBP", quality=_QUALITY, method=_EFFORT)
    # A still WebP of an RGB picture is a file of one chunk, which goes into that of the frame.
    still = picture.getvalue()[len("RIFF....WEBP") :]
    return _chunk(b"ANMF", b"".join(map(_three, place)) + bytes([_REPLACES]) + still)


def _chunk(name: bytes, content: bytes) -> bytes:
    """Return a chunk. Odd lengths would want one more byte; none here is odd, for Pillow fills up what it makes."""
    return name + struct.pack("<I", len(content)) + content


def _three(number: int) -> bytes:
    return int(number).to_bytes(3, "little")
