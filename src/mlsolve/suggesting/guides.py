"""Which of many candidates are the best guides for the pictures of a job, and at which turns of the sheets.

A solve of 150 pixels with eight iterations a level ranks sets of guides better than one of 90 pixels with sixty,
and costs half (bench/LOG.md). So sets are searched at that size, and the best are ranked again at 300 pixels, where
the winners are solved as `mlsolve run` would solve them.
"""

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from ..job.job import Job
from ..pictures import picture_files
from ..solving.history import Step
from ..solving.spec import Spec
from .candidates import Candidates, read_candidates
from .crew import Crew
from .search import Effort, Search, Set, varied
from .shelf import Choice, Shelf
from .small_pictures import small_picture, small_size
from .turns import Stacks, better_stacks, first_stacks

FloatArray = npt.NDArray[np.float32]
Tell = Callable[[str, int], None]

LARGEST: Final = 300
"""Longest side of the largest solves in pixels."""

_SEARCHED: Final = 150
_ARRANGED: Final = 96
"""Longest side of those that search for guides, for one stack of unmoved sheets and for others, which cost more."""

_ITERATIONS: Final = 8
"""Iterations at each level of a solve that only compares."""

_EFFORT: Final = Effort()
"""For three layers in one stack of unmoved sheets."""

_FINALISTS: Final = 24
"""Sets that are ranked again at the largest size."""

_TURNED: Final = 3
"""Sets for which turns are searched."""

SHOWN: Final = 5
"""Sets that are proposed."""


@dataclass(frozen=True)
class Proposal:
    """A set of guides, and how the sheets are placed."""

    job: Job
    """The job with these guides and placements."""
    names: tuple[str, ...]
    """Of the guides."""
    step: Step
    """The last iteration of a solve at the largest small size: predicted scores."""
    exposures: tuple[float, ...]
    layers: FloatArray
    """The layers of that solve, (N, C, H, W) float32 encoded transmittance."""
    guides: tuple[FloatArray, ...]
    """The guides at that size, (H, W, C) float32 sRGB."""
    scale: float
    """Pixels of that size for one at full size."""


@dataclass(frozen=True)
class Proposals:
    """What was found."""

    best: tuple[Proposal, ...]
    """The best first."""
    targets: tuple[FloatArray, ...]
    """The targets at the size of the proposals, (H, W, C) float32 sRGB."""
    candidates: int
    measured: int
    """Solves that were compared."""
    left_out: tuple[str, ...]
    """A line for every file that was left out."""
    alike: tuple[str, ...] = ()
    """A line for every candidate that shows what a target shows."""


def propose(
    job: Job,
    sources: Sequence[str],
    layers: int,
    threads: int | None = None,
    tell: Tell = lambda what, done: None,
) -> Proposals:
    """Return the best sets of `layers` guides for the targets of `job`, which are in its place of guides.

    sources: what `--from` names (candidates.py). Arrangements that place sheets keep their placements; for others
    beyond the first, turns are searched. threads: None: one per core; the result does not depend on it. tell:
    called with what is being done and the number of solves so far. Raises InputError for pictures that cannot be
    read and for too few candidates.
    """
    with Crew(threads) as crew:
        return _Proposing(job, sources, layers, crew, tell).run()


