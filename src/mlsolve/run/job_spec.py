"""From a job to what is solved: its picture files opened, its size and planes known, its spec resolved."""

from pathlib import Path

from ..errors import InputError
from ..job.arrangements import check_arrangements
from ..job.job import Job
from ..job.options import Options
from ..job.print_size import MAX_SIDE
from ..pictures.arrays import check_size
from ..pictures.picture_files import Picture, open_picture
from ..solving.spec import Spec


def opened(job: Job) -> dict[Path, Picture]:
    """Return the picture files of `job`, their headers read."""
    if job.cmyk_profile is not None and not job.cmyk_profile.is_file():
        raise InputError(f"cmyk-profile is {job.cmyk_profile}, which is not a file: check the name")
    return {path: open_picture(path, job.cmyk_profile) for path in job.files}


def spec_of_job(job: Job, files: dict[Path, Picture]) -> Spec:
    """Return what `job` asks for, to be computed on the CPU; files: what `opened` returned."""
    return spec_at(job, size_of(job, files), planes_of_pictures(job, files))


def spec_at(
    job: Job, size: tuple[int, int], picture_planes: tuple[int, ...], options: Options | None = None
) -> Spec:
    """Return what `job` asks for at `size` = (width, height), its pictures having these planes.

    options: instead of the job's.
    """
    return Spec.resolve(
        job.arrangements,
        len(job.guides),
        size,
        picture_planes,
        options or job.options,
        job.shape == "disc",
        job.profile(),
    )


def size_of(job: Job, files: dict[Path, Picture]) -> tuple[int, int]:
    """Return (width, height) of the sheets in pixels, the target's if the job names none.

    Raises InputError if that cannot be solved.
    """
    if job.size is not None:
        return job.size
    width, height = files[job.target].size
    check_arrangements(job.arrangements, len(job.guides), (width, height), job.shape)
    check_size((width, height), str(job.target))
    if max(width, height) > MAX_SIDE:
        raise InputError(f"{job.target} is {width}×{height} pixels: give a --size of {MAX_SIDE} pixels at the most")
    return width, height


def planes_of_pictures(job: Job, files: dict[Path, Picture]) -> tuple[int, ...]:
    """Return the planes of targets, guides and masks, 1 or 3; generated guides have colour, masks have none.

    What is printed with one channel is wanted in grey.
    """
    media = job.profile()
    if media is not None and media.planes == 1:
        return (1,) * len(job.entries)
    colours = (files[entry].planes if isinstance(entry, Path) else 3 for entry in (*job.targets, *job.guides))
    return (*colours, *(1 for _ in job.masks))
