"""The folder of proposals: their contact sheet, and a job file for each of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from ..pictures.arrays import spread_grey
from ..pictures.colour import decode
from ..pictures.picture_files import save_png
from ..report.folder import staged
from ..report.proposal_sheet import Row, Sheet, Stack, proposal_sheet
from ..scoring.developing import bands_of, composite_placed, looks_of
from ..scoring.placed import place_sheet
from ..scoring.scores import similarity
from ..solving.spec import StackSpec, inks_of
from ..system.files import write_bytes
from .guides import Proposal, Proposals

FloatArray = npt.NDArray[np.float32]

SHEET: Final = "proposals.png"
JOB: Final = "job.toml"

_TOLD: Final = 3
"""Files that were left out for which the contact sheet says why."""


def write_proposals(found: Proposals, folder: Path, overwrite: bool) -> None:
    """Write proposals.png, job.toml for the best and job-2.toml … for the others into `folder`, or nothing.

    Raises OutputError if the folder cannot be written, or exists and `overwrite` is not set.
    """
    with staged(folder, overwrite) as stage:
        for number, one in enumerate(found.best, start=1):
            name = JOB if number == 1 else f"job-{number}.toml"
            write_bytes(stage / name, one.job.toml(folder).encode("utf-8"))
        save_png(stage / SHEET, _sheet(found))


def _sheet(found: Proposals) -> npt.NDArray[np.uint8]:
    job = found.best[0].job
    targets = [(image, path.name) for image, path in zip(found.targets, job.targets, strict=True)]
    height, width = found.targets[0].shape[:2]
    count = len(found.best)
    title = "the best set of guides" if count == 1 else f"the best {count} sets of guides"
    note = (
        f"of {found.candidates} candidates, solved at {width} x {height} pixels; left of each sheet is its guide, "
        "SSIM compares the two; leak is the SSIM of a sheet alone to the picture, and --hide lowers it; compare "
        "scores with each other, not with those of the print"
    )
    if found.left_out:
        more = f"; {len(found.left_out) - _TOLD} more files left out" if len(found.left_out) > _TOLD else ""
        note += f". {'; '.join(found.left_out[:_TOLD])}{more}"
    if found.alike:
        note += f". {'; '.join(found.alike[:_TOLD])}"
    rows = [_row(number, one, found.targets) for number, one in enumerate(found.best, start=1)]
    return proposal_sheet(title, note, targets, rows, job.shape == "disc")


def _row(number: int, one: Proposal, targets: Sequence[FloatArray]) -> Row:
    step, job = one.step, one.job
    layers = [decode(np.ascontiguousarray(np.moveaxis(layer, 0, -1))) for layer in one.layers]
    inks = inks_of(job.options, job.profile())
    through = layers
    if inks is not None:  # the layers are device codes
        through = [bands_of(layer, inks) for layer in layers]
        layers = list(looks_of(np.stack(layers), inks, inks.room * one.exposures[0]))
    leak, stacks = [-1.0] * len(layers), []
    for a, arrangement in enumerate(job.arrangements):
        placed = arrangement.placed(len(layers))
        small = StackSpec(placed).scaled(one.scale).placed(len(layers))
        for each in small:
            alone = place_sheet(layers[each.layer - 1], each)
            leak[each.layer - 1] = max(leak[each.layer - 1], similarity(*spread_grey([alone, targets[a]])))
        moved = [f"sheet {each.words()}" for each in placed if not each.still]
        lines = [f"{job.targets[a].stem if len(job.targets) > 1 else 'stack'}, SSIM {step.stack_ssim[a]:.3f}"]
        stacks.append(Stack(composite_placed(through, small, one.exposures[a], inks), (*lines, *moved)))
    sheets = tuple(
        Sheet(*values) for values in zip(one.guides, layers, one.names, step.guide_ssim, leak, strict=True)
    )
    heading = f"{number}     loss {step.loss:.3f},  SSIM {step.target_ssim:.3f},  guides {step.mean_guide_ssim:.3f}"
    return Row(heading, sheets, tuple(stacks))
