"""Runs from beginning to end and from anywhere to the end: the same bytes, or one line that says why not."""

import dataclasses
import hashlib
import json
import os
import shlex
import shutil
from collections import namedtuple
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from conftest import tree
from mlsolve import Options
from mlsolve.errors import InputError, OptionError, OutputError, ProcessError, StoreError
from mlsolve.job.job import Job
from mlsolve.pictures import picture_files
from mlsolve.run import budget as machines
from mlsolve.run import lifecycle as runs
from mlsolve.run import unfinished as states
from mlsolve.run.budget import Budget
from mlsolve.run.disk import disk_bytes
from mlsolve.run.job_spec import spec_of_job
from mlsolve.run.lifecycle import begin, resume
from mlsolve.run.solver import Callbacks
from mlsolve.run.unfinished import unfinished
from mlsolve.solving import dependencies
from mlsolve.solving.executors import processes
from mlsolve.system.lock import locked
from mlsolve.system.memory import parse_memory

SIZE = (460, 520)
TIGHT = Budget(parse_memory("16MiB"), threads=2)
"""Little enough for several tiles and rounds at the last level."""

STAGES = ("pictures", "writing", "scoring")


class Listener(Callbacks):
    """Counts what happens, and ends it all by an error, or stops it, at one of the events."""

    def __init__(self, fail_at=None, stop_at=None):
        super().__init__()
        self.events, self.tiles, self._fail_at, self._stop_at = [], {}, fail_at, stop_at

    def stage(self, name, share):
        self._happens(name)

    def balanced(self, balance, names):
        self.balance = balance, names
        self._happens("balance")

    def waits_for_workers(self, ready, present):
        """There is no cluster."""

    def begin(self, problem, cost):
        self._happens("solve")

    def begin_round(self, plan, tiles):
        self.tiles[plan.level, plan.number] = tiles
        self._happens(f"round {plan.level}")

    def tile(self, plan, tile):
        self._happens(f"tile {plan.level}")

    def step(self, step):
        self._happens(f"step {step.level}")
        return len(self.events) == self._stop_at

    def _happens(self, name):
        self.events.append(name)
        if len(self.events) == self._fail_at:
            raise RuntimeError("lightning")


def result(folder):
    """The files of a result but for seconds and, in job.toml, ways to files that depend on the folder."""
    return {name: data for name, data in tree(folder).items() if name not in ("result.json", "job.toml")}


@pytest.fixture(scope="module")
def coloured(tmp_path_factory):
    """A target that is enlarged, a grey guide that shrinks, one that is generated."""
    folder = tmp_path_factory.mktemp("pictures")
    rng, y, x = np.random.default_rng(4), *np.mgrid[0:1:200j, 0:1:180j]
    target = 0.5 + 0.3 * np.sin(9 * np.stack([x + y, x * y, x - y], axis=-1)) + 0.2 * rng.random((200, 180, 3))
    picture_files.save_png(folder / "target.png", np.rint(np.clip(target, 0, 1) * 255).astype(np.uint8))
    grey = rng.integers(0, 65536, (50, 60, 1)).repeat(8, 0).repeat(8, 1).astype(np.uint16)
    with picture_files.TiffWriter(folder / "guide.tif", (480, 400), 1, 16) as file:
        file.write(grey)
    options = Options(iterations=9, levels=2, exposure=0.2, backend="cpu", seed=1)
    return Job(folder / "target.png", (folder / "guide.tif", "mosaic:3"), SIZE, options=options)


@pytest.fixture(scope="module")
def job(coloured):
    """The same without colour, which takes a third of the time: enough for most of what can befall a run."""
    folder = coloured.target.parent
    picture_files.save_png(
        folder / "grey.png", np.rint(picture_files.load_picture(coloured.target)[..., 0] * 255).astype(np.uint8)
    )
    return dataclasses.replace(coloured, arrangements=folder / "grey.png", guides=(folder / "guide.tif",) * 2)


