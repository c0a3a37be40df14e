"""The guard of the pages' server: what it lets in, and fifty requests that it does not."""

import socket
from urllib.parse import urlsplit

import pytest

pytest.importorskip("starlette", reason="needs the extra studio: pip install 'mlsolve[studio]'")
pytest.importorskip("uvicorn", reason="needs the extra studio: pip install 'mlsolve[studio]'")

from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route

from browser import TOKEN, served
from conftest import tree
from mlsolve_studio.server.guard import LONGEST_PATH, LONGEST_QUERY, SMALL_BODY, Admission

LARGE = 1 << 20


async def index(request):
    return PlainTextResponse("the page")


async def take(request):
    return JSONResponse({"taken": len(await request.body())})


ROUTES = [Route("/", index), Route("/take", take, methods=["POST"]), Route("/large", take, methods=["POST"])]


@pytest.fixture(scope="module")
def port():
    with served(ROUTES, largest=lambda method, path: LARGE if path == "/large" else SMALL_BODY) as address:
        yield urlsplit(address).port


def ask(port, request):
    """Send bytes, and return status, headers and body of the answer; a connection that is closed is status 0."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        try:
            connection.sendall(request)
            found = b""
            while part := connection.recv(65536):
                found += part
        except ConnectionError:
            pass
    head, _, body = found.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    status = int(lines[0].split()[1]) if len(lines[0].split()) > 1 else 0
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
    return status, headers, body


def request(port, path="/", method="GET", body=b"", drop=(), **more):
    """A request as our page sends it, with what `more` changes (Host, Origin, Cookie, …) and `drop` leaves out."""
    headers = {"Host": f"127.0.0.1:{port}", "Cookie": f"mlsolve-{port}={TOKEN}", "Connection": "close"}
    if method == "POST":
        headers |= {"Origin": f"http://127.0.0.1:{port}", "Content-Length": str(len(body))}
    headers |= {name.replace("_", "-"): value for name, value in more.items()}
    lines = [
        f"{method} {path} HTTP/1.1",
        *(f"{name}: {value}" for name, value in headers.items() if name not in drop),
    ]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def test_the_page_that_was_given_the_address_is_let_in(port):
    status, headers, body = ask(port, request(port, f"/?token={TOKEN}", drop=("Cookie",)))
    assert status == 200
    cookie = headers["set-cookie"]
    assert cookie == f"mlsolve-{port}={TOKEN}; Path=/; HttpOnly; SameSite=Strict"
    assert TOKEN.encode() not in body
    assert ask(port, request(port))[::2] == (200, b"the page")
    assert ask(port, request(port, Host=f"localhost:{port}"))[0] == 200
    assert ask(port, request(port, "/take", "POST", b"x" * 1000))[2] == b'{"taken":1000}'
    assert ask(port, request(port, "/large", "POST", b"x" * LARGE))[0] == 200


def test_every_answer_says_what_pages_may_load(port):
    for asked in (request(port), request(port, "/nothing"), request(port, drop=("Cookie",))):
        _, headers, _ = ask(port, asked)
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "*" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"


def hostile(port):
    """Requests of others: name, bytes."""
    cookie = f"mlsolve-{port}"
    ours = f"http://127.0.0.1:{port}"
    yield "no token", request(port, drop=("Cookie",))
    yield "wrong token", request(port, Cookie=f"{cookie}=wrong")
    yield "empty token", request(port, Cookie=f"{cookie}=")
    yield "token shortened", request(port, Cookie=f"{cookie}={TOKEN[:-1]}")
    yield "token lengthened", request(port, Cookie=f"{cookie}={TOKEN}x")
    yield "token in capitals", request(port, Cookie=f"{cookie}={TOKEN.upper()}")
    yield "token of another port", request(port, Cookie=f"mlsolve-{port + 1}={TOKEN}")
    yield "token not in ASCII", request(port, Cookie=f"{cookie}=\xff\xfe")
    yield "wrong token in the address", request(port, "/?token=wrong")
    yield "empty token in the address", request(port, "/?token=", drop=("Cookie",))
    yield "token in the address of something else", request(port, f"/take?token={TOKEN}", drop=("Cookie",))
    yield "token in the address of a POST", request(port, f"/?token={TOKEN}", "POST", drop=("Cookie",))
    yield "token as a header", request(port, drop=("Cookie",), Authorization=f"Bearer {TOKEN}")
    yield "no Host", request(port, drop=("Host",))
    yield "two Hosts", request(port).replace(b"Host:", b"Host: evil.example\r\nHost:")
    yield "a Host of another name", request(port, Host="evil.example")
    yield "a Host that resolves to us", request(port, Host=f"rebound.example:{port}")
    yield "a Host without port", request(port, Host="127.0.0.1")
    yield "a Host with another port", request(port, Host=f"127.0.0.1:{port + 1}")
    yield "a Host that ends as ours", request(port, Host=f"evil.example/127.0.0.1:{port}")
    yield "another number of this machine", request(port, Host=f"127.0.0.2:{port}")
    yield "an empty Host", request(port, Host="")
    yield "another Origin", request(port, Origin="http://evil.example")
    yield "Origin null", request(port, Origin="null")
    yield "Origin by https", request(port, Origin=ours.replace("http", "https"))
    yield "Origin of another port", request(port, Origin=f"http://127.0.0.1:{port + 1}")
    yield "Origin of another name for us", request(port, Origin=f"http://localhost:{port}")
    yield "a POST of another Origin", request(port, "/take", "POST", b"x", Origin="http://evil.example")
    yield "a POST without Origin", request(port, "/take", "POST", b"x", drop=("Origin",))
    yield "a DELETE without Origin", request(port, "/take", "DELETE")
    yield "a link on another site", request(port, "/take", Sec_Fetch_Site="cross-site")
    yield "a page of another port", request(port, "/take", "POST", b"x", Sec_Fetch_Site="same-site")
    yield "PUT", request(port, "/take", "PUT")
    yield "TRACE", request(port, "/", "TRACE")
    yield "CONNECT", request(port, "/", "CONNECT")
    yield "OPTIONS", request(port, "/take", "OPTIONS", Origin="http://evil.example")
    yield "a method of no one's", request(port, "/", "BREW")
    yield "up and out", request(port, "/pages/../../../etc/passwd")
    yield "up and out, encoded", request(port, "/pages/..%2f..%2f..%2fetc%2fpasswd")
    yield "up and out, encoded twice", request(port, "/pages/%252e%252e/%252e%252e/etc/passwd")
    yield "up and out, with backslashes", request(port, "/pages/..\\..\\etc\\passwd")
    yield "a dot", request(port, "/pages/./style.css")
    yield "an absolute path", request(port, "//etc/passwd")
    yield "an absolute address", request(port, "http://evil.example/")
    yield "a zero byte", request(port, "/pages/style.css%00.png")
    yield "a letter that folds", request(port, "/pages/\uff0e\uff0e/passwd".encode().decode("latin-1"))
    yield "a long path", request(port, "/" + "a" * (LONGEST_PATH + 1))
    yield "a long query", request(port, "/?" + "a" * (LONGEST_QUERY + 1))
    yield "many headers", request(port, **{f"X-{number}": "1" for number in range(100)})
    yield "a large header", request(port, Cookie="a=" + "b" * (1 << 20))
    yield "a large body", request(port, "/take", "POST", b"x" * (SMALL_BODY + 1))
    yield "a larger body", request(port, "/large", "POST", b"x" * (LARGE + 1))
    yield "a body said to be large", request(port, "/take", "POST", Content_Length=str(1 << 40))
    yield "a negative length", request(port, "/take", "POST", Content_Length="-1")
    yield "a length that is no number", request(port, "/take", "POST", Content_Length="1e3")
    yield (
        "two lengths",
        request(port, "/take", "POST", b"xx").replace(
            b"Content-Length: 2", b"Content-Length: 2\r\nContent-Length: 1"
        ),
    )
    chunks = b"".join(b"4000\r\n" + b"x" * 0x4000 + b"\r\n" for _ in range(8)) + b"0\r\n\r\n"
    yield (
        "a large body in chunks",
        request(port, "/take", "POST", drop=("Content-Length",), Transfer_Encoding="chunked") + chunks,
    )
    yield "no HTTP", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20
    yield "half a line", b"GET /\r\n\r\n"
    yield (
        "a websocket",
        request(
            port,
            "/take",
            Upgrade="websocket",
            Connection="Upgrade",
            Sec_WebSocket_Version="13",
            Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25jZQ==",
            Origin="http://evil.example",
        ),
    )


def test_others_are_refused(port, tmp_path, monkeypatch):
    """Sixty requests, each with one thing wrong; nothing is written, and the page goes on."""
    monkeypatch.chdir(tmp_path)
    asked = list(hostile(port))
    assert len(asked) >= 50
    assert len(dict(asked)) == len(asked)
    for name, sent in asked:
        status, _, body = ask(port, sent)
        assert 400 <= status < 500 or status == 0, (name, status, body[:200])
        assert b"the page" not in body, name
        assert b"taken" not in body, name
        assert b"Traceback" not in body, name
    assert tree(tmp_path) == {}
    assert ask(port, request(port))[2] == b"the page"


def test_where_all_addresses_are_served_only_numbers_name_us():
    """Names are what rebinding needs."""
    everywhere = Admission("t", "0.0.0.0", 8000)
    assert everywhere.names_us("192.168.1.5:8000")
    assert everywhere.names_us("localhost:8000")
    assert not everywhere.names_us("evil.example:8000")
    assert not everywhere.names_us("192.168.1.5:8001")
    assert Admission("t", "::1", 8000).names_us("[::1]:8000")
    assert not Admission("t", "127.0.0.1", 8000).names_us("192.168.1.5:8000")