class _Proposing:
    """The steps of `propose`, and what they share."""

    def __init__(self, job: Job, sources: Sequence[str], layers: int, crew: Crew, tell: Tell) -> None:
        self._layers, self._crew, self._tell, self._solves = layers, crew, tell, 0
        full_size = job.size or picture_files.open_picture(job.target, job.cmyk_profile).size
        self._job = dataclasses.replace(job, size=full_size)
        self._size, self._scale = small_size(full_size, LARGEST)
        tell("reading pictures", 0)

        def read(entry: Path | str) -> FloatArray:
            return small_picture(entry, self._size, job)

        self._targets = tuple(crew.map(read, job.targets))
        self._masks = [mask.mean(axis=2, keepdims=True, dtype=np.float32) for mask in crew.map(read, job.masks)]
        self._candidates: Candidates = read_candidates(sources, job, self._size, self._targets, layers, crew)
        planes = max(one.shape[2] for one in (*self._targets, *self._candidates.images))
        options = dataclasses.replace(job.options, levels=None, backend="cpu")
        counts = (*[planes] * (len(self._targets) + layers), *[1] * len(self._masks))
        spec = Spec.resolve(
            job.arrangements, layers, full_size, counts, options, job.shape == "disc", job.profile()
        )
        self._spec = spec.scaled(self._size, self._scale)
        self._shelf = Shelf(self._spec, self._targets, self._candidates.images, self._masks)
        self._shape = self._size[1], self._size[0]
        self._turns = len(self._targets) > 1 and any(one.place is None for one in job.arrangements[1:])
        self._stacks = first_stacks(self._spec.stacks, layers, self._shape, self._spec.disc)

    def run(self) -> Proposals:
        """Search, rank, and solve the best."""
        unmoved = len(self._stacks) == 1 and self._stacks[0].place is None
        level = self._shelf.level_of(_SEARCHED if unmoved else _ARRANGED)
        search = Search(len(self._candidates.entries), self._layers, not unmoved)
        work = self._layers / 3 * (1 if unmoved else len(self._stacks))
        effort = _EFFORT.shared(max(1.0, work))
        search.run(lambda sets: self._losses([Choice(one, self._stacks) for one in sets], level, "guides"), effort)
        choices = self._turned_sets(search, level) if self._turns else self._unturned_sets(search, effort)
        by_guides: dict[Set, Choice] = {}
        for choice in choices:
            by_guides.setdefault(choice.guides, choice)
        best = [by_guides[one] for one in varied(list(by_guides), SHOWN)]
        self._tell("the best in full", self._solves)
        found = self._crew.map(self._proposal, best)
        found.sort(key=lambda one: one.step.loss)
        candidates = self._candidates
        count, unfit = len(candidates.entries), (candidates.left_out, candidates.alike)
        return Proposals(tuple(found), self._targets, count, self._solves, *unfit)

    def _unturned_sets(self, search: Search, effort: Effort) -> list[Choice]:
        """Return the best choices at the largest size, the best first; sheets stay where they are."""
        finest = len(self._shelf.shapes)

        def measure(sets: Sequence[Set]) -> list[float]:
            return self._losses([Choice(one, self._stacks) for one in sets], finest, "the best, larger")

        best = search.refined(measure, _FINALISTS, dataclasses.replace(effort, rounds=2))
        return [Choice(one, self._stacks) for one in best]

    def _turned_sets(self, search: Search, level: int) -> list[Choice]:
        """Return the best choices at the largest size, the best first; turns are searched for the first sets."""
        sets = varied(search.best[:_FINALISTS], SHOWN)
        turned = [self._turned(one, level, number) for number, one in enumerate(sets[:_TURNED])]
        choices = [Choice(one, stacks) for one, stacks in itertools.product(sets, dict.fromkeys(turned))]
        losses = self._losses(choices, len(self._shelf.shapes), "the best, larger")
        return [choices[number] for number in sorted(range(len(choices)), key=lambda number: losses[number])]

    def _turned(self, guides: Set, level: int, number: int) -> Stacks:
        """Return the best placements found for these guides."""
        kept = {a for a, one in enumerate(self._job.arrangements) if one.place is not None}

        def measure(stacks: Sequence[Stacks]) -> list[float]:
            return self._losses([Choice(guides, one) for one in stacks], level, f"turns of set {number + 1}")

        found = better_stacks(self._stacks, self._layers, self._shape, self._spec.disc, measure, kept=kept)
        return found[-1] if found else self._stacks

    def _losses(self, choices: Sequence[Choice], level: int, what: str) -> list[float]:
        """Return the losses of choices that are solved at `level`."""

        def solve(choice: Choice) -> float:
            loss = self._shelf.solve(choice, level, _ITERATIONS).loss
            self._solves += 1
            self._tell(what, self._solves)
            return loss

        return self._crew.map(solve, choices)

    def _proposal(self, choice: Choice) -> Proposal:
        """Solve a choice as a run would; return it as a job with its predicted scores."""
        step, layers, spec = self._shelf.layers(choice)
        arrangements = tuple(
            one if one.place is not None or stack.place is None else dataclasses.replace(one, place=stack.place)
            for one, stack in zip(self._job.arrangements, choice.stacks, strict=True)
        )
        entries = tuple(self._candidates.entries[one] for one in choice.guides)
        return Proposal(
            dataclasses.replace(self._job, arrangements=arrangements, guides=entries),
            tuple(self._candidates.name(one) for one in choice.guides),
            step,
            tuple(spec.exposure(a) for a in range(len(spec.stacks))),
            layers,
            tuple(self._candidates.images[one] for one in choice.guides),
            self._scale,
        )
