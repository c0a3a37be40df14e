"""The studio's runs: in line, stopped, resumed by another server, and the same bytes as `mlsolve run job.toml`."""

import asyncio
import json
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import psutil
import pytest
from PIL import Image

from conftest import ROOT
from mlsolve.errors import InputError, ProcessError
from mlsolve_studio.studio import children as children_module
from mlsolve_studio.studio import runs as module
from mlsolve_studio.studio.estimates import Estimates
from mlsolve_studio.studio.folder import StudioFolder
from mlsolve_studio.studio.jobs import Jobs
from mlsolve_studio.studio.routes import Studio
from mlsolve_studio.studio.runs import Runs
from mlsolve_studio.studio.uploads import Uploads

QUICK = {"size": 48, "exposure": 0.1, "iterations": 4, "backend": "cpu", "threads": 1}
LONG = {"size": 96, "exposure": 0.1, "iterations": 20_000, "levels": 1, "solver": "adam", "backend": "cpu"}


@pytest.fixture
def folder(tmp_path):
    made = StudioFolder(tmp_path / "studio")
    made.make()
    return made


@pytest.fixture
def job(folder):
    """Return a job of the cat with these settings."""
    taken = Uploads(folder)
    with taken.arriving("pictures", "cat.jpg", None) as arriving:
        arriving.write((ROOT / "examples" / "cat.jpg").read_bytes())
        own = arriving.keep()

    def make(settings, **more):
        settings = {key: value for key, value in {**settings, **more}.items() if key != "threads"}
        guides = ["rosette:1:ember", "mosaic:4:lagoon"]
        return Jobs(folder, taken).checked(
            {"pictures": [{"picture": own.name}], "guides": guides, "settings": settings}
        )

    return make


@pytest.fixture
def opened():
    """Open the runs of a folder, and close them in the end."""
    all_of_them = []

    def open_runs(folder):
        all_of_them.append(Runs(folder))
        return all_of_them[-1]

    yield open_runs
    for runs in all_of_them:
        runs.close()


def wait(runs, name, *states, until=lambda run: True):
    """Wait until a run is in one of these states, and return it."""
    for _ in range(1200):
        found = runs.whole(name)
        if found["state"] in states and until(found):
            return found
        assert found["state"] not in {"failed", "finished"} - set(states), found
        time.sleep(0.05)
    raise AssertionError(found)


def solving(run):
    return run["progress"].get("stage") == "solving" and run["progress"].get("iteration", 0) > 5


def layers(folder):
    found = {path.name: path.read_bytes() for path in folder.glob("layer-*")}
    assert len(found) == 2
    return found


def test_a_run_has_the_bytes_of_its_job(folder, job, opened, mlsolve, tmp_path):
    runs = opened(folder)
    name = runs.begin(job(QUICK))
    assert name == "0001-cat"
    run = wait(runs, name, "finished")
    assert run["saved"]
    assert [one["name"] for one in run["files"] if one["kind"] == "layer"] == ["layer-1.png", "layer-2.png"]
    assert run["result"]["size"] == [48, 48]
    assert run["previews"] >= 1
    with Image.open(folder.runs / name / "previews" / "stack-1.png") as preview:
        assert preview.size == (48, 48)
    assert run["trail"][-1][1] == pytest.approx(run["progress"]["ssim"], abs=1e-3)
    path = folder.runs / name / "job.toml"
    assert run["toml"] == path.read_text()
    assert mlsolve("run", path, "--out", "again").status == 0
    assert layers(tmp_path / "again") == layers(folder.runs / name / "cat-prints")
    # The folder's own job.toml, in which everything is resolved, repeats it too.
    assert mlsolve("run", folder.runs / name / "cat-prints" / "job.toml", "--out", "third").status == 0
    assert layers(tmp_path / "third") == layers(folder.runs / name / "cat-prints")


