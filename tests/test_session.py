"""A session: its events, stopping it, resuming it, and previews of its levels."""

import numpy as np
import pytest

import mlsolve
from conftest import tree
from mlsolve.errors import StoreError
from mlsolve.job.job import Job
from mlsolve.run import session as sessions
from mlsolve.run.budget import Budget
from mlsolve.run.pace import STAGES, Pace
from mlsolve.run.unfinished import RUN, unfinished
from mlsolve.solving.rounds import Round
from mlsolve.solving.spec import Spec
from mlsolve.solving.store import DiskStore
from mlsolve.system.memory import parse_memory

TIGHT = Budget(parse_memory("21MiB"), threads=2)
"""Little enough for several tiles at the last level of `large`."""


@pytest.fixture
def job(save, picture):
    options = mlsolve.Options(iterations=4, levels=2, exposure=0.1)
    return Job(save("t.png", picture(60, 70)), ("rosette:1", "mosaic:2"), options=options)


@pytest.fixture
def large(save, picture):
    options = mlsolve.Options(iterations=3, levels=1, exposure=0.1)
    return Job(save("t.png", picture(460, 520)), ("rosette:1", "mosaic:2", "mosaic:3"), options=options)


def without_seconds(folder):
    return {name: data for name, data in tree(folder).items() if name != "result.json"}


def test_events_tell_a_run_in_order(job, tmp_path):
    session = mlsolve.Session(job, tmp_path / "o")
    events = list(session)
    kinds = [event.kind for event in events if event.kind != "compile"]
    assert kinds[:2] == ["ready", "begin"]
    assert kinds[-1] == "end"
    assert kinds.count("level") == 2
    steps = [event.step for event in events if event.kind == "iteration"]
    assert [(step.level, step.iteration) for step in steps] == [
        (level, n) for level in (1, 2) for n in (1, 2, 3, 4)
    ]
    done = [event.done for event in events]
    assert done == sorted(done)
    assert done[-1] == 1.0
    assert {"pictures", "solving", "writing", "scoring", "done"} <= {event.stage for event in events}
    assert events[-1].outcome == session.outcome
    assert session.outcome.stop == "iterations"
    assert session.outcome.unfinished is None
    assert (tmp_path / "o" / "layer-2.png").exists()


def test_run_in_this_thread_and_in_another_give_the_same_bytes(job, tmp_path):
    mlsolve.Session(job, tmp_path / "a").run()
    for _ in mlsolve.Session(job, tmp_path / "b"):
        pass
    assert without_seconds(tmp_path / "a") == without_seconds(tmp_path / "b")


def test_levels_come_with_previews_of_the_stack(job, tmp_path):
    found = [event.previews for event in mlsolve.Session(job, tmp_path / "o", preview_side=35) if event.previews]
    assert [one[0].shape for one in found] == [(30, 35, 3), (30, 35, 3)]
    session = mlsolve.Session(job, tmp_path / "p", preview_side=1000)
    (last,) = [event.previews[0] for event in session if event.previews][-1:]
    written = mlsolve.load_picture(tmp_path / "p" / "stack.png")
    # The stack is composed of layers rounded to 8 bits, the preview of what was solved.
    assert np.abs(last / 255 - written).max() < 0.03


def test_a_preview_shows_sheets_as_they_are_placed(save, picture, tmp_path):
    turned = mlsolve.Placement(2, rotate=90, shift=(4, 0))
    arrangements = (
        mlsolve.Arrangement(save("a.png", picture(48, 48, 1))),
        mlsolve.Arrangement(save("b.png", picture(48, 48, 2)), [mlsolve.Placement(1), turned]),
    )
    job = Job(arrangements, ("rosette:1", "mosaic:2"), options=mlsolve.Options(iterations=3, levels=1))
    session = mlsolve.Session(job, tmp_path / "o", preview_side=100)
    (previews,) = [event.previews for event in session if event.kind == "level"]
    for number, preview in enumerate(previews, start=1):
        written = mlsolve.load_picture(tmp_path / "o" / f"stack-{number}.png")
        assert np.abs(preview / 255 - written).max() < 0.03


def test_a_small_run_that_is_stopped_is_written_as_it_stands(job, tmp_path):
    session = mlsolve.Session(job, tmp_path / "o")

    def listen(event):
        if event.kind == "iteration" and event.level == 2:
            session.stop()

    outcome = session.run(listen)
    assert outcome.stop == "callback"
    assert (outcome.last.level, outcome.last.iteration) == (2, 1)
    assert (tmp_path / "o" / "result.json").exists()
    assert outcome.unfinished == unfinished(tmp_path / "o")
    resumed = mlsolve.Session.resume(tmp_path / "o")
    assert resumed.job.guides == job.guides
    assert resumed.run().stop == "iterations"
    mlsolve.Session(job, tmp_path / "whole").run()
    assert without_seconds(tmp_path / "o") == without_seconds(tmp_path / "whole")


