"""The output folder of a run, which is written completely or not at all."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from mlsolve_kernels.light.ink.inks import Inks

from ..errors import InputError, OutputError
from ..job.job import Job
from ..media import load_media
from ..solving.spec import inks_of
from ..system.files import partial_beside

MEDIA_FILE: Final = "media.toml"
"""The profile of the printer and film that the layers are for, as it was when they were solved."""

_OURS: Final = re.compile(
    r"layer-\d+\.(?:png|tif)|(?:stack|carriers)(?:-\d+)?\.png|sheet\.png|history\.csv|job(?:-\d)?\.toml|result\.json"
    r"|media\.toml"
    r"|proposals\.png"
)
"""Names of the files that mlsolve writes into an output folder."""


def check_output(folder: Path, overwrite: bool, ours: re.Pattern[str] = _OURS) -> None:
    """Raise OutputError if `folder` must not or cannot be written. Leaves nothing behind.

    ours: the names of files that may be replaced.
    """
    with _guarded(folder):
        _check_replaceable(folder, overwrite, ours)
        created = _make_parents(folder)
        try:
            stage = partial_beside(folder.absolute())
            stage.mkdir()
            stage.rmdir()
        finally:
            _remove_empty(created)


def replace_folder(stage: Path, folder: Path, overwrite: bool) -> None:
    """Move the folder `stage` to `folder`, atomically if that does not exist.

    Raises OutputError as `check_output`.
    """
    with _guarded(folder):
        _check_replaceable(folder, overwrite)
        _swap(stage, folder)


@contextmanager
def staged(folder: Path, overwrite: bool, ours: re.Pattern[str] = _OURS) -> Iterator[Path]:
    """Yield a temporary folder beside `folder` to write into.

    At the end it replaces `folder`; after an error it is removed. ours: as for `check_output`. Raises OutputError
    as that does.
    """
    check_output(folder, overwrite, ours)
    with _guarded(folder):
        created = _make_parents(folder)
        stage = partial_beside(folder.absolute())
        try:
            stage.mkdir()
            yield stage
            # Another process may have written to it meanwhile; its files must not be replaced.
            _check_replaceable(folder, overwrite, ours)
            _swap(stage, folder)
        except BaseException as error:
            shutil.rmtree(stage, ignore_errors=True)
            _remove_empty(created)
            if isinstance(error, OutputError):
                raise OutputError(str(error).replace(str(stage), str(folder))) from None
            raise


def _check_replaceable(folder: Path, overwrite: bool, ours: re.Pattern[str] = _OURS) -> None:
    """Raise OutputError unless `folder` does not exist, or `overwrite` is set and all in it is named as `ours`."""
    if not os.path.lexists(folder):
        return
    if not overwrite:
        raise OutputError(f"{folder} exists already: choose another --out or add --overwrite")
    if not folder.is_dir() or folder.is_symlink():
        raise OutputError(f"{folder} is not a folder: choose another --out")
    for entry in sorted(folder.iterdir()):
        if not ours.fullmatch(entry.name):
            raise OutputError(
                f"{folder} contains {entry.name}, which this command does not write and would remove: choose "
                "another --out"
            )


@contextmanager
def _guarded(folder: Path) -> Iterator[None]:
    """Turn an OSError of the file system into an OutputError of one line that names `folder`."""
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error.strerror or error}") from None


def _swap(stage: Path, folder: Path) -> None:
    """Move `stage` to `folder`. A folder that was there is removed only when the new one is in place."""
    if not folder.exists():
        stage.rename(folder)
        return
    old = stage.with_name(stage.name + "-old")
    folder.rename(old)
    try:
        stage.rename(folder)
    except OSError:
        old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _make_parents(folder: Path) -> list[Path]:
    """Create the missing parents of `folder`. Returns those that were created, innermost first."""
    missing = [parent for parent in folder.absolute().parents if not parent.exists()]
    folder.absolute().parent.mkdir(parents=True, exist_ok=True)
    return missing


def _remove_empty(folders: list[Path]) -> None:
    """Remove these folders, innermost first, up to the first one that is not empty."""
    for empty in folders:
        try:
            empty.rmdir()
        except OSError:
            return


def inks_in(folder: Path, job: Job) -> Inks | None:
    """Return film, inks and room of the layers in `folder`, None if they are for no printer.

    Raises InputError if the folder lacks the profile that they are for.
    """
    path = folder / MEDIA_FILE
    if path.is_file():
        return inks_of(job.options, load_media(path))
    if job.media is not None:
        raise InputError(
            f"{folder} contains no {MEDIA_FILE}, which its layers are for: restore what mlsolve run wrote"
        )
    return None
