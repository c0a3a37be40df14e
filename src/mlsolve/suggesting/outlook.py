"""What a set of sheets can show, before a run: exposures, conflicting pictures, better placements.

All of it is tried on pictures of some hundred pixels, a tenth of a second each (solving/trial.py).
"""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from ..job.arrangements import Placement
from ..job.job import Job
from ..pictures import picture_files
from ..solving.backends import CpuBackend
from ..solving.balance import Balance
from ..solving.balancing import balanced
from ..solving.carriers import draw_carriers
from ..solving.executors.serial import Serial
from ..solving.history import Step
from ..solving.level_pictures import store_pictures
from ..solving.levels import halve_pictures
from ..solving.spec import BETAS, Spec, StackSpec
from ..solving.store import MemoryStore
from ..solving.trial import LONGEST, Trial
from .crew import Crew
from .shelf import Choice, Shelf
from .small_pictures import small_picture, small_size
from .turns import Stacks, better_stacks

FloatArray = npt.NDArray[np.float32]

_FINER: Final = 240
"""Longest side in pixels that is solved where sheets are rotated by odd angles, which blur a smaller one."""

_SEARCHED: Final = 150
"""Longest side of the solves that compare placements, with _ITERATIONS iterations at each level."""

_ITERATIONS: Final = 10

_WORTH: Final = 0.02
"""Fraction by which the loss must fall for another placement to be reported."""

_MOST: Final = 3
"""Most placements that are suggested."""


@dataclass(frozen=True)
class Better:
    """A placement that suits the pictures better."""

    arrangement: int
    """Number of the arrangement, from 1."""
    place: tuple[Placement, ...]
    """The placements of its sheets."""
    step: Step
    """The last iteration, solved small."""


@dataclass(frozen=True)
class Suggestion:
    """What `suggest` found."""

    names: tuple[str, ...]
    """Of the targets."""
    balance: Balance
    """Exposures, and the colour cast that must remain."""
    present: Step
    """The last iteration of the job as it is, solved small."""
    alone: tuple[Step, ...]
    """The last iteration of every arrangement without the others; empty if there is only one."""
    better: tuple[Better, ...]
    """Better placements, the best first."""


def suggest(job: Job, tell: Callable[[str], None] = lambda what: None) -> Suggestion:
    """Return what `job` can reach, and better placements if there are any. tell: called with what is being tried.

    Rotations and flips are tried sheet by sheet, in all arrangements but the first: any angle of round sheets,
    quarter turns of squares, half turns of others. Raises InputError for pictures that cannot be read.
    """
    size = job.size or picture_files.open_picture(job.target, job.cmyk_profile).size
    between = any(one.rotate % 90 for stack in job.arrangements for one in stack.place or ())
    longest = _FINER if between or job.shape == "disc" else LONGEST
    pictures, store, spec = _prepared(job, size, *small_size(size, longest))
    tell("exposures")
    spec, balance = balanced(store, spec)
    trial = Trial(store, spec, longest)
    present = trial.solve(spec.stacks)
    names = tuple(path.name for path in job.targets)
    alone = []
    if len(names) > 1:
        for stack, name in zip(spec.stacks, names, strict=True):
            tell(f"{name} alone")
            alone.append(_alone(trial, stack, spec))
    better = _better(pictures, spec, present, job, trial, tell)
    return Suggestion(names, balance, present, tuple(alone), better)


def _prepared(
    job: Job, full_size: tuple[int, int], size: tuple[int, int], scale: float
) -> tuple[list[FloatArray], MemoryStore, Spec]:
    """Return `job` at `size` = (width, height), `scale` pixels for one of `full_size`: pictures, store and spec."""
    pictures = [small_picture(entry, size, job) for entry in job.entries]
    count = len(job.targets) + len(job.guides)
    pictures = [
        *pictures[:count],
        *(mask.mean(axis=2, keepdims=True, dtype=np.float32) for mask in pictures[count:]),
    ]
    planes = [picture.shape[2] for picture in pictures]
    options = dataclasses.replace(job.options, levels=None)
    full = Spec.resolve(
        job.arrangements, len(job.guides), full_size, planes, options, job.shape == "disc", job.profile()
    )
    spec = full.scaled(size, scale)
    store = MemoryStore()
    spec.save(store)
    store_pictures(store, spec, pictures)
    executor = Serial(CpuBackend(1, BETAS))
    try:
        halve_pictures(store, spec, executor)
        draw_carriers(store, spec)
    finally:
        executor.close()
    return pictures, store, spec


def _alone(trial: Trial, stack: StackSpec, spec: Spec) -> Step:
    """Return the last iteration of one arrangement if the others hardly count."""
    others = [stack if one is stack else dataclasses.replace(one, weight=one.weight * 1e-6) for one in spec.stacks]
    return trial.solve(others)


def _better(
    pictures: Sequence[FloatArray],
    spec: Spec,
    present: Step,
    job: Job,
    trial: Trial,
    tell: Callable[[str], None],
) -> tuple[Better, ...]:
    """Return placements, of single sheets and of the best combined, that lower the loss.

    They are found by solves with few iterations and solved again as `present` was.
    """
    stacks, count = spec.stacks, len(spec.stacks)
    shelf = Shelf(spec, pictures[:count], pictures[count : count + spec.layers], pictures[count + spec.layers :])
    level, guides = shelf.level_of(_SEARCHED), tuple(range(spec.layers))

    def told(stack: int, placement: Placement) -> None:
        tell(f"layer {placement.layer} of {job.targets[stack].name}")

    result = []
    with Crew() as crew:

        def measure(several: Sequence[Stacks]) -> list[float]:
            return crew.map(lambda one: shelf.solve(Choice(guides, one), level, _ITERATIONS).loss, several)

        for number in range(1, count):
            others = {*range(count)} - {number}
            found = better_stacks(
                stacks, spec.layers, spec.shapes[-1], spec.disc, measure, _WORTH, kept=others, tell=told
            )
            for one in found[-_MOST:]:
                step = trial.solve(one)
                if step.loss < present.loss * (1 - _WORTH):
                    result.append(Better(number + 1, one[number].placed(spec.layers), step))
    result.sort(key=lambda better: better.step.loss)
    return tuple(result[:_MOST])
