"""The disk that a run needs, and how much of it there is."""

import shutil
from pathlib import Path
from typing import Final

from ..errors import OutputError
from ..job.job import Job
from ..pictures.picture_files import Picture
from ..scoring.layer_files import Bands
from ..scoring.stack_scoring import reach_of
from ..solving.plan import LevelPlan, state_on_disk
from ..solving.spec import Spec
from ..solving.store.chunks import CHUNK
from ..system.memory import in_words

_DOCUMENTS: Final = 1 << 20
"""Bytes on disk for everything that is not pixels."""


def disk_bytes(
    spec: Spec, job: Job, files: list[Picture], levels: list[LevelPlan], bands: Bands, spooled: int = 1
) -> int:
    """Return the peak disk use of a run in bytes, including the written layers.

    bands: of its scoring. spooled: most decoded pictures that are kept at the same time.
    """
    spool = sum(sorted((2 * p.planes * stored_pixels(*p.size) for p in files), reverse=True)[:spooled])
    stack, iterations = (spec.layers, spec.planes), spec.iterations
    full = stored_pixels(*spec.shapes[-1])
    final = spec.layers * spec.planes * full * job.bits // 8
    states = state_on_disk(levels[-1], stack, (1, full), iterations, job.bits)
    coarser = spec.layers * spec.planes * full if spec.levels > 1 else 0
    written = spec.layers * spec.pixels(spec.levels) * job.bits // 8
    # Of a print that is solved whole and stopped at a coarser level, the layers are enlarged to full size.
    enlarged = 0
    if levels[-1].sides == spec.shapes[-1]:
        enlarged = 4 * spec.layers * spec.planes * sum(stored_pixels(*shape) for shape in spec.shapes[-3:])
    # Where their rows cannot pass by, scoring decodes the layer files into the store.
    decoded = 0 if bands.passing and layers_pass(spec) else 2 * spec.layers * spec.planes * full
    return (
        pictures_bytes(spec) + max(spool, states + coarser, max(final, enlarged) + written + decoded) + _DOCUMENTS
    )


def layers_pass(spec: Spec) -> bool:
    """Return whether the rows of the layers can pass by while they are scored (scoring.codes)."""
    moves = (one.move(spec.shapes[-1]) for stack in spec.stacks for one in stack.placed(spec.layers))
    return reach_of(moves) is not None


def states_left(spec: Spec, folder: Path) -> int:
    """Return the bytes left on the disk of `folder` for states, once the pictures are stored."""
    return max(0, shutil.disk_usage(folder).free - pictures_bytes(spec))


def check_disk(needed: int, folder: Path) -> None:
    """Raise OutputError unless the disk of `folder` has `needed` bytes free."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise OutputError(
            f"{folder} has {in_words(free)} free, the run needs {in_words(needed)}: "
            "choose another --out, a smaller size, or free some space"
        )


def stored_pixels(height: int, width: int) -> int:
    """Return the pixels a plane occupies in the store: whole inner chunks."""
    return -(-height // CHUNK) * -(-width // CHUNK) * CHUNK * CHUNK


def pictures_bytes(spec: Spec) -> int:
    """Return the bytes that targets and guides occupy in the store: 16-bit codes at every level."""
    return 2 * sum(spec.picture_planes) * sum(stored_pixels(*shape) for shape in spec.shapes)
