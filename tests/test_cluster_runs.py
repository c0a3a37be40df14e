"""Runs on real workers of Dask: the same bytes as alone, whoever is killed, and one line where it cannot go on."""

import dataclasses
import errno
import json
import os
import signal
import socket
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from conftest import tree
from mlsolve import Options
from mlsolve.cluster import link as links
from mlsolve.errors import ClusterError, OutputError
from mlsolve.job.arrangements import Arrangement, Placement
from mlsolve.job.job import Job
from mlsolve.pictures import picture_files
from mlsolve.run.budget import Budget
from mlsolve.run.estimate import estimate_job
from mlsolve.run.lifecycle import begin, resume
from mlsolve.run.pipeline import Listener
from mlsolve.run.session import Session
from mlsolve.run.unfinished import unfinished
from mlsolve.system.memory import parse_memory

distributed = pytest.importorskip("distributed", reason="needs the extra cluster: pip install 'mlsolve[cluster]'")

TIGHT = parse_memory("22MiB")
"""Little enough for several tiles and rounds at the last level."""


class Heard(Listener):
    """Counts tiles, and does something after some of them."""

    def __init__(self, after=None, does=None):
        self.tiles, self.most, self.workers = 0, 0, []
        self._after, self._does = after, does

    def on_cluster(self, workers):
        self._workers = workers

    def begin_round(self, plan, tiles):
        self.most = max(self.most, tiles)

    def tile(self, plan, tile):
        self.tiles += 1
        if hasattr(self, "_workers"):
            self.workers.append(self._workers())
        if self.tiles == self._after:
            self._does()


def result(folder):
    """All files of a result; of result.json and job.toml what does not depend on time and place."""
    files = {name: data for name, data in tree(folder).items() if name != "job.toml"}
    scores = json.loads(files.pop("result.json"))
    scores.pop("seconds")
    return {**files, "scores": scores}


def drawn(folder, size, names, seed=7):
    """Draw colour pictures: waves and noise."""
    rng, (y, x) = np.random.default_rng(seed), np.mgrid[0 : 1 : size * 1j, 0 : 1 : size * 1j]
    for name in names:
        waves = np.stack(
            [np.sin(2 * np.pi * (rng.uniform(1, 9) * x + rng.uniform(1, 9) * y)) for _ in range(3)], -1
        )
        picture = np.clip(0.5 + 0.3 * waves + 0.1 * rng.random((size, size, 3)), 0, 1)
        picture_files.save_png(folder / name, np.rint(picture * 255).astype(np.uint8))
    return [folder / name for name in names]


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """A print in colour: twelve tiles at the last level, if memory is tight."""
    target, guide = drawn(tmp_path_factory.mktemp("pictures"), 420, ["t.png", "g.png"])
    options = Options(iterations=8, levels=2, exposure=0.3, backend="cpu", solver="adam")
    return Job((Arrangement(target),), (guide, "mosaic:3"), (420, 420), options=options)


@pytest.fixture(scope="module")
def alone(job, tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone") / "o"
    begin(job, folder, Budget(threads=1), Heard())
    return result(folder)


@pytest.fixture(scope="module")
def hosts():
    """A scheduler and two workers of one thread each, which their nannies start again."""
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        host="127.0.0.1",
        protocol="tcp",
        memory_limit=None,
        dashboard_address="127.0.0.1:0",
        worker_dashboard_address="127.0.0.1:0",
    ) as started:
        yield started


@pytest.fixture(scope="module")
def cluster(hosts):
    return Budget(TIGHT, cluster=hosts.scheduler_address)


def pids(hosts):
    with distributed.Client(hosts, set_as_default=False) as client:
        return list(client.run(os.getpid).values())


def test_a_cluster_leaves_no_trace_in_bytes_and_scores(job, alone, cluster, tmp_path):
    heard = Heard()
    begin(job, tmp_path / "o", cluster, heard)
    assert result(tmp_path / "o") == alone
    assert not unfinished(tmp_path / "o").exists()
    assert heard.most >= 8
    assert set(heard.workers) == {2}


def test_a_worker_that_is_killed_takes_nothing_with_it(job, alone, hosts, cluster, tmp_path):
    heard = Heard(5, lambda: os.kill(pids(hosts)[0], signal.SIGKILL))
    begin(job, tmp_path / "o", cluster, heard)
    assert result(tmp_path / "o") == alone


