"""Listeners: what hears of a solve while it goes on."""

from collections.abc import Callable

from .history import Step
from .rounds import Round
from .spec import Spec
from .store import Store
from .tiles import Tile

Callback = Callable[[Step], bool | None]


class Listener:
    """Hears of a solve and does nothing; subclasses do. Any method may raise to end the solve at once."""

    def begin_round(self, plan: Round, tiles: int) -> None:
        """A round of so many tiles begins."""

    def iteration(self, plan: Round, tile: Tile, at: int) -> None:
        """Iteration `at` of the round, from 0, is done on a tile; heard only where tasks run in this process."""

    def tile(self, plan: Round, tile: Tile) -> None:
        """A tile is done."""

    def step(self, step: Step) -> bool:
        """An iteration is done on the whole image; return True to stop there."""
        return False

    def end_level(self, store: Store, spec: Spec, level: int, layers: str) -> None:
        """A level is done; its layers are in the array `layers` of `store`, (C, 1 or 3, N, H, W)."""


class Callbacks(Listener):
    """Tells a callback of every step, if there is one."""

    def __init__(self, callback: Callback | None = None) -> None:
        """callback: as for `mlsolve.solve`."""
        self._callback = callback

    def step(self, step: Step) -> bool:
        """Tell the callback."""
        return self._callback is not None and bool(self._callback(step))
