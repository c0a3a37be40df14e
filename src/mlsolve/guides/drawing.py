"""The base class of guides: pictures that can be drawn region by region."""

import threading
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Final, Generic, TypeVar

import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]
"""(H, W, 3) uint8 sRGB."""


Result = TypeVar("Result")


class Kept(Generic[Result]):
    """A function whose last results are kept: each is made once, even if several threads ask at once."""

    def __init__(self, make: Callable[..., Result], most: int) -> None:
        """make: a function of hashable arguments. most: results to keep."""
        self._make, self._most = make, most
        self._lock = threading.Lock()
        self._results: OrderedDict[tuple[Hashable, ...], Future[Result]] = OrderedDict()

    def __call__(self, *key: Hashable) -> Result:
        """Return make(*key)."""
        with self._lock:
            found = self._results.get(key)
            mine = found is None
            if found is None:
                found = self._results[key] = Future()
                while len(self._results) > self._most:
                    self._results.popitem(last=False)
            else:
                self._results.move_to_end(key)
        if mine:
            try:
                found.set_result(self._make(*key))
            except BaseException as error:
                with self._lock:
                    self._results.pop(key, None)
                found.set_exception(error)
                raise
        return found.result()

    def clear(self) -> None:
        """Forget all results."""
        with self._lock:
            self._results.clear()


@contextmanager
def opencv_alone() -> Iterator[None]:
    """Let OpenCV use only the thread that calls it: tiles are drawn in several threads."""
    import cv2  # here, because a job of photos needs none of it

    with _LOCK:
        _BEFORE.append(cv2.getNumThreads())
        cv2.setNumThreads(1)
    try:
        yield
    finally:
        with _LOCK:
            before = _BEFORE[0]
            _BEFORE.pop()
            if not _BEFORE:  # the last of several that run at the same time
                cv2.setNumThreads(before)


_LOCK: Final = threading.Lock()
_BEFORE: Final = list[int]()
"""OpenCV's threads before each block that is under way; the first was set from outside."""


class Drawing(ABC):
    """A picture of `size` = (width, height) that is drawn region by region, always with the same pixels.

    Several threads may draw regions of it at the same time.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        """size: (width, height) in pixels."""
        self.size = size

    def region(self, top: int, bottom: int, left: int, right: int) -> Picture:
        """Return rows top … bottom - 1 of columns left … right - 1, (bottom - top, right - left, 3) uint8 sRGB.

        The bytes equal those of the same part of the complete picture. Memory is that of the region plus a fixed
        amount. Raises ValueError if the region is empty or extends beyond the picture.
        """
        width, height = self.size
        if not (0 <= top < bottom <= height and 0 <= left < right <= width):
            raise ValueError(f"region is {(top, bottom, left, right)}: the picture is {width}×{height} pixels")
        picture = np.empty((bottom - top, right - left, 3), dtype=np.uint8)
        self._draw(picture, top, left)
        return picture

    def whole(self) -> Picture:
        """Return the complete picture, (H, W, 3) uint8 sRGB."""
        width, height = self.size
        return self.region(0, height, 0, width)

    @abstractmethod
    def _draw(self, picture: Picture, top: int, left: int) -> None:
        """Fill `picture` with the region of the same shape whose first pixel is at (top, left)."""
