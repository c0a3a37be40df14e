"""Lets in only the browser that was given the address, and only what a page of ours would ask.

A server on the loopback address can be reached by every page that the browser shows, by every program of the
machine and, through a name that resolves to 127.0.0.1, by pages of others (DNS rebinding). So every request needs
the token, which came with the address and then lives in a cookie that no script can read and no other site can
send; Host must be the address that is served, and Origin, where there is one, too. Paths, methods and sizes are
checked before anything reads them.
"""

import hmac
import ipaddress
import re
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final
from urllib.parse import parse_qsl, unquote_to_bytes

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

METHODS: Final = ("GET", "HEAD", "POST", "DELETE")

LONGEST_PATH: Final = 1024
LONGEST_QUERY: Final = 4096
"""Bytes of what is asked for; no page of ours asks for more."""
SMALL_BODY: Final = 1 << 16
"""Bytes that a body may have unless `Admission.largest` allows more."""
MOST_HEADERS: Final = 64
LASTING: Final = 30 * 24 * 3600
"""Seconds for which a browser keeps the cookie of a token that lasts."""

POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "connect-src 'self'",
        "worker-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
"""What pages may load: what this server has, and pictures that a page made itself."""

_HEADERS: Final = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=(), usb=()"),
)

_PLAIN: Final = re.compile(rb"/(?:[A-Za-z0-9._~@,:+=-]+/)*[A-Za-z0-9._~@,:+=-]*")
"""A path without anything that could be read in two ways: no %, no backslash, no empty part."""


@dataclass(frozen=True)
class Admission:
    """Whom the guard lets in."""

    token: str
    """What the address carries."""
    host: str
    """The address that is served, as 127.0.0.1."""
    port: int
    largest: Callable[[str, str], int] = field(default=lambda method, path: SMALL_BODY)
    """Bytes that the body of a request may have, by its method and path."""
    lasting: bool = False
    """Whether the token outlives the server, and the cookie the browser."""

    @property
    def cookie(self) -> str:
        """Name of the cookie; cookies of one host are shared by all its ports."""
        return f"mlsolve-{self.port}"

    @property
    def origins(self) -> frozenset[str]:
        """Host and port as browsers name them; for an address that stands for all, `names_us` allows more."""
        names = {self.host, "localhost", "127.0.0.1"} if self.host in ("127.0.0.1", "localhost") else {self.host}
        if ":" in self.host:
            names = {f"[{self.host}]"} | ({"localhost"} if self.host == "::1" else set())
        return frozenset(f"{name}:{self.port}" for name in names)

    def names_us(self, host: str) -> bool:
        """Whether the header Host names this server.

        Where every address of the machine is served, any number of an address will do, but no name: names are what
        DNS rebinding needs.
        """
        if host in self.origins:
            return True
        if self.host not in ("0.0.0.0", "::"):
            return False
        name, _, port = host.rpartition(":")
        try:
            ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return name == "localhost" and port == str(self.port)
        return port == str(self.port)


class Refused(Exception):
    """A request that is not let in: a status and a line that says why."""

    def __init__(self, status: int, line: str) -> None:
        """status: of HTTP."""
        super().__init__(line)
        self.status = status


