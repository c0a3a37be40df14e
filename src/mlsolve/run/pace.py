"""How much of a run is done, and how long the rest will take."""

from collections import deque
from typing import Final

from ..solving.rounds import Round
from ..solving.spec import Spec

STAGES: Final = {
    "cpu": {"pictures": 4.0, "writing": 3.0, "scoring": 8.0},
    "cuda": {"pictures": 100.0, "writing": 75.0, "scoring": 200.0},
}
"""What the stages besides the solve cost on each backend, in iterations of the whole picture in memory.

On the CPU from bench/LOG.md #110. With a GPU these stages are still the CPU's work, and an iteration takes about a
twenty-fifth of the time: a guess until a whole run with a GPU is measured.
"""

_SAME_BATCH: Final = 1e-4
"""Seconds from one event to the next within which both belong to one batch of iterations."""

_REMEMBERED: Final = 20.0
"""Seconds over which the pace is taken."""

_SHORTEST: Final = 0.05
"""Shortest time, in seconds, from which a pace is computed."""


class Pace:
    """Work that is done and work that is left, in iterations of a pixel in memory."""

    def __init__(self) -> None:
        """Nothing is known yet."""
        self._total = self._done = 0.0
        self._works: list[float] = []
        """Of an iteration of each level."""
        self._pixels = 1.0
        """At full size."""
        self._iterations = 1
        self._stages = STAGES["cpu"]
        self._passed: deque[tuple[float, float]] = deque()

    @property
    def pixels(self) -> float:
        """Pixels of the sheet at full size: the work of an iteration of it in memory."""
        return self._pixels

    @property
    def share(self) -> float:
        """Share of the whole that is done, 0 to 1."""
        return self._done / self._total if self._total else 0.0

    def begin(self, spec: Spec, cost: list[float]) -> None:
        """Take the plan; cost: of an iteration of a value at each level, relative to one in memory."""
        pixels = [height * width for height, width in spec.shapes]
        self._works = [own * each for own, each in zip(pixels, cost, strict=True)]
        self._pixels, self._iterations = float(pixels[-1]), spec.iterations
        self._stages = STAGES[spec.backend]
        self._total = sum(self._works) * self._iterations + self._pixels * sum(self._stages.values())
        self._done = 0.0
        self.forget()

    def forget(self) -> None:
        """Forget the pace: the next stage runs at another speed."""
        self._passed.clear()

    def at_stage(self, name: str, share: float) -> None:
        """Record that `share` of a stage other than solving is done."""
        stages = self._stages
        after = {"pictures": self._total / self._pixels - stages["pictures"], "writing": stages["scoring"]}
        self._done = self._total - self._pixels * (after.get(name, 0.0) + (1 - share) * stages[name])

    def at_round(self, plan: Round, share: float) -> None:
        """Record that `share` of a round is done."""
        self.at_iteration(plan.level, plan.first + share * plan.iterations)

    def at_iteration(self, level: int, iterations: float) -> None:
        """Record that so many iterations of a level are done."""
        solved = sum(self._works[: level - 1]) * self._iterations + self._works[level - 1] * iterations
        self._done = self._pixels * self._stages["pictures"] + solved

    def left(self, now: float) -> float | None:
        """Return the seconds left at `now`, in seconds of any clock; None until they can be estimated."""
        passed = self._passed
        if not passed or now - passed[-1][0] > _SAME_BATCH:
            passed.append((now, self._done))
        while len(passed) > 2 and now - passed[0][0] > _REMEMBERED:
            passed.popleft()
        (since, before), (_, done) = passed[0], passed[-1]
        if not self._total or now - since < _SHORTEST or done <= before:
            return None
        return (self._total - self._done) * (now - since) / (done - before)
