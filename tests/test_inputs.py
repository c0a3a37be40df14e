"""Pictures at the size of the print: the same codes whoever makes them, within the memory that is counted."""

import contextlib
import dataclasses
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mlsolve import InputError, fit_image, load_picture
from mlsolve.guides import generate
from mlsolve.job.arrangements import Arrangement
from mlsolve.job.job import Job
from mlsolve.pictures.picture_files import open_picture
from mlsolve.run import budget, inputs
from mlsolve.run.budget import Budget, shares
from mlsolve.run.job_spec import opened, planes_of_pictures, spec_at
from mlsolve.solving.backends import CpuBackend
from mlsolve.solving.decoding import array_for
from mlsolve.solving.executors.processes import Processes
from mlsolve.solving.executors.serial import Serial
from mlsolve.solving.executors.threads import Threads
from mlsolve.solving.level_pictures import as_codes, name_of
from mlsolve.solving.levels import halve_pictures
from mlsolve.solving.spec import BETAS
from mlsolve.solving.store import DiskStore
from mlsolve_kernels.region import Region

SIZE = 300, 330
"""Width and height: pictures of which are enlarged, reduced, copied."""


@pytest.fixture
def job(save, picture):
    """Pictures of every kind: copied, enlarged and cut, reduced, turned, in sixteen bits, grey, drawn, weights."""
    turned = Image.fromarray((picture(500, 400, 3) * 255).astype(np.uint8))
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save("turned.png", exif=exif)
    sixteen = (picture(350, 320, 4, 1)[..., 0] * 65535).astype(np.uint16)
    Image.fromarray(sixteen).save("sixteen.png")
    guides = (
        save("small.png", picture(100, 140, 1)),
        save("large.png", picture(700, 900, 2)),
        Path("turned.png").absolute(),
        Path("sixteen.png").absolute(),
        "kaleidoscope:3",
        "mosaic:2",
    )
    target = save("same.png", picture(330, 300))
    return Job((Arrangement(target, mask=guides[1]), Arrangement(guides[0])), guides, SIZE)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def made(job, folder, executor, side, held, tell=lambda share: None, digests=None):
    """The store with the pictures of `job`, and its spec."""
    files, store = opened(job), DiskStore(folder)
    spec = spec_at(job, SIZE, planes_of_pictures(job, files), job.options)
    spec.save(store)
    try:
        inputs.make_pictures(store, job, files, executor, side, held, tell, digests)
        halve_pictures(store, spec, executor, side)
    finally:
        executor.close()
    return store, spec


def codes(store, spec, level, number):
    height, width = spec.shapes[level - 1]
    found = np.empty((spec.picture_planes[number], height, width), dtype=np.uint16)
    array = store.open(name_of(level, number))
    for plane, out in enumerate(found):
        array.read((plane,), Region(0, height, 0, width), out)
    return found


def all_codes(store, spec):
    pictures = range(len(spec.picture_planes))
    return {
        (level, k): codes(store, spec, level, k).tobytes() for level in range(1, spec.levels + 1) for k in pictures
    }


def test_whoever_makes_them_and_in_whatever_tiles(job, tmp_path):
    told = []
    expected = all_codes(*made(job, tmp_path / "a", Serial(CpuBackend(1, BETAS)), 1024, 0, told.append))
    assert told[0] == 0
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1)
    for name, executor, side, held in (
        ("b", Threads(1), 128, 1 << 30),
        ("c", Threads(3), 256, 1 << 30),
        ("d", Threads(4), 128, 700_000),  # some are decoded to the store
    ):
        assert all_codes(*made(job, tmp_path / name, executor, side, held)) == expected
        assert not list((tmp_path / name / "pictures").glob("file*"))


def test_other_processes_decode_the_files_that_they_see(job, tmp_path, monkeypatch):
    """What is another file there, or is not there, is decoded here."""
    expected = all_codes(*made(job, tmp_path / "a", Threads(2), 128, 1 << 30))
    here, decode = [], inputs.decode_into
    monkeypatch.setattr(
        inputs, "decode_into", lambda array, file: here.append(file.path.name) or decode(array, file)
    )
    seen = {str(path): inputs.digest_of(path) for path in job.inputs}
    for name, digests, left in (
        ("b", seen, []),
        ("c", {**seen, str(Path("small.png").absolute()): {"bytes": 1, "sha256": "0"}}, ["small.png"]),
    ):
        told = []
        assert all_codes(*made(job, tmp_path / name, Processes(2, 1), 128, 0, told.append, digests)) == expected
        assert here == left
        assert told == sorted(told)
        assert told[-1] == pytest.approx(1)
        assert not list((tmp_path / name / "pictures").glob("file*"))


class InAnotherFolder(Serial):
    """Runs tasks as processes do that were started elsewhere."""

    def map(self, task, calls):
        with contextlib.chdir("/"):
            yield from super().map(task, calls)


