"""The base class of guides: pictures that can be drawn region by region."""

from abc import ABC, abstractmethod

import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]
"""(H, W, 3) uint8 sRGB."""


class Drawing(ABC):
    """A picture of `size` = (width, height) that is drawn region by region, always with the same pixels."""

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
