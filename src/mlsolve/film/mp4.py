"""Frames → an MP4 that browsers play: H.264, by PyAV, which the extra `film` brings."""

import itertools
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO, Final

import cv2
import numpy as np
import numpy.typing as npt

from ..errors import OptionError, OutputError, first_line
from ..system.files import Partial, refusals

Frame = npt.NDArray[np.uint8]

_ENCODER: Final = "libx264"
SETTINGS: Final = {
    # 40 dB; at 23, x264's own, the dark around the box falls into blocks.
    "crf": "19",
    # A fifth less time than with medium, and 3 % more bytes; what is faster still loses half a decibel.
    "preset": "fast",
    # The bytes depend on the number, so it is the same on every machine; with mbtree, which would save a tenth,
    # they differ from run to run.
    "threads": "4",
    "thread_type": "frame",
    "x264-params": "mbtree=0",
    # How players get back to sRGB: planes_of is the matrix of BT.709, and its primaries are those of sRGB.
    "colorspace": "bt709",
    "color_primaries": "bt709",
    "color_trc": "iec61966-2-1",
    "color_range": "tv",
}
_MOST_PIXELS: Final = 16384
"""Longest side that x264 takes."""
_FINEST_RATE: Final = 1001
"""Largest denominator of a frame rate, that of 30000/1001."""

_RED, _BLUE = 0.2126, 0.0722
_LUMA: Final = np.array([_RED, 1 - _RED - _BLUE, _BLUE])
"""What red, green and blue count for in the luma of BT.709."""
_TO_LUMA: Final = np.array([[*(219 / 255 * _LUMA), 16]], dtype=np.float32)
_TO_CHROMA: Final = np.array(
    [
        [*(224 / 255 * (np.eye(3)[2] - _LUMA) / (2 * (1 - _BLUE))), 128],
        [*(224 / 255 * (np.eye(3)[0] - _LUMA) / (2 * (1 - _RED))), 128],
    ],
    dtype=np.float32,
)
"""From code values to those of limited range: weights of red, green, blue, and what is added."""
_ACROSS, _DOWN = np.array([0.25, 0.5, 0.25]), np.array([0.5, 0.5])
"""A value of chroma lies, as H.264 has it, on the left pixels of its four, between the rows."""


def remedy() -> str | None:
    """Return what to install so that an MP4 can be written here, or None if all is here."""
    try:
        import av
    except ImportError:
        return "PyAV: pip install 'mlsolve[film]'"
    if _ENCODER not in av.codecs_available:
        return "a PyAV with x264, as its wheels are: pip install --force-reinstall av"
    return None


def check(path: Path) -> None:
    """Raise OptionError if no MP4 can be written here, to `path` or elsewhere."""
    wanted = remedy()
    if wanted is not None:
        raise OptionError(f"{path} takes {wanted}, or write .webp")


def write(path: Path, frames: Iterator[Frame], fps: float) -> None:
    """Write `frames`, one or more (h, w, 3) uint8 sRGB of one size with even h and w, as H.264 in yuv420p.

    A few dozen frames are held in memory. The same frames give the same bytes, where PyAV is the same. Raises
    OptionError for odd or too long sides, OutputError where the file system or the encoder refuses.
    """
    import av

    first = next(frames)
    height, width = first.shape[:2]
    if height % 2 or width % 2 or max(height, width) > _MOST_PIXELS:
        raise OptionError(
            f"frames are {width}×{height}: an MP4 wants even sides of {_MOST_PIXELS} pixels at the most, "
            "give another size or write .webp or .gif"
        )
    with refusals(path):
        partial = Partial(path)
        try:
            _encode(partial.file, (width, height), itertools.chain([first], frames), fps)
            partial.keep()
        except av.FFmpegError as error:
            raise OutputError(f"{path} cannot be written: {first_line(error)}, write .webp") from None
        finally:
            partial.discard()


def _encode(file: BinaryIO, size: tuple[int, int], frames: Iterator[Frame], fps: float) -> None:
    """Write the whole of an MP4 into `file`, a new one; size: (width, height) of every frame."""
    import av

    def open_again(*_: object) -> BinaryIO:
        """Open the file to be read as well: once all is written, it moves back to make room for the index."""
        file.flush()
        return Path(file.name).open("rb", buffering=0)

    # PyAV takes the name from the file and, up to 18, trips over what is not ASCII in it, or not UTF-8.
    unnamed = SimpleNamespace(write=file.write, seek=file.seek, tell=file.tell)
    options = {"movflags": "faststart"}
    container = av.open(unnamed, "w", format="mp4", options=options, io_open=open_again)
    try:
        rate = Fraction(fps).limit_denominator(_FINEST_RATE)
        stream = container.add_stream(_ENCODER, rate, options=SETTINGS)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        for number, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(planes_of(frame), format="yuv420p")
            picture.pts = number
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    except BaseException:
        # What a full disk did not take, closing tries to write once more, and tells less of it.
        with suppress(av.FFmpegError, OSError):
            container.close()
        raise
    container.close()


def planes_of(frame: Frame) -> Frame:
    """Return a frame, (h, w, 3) uint8 sRGB, in yuv420p: (3h/2, w) uint8, luma and below it the two of chroma."""
    luma: Any = cv2.transform(frame.astype(np.float32), _TO_LUMA)
    means = cv2.sepFilter2D(frame, cv2.CV_32F, _ACROSS, _DOWN, anchor=(1, 0), borderType=cv2.BORDER_REPLICATE)
    chroma: Any = cv2.transform(np.ascontiguousarray(means[::2, ::2]), _TO_CHROMA)
    values = np.concatenate([plane.ravel() for plane in (luma, chroma[..., 0], chroma[..., 1])])
    return np.asarray(np.rint(values), dtype=np.uint8).reshape(-1, frame.shape[1])
