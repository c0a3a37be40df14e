"""What a run will take, computed from runs at small sizes."""

from pathlib import Path

import pytest

from mlsolve import Options, Placement
from mlsolve.job.arrangements import Arrangement
from mlsolve.job.job import Job
from mlsolve.run.budget import Budget
from mlsolve.run.estimate import _stages, estimate_job
from mlsolve.run.job_spec import opened, spec_of_job
from mlsolve.run.rehearsal import Line, Times, _line, _Measured, _shrunk, rehearsed
from mlsolve.solving.plan import LevelPlan
from mlsolve.solving.spec import Spec

PARTS = ("pictures", "level", "iteration", "writing", "scoring", "end")


@pytest.fixture
def turned(save, picture):
    """Two arrangements with a shift, a turn, a mask and a picture that is missing."""
    placed = Arrangement(save("t.png", picture(400, 400)), (Placement(1, shift=(40, -2)), Placement(2)))
    masked = Arrangement(placed.target, (Placement(2, 90), Placement(1, shift=(3.5, 0))), mask=Path("missing.png"))
    options = Options(iterations=3, exposure=0.3, registration=4.0, patience=2)
    return Job((placed, masked), ("mosaic:1", Path("none.png")), (400, 400), options=options)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (1.5, 3.5, Line(0.5, 0.01)),
        (1.0, 5.0, Line(0.0, 5.0 / 300)),  # the line would cross zero above the origin
        (2.0, 1.5, Line(1.5, 0.0)),  # noise: the larger one was faster
    ],
)
def test_a_line_through_two_rehearsals(low, high, expected):
    first, last = _Measured(100, {"writing": low}), _Measured(300, {"writing": high})
    found = _line(first, last, "writing")
    assert (found.fixed, found.each) == pytest.approx((expected.fixed, expected.each))


def test_a_rehearsal_is_the_job_in_small(turned, tmp_path):
    """Whole shifts stay whole, others do not, missing pictures are noise, and nothing ends it early."""
    spec = spec_of_job(turned, _planes(turned))
    small = _shrunk(turned, spec, tmp_path, 0.25)
    assert small.size == (100, 100)
    assert small.options.registration == 1.0
    assert (small.options.levels, small.options.patience, small.options.exposure) == (1, None, 0.3)
    first, second = small.arrangements
    assert [one.shift for one in first.place] == [(10, -1), (0, 0)]
    assert [one.shift for one in second.place] == [(0, 0), (0.875, 0)]
    assert second.place[0].rotate == 90
    assert first.target == turned.target
    assert second.mask.is_file()
    assert small.guides[0] == "mosaic:1"
    assert small.guides[1].is_file()


class _Opened:
    planes = 3
    size = (400, 400)


def _planes(job):
    return dict.fromkeys(job.files, _Opened)


def test_parts_take_time_and_leave_nothing_behind(turned, tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "empty"))
    times = rehearsed(turned, spec_of_job(turned, _planes(turned)), Budget(threads=1))
    values = 2 * 3 * 400 * 400
    assert all(getattr(times, part).at(values) > 0 for part in PARTS if part != "level")
    assert times.level.at(values) >= 0
    assert times.iteration.at(values) < 1
    assert not list((tmp_path / "empty").iterdir())


def test_an_estimate_adds_its_stages_up(save, picture, tmp_path):
    job = Job(save("t.png", picture(60, 50)), ("mosaic:1",), options=Options(iterations=7, levels=1))
    found = estimate_job(job, Budget(threads=1), tmp_path / "o", None, loading=5.0)
    assert list(found.stages) == ["start", "pictures", "solving", "writing", "scoring", "end"]
    assert found.stages["start"] >= 5
    assert found.plain()["seconds"] == found.seconds == sum(found.stages.values())
    assert found.backend == "cpu"
    assert opened(job)[job.target].size == found.size == (50, 60)


def test_tiles_are_not_loaded_and_saved_twice():
    """What that takes is in the cost of their iterations; of a level that is solved whole it is counted apart."""
    spec = Spec(2, 1, ((100, 100),), (1, 1, 1), Options(iterations=4, levels=1), "cpu")
    nothing = Line(0.0, 0.0)
    times = Times(nothing, Line(7.0, 0.0), Line(0.5, 0.0), nothing, nothing, nothing)
    whole = LevelPlan((100, 100), (100, 100), 4, True, 1.0)
    tiled = LevelPlan((64, 64), (100, 100), 4, False, 3.0)
    assert _stages(spec, [whole], times, 1.0)["solving"] == 7.0 + 4 * 0.5
    assert _stages(spec, [tiled], times, 1.0)["solving"] == 4 * 3.0 * 0.5