class Guard:
    """ASGI middleware that stands before an application."""

    def __init__(self, app: App, admission: Admission) -> None:
        """app: what is guarded."""
        self._app, self._admission = app, admission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return

        begun = False

        async def answer(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                message = {**message, "headers": _guarded(message.get("headers", ()))}
            await send(message)

        try:
            entered = self._check(scope)
            if entered:
                await _welcome(self._admission, scope, answer)
                return
            await self._app(scope, self._limited(scope, receive), answer)
        except Refused as refusal:
            if begun:
                raise
            await _say(answer, refusal.status, str(refusal))

    def _check(self, scope: Scope) -> bool:
        """Raise Refused for what is not let in. Returns whether the token came with the address."""
        admission, headers = self._admission, _headers(scope)
        if scope["method"] not in METHODS:
            raise Refused(405, f"method {scope['method'][:20]} is not used here")
        if len(scope["headers"]) > MOST_HEADERS:
            raise Refused(431, "there are too many headers")
        if not admission.names_us(_single(headers, "host")):
            raise Refused(421, "Host is not this server")
        self._check_path(scope)
        self._check_origin(scope, headers)
        self._check_length(scope, headers)
        if scope["path"] == "/" and scope["method"] == "GET":
            given = dict(parse_qsl(scope["query_string"].decode("latin-1"))).get("token")
            if given is not None:
                if not _same(given, admission.token):
                    raise Refused(403, "the token is wrong: use the address that the terminal shows")
                return True
        if not _same(_cookie(headers.get("cookie", []), admission.cookie), admission.token):
            raise Refused(403, "there is no token: use the address that the terminal shows")
        return False

    def _check_path(self, scope: Scope) -> None:
        raw = scope.get("raw_path") or scope["path"].encode("utf-8", "replace")
        if len(raw) > LONGEST_PATH or len(scope["query_string"]) > LONGEST_QUERY:
            raise Refused(414, "the address is too long")
        path = raw.split(b"?")[0]
        parts = path.split(b"/")
        if not _PLAIN.fullmatch(path) or b".." in parts or b"." in parts or unquote_to_bytes(path) != path:
            raise Refused(400, "the path is not one of ours")

    def _check_origin(self, scope: Scope, headers: dict[str, list[str]]) -> None:
        """Scripts of other pages name their origin; forms and links of others are cross-site."""
        host = _single(headers, "host")
        origins = headers.get("origin", [])
        if origins and origins != [f"http://{host}"]:
            raise Refused(403, "Origin is another page")
        if scope["method"] in ("POST", "DELETE") and not origins:
            raise Refused(403, "there is no Origin")
        entering = scope["path"] == "/" and scope["method"] == "GET"
        if not entering and headers.get("sec-fetch-site", ["same-origin"]) not in (["same-origin"], ["none"]):
            raise Refused(403, "another page asks")

    def _check_length(self, scope: Scope, headers: dict[str, list[str]]) -> None:
        lengths = headers.get("content-length", [])
        if not lengths:
            return
        if len(lengths) > 1 or not re.fullmatch(r"[0-9]{1,15}", lengths[0]):
            raise Refused(400, "Content-Length is not a number")
        if int(lengths[0]) > self._admission.largest(scope["method"], scope["path"]):
            raise Refused(413, "the body is too large")

    def _limited(self, scope: Scope, receive: Receive) -> Receive:
        """Return `receive` with an end to what it takes in, whatever Content-Length says."""
        left = self._admission.largest(scope["method"], scope["path"])

        async def limited() -> Message:
            nonlocal left
            message = await receive()
            if message["type"] == "http.request":
                left -= len(message.get("body", b""))
                if left < 0:
                    raise Refused(413, "the body is too large")
            return message

        return limited


def _headers(scope: Scope) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        found.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    return found


def _single(headers: dict[str, list[str]], name: str) -> str:
    values = headers.get(name, [])
    return values[0] if len(values) == 1 else ""


def _cookie(headers: list[str], name: str) -> str:
    for header in headers:
        try:
            found = SimpleCookie(header).get(name)
        except CookieError:
            continue
        if found is not None:
            return found.value
    return ""


def _same(given: str, wanted: str) -> bool:
    """Compare without telling by the time it takes how much was right."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode())


def _guarded(headers: Any) -> list[tuple[bytes, bytes]]:
    """Return the headers of an answer with those of the guard; what is not said to be kept is not kept."""
    ours = {name for name, _ in _HEADERS}
    found = [(name, value) for name, value in headers if name.lower() not in ours]
    if not any(name.lower() == b"cache-control" for name, _ in found):
        found.append((b"cache-control", b"no-store"))
    return found + list(_HEADERS)


async def _welcome(admission: Admission, scope: Scope, send: Send) -> None:
    """Give the cookie, and go to the page without the token in its address.

    By a page of ours and not by a redirect: after a link on another site a redirect would still be that site's, and
    the browser would not send a strict cookie along.
    """
    cookie = f"{admission.cookie}={admission.token}; Path=/; HttpOnly; SameSite=Strict"
    if admission.lasting:
        cookie += f"; Max-Age={LASTING}"
    page = (
        "<!doctype html><html lang=en><meta charset=utf-8><title>mlsolve</title>"
        '<link rel=icon href="data:,">'
        '<meta http-equiv=refresh content="0;url=/"><p><a href="/">Open the page</a>'
    )
    await _send(send, 200, "text/html; charset=utf-8", page, ((b"set-cookie", cookie.encode()),))


async def _say(send: Send, status: int, line: str) -> None:
    await _send(send, status, "text/plain; charset=utf-8", f"mlsolve: {line}\n", ((b"connection", b"close"),))


async def _send(send: Send, status: int, kind: str, text: str, more: tuple[tuple[bytes, bytes], ...]) -> None:
    body = text.encode()
    headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode()), *more]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