def test_names_relative_to_this_folder_are_found_from_another(job, tmp_path, monkeypatch):
    there, decode = [], inputs.decode_into
    monkeypatch.setattr(inputs, "decode_into", lambda *call: there.append(str(Path.cwd())) or decode(*call))
    short = dataclasses.replace(job, guides=(Path("turned.png"), Path("sixteen.png"), *job.guides[4:]))
    short = dataclasses.replace(short, arrangements=(Arrangement(Path("same.png")),))
    digests = {str(path.absolute()): inputs.digest_of(path) for path in short.inputs}
    executor = InAnotherFolder(CpuBackend(1, BETAS))
    made(short, tmp_path / "a", executor, 128, 0, digests=digests)
    assert there == ["/"] * 3


def test_a_file_is_decoded_where_it_is_the_same(job, tmp_path, save, picture):
    store, path = DiskStore(tmp_path / "store"), save("one.png", picture(70, 50))
    file = open_picture(path)
    digests = [inputs.digest_of(path)]
    assert not inputs.decode_if_seen(array_for(file, store, "a"), [tmp_path / "none.png"], digests)
    assert inputs.decode_if_seen(array_for(file, store, "b"), [path], digests)
    save("one.png", picture(70, 50, seed=9))
    assert not inputs.decode_if_seen(array_for(file, store, "c"), [path], digests)


def test_a_damaged_file_is_named_by_who_decodes_it_elsewhere(job, tmp_path):
    Path("large.png").write_bytes(Path("large.png").read_bytes()[:30_000])
    digests = {str(path): inputs.digest_of(path) for path in job.inputs}
    with pytest.raises(InputError, match=r"large\.png"):
        made(job, tmp_path / "a", Processes(2, 1), 128, 0, digests=digests)


def test_they_are_the_pictures(job, tmp_path):
    store, spec = made(job, tmp_path / "a", Threads(2), 128, 1 << 30)
    for number, entry in enumerate(job.entries):
        if isinstance(entry, Path):
            expected = np.moveaxis(fit_image(load_picture(entry), SIZE), 2, 0)
        else:
            family, seed = entry.split(":")
            expected = np.moveaxis(generate(family, SIZE, int(seed)), 2, 0).astype(np.float32) / 255
        found = codes(store, spec, spec.levels, number)
        if found.shape[0] < expected.shape[0]:
            expected = expected.mean(axis=0, keepdims=True)
        exact = entry == job.target or not isinstance(entry, Path)
        assert np.abs(found.astype(int) - as_codes(expected)).max() <= (0 if exact else 2), entry


def test_pictures_that_are_done_are_not_made_again(job, tmp_path, monkeypatch):
    """They are recorded on the way; the last of them by the caller, who flushes anyway."""
    monkeypatch.setattr(inputs, "_BETWEEN", 0.0)
    store, spec = made(job, tmp_path / "a", Threads(2), 128, 1 << 30)
    done = [number for number in range(len(job.entries)) if store.has(f"pictures/picture-{number}-done")]
    assert done
    before = {number: (tmp_path / "a" / name_of(spec.levels, number) / "zarr.json").stat() for number in done}
    inputs.make_pictures(store, job, opened(job), Threads(1), 128, 1 << 30, lambda share: None)
    for number in done:
        assert (tmp_path / "a" / name_of(spec.levels, number) / "zarr.json").stat().st_ino == before[number].st_ino
    assert all_codes(store, spec)


@pytest.mark.parametrize("held", [0, 1 << 30])
def test_a_damaged_picture_is_named(job, tmp_path, held):
    large = Path("large.png")
    large.write_bytes(large.read_bytes()[:30_000])
    with pytest.raises(InputError, match=r"large\.png"):
        made(job, tmp_path / "a", Threads(3), 128, held)


@pytest.mark.parametrize("memory", [24 << 20, 40 << 20, 300 << 20])
@pytest.mark.parametrize("threads", [1, 4])
def test_no_more_memory_is_taken_than_is_counted(job, tmp_path, memory, threads, monkeypatch):
    monkeypatch.setattr(budget, "memory_limit", lambda: None)
    files = opened(job)
    spec = spec_at(job, SIZE, planes_of_pictures(job, files), job.options)
    parts = shares(Budget(memory, threads=threads), spec, job, list(files.values()), None)
    made(job, tmp_path / "warm", Threads(parts.painters), parts.side, parts.held)
    tracemalloc.start()
    try:
        made(job, tmp_path / "a", Threads(parts.painters), parts.side, parts.held)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= memory
    if memory > 100 << 20:
        assert parts.painters == threads
        assert all(open_picture(file.path).decoded_bytes < parts.held for file in files.values())


def test_few_threads_where_there_is_little_memory(job):
    files = opened(job)
    spec = spec_at(job, SIZE, planes_of_pictures(job, files), job.options)
    found = [shares(Budget(m << 20, threads=64), spec, job, list(files.values()), None) for m in (56, 150, 4000)]
    painters = [one.painters for one in found]
    assert painters == sorted(painters)
    assert 1 <= painters[0] < painters[1] < painters[2] == 64
