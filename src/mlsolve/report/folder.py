"""The folder a run leaves: all of it or nothing."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ..errors import OutputError
from ..system.files import partial_beside

_OURS: Final = re.compile(
    r"layer-\d+\.(?:png|tif)|stack(?:-\d+)?\.png|sheet\.png|history\.csv|job\.toml|result\.json"
)
"""Names of the files mlsolve writes into a folder."""


def check_output(folder: Path, overwrite: bool) -> None:
    """Raise OutputError if `folder` may not or cannot be written, before any work is done; leaves nothing."""
    with _guarded(folder):
        _check_replaceable(folder, overwrite)
        created = _make_parents(folder)
        try:
            stage = partial_beside(folder.absolute())
            stage.mkdir()
            stage.rmdir()
        finally:
            _remove_empty(created)


def replace_folder(stage: Path, folder: Path, overwrite: bool) -> None:
    """Put `stage` in the place of `folder`, in one step if there is none; raises OutputError as `check_output`."""
    with _guarded(folder):
        _check_replaceable(folder, overwrite)
        _swap(stage, folder)


@contextmanager
def staged(folder: Path, overwrite: bool) -> Iterator[Path]:
    """Give a folder beside `folder` to write into; it takes its place at the end, or vanishes on an error."""
    check_output(folder, overwrite)
    with _guarded(folder):
        created = _make_parents(folder)
        stage = partial_beside(folder.absolute())
        try:
            stage.mkdir()
            yield stage
            # Somebody may have come in between: what they wrote is not ours to replace.
            _check_replaceable(folder, overwrite)
            _swap(stage, folder)
        except BaseException as error:
            shutil.rmtree(stage, ignore_errors=True)
            _remove_empty(created)
            if isinstance(error, OutputError):
                raise OutputError(str(error).replace(str(stage), str(folder))) from None
            raise


def _check_replaceable(folder: Path, overwrite: bool) -> None:
    """Raise OutputError unless nothing is at `folder`, or `overwrite` is set and all in it is ours."""
    if not os.path.lexists(folder):
        return
    if not overwrite:
        raise OutputError(f"{folder} exists already: choose another --out or add --overwrite")
    if not folder.is_dir() or folder.is_symlink():
        raise OutputError(f"{folder} is no folder: choose another --out")
    for entry in sorted(folder.iterdir()):
        if not _OURS.fullmatch(entry.name):
            raise OutputError(f"{folder} holds {entry.name}, which mlsolve did not write: choose another --out")


@contextmanager
def _guarded(folder: Path) -> Iterator[None]:
    """Turn what the file system refuses into one line."""
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error.strerror or error}") from None


def _swap(stage: Path, folder: Path) -> None:
    """Put `stage` in the place of `folder`; what was there goes once the new is there."""
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
    """Create what is missing above `folder`; return what was created, the innermost first."""
    missing = [parent for parent in folder.absolute().parents if not parent.exists()]
    folder.absolute().parent.mkdir(parents=True, exist_ok=True)
    return missing


def _remove_empty(folders: list[Path]) -> None:
    for empty in folders:
        try:
            empty.rmdir()
        except OSError:
            return
