"""What the page of the light table asks its server for."""

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from mlsolve.errors import InputError

from ..server.application import page
from .png import png_of, without_colours
from .pyramid import Pyramid, levels_of, pyramid_of
from .stack import PROXY, TILE, Size, Stack, open_stack

PAGE: Final = "table.html"

_FRESH: Final = {"Cache-Control": "no-store"}

_TILE: Final = re.compile(r"tile-([0-9]{1,2})-([0-9]{1,2})-([0-9]{1,5})-([0-9]{1,5})")


@dataclass(frozen=True)
class Opened:
    """A run that is shown."""

    stack: Stack
    size: Size
    """Of the sheets that the browser holds whole."""
    pyramid: Pyramid | None
    """The tiles of layers that are larger."""

    def manifest(self) -> dict[str, object]:
        """Return what the page must know."""
        tiled = () if self.pyramid is None else (self.pyramid.side, self.pyramid.levels)
        return self.stack.manifest(self.size, lambda name: f"{name}.png", *tiled)

    def picture(self, name: str) -> Path | bytes:
        """Return a PNG, or where one is. Raises KeyError if there is none, InputError if it cannot be read."""
        if self.pyramid is not None:
            if tile := _TILE.fullmatch(name):
                return self.pyramid.tile(*map(int, tile.groups()))
            kind, _, number = name.partition("-")
            if kind == "sheet":
                return self.pyramid.sheet(int(number) if number.isdecimal() else 0)
        found = self.stack.picture(name, self.size)
        return without_colours(found.read_bytes()) if isinstance(found, Path) else png_of(found)


class Table:
    """The light tables of runs, whose folders are found by name."""

    def __init__(
        self,
        folder_of: Callable[[str], Path],
        longest: int = PROXY,
        side: int = TILE,
        back: Callable[[str], str] | None = None,
    ) -> None:
        """folder_of: returns the folder of the run of this name. Raises InputError if there is none.

        back: returns the address of the page that leads to the run of this name; None: there is none. longest: side
        in pixels up to which a browser holds sheets whole. side: of the tiles of larger ones.
        """
        self._folder_of, self._longest, self._side, self._back = folder_of, longest, side, back
        self._lock = threading.Lock()
        self._open: tuple[str, object, Opened] | None = None

    def opened(self, name: str) -> Opened:
        """Return the run `name`; read again if it was written again. Raises InputError.

        The first time, tiles of large layers are made, which takes a while.
        """
        folder = self._folder_of(name)
        try:
            stamp: object = (folder / "result.json").stat().st_mtime_ns
        except OSError:
            stamp = None
        with self._lock:
            if self._open is not None and self._open[:2] == (name, stamp):
                return self._open[2]
            stack = open_stack(folder)
            large = bool(levels_of(stack.size, self._longest))
            pyramid = pyramid_of(stack, self._longest, self._side) if large else None
            opened = Opened(stack, stack.proxy_size(self._longest), pyramid)
            self._open = name, stamp, opened
            return opened

    def routes(self) -> list[Route]:
        """Return the routes, all under /table/NAME/."""
        return [
            Route("/table/{run}/", self._page),
            Route("/table/{run}/manifest.json", self._manifest),
            Route("/table/{run}/{picture}.png", self._picture),
        ]

    async def _page(self, request: Request) -> Response:
        return page(PAGE)

    async def _manifest(self, request: Request) -> Response:
        name = request.path_params["run"]
        made = await run_in_threadpool(lambda: self.opened(name).manifest())
        back = None if self._back is None else self._back(name)
        return JSONResponse({**made, "back": back}, headers=_FRESH)

    async def _picture(self, request: Request) -> Response:
        name, picture = request.path_params["run"], request.path_params["picture"]
        try:
            found = await run_in_threadpool(lambda: self.opened(name).picture(picture))
        except KeyError:
            return PlainTextResponse("mlsolve: there is no such picture\n", status_code=404)
        if isinstance(found, Path):
            return FileResponse(found, media_type="image/png", headers=_FRESH)
        return Response(found, media_type="image/png", headers=_FRESH)


def table_routes(folder_of: Callable[[str], Path], back: Callable[[str], str]) -> list[Route]:
    """Return the routes of the light tables of runs, each at /table/NAME/.

    folder_of, back: see `Table`.
    """
    return Table(folder_of, back=back).routes()


def view_routes(folder: Path, longest: int = PROXY, side: int = TILE) -> list[Route]:
    """Return the routes of one run, which / leads to. longest, side: see `Table`."""

    def folder_of(name: str) -> Path:
        if name != "run":
            raise InputError(f"there is no run {name!r}: open the page again")
        return folder

    async def begin(request: Request) -> Response:
        return RedirectResponse("/table/run/")

    return [Route("/", begin), *Table(folder_of, longest, side).routes()]
