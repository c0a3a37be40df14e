"""What a set of sheets can show, before a run: exposures, conflicting pictures, better placements.

All of it is tried on pictures of some hundred pixels, a tenth of a second each (solving/trial.py).
"""

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from ..job.arrangements import Flip, Placement
from ..job.job import Job, parse_generated
from ..pictures import picture_files
from ..pictures.arrays import as_image
from ..pictures.resize import fit_image
from ..scoring.previews import Preview
from ..solving.backends import CpuBackend
from ..solving.balance import Balance
from ..solving.balancing import balanced
from ..solving.carriers import draw_carriers
from ..solving.executors.serial import Serial
from ..solving.history import Step
from ..solving.level_pictures import HIGHEST, store_pictures
from ..solving.levels import halve_pictures
from ..solving.spec import BETAS, Spec, StackSpec
from ..solving.store import MemoryStore
from ..solving.trial import LONGEST, Trial

FloatArray = npt.NDArray[np.float32]

_FINER: Final = 240
"""Longest side in pixels that is solved where sheets are rotated by odd angles, which blur a smaller one."""

_READ: Final = 4 * _FINER
"""Longer side in pixels to which files are reduced as they are read."""

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

    Rotations and flips are tried sheet by sheet, in all arrangements but the first; quarter turns of squares only.
    Raises InputError for pictures that cannot be read.
    """
    size = job.size or picture_files.open_picture(job.target, job.cmyk_profile).size
    between = any(one.rotate % 90 for stack in job.arrangements for one in stack.place or ())
    longest = _FINER if between else LONGEST
    scale = min(1.0, longest / max(size))
    small = max(11, round(size[0] * scale)), max(11, round(size[1] * scale))
    store, spec = _prepared(job, size, small, scale)
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
    better = _better(store, spec, present, job, longest, tell)
    return Suggestion(names, balance, present, tuple(alone), better)


def _prepared(
    job: Job, full_size: tuple[int, int], size: tuple[int, int], scale: float
) -> tuple[MemoryStore, Spec]:
    """Return `job` at `size` = (width, height), `scale` pixels for one of `full_size`, with its pictures."""
    pictures = [_picture(entry, size, job) for entry in job.entries]
    count = len(job.targets) + len(job.guides)
    pictures = [
        *pictures[:count],
        *(mask.mean(axis=2, keepdims=True, dtype=np.float32) for mask in pictures[count:]),
    ]
    planes = [picture.shape[2] for picture in pictures]
    options = dataclasses.replace(job.options, levels=None)
    full = Spec.resolve(job.arrangements, len(job.guides), full_size, planes, options, job.shape == "disc")
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
    return store, spec


def _picture(entry: Path | str, size: tuple[int, int], job: Job) -> FloatArray:
    """Return a picture of the job at `size`, (H, W, C) float32 sRGB, without holding the whole file."""
    if isinstance(entry, str):
        from ..guides import generate

        family, seed, palette = parse_generated(entry)
        return as_image(generate(family, size, seed, palette), entry)
    picture = picture_files.open_picture(entry, job.cmyk_profile)
    preview = Preview(picture.stored_size, _READ)
    for band in picture.bands(64):
        preview.feed(np.asarray(band / HIGHEST, dtype=np.float32))
    upright = picture_files.upright(preview.image, picture.orientation)
    return fit_image(np.ascontiguousarray(upright), size, job.fit)


def _alone(trial: Trial, stack: StackSpec, spec: Spec) -> Step:
    """Return the last iteration of one arrangement if the others hardly count."""
    others = [stack if one is stack else dataclasses.replace(one, weight=one.weight * 1e-6) for one in spec.stacks]
    return trial.solve(others)


def _better(
    store: MemoryStore,
    spec: Spec,
    present: Step,
    job: Job,
    longest: int,
    tell: Callable[[str], None],
) -> tuple[Better, ...]:
    """Return placements, of single sheets and of the best combined, that lower the loss."""
    found: list[Better] = []
    for a, stack in enumerate(spec.stacks[1:], start=1):
        place, best = list(stack.placed(spec.layers)), present
        for k, one in enumerate(place):
            for degrees, flip in _ways(spec):
                tried = dataclasses.replace(one, rotate=degrees, flip=flip)
                if _same(tried, one):
                    continue
                tell(f"layer {one.layer} of {job.targets[a].name}, {tried.words()}")
                step = _with(store, spec, a, [*place[:k], tried, *place[k + 1 :]], longest)
                if step.loss < best.loss * (1 - _WORTH):
                    best = step
                    place = [*place[:k], tried, *place[k + 1 :]]
                    one = place[k]
                    found.append(Better(a + 1, tuple(place), step))
    found.sort(key=lambda better: better.step.loss)
    return tuple(found[:_MOST])


def _ways(spec: Spec) -> Sequence[tuple[float, Flip | None]]:
    """Return the rotations and flips that a sheet can have, each once."""
    height, width = spec.shapes[-1]
    turns = (0.0, 90.0, 180.0, 270.0) if height == width else (0.0, 180.0)
    flips: tuple[Flip | None, ...] = (None, "h")
    return list(itertools.product(turns, flips))


def _same(one: Placement, other: Placement) -> bool:
    shape = 11, 11
    return one.move(shape) == other.move(shape)


def _with(store: MemoryStore, spec: Spec, number: int, place: Sequence[Placement], longest: int) -> Step:
    """Return the last iteration of `spec` with other placements in one arrangement."""
    stacks = list(spec.stacks)
    stacks[number] = dataclasses.replace(stacks[number], place=tuple(place))
    return Trial(store, spec, longest).solve(stacks)
