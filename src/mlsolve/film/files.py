"""Frames → a film in a file, whole or not at all."""

import itertools
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from ..errors import OptionError, OutputError
from ..images import write_bytes
from ..images.files import refusals
from ..memory import available_memory, in_words
from ..options import number
from .script import MOST_FRAMES_A_SECOND

Frame = npt.NDArray[np.uint8]

SUFFIXES: Final = (".mp4", ".gif")
MOST_OF_A_GIF: Final = 50.0
"""Frames a second: whoever shows GIFs takes two hundredths of a second as the least."""
_COLOURS: Final = 8
_DITHER: Final = 2
_OWN_TABLE: Final = 1
"""What cv2 calls 256 colours, every frame's its own, and as much dither as hides the steps and no more."""
_COPIES: Final = 3
"""How often the frames of a GIF are held while it is made, at the most."""


def check_film(path: Path, fps: float, overwrite: bool = False) -> None:
    """Raise OptionError or OutputError, in one line, if no film of `fps` frames a second can go to `path`."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise OptionError(f"{path} does not end in {' or '.join(SUFFIXES)}: films are written as MP4 and as GIF")
    number("fps", fps, 1.0, MOST_FRAMES_A_SECOND)
    if suffix == ".gif" and fps > MOST_OF_A_GIF:
        raise OptionError(f"fps is {fps:g}: a GIF shows {MOST_OF_A_GIF:g} at the most, lower it or write .mp4")
    if suffix == ".gif" and not (hasattr(cv2, "imencodeanimation") and cv2.haveImageWriter(".gif")):
        raise OptionError(
            f"{path} cannot be written by OpenCV {cv2.__version__}: write .mp4, "
            "or pip install 'opencv-python-headless>=4.12'"
        )
    if path.is_dir():
        raise OutputError(f"{path} is a folder: give the name of a file")
    if os.path.lexists(path) and not overwrite:
        raise OutputError(f"{path} exists already: choose another name or add --overwrite")
    if not path.absolute().parent.is_dir():
        raise OutputError(f"{path} cannot be written: there is no folder {path.parent}, make it first")


def write_film(path: Path, frames: Iterable[Frame], fps: float, overwrite: bool = False) -> None:
    """Write `frames`, each (h, w, 3) uint8 sRGB of one size, to `path`, .mp4 or .gif, whole or not at all.

    fps: frames a second. An MP4 holds one frame in memory at a time and wants even sides; a GIF, which is written
    once all frames are known, holds every frame that differs from the one before it, and repeats for ever.

    Raises OptionError for what cannot be written like that, OutputError where the file system refuses.
    """
    check_film(path, fps, overwrite)
    coming = iter(frames)
    first = next(coming, None)
    if first is None:
        raise OptionError("there are no frames: give one or more")
    every = itertools.chain([first], coming)
    if path.suffix.lower() == ".gif":
        write_bytes(path, _gif(path, every, fps))
    else:
        _write_mp4(path, every, first.shape, fps)


def _write_mp4(path: Path, frames: Iterator[Frame], shape: tuple[int, ...], fps: float) -> None:
    """Write an MP4 beside `path` and let it take its place once it has been found to be whole."""
    height, width = shape[:2]
    if height % 2 or width % 2:
        raise OptionError(f"frames are {width}×{height}: an MP4 wants even sides, give another size or write .gif")
    # cv2 knows formats by the suffix. The name is cut short, for it may be as long as the file system allows.
    partial = path.with_name(f".{path.stem[:40]}.partial-{os.getpid()}.mp4")
    try:
        with refusals(path):
            partial.touch()
            writer = cv2.VideoWriter(str(partial), cv2.VideoWriter.fourcc(*"mp4v"), fps, (width, height))
            try:
                if not writer.isOpened():
                    raise OutputError(f"{path} cannot be written: OpenCV found no encoder for MP4, write .gif")
                count = 0
                for frame in frames:
                    _check_shape(frame, shape)
                    writer.write(np.ascontiguousarray(frame[..., ::-1]))
                    count += 1
            finally:
                writer.release()
            # OpenCV does not tell of a full disk.
            if not _is_whole(partial, count):
                raise OutputError(f"{path} cannot be written whole: see whether the disk is full")
            with partial.open("rb") as file:
                os.fsync(file.fileno())
            partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _is_whole(path: Path, count: int) -> bool:
    """Whether there are `count` frames in the MP4 `path`."""
    reader = cv2.VideoCapture(str(path))
    try:
        return reader.isOpened() and round(reader.get(cv2.CAP_PROP_FRAME_COUNT)) == count
    finally:
        reader.release()


def _gif(path: Path, frames: Iterator[Frame], fps: float) -> bytes:
    """Return an animated GIF; a frame like the one before makes that one last longer."""
    free = available_memory()
    held: list[Frame] = []
    ends: list[int] = []
    shape: tuple[int, ...] = ()
    for count, frame in enumerate(frames, start=1):
        shape = shape or frame.shape
        _check_shape(frame, shape)
        if held and np.array_equal(held[-1][..., ::-1], frame):
            ends[-1] = count
            continue
        held.append(np.ascontiguousarray(frame[..., ::-1]))
        ends.append(count)
        needed = _COPIES * len(held) * frame.nbytes
        if free is not None and needed > free:
            raise OptionError(
                f"{path} takes more than the {in_words(free)} of memory that are free: write .mp4, "
                "or fewer or smaller frames"
            )
    animation: Any = cv2.Animation()
    animation.frames = held
    # In hundredths of a second, whose errors do not add up.
    moments = [round(100 * end / fps) for end in [0, *ends]]
    animation.durations = [10 * (end - begin) for begin, end in itertools.pairwise(moments)]
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
        raise OutputError(f"{path} cannot be written: OpenCV made no GIF of {len(held)} frames, write .mp4")
    return bytes(data)


def _check_shape(frame: Frame, shape: tuple[int, ...]) -> None:
    if frame.shape != shape or frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8:
        raise OptionError(
            f"a frame has shape {frame.shape} and type {frame.dtype}: give (h, w, 3) uint8, all of one size"
        )
