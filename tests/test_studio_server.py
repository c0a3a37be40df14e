"""The studio's server: what it gives to its page, and what it refuses to everybody else."""

import json
import time

import pytest

from conftest import ROOT, tree
from studio_server import Served

CAT = (ROOT / "examples" / "cat.jpg").read_bytes()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("studio")


@pytest.fixture(scope="module")
def studio(place):
    (place / "secret.toml").write_text("exposure = 0.1")
    (place / "secret.png").write_bytes(b"secret")
    served = Served(place / "folder")
    yield served
    served.close()


@pytest.fixture(scope="module")
def own(studio):
    status, body = studio.ask("POST", "/api/own/pictures?name=cat.jpg", CAT)
    assert status == 201
    return json.loads(body)["name"]


def test_the_page_and_what_it_lists(studio, own):
    status, page = studio.ask("GET", "/")
    assert status == 200
    assert b"<title>mlsolve studio</title>" in page
    for name in ("studio.css", "studio-main.js", "studio-new.js", "style.css"):
        assert studio.ask("GET", f"/pages/{name}")[0] == 200
    status, found = studio.json("GET", "/api/studio")
    assert status == 200
    assert [one["title"] for one in found["pictures"]] == ["cat.jpg"]
    assert {one["name"] for one in found["shops"]} >= {"home", "generic-backlit"}
    assert "inkjet-film" in [one["name"] for one in found["media"]]
    assert found["folder"] == str(studio.folder)
    status, picture = studio.ask("GET", "/api/shelf?guide=rosette:1:ember")
    assert (status, picture[:4]) == (200, b"\x89PNG")
    assert studio.ask("GET", f"/api/own/pictures/{own}/thumbnail")[1][:4] == b"\x89PNG"


def test_a_wish_is_checked_in_words(studio, own):
    wish = {"pictures": [{"picture": own}], "guides": ["rosette:1"], "settings": {"size": 48}}
    status, found = studio.json("POST", "/api/check", wish)
    assert status == 200
    assert found["size"] == [48, 48]
    wish["settings"]["exposure"] = 7
    status, found = studio.json("POST", "/api/check", wish)
    assert (status, found) == (400, {"line": "job.toml: exposure is 7: it must be from 0.0001 to 1"})


def requests(studio, own):
    """Requests that no page of ours makes: method, path, body, other headers."""
    good = json.dumps({"pictures": [{"picture": own}], "guides": ["rosette:1"], "settings": {"size": 48}})
    up = "/api/own/pictures?name=x.png"
    for path in (
        *("/../secret.png", "/api/runs/../../secret.toml", "/pages/../studio/runs.py", "/pages/..%2fstudio"),
        *("//etc/passwd", "/%2e%2e/secret.png", "/api/own/pictures/..%5csecret.png/thumbnail"),
        *("/api/own/pictures/../secret.png/thumbnail", f"/api/own/pictures/{own}x/thumbnail"),
        *("/api/runs/0001-cat", "/api/runs/0001-cat/job.toml", "/api/runs/0001-cat/prints/layer-1.png"),
        *("/api/runs/0001-cat/../secret.png", "/api/runs/secret.png/prints/x", "/table/0001-cat/manifest.json"),
        *("/api/examples/..%2fREADME.md/thumbnail", "/api/examples/README.md/thumbnail", "/table/../secret.png/"),
        *("/api/shelf?guide=rosette:1:../../x", "/api/shelf?guide=" + "9" * 3000, "/api/shelf?guide=" + "9" * 9000),
        *("/" + "a" * 3000, "/pages/__init__.py", "/pages/studio.html%00.png", "/api/studio/../studio"),
    ):
        yield "GET", path, None, {}
    for headers in (
        {"Cookie": None},
        {"Cookie": f"mlsolve-{studio.port}=wrong"},
        {"Cookie": "x" * 9000},
        {"Host": "evil.example"},
        {"Host": f"evil.example:{studio.port}"},
        {"Host": "127.0.0.1:1"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"headers": {"Sec-Fetch-Site": "cross-site"}},
    ):
        yield "GET", "/api/studio", None, headers
        yield "POST", "/api/runs", good, headers
    yield "POST", "/api/runs", good, {"Origin": None}
    yield "POST", up, CAT, {"Origin": None}
    for method in ("PUT", "PATCH", "OPTIONS", "TRACE", "CONNECT", "DELETE"):
        yield method, "/api/studio", None, {}
    yield "GET", "/?token=wrong", None, {}
    for name, data in (("x.png", b""), ("../../x.png", CAT[:3000]), ("x.svg", b"<svg/>"), ("x" * 2000, b"x")):
        yield "POST", f"/api/own/pictures?name={name}", data, {}
    yield "POST", "/api/own/runs?name=x", CAT, {}
    yield "POST", "/api/own/media?name=x.toml", b"format = 1", {}
    yield "POST", "/api/own/media?name=x.toml", b"x" * (1 << 21), {}
    yield "POST", up, b"", {"headers": {"Content-Length": str(1 << 40)}}
    yield "POST", up, b"", {"headers": {"Content-Length": "-5"}}
    yield "POST", up, b"zz\r\nbroken", {"headers": {"Transfer-Encoding": "chunked"}}
    for body in (
        *("", "{", "[" * 90_000, "null", "[]", '{"pictures": "x"}', '{"pictures": NaN}', '"' + "x" * 900_000 + '"'),
        json.dumps({"pictures": [{"picture": "../../secret.png"}], "guides": ["rosette:1"]}),
        json.dumps({"pictures": [{"picture": own}], "guides": [str(studio.folder.parent / "secret.png")]}),
        json.dumps({"pictures": [{"picture": own}], "guides": ["rosette:1"], "settings": {"media": "/etc/passwd"}}),
    ):
        yield "POST", "/api/runs", body, {}
        yield "POST", "/api/estimate", body, {}
    yield "POST", "/api/runs", good, {"headers": {"Content-Type": "text/plain"}}
    yield "POST", "/api/job", b"target = '/etc/passwd'\nguides = ['rosette:1']", {}
    yield "POST", "/api/job", b"\xff\xfe\xfd", {}
    yield "POST", "/api/runs/0001-cat/stop", "{}", {}
    yield "POST", "/api/runs/0001-cat/sheets", '{"shop": "home"}', {}
    yield "DELETE", "/api/own/pictures/..", None, {}
    yield "DELETE", "/api/own/pictures/secret.png", None, {}
    yield "DELETE", "/api/own/known/x", None, {}


