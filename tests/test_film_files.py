"""Films as files: MP4, WebP and GIF, read again by other code than wrote them."""

import errno
import os
import struct
import sys
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from PIL import Image, features

from mlsolve.errors import OptionError, OutputError
from mlsolve.film import check_film, gif, mp4, usual_suffix, webp, write_film
from mlsolve.film.durations import with_durations
from mlsolve.system.files import Partial

WRITES_GIF = hasattr(cv2, "imencodeanimation") and cv2.haveImageWriter(".gif")
needs_gif = pytest.mark.skipif(not WRITES_GIF, reason="OpenCV before 4.12 writes no GIF: pip install one")
A_GIF = pytest.param(".gif", marks=needs_gif)
RED, WHITE = (255, 0, 0), (255, 255, 255)
COLOURS = [RED, (0, 255, 0), (0, 0, 255), (255, 255, 0), (200, 120, 60), (20, 20, 22), (128, 128, 128), WHITE]


@pytest.fixture
def moving(picture):
    """Thirty frames of 64×48: a window that slides over a picture, and stands still in the middle third."""
    whole = np.rint(255 * picture(48, 104)).astype(np.uint8)
    return [whole[:, 2 * left : 2 * left + 64] for left in [*range(10), *[10] * 10, *range(11, 21)]]


def flat(*shape, value=0):
    return np.full((*shape, 3), value, np.uint8)


