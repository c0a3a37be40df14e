"""What the studio's page asks its server for."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from mlsolve.errors import InputError, MlsolveError
from mlsolve.media import media_names
from mlsolve.sheets.shop import load_shop, shop_names

from . import form, shelf
from .estimates import Estimates
from .folder import StudioFolder
from .jobs import LONGEST, Jobs
from .lines import line_of
from .runs import Runs
from .uploads import Kind, Uploads

BODY: Final = 4 * LONGEST
"""Bytes of a body that is no upload."""

_KEPT: Final = {"Cache-Control": "private, max-age=86400"}
_FRESH: Final = {"Cache-Control": "no-store"}

Answer = Callable[[Request], Awaitable[Response]]


class Studio:
    """A studio in a folder: what its routes share."""

    def __init__(self, folder: StudioFolder) -> None:
        """Make the folder and find what is in it. Raises OutputError."""
        folder.make()
        self.folder = folder
        self.uploads = Uploads(folder)
        self.jobs = Jobs(folder, self.uploads)
        self.estimates = Estimates(folder)
        self.runs = Runs(folder)
        self.uploads.clean()
        self.estimates.clean()

    @asynccontextmanager
    async def open(self, app: object) -> AsyncIterator[None]:
        """Stop what is under way when the server ends."""
        try:
            yield
        finally:
            await run_in_threadpool(self.runs.close)

    def routes(self) -> list[Route]:
        """Return the routes."""
        found: list[tuple[str, str, Answer]] = [
            ("GET", "/api/studio", self._studio),
            ("POST", "/api/own/{kind}", self._receive),
            ("DELETE", "/api/own/{kind}/{name}", self._remove),
            ("GET", "/api/own/pictures/{name}/thumbnail", self._own_thumbnail),
            ("POST", "/api/examples/{name}", self._take_example),
            ("GET", "/api/examples/{name}/thumbnail", self._example_thumbnail),
            ("GET", "/api/shelf", self._shelf),
            ("POST", "/api/job", self._job),
            ("POST", "/api/check", self._check),
            ("POST", "/api/estimate", self._estimate),
            ("GET", "/api/runs", self._runs),
            ("POST", "/api/runs", self._begin),
            ("GET", "/api/runs/{name}", self._run),
            ("DELETE", "/api/runs/{name}", self._take_off),
            ("GET", "/api/runs/{name}/job", self._wish_of_run),
            ("POST", "/api/runs/{name}/stop", self._stop),
            ("POST", "/api/runs/{name}/resume", self._resume),
            ("POST", "/api/runs/{name}/sheets", self._sheets),
            ("GET", "/api/runs/{name}/job.toml", self._toml),
            ("GET", "/api/runs/{name}/{part}/{file}", self._file),
        ]
        return [Route(path, _in_one_line(answer), methods=[method]) for method, path, answer in found]

    async def _studio(self, request: Request) -> Response:
        """Everything that the page lists."""

        def found() -> dict[str, Any]:
            return {
                "folder": str(self.folder.path),
                "pictures": [asdict(one) for one in self.uploads.all("pictures")],
                "media": [
                    *({"name": name, "title": name} for name in media_names()),
                    *({"name": one.name, "title": one.title} for one in self.uploads.all("media")),
                ],
                "shops": [{"name": name, "about": load_shop(name).about} for name in shop_names()],
                "shelf": shelf.generated(),
                "examples": shelf.examples(),
                "fields": form.fields(),
                "runs": self.runs.all(),
            }

        return JSONResponse(await run_in_threadpool(found), headers=_FRESH)

    async def _receive(self, request: Request) -> Response:
        """Take a file in, as it comes."""
        kind = _kind(request)
        title = request.query_params.get("name", "picture")
        length = request.headers.get("content-length", "")
        size = int(length) if length.isdecimal() and len(length) < 16 else None
        with self.uploads.arriving(kind, title, size) as arriving:
            async for part in request.stream():
                await run_in_threadpool(arriving.write, part)
            own = await run_in_threadpool(arriving.keep)
        return JSONResponse(asdict(own), status_code=201)

    async def _take_example(self, request: Request) -> Response:
        path = shelf.example(request.path_params["name"])

        def take() -> dict[str, Any]:
            with self.uploads.arriving("pictures", path.name, None) as arriving:
                arriving.write(path.read_bytes())
                return asdict(arriving.keep())

        return JSONResponse(await run_in_threadpool(take), status_code=201)

    async def _example_thumbnail(self, request: Request) -> Response:
        return FileResponse(shelf.example(request.path_params["name"]), headers=_KEPT)

    async def _remove(self, request: Request) -> Response:
        await run_in_threadpool(self.uploads.remove, _kind(request), request.path_params["name"])
        return JSONResponse({})

    async def _own_thumbnail(self, request: Request) -> Response:
        path = self.folder.own("pictures", request.path_params["name"])
        return FileResponse(self.folder.file(self.folder.known, f"{path.name}.png"), headers=_FRESH)

    async def _shelf(self, request: Request) -> Response:
        guide = request.query_params.get("guide", "")
        return Response(await run_in_threadpool(shelf.thumbnail, guide), media_type="image/png", headers=_KEPT)

    async def _job(self, request: Request) -> Response:
        """A job file that was dropped, as the page shows it."""
        try:
            text = (await _body(request)).decode("utf-8-sig")
        except UnicodeDecodeError:
            raise InputError("job.toml is not UTF-8 text: save it as UTF-8") from None
        return JSONResponse(await run_in_threadpool(self.jobs.wish, text))

    async def _check(self, request: Request) -> Response:
        checked = await run_in_threadpool(self.jobs.checked, await _json(request))
        return JSONResponse({"toml": checked.toml, "size": checked.size, "dpi": checked.job.dpi})

    async def _estimate(self, request: Request) -> Response:
        checked = await run_in_threadpool(self.jobs.checked, await _json(request))
        unwanted = threading.Event()
        making = asyncio.ensure_future(run_in_threadpool(self.estimates.estimate, checked, unwanted))
        while not making.done():
            await asyncio.wait({making}, timeout=0.2)
            if await request.is_disconnected():  # the form was changed meanwhile
                unwanted.set()
        return JSONResponse(making.result())

    async def _begin(self, request: Request) -> Response:
        checked = await run_in_threadpool(self.jobs.checked, await _json(request))
        return JSONResponse({"name": await run_in_threadpool(self.runs.begin, checked)}, status_code=201)

    async def _runs(self, request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(self.runs.all), headers=_FRESH)

    async def _run(self, request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(self.runs.whole, request.path_params["name"]), headers=_FRESH)

    async def _take_off(self, request: Request) -> Response:
        where = await run_in_threadpool(self.runs.remove, request.path_params["name"])
        return JSONResponse({"where": str(where)})

    async def _wish_of_run(self, request: Request) -> Response:
        text = (self.folder.run(request.path_params["name"]) / "job.toml").read_text(encoding="utf-8")
        return JSONResponse(await run_in_threadpool(self.jobs.wish, text), headers=_FRESH)

    async def _stop(self, request: Request) -> Response:
        await run_in_threadpool(self.runs.stop, request.path_params["name"])
        return JSONResponse({})

    async def _resume(self, request: Request) -> Response:
        await run_in_threadpool(self.runs.resume, request.path_params["name"])
        return JSONResponse({})

    async def _sheets(self, request: Request) -> Response:
        asked = await _json(request)
        if not isinstance(asked, dict):
            raise InputError("the order is not an object: give it as the page does")
        name = request.path_params["name"]
        await run_in_threadpool(self.runs.make_sheets, name, asked.get("shop"), asked.get("dpi"))
        return JSONResponse({})

    async def _toml(self, request: Request) -> Response:
        path = self.folder.run(request.path_params["name"]) / "job.toml"
        return FileResponse(path, media_type="application/toml", filename="job.toml", headers=_FRESH)

    async def _file(self, request: Request) -> Response:
        part = request.path_params["part"]
        folder = self.runs.folder_of(request.path_params["name"], part)
        path = self.folder.file(folder, request.path_params["file"])
        # Pictures are shown; whatever else is in a folder is only ever saved.
        saved = "save" in request.query_params or path.suffix != ".png"
        name = f"{folder.parent.name}-{path.name}" if saved else None
        return FileResponse(path, filename=name, headers=_FRESH)


def _kind(request: Request) -> Kind:
    kind = request.path_params["kind"]
    if kind == "media":
        return "media"
    if kind == "pictures":
        return "pictures"
    raise InputError(f"there are no {kind!r}: use pictures or media")


async def _body(request: Request) -> bytes:
    """Return the body, as long as it is short. Raises InputError if it is not."""
    found = b""
    async for part in request.stream():
        found += part
        if len(found) > BODY:
            raise InputError(f"the request is longer than {BODY} bytes: make it shorter")
    return found


async def _json(request: Request) -> Any:
    """Return what the body says. Raises InputError if it is not JSON."""
    if request.headers.get("content-type", "").split(";")[0].strip() != "application/json":
        raise InputError("the request is not JSON: send it as application/json")
    try:
        return json.loads(await _body(request))
    except (ValueError, RecursionError):
        raise InputError("the request is not JSON: send it as the page does") from None


def _in_one_line(answer: Answer) -> Answer:
    """Return `answer`, with what mlsolve refuses turned into its one line."""

    async def answered(request: Request) -> Response:
        try:
            return await answer(request)
        except ClientDisconnect:
            return Response(status_code=400)
        except (MlsolveError, MemoryError, OSError) as error:
            return JSONResponse({"line": line_of(error)}, status_code=400)

    return answered
