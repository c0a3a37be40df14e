"""The sizes of the levels, from coarse to fine."""

from typing import Final

from mlsolve_kernels.window import SIZE

from ..errors import OptionError

COARSEST_SIDE: Final = 32
"""Short side in pixels below which a level is not worth solving; it decides if `levels` is None."""


def level_shapes(height: int, width: int, levels: int | None) -> list[tuple[int, int]]:
    """Return the (height, width) of every level, from the coarsest to the full size.

    Each level is half the next finer one, rounded up. levels: the number of levels; None to choose it. Raises
    OptionError if the coarsest level would be smaller than the window.
    """
    shapes = [(height, width)]
    while levels is None or len(shapes) < levels:
        shape = (-(-shapes[0][0] // 2), -(-shapes[0][1] // 2))
        if levels is None and min(shape) < COARSEST_SIDE:
            break
        if min(shape) < SIZE:
            raise OptionError(
                f"levels is {levels}: a picture of {width}×{height} pixels allows at most {len(shapes)}, "
                f"because the coarsest level must be at least {SIZE} pixels high and wide"
            )
        shapes.insert(0, shape)
    return shapes
