"""What survives a restart of the studio: the token and the port, for those who may read the folder."""

import json
import os
import socket

import pytest

from mlsolve_studio.studio.entrance import FILE, entrance_of
from mlsolve_studio.studio.folder import StudioFolder
from studio_server import Served


@pytest.fixture
def folder(tmp_path):
    made = StudioFolder(tmp_path / "folder")
    made.make()
    return made


def test_a_token_is_kept_where_nobody_else_reads_it(folder):
    first = entrance_of(folder)
    assert first.port is None
    first.keep(8123)
    path = folder.path / FILE
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in folder.path.iterdir() if one.is_file()] == [FILE]
    again = entrance_of(folder)
    assert (again.token, again.port) == (first.token, 8123)
    # One that others could read lets nobody in any more, nor does one that is damaged, or another file by a link.
    path.chmod(0o644)
    assert entrance_of(folder).token != first.token
    for text in ("", "[]", "{}", '{"token": "short", "port": 1}', f'{{"token": "{first.token}", "port": true}}'):
        path.unlink()
        path.write_text(text)
        path.chmod(0o600)
        assert entrance_of(folder).token != first.token
    path.unlink()
    other = folder.path / "other"
    other.write_text(json.dumps({"token": first.token, "port": 8123}))
    other.chmod(0o600)
    path.symlink_to(other)
    assert entrance_of(folder).token != first.token


def test_the_same_address_after_a_restart_unless_it_is_taken(tmp_path):
    first = Served(tmp_path / "folder")
    status, _ = first.ask("GET", f"/?token={first.token}", Cookie=None)
    assert status == 200
    first.close()
    second = Served(tmp_path / "folder")
    assert second.address == first.address
    assert second.ask("GET", "/api/runs", Cookie=first.cookie)[0] == 200
    second.close()
    with socket.create_server(("127.0.0.1", first.port)):
        third = Served(tmp_path / "folder")
        assert (third.port != first.port, third.token) == (True, first.token)
        third.close()
    os.remove(tmp_path / "folder" / FILE)  # noqa: PTH107
    fourth = Served(tmp_path / "folder")
    assert fourth.token != first.token
    fourth.close()
