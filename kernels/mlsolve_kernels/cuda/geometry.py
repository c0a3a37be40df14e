"""How the CUDA passes divide an image: the widths their sources are compiled with, and their grids.

A block of THREADS threads takes a strip of columns and walks down a piece of its rows (ssim/stream.cuh).
"""

from typing import Final, NamedTuple

from ..window import RADIUS, REACH

THREADS: Final = 64
"""Threads of a block. Few: a block keeps its rows in shared memory, of which older chips have 64 KiB."""

COLUMNS: Final = 2
"""Columns a thread has: their windows fill its registers, and two share most of what they read."""

AHEAD: Final = 2
"""Rows fetched ahead of their use."""

SUMMING: Final = 256
"""Threads of the block that adds up the sums of all blocks."""

TILE: Final = 32
"""Side of the squares in which sheets are placed: a warp has a row of one."""

CARRYING: Final = 256
"""Threads of a block of the kernels that take pixels by themselves, square by square or one after the other."""

MARGIN: Final = RADIUS + RADIUS % COLUMNS
"""Columns on either side of a block's own in which it forms partials: RADIUS, and one more to stay aligned."""

SPAN: Final = THREADS * COLUMNS
"""Columns in which a block forms partials."""

OWN: Final = SPAN - 2 * MARGIN
"""Columns whose gradient a block gives: the width of a strip."""

FETCHED: Final = SPAN + 2 * MARGIN
"""Columns of a row that a block fetches."""

ALIGNMENT: Final = 32
"""Rows of device images begin at multiples of so many float32: 128 bytes, a line of the L2 cache."""

LONGEST_PIECE: Final = 256
"""Rows of a piece at the most: 8 % of its steps go into rows above and below it."""

assert COLUMNS * LONGEST_PIECE <= 2**9, "a thread's sum of so many values of 2²² quanta fits 32 bits"
assert ALIGNMENT % TILE == 0, "squares end where rows end"
assert OWN % 4 == 0, "strips begin at multiples of sixteen bytes"
assert FETCHED % 4 == 0, "rows are fetched by sixteen bytes"
assert 2 * MARGIN >= REACH, "an iteration looks REACH far"


def pitch_of(width: int) -> int:
    """Return the float32 from row to row of a device image `width` pixels wide."""
    return -(-width // ALIGNMENT) * ALIGNMENT


class Grid(NamedTuple):
    """The blocks of a pass."""

    planes: int
    strips: int
    pieces: int
    rows: int
    """Rows of a piece; the last may be shorter."""

    @property
    def blocks(self) -> int:
        """Blocks in all."""
        return self.planes * self.strips * self.pieces


def grid_for(planes: int, height: int, width: int, resident: int) -> Grid:
    """Return the grid of a pass over `planes` planes of `height` × `width` pixels.

    resident: how many blocks the device runs at a time. Pieces are as long as keeps all of them busy: a wave of
    blocks takes the steps of one piece, which are its rows and 2·REACH more.
    """
    strips = -(-width // OWN)
    best = Grid(planes, strips, 1, height)
    least = None
    for pieces in range(-(-height // LONGEST_PIECE), max(1, height // RADIUS) + 1):
        rows = -(-height // pieces)
        grid = Grid(planes, strips, -(-height // rows), rows)
        steps = -(-grid.blocks // resident) * (rows + 2 * REACH)
        if least is None or steps < least:
            best, least = grid, steps
    return best


def tiles_for(planes: int, height: int, width: int) -> tuple[int, int, int]:
    """Return the grid of a kernel that takes `planes` planes of `height` × `width` pixels square by square."""
    return pitch_of(width) // TILE, -(-height // TILE), planes


_QUARTERS: Final = 4
_REGISTERS: Final = 16384
"""A multiprocessor has so many schedulers, each with so many registers of its own, on every chip since Volta."""

_UNIT: Final = 256
"""Registers are handed to a warp by so many."""

_WARPS: Final = 32
_BLOCKS: Final = 16
"""Warps and blocks that a multiprocessor of the smallest chip holds at the most."""

RESERVED: Final = 1024
"""Bytes of shared memory that the system takes for each block."""


def resident_blocks(registers: int, shared: int, threads: int, shared_memory: int) -> int:
    """Return how many blocks of a kernel a multiprocessor runs at a time, at least 1: for want of a driver to ask.

    registers: of a thread; shared: bytes of a block; shared_memory: bytes of the multiprocessor. A warp has its
    registers from one scheduler, so what is left over at each of the four is lost (bench/LOG.md #69).
    """
    of_a_warp = -(-registers * 32 // _UNIT) * _UNIT
    warps = min(_WARPS, _QUARTERS * (_REGISTERS // of_a_warp))
    by_warps = warps // -(-threads // 32)
    return max(1, min(_BLOCKS, by_warps, shared_memory // (shared + RESERVED)))