def test_one_runs_and_the_others_wait(folder, job, opened):
    runs = opened(folder)
    first, second, third = (runs.begin(job(LONG)), runs.begin(job(QUICK)), runs.begin(job(QUICK)))
    assert [first, second, third] == ["0001-cat", "0002-cat", "0003-cat"]
    assert runs.whole(third)["place"] == 2
    wait(runs, first, "running", until=solving)
    assert runs.whole(second)["state"] == "waiting"
    runs.stop(second)
    assert runs.whole(second)["state"] == "stopped"
    assert runs.whole(third)["place"] == 1
    with pytest.raises(InputError, match="there is nothing to stop"):
        runs.stop(second)
    runs.stop(first)
    assert runs.whole(first)["state"] == "stopping"
    wait(runs, first, "stopped")
    wait(runs, third, "finished")
    runs.resume(second)
    wait(runs, second, "finished")
    with pytest.raises(InputError, match="there is nothing to continue"):
        runs.resume(second)
    assert [run["name"] for run in runs.all()] == [third, second, first]


@pytest.mark.slow
def test_another_server_finds_what_was_under_way(folder, job, opened, mlsolve, tmp_path):
    settings = {**LONG, "iterations": 3000}
    runs = opened(folder)
    name, waiting = runs.begin(job(settings)), runs.begin(job(QUICK))
    wait(runs, name, "running", until=solving)
    # What a server that is killed leaves: the leash is let go, and nobody writes down what follows.
    process = runs._child[1]
    runs._hear = lambda *_: None
    runs._end = lambda *_: None
    process.stop()
    again = opened(folder)
    found = {run["name"]: run for run in again.all()}
    assert found[name]["state"] == "stopped"
    assert found[waiting]["state"] == "stopped"
    again.resume(name)
    run = wait(again, name, "finished")
    assert run["result"]["iterations"] == 3000
    assert mlsolve("run", folder.runs / name / "job.toml", "--out", "again").status == 0
    assert layers(tmp_path / "again") == layers(folder.runs / name / "cat-prints")
    again.resume(waiting)
    wait(again, waiting, "finished")
    assert opened(folder).whole(name)["state"] == "finished"


def test_a_run_that_is_refused_says_why(folder, job, opened):
    runs = opened(folder)
    asked = job(QUICK)
    picture = next(folder.pictures.iterdir())
    data = picture.read_bytes()
    picture.write_bytes(data[:2000])
    name = runs.begin(asked)
    run = wait(runs, name, "failed")
    assert run["line"].startswith(f"../../pictures/{picture.name} is truncated or damaged")
    assert opened(folder).whole(name)["line"] == run["line"]
    picture.write_bytes(data)
    runs.resume(name)
    wait(runs, name, "finished")


def test_a_process_that_is_killed_leaves_a_run_to_continue(folder, job, opened):
    runs = opened(folder)
    name = runs.begin(job(LONG, iterations=1500))
    wait(runs, name, "running", until=solving)
    runs._child[1].kill()
    run = wait(runs, name, "failed")
    assert "there may be too little memory" in run["line"]
    runs.resume(name)
    wait(runs, name, "finished")


def test_a_folder_that_knows_nothing_of_its_runs_is_read_all_the_same(folder, opened):
    for name, known in (("0001-a", "[]"), ("0002-b", '{"title": 3}'), ("0003-c", "")):
        path = folder.runs / name
        path.mkdir()
        (path / "job.toml").write_text("x")
        (path / "run.json").write_text(known)
    (folder.runs / "0004-d").mkdir()
    (folder.runs / "elsewhere").mkdir()
    runs = opened(folder)
    assert [run["name"] for run in runs.all()] == ["0003-c", "0002-b", "0001-a"]
    assert {run["state"] for run in runs.all()} == {"stopped"}
    runs.resume("0001-a")
    assert "is not a TOML file" in wait(runs, "0001-a", "failed")["line"]
    for name in ("0004-d", "../x", None, 5):
        with pytest.raises(InputError, match="there is no run"):
            runs.whole(name)


def test_sheets_for_a_shop(folder, job, opened, mlsolve, tmp_path):
    runs = opened(folder)
    name = runs.begin(job(QUICK))
    with pytest.raises(InputError, match="sheets are made from a finished run"):
        runs.make_sheets(name, "home", 100)
    wait(runs, name, "finished")
    for shop in ("../home", "nowhere", None, 3):
        with pytest.raises(InputError, match="shop is"):
            runs.make_sheets(name, shop, None)
        with pytest.raises(InputError, match="there is no folder"):
            runs.folder_of(name, f"sheets-{shop}")

    def made():
        return wait(
            runs, name, "finished", until=lambda run: run["sheets"].get("home", {}).get("state") != "making"
        )["sheets"]["home"]

    runs.make_sheets(name, "home", None)
    refused = made()
    assert refused["state"] == "refused"
    assert mlsolve("sheets", folder.runs / name / "cat-prints", "--shop", "home").refusal.endswith(
        refused["line"].removeprefix("cat-prints")
    )
    runs.make_sheets(name, "home", 60)
    files = {one["name"] for one in made()["files"]}
    assert {"sheet-1.pdf", "sheet-2.pdf", "assembly.pdf", "for-the-shop.txt"} == files
    assert runs.folder_of(name, "sheets-home") == folder.runs / name / "sheets-home"
    assert opened(folder).whole(name)["sheets"]["home"]["state"] == "made"