def test_a_tiled_run_that_is_stopped_is_left_to_be_resumed(large, tmp_path):
    session = mlsolve.Session(large, tmp_path / "o", TIGHT)
    for event in session:
        if event.kind == "tile":
            assert event.tiles > 1
            session.stop()
    outcome = session.outcome
    assert outcome.stop == "paused"
    assert outcome.where == "in level 1 of 1, round 1"
    assert session.can_be_resumed()
    assert not (tmp_path / "o").exists()
    assert mlsolve.Session.resume(tmp_path / "o").run().stop == "iterations"


def test_leaving_the_loop_stops_the_session(large, tmp_path):
    session = mlsolve.Session(large, tmp_path / "o", TIGHT)
    for event in session:
        if event.kind == "begin":
            break
    assert session.stopping
    assert session.outcome.stop == "paused"
    assert session.outcome.where == "while preparing the pictures"


def test_what_an_older_version_began_is_refused(large, tmp_path):
    """Its document may hold anything in the place of the job; the format is looked at first."""
    session = mlsolve.Session(large, tmp_path / "o", TIGHT)
    for event in session:
        if event.kind == "tile":
            session.stop()
    store = DiskStore(unfinished(tmp_path / "o"))
    store.save(RUN, {**store.load(RUN), "format": 2, "job": {"guides": []}})
    with pytest.raises(StoreError, match="is of format 2: resume it with the mlsolve that began it"):
        mlsolve.Session.resume(tmp_path / "o")


def test_what_a_run_refuses_reaches_the_loop(tmp_path):
    job = Job(tmp_path / "nowhere.png", ("rosette:1",))
    with pytest.raises(mlsolve.InputError, match="does not exist"):
        list(mlsolve.Session(job, tmp_path / "o"))
    with pytest.raises(mlsolve.InputError, match="cannot be resumed, no run was begun there"):
        mlsolve.Session.resume(tmp_path / "o")


def test_time_without_workers_is_no_part_of_the_time_left(job, tmp_path, monkeypatch):
    """A tile of ten every second, then nobody for a quarter of a minute, then a tile every second again."""
    spec, now, left = Spec(1, 1, ((10, 10),), (1,), mlsolve.Options(iterations=10), "cpu"), [0.0], []
    monkeypatch.setattr(sessions.time, "monotonic", lambda: now[0])
    told = sessions._Told(
        mlsolve.Session(job, tmp_path / "o"), lambda event: left.append((event.kind, event.seconds_left)), None
    )
    told.begin(spec, [1.0])
    told.waits_for_workers(("a",), 1)
    plan = Round(1, 1, 0, 10, "guides", "", 1.0, False, (5, 5), (5, 5), True)
    told.begin_round(plan, 10)
    for tile in range(8):
        now[0] += 1.0
        if tile == 4:
            told.waits_for_workers((), 0)
            now[0] += 15.0
            told.waits_for_workers(("a",), 1)
            now[0] += 1.0
        told.tile(plan, None)
    each = [seconds for kind, seconds in left if kind == "tile"]
    stages = sum(STAGES["cpu"].values()) - STAGES["cpu"]["pictures"]
    assert each == pytest.approx([9.0 - tile + stages for tile in range(8)])


def test_no_time_left_is_told_from_small_levels_on_a_cluster(job, tmp_path, monkeypatch):
    """They take as long as their tasks take to be carried there."""
    spec, now, left = Spec(1, 1, ((5, 5), (10, 10)), (1,), mlsolve.Options(iterations=10), "cpu"), [0.0], []
    monkeypatch.setattr(sessions.time, "monotonic", lambda: now[0])
    told = sessions._Told(
        mlsolve.Session(job, tmp_path / "o"), lambda event: left.append((event.level, event.seconds_left)), None
    )
    told.on_cluster(lambda: 2)
    told.begin(spec, [1.0, 1.0])
    for level in (1, 2):
        plan = Round(level, 1, 0, 10, "guides", "", 1.0, False, (5, 5), (5, 5), True)
        told.begin_round(plan, level**2)
        for _ in range(level**2):
            now[0] += 1.0
            told.tile(plan, None)
    assert [seconds is not None for level, seconds in left if level == 1] == [False, False]
    assert [seconds is not None for level, seconds in left if level == 2] == [False, True, True, True, True]


@pytest.mark.parametrize("backend", ["cpu", "cuda"])
def test_the_time_left_follows_the_work_left(backend):
    """Two levels of 1 and 4 parts of work an iteration, and stages besides; a second for every 100 parts."""
    spec = Spec(1, 1, ((10, 10), (20, 20)), (1, 1), mlsolve.Options(iterations=10), backend)
    pace, stages = Pace(), STAGES[backend]
    pace.begin(spec, [1.0, 1.0])
    whole = 10 * (100 + 400) + 400 * sum(stages.values())
    assert pace.left(0.0) is None
    pace.at_stage("pictures", 1.0)
    assert pace.share == pytest.approx(400 * stages["pictures"] / whole)
    pace.forget()
    pace.left(50.0)
    pace.at_iteration(1, 5)
    assert pace.left(55.0) == pytest.approx(5 * (whole - 400 * stages["pictures"] - 500) / 500)
    pace.at_stage("scoring", 1.0)
    assert pace.share == pytest.approx(1.0)
