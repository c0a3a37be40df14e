"""Runs with carriers: what they keep, that nothing but the pictures and the settings touches their bytes."""

import dataclasses
import json

import numpy as np
import pytest

import mlsolve
from mlsolve import Options
from mlsolve.errors import OptionError
from mlsolve.job.arrangements import Arrangement, Placement, Problem
from mlsolve.job.job import Job
from mlsolve.pictures import picture_files
from mlsolve.report.carriers import StackCarriers, carriers_picture
from mlsolve.run.budget import Budget
from mlsolve.run.lifecycle import begin, resume
from mlsolve.run.unfinished import unfinished
from mlsolve.solving.backends import CpuBackend
from mlsolve.solving.carriers import Carriers, carrier_masks, carriers_bytes, draw_carriers
from mlsolve.solving.executors.serial import Serial
from mlsolve.solving.level_pictures import store_pictures
from mlsolve.solving.levels import halve_pictures
from mlsolve.solving.spec import BETAS, Spec
from mlsolve.solving.store import MemoryStore
from mlsolve.solving.trial import Trial
from mlsolve.system.memory import parse_memory
from mlsolve_kernels.carriers import SPARED
from mlsolve_kernels.region import Region
from test_arranged_rounds import in_tiles  # noqa: F401  (a fixture)
from test_runs import Listener, result

SIZE = (460, 400)


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """A grey target and three guides, to be solved for a tolerance."""
    folder = tmp_path_factory.mktemp("pictures")
    rng, y, x = np.random.default_rng(4), *np.mgrid[0:1:200j, 0:1:230j]
    target = 0.5 + 0.3 * np.sin(9 * (x + y * y)) + 0.2 * rng.random(x.shape)
    picture_files.save_png(folder / "target.png", np.rint(np.clip(target, 0, 1) * 255).astype(np.uint8))
    for k in range(3):
        blocks = rng.integers(0, 256, (25, 29)).repeat(8, 0).repeat(8, 1).astype(np.uint8)
        picture_files.save_png(folder / f"guide-{k}.png", blocks)
    options = Options(
        iterations=5, levels=2, exposure=0.2, backend="cpu", seed=1, registration=2.5, hide_weight=1, carriers=9
    )
    return Job(folder / "target.png", tuple(folder / f"guide-{k}.png" for k in range(3)), SIZE, options=options)


@pytest.fixture(scope="module")
def alone(job, tmp_path_factory):
    """The folder of a run that was left alone."""
    folder = tmp_path_factory.mktemp("alone") / "o"
    begin(job, folder, Budget(threads=1), Listener())
    return folder


def spec_of(options, sheets=3, size=(70, 50), place=None):
    return Spec.resolve([Arrangement("t", place)], sheets, size, (1,) * (sheets + 1), options)


def prepared(options, size, place=None, planes=1):
    """A store with random pictures of three sheets and their carriers, and its spec."""
    rng = np.random.default_rng(1)
    pictures = [rng.random((size[1], size[0], planes), dtype=np.float32) for _ in range(4)]
    spec = Spec.resolve([Arrangement("t", place)], 3, size, (planes,) * 4, options)
    store, executor = MemoryStore(), Serial(CpuBackend(1, BETAS))
    store_pictures(store, spec, pictures)
    halve_pictures(store, spec, executor)
    executor.close()
    draw_carriers(store, spec)
    return store, spec


def test_what_is_kept(job, alone):
    report = json.loads((alone / "result.json").read_text())
    kept = report["arrangements"][0]["carriers"]
    assert kept["regions"] == 9
    assert kept["picture"] == "carriers.png"
    assert len(kept["shares"]) == 3
    assert sum(kept["shares"]) == pytest.approx(1, abs=1e-3)
    assert min(kept["shares"]) > 0.05
    shown = picture_files.load_picture(alone / "carriers.png")
    assert shown.shape[2] == 3
    assert "carriers = 9" in (alone / "job.toml").read_text()
    begin(job, alone, Budget(threads=1), Listener(), overwrite=True)  # all files are known to be ours