@pytest.mark.parametrize("order", ["alone and on the cluster", "on the cluster and alone"])
def test_a_run_changes_places(job, alone, cluster, tmp_path, order):
    budgets = [Budget(TIGHT, threads=1), cluster]
    first, second = budgets if order.startswith("alone") else budgets[::-1]

    def strike():
        raise RuntimeError("lightning")

    with pytest.raises(RuntimeError, match="lightning"):
        begin(job, tmp_path / "o", first, Heard(6, strike))
    heard = Heard()
    resume(tmp_path / "o", second, heard)
    assert result(tmp_path / "o") == alone
    assert heard.tiles > 2


def fill_disk():
    """What a worker's disk does when it is full."""
    from mlsolve.solving.store import tile_file

    def refuse(file, data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    tile_file.had, tile_file.write_all = tile_file.write_all, refuse


def empty_disk():
    from mlsolve.solving.store import tile_file

    tile_file.write_all = tile_file.had


def test_a_full_store_is_told_in_one_line_and_the_run_goes_on_later(job, alone, hosts, cluster, tmp_path):
    with distributed.Client(hosts, set_as_default=False) as client:
        with pytest.raises(
            OutputError,
            match=r"^/.*: No space .*; continue with: mlsolve resume /.*/o --memory 22MiB --cluster tcp:\S+$",
        ):
            begin(job, tmp_path / "o", cluster, Heard(4, lambda: client.run(fill_disk)))
        client.run(empty_disk)
    heard = Heard()
    resume(tmp_path / "o", cluster, heard)
    assert result(tmp_path / "o") == alone


def test_a_scheduler_that_is_not_there_is_told_in_one_line(job, tmp_path, monkeypatch):
    monkeypatch.setattr(links, "CONNECTING", 1.0)
    with pytest.raises(
        ClusterError,
        match=r"^cluster tcp://127.0.0.1:9 cannot be used: nothing listens on port 9 of 127.0.0.1, start the sched",
    ):
        begin(job, tmp_path / "o", Budget(cluster="tcp://127.0.0.1:9"), Heard())
    assert list(tmp_path.iterdir()) == []


def test_a_host_that_nobody_knows_is_told_in_one_line(job, tmp_path, monkeypatch):
    monkeypatch.setattr(links, "CONNECTING", 1.0)
    with pytest.raises(ClusterError, match=r"cannot be used: this machine knows no host nowhere\.invalid, mend"):
        begin(job, tmp_path / "o", Budget(cluster="tcp://nowhere.invalid:8786"), Heard())


def test_a_port_where_one_listens_who_says_nothing_is_told_in_one_line(job, tmp_path, monkeypatch):
    """A scheduler that is frozen, or what is none: Dask would wait for ever."""
    monkeypatch.setattr(links, "_HANDSHAKE", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ClusterError, match=r"what listens there does not answer as a Dask"):
            begin(job, tmp_path / "o", Budget(cluster=f"tcp://127.0.0.1:{port}"), Heard())
        with pytest.raises(ClusterError, match=r"cannot be used: Dask has no certificate and key here, name"):
            begin(job, tmp_path / "o", Budget(cluster=f"tls://127.0.0.1:{port}"), Heard())


def test_a_session_is_stopped_while_it_connects(job, tmp_path):
    """Nothing listens on port 9: it would wait for half a minute."""
    session = Session(job, tmp_path / "o", Budget(cluster="tcp://127.0.0.1:9"))

    def hear(event):
        if event.kind == "workers":
            session.stop()

    outcome = session.run(hear)
    assert (outcome.stop, outcome.where, outcome.unfinished) == ("paused", "while waiting for workers", None)
    assert list(tmp_path.iterdir()) == []


def test_only_workers_that_run_are_seen(monkeypatch):
    """One that is paused or closing takes no tasks, though the scheduler still knows it."""
    link = links.DaskLink.__new__(links.DaskLink)
    link._here = None
    states = {"a": "running", "b": "paused", "c": "closing", "d": "closing_gracefully"}
    found = {"workers": {name: {"nthreads": 2, "last_seen": 1.5, "status": one} for name, one in states.items()}}
    link._client = SimpleNamespace(scheduler=SimpleNamespace(identity=None), sync=lambda function, **options: found)
    assert link.workers() == {"a": links.Seen(2, 1.5)}


def test_without_the_extra_one_line_says_what_to_install(mlsolve, monkeypatch, save, picture):
    from mlsolve.cluster import address

    monkeypatch.setattr(address, "find_spec", lambda name: None)
    done = mlsolve("run", save("t.png", picture(40, 40)), "--cluster", "local:2")
    assert done.status == 2
    assert done.refusal.startswith(
        "distributed is not installed: pip install 'mlsolve[cluster]', here and on every"
    )


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ("--cluster", "somewhere"),
            "cluster is 'somewhere': give the address of a Dask scheduler, as in tcp://host",
        ),
        (("--cluster", "local:2", "--processes", 2), "processes is 2 beside cluster local:2: leave processes out"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(mlsolve, save, picture, words, line):
    done = mlsolve("run", save("t.png", picture(40, 40)), *words)
    assert done.status == 2
    assert line in done.refusal


@pytest.mark.slow
@pytest.mark.parametrize("turned", [False, True], ids=["a stack", "turned"])
def test_700_pixels_on_one_two_and_four_workers_and_alone(tmp_path_factory, tmp_path, turned):
    target, other, *guides = drawn(tmp_path_factory.mktemp("pictures"), 700, ["t.png", "u.png", "g.png", "h.png"])
    options = Options(iterations=12, exposure=0.2, backend="cpu")
    arrangements = (Arrangement(target),)
    if turned:
        arrangements += (Arrangement(other, (Placement(1, rotate=90), Placement(2, flip="h"))),)
    job = Job(arrangements, tuple(guides), (700, 700), options=options)
    begin(job, tmp_path / "alone", Budget(), Heard())
    expected = result(tmp_path / "alone")
    for count in (1, 2, 4):
        folder, heard = tmp_path / f"on-{count}", Heard()
        begin(job, folder, Budget(parse_memory("60MiB"), cluster=f"local:{count}"), heard)
        assert result(folder) == expected
        assert heard.most > 1
        assert max(heard.workers) == count
        assert not Path(f"{folder}.unfinished").exists()


def test_budgets_of_a_cluster_are_those_of_each_worker():
    assert dataclasses.replace(Budget(cluster="local:3"), memory=1 << 30).total == 1 << 30


def test_a_session_is_stopped_between_tiles_and_tells_of_workers(job, alone, cluster, tmp_path):
    session, kinds, workers, crew = Session(job, tmp_path / "o", cluster), [], set(), []

    def hear(event):
        kinds.append(event.kind)
        if event.kind == "workers":
            crew.append((event.workers, event.workers_present))
        else:
            workers.add(event.workers)
        if event.kind == "tile" and event.tiles > 1 and event.tile == 3:
            session.stop()

    outcome = session.run(hear)
    before = kinds[: kinds.index("begin")]
    assert before[:2] == ["ready", "workers"]
    assert set(before[1:]) == {"workers"}
    assert crew[0] == (0, 0)
    assert crew[-1] == (2, 2)
    assert workers == {None, 2}
    assert (outcome.stop, outcome.where) == ("paused", "in level 2 of 2, round 1")
    resume(tmp_path / "o", Budget(TIGHT, threads=1), Heard())
    assert result(tmp_path / "o") == alone


class HeardOfEstimate:
    """Keeps what an estimate tells."""

    def __init__(self):
        self.crew, self.done = [], []

    def waits_for_workers(self, ready, present):
        self.crew.append((len(ready), present))

    def rehearsed(self, done, workers):
        self.done.append((done, workers))


def test_an_estimate_asks_the_workers(job, hosts, cluster, tmp_path):
    heard = HeardOfEstimate()
    found = estimate_job(job, cluster, tmp_path / "o", None, 0.0, heard)
    assert heard.crew[0] == (0, 0)
    assert heard.crew[-1] == (2, 2)
    assert heard.done == [(1, 2), (2, 2)]
    assert [(one["threads"], one["memory"], one["gpu"]) for one in found.workers] == [(1, TIGHT, None)] * 2
    assert found.tiles > 1
    assert found.stages["solving"] > 0
    assert list(tmp_path.iterdir()) == []
