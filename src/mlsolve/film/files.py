"""Writes frames to a film file, completely or not at all."""

import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import OptionError, OutputError
from ..ranges import number
from . import gif, mp4, webp
from .script import MOST_FRAMES_A_SECOND

Frame = npt.NDArray[np.uint8]
"""(h, w, 3) uint8 sRGB."""


class _Kind(NamedTuple):
    """One kind of film and how to write it."""

    name: str
    most_frames_a_second: float
    check: Callable[[Path], None]
    write: Callable[[Path, Iterator[Frame], float], None]


_KINDS: Final = {
    ".mp4": _Kind("MP4", MOST_FRAMES_A_SECOND, mp4.check, mp4.write),
    ".webp": _Kind("WebP", webp.MOST_FRAMES_A_SECOND, webp.check, webp.write),
    ".gif": _Kind("GIF", gif.MOST_FRAMES_A_SECOND, gif.check, gif.write),
}


def usual_suffix() -> str:
    """Return the suffix of the best kind of film that can be written here: .mp4 with PyAV, otherwise .webp."""
    return ".webp" if mp4.remedy() else ".mp4"


def check_film(path: Path, fps: float, overwrite: bool = False) -> None:
    """Raise OptionError or OutputError, in one line, if a film of `fps` frames per second cannot go to `path`."""
    kind = _KINDS.get(path.suffix.lower())
    if kind is None:
        raise OptionError(f"{path} does not end in .mp4, .webp or .gif: give a name that does")
    number("fps", fps, 1.0, MOST_FRAMES_A_SECOND)
    if fps > kind.most_frames_a_second:
        raise OptionError(
            f"fps is {fps:g}: {kind.name} allows at most {kind.most_frames_a_second:g}, lower it or write .mp4"
        )
    kind.check(path)
    if path.is_dir():
        raise OutputError(f"{path} is a folder: give the name of a file")
    if os.path.lexists(path) and not overwrite:
        raise OutputError(f"{path} exists already: choose another name or add --overwrite")
    if not path.absolute().parent.is_dir():
        raise OutputError(f"{path} cannot be written: there is no folder {path.parent}, create it first")


def write_film(path: Path, frames: Iterable[Frame], fps: float, overwrite: bool = False) -> None:
    """Write `frames`, each (h, w, 3) uint8 sRGB of the same size, to `path`, completely or not at all.

    fps: frames per second. The suffix of `path` determines the kind: .mp4 is H.264, requires PyAV, and needs even
    sides; .webp and .gif are animated pictures that repeat forever. A GIF is written when all frames are known, so
    every frame that differs from the previous one is held in memory; the others hold a few frames.

    Raises OptionError for a film that cannot be written in this way, OutputError if the file cannot be written.
    """
    check_film(path, fps, overwrite)
    coming = iter(frames)
    first = next(coming, None)
    if first is None:
        raise OptionError("there are no frames: give one or more")
    _KINDS[path.suffix.lower()].write(path, _alike(itertools.chain([first], coming), first.shape), fps)


def _alike(frames: Iterable[Frame], shape: tuple[int, ...]) -> Iterator[Frame]:
    """Yield `frames`. Raises OptionError at one that is not (h, w, 3) uint8 of the given `shape`."""
    for frame in frames:
        if frame.shape != shape or frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8:
            raise OptionError(
                f"a frame has shape {frame.shape} and type {frame.dtype}: give (h, w, 3) uint8, all of equal size"
            )
        yield frame
