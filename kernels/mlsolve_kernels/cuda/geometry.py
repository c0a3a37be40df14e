"""How the CUDA passes divide an image: the constants with which their sources are compiled, and their grids.

A block of THREADS threads takes a strip of columns and moves down a piece of its rows (ssim/stream.cuh).
"""

import math
from typing import Final, NamedTuple

from ..window import RADIUS, REACH

THREADS: Final = 64
"""Threads of a block. It is small because a block keeps its rows in shared memory: 64 KiB on older chips."""

COLUMNS: Final = 2
"""Columns per thread. Their windows fill its registers, and two columns share most of what they read."""

TILE: Final = 32
"""Side of the squares in which sheets are placed, in pixels: a warp takes one row of a square."""

CARRYING: Final = 256
"""Threads of a block in kernels that process pixels independently, in squares or in memory order."""

MARGIN: Final = RADIUS + RADIUS % COLUMNS
"""Columns on either side of a block's own columns in which it computes partials: RADIUS, and one for alignment."""

SPAN: Final = THREADS * COLUMNS
"""Columns in which a block computes partials."""

OWN: Final = SPAN - 2 * MARGIN
"""Columns whose gradient a block computes: the width of a strip."""

FETCHED: Final = SPAN + 2 * MARGIN
"""Columns of a row that a block fetches."""

ALIGNMENT: Final = 32
"""Rows of device images begin at multiples of this many float32: 128 bytes, a line of the L2 cache."""

LONGEST_PIECE: Final = 255
"""Most rows of a piece; then 5 % of its instructions are spent on rows above and below it."""

UNROLLED: Final = 3
"""Rows of a piece are a multiple of this: the loop of a march takes three steps a turn where rows are fetched two
ahead, otherwise two."""

WARM_UP: Final = 13
"""What a march does before its first row leaves costs as much as so many of the steps that follow."""

assert COLUMNS * LONGEST_PIECE <= 2**9, "a thread's sum of so many values of 2²² quanta fits 32 bits"
assert ALIGNMENT % TILE == 0, "squares end where rows end"
assert LONGEST_PIECE % UNROLLED == 0, "pieces do not become longer when their rows are rounded up"
assert OWN % 4 == 0, "strips begin at multiples of sixteen bytes"
assert FETCHED % 4 == 0, "rows are fetched by sixteen bytes"
assert 2 * MARGIN >= REACH, "an iteration looks REACH far"


def pitch_of(width: int) -> int:
    """Return the distance between rows, in float32, of a device image that is `width` pixels wide."""
    return -(-width // ALIGNMENT) * ALIGNMENT


class Grid(NamedTuple):
    """The blocks of a pass."""

    planes: int
    strips: int
    pieces: int
    rows: int
    """Rows of a piece; the last piece may have fewer."""

    @property
    def blocks(self) -> int:
        """Total number of blocks."""
        return self.planes * self.strips * self.pieces


def grid_for(planes: int, height: int, width: int, resident: int) -> Grid:
    """Return the grid of a pass over `planes` planes of `height` × `width` pixels.

    resident: the number of blocks that the device runs at the same time. The length of pieces minimises the total
    steps: a wave of `resident` blocks takes the steps of one piece, its rows and WARM_UP.
    """
    strips = -(-width // OWN)
    best, least = Grid(planes, strips, 1, height), math.inf
    for pieces in range(-(-height // LONGEST_PIECE), max(1, height // RADIUS) + 1):
        rows = -(-height // (pieces * UNROLLED)) * UNROLLED
        grid = Grid(planes, strips, -(-height // rows), rows)
        steps = -(-grid.blocks // resident) * (rows + WARM_UP)
        if steps < least:
            best, least = grid, steps
    return best


def tiles_for(planes: int, height: int, width: int) -> tuple[int, int, int]:
    """Return the grid of a kernel that processes `planes` planes of `height` × `width` pixels in squares."""
    return pitch_of(width) // TILE, -(-height // TILE), planes


OLDEST: Final = 75
"""Oldest supported compute capability: Turing, the oldest that CUDA 13 supports."""

_SHARED: Final = {75: 64, 80: 164, 87: 164, 90: 228, 100: 228, 103: 228, 110: 228}
"""KiB of shared memory of a multiprocessor, by chip (CUDA C++ Programming Guide, "Compute Capabilities")."""

_USUAL: Final = 100
"""The same of chips that are not in _SHARED: 86, 88, 89, 120, 121."""


def shared_on(chip: int) -> int:
    """Return the bytes of shared memory that a multiprocessor of `chip` (90 for 9.0) has for its blocks."""
    return 1024 * _SHARED.get(chip, _USUAL)


def blocks_on(chip: int, layers: int) -> int:
    """Return how many blocks of a march over `layers` layers a multiprocessor of `chip` (90 for 9.0) is to run.

    Six limit a thread to 168 registers; then each scheduler has three warps to choose from. Chips with less shared
    memory cannot hold the rows of so many, and for more than three layers 168 registers are not enough.
    """
    room = shared_on(chip) // 1024
    if room < _USUAL:
        return 2
    return 6 if room > _USUAL and layers <= 3 else 4


def ahead_on(chip: int, layers: int) -> int:
    """Return how many steps before their use a march over `layers` layers fetches its rows on `chip` (90 for 9.0).

    Two where a multiprocessor has room for the rows; those of more than eight layers do not fit into 48 KiB.
    """
    return 2 if shared_on(chip) == 1024 * max(_SHARED.values()) and layers <= 8 else 1


_QUARTERS: Final = 4
_REGISTERS: Final = 16384
"""Schedulers of a multiprocessor, and registers of each scheduler, on every chip since Volta."""

_UNIT: Final = 256
"""Registers are allocated to a warp in multiples of this number."""

_WARPS: Final = 32
_BLOCKS: Final = 16
"""Most warps and most blocks on a multiprocessor of the smallest chip."""

RESERVED: Final = 1024
"""Bytes of shared memory that the system reserves for each block."""


def resident_blocks(registers: int, shared: int, threads: int, shared_memory: int) -> int:
    """Estimate how many blocks of a kernel a multiprocessor runs at the same time, at least 1.

    It is used if the driver cannot be asked. registers: per thread; shared: bytes per block; shared_memory: bytes
    of the multiprocessor. A warp gets its registers from one scheduler, so the remainder at each of the four is
    lost (bench/LOG.md #69).
    """
    of_a_warp = -(-registers * 32 // _UNIT) * _UNIT
    warps = min(_WARPS, _QUARTERS * (_REGISTERS // of_a_warp))
    by_warps = warps // -(-threads // 32)
    return max(1, min(_BLOCKS, by_warps, shared_memory // (shared + RESERVED)))
