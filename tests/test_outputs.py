"""Layers of a run written by several threads: the same bytes, each file whole or not at all."""

import errno
import threading

import numpy as np
import pytest

from mlsolve.errors import OutputError
from mlsolve.pictures.picture_files import PngWriter, TiffWriter
from mlsolve.run import outputs
from mlsolve.system.files import Partial

SIZE = (90, 700)
COUNT = 3


@pytest.fixture
def codes(rng):
    smooth = np.cumsum(rng.integers(-2, 3, (COUNT, SIZE[1], SIZE[0], 3)), axis=2).astype(np.uint8)
    smooth[1, 100:300] = 255  # flat: compressed in another way
    return smooth


def write(folder, codes, writer, threads, progress=lambda share: None, fails=None):
    files = [writer(folder / f"layer-{number}", SIZE, 3, 8) for number in range(COUNT)]

    def encoded(number, top):
        if (number, top) == fails:
            raise OSError("no more")
        return files[number].encode(codes[number, top : top + writer.part_rows], top)

    tops = range(0, SIZE[1], writer.part_rows)
    places = [(number, top) for number in range(COUNT) for top in tops]
    with outputs._encoded_by_threads(encoded, places, threads) as parts:
        outputs._write_parts(files, len(tops), parts, progress)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("writer", [PngWriter, TiffWriter])
def test_the_number_of_threads_does_not_touch_the_bytes(tmp_path, codes, writer):
    for number in range(COUNT):
        with writer(tmp_path / f"alone-{number}", SIZE, 3, 8) as file:
            for rows in np.array_split(codes[number], 9):
                file.write(rows)
    for threads in (1, 2, 5):
        shares = []
        write(tmp_path, codes, writer, threads, shares.append)
        assert shares == sorted(shares)
        assert shares[-1] == 1
        for number in range(COUNT):
            expected = (tmp_path / f"alone-{number}").read_bytes()
            assert (tmp_path / f"layer-{number}").read_bytes() == expected


@pytest.mark.parametrize("writer", [PngWriter, TiffWriter])
def test_an_error_leaves_whole_files_only(tmp_path, codes, writer):
    before = threading.active_count()
    with pytest.raises(OSError, match="no more"):
        write(tmp_path, codes, writer, 2, fails=(1, 512))
    assert names(tmp_path) == ["layer-0"]
    with writer(tmp_path / "alone", SIZE, 3, 8) as file:
        file.write(codes[0])
    assert (tmp_path / "layer-0").read_bytes() == (tmp_path / "alone").read_bytes()
    assert threading.active_count() == before


def test_an_interrupt_stops_all(tmp_path, codes):
    seen = []

    def progress(share):
        seen.append(share)
        if len(seen) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path, codes, PngWriter, 2, progress)
    assert names(tmp_path) == []
    assert len(seen) == 2


@pytest.mark.parametrize("full", range(COUNT))
def test_a_disk_that_is_full_at_the_end_of_a_file(tmp_path, codes, monkeypatch, full):
    keep = Partial.keep

    def fails(self):
        if self.path.name == f"layer-{full}":
            raise OSError(errno.ENOSPC, "No space left on device")
        keep(self)

    monkeypatch.setattr(Partial, "keep", fails)
    with pytest.raises(OutputError, match=rf"layer-{full} cannot be written: No space left on device"):
        write(tmp_path, codes, PngWriter, 2)
    assert f"layer-{full}" not in names(tmp_path)
    assert not [name for name in names(tmp_path) if "partial" in name]
