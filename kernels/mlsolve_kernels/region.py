"""A rectangle of an image."""

from typing import NamedTuple


class Region(NamedTuple):
    """Rows top … bottom - 1 and columns left … right - 1 of an image."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def height(self) -> int:
        """Number of rows."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.right - self.left

    def grown(self, margin: int, height: int, width: int) -> "Region":
        """Return the region enlarged by `margin` pixels on every side, clipped to an image of height × width."""
        return Region(
            max(0, self.top - margin),
            min(height, self.bottom + margin),
            max(0, self.left - margin),
            min(width, self.right + margin),
        )

    def within(self, other: "Region") -> "Region":
        """Return the region in the coordinates of `other`, whose top left corner is (0, 0)."""
        return Region(
            self.top - other.top, self.bottom - other.top, self.left - other.left, self.right - other.left
        )
