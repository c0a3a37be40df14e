"""Makes a film from the output folder of a run."""

from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from mlsolve_kernels.light.ink.inks import Inks
from mlsolve_kernels.light.ink.pictures import develop_codes
from mlsolve_kernels.light.ink.pictures import film_of as tables_of
from mlsolve_kernels.window import SIZE

from ..errors import InputError, OptionError
from ..job.job_file import load_job
from ..pictures.arrays import code_values
from ..pictures.picture_files import open_picture
from ..pictures.resize import resize
from ..report.folder import MEDIA_FILE, inks_in
from ..report.result import exposures_in
from ..scoring.codes import tables
from ..scoring.layer_files import layer_files, stack_names
from ..scoring.previews import Preview, shown
from ..solving.level_pictures import HIGHEST
from . import Film
from .table import Size, frame_size, picture_size

LEAST, MOST = 64, 4096
"""Limits of a frame's longer side in pixels."""

_BAND_BYTES: Final = 4 << 20


def film_of(
    folder: Path, longest: int = 720, fps: float = 25.0, seconds: float | None = None, captions: bool = True
) -> Film:
    """Return the film of the sheets in `folder`, which `mlsolve run` wrote.

    longest: the longer side of a frame in pixels, LEAST to MOST. fps, seconds: as for `mlsolve.film.frames`.

    Layers of any size are read in bands of rows. The stacks are taken from their pictures in the folder, because
    the product of reduced layers is not the reduced stack; if the pictures are missing, that product is used. If
    the layers are for a printer and film, sheets and stacks are shown as they will look.

    Raises InputError for files that are missing, damaged or inconsistent, OptionError for numbers out of range.
    """
    if not LEAST <= longest <= MOST:
        raise OptionError(f"size is {longest}: the longer side of a frame must be {LEAST} to {MOST} pixels")
    files = layer_files(folder)
    job = load_job(folder / "job.toml")
    exposures = exposures_in(folder, len(job.arrangements))
    if exposures is None:
        raise InputError(f"{folder} contains no result.json: give the folder that mlsolve run wrote")
    inks, sheet = inks_in(folder, job), open_picture(files[0]).size
    frame = frame_size(sheet, longest)
    picture = picture_size(sheet, frame)
    if min(picture) < SIZE:
        raise OptionError(
            f"size is {longest}: sheets of {sheet[0]}×{sheet[1]} pixels would be reduced to "
            f"{picture[0]}×{picture[1]}, give a larger size"
        )
    stacks = [folder / name for name in stack_names(len(job.arrangements))]
    have_stacks = all(path.exists() and open_picture(path).size == shown(sheet) for path in stacks)
    return Film(
        [_small(path, picture, inks) for path in files],
        job.arrangements,
        exposures,
        [Path(str(one.target)).stem for one in job.arrangements] if captions else None,
        fps=fps,
        seconds=seconds,
        size=frame,
        scale=picture[0] / sheet[0],
        stacks=[_small(path, picture) for path in stacks] if have_stacks else None,
        outline=job.shape,
        inks=inks,
    )


def _small(path: Path, size: Size, inks: Inks | None = None) -> npt.NDArray[np.uint8]:
    """Return the picture in the file `path`, resized to `size` = (width, height), (h, w, C) uint8 sRGB.

    inks: if it is a layer of device codes; the picture is then what its sheet lets through in bands.
    """
    picture = open_picture(path)
    if inks is not None and picture.planes != inks.planes:
        raise InputError(
            f"{path} has {picture.planes} colour planes, {MEDIA_FILE} is for {inks.planes}: "
            "restore what mlsolve run wrote"
        )
    film = None if inks is None else tables_of(inks, tables(np.uint16).encoded)
    preview = Preview(picture.size, max(size))
    for band in picture.bands(max(1, _BAND_BYTES // (2 * picture.size[0] * picture.planes))):
        if film is not None:
            codes, band = np.ascontiguousarray(band), np.empty(band.shape, dtype=np.uint16)
            develop_codes(film, codes, band)
        preview.feed(np.asarray(band / HIGHEST, dtype=np.float32))
    small = preview.image
    if small.shape[1::-1] == size:
        return small
    return code_values(resize(np.asarray(small / np.float32(255), dtype=np.float32), size), small.shape[2])