@pytest.fixture(scope="module")
def alone(job, tmp_path_factory):
    """The files of a run that was left alone."""
    folder, listener = tmp_path_factory.mktemp("alone") / "o", Listener()
    begin(job, folder, Budget(), listener)
    assert listener.tiles == {(1, 1): 1, (2, 1): 1}
    return result(folder)


@pytest.fixture(scope="module")
def whole(coloured, tmp_path_factory):
    """The files of a run in colour, on one thread and in one piece."""
    folder = tmp_path_factory.mktemp("whole") / "o"
    begin(coloured, folder, Budget(threads=1), Listener())
    return result(folder)


@pytest.mark.parametrize(
    ("memory", "processes"), [("21MiB", 1), ("30MiB", 1), ("50MiB", 2)], ids=["21MiB", "30MiB", "two processes"]
)
def test_memory_and_processes_do_not_touch_the_bytes(coloured, whole, tmp_path, memory, processes):
    listener = Listener()
    begin(coloured, tmp_path / "o", Budget(parse_memory(memory), processes, threads=2), listener)
    assert result(tmp_path / "o") == whole
    assert not unfinished(tmp_path / "o").exists()
    assert max(listener.tiles.values()) >= 3


@pytest.mark.slow
def test_it_goes_on_from_wherever_it_was_struck(job, alone, tmp_path):
    """An error out of the blue at a dozen moments, before every stage and in the middle of each."""
    listener = Listener()
    begin(job, tmp_path / "whole", TIGHT, listener)
    assert listener.tiles[2, 1] >= 5
    assert (2, 2) in listener.tiles
    events = listener.events
    first = {name: events.index(name) + 1 for name in dict.fromkeys(events)}
    moments = sorted({*first.values(), *range(len(events) // 3, len(events), len(events) // 6)})
    assert set(STAGES) <= first.keys()
    for moment in moments:
        folder = tmp_path / f"struck-{moment}"
        with pytest.raises(RuntimeError, match="lightning"):
            begin(job, folder, TIGHT, Listener(fail_at=moment))
        assert not folder.exists()
        if not states.is_run(unfinished(folder)):
            # Nothing was worth keeping, and nothing was kept.
            assert events[moment - 1] in ("solve", "pictures")
            assert not unfinished(folder).exists()
            continue
        # With other memory than before.
        resume(folder, Budget(parse_memory("18MiB"), threads=1), Listener())
        assert result(folder) == alone, events[moment - 1]
        assert not unfinished(folder).exists()


@pytest.mark.slow
def test_struck_again_and_again(job, alone, tmp_path):
    folder, strikes = tmp_path / "o", 0
    call = lambda listener: begin(job, folder, TIGHT, listener)  # noqa: E731
    while not folder.exists():
        try:
            call(Listener(fail_at=12 + strikes))
        except RuntimeError:
            strikes += 1
            if states.is_run(unfinished(folder)):
                call = lambda listener: resume(unfinished(folder), TIGHT, listener)  # noqa: E731
    assert strikes > 3
    assert result(folder) == alone


@pytest.mark.parametrize("after", [0, 3])
def test_a_process_that_is_killed(job, alone, tmp_path, monkeypatch, after):
    """What is told of resuming is so: with a picture done it can be, before that nothing is left."""
    calls, carry_out = [], processes.carried_out

    def killed(*arguments):
        calls.append(arguments)
        if len(calls) > after:
            raise BrokenProcessPool
        return carry_out(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(processes, "carried_out", killed)
        with pytest.raises(ProcessError, match="a process of --processes 2 ended unexpectedly") as error:
            begin(job, tmp_path / "o", Budget(parse_memory("60MiB"), 2), Listener())
    assert str(error.value).endswith(
        f"; continue with: mlsolve resume {tmp_path / 'o'} --memory 60MiB --processes 2"
    ) == (after > 0)
    assert states.is_run(unfinished(tmp_path / "o")) == (after > 0)
    if after:
        resume(tmp_path / "o", Budget(), Listener())
        assert result(tmp_path / "o") == alone


def test_what_was_done_is_not_done_again(job, tmp_path, monkeypatch):
    with pytest.raises(RuntimeError):
        begin(job, tmp_path / "o", TIGHT, Listener(fail_at=40))
    monkeypatch.setattr(runs, "make_pictures", None)
    listener = Listener()
    resume(tmp_path / "o", TIGHT, listener)
    assert (1, 1) not in listener.tiles


def test_a_run_that_was_stopped_leaves_what_it_has_and_goes_on(job, alone, tmp_path):
    folder = tmp_path / "o"
    steps = Listener()
    begin(job, tmp_path / "whole", Budget(), steps)
    outcome = begin(job, folder, Budget(), Listener(stop_at=steps.events.index("step 2") + 4))
    assert outcome.stop == "callback"
    assert outcome.unfinished == unfinished(folder)
    assert json.loads((folder / "result.json").read_text())["stopped_by"] == "callback"
    assert result(folder) != alone
    resume(folder, Budget(), Listener())
    assert result(folder) == alone
    assert not unfinished(folder).exists()


def struck(job, folder, moment=40):
    """Leave an unfinished run, and return where; what was struck once is kept beside its pictures and copied."""
    kept = job.target.parent / f"struck-{moment}-{hashlib.sha256(repr(job).encode()).hexdigest()[:8]}"
    if not unfinished(kept).exists():
        with pytest.raises(RuntimeError):
            begin(job, kept, TIGHT, Listener(fail_at=moment))
    shutil.copytree(unfinished(kept), unfinished(folder))
    return unfinished(folder)


def test_another_run_does_not_begin_on_top(job, alone, tmp_path):
    struck(job, tmp_path / "o")
    with pytest.raises(
        OutputError,
        match=r"o.unfinished contains an unfinished run: --overwrite discards it, or "
        r"continue with: mlsolve resume .*o --memory \S+ --threads 2$",
    ):
        begin(job, tmp_path / "o", TIGHT, Listener())
    with (
        locked(unfinished(tmp_path / "o")),
        pytest.raises(OutputError, match=r"is in use by another mlsolve process: wait for it, or stop it$"),
    ):
        begin(job, tmp_path / "o", TIGHT, Listener())
    begin(job, tmp_path / "o", TIGHT, Listener(), overwrite=True)
    assert result(tmp_path / "o") == alone


def test_a_round_that_was_planned_for_more_memory_begins_again_and_says_so(job, alone, tmp_path):
    roomy, calm = Budget(parse_memory("22MiB"), threads=2), Listener()
    begin(job, tmp_path / "calm", roomy, calm)
    second = [number for number, event in enumerate(calm.events, start=1) if event == "tile 2"][1]
    with pytest.raises(RuntimeError, match="lightning"):
        begin(job, tmp_path / "o", roomy, Listener(fail_at=second))
    shutil.copytree(unfinished(tmp_path / "o"), unfinished(tmp_path / "again"))
    with pytest.warns(UserWarning, match=r"level 2, round 1 begins again, .* solved a second time: 2$"):
        resume(tmp_path / "o", TIGHT, Listener())
    resume(tmp_path / "again", roomy, Listener())  # without a warning
    assert result(tmp_path / "o") == result(tmp_path / "again") == alone


def test_the_command_that_continues_can_be_pasted():
    words = states.how_to_continue(Path("an evening's print"), " --memory 1GiB")
    command = words.removeprefix("continue with: ")
    assert shlex.split(command) == ["mlsolve", "resume", "an evening's print", "--memory", "1GiB"]
    assert states.how_to_continue(Path("wall")) == "continue with: mlsolve resume wall"


@pytest.mark.parametrize("removed", ["run.json", "pictures", "level-1"])
def test_killed_while_it_cleaned_up(job, alone, tmp_path, monkeypatch, removed):
    """Whatever is left once the document is gone is rubbish, to be taken over in silence."""
    root = struck(job, tmp_path / "o")
    (root / "run.json").unlink()
    path = root / removed
    if path.exists():
        shutil.rmtree(path)
    with pytest.raises(InputError, match="cannot be resumed, no run was begun there"):
        resume(tmp_path / "o", TIGHT, Listener())
    begin(job, tmp_path / "o", TIGHT, Listener())
    assert result(tmp_path / "o") == alone
    assert not root.exists()


def test_struck_while_it_scored_and_begun_anew(job, alone, tmp_path):
    """What was decoded by then is ours to remove: layers that are turned are decoded before they are scored."""

    class Scoring(Listener):
        def stage(self, name, share):
            if name == "scoring" and share > 0.5:
                raise RuntimeError("lightning")

    root = unfinished(tmp_path / "o")
    with pytest.raises(RuntimeError):
        begin(job, tmp_path / "o", TIGHT, Scoring())
    (root / "decoded" / "layer-0").mkdir(parents=True)
    begin(job, tmp_path / "o", TIGHT, Listener(), overwrite=True)
    assert result(tmp_path / "o") == alone
    assert not root.exists()


def test_folders_of_others_are_left_alone(job, tmp_path):
    root = unfinished(tmp_path / "o")
    root.mkdir()
    (root / "thesis.txt").write_text("ten years of work")
    for overwrite in (False, True):
        with pytest.raises(OutputError, match=r"contains thesis.txt, which mlsolve did not write"):
            begin(job, tmp_path / "o", TIGHT, Listener(), overwrite)
    assert tree(root) == {"thesis.txt": b"ten years of work"}
    shutil.rmtree(root)
    root.write_text("a file")
    with pytest.raises(OutputError, match="is not a folder: choose another --out"):
        begin(job, tmp_path / "o", TIGHT, Listener(), overwrite=True)


def test_one_at_a_time(job, tmp_path):
    root = struck(job, tmp_path / "o")
    with locked(root), pytest.raises(OutputError, match="is in use by another mlsolve"):
        resume(tmp_path / "o", TIGHT, Listener())
    with locked(root), pytest.raises(OutputError, match="is in use by another mlsolve"):
        begin(job, tmp_path / "o", TIGHT, Listener(), overwrite=True)
    assert states.is_run(root)


def test_pictures_that_changed_are_refused(job, tmp_path):
    for name in ("grey.png", "guide.tif"):
        shutil.copy(job.target.parent / name, tmp_path)
    here = dataclasses.replace(
        job, arrangements=tmp_path / "grey.png", guides=(tmp_path / "guide.tif", tmp_path / "guide.tif")
    )
    struck(here, tmp_path / "o")
    data = bytearray((tmp_path / "guide.tif").read_bytes())
    data[5000] ^= 1
    (tmp_path / "guide.tif").write_bytes(data)
    with pytest.raises(InputError, match=r"guide.tif has changed since the run began"):
        resume(tmp_path / "o", TIGHT, Listener())
    (tmp_path / "guide.tif").unlink()
    with pytest.raises(InputError, match=r"guide.tif no longer exists"):
        resume(tmp_path / "o", TIGHT, Listener())


def test_a_profile_that_changed_is_refused(job, tmp_path):
    here = dataclasses.replace(job, cmyk_profile=tmp_path / "press.icc")
    with pytest.raises(InputError, match=r"cmyk-profile is \S*press\.icc, which is not a file: check the name"):
        begin(here, tmp_path / "o", TIGHT, Listener())
    (tmp_path / "press.icc").write_bytes(b"one")
    struck(here, tmp_path / "o")
    (tmp_path / "press.icc").write_bytes(b"two")
    with pytest.raises(InputError, match=r"press\.icc has changed since the run began"):
        resume(tmp_path / "o", TIGHT, Listener())


def test_what_another_version_began_is_refused(job, tmp_path, monkeypatch):
    root = struck(job, tmp_path / "o")
    with monkeypatch.context() as patch:
        patch.setattr(dependencies, "sources_digest", lambda: "others")
        with pytest.raises(StoreError, match=r"begun with kernels .*, here it is others: its bytes would differ"):
            resume(tmp_path / "o", TIGHT, Listener())
    with monkeypatch.context() as patch:
        patch.setattr(runs, "same_gpus", lambda *_: runs.Gpu(adam="linked"))
        with pytest.raises(StoreError, match=r"begun with adam None, here it is linked: its bytes would differ"):
            resume(tmp_path / "o", TIGHT, Listener())
    with monkeypatch.context() as patch:
        patch.setattr(runs, "FORMAT", runs.FORMAT + 1)
        with pytest.raises(
            StoreError, match=rf"is of format {runs.FORMAT - 1}: resume it with the mlsolve that began it"
        ):
            resume(tmp_path / "o", TIGHT, Listener())
    assert states.is_run(root)


@pytest.mark.parametrize("name", ["run", "spec", "progress"])
@pytest.mark.parametrize("damage", ["flip", "empty", "foreign"])
def test_damaged_documents_are_refused(job, tmp_path, name, damage):
    root = struck(job, tmp_path / "o")
    path = root / f"{name}.json"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes({"flip": bytes(data), "empty": b"", "foreign": b'{"a": 1}'}[damage])
    with pytest.raises(StoreError, match=rf"{name}.json is damaged .*: delete the folder .* and run again$"):
        resume(tmp_path / "o", TIGHT, Listener())
    assert not (tmp_path / "o").exists()


@pytest.mark.slow
def test_a_damaged_state_is_refused_or_not_needed(job, alone, tmp_path):
    """A flipped bit in any file of the store: the right bytes or one line, never a wrong picture."""
    root, rng, refused = struck(job, tmp_path / "o", 60), np.random.default_rng(2), 0
    files = sorted(path for path in root.rglob("*") if path.is_file() and path.name != "lock")
    for number, path in enumerate(rng.permutation(np.array(files, dtype=object))[:24]):
        copy = tmp_path / f"copy-{number}"
        shutil.copytree(root, unfinished(copy))
        damaged = unfinished(copy) / path.relative_to(root)
        data = bytearray(damaged.read_bytes())
        data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
        damaged.write_bytes(data)
        try:
            resume(copy, TIGHT, Listener())
        except StoreError:
            refused += 1
            assert not copy.exists()
        else:
            assert result(copy) == alone, path
        shutil.rmtree(unfinished(copy), ignore_errors=True)
    assert 4 < refused < 24


def test_what_killed_processes_had_half_written_is_swept_up(job, alone, tmp_path):
    root = struck(job, tmp_path / "o")
    rubbish = next(root.glob("level-*/**/c")) / ".0.partial-1-2"
    rubbish.write_bytes(b"half of a tile")
    with pytest.raises(RuntimeError):
        resume(tmp_path / "o", TIGHT, Listener(fail_at=1))
    assert not rubbish.exists()


def test_a_result_that_appeared_meanwhile_is_not_replaced(job, tmp_path):
    root = struck(job, tmp_path / "o")
    (tmp_path / "o").mkdir()
    with pytest.raises(OutputError, match="o exists already"):
        resume(tmp_path / "o", TIGHT, Listener())
    assert states.is_run(root)


@pytest.mark.parametrize(("name", "words"), [("o", ": it is finished"), ("nowhere", ", no run was begun there")])
def test_nothing_to_go_on_with(job, tmp_path, name, words):
    (tmp_path / "o").mkdir()
    (tmp_path / "o" / "result.json").write_text("{}")
    with pytest.raises(InputError, match=f"{name} cannot be resumed{words}"):
        resume(tmp_path / name, TIGHT, Listener())
    assert not unfinished(tmp_path / name).exists()


def test_a_picture_that_turns_out_to_be_damaged_leaves_nothing(job, tmp_path):
    data = bytearray(job.target.read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "bad.png").write_bytes(data)
    before = tree(tmp_path)
    with pytest.raises(InputError, match=r"bad.png is truncated or damaged"):
        begin(
            dataclasses.replace(job, guides=("mosaic:3", tmp_path / "bad.png")),
            tmp_path / "o",
            Budget(),
            Listener(),
        )
    assert tree(tmp_path) == before


def test_the_least_memory_that_is_named_will_do(job, alone, tmp_path):
    with pytest.raises(OptionError, match=r"memory is 1 MiB: this print needs (\d+)MiB at least") as refused:
        begin(job, tmp_path / "o", Budget(1 << 20, threads=2), Listener())
    least = int(str(refused.value).split("needs ")[1].split("MiB")[0])
    assert not unfinished(tmp_path / "o").exists()
    with pytest.raises(OptionError, match=rf"memory is {least - 1} MiB: this print needs {least}MiB at least"):
        begin(job, tmp_path / "o", Budget((least - 1) << 20, threads=2), Listener())
    begin(job, tmp_path / "o", Budget(least << 20, threads=2), Listener())
    assert result(tmp_path / "o") == alone


Usage = namedtuple("Usage", "total used free")


def test_a_disk_too_small_is_refused_before_anything_is_done(job, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**9, 10**9 - 10**6, 10**6))
    with pytest.raises(OutputError, match=r"has 0.95 MiB free, the run needs .* MiB: choose another --out"):
        begin(job, tmp_path / "o", Budget(), Listener())
    assert tree(tmp_path) == {}


def test_a_disk_without_room_for_moments_is_solved_in_one_round(job, alone, tmp_path, monkeypatch):
    """Two generations of layers and moments do not fit, the layers do: then halos are long."""
    values, machine = 2 * SIZE[0] * SIZE[1], Budget(parse_memory("22MiB"), threads=2)
    roomy, listener = Listener(), Listener()
    begin(job, tmp_path / "roomy", machine, roomy)
    assert len([number for level, number in roomy.tiles if level == 2]) > 1
    monkeypatch.setattr(runs, "states_left", lambda *_: values * 4 * 5)
    begin(job, tmp_path / "o", machine, listener)
    assert result(tmp_path / "o") == alone
    assert [number for level, number in listener.tiles if level == 2] == [1]
    assert listener.tiles[2, 1] > 1


def test_the_disk_holds_no_more_than_was_said(job, tmp_path):
    """Looked at after every event; what is said is an upper estimate, and no wild one."""
    most, files = 0, list(runs.opened(job).values())

    class Watching(Listener):
        def _happens(self, name):
            nonlocal most
            taken = 0
            for path in [Path(where) / file for where, _, found in os.walk(tmp_path) for file in found]:
                with suppress(FileNotFoundError):  # other threads go on meanwhile
                    taken += path.stat().st_size
            most = max(most, taken)

    begin(job, tmp_path / "o", TIGHT, Watching())
    problem = spec_of_job(job, runs.opened(job))
    parts = machines.shares(TIGHT, problem, job, files, 10**12)
    said = disk_bytes(problem, job, files, machines.plans(problem, parts.limits), parts.bands)
    assert 0.5 * said < most <= said


@pytest.mark.parametrize("bits", [pytest.param(8, marks=pytest.mark.slow), 16])
def test_tiff_of_any_depth_with_dpi(job, tmp_path, bits):
    changed = dataclasses.replace(job, format="tiff", bits=bits, dpi=240.0)
    begin(changed, tmp_path / "o", TIGHT, Listener())
    picture = picture_files.open_picture(tmp_path / "o" / "layer-1.tif")
    assert picture.size == SIZE
    assert picture.bits == bits
    coarse = picture_files.load_picture(tmp_path / "o" / "layer-2.tif")
    begin(job, tmp_path / "p", TIGHT, Listener())
    assert np.abs(coarse - picture_files.load_picture(tmp_path / "p" / "layer-2.png")).max() <= 0.5 / 255 + 1e-6
    again = (tmp_path / "o" / "job.toml").read_text()
    assert 'format = "tiff"' in again
    assert f"bits = {bits}" in again
    assert "dpi = 240.0" in again
