"""`mlsolve view`: what it prints, what it refuses, and how it ends."""

import ipaddress
import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request

import numpy as np
import pytest

from browser import address_in
from conftest import environment, tree
from mlsolve.pictures.picture_files import load_picture
from mlsolve_kernels.placement.move import move_of


@pytest.fixture
def run(save, picture, mlsolve, tmp_path):
    """A small run: its folder."""
    for seed, name in enumerate(("t.png", "a.png", "b.png")):
        save(name, picture(40, 48, seed))
    words = ("--guide", "a.png", "--guide", "b.png", "--iterations", "2", "--backend", "cpu", "--out", "prints")
    assert mlsolve("run", "t.png", *words).status == 0
    return tmp_path / "prints"


def test_without_the_extra_it_says_what_to_install(run, mlsolve, monkeypatch):
    from importlib import util

    found = util.find_spec
    for missing in ("starlette", "uvicorn"):
        monkeypatch.setattr(
            "mlsolve_studio.extra.find_spec", lambda name, missing=missing: None if name == missing else found(name)
        )
        assert mlsolve("view", run).refusal == (
            f"{missing} is not installed: pip install 'mlsolve[studio]', or add --html FILE for a page in one file"
        )


def test_a_page_in_one_file_needs_no_extra(run, tmp_path):
    script = (
        "import sys\n"
        "for name in ('starlette', 'uvicorn', 'anyio', 'h11'): sys.modules[name] = None\n"
        "import mlsolve_cli.main as cli\n"
        "cli.main(['view', 'prints', '--html', 'prints.html'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, env=environment()
    )
    assert done.returncode == 0, done.stderr
    assert "48×40 pixels" in done.stdout
    text = (tmp_path / "prints.html").read_text()
    held = json.loads(text[text.index('id="held">') + 10 :].partition("</script>")[0])
    assert set(held["pictures"]) == {"sheet-1", "sheet-2", "target-1", "fine-1"}
    assert 'src="' not in text
    assert "/pages/" not in text


def test_what_cannot_be_shown_is_refused_in_a_line(run, mlsolve, tmp_path):
    assert mlsolve("view", "nowhere").refusal.startswith("nowhere is not a folder")
    assert mlsolve("view", run, "--side", 300).refusal.startswith("side is 300, and the page is served whole")
    for side in (63, 2049):
        assert f"side is {side}" in mlsolve("view", run, "--html", "a.html", "--side", side).refusal
    for port in (99999, -5):
        assert mlsolve("view", run, "--port", port).refusal == f"port is {port}: it must be from 0 to 65535"
        assert mlsolve("studio", "--port", port).refusal == f"port is {port}: it must be from 0 to 65535"
    for words, line in {
        ("--side", "abc"): "side is 'abc': it must be a whole number, 64 to 2048",
        ("--port=x",): "port is 'x': it must be a whole number, 0 to 65535",
        ("--overwrite",): "overwrite is given, and no file is written: give --html FILE as well",
        ("--html", "a.html", "--port", 1): "port is given, and nothing is served: leave out --port or --html",
        ("--html", "a.html", "--no-open"): "no_open is given, and nothing is served: leave out --no-open or --html",
        ("--html", "no/a.html"): "no/a.html cannot be written: no is not a folder, make it first",
        ("--host", "203.0.113.7"): "host is '203.0.113.7': it is no address of this machine, use 127.0.0.1",
    }.items():
        assert mlsolve("view", run, *words).refusal == line
    (run / "result.json").unlink()
    assert "contains no result.json" in mlsolve("view", run).refusal
    (run / "job.toml").unlink()
    assert "contains no job.toml" in mlsolve("view", run, "--html", "a.html").refusal
    (run / "layer-1.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    assert "layer-1.png" in mlsolve("view", run).refusal
    assert not (tmp_path / "a.html").exists()


def test_a_run_that_is_not_finished_says_how_to_go_on(run, mlsolve, tmp_path):
    from mlsolve.job.job_file import load_job
    from mlsolve.run.session import Session

    def end(event):
        if event.kind == "iteration":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Session(load_job(run / "job.toml"), tmp_path / "half").run(end)
    for words in ((), ("--html", "a.html")):
        assert mlsolve("view", "half", *words).refusal == "half is not finished: mlsolve resume half"


def test_a_target_that_is_gone_is_not_missed(run, mlsolve, tmp_path):
    (tmp_path / "t.png").unlink()
    assert mlsolve("view", run, "--html", "a.html").status == 0


def started(run, *words):
    """Start `mlsolve view`: the process, and what it has printed up to the line that says how to end it."""
    command = [sys.executable, "-m", "mlsolve_cli", "view", str(run), "--no-open", *words]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(), cwd=run.parent
    )
    printed = ""
    while "Ctrl-C" not in printed:
        line = process.stdout.readline()
        assert line, process.stderr.read()
        printed += line
    return process, printed


