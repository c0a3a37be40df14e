"""Pictures of a job at a small size, read without holding the whole file."""

from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from ..job.job import Job, parse_generated
from ..pictures import picture_files
from ..pictures.arrays import as_image, check_size
from ..pictures.colour import as_planes
from ..pictures.resize import fit_image
from ..scoring.previews import Preview
from ..solving.level_pictures import HIGHEST

FloatArray = npt.NDArray[np.float32]

_DETAIL: Final = 2
"""Files are first reduced to this many times the small size, before they are fitted to it."""


def small_picture(entry: Path | str, size: tuple[int, int], job: Job) -> FloatArray:
    """Return a picture at `size` = (width, height), (H, W, C) float32 sRGB in [0, 1]; job: says how it is fitted.

    entry: a file, or a generated guide as in a job. With a media profile C is the number of its channels. Raises
    InputError if a file cannot be read.
    """
    media, found = job.profile(), _small_picture(entry, size, job)
    return found if media is None else as_planes(found, media.planes)


def _small_picture(entry: Path | str, size: tuple[int, int], job: Job) -> FloatArray:
    """Return a picture at `size` with the planes that it has."""
    if isinstance(entry, str):
        from ..guides import generate

        family, seed, palette = parse_generated(entry)
        return as_image(generate(family, size, seed, palette), entry)
    picture = picture_files.open_picture(entry, job.cmyk_profile)
    check_size(picture.size, str(entry))
    # As large as to cover the small size, whatever the proportions of the picture.
    covering = max(size) * max(picture.size) / min(picture.size)
    preview = Preview(picture.stored_size, round(_DETAIL * covering))
    for band in picture.bands(64):
        preview.feed(np.asarray(band / HIGHEST, dtype=np.float32))
    upright = picture_files.upright(preview.image, picture.orientation)
    return fit_image(np.ascontiguousarray(upright), size, job.fit)


def small_size(size: tuple[int, int], longest: int) -> tuple[tuple[int, int], float]:
    """Return `size` = (width, height), reduced so that no side is longer than `longest`, and the factor."""
    scale = min(1.0, longest / max(size))
    return (max(11, round(size[0] * scale)), max(11, round(size[1] * scale))), scale