def test_memory_threads_and_processes_do_not_touch_the_bytes(job, alone, tmp_path):
    listener = Listener()
    begin(job, tmp_path / "o", Budget(parse_memory("29MiB"), 2, threads=2), listener)
    assert result(tmp_path / "o") == result(alone)
    assert max(listener.tiles.values()) >= 2


def test_the_least_memory_that_is_named_will_do(job, alone, tmp_path):
    with pytest.raises(OptionError, match=r"this print needs (\d+)MiB at least") as refused:
        begin(job, tmp_path / "o", Budget(1 << 20, threads=2), Listener())
    least = int(str(refused.value).split("needs ")[1].split("MiB")[0])
    begin(job, tmp_path / "o", Budget(least << 20, threads=2), Listener())
    assert result(tmp_path / "o") == result(alone)


def test_a_run_that_was_struck_goes_on(job, alone, tmp_path):
    events = Listener()
    begin(job, tmp_path / "whole", Budget(threads=2), events)
    for name in ("step 1", "step 2"):
        folder = tmp_path / name
        with pytest.raises(RuntimeError):
            begin(job, folder, Budget(threads=2), Listener(fail_at=events.events.index(name) + 3))
        assert unfinished(folder).exists()
        resume(folder, Budget(threads=2), Listener())
        assert result(folder) == result(alone)


def test_without_them_it_is_what_it_was(job, alone, tmp_path):
    """off: no picture, nothing in the report, other bytes than with them; a sheet alone never has any."""
    plain = dataclasses.replace(job, options=dataclasses.replace(job.options, carriers="off"))
    begin(plain, tmp_path / "o", Budget(threads=2), Listener())
    assert not (tmp_path / "o" / "carriers.png").exists()
    assert json.loads((tmp_path / "o" / "result.json").read_text())["arrangements"][0]["carriers"] is None
    assert result(tmp_path / "o")["layer-1.png"] != result(alone)["layer-1.png"]


@pytest.mark.parametrize(
    ("options", "sheets", "regions"),
    [
        ({"registration": 2}, 3, 9),
        ({"registration_turn": 0.1}, 2, 6),
        ({"registration": 2}, 1, 0),
        ({}, 3, 0),
        ({"carriers": 5, "view": 3.0, "gap": (2.0,)}, 3, 5),
        ({"carriers": 5, "hide_weight": 1}, 3, 5),
        ({"carriers": "40", "registration": 1}, 3, 40),
        ({"carriers": "off", "registration": 1}, 3, 0),
    ],
)
def test_who_has_carriers(options, sheets, regions):
    spec = spec_of(Options(**options), sheets)
    assert spec.stacks[0].carriers == regions
    assert spec.objective.stacks[0].carriers == (regions > 0)


@pytest.mark.parametrize("value", ["none", "-1", 0, 10_001, 2.5, True, "1e3", "", "٣"])
def test_what_carriers_cannot_be(value):
    with pytest.raises(OptionError, match=r"^carriers is "):
        Options(carriers=value)


def test_carriers_without_effect_are_refused():
    with pytest.raises(OptionError, match=r"^carriers is 5, which has no effect without registration, regis"):
        spec_of(Options(carriers=5), 3)
    assert spec_of(Options(carriers=5), 1).stacks[0].carriers == 0


def test_in_memory_and_for_several_pictures(tmp_path):
    """A picture of the carriers for every stack that has some; turned sheets have masks of the stack."""
    rng = np.random.default_rng(2)
    pictures = [np.kron(rng.random((6, 6)), np.ones((8, 8))).astype(np.float32) for _ in range(4)]
    turned = (Placement(1), Placement(2, rotate=90))
    problem = Problem(
        pictures[:2],
        [Arrangement(pictures[2]), Arrangement(pictures[3], turned), Arrangement(pictures[0], (Placement(2),))],
    )
    solution = mlsolve.solve(problem, Options(iterations=4, levels=1, registration=1, backend="cpu"))
    assert [one and one.layers for one in solution.carriers] == [(1, 2), (1, 2), None]
    out = solution.save(tmp_path / "o")
    assert {path.name for path in out.glob("carriers*")} == {"carriers-1.png", "carriers-2.png"}
    solution.save(out, overwrite=True)


