"""Serves an application on the loopback address until Ctrl-C."""

import asyncio
import errno
import ipaddress
import secrets
import socket
import webbrowser
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import uvicorn
from starlette.routing import BaseRoute

from mlsolve.errors import OptionError

from .application import Lifespan, application
from .guard import SMALL_BODY, Admission

_TOKEN_BYTES = 24


@dataclass(frozen=True)
class Entrance:
    """What lets browsers in again that a server before this one let in."""

    token: str
    port: int | None
    """Of that server."""
    keep: Callable[[int], None]
    """Notes the port that is used now."""


def new_token() -> str:
    """Return a token that nobody guesses."""
    return secrets.token_urlsafe(_TOKEN_BYTES)


def serve(
    routes: Sequence[BaseRoute],
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    browse: bool = True,
    lifespan: Lifespan | None = None,
    largest: Callable[[str, str], int] = lambda method, path: SMALL_BODY,
    entrance: Entrance | None = None,
    say: Callable[[str], None] = print,
    warn: Callable[[str], None] = print,
) -> None:
    """Serve `routes` until Ctrl-C, and return quietly.

    host, port: where to listen; port 0 takes a free one. browse: whether to open the browser. lifespan: see
    `application`. largest: bytes that the body of a request may have, by method and path. entrance: the token and
    the port of an earlier server, to be used again; the port only if it is free. say: prints the address. warn:
    prints a warning, if others on the network can reach the server.

    Raises OptionError if the address cannot be used.
    """
    listening = _first_bound(host, port, None if entrance is None else entrance.port)
    with listening:
        found = listening.getsockname()
        token = new_token() if entrance is None else entrance.token
        if entrance is not None:
            entrance.keep(found[1])
        admission = Admission(token, str(found[0]), found[1], largest, lasting=entrance is not None)
        name = _sent_name(host)
        shown = f"[{name}]" if ":" in name else name
        address = f"http://{shown}:{admission.port}/?token={admission.token}"
        if not _loopback(str(found[0])):
            names = (
                "; every number of this machine's addresses works, localhost too, but no other name"
                if name != host
                else ""
            )
            warn(
                f"{host} can be reached from the network{names}: whoever has this address sees the run, "
                "unencrypted. Leave --host out to serve this machine alone"
            )
        server = uvicorn.Server(
            uvicorn.Config(
                application(routes, admission, lifespan),
                http="h11",
                ws="none",
                log_level="critical",
                access_log=False,
                server_header=False,
                date_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=2,
                h11_max_incomplete_event_size=1 << 15,
            )
        )

        async def run() -> None:
            # Within the loop, which ends quietly whenever Ctrl-C comes.
            say(f"{'look at':<12} {address}\n{'to end':<12} Ctrl-C")
            if browse:
                # The socket listens already, so the browser waits for the answer.
                webbrowser.open(address)
            await server.serve(sockets=[listening])

        with suppress(KeyboardInterrupt):
            asyncio.run(run())


def _first_bound(host: str, port: int, before: int | None) -> socket.socket:
    """Return a socket at `port`, or, if any will do, at the one from before if that is free."""
    if port == 0 and before is not None:
        with suppress(OptionError):
            return bound(host, before)
    return bound(host, port)


def bound(host: str, port: int) -> socket.socket:
    """Return a socket that listens at `host` and `port`. Raises OptionError if they cannot be used."""
    try:
        kind, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listening = socket.socket(kind, socket.SOCK_STREAM)
    except OSError as error:
        raise OptionError(f"host is {host!r}: {error.strerror or error}, use 127.0.0.1") from None
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(64)
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRNOTAVAIL:
            raise OptionError(f"host is {host!r}: it is no address of this machine, use 127.0.0.1") from None
        raise OptionError(
            f"port {port} of {host} cannot be used: {error.strerror or error}, choose another --port"
        ) from None
    return listening


def _sent_name(host: str) -> str:
    """Return an address at which others find `host`; for all addresses, the one that leads to a network."""
    if host not in ("0.0.0.0", "::"):
        return host
    kind, beyond = (socket.AF_INET6, "2001:db8::1") if host == "::" else (socket.AF_INET, "192.0.2.1")
    with suppress(OSError), socket.socket(kind, socket.SOCK_DGRAM) as asking:
        # Nothing is sent: the system only chooses the address from which it would be.
        asking.connect((beyond, 9))
        return str(asking.getsockname()[0])
    return "::1" if host == "::" else "127.0.0.1"


def _loopback(address: str) -> bool:
    with suppress(ValueError):
        return ipaddress.ip_address(address).is_loopback
    return False
