"""Serves a studio until Ctrl-C."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mlsolve.system.lock import locked

from ..light_table.routes import table_routes
from ..server.application import page
from ..server.guard import SMALL_BODY
from ..server.serving import serve
from .entrance import entrance_of
from .folder import StudioFolder
from .routes import BODY, Studio
from .uploads import LARGEST

PAGE = "studio.html"


def serve_studio(
    folder: Path,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    browse: bool = True,
    say: Callable[[str], None] = print,
    warn: Callable[[str], None] = print,
) -> None:
    """Serve the studio in `folder`, and the light tables of its runs; the others as `server.serving.serve`.

    port: None: the one of the studio that was in this folder before, if it is free, or any that is free. Raises
    OutputError if the folder cannot be written, or if another studio serves it, OptionError for an address that
    cannot be used.
    """
    root = StudioFolder(Path(os.path.abspath(folder)))  # noqa: PTH100  a link is not followed
    with locked(root.path, new=True):
        studio, entrance = Studio(root), entrance_of(root)
        routes = [
            Route("/", _page),
            *studio.routes(),
            *table_routes(studio.runs.prints, lambda name: f"/#run/{name}"),
        ]
        serve(
            routes,
            host=host,
            port=port or 0,
            entrance=entrance if port is None else replace(entrance, port=None),
            browse=browse,
            lifespan=studio.open,
            largest=largest,
            say=say,
            warn=warn,
        )


def largest(method: str, path: str) -> int:
    """Return the bytes that the body of a request may have."""
    if method == "POST" and path.startswith("/api/own/"):
        # The uploads count too, and say it in words; this is for what says nothing of its length.
        return max(LARGEST.values()) + (1 << 20)
    return BODY if method == "POST" and path.startswith("/api/") else SMALL_BODY


async def _page(request: Request) -> Response:
    return page(PAGE)
