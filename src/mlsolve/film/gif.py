"""Writes frames to an animated GIF."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from ..errors import OptionError, OutputError
from ..pictures.picture_files import write_bytes
from ..system.memory import available_memory, in_words
from .durations import with_durations

Frame = npt.NDArray[np.uint8]
"""(h, w, 3) uint8 sRGB."""

MOST_FRAMES_A_SECOND: Final = 50.0
"""Programs that show GIFs treat 20 ms as the shortest duration of a frame."""
_COLOURS: Final = 8
_DITHER: Final = 2
_OWN_TABLE: Final = 1
"""Settings of cv2: 256 colours, just enough dither to hide steps between them, and a colour table per frame."""
_COPIES: Final = 3
"""Maximum number of copies of the frames in memory while a GIF is encoded."""
_TICKS: Final = 100
"""Ticks per second: a GIF counts in hundredths of a second."""


def check(path: Path) -> None:
    """Raise OptionError if GIF files cannot be written here; `path` stands in the message."""
    if not (hasattr(cv2, "imencodeanimation") and cv2.haveImageWriter(".gif")):
        raise OptionError(
            f"{path} cannot be written by OpenCV {cv2.__version__}: write .webp, "
            "or pip install 'opencv-python-headless>=4.12'"
        )


def write(path: Path, frames: Iterator[Frame], fps: float) -> None:
    """Write `frames`, one or more (h, w, 3) uint8 sRGB of the same size, as a GIF that repeats forever.

    Every frame that differs from the previous one is held in memory until all are known. Raises OptionError if they
    do not fit into memory, OutputError if the file cannot be written.
    """
    free = available_memory()
    held: list[Frame] = []
    durations: list[int] = []
    for frame, duration in with_durations(frames, fps, _TICKS):
        held.append(np.ascontiguousarray(frame[..., ::-1]))
        durations.append(1000 // _TICKS * duration)
        needed = _COPIES * len(held) * frame.nbytes
        if free is not None and needed > free:
            raise OptionError(
                f"{path} needs more than the {in_words(free)} of memory that are free: write .webp, "
                "or fewer or smaller frames"
            )
    write_bytes(path, _encoded(path, held, durations))


def _encoded(path: Path, frames: list[Frame], durations: list[int]) -> bytes:
    """Return a complete GIF. frames: (h, w, 3) uint8, blue first. durations: one per frame, in milliseconds."""
    animation: Any = cv2.Animation()
    animation.frames = frames
    animation.durations = durations
    animation.loop_count = 0
    how = [
        cv2.IMWRITE_GIF_QUALITY,
        _COLOURS,
        cv2.IMWRITE_GIF_DITHER,
        _DITHER,
        cv2.IMWRITE_GIF_COLORTABLE,
        _OWN_TABLE,
    ]
    done, data = cv2.imencodeanimation(".gif", animation, how)
    if not done:
        raise OutputError(f"{path} cannot be written: OpenCV made no GIF of {len(frames)} frames, write .webp")
    return bytes(data)