def test_an_estimate_is_that_of_the_command_line(folder, job, mlsolve):
    found = Estimates(folder).estimate(job(QUICK), Event())
    assert list(folder.runs.iterdir()) == []
    place = folder.runs / "0001-cat"
    place.mkdir()
    (place / "job.toml").write_text(job(QUICK).toml)
    told = json.loads(mlsolve("estimate", place / "job.toml", "--json").out)
    same = ("size", "layers", "iterations", "levels", "tiles", "memory_whole", "box", "backend")
    assert {key: found[key] for key in same} == {key: told[key] for key in same}
    asked = job(QUICK)
    next(folder.pictures.iterdir()).unlink()
    with pytest.raises(InputError, match=r"^\.\./\.\./pictures/cat\.jpg does not exist"):
        Estimates(folder).estimate(asked, Event())
    assert [path.name for path in folder.runs.iterdir()] == ["0001-cat"]


def test_a_run_is_taken_off_the_list_and_nothing_is_deleted(folder, job, opened):
    runs = opened(folder)
    first = runs.begin(job(QUICK))
    with pytest.raises(InputError, match="0001-cat is under way: stop it first"):
        runs.remove(first)
    done = wait(runs, first, "finished")
    assert (done["size"], len(done["ssim"])) == ((48, 48), 1)
    kept = layers(folder.runs / first / "cat-prints")
    assert runs.remove(first) == folder.removed / first
    assert (runs.all(), opened(folder).all()) == ([], [])
    assert layers(folder.removed / first / "cat-prints") == kept
    with pytest.raises(InputError, match="there is no run '0001-cat'"):
        runs.remove(first)
    # The next one of this name does not take its place.
    second = runs.begin(job(QUICK))
    wait(runs, second, "finished")
    assert opened(folder).whole(second)["ssim"] == done["ssim"]
    assert (second, runs.remove(second)) == (first, folder.removed / f"{first}-2")
    assert layers(folder.removed / first / "cat-prints") == kept


def test_an_estimate_that_nobody_waits_for_ends(folder, job, monkeypatch):
    """Its process is killed, and the next one need not wait for it."""
    estimates, unwanted, children = Estimates(folder), Event(), []
    begun = children_module.Child.__init__

    def begin(child, *given):
        begun(child, *given)
        children.append(child)
        unwanted.set()

    monkeypatch.setattr(children_module.Child, "__init__", begin)
    with pytest.raises(ProcessError, match="estimate was cancelled"):
        estimates.estimate(job(QUICK, size=2000), unwanted)
    assert not psutil.pid_exists(children[0].pid)
    assert list(folder.runs.iterdir()) == []


def test_a_browser_that_goes_away_cancels_its_estimate(folder, job, monkeypatch):
    studio, seen = Studio(folder), []

    class Gone:
        async def is_disconnected(self):
            return True

    async def asked(request):
        return {}

    def estimate(checked, unwanted):
        seen.append(unwanted.wait(20))
        return {}

    monkeypatch.setattr("mlsolve_studio.studio.routes._json", asked)
    monkeypatch.setattr(studio.jobs, "checked", lambda wish: None)
    monkeypatch.setattr(studio.estimates, "estimate", estimate)
    with ThreadPoolExecutor(1) as other:  # where no test of pages has left a loop running
        other.submit(asyncio.run, studio._estimate(Gone())).result()
    studio.runs.close()
    assert seen == [True]


def test_a_long_trail_is_thinned():
    trail = []
    for at in range(2000):
        trail = module._thinned([*trail, (at / 2000, 0.5)])
    assert len(trail) <= 401
    assert trail[-1][0] == 1999 / 2000
    assert trail == sorted(trail)
