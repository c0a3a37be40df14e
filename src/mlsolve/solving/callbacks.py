"""A listener for solves that nobody watches."""

from collections.abc import Callable

from .history import Step
from .rounds import Round
from .tiles import Tile

Callback = Callable[[Step], bool | None]


class Silent:
    """Tells a callback of every step, if there is one, and of nothing else."""

    def __init__(self, callback: Callback | None = None) -> None:
        """callback: as for `solve`."""
        self._callback = callback

    def begin_round(self, plan: Round, tiles: int) -> None:
        """A round begins."""

    def iteration(self, plan: Round, tile: Tile, at: int) -> None:
        """An iteration of a tile is done."""

    def tile(self, plan: Round, tile: Tile) -> None:
        """A tile is done."""

    def step(self, step: Step) -> bool:
        """Tell the callback."""
        return self._callback is not None and bool(self._callback(step))
