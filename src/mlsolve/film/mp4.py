"""Writes frames to an MP4 (H.264) that browsers can play, with PyAV, which the extra `film` installs."""

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
"""(h, w, 3) uint8 sRGB."""

_ENCODER: Final = "libx264"
SETTINGS: Final = {
    # 40 dB. At 23, the default of x264, the dark area around the box shows blocks.
    "crf": "19",
    # 20 % less time than "medium" and 3 % more bytes; faster presets lose half a decibel.
    "preset": "fast",
    # The bytes depend on the number of threads, so it is fixed. With mbtree, which would save 10 % of the bytes,
    # they differ from run to run.
    "threads": "4",
    "thread_type": "frame",
    "x264-params": "mbtree=0",
    # Tells players how to get back to sRGB: planes_of uses the matrix of BT.709, whose primaries are those of sRGB.
    "colorspace": "bt709",
    "color_primaries": "bt709",
    "color_trc": "iec61966-2-1",
    "color_range": "tv",
}
_MOST_PIXELS: Final = 16384
"""Maximum side in pixels that x264 accepts."""
_FINEST_RATE: Final = 1001
"""Maximum denominator of a frame rate, as in 30000/1001."""

_RED, _BLUE = 0.2126, 0.0722
_LUMA: Final = np.array([_RED, 1 - _RED - _BLUE, _BLUE])
"""Weights of red, green and blue in the luma of BT.709."""
_TO_LUMA: Final = np.array([[*(219 / 255 * _LUMA), 16]], dtype=np.float32)
_TO_CHROMA: Final = np.array(
    [
        [*(224 / 255 * (np.eye(3)[2] - _LUMA) / (2 * (1 - _BLUE))), 128],
        [*(224 / 255 * (np.eye(3)[0] - _LUMA) / (2 * (1 - _RED))), 128],
    ],
    dtype=np.float32,
)
"""From sRGB code values to codes of limited range: the weights of red, green and blue, and an offset."""
_ACROSS, _DOWN = np.array([0.25, 0.5, 0.25]), np.array([0.5, 0.5])
"""Filters of chroma: in H.264 a chroma sample is at the left two of its four pixels, midway between the rows."""


def remedy() -> str | None:
    """Return what must be installed before an MP4 can be written here; None if nothing is missing."""
    try:
        import av
    except ImportError:
        return "PyAV: pip install 'mlsolve[film]'"
    if _ENCODER not in av.codecs_available:
        return "a PyAV with x264, which its wheels include: pip install --force-reinstall av"
    return None


def check(path: Path) -> None:
    """Raise OptionError if MP4 files cannot be written here; `path` stands in the message."""
    wanted = remedy()
    if wanted is not None:
        raise OptionError(f"{path} needs {wanted}, or write .webp")


def write(path: Path, frames: Iterator[Frame], fps: float) -> None:
    """Write `frames`, one or more (h, w, 3) uint8 sRGB of the same size with even h and w, as H.264 in yuv420p.

    A few dozen frames are held in memory. The same frames give the same bytes with the same version of PyAV. Raises
    OptionError if a side is odd or too long, OutputError if the file cannot be written or the encoder fails.
    """
    import av

    first = next(frames)
    height, width = first.shape[:2]
    if height % 2 or width % 2 or max(height, width) > _MOST_PIXELS:
        raise OptionError(
            f"frames are {width}×{height}: an MP4 needs even sides of at most {_MOST_PIXELS} pixels, "
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
    """Write a complete MP4 to the new file `file`. size: (width, height) of every frame in pixels."""
    import av

    def open_again(*_: object) -> BinaryIO:
        """Open the file again for reading: at the end the muxer moves its contents back to insert the index."""
        file.flush()
        return Path(file.name).open("rb", buffering=0)

    # PyAV takes the name from the file, and up to version 18 fails if the name is not ASCII, or not UTF-8.
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
        # On a full disk, close() tries once more to write what is left, and its error says less than the first one.
        with suppress(av.FFmpegError, OSError):
            container.close()
        raise
    container.close()


def planes_of(frame: Frame) -> Frame:
    """Return `frame`, (h, w, 3) uint8 sRGB, in yuv420p: (3h/2, w) uint8, first luma, then both chroma planes."""
    luma: Any = cv2.transform(frame.astype(np.float32), _TO_LUMA)
    means = cv2.sepFilter2D(frame, cv2.CV_32F, _ACROSS, _DOWN, anchor=(1, 0), borderType=cv2.BORDER_REPLICATE)
    chroma: Any = cv2.transform(np.ascontiguousarray(means[::2, ::2]), _TO_CHROMA)
    values = np.concatenate([plane.ravel() for plane in (luma, chroma[..., 0], chroma[..., 1])])
    return np.asarray(np.rint(values), dtype=np.uint8).reshape(-1, frame.shape[1])
