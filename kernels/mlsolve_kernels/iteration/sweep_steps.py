"""The Rows that the sweep passes on, and the steps of a block of rows: Adam's layer by layer, Newton's together."""

from typing import NamedTuple

import numpy as np

from ..adam.cpu import adam_row
from ..adam.step import Rates
from ..compiled import kernel
from ..lanes import Row, ahead
from ..layout import BLOCK, FloatArray, Masks, Window
from ..newton.cpu import Bends, StackRow, newton_row
from ..newton.cpu import Sheets as NewtonSheets
from ..newton.step import NewtonRates
from ..ssim.stream import Constant, Piece, Stream, pitch_of
from ..window import REACH
from .objective import Weights


class Sheets(NamedTuple):
    """The Rows of the N layers in one strip of one plane: those of the first, and distances to the next."""

    number: int
    stride: int
    """Distance between layers, in float32."""
    sums_stride: int
    rings_stride: int
    x: Row
    first: Row
    second: Row
    guide: Constant
    ssim_sums: Row
    rings: Row
    above: Row
    """(N, 2·REACH, L): saved rows of the layers around the upper border of the worker's share."""
    below: Row
    """(N, 2·REACH, L): saved rows around the lower border."""


class Stack(NamedTuple):
    """The Rows of the composite of the layers, and of the target."""

    stream: Stream
    target: Constant
    ssim_sums: Row
    error_sums: Row
    composite: Row
    """(L,): buffer for a row of the composite."""
    by_composite: Row
    """(BLOCK, pitch): the gradient by the composite."""


class Settings(NamedTuple):
    """Arguments that are the same for all streams."""

    weights: Weights
    light: tuple[np.float32, ...]
    mask: Masks
    window: Window


class Newton(NamedTuple):
    """What a Newton step needs besides. A row of all layers takes its step when the gradients by all are known."""

    bends: Bends
    rates: NewtonRates
    rows: FloatArray
    """(workers, N·BLOCK·pitch): a block of gradients by every layer."""
    lines: FloatArray
    """(workers, SCRATCH·N): work space."""


@kernel
def step_alone(
    sheets: Sheets, k: int, rates: Rates, settings: Settings, piece: Piece, index: int, gradient: Row
) -> None:
    """Take Adam's step of layer `k` from row index - REACH."""
    length, pitch, ready = piece.length, pitch_of(piece.length), index - REACH
    for r in range(max(ready, piece.first), min(ready + BLOCK, piece.last)):
        place = k * sheets.stride + r * length
        adam_row(
            ahead(sheets.x, place),
            ahead(sheets.first, place),
            ahead(sheets.second, place),
            ahead(gradient, (r - ready) * pitch),
            settings.mask.own,
            rates,
            length,
        )


@kernel
def step_together(
    sheets: Sheets,
    stack: Stack,
    curvature: Row,
    windowed: Row,
    lines: Row,
    rates: NewtonRates,
    settings: Settings,
    piece: Piece,
    index: int,
    gradient: Row,
) -> None:
    """Take the Newton step of all layers from row index - REACH; gradient: (N, BLOCK, pitch)."""
    length, pitch, ready = piece.length, pitch_of(piece.length), index - REACH
    for r in range(max(ready, piece.first), min(ready + BLOCK, piece.last)):
        place = r * length
        of_layers = NewtonSheets(
            ahead(sheets.x, place),
            ahead(sheets.first, place),
            ahead(sheets.second, place),
            sheets.stride,
            ahead(gradient, (r - ready) * pitch),
            BLOCK * pitch,
            sheets.number,
        )
        of_stack = StackRow(
            ahead(curvature, place),
            ahead(windowed, place),
            ahead(stack.target.mean, place),
        )
        newton_row(of_layers, of_stack, settings.light[0], None, settings.mask.own, lines, rates, length)
