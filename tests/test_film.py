"""The film of the sheets: what its frames show, and how they follow each other."""

import json
import math
import sys
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from mlsolve.errors import InputError, OptionError
from mlsolve.film import Film, frame_size, frames, picture_size
from mlsolve.film import folder as film_folder
from mlsolve.film.poses import apart, between, placed, unmoved_pose
from mlsolve.job.arrangements import Arrangement, Placement
from mlsolve.pictures.colour import light_from_srgb, srgb_from_light
from mlsolve.pictures.picture_files import save_png

SIDE = 40
SHEETS = 3
ALL = Arrangement(Path("all.png"))
QUARTER = Arrangement(Path("quarter.png"), [Placement(1, rotate=90), Placement(3, flip="h")])
OVER = Arrangement(
    Path("over.png"), [Placement(2, rotate=270, flip="v", shift=(3, -5)), Placement(1, flip="v"), Placement(3, 180)]
)


@pytest.fixture
def layers(picture):
    return [np.rint(255 * (0.3 + 0.7 * picture(SIDE, SIDE, seed))).astype(np.uint8) for seed in range(SHEETS)]


@pytest.fixture
def film(layers):
    return Film(layers, [ALL, QUARTER, OVER], [0.3, 0.5, 0.2], ["all", "quarter", "over"], fps=10)