def test_it_serves_until_ctrl_c_and_ends_quietly(run, tmp_path):
    before = tree(tmp_path)
    process, printed = started(run)
    address = address_in(printed)
    with urllib.request.urlopen(address) as answer:
        cookie = answer.headers["Set-Cookie"].partition(";")[0]
    root, token = address.split("?token=")
    assert root.startswith("http://127.0.0.1:")
    assert len(token) >= 32

    def get(path):
        return urllib.request.urlopen(urllib.request.Request(root + path, headers={"Cookie": cookie})).read()

    manifest = json.loads(get("table/run/manifest.json"))
    assert manifest["size"] == [48, 40]
    assert token not in json.dumps(manifest)
    path = tmp_path / "sheet.png"
    path.write_bytes(get("table/run/sheet-2.png"))
    assert (load_picture(path) == load_picture(run / "layer-2.png")).all()
    assert b"sRGB" in (run / "layer-2.png").read_bytes()
    assert b"sRGB" not in path.read_bytes()
    path.unlink()
    for gone in (
        "table/run/sheet-3.png",
        "table/run/sheet-x.png",
        "table/run/tile-1-0-0-0.png",
        "pages/__init__.py",
    ):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            get(gone)
    with pytest.raises(urllib.error.HTTPError, match="400"):
        get("table/other/manifest.json")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "")
    assert tree(tmp_path) == before


def test_an_address_for_others_comes_with_a_warning(run):
    process, printed = started(run, "--host", "0.0.0.0")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    # An address that can be sent: this machine's own.
    assert "0.0.0.0" not in printed
    host = address_in(printed).split("/")[2].split(":")[0]
    assert ipaddress.ip_address(host)
    assert errors.startswith("mlsolve: warning: 0.0.0.0 can be reached from the network; every number of")
    assert len(errors.splitlines()) == 1


def test_a_port_that_is_taken_is_refused(run, mlsolve):
    process, printed = started(run)
    port = address_in(printed).split(":")[2].split("/")[0]
    assert f"port {port} of 127.0.0.1 cannot be used" in mlsolve("view", run, "--no-open", "--port", port).refusal
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)


def test_maps_for_pages_are_those_of_the_solver():
    from mlsolve.job.arrangements import Placement
    from mlsolve_studio.light_table.stack import placed

    one = Placement(2, 33, "v", (8, -4))
    found = placed(one, [((50, 40), 0.25), ((200, 160), 1.0)])
    assert found["map"] == list(move_of((40, 50), 33, "v", (2, -1)))
    assert found["maps"] == [list(move_of((160, 200), 33, "v", (8, -4)))]
    assert found["shift"] == [8, -4]


def test_inks_for_pages_are_those_of_scoring():
    """Base and curves, multiplied, are the light that `bands_of` finds."""
    from mlsolve.media import load_media
    from mlsolve.pictures.colour import light_from_srgb
    from mlsolve.scoring.developing import bands_of
    from mlsolve_studio.light_table.stack import inks_of_pages

    inks = load_media("inkjet-film").inks
    found = inks_of_pages(inks)
    codes = np.random.default_rng(3).integers(0, 256, (12, 12, 3))
    light = np.array(found["base"]) * np.prod(
        [np.array(found["curves"][channel])[codes[..., channel]] for channel in range(3)], axis=0
    )
    wanted = light_from_srgb(bands_of((codes / 255).astype(np.float32), inks))
    assert np.abs(light - wanted).max() < 1e-5


def test_tiles_are_whole_or_absent(run, monkeypatch):
    """What is cut is the layers, to the last code; a failure leaves nothing, layers written again are cut again."""
    from mlsolve_studio.light_table import pyramid
    from mlsolve_studio.light_table.stack import open_stack

    stack, place = open_stack(run), run.with_name("prints.light-table")
    assert pyramid.levels_of((48, 40), 14) == [(48, 40), (24, 20)]
    assert pyramid.levels_of((48, 40)) == []
    write, written = pyramid._write, []

    def fail(path, codes):
        written.append(path)
        if len(written) > 5:
            raise OSError(28, "No space left on device")
        write(path, codes)

    with monkeypatch.context() as patch:
        patch.setattr(pyramid, "_write", fail)
        with pytest.raises(OSError, match="No space"):
            pyramid.pyramid_of(stack, 14, 16)
    assert {path.name for path in run.parent.iterdir()} == {"prints", "t.png", "a.png", "b.png"}
    shares = []
    made = pyramid.pyramid_of(stack, 14, 16, shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1
    for sheet in (1, 2):
        layer = load_picture(run / f"layer-{sheet}.png")
        rows = [[load_tile(made, sheet, row, column) for column in range(3)] for row in range(3)]
        assert (np.concatenate([np.concatenate(row, axis=1) for row in rows]) == layer).all()
    with pytest.raises(KeyError):
        made.tile(1, 0, 3, 0)
    stamp = (place / "made.json").stat().st_mtime_ns
    pyramid.pyramid_of(stack, 14, 16)
    assert (place / "made.json").stat().st_mtime_ns == stamp
    (run / "layer-1.png").write_bytes((run / "layer-2.png").read_bytes())
    again = pyramid.pyramid_of(open_stack(run), 14, 16)
    assert (load_tile(again, 1, 0, 0) == load_tile(again, 2, 0, 0)).all()


def load_tile(pyramid, sheet, row, column):
    import cv2

    found = cv2.imread(str(pyramid.tile(sheet, 0, row, column)))[..., ::-1]
    return (found / np.float32(255)).astype(np.float32)


def test_layers_of_16_bits_are_shown_in_eight(run, mlsolve, tmp_path):
    from mlsolve_studio.light_table.stack import open_stack

    words = ("--guide", "a.png", "--guide", "b.png", "--iterations", "2", "--backend", "cpu")
    assert mlsolve("run", "t.png", *words, "--format", "tiff", "--bits", 16, "--out", "deep").status == 0
    found = open_stack(tmp_path / "deep").picture("sheet-1", (48, 40))
    assert np.abs(found / 255 - load_picture(tmp_path / "deep" / "layer-1.tif")).max() <= 0.5 / 255 + 1e-6
    assert len(np.unique(found)) > 20
