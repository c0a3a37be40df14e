"""The iteration on a GPU for sheets that lie in any number of arrangements: the twin of StepwiseWorkspace in cpu.py.

For every stack: its sheets are placed, multiplied and compared with the target; the gradient by each placed sheet
comes back through the product and then through its placement. Then every layer is compared with its guide, and moved.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..cuda.geometry import CARRYING, SUMMING, Grid, pitch_of, tiles_for
from ..cuda.source import WEIGHTED
from ..placement.cuda import WAY, lines_of
from ..placement.frames import WHOLE, Frame, ways
from ..placement.move import STILL, Moves
from ..region import Region
from .cuda_state import BATCH, CudaState, state_bytes
from .terms import Objective, Shape, Stack, Weights


class _Pass(NamedTuple):
    """How a pass is launched that marches, and where it leaves its sums."""

    kernel: str
    grid: Grid
    pixel_weights: Any
    """(windows, H, pitch) on the device; anything if all pixels count alike."""
    sums: Any
    """A part of the blocks' sums, int64."""


class _Part(NamedTuple):
    """One stack, as its kernels take it."""

    sheets: tuple[int, ...]
    """The layers that lie there."""
    first: int
    """Number of the first of them among the sheets of all stacks."""
    weights: Weights
    target: tuple[Any, Any, Any]
    """Image, means and variances, each (C, H, pitch) on the device."""
    compared: _Pass
    """The placed sheets together, with the target."""
    hidden: _Pass | None
    """Each alone, with the target; None if that does not matter."""


class ArrangedCudaWorkspace(CudaState):
    """The state of an image or a tile with its windows, and the iteration for any arrangements of its layers.

    Besides the state it holds the gradient by the product of a stack and that stack's placed sheets; where sheets must
    not give a picture away a gradient of those as well; and weights of pixels where not all count alike.
    """

    def _allocate(self) -> None:
        super()._allocate()
        (count, planes, height, _), device, objective = self.shape, self._device, self._objective
        sheets = _sheets(objective, count)
        everywhere = [layer for stack in sheets for layer in stack]
        most = max(map(len, sheets))
        hiding = _hiding(objective, sheets)
        self._by_seen = device.zeros(planes, height, self._pitch)
        self._placed = device.zeros(most, planes, height, self._pitch)
        self._by_sheet = device.zeros(hiding, planes, height, self._pitch) if hiding else self._placed
        self._pixel_weights = device.zeros(
            max(1, _weighted(objective)), *((self.windows, height, self._pitch) if _weighted(objective) else (1, 1))
        )
        self._numbers = self._uploaded(np.array(everywhere, dtype=np.int32))
        # A layer's gradient is overwritten by what comes back from the first stack it lies in, and then added to.
        adds = [layer in everywhere[:number] for number, layer in enumerate(everywhere)]
        self._adds = self._uploaded(np.array(adds, dtype=np.int32))
        self._nowhere = [layer for layer in range(count) if layer not in everywhere]
        self._lines = device.zeros(2, BATCH, len(everywhere), self.windows, WAY, dtype=np.int64)
        self._counted = device.zeros(self.windows, 4, dtype=np.int32)
        self._corners = device.zeros(self.windows, 2, dtype=np.int32)
        self._frames: tuple[Frame, ...] = WHOLE
        self._divide(sheets)

    def _divide(self, sheets: list[tuple[int, ...]]) -> None:
        """Fix the grids, and what part of the blocks' sums every pass has."""
        (count, planes, _, _), objective = self.shape, self._objective
        grids, ends, passes = [], [0], []

        def plan(kernel: str, layers: int, of: int, groups: int, weights: Any) -> int:
            """Make room for the sums of a pass over `of` planes, in so many groups; return its number."""
            name = kernel if weights is None else kernel + WEIGHTED
            grid = self._grid(name, of, layers)
            blocks = grid.blocks * groups // (1 if kernel == "stack_pass" else groups)
            passes.append((name, grid, self._pixel_weights if weights is None else weights, ends[-1]))
            ends.extend(ends[-1] + blocks // groups * (n + 1) for n in range(groups))
            return len(passes) - 1
        raise NotImplementedError
