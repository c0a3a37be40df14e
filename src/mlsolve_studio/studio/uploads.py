"""Takes files in: pictures and media profiles, streamed into one folder under names made here.

A file is written as it arrives, beside its final place, and never under a name that a browser chose. It is then
read as the command line reads it; what the command line would refuse is removed again, with its line.
"""

import hashlib
import json
import secrets
import shutil
import threading
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Final, Literal

from mlsolve.errors import InputError, OptionError, OutputError
from mlsolve.system.files import refusals, write_bytes
from mlsolve.system.memory import in_words

from .children import ask
from .folder import OWN, StudioFolder, last_name, shown, slug

Kind = Literal["pictures", "media"]

LARGEST: Final[dict[Kind, int]] = {"pictures": 1 << 30, "media": 1 << 20}
"""Bytes that a file may have."""
MOST: Final = 500
"""Files of a kind."""
SPARE_DISK: Final = 1 << 28
"""Bytes that uploads leave free on the disk."""

_SUFFIXES: Final = frozenset(
    "png jpg jpeg tif tiff webp avif heic heif gif jxl bmp ppm pgm pbm pnm".split()  # noqa: SIM905
)


@dataclass(frozen=True)
class Own:
    """A file that was dropped."""

    name: str
    """Its name here."""
    title: str
    """Its name as it was dropped, to be shown."""
    width: int = 0
    height: int = 0
    """Of a picture, in pixels."""
    planes: int = 0
    """1 for grey, 3 for colour."""
    digest: str = ""
    """The SHA-256 of its bytes."""
    warnings: tuple[str, ...] = ()


class Uploads:
    """The files that were dropped on a studio. Any thread may call."""

    def __init__(self, folder: StudioFolder) -> None:
        """folder: exists."""
        self.folder = folder
        self._lock = threading.Lock()
        self._reading = threading.Semaphore(2)

    def clean(self) -> None:
        """Remove what earlier servers left half received."""
        for place in (self.folder.pictures, self.folder.media, self.folder.known):
            for left in place.glob(".arriving-*"):
                left.unlink(missing_ok=True)

    def all(self, kind: Kind) -> list[Own]:
        """Return the files of a kind, in the order of their titles."""
        place = self.folder.pictures if kind == "pictures" else self.folder.media
        names = [path.name for path in place.iterdir() if OWN.fullmatch(path.name)]
        found = [one for name in names if (one := self.known(name)) is not None]
        return sorted(found, key=lambda one: (one.title.lower(), one.name))

    def known(self, name: str) -> Own | None:
        """Return what is known of the file `name`, None if nothing is."""
        try:
            found = json.loads((self.folder.known / f"{name}.json").read_text(encoding="utf-8"))
            return Own(**{**found, "warnings": tuple(found["warnings"])})
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def arriving(self, kind: Kind, title: str, length: int | None) -> "Arriving":
        """Return where a file of `length` bytes, if that is known, is to be written to.

        Raises InputError if it is too large, or one too many, OutputError if the disk is too full.
        """
        self._check(kind, title, 0 if length is None else length)
        with self._lock:
            place = self.folder.pictures if kind == "pictures" else self.folder.media
            if len(list(place.iterdir())) >= MOST:
                raise InputError(f"there are {MOST} files in {kind} already: remove some first")
            return Arriving(self, kind, last_name(title))

    def _check(self, kind: Kind, title: str, length: int) -> None:
        if length > LARGEST[kind]:
            raise InputError(
                f"{last_name(title)} is larger than {in_words(LARGEST[kind])}: make it smaller, or use mlsolve run"
            )
        if shutil.disk_usage(self.folder.path).free - length < SPARE_DISK:
            raise OutputError(f"{self.folder.path} has no room for {last_name(title)}: free some of the disk")

    def keep(self, kind: Kind, title: str, path: Path, digest: str) -> Own:
        """Check the file that has arrived at `path` and give it its name. Raises InputError with its line.

        A file of the same bytes that is here already is kept instead.
        """
        place = self.folder.pictures if kind == "pictures" else self.folder.media
        for there in self.all(kind):
            if there.digest == digest:
                return there
        thumbnail = self.folder.known / path.name
        try:
            own = self._checked_media(title, path) if kind == "media" else self._picture(title, path, thumbnail)
            suffix = title.rpartition(".")[2].lower()
            suffix = "toml" if kind == "media" else suffix if suffix in _SUFFIXES else "bin"
            stem = slug(title.rpartition(".")[0] or title)
            with self._lock, refusals(place / stem):
                names = (f"{stem}.{suffix}", *(f"{stem}-{number}.{suffix}" for number in range(2, MOST + 2)))
                name = next(name for name in names if not (place / name).exists())
                own = replace(own, name=name, digest=digest)
                facts = json.dumps(asdict(own), ensure_ascii=False, indent=1)
                if kind == "pictures":
                    thumbnail.replace(self.folder.known / f"{name}.png")
                path.replace(place / name)
                write_bytes(self.folder.known / f"{name}.json", facts.encode())
        finally:
            thumbnail.unlink(missing_ok=True)
        return own

    def _picture(self, title: str, path: Path, thumbnail: Path) -> Own:
        try:
            with self._reading:
                found, warned = ask("picture", path.name, str(thumbnail), folder=path.parent)
        except InputError as error:
            raise InputError(str(error).replace(path.name, title)) from None
        warnings = tuple(line.replace(path.name, title) for line in warned)
        return Own("", title, found["width"], found["height"], found["planes"], warnings=warnings)

    @staticmethod
    def _checked_media(title: str, path: Path) -> Own:
        from mlsolve.media import load_media

        try:
            found = load_media(path)
        except (InputError, OptionError) as error:
            raise InputError(str(error).replace(str(path), title)) from None
        return Own("", last_name(found.name))

    def remove(self, kind: Kind, name: str) -> None:
        """Remove a file. Raises InputError if there is none, or if a run uses it."""
        path = self.folder.own(kind, name)
        for job in sorted(self.folder.runs.glob("*/job.toml")):
            with suppress(OSError):
                if f'/{kind}/{name}"' in job.read_text(encoding="utf-8"):
                    raise InputError(f"{shown(name)} is used by the run {job.parent.name}: keep it")
        with self._lock:
            for one in (path, self.folder.known / f"{name}.json", self.folder.known / f"{name}.png"):
                one.unlink(missing_ok=True)


class Arriving:
    """A file that is being received; use it in a `with` block, which removes it unless it was kept."""

    def __init__(self, uploads: Uploads, kind: Kind, title: str) -> None:
        """Open a new file."""
        self._uploads, self._kind, self._title = uploads, kind, title
        place = uploads.folder.pictures if kind == "pictures" else uploads.folder.media
        self._path = place / f".arriving-{secrets.token_hex(8)}"
        self._digest = hashlib.sha256()
        self._bytes = 0
        with refusals(self._path):
            self._file = self._path.open("xb")

    def __enter__(self) -> "Arriving":
        """Return it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file and remove it where it was not kept."""
        self._file.close()
        self._path.unlink(missing_ok=True)

    def write(self, part: bytes) -> None:
        """Take the next bytes. Raises InputError once there are too many, OutputError if the disk is full."""
        self._bytes += len(part)
        self._uploads._check(self._kind, self._title, self._bytes)
        self._digest.update(part)
        with refusals(self._path):
            self._file.write(part)

    def keep(self) -> Own:
        """Check what was received and keep it. Raises InputError with the line of the command line."""
        with refusals(self._path):
            self._file.flush()
            self._file.close()
        return self._uploads.keep(self._kind, self._title, self._path, self._digest.hexdigest())
