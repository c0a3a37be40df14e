"""Frames → an animated GIF."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from ..errors import OptionError, OutputError
from ..pictures.picture_files import write_bytes
from ..system.memory import available_memory, in_words
from .lasting import lasting

Frame = npt.NDArray[np.uint8]

MOST_FRAMES_A_SECOND: Final = 50.0
"""Whoever shows GIFs takes two hundredths of a second as the least."""
_COLOURS: Final = 8
_DITHER: Final = 2
_OWN_TABLE: Final = 1
"""What cv2 calls 256 colours, every frame's its own, and as much dither as hides the steps and no more."""
_COPIES: Final = 3
"""How often the frames are held while a GIF is made, at the most."""
_TICKS: Final = 100
"""A GIF counts in hundredths of a second."""


def check(path: Path) -> None:
    """Raise OptionError if no GIF can be written here, to `path` or elsewhere."""
    if not (hasattr(cv2, "imencodeanimation") and cv2.haveImageWriter(".gif")):
        raise OptionError(
            f"{path} cannot be written by OpenCV {cv2.__version__}: write .webp, "
            "or pip install 'opencv-python-headless>=4.12'"
        )


def write(path: Path, frames: Iterator[Frame], fps: float) -> None:
    """Write `frames`, one or more (h, w, 3) uint8 sRGB of one size, as a GIF that repeats for ever.

    Every frame that differs from the one before it is held in memory until all are known. Raises OptionError where
    they would not fit, OutputError where the file system refuses.
    """
    free = available_memory()
    held: list[Frame] = []
    durations: list[int] = []
    for frame, duration in lasting(frames, fps, _TICKS):
        held.append(np.ascontiguousarray(frame[..., ::-1]))
        durations.append(1000 // _TICKS * duration)
        needed = _COPIES * len(held) * frame.nbytes
        if free is not None and needed > free:
            raise OptionError(
                f"{path} takes more than the {in_words(free)} of memory that are free: write .webp, "
                "or fewer or smaller frames"
            )
    write_bytes(path, _encoded(path, held, durations))


def _encoded(path: Path, frames: list[Frame], durations: list[int]) -> bytes:
    """Return the GIF of `frames`, blue first, that last so many ms."""
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
