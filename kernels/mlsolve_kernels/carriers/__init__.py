"""Carriers: masks that say which sheet of a stack carries the detail of a place; the target moves with them.

A misaligned sheet takes the detail that it carries along. So the target of an iteration is put together from
itself, moved as each sheet is, weighted by the mask of that sheet, moved likewise (docs/maths.md §9).
"""

from typing import Final

FIXED: Final = 2.0**-12
"""Weight of the unmoved target beside the masks, which sum to 1: it fills gaps that no carrier reaches."""

SPARED: Final = 0.5
"""Share of the leak's weight that a sheet is spared where it is the carrier. It must show the picture there, but it
can be fainter: if all of it is spared, less is hidden for the same sharpness (bench/LOG.md)."""