def test_shares_are_those_of_the_masks():
    """The leak of a sheet is divided by the pixels where it counts, so its weight keeps its meaning."""
    from mlsolve.solving.balancing import balanced

    store, spec = prepared(Options(registration=2, hide_weight=1, carriers=6, levels=1), (120, 90))
    spec, _ = balanced(store, spec)
    stack = spec.objective.stacks[0]
    masks, whole = Carriers(store, spec, 1), Region(0, 90, 0, 120)
    for k in range(3):
        mask = np.empty((90, 120), dtype=np.float32)
        masks.read(0, k, whole, mask)
        assert stack.carried[k] == pytest.approx(mask.mean(), abs=1e-6)
        assert stack.share_of_sheet(k) == pytest.approx(1 - SPARED * mask.mean(), abs=1e-6)


@pytest.mark.parametrize(("levels", "level"), [(None, 3), (None, 1), (1, 1)])
def test_a_region_is_what_the_whole_has_there(levels, level):
    """Regions of masks, read at any level, join without a seam; sums stay near 1."""
    store, spec = prepared(Options(registration=4, carriers=9, levels=levels), (611, 337))
    (height, width), masks = spec.shapes[level - 1], Carriers(store, spec, level)
    whole = np.empty((3, height, width), dtype=np.float32)
    for k, mask in enumerate(whole):
        masks.read(0, k, Region(0, height, 0, width), mask)
    np.testing.assert_allclose(whole.sum(axis=0), 1, atol=0.1)
    assert whole.min() >= 0
    for dtype in (np.float32, np.uint16):
        part = np.empty((20, 31), dtype=dtype)
        table = Carriers(store, spec, level).read(0, 1, Region(7, 27, 40, 71), part)
        values = part if dtype == np.float32 else table[part]
        assert values.tobytes() == np.ascontiguousarray(whole[1, 7:27, 40:71]).tobytes()


def test_masks_are_a_function_of_what_is_given(rng):
    target, guides = rng.random((40, 60, 3), dtype=np.float32), rng.random((3, 40, 60, 3), dtype=np.float32)
    masks = carrier_masks(target, guides, 2.0, 9, 3)
    assert masks.shape == (3, 40, 60)
    assert masks.dtype == np.float32
    assert masks.tobytes() == carrier_masks(target, guides, 2.0, 9, 3).tobytes()
    assert masks.tobytes() != carrier_masks(target, guides, 2.0, 9, 4).tobytes()
    np.testing.assert_allclose(masks.sum(axis=0), 1, atol=1e-6)
    assert masks.min() >= 0
    assert (carrier_masks(target, guides, 0.0, 1, 3).max(axis=(1, 2)) == [1, 0, 0]).all()


def test_trials_take_them_along():
    """A trial at a small size solves for the same carriers."""
    store, spec = prepared(Options(registration=4, hide_weight=1, carriers=9), (300, 200))
    trial = Trial(store, spec)
    with_them = trial.solve(spec.stacks)
    without = trial.solve([dataclasses.replace(spec.stacks[0], carriers=0)])
    assert np.isfinite(with_them.loss)
    assert with_them.loss != without.loss


@pytest.mark.parametrize("place", [None, (Placement(1), Placement(2, rotate=30), Placement(3, shift=(1.5, 0)))])
def test_the_memory_that_drawing_takes(place):
    import tracemalloc

    options = Options(registration=3, levels=1)
    store, spec = prepared(options, (560, 420), place, 3)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        draw_carriers(store, spec)
        taken = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert 0.4 * carriers_bytes(spec) < taken < carriers_bytes(spec)


def test_the_picture_says_which_sheet_is_where():
    masks = np.zeros((3, 20, 30), dtype=np.float32)
    masks[0, :, :10], masks[1, :, 10:20], masks[2, :, 20:] = 1, 1, 1
    shown = carriers_picture(StackCarriers(3, masks, (1, 2, 4)))
    assert shown.shape == (20 * 20 + 42, 600, 3)
    found = [tuple(shown[200, x]) for x in (100, 300, 500)]
    assert len(set(found)) == 3
    for k, colour in enumerate(found):
        assert (shown[-30, k * 150 + 10] == colour).all(), "the legend has the colours of the regions"
