"""Serves an application on the loopback address until Ctrl-C."""

import asyncio
import ipaddress
import secrets
import socket
import webbrowser
from collections.abc import Callable, Sequence
from contextlib import suppress

import uvicorn
from starlette.routing import BaseRoute

from mlsolve.errors import OptionError

from .application import Lifespan, application
from .guard import SMALL_BODY, Admission

_TOKEN_BYTES = 24


def serve(
    routes: Sequence[BaseRoute],
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    browse: bool = True,
    lifespan: Lifespan | None = None,
    largest: Callable[[str, str], int] = lambda method, path: SMALL_BODY,
    say: Callable[[str], None] = print,
    warn: Callable[[str], None] = print,
) -> None:
    """Serve `routes` until Ctrl-C, and return quietly.

    host, port: where to listen; port 0 takes a free one. browse: whether to open the browser. lifespan: see
    `application`. largest: bytes that the body of a request may have, by method and path. say: prints the address.
    warn: prints a warning, if others on the network can reach the server.

    Raises OptionError if the address cannot be used.
    """
    listening = bound(host, port)
    with listening:
        found = listening.getsockname()
        admission = Admission(secrets.token_urlsafe(_TOKEN_BYTES), str(found[0]), found[1], largest)
        shown = f"[{host}]" if ":" in host else host
        address = f"http://{shown}:{admission.port}/?token={admission.token}"
        if not _loopback(str(found[0])):
            warn(
                f"{host} can be reached from the network: whoever has this address sees the run, unencrypted. "
                "Leave --host out to serve this machine alone"
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
        raise OptionError(
            f"port {port} of {host} cannot be used: {error.strerror or error}, choose another --port"
        ) from None
    return listening


def _loopback(address: str) -> bool:
    with suppress(ValueError):
        return ipaddress.ip_address(address).is_loopback
    return False
