"""What is where in the folder of a studio, and which names may be asked for.

    FOLDER/pictures/NAME         pictures that were dropped, under names made here
    FOLDER/media/NAME.toml       media profiles that were dropped
    FOLDER/known/NAME.json .png  what is known of each of them, and its thumbnail
    FOLDER/runs/0001-cat/        one run: job.toml, run.json, previews/, cat-prints/, sheets-SHOP/
    FOLDER/removed/0001-cat/     one that was taken off the list
    FOLDER/entrance.json         token and port of the address

Everything that a browser names is looked up here: a name that does not match a pattern, or that is not there, is
refused. No name holds a slash, so no path leaves the folder.
"""

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mlsolve.errors import InputError, OutputError

OWN: Final = re.compile(r"[a-z0-9-]{1,45}\.[a-z0-9]{2,5}")
"""A file that was dropped."""
RUN: Final = re.compile(r"[0-9]{4,6}-[a-z0-9-]{1,40}")
"""A run: its number and the name of its first picture."""
FILE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,80}")
"""A file of a run."""

UP: Final = "../.."
"""From the folder of a run to that of the studio, as a job.toml writes it."""


@dataclass(frozen=True)
class StudioFolder:
    """The folder of a studio."""

    path: Path
    """Absolute."""

    @property
    def pictures(self) -> Path:
        """Of the pictures that were dropped."""
        return self.path / "pictures"

    @property
    def media(self) -> Path:
        """Of the media profiles that were dropped."""
        return self.path / "media"

    @property
    def known(self) -> Path:
        """Of what is known of both."""
        return self.path / "known"

    @property
    def runs(self) -> Path:
        """Of the runs."""
        return self.path / "runs"

    @property
    def removed(self) -> Path:
        """Of the runs that were taken off the list."""
        return self.path / "removed"

    def make(self) -> None:
        """Make what is missing. Raises OutputError if it cannot be written, or if something else is in the way."""
        try:
            for folder in (self.path, self.pictures, self.media, self.known, self.runs, self.removed):
                if folder.is_symlink() and folder != self.path:
                    raise OutputError(f"{folder} is a link: choose another --folder")
                if folder != self.removed:
                    folder.mkdir(parents=True, exist_ok=True)
        except OutputError:
            raise
        except OSError as error:
            raise OutputError(f"{self.path} cannot be written: {error.strerror or error}") from None

    def own(self, kind: str, name: object) -> Path:
        """Return the file that was dropped as `name`; kind: "pictures" or "media". Raises InputError."""
        if isinstance(name, str) and OWN.fullmatch(name):
            path = self.path / kind / name
            if path.is_file() and not path.is_symlink():
                return path
        raise InputError(f"there is no {shown(name)} in {kind}: drop the file on the page first")

    def run(self, name: object) -> Path:
        """Return the folder of the run `name`. Raises InputError if there is none."""
        if isinstance(name, str) and RUN.fullmatch(name):
            path = self.runs / name
            if path.is_dir() and not path.is_symlink():
                return path
        raise InputError(f"there is no run {shown(name)}: choose one of the list")

    def file(self, folder: Path, name: object) -> Path:
        """Return the file `name` in `folder`, itself inside the studio's. Raises InputError if there is none."""
        if isinstance(name, str) and FILE.fullmatch(name) and ".." not in name:
            path = folder / name
            if path.is_file() and not path.is_symlink() and folder.resolve().is_relative_to(self.path.resolve()):
                return path
        raise InputError(f"there is no file {shown(name)} in {folder.name}: choose one of the list")

    def relative(self, text: str, base: Path | None = None) -> str:
        """Return a message without the absolute name of `base`, as a command says it that runs in `base`."""
        for folder in (base, self.path):
            if folder is not None:
                text = text.replace(f"{folder}/", "").replace(f"{folder}\\", "")
        return text


def prints_of(run: Path) -> Path:
    """Return the folder that the run in the folder `run` writes. Pages and sheets show its name."""
    return run / f"{run.name.partition('-')[2]}-prints"


def slug(text: str, otherwise: str = "picture") -> str:
    """Return `text` in small letters, digits and hyphens, 1 to 40 of them."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:40].strip("-") or otherwise


def shown(name: object) -> str:
    """Return what a browser sent, short and printable, for a message."""
    text = name if isinstance(name, str) else repr(name)
    return repr("".join(one if one.isprintable() else "?" for one in text[:60]))


def last_name(text: str) -> str:
    """Return the last part of a file name as a browser sends it, printable, at most 100 characters.

    It is shown and never opened.
    """
    last = re.split(r"[/\\]", text)[-1]
    return "".join(one if one.isprintable() else "?" for one in last)[:100] or "picture"
