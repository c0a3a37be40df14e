"""A studio as a user starts it: a process of its own, found by the address that it prints."""

import http.client
import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

from conftest import environment


class Served:
    """`mlsolve studio` in a process of its own."""

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-m", "mlsolve_cli", "studio", "--folder", str(folder), "--no-open"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment())
        assert self.process.stdout is not None
        said = [self.process.stdout.readline(), self.process.stdout.readline()]
        found = re.search(r"http://\S+", said[0])
        assert found, said
        self.address = found[0]
        """With the token."""
        self.folder = folder
        parts = urlsplit(self.address)
        self.host, self.port, self.token = parts.hostname, parts.port, parts.query.removeprefix("token=")
        self.origin = f"http://{self.host}:{self.port}"

    @property
    def cookie(self) -> str:
        """What a browser sends that was let in."""
        return f"mlsolve-{self.port}={self.token}"

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | str | None = None,
        headers: dict[str, str] | None = None,
        **more: str | None,
    ) -> tuple[int, bytes]:
        """Ask as the page does; more: headers in place of the page's own, None leaves one out."""
        sent = {"Host": f"{self.host}:{self.port}", "Cookie": self.cookie, "Origin": self.origin}
        if isinstance(body, str):
            sent["Content-Type"] = "application/json"
            body = body.encode()
        sent |= headers or {}
        for name, value in more.items():
            sent.pop(name, None)
            if value is not None:
                sent[name] = value
        connection = http.client.HTTPConnection(self.host, self.port, timeout=60)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            if body is not None and "Content-Length" not in sent and "Transfer-Encoding" not in sent:
                sent["Content-Length"] = str(len(body))
            for name, value in sent.items():
                connection.putheader(name, value)
            connection.endheaders()
            try:
                if body is not None:
                    connection.send(body)
                answer = connection.getresponse()
                return answer.status, answer.read()
            except (BrokenPipeError, ConnectionResetError, http.client.HTTPException):
                return 0, b""  # it hung up on what is too long
        finally:
            connection.close()

    def json(self, method: str, path: str, what: object = None) -> tuple[int, object]:
        """Ask for JSON."""
        status, body = self.ask(method, path, None if what is None else json.dumps(what))
        return status, json.loads(body)

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self._gone()

    def close(self) -> None:
        """End it as Ctrl-C does."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self._gone()

    def _gone(self) -> None:
        self.process.wait(30)
        assert self.process.stdout is not None
        self.process.stdout.close()