def rgb(picture):
    """What a frame of BT.709 in yuv420p is in sRGB, by the formulas of the standard; chroma is not smoothed."""
    height, width = picture.height, picture.width
    values = picture.to_ndarray().astype(float).reshape(-1)
    luma = (values[: height * width].reshape(height, width) - 16) / 219
    blue, red = (
        (np.kron(plane.reshape(height // 2, width // 2), np.ones((2, 2))) - 128) / 224
        for plane in np.split(values[height * width :], 2)
    )
    r, b = luma + 2 * (1 - 0.2126) * red, luma + 2 * (1 - 0.0722) * blue
    g = (luma - 0.2126 * r - 0.0722 * b) / 0.7152
    return 255 * np.clip(np.stack([r, g, b], axis=-1), 0, 1)


def read(path):
    """The pictures of a film, and how many ms each is seen."""
    if path.suffix == ".gif":
        done, animation = cv2.imdecodeanimation(np.frombuffer(path.read_bytes(), np.uint8))
        assert done
        assert animation.loop_count == 0
        return [image[..., 2::-1].astype(float) for image in animation.frames], list(animation.durations)
    if path.suffix == ".webp":
        with Image.open(path) as image:
            assert image.info["loop"] == 0
            pictures, durations = [], []
            for number in range(image.n_frames):
                image.seek(number)
                pictures.append(np.asarray(image.convert("RGB"), dtype=float))
                durations.append(image.info["duration"])
            return pictures, durations
    with path.open("rb") as file, av.open(file) as container:
        pictures = list(container.decode(video=0))
        times = [float(1000 * one.pts * one.time_base) for one in pictures]
        end = float(1000 * container.streams.video[0].duration * container.streams.video[0].time_base)
    assert times[0] == 0
    return [rgb(one) for one in pictures], [after - before for before, after in pairwise([*times, end])]


def boxes(data):
    """The names of the outermost boxes of an MP4, in their order."""
    names, place = [], 0
    while place < len(data):
        (size,) = struct.unpack(">I", data[place : place + 4])
        names.append(data[place + 4 : place + 8].decode())
        place += size
    assert place == len(data)
    return names


def chunks(data):
    """The chunks of a WebP, each as name and content."""
    assert data[:4] + data[8:12] == b"RIFFWEBP"
    assert struct.unpack("<I", data[4:8]) == (len(data) - 8,)
    found, place = [], 12
    while place < len(data):
        name, size = struct.unpack("<4sI", data[place : place + 8])
        found.append((name.decode(), data[place + 8 : place + 8 + size]))
        place += 8 + size + size % 2
    return found


def distance(one, other):
    return np.sqrt(np.mean((one - np.asarray(other, dtype=float)) ** 2))


@pytest.mark.parametrize("suffix", [".mp4", ".webp", A_GIF])
def test_films_are_read_back(tmp_path, moving, suffix):
    path = tmp_path / f"film{suffix}"
    write_film(path, iter(moving), 12.5)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    pictures, durations = read(path)
    if suffix == ".mp4":
        assert durations == pytest.approx([80] * 30)
    else:
        assert durations == [80] * 10 + [800] + [80] * 10
        moving = moving[:11] + moving[20:]
    assert {picture.shape for picture in pictures} == {(48, 64, 3)}
    for picture, wanted in zip(pictures, moving, strict=True):
        assert distance(picture, wanted) < (16 if suffix == ".gif" else 7)
        assert np.abs((picture - wanted).mean(axis=(0, 1))).max() < 1.5
    with pytest.raises(OutputError, match="exists already: choose another name or add --overwrite"):
        write_film(path, moving, 12.5)
    write_film(path, moving[:3], 12.5, overwrite=True)
    assert len(read(path)[0]) == 3


def test_an_mp4_is_what_browsers_play(tmp_path, moving):
    path = tmp_path / "film.mp4"
    write_film(path, moving, 12.5)
    with av.open(str(path)) as container:
        (stream,) = container.streams
        codec = stream.codec_context
        assert (codec.name, codec.pix_fmt, codec.profile) == ("h264", "yuv420p", "High")
        assert (codec.width, codec.height, stream.frames) == (64, 48, 30)
        assert stream.average_rate == 12.5
        assert stream.duration * stream.time_base == Fraction("2.4")
        # ITU-T H.273: primaries and matrix of BT.709, transfer of sRGB, limited range.
        assert (codec.color_primaries, codec.color_trc, codec.colorspace, codec.color_range) == (1, 13, 1, 1)
    data = path.read_bytes()
    assert [name for name in boxes(data) if name != "free"] == ["ftyp", "moov", "mdat"]
    assert b"colrnclx\0\1\0\x0d\0\1\0" in data


def test_colours_stay_what_they_are(tmp_path):
    strips = np.concatenate([flat(32, 16, value=colour) for colour in COLOURS], axis=1)
    for suffix in (".mp4", ".webp"):
        path = tmp_path / f"film{suffix}"
        write_film(path, [strips] * 3, 10)
        for picture in read(path)[0]:
            for number, colour in enumerate(COLOURS):
                seen = picture[8:24, 16 * number + 4 : 16 * number + 12].reshape(-1, 3)
                assert np.abs(seen - colour).max() <= 4, (suffix, colour)
                assert np.abs(seen.mean(axis=0) - colour).max() <= 2, (suffix, colour)


@pytest.mark.parametrize(("begin", "chroma"), [(16, [128, 212, 240]), (17, [128, 156, 240]), (18, [128, 128, 212])])
def test_chroma_lies_on_the_left_column_of_two_and_between_two_rows(begin, chroma):
    frame = flat(4, 32, value=WHITE)
    frame[:, begin:] = RED
    planes = mp4.planes_of(frame)
    assert planes.shape == (6, 32)
    assert planes.dtype == np.uint8
    assert set(planes[:4, :begin].flat) == {235}
    assert set(planes[:4, begin:].flat) == {63}
    assert [list(row[7:10]) for row in planes[5].reshape(2, 16)] == [chroma, chroma]
    frame = np.concatenate([flat(1, 32, value=WHITE), flat(3, 32, value=RED)])
    assert [set(row) for row in mp4.planes_of(frame)[5].reshape(2, 16)] == [{184}, {240}]


@pytest.fixture
def cores():
    """Let this process run on so many cores, as far as there are as many; only Linux can be asked."""
    if not hasattr(os, "sched_setaffinity"):
        yield lambda count: None
        return
    allowed = os.sched_getaffinity(0)
    yield lambda count: os.sched_setaffinity(0, sorted(allowed)[:count])
    os.sched_setaffinity(0, allowed)


@pytest.mark.parametrize("suffix", [".mp4", ".webp", A_GIF])
def test_the_same_frames_give_the_same_bytes(tmp_path, picture, suffix, cores):
    whole = np.rint(255 * picture(160, 300)).astype(np.uint8)
    made = set()
    for number, count in enumerate((1, 2, 64, 1)):
        cores(count)
        path = tmp_path / f"{number}{suffix}"
        write_film(path, [whole[:, 3 * left : 3 * left + 208] for left in range(20)], 25)
        made.add(path.read_bytes())
    assert len(made) == 1


@pytest.mark.parametrize("suffix", [".mp4", ".webp", A_GIF])
def test_names_outside_ascii(tmp_path, moving, suffix):
    folder = tmp_path / "Bären"
    folder.mkdir()
    path = folder / f"größe 影{suffix}"
    write_film(path, moving, 10)
    assert [entry.name for entry in folder.iterdir()] == [path.name]
    assert distance(read(path)[0][0], moving[0]) < 16


def test_durations_add_up_whatever_the_rate():
    frames = [flat(2, 2, value=number) for number in (0, 0, 1, 2, 2, 2, 3)]
    for fps, ticks, wanted in (
        (30, 100, [7, 3, 10, 3]),
        (30, 1000, [67, 33, 100, 33]),
        (7, 1000, [286, 143, 428, 143]),
    ):
        found = list(with_durations(iter(frames), fps, ticks))
        assert [frame[0, 0, 0] for frame, _ in found] == [0, 1, 2, 3]
        assert [duration for _, duration in found] == wanted
    assert [duration for _, duration in with_durations([frames[0]] * 5, 2.5, 1000)] == [2000]
    assert list(with_durations([], 25, 100)) == []


@pytest.mark.parametrize(("suffix", "whole"), [(".webp", 1033), pytest.param(".gif", 1030, marks=needs_gif)])
def test_a_film_is_as_long_as_its_frames(tmp_path, suffix, whole):
    path = tmp_path / f"a{suffix}"
    write_film(path, (flat(16, 16, value=3 * number) for number in range(31)), 30)
    durations = read(path)[1]
    assert len(durations) == 31
    assert sum(durations) == whole
    assert max(durations) - min(durations) in (1, 10)


def test_a_webp_holds_what_changes(tmp_path, rng):
    """The first frame is whole; of the others, the least rows and columns from even ones on."""
    path = tmp_path / "a.webp"
    frames = [np.kron(rng.integers(0, 256, (7, 9, 3)), np.ones((5, 5, 1))).astype(np.uint8)]
    for rows, columns in (
        (slice(7, 8), slice(3, 4)),
        (slice(30, 35), slice(41, 45)),
        (slice(0, 35), slice(10, 20)),
    ):
        frames.append(frames[-1].copy())
        frames[-1][rows, columns] ^= 255
    write_film(path, frames, 10)
    head, animation, *parts = chunks(path.read_bytes())
    assert head == ("VP8X", b"\2\0\0\0\x2c\0\0\x22\0\0")
    assert animation == ("ANIM", b"\xff\xff\xff\xff\0\0")
    assert {name for name, _ in parts} == {"ANMF"}
    numbers = [[int.from_bytes(part[k : k + 3], "little") for k in range(0, 15, 3)] for _, part in parts]
    places = [(2 * left, 2 * top, width + 1, height + 1) for left, top, width, height, _ in numbers]
    assert places == [(0, 0, 45, 35), (2, 6, 2, 2), (40, 30, 5, 5), (10, 0, 10, 35)]
    assert {duration for *_, duration in numbers} == {100}
    assert {(part[15], part[16:20]) for _, part in parts} == {(2, b"VP8 ")}
    pictures, _ = read(path)
    for number, (before, after) in enumerate(pairwise(pictures), start=1):
        left, top, width, height = places[number]
        before[top : top + height, left : left + width] = after[top : top + height, left : left + width]
        assert np.array_equal(before, after)
        assert distance(after, frames[number]) < 30


def failing(shape):
    yield flat(*shape)
    yield flat(*shape, value=1)
    raise RuntimeError("no more")


@pytest.mark.parametrize("suffix", [".mp4", ".webp", A_GIF])
def test_nothing_half_written_stays(tmp_path, suffix):
    path = tmp_path / f"film{suffix}"
    path.write_bytes(b"what was there")
    with pytest.raises(RuntimeError, match="no more"):
        write_film(path, failing((16, 16)), 10, overwrite=True)
    with pytest.raises(OptionError, match=r"a frame has shape \(18, 16, 3\) and type uint8"):
        write_film(path, [flat(side, 16) for side in (16, 18)], 10, overwrite=True)
    with pytest.raises(OptionError, match=r"a frame has shape \(16, 16\) and type uint8"):
        write_film(path, [flat(16, 16)[..., 0]], 10, overwrite=True)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    assert path.read_bytes() == b"what was there"


class Failing:
    """A file that takes so many writes, and then tells of a full disk."""

    def __init__(self, file, writes):
        self.file, self.left, self.name = file, writes, file.name

    def write(self, data):
        self.left -= 1
        if self.left < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return self.file.write(data)

    def __getattr__(self, name):
        return getattr(self.file, name)


@pytest.mark.parametrize("suffix", [".mp4", ".webp", A_GIF])
def test_a_full_disk_is_told_whenever_it_comes(tmp_path, moving, suffix, monkeypatch):
    path = tmp_path / f"film{suffix}"
    opened, files = Partial.__init__, []

    def room_for(writes):
        def open_it(self, path):
            opened(self, path)
            self.file = Failing(self.file, writes)
            files.append(self.file)

        monkeypatch.setattr(Partial, "__init__", open_it)

    room_for(1000)
    write_film(path, moving[:4], 10)
    assert len(read(path)[0]) == 4
    needed = 1000 - files[0].left
    assert needed >= {".mp4": 5, ".webp": 6, ".gif": 1}[suffix]
    path.write_bytes(b"what was there")
    for writes in range(needed):
        room_for(writes)
        with pytest.raises(OutputError) as error:
            write_film(path, moving[:4], 10, overwrite=True)
        assert str(error.value) == f"{path} cannot be written: No space left on device"
        assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
        assert path.read_bytes() == b"what was there"


def test_without_pyav_or_x264(tmp_path, monkeypatch):
    assert usual_suffix() == ".mp4"
    with monkeypatch.context() as without:
        without.setattr(av, "codecs_available", {"h264"})
        assert usual_suffix() == ".webp"
        with pytest.raises(
            OptionError, match=r"a\.mp4 needs a PyAV with x264, .*: pip install .* av, or write \.webp"
        ):
            check_film(tmp_path / "a.mp4", 25)
    monkeypatch.setitem(sys.modules, "av", None)
    assert usual_suffix() == ".webp"
    with pytest.raises(OptionError, match=r"a\.mp4 needs PyAV: pip install 'mlsolve\[film\]', or write \.webp"):
        write_film(tmp_path / "a.mp4", [flat(16, 16)], 25)
    assert list(tmp_path.iterdir()) == []


def test_what_the_encoder_refuses_is_told_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setitem(mp4.SETTINGS, "preset", "none such")
    with pytest.raises(OutputError, match=r"a\.mp4 cannot be written: [^\n]+, write \.webp$"):
        write_film(tmp_path / "a.mp4", [flat(16, 16)], 25)
    assert list(tmp_path.iterdir()) == []


def test_files_that_cannot_be_are_refused(tmp_path):
    (tmp_path / "d.mp4").mkdir()
    for name, fps, words in (
        ("a.avi", 25, r"a\.avi does not end in \.mp4, \.webp or \.gif"),
        ("a", 25, r"a does not end in \.mp4, \.webp or \.gif"),
        ("a.GIF", 60, r"fps is 60: GIF allows at most 50, lower it or write \.mp4"),
        ("a.webp", 100, r"fps is 100: WebP allows at most 90, lower it or write \.mp4"),
        ("a.mp4", 0.5, "fps is 0.5: it must be from 1 to 120"),
        ("none/a.mp4", 25, "there is no folder .*none, create it first"),
        ("d.mp4", 25, "is a folder: give the name of a file"),
    ):
        with pytest.raises((OptionError, OutputError), match=words):
            check_film(tmp_path / name, fps, overwrite=True)
    for name, frames, words in (
        ("a.mp4", [], "there are no frames"),
        (
            "a.mp4",
            [flat(15, 16)],
            "frames are 16×15: an MP4 needs even sides of at most 16384 pixels, give another",
        ),
        ("a.mp4", [flat(2, 16386)], "frames are 16386×2: an MP4 needs even sides of at most 16384"),
        (
            "a.webp",
            [flat(1, 16384)],
            "frames are 16384×1: a side of a WebP has at most 16383 pixels, give a smaller",
        ),
    ):
        with pytest.raises(OptionError, match=words):
            write_film(tmp_path / name, frames, 25)
    assert [entry.name for entry in tmp_path.iterdir()] == ["d.mp4"]


def test_a_webp_that_cannot_be(tmp_path, monkeypatch):
    with monkeypatch.context() as little:
        little.setattr(webp, "MOST_BYTES", 300)
        with pytest.raises(OptionError, match=r"exceeds the 4 GiB limit of WebP: write \.mp4, or fewer"):
            write_film(tmp_path / "a.webp", [flat(16, 16, value=number) for number in range(9)], 25)
    monkeypatch.setattr(features, "check", lambda feature: feature != "webp")
    with pytest.raises(
        OptionError, match=r"this Pillow was built without WebP, write \.gif, or pip install pillow"
    ):
        check_film(tmp_path / "a.webp", 25)
    assert list(tmp_path.iterdir()) == []


@needs_gif
def test_a_gif_that_cannot_be(tmp_path, monkeypatch):
    path = tmp_path / "a.gif"
    with monkeypatch.context() as little:
        little.setattr(gif, "available_memory", lambda: 3000)
        with pytest.raises(OptionError, match=r"more than the 0\.0029 MiB of memory that are free: write \.webp"):
            write_film(path, [flat(16, 16, value=number) for number in range(3)], 25)
    with monkeypatch.context() as broken:
        broken.setattr(cv2, "imencodeanimation", lambda *_: (False, None))
        with pytest.raises(OutputError, match=r"cannot be written: OpenCV made no GIF of 1 frames, write \.webp"):
            write_film(path, [flat(16, 16)], 25)
    monkeypatch.delattr(cv2, "imencodeanimation")
    with pytest.raises(
        OptionError, match=r"cannot be written by OpenCV .*: write \.webp, or pip install '.*>=4\.12'"
    ):
        check_film(path, 25)
    assert list(tmp_path.iterdir()) == []


def test_odd_sides_and_single_frames(tmp_path):
    for suffix in (".webp", *([".gif"] if WRITES_GIF else [])):
        path = tmp_path / f"a{suffix}"
        write_film(path, [flat(15, 33, value=90)], 25)
        pictures, _ = read(path)
        assert [picture.shape for picture in pictures] == [(15, 33, 3)]
        assert distance(pictures[0], flat(15, 33, value=90)) < 9
    assert Path(path).stat().st_size > 20