def moved(layer, rotate=0, flip=None, shift=(0, 0)):
    """A sheet as it lies, by NumPy alone: flipped, then turned, then shifted; clear beside it."""
    layer = {"h": layer[:, ::-1], "v": layer[::-1], None: layer}[flip]
    layer = np.rot90(layer, rotate // 90)
    height, width = layer.shape[:2]
    wide = np.full((3 * height, 3 * width, 3), 255)
    wide[height + shift[1] :, width + shift[0] :][:height, :width] = layer
    return wide[height : 2 * height, width : 2 * width]


def stacked(sheets, exposure):
    """What sheets show that lie over each other, in code values."""
    light = np.prod([light_from_srgb(sheet / 255) for sheet in sheets], axis=0) / exposure
    return 255 * srgb_from_light(np.clip(light, 0, 1))


def test_every_movement_ends_with_what_the_stack_shows(film, layers):
    one, two, three = layers
    wanted = [
        stacked([one, two, three], 0.3),
        stacked([moved(one, 90), moved(three, flip="h")], 0.5),
        stacked([moved(two, 270, "v", (3, -5)), moved(one, flip="v"), moved(three, 180)], 0.2),
    ]
    for number, stack in enumerate(wanted, start=1):
        assert 20 < stack.mean() < 235
        for frame in (film.rest(number)[0], film.rest(number)[-1]):
            assert np.abs(film[frame][film.window] - stack).max() <= 1
        before = film[film.rest(number)[0] - 4][film.window]
        assert np.abs(before - stack).max() > 10


def test_shifts_count_in_pixels_at_full_size(layers):
    lies = Arrangement(Path("a"), [Placement(1, shift=(12, -8)), Placement(2)])
    film = Film(layers, [lies], [0.5], fps=10, scale=0.5)
    seen = film[film.rest(1)[0]][film.window]
    assert np.abs(seen - stacked([moved(layers[0], shift=(6, -4)), layers[1]], 0.5)).max() <= 1


@pytest.mark.parametrize("sheets", [2, 3, 9])
def test_alone_a_sheet_looks_as_in_its_file(sheets):
    """Slopes of light, of which every average is what lies in the middle of it: so any way to make them smaller."""
    y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    one = np.stack([0.1 + 0.8 * x, 0.9 - 0.6 * y, 0.2 + 0.3 * (x + y)], axis=-1)
    slopes = [one, *[one[::-1, ::-1]] * (sheets - 1)]
    film = Film([srgb_from_light(slope) for slope in slopes], [ALL], [0.01], fps=10)
    table, first = film.table, film[0]
    zoom = table.zoom(0)
    assert 0.2 < zoom < 1
    assert table.places[1][0] - table.places[0][0] > SIDE, "they lie beside each other"
    for slope, (left, top) in zip(slopes, table.places, strict=True):
        x, y = table.focus[0] + zoom * left, table.focus[1] + zoom * top
        for down in range(math.ceil(y - zoom * SIDE / 2 + 3), math.floor(y + zoom * SIDE / 2 - 3)):
            for across in range(math.ceil(x - zoom * SIDE / 2 + 3), math.floor(x + zoom * SIDE / 2 - 3)):
                row, column = (down - y) / zoom + (SIDE - 1) / 2, (across - x) / zoom + (SIDE - 1) / 2
                near = slope[int(row), int(column)] + (row % 1) * (slope[1, 0] - slope[0, 0])
                near += (column % 1) * (slope[0, 1] - slope[0, 0])
                assert np.abs(first[down, across] - 255 * srgb_from_light(near)).max() <= 2
    x = table.focus[0] + zoom * (table.places[0][0] + table.places[1][0]) / 2
    y = table.focus[1] + zoom * table.places[0][1]
    assert (first[round(y), round(x)] == 255).all(), "the bare box between them is white"
    assert first[0, 0].max() < 40, "around the box it is dark"


def test_what_is_too_fine_to_be_seen_is_averaged_in_light():
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    film = Film([255 * ((x + y) % 2).astype(np.uint8)] * 3, [ALL], [1.0], fps=10)
    table = film.table
    reach = round(table.zoom(0) * SIDE / 2) - 3
    assert table.zoom(0) < 0.5
    for left, top in table.places:
        x, y = (round(table.focus[k] + table.zoom(0) * way) for k, way in enumerate((left, top)))
        seen = film[0][y - reach : y + reach, x - reach : x + reach]
        assert np.abs(seen - 255 * srgb_from_light(np.array(0.5))).max() <= 1


def test_a_sheet_is_seen_while_it_turns_over():
    lies = [Arrangement(Path("a"), [Placement(1, flip=flip)]) for flip in (None, "h")]
    film = Film([np.zeros((SIDE, SIDE), np.uint8)], lies, [1.0, 1.0], fps=50)
    dark = [(film[frame][film.window] == 0).mean() for frame in range(film.rest(1)[-1], film.rest(2)[0] + 1)]
    middle = len(dark) // 2
    assert dark[0] == dark[-1] == 1
    assert min(dark) < 0.15
    assert sum(0.2 < share < 0.6 for share in dark[:middle]) >= 3
    assert sum(0.2 < share < 0.6 for share in dark[middle:]) >= 3


def test_the_box_grows_brighter_as_sheets_come_together(film):
    script = film.script
    stops = [script.at(frame).stops for frame in range(film.rest(0)[-1], film.rest(1)[0] + 1)]
    assert stops[0] == 0
    assert stops[-1] == pytest.approx(-math.log(0.3))
    assert stops == sorted(stops)
    half_way = (film.rest(1)[-1] + film.rest(2)[0]) // 2
    assert script.at(half_way).stops < 0.5 * min(-math.log(0.3), -math.log(0.5))


@pytest.mark.parametrize(("fps", "seconds"), [(10, 8.0), (12.5, 9.99), (25, 4.0), (1, 60.0)])
def test_frames_follow_from_rate_and_seconds(layers, fps, seconds):
    film = Film(layers, [ALL, QUARTER], [0.3, 0.5], fps=fps, seconds=seconds)
    assert len(film) == round(fps * seconds) == film.rest(3)[-1] + 1
    assert film.rest(0)[0] == 0
    rests = [film.rest(k) for k in range(4)]
    assert all(len(rest) >= 2 for rest in rests)
    assert all(before[-1] < after[0] for before, after in pairwise(rests))


def test_the_film_is_a_loop_and_repeats_to_the_byte(layers):
    made = [list(frames(layers, [OVER], [0.3], ["over"], fps=6)) for _ in range(2)]
    first, second = made
    assert len(first) == len(Film(layers, [OVER], [0.3], ["over"], fps=6))
    assert np.array_equal(first[0], first[-1])
    assert all(np.array_equal(one, other) for one, other in zip(first, second, strict=True))
    assert len({frame.tobytes() for frame in first}) > len(first) // 3
    assert {(frame.shape, frame.dtype) for frame in first} == {(first[0].shape, np.dtype(np.uint8))}
    assert all(side % 2 == 0 for side in first[0].shape[:2])


def test_nothing_jumps(layers):
    """Sheets begin and end slowly; in a fiftieth of a second none moves by more than a fifth of its side."""
    film = Film(layers, [ALL, QUARTER, OVER], [0.3, 0.5, 0.2], fps=50)
    scenes = [film.script.at(frame) for frame in range(len(film))]
    steps = [
        max(apart(a, b, (SIDE, SIDE)) for a, b in zip(one.poses, other.poses, strict=True))
        for one, other in pairwise(scenes)
    ]
    assert 0.05 * SIDE < max(steps) < 0.2 * SIDE
    for rest in map(film.rest, range(4)):
        assert all(step == 0 for step in steps[rest[0] : rest[-1]])
        assert next((step for step in steps[rest[-1] :] if step > 0), 0) < 0.2


def test_a_sheet_turns_the_shorter_way_and_over_about_one_axis():
    start, end = (placed(Placement(1, rotate=angle), (SIDE, SIDE), 1.0) for angle in (350, 20))
    half_way = between(start, end, 0.5).linear
    assert math.degrees(math.atan2(half_way[0, 1], half_way[0, 0])) == pytest.approx(5)
    over = placed(Placement(1, rotate=90, flip="h"), (SIDE, SIDE), 1.0)
    half_way = between(unmoved_pose(0, 0), over, 0.5).linear
    assert np.linalg.svd(half_way, compute_uv=False) == pytest.approx([1.05, 0], abs=1e-9)
    assert between(start, over, 1.0) is over


def test_what_is_said_of_the_stacks_is_shown_in_register(layers, picture):
    """Layers made smaller do not multiply to the stack made smaller: the latter is what was solved."""
    stack = picture(SIDE, SIDE, 9)
    film = Film(layers, [ALL], [0.3], fps=10, stacks=[stack])
    first = film.rest(1)[0]
    assert np.abs(film[first][film.window] - 255 * stack).max() <= 1
    early = Film(layers, [ALL], [0.3], fps=10)[first - 14]
    assert np.array_equal(film[first - 14], early), "not before they are in register"


def test_captions_leave_the_picture_alone(layers):
    film = Film(layers, [QUARTER], [0.5], ["the name"], fps=10)
    other = Film(layers, [QUARTER], [0.5], ["another"], fps=10)
    rest = film.rest(1)[0]
    assert np.array_equal(film[rest][film.window], other[rest][film.window])
    differs = np.flatnonzero((film[rest] != other[rest]).any(axis=(1, 2)))
    assert film.window[0].stop < differs[0]
    half_way = (film.rest(0)[-1] + rest) // 2
    assert np.array_equal(film[half_way], other[half_way])


@pytest.mark.parametrize("sheet", [(40, 40), (300, 100), (60, 200), (4000, 90)])
def test_pictures_find_room_in_frames(sheet):
    for longest in (64, 480, 721):
        frame = frame_size(sheet, longest)
        assert abs(max(frame) - longest) <= 1
        assert all(side % 2 == 0 for side in frame)
        picture = picture_size(sheet, frame)
        assert picture[0] <= 0.9 * frame[0]
        assert picture[1] <= 0.9 * frame[1]
        assert max(a / b for a, b in zip(picture, frame, strict=True)) > 0.6


def test_films_that_cannot_be_are_refused(layers):
    for arguments, settings, words in (
        (([], []), {}, "there is no arrangement"),
        (([ALL], [0.3, 0.4]), {}, "there are 2 exposures and 1 arrangements: give one for each"),
        (([ALL], [0.3], ["a", "b"]), {}, "there are 2 names"),
        (([ALL], [0.3]), {"stacks": []}, "there are 0 stacks"),
        (([ALL], [0.0]), {}, "exposure is 0"),
        (
            ([Arrangement(Path("a"), [Placement(4)])], [0.3]),
            {},
            "arrangement 1 uses layer 4, but there are 3 layers",
        ),
        (([ALL], [0.3]), {"seconds": 0.2}, "seconds is 0.2: at 25 frames per second give 0.6 or more"),
        (([ALL], [0.3]), {"fps": 0}, "fps is 0"),
        (([ALL], [0.3]), {"size": (40, 30)}, "size is 40×30, the layers are 40×40"),
    ):
        with pytest.raises(OptionError, match=words):
            frames(layers, *arguments, **settings)
    with pytest.raises(InputError, match="stack 1 is 40×39, layer 1 is 40×40"):
        frames(layers, [ALL], [0.3], stacks=[layers[0][:39]])


@pytest.fixture
def prints(tmp_path, layers, monkeypatch):
    """A folder as `mlsolve run` leaves it, as far as a film needs it."""
    folder = tmp_path / "prints"
    folder.mkdir()
    for number, layer in enumerate(layers, start=1):
        save_png(folder / f"layer-{number}.png", layer)
    report = {"arrangements": [{"target": "all.png", "exposure": 0.3}, {"target": "b.png", "exposure": 0.5}]}
    (folder / "result.json").write_text(json.dumps(report))
    job = SimpleNamespace(shape="sheet", arrangements=(ALL, QUARTER), outline="sheet", media=None)
    monkeypatch.setattr(film_folder, "load_job", lambda path: job)
    return folder


@pytest.mark.parametrize(("installed", "suffix"), [(True, ".mp4"), (False, ".webp")])
def test_a_folder_becomes_a_film(prints, mlsolve, monkeypatch, installed, suffix):
    if not installed:
        monkeypatch.setitem(sys.modules, "av", None)
    run = mlsolve("animate", "prints", "--size", 96, "--seconds", 3, "--fps", 10)
    assert run.status == 0, run.err
    assert f"prints{suffix}: 30 frames of 96×80, 3 s" in run.out
    assert sorted(path.name for path in prints.parent.iterdir()) == ["prints", f"prints{suffix}"]
    assert (prints.parent / f"prints{suffix}").stat().st_size > 1000
    film = film_folder.film_of(prints, 96, 10.0)
    assert film.size == (96, 80)
    stack = film[film.rest(2)[0]][film.window]
    for number, file in enumerate(("stack-1.png", "stack-2.png"), start=1):
        save_png(prints / file, np.full((SIDE, SIDE, 3), 100 * number, np.uint8))
    film = film_folder.film_of(prints, 96, 10.0, captions=False)
    assert not np.array_equal(film[film.rest(2)[0]][film.window], stack)
    assert (film[film.rest(2)[0]][film.window] == 200).all()


def test_a_film_that_cannot_be_written_is_told_before_it_is_made(prints, mlsolve, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    monkeypatch.setattr(film_folder, "load_job", None)
    run = mlsolve("animate", "prints", "--out", "a.mp4")
    assert run.status == 2
    assert run.refusal == "a.mp4 needs PyAV: pip install 'mlsolve[film]', or write .webp"
    assert mlsolve("animate", "prints", "--out", "a.mov").refusal.startswith("a.mov does not end in .mp4, .webp or")
    assert [path.name for path in prints.parent.iterdir()] == ["prints"]


def test_folders_without_what_a_film_needs_are_refused(prints):
    for size in (63, 5000):
        with pytest.raises(OptionError, match=f"size is {size}: the longer side of a frame must be 64 to 4096"):
            film_folder.film_of(prints, size)
    (prints / "result.json").write_text('{"arrangements": [{"exposure": 0.3}]}')
    with pytest.raises(InputError, match=r"result\.json has 1 arrangements, job\.toml has 2: restore"):
        film_folder.film_of(prints)
    (prints / "result.json").write_text("[]")
    with pytest.raises(InputError, match=r"result\.json is damaged, it has no exposures"):
        film_folder.film_of(prints)
    (prints / "result.json").unlink()
    with pytest.raises(InputError, match=r"contains no result\.json: give the folder"):
        film_folder.film_of(prints)
