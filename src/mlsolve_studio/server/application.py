"""The application: routes that others hand it, the files of the pages, and the guard before them."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from mlsolve.errors import MlsolveError

from ..pages import page_bytes
from .guard import Admission, Guard, Refused

_KINDS: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}

Lifespan = Callable[[Any], AbstractAsyncContextManager[None]]


def application(routes: Sequence[BaseRoute], admission: Admission, lifespan: Lifespan | None = None) -> Guard:
    """Return an ASGI application of `routes` and of the pages' files under /pages/, behind the guard.

    lifespan: entered when the server begins and left when it ends. Errors that mlsolve raises deliberately become
    their one line, with status 400.
    """
    app = Starlette(
        routes=[*routes, Route("/pages/{name}", _page_file)],
        lifespan=lifespan,
        exception_handlers={MlsolveError: _in_one_line, Refused: _refused},
    )
    app.router.redirect_slashes = False
    return Guard(app, admission)


def page(name: str) -> Response:
    """Return the file `name` of the pages. Raises KeyError if there is none."""
    return Response(page_bytes(name), media_type=_KINDS[Path(name).suffix])


async def _page_file(request: Request) -> Response:
    try:
        return page(request.path_params["name"])
    except KeyError:
        return PlainTextResponse("mlsolve: there is no such file\n", status_code=404)


async def _in_one_line(request: Request, error: Exception) -> Response:
    return PlainTextResponse("mlsolve: error: " + " ".join(str(error).split()) + "\n", status_code=400)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return PlainTextResponse(f"mlsolve: {error}\n", status_code=error.status, headers={"Connection": "close"})
