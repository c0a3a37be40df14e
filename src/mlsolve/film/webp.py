"""Writes frames to an animated WebP.

Pillow encodes the single pictures, and this module assembles them, in the container of RFC 9649. Pillow's own
animations hold all frames in memory and are no smaller.
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
from .durations import with_durations

Frame = npt.NDArray[np.uint8]
"""(h, w, 3) uint8 sRGB."""

MOST_FRAMES_A_SECOND: Final = 90.0
"""Browsers show a frame whose duration is 10 ms or less for 100 ms."""
_QUALITY: Final = 80
"""Of 100. Gives 37 dB for moving sheets and 41 dB for a still picture; at 90 the file is 50 % larger."""
_EFFORT: Final = 4
"""Of 6. At 2 encoding takes half the time, and the file is 5 % larger."""
_MOST_PIXELS: Final = 16383
"""Maximum side of a lossy WebP in pixels."""
MOST_BYTES: Final = 2**32 - 10
"""Maximum size of a RIFF file."""
_TICKS: Final = 1000
"""Ticks per second: a WebP counts in milliseconds."""
_ANIMATED: Final = 2
"""Flag in the VP8X chunk: the file is an animation."""
_REPLACES: Final = 2
"""Flag of a frame that replaces the pixels of the previous one instead of being blended with them."""
_FOREVER: Final = 0
_SIZE_AT: Final = 4
"""Offset of the file size in a RIFF file."""


def check(path: Path) -> None:
    """Raise OptionError if WebP files cannot be written here; `path` stands in the message."""
    if not features.check("webp"):
        raise OptionError(
            f"{path} cannot be written: this Pillow was built without WebP, write .gif, or pip install pillow"
        )


def write(path: Path, frames: Iterator[Frame], fps: float) -> None:
    """Write `frames`, one or more (h, w, 3) uint8 sRGB of the same size, as a lossy WebP that repeats forever.

    Two frames are held in memory. Only the part of a frame that differs from the previous one is encoded. The same
    frames give the same bytes. Raises OptionError for frames or a film that are too large, OutputError if the file
    cannot be written.
    """
    with refusals(path):
        partial = Partial(path)
        try:
            _write(partial.file, path, with_durations(frames, fps, _TICKS))
            partial.keep()
        finally:
            partial.discard()


def _write(file: BinaryIO, path: Path, frames: Iterator[tuple[Frame, int]]) -> None:
    """Write a complete WebP to `file`. frames: pairs of a frame and its duration in milliseconds."""
    before: Frame | None = None
    for frame, duration in frames:
        if before is None:
            file.write(_head(path, frame))
        rows, columns = _changed(frame, before)
        file.write(_part(frame[rows, columns], (columns.start, rows.start), duration))
        before = frame
        if file.tell() > MOST_BYTES:
            raise OptionError(f"{path} exceeds the 4 GiB limit of WebP: write .mp4, or fewer or smaller frames")
    size = file.tell() - _SIZE_AT - 4
    file.seek(_SIZE_AT)
    file.write(struct.pack("<I", size))


def _head(path: Path, frame: Frame) -> bytes:
    """Return the bytes before the first frame; the size of the file is filled in at the end."""
    height, width = frame.shape[:2]
    if max(height, width) > _MOST_PIXELS:
        raise OptionError(
            f"frames are {width}×{height}: a side of a WebP has at most {_MOST_PIXELS} pixels, give a smaller size"
        )
    flags = struct.pack("<I", _ANIMATED)
    white = b"\xff\xff\xff\xff"
    return b"".join(
        (
            b"RIFF\0\0\0\0WEBP",
            _chunk(b"VP8X", flags + _uint24(width - 1) + _uint24(height - 1)),
            _chunk(b"ANIM", white + struct.pack("<H", _FOREVER)),
        )
    )


def _changed(frame: Frame, before: Frame | None) -> tuple[slice, slice]:
    """Return the smallest ranges of rows and columns with all differences; they start even, as WebP requires."""
    if before is None:
        return slice(0, frame.shape[0]), slice(0, frame.shape[1])
    differs = (frame != before).any(axis=2)
    rows, columns = (np.flatnonzero(differs.any(axis=axis)) for axis in (1, 0))
    return slice(rows[0] // 2 * 2, rows[-1] + 1), slice(columns[0] // 2 * 2, columns[-1] + 1)


def _part(image: Frame, corner: tuple[int, int], duration: int) -> bytes:
    """Return the chunk that shows `image` at `corner` = (x, y), both even, for `duration` milliseconds."""
    (left, top), (height, width) = corner, image.shape[:2]
    place = (left // 2, top // 2, width - 1, height - 1, duration)
    picture = BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(picture, "WEBP", quality=_QUALITY, method=_EFFORT)
    # A still WebP of an RGB picture consists of one chunk, which is put into the chunk of the frame.
    still = picture.getvalue()[len("RIFF....WEBP") :]
    return _chunk(b"ANMF", b"".join(map(_uint24, place)) + bytes([_REPLACES]) + still)


def _chunk(name: bytes, content: bytes) -> bytes:
    """Return a chunk. An odd length would need padding, but none is odd here: Pillow pads what it encodes."""
    return name + struct.pack("<I", len(content)) + content


def _uint24(number: int) -> bytes:
    """Return `number` as three bytes, little-endian."""
    return int(number).to_bytes(3, "little")
