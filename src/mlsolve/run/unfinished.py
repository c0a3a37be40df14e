"""The folder that holds the state of a run until it is finished, and the document that describes the run."""

import os
import re
import shlex
from pathlib import Path
from typing import Final

from ..errors import OutputError, StoreError
from ..system.files import remove_folder, remove_partials
from ..system.lock import NAME as LOCK
from ..system.lock import locked

SUFFIX: Final = ".unfinished"
"""Suffix of the folder's name while the run is unfinished."""

RUN: Final = "run"
"""The document: format, job, digests of its pictures, versions. It is written last, once the run can be resumed,
and removed first."""

WRITTEN: Final = "written"
"""A document that exists once the result is in its place."""

RESULT: Final = "result"
"""Folder in which the result is assembled."""

_OURS: Final = re.compile(
    rf"{LOCK}|(?:{RUN}|spec|problem|progress|{WRITTEN})\.json|pictures|decoded|level-\d+|{RESULT}(?:-old)?|\..*\.partial-.*"
)
"""Names in the folder of a run."""


def unfinished(folder: Path) -> Path:
    """Return the folder with the state of the run of `folder`; either name may be given."""
    absolute = Path(os.path.abspath(folder))  # noqa: PTH100  a link is not followed
    return absolute if absolute.name.endswith(SUFFIX) else absolute.with_name(absolute.name + SUFFIX)


def finished(root: Path) -> Path:
    """Return the folder that the run in `root` will become."""
    return root.with_name(root.name.removesuffix(SUFFIX))


def how_to_continue(folder: Path, options: str = "") -> str:
    """Return which command continues the unfinished run of `folder`: the end of a line, to be copied into a shell.

    options: more of the command, from `Budget.options`.
    """
    return f"continue with: mlsolve resume {shlex.quote(str(folder))}{options}"


def is_run(root: Path) -> bool:
    """Tell whether `root` holds a run that can be resumed."""
    return (root / f"{RUN}.json").is_file()


def check_free(root: Path, overwrite: bool, options: str = "") -> None:
    """Raise OutputError unless a run may begin in `root`.

    overwrite: even if another was left there. options: see `how_to_continue`.
    """
    if not os.path.lexists(root):
        return
    if not root.is_dir() or root.is_symlink():
        raise OutputError(f"{root} is not a folder: choose another --out")
    if is_run(root) and not overwrite:
        with locked(root):  # or it says that another process works on it
            instead = how_to_continue(finished(root), options)
            raise OutputError(f"{root} contains an unfinished run: --overwrite discards it, or {instead}")
    for entry in sorted(root.iterdir()):
        if not _OURS.fullmatch(entry.name):
            raise OutputError(f"{root} contains {entry.name}, which mlsolve did not write: choose another --out")


def clear(root: Path) -> None:
    """Remove the state of a run except its lock. Its document goes first: without it the folder is discarded."""
    (root / f"{RUN}.json").unlink(missing_ok=True)
    for entry in root.iterdir():
        if entry.name == LOCK or not _OURS.fullmatch(entry.name):
            continue
        if entry.is_dir() and not entry.is_symlink():
            remove_folder(entry)
        else:
            entry.unlink(missing_ok=True)


def sweep(root: Path) -> None:
    """Remove what killed processes left half written or half removed; no other may be working on the run."""
    remove_partials(root)


def check_dependencies(root: Path, then: dict[str, str | None], now: dict[str, str | None]) -> None:
    """Raise StoreError if the run in `root` was begun where its bytes could differ."""
    for name in sorted(then.keys() | now.keys()):
        if then.get(name) != now.get(name):
            raise StoreError(
                f"{root} was begun with {name} {then.get(name)}, here it is {now.get(name)}: its bytes would "
                "differ, resume it where it was begun, or run again"
            )
