"""Listeners: objects that are notified while a solve runs."""

from collections.abc import Callable

from .history import Step
from .rounds import Round
from .spec import Spec
from .store import Store
from .tiles import Tile

Callback = Callable[[Step], bool | None]


class Listener:
    """Receives the events of a solve and ignores them. Any method of a subclass may raise to end the solve."""

    def begin_round(self, plan: Round, tiles: int) -> None:
        """A round of `tiles` tiles begins."""

    def iteration(self, plan: Round, tile: Tile, at: int) -> None:
        """Iteration `at` of the round, from 0, is done on a tile. Only called if tasks run in this process."""

    def tile(self, plan: Round, tile: Tile) -> None:
        """A tile is done."""

    def step(self, step: Step) -> bool:
        """An iteration is done on the whole image; return True to stop after it."""
        return False

    def end_level(self, store: Store, spec: Spec, level: int, layers: str) -> None:
        """A level is done; its layers are in the array `layers` of `store`, (C, 1 or 3, N, H, W)."""


class Callbacks(Listener):
    """Calls a callback, if there is one, with every step."""

    def __init__(self, callback: Callback | None = None) -> None:
        """callback: as for `mlsolve.solve`."""
        self._callback = callback

    def step(self, step: Step) -> bool:
        """Call the callback."""
        return self._callback is not None and bool(self._callback(step))
