"""What a session tells its listeners, one event at a time."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from ..solving.balance import Balance
from ..solving.history import Step
from ..solving.rounds import Stop

Kind = Literal[
    "compile", "ready", "workers", "begin", "stage", "balance", "round", "tile", "iteration", "level", "end"
]
"""What happened:

compile: the kernels are being compiled, once for this version; some 20 s. ready: all is loaded, memory is counted
from here. workers: those of a cluster are asked what they are, or another number of them is ready. begin: the plan
is known. stage: a part of "pictures", "writing" or "scoring" is done. balance: the exposures are known. round: a
round begins. tile: a tile is done. iteration: an iteration is done, of the whole image where there is a `step`,
else of a tile. level: a level is done. end: the run has ended.
"""

Stage = Literal["starting", "pictures", "solving", "writing", "scoring", "done"]


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    folder: Path
    """Where the result is, or would have been."""
    stop: Stop | Literal["paused"]
    """Why it ended. "callback": it was stopped, and the folder holds the best so far; "paused": it was stopped
    before there was anything to write."""
    last: Step | None
    """The last iteration; None if it was paused before one."""
    unfinished: Path | None
    """The folder from which it can be resumed, if it was stopped and something was done."""
    where: str = ""
    """Where it was paused: "in level 2 of 5, round 3"."""
    peak_memory: int | None = None
    """Bytes that it took at the most beyond what the process held before; None if the system does not report it."""


@dataclass(frozen=True)
class Event:
    """Something happened in a run. What does not apply is None."""

    kind: Kind
    stage: Stage
    done: float
    """Share of the whole run that is done, 0 to 1."""
    seconds: float
    """Since the session began."""
    seconds_left: float | None = None
    """None until it can be estimated."""
    share: float | None = None
    """Share of the stage that is done, 0 to 1; not of "solving"."""
    level: int | None = None
    """From 1, the coarsest."""
    levels: int | None = None
    round: int | None = None
    """From 1 in each level."""
    rounds: int | None = None
    tile: int | None = None
    """Tiles of the round that are done."""
    tiles: int | None = None
    iteration: int | None = None
    """Iterations of the level that are done on the whole image."""
    iterations: int | None = None
    """Of a level."""
    workers: int | None = None
    """Workers of the cluster that can take tiles now; None: there is no cluster."""
    workers_present: int | None = None
    """With "workers": workers of the cluster that are not left out, whether they can take tiles or not yet."""
    workers_lost: tuple[str, ...] = ()
    """With "workers": those that could take tiles until now and are gone, frozen or cut off: address and host."""
    of_tile: tuple[int, int] | None = None
    """Iterations that are done on the present tile, and how many there are in the round."""
    step: Step | None = None
    """Loss and scores of the last iteration of the whole image."""
    balance: Balance | None = None
    names: tuple[str, ...] = ()
    """Of the targets, with `balance`."""
    previews: tuple[npt.NDArray[np.uint8], ...] = ()
    """At the end of a level, if they were asked for: every stack as seen on the light box, (h, w, C) sRGB."""
    outcome: Outcome | None = None
    """At the end."""

    @property
    def last(self) -> bool:
        """Whether it is the last of its kind for now: of a stage, of a round's tiles, of a level's iterations."""
        if self.kind == "stage":
            return self.share == 1.0
        if self.kind == "tile":
            return self.tile == self.tiles
        return self.kind == "iteration" and self.step is not None and self.iteration == self.iterations