def test_hostile_requests_are_refused_and_write_nothing(studio, own, place):
    before = tree(place)
    asked = list(requests(studio, own))
    assert len(asked) >= 90
    for method, path, body, more in asked:
        status, answer = studio.ask(method, path, body, **more)
        shown = method, path[:80], body[:60] if body else body, status, answer[:300]
        assert status == 0 or 400 <= status < 500, shown
        assert b"secret" not in answer.replace(b"secret.png", b"").replace(b"secret.toml", b""), shown
        assert b"root:" not in answer, shown
        assert b"Traceback" not in answer, shown
    assert tree(place) == before
    assert studio.json("GET", "/api/runs") == (200, [])


def test_a_broken_upload_leaves_nothing(studio, own):
    import socket

    def files():
        return {path for path in studio.folder.rglob("*") if path.is_file()}

    def wait_until(there_are_others):
        # The server writes in a thread of its own: on a busy machine that takes a while.
        deadline = time.monotonic() + 60
        while (files() != before) != there_are_others:
            assert time.monotonic() < deadline, files() ^ before
            time.sleep(0.01)

    before = files()
    contents = tree(studio.folder)
    head = (
        f"POST /api/own/pictures?name=x.jpg HTTP/1.1\r\nHost: {studio.host}:{studio.port}\r\n"
        f"Cookie: {studio.cookie}\r\nOrigin: {studio.origin}\r\nContent-Length: 100000\r\n\r\n"
    )
    with socket.create_connection((studio.host, studio.port)) as connection:
        connection.sendall(head.encode() + CAT[:5000])
        wait_until(there_are_others=True)
    wait_until(there_are_others=False)
    assert tree(studio.folder) == contents


def test_pictures_are_shown_and_all_else_is_only_saved(studio, own):
    import http.client

    connection = http.client.HTTPConnection(studio.host, studio.port)
    connection.request("GET", "/", headers={"Cookie": studio.cookie})
    answer = connection.getresponse()
    answer.read()
    policy = answer.headers["Content-Security-Policy"]
    connection.close()
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy


def test_two_studios_do_not_share_a_folder(studio, mlsolve):
    refusal = mlsolve("studio", "--folder", studio.folder, "--no-open").refusal
    assert refusal == f"{studio.folder} is in use by another mlsolve process: wait for it, or stop it"


def test_without_the_extra_it_says_what_to_install(mlsolve, monkeypatch, tmp_path):
    import importlib.util

    found = importlib.util.find_spec
    monkeypatch.setattr("mlsolve_studio.extra.find_spec", lambda name: None if name == "uvicorn" else found(name))
    assert mlsolve("studio", "--no-open").refusal == "uvicorn is not installed: pip install 'mlsolve[studio]'"
    assert list(tmp_path.iterdir()) == []
