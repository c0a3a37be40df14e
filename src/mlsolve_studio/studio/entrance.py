"""The token and the port of a studio, kept in its folder: after a restart open pages and bookmarks go on."""

import json
import os
import re
from contextlib import suppress
from typing import Final

from mlsolve.system.files import refusals

from ..server.serving import Entrance, new_token
from .folder import StudioFolder

FILE: Final = "entrance.json"

_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{32,64}")


def entrance_of(folder: StudioFolder) -> Entrance:
    """Return the entrance of the studio in `folder`; a new one if there is none that only its owner can read."""
    token, port = _kept(folder)

    def keep(port: int) -> None:
        _write(folder, token, port)

    return Entrance(token, port, keep)


def _kept(folder: StudioFolder) -> tuple[str, int | None]:
    path = folder.path / FILE
    with suppress(OSError, ValueError, TypeError, KeyError):
        # A link may lead anywhere, and what others can read lets others in.
        if not path.is_symlink() and (os.name != "posix" or path.stat().st_mode & 0o077 == 0):
            found = json.loads(path.read_text(encoding="utf-8"))
            token, port = found["token"], found["port"]
            if _TOKEN.fullmatch(token) and type(port) is int and 0 < port < 1 << 16:
                return token, port
    return new_token(), None


def _write(folder: StudioFolder, token: str, port: int) -> None:
    """Raises OutputError if the file cannot be written."""
    path = folder.path / FILE
    partial = path.with_name(f".{FILE}.partial")
    with refusals(path):
        partial.unlink(missing_ok=True)
        # Nobody else can read it from the moment that it is there.
        with os.fdopen(
            os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
        ) as file:
            json.dump({"token": token, "port": port}, file)
        partial.replace(path)
