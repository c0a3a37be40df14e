"""What the page of the light table asks its server for."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from mlsolve.errors import InputError

from ..server.application import page
from .stack import Stack, open_stack, png_of

PAGE: Final = "table.html"

_FRESH: Final = {"Cache-Control": "no-store"}


class Table:
    """The light tables of runs, whose folders are found by name."""

    def __init__(self, folder_of: Callable[[str], Path]) -> None:
        """folder_of: returns the folder of the run of this name. Raises InputError if there is none."""
        self._folder_of = folder_of
        self._lock = threading.Lock()
        self._open: tuple[str, object, Stack] | None = None

    def stack(self, name: str) -> Stack:
        """Return the stack of the run `name`; read again if the run was written again. Raises InputError."""
        folder = self._folder_of(name)
        try:
            stamp: object = (folder / "result.json").stat().st_mtime_ns
        except OSError:
            stamp = None
        with self._lock:
            if self._open is not None and self._open[:2] == (name, stamp):
                return self._open[2]
            stack = open_stack(folder)
            self._open = name, stamp, stack
            return stack

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
        def made() -> dict[str, object]:
            stack = self.stack(request.path_params["run"])
            return stack.manifest(stack.proxy_size(), lambda name: f"{name}.png")

        return JSONResponse(await run_in_threadpool(made), headers=_FRESH)

    async def _picture(self, request: Request) -> Response:
        def made() -> Path | bytes:
            stack = self.stack(request.path_params["run"])
            found = stack.picture(request.path_params["picture"], stack.proxy_size())
            return found if isinstance(found, Path) else png_of(found)

        try:
            found = await run_in_threadpool(made)
        except KeyError:
            return PlainTextResponse("mlsolve: there is no such picture\n", status_code=404)
        if isinstance(found, Path):
            return FileResponse(found, media_type="image/png", headers=_FRESH)
        return Response(found, media_type="image/png", headers=_FRESH)


def table_routes(folder_of: Callable[[str], Path]) -> list[Route]:
    """Return the routes of the light tables of runs, each at /table/NAME/.

    folder_of: returns the folder of the run of this name. Raises InputError if there is none.
    """
    return Table(folder_of).routes()


def view_routes(folder: Path) -> list[Route]:
    """Return the routes of one run, which / leads to."""

    def folder_of(name: str) -> Path:
        if name != "run":
            raise InputError(f"there is no run {name!r}: open the page again")
        return folder

    async def begin(request: Request) -> Response:
        return RedirectResponse("/table/run/")

    return [Route("/", begin), *table_routes(folder_of)]
