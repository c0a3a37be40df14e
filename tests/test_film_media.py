"""Films of sheets that are for a printer and film: everything looks as the model of the profile says."""

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from mlsolve.errors import InputError
from mlsolve.film import Film, frames
from mlsolve.film import folder as film_folder
from mlsolve.film.eye import Eye
from mlsolve.job.arrangements import Arrangement, Placement
from mlsolve.media import load_media, media_names
from mlsolve.pictures.colour import encode, srgb_from_light
from mlsolve.pictures.picture_files import load_picture, save_png
from mlsolve.pictures.resize import resize
from mlsolve_kernels.light.ink.reference import GAMMA, develop, gain, look

SIDE, ROOM = 40, 0.05
ALL = Arrangement(Path("all.png"))
OVER = Arrangement(Path("over.png"), [Placement(2, rotate=270, shift=(9, -5)), Placement(1, flip="v")])


@pytest.fixture
def layers(picture):
    """Device codes of three sheets, (40, 40, 3) uint8."""
    return [np.rint(255 * (0.4 + 0.6 * picture(SIDE, SIDE, seed))).astype(np.uint8) for seed in range(3)]


def bands(layer, inks):
    """The light that a sheet lets through, (h, w, B) float64, for codes (h, w, C) uint8."""
    values = np.moveaxis(encode(layer / np.float32(255)).astype(np.float64), -1, 0)
    return np.moveaxis(develop(values, inks), 0, -1) ** GAMMA


def looked(light, inks, sheets, exposure, room=None):
    """The code values of what the eye sees of light in bands, (h, w, B)."""
    encoded = np.moveaxis((light / exposure) ** (1 / GAMMA), -1, 0)
    seen = np.moveaxis(look(encoded, inks, sheets, exposure, room), 0, -1) ** GAMMA
    return 255 * srgb_from_light(np.clip(seen, 0, 1))


def lies(image, placement, beside):
    """A sheet as it lies, by NumPy alone; `beside` it."""
    image = {"h": image[:, ::-1], "v": image[::-1], None: image}[placement.flip]
    image = np.rot90(image, round(placement.rotate) // 90)
    wide = np.full((3 * SIDE, 3 * SIDE, image.shape[2]), float(beside))
    x, y = (SIDE + round(way) for way in placement.shift)
    wide[y : y + SIDE, x : x + SIDE] = image
    return wide[SIDE : 2 * SIDE, SIDE : 2 * SIDE]


def made(layers, arrangements, exposures, media, room=ROOM, **settings):
    """All frames of a film through a profile, and a Film that knows its rests and its window."""
    settings = {"fps": 10, **settings}
    shown = list(frames(layers, arrangements, exposures, media=media, room=room, **settings))
    return shown, Film(layers, arrangements, exposures, **settings)


@pytest.mark.parametrize("name", media_names())
def test_stacks_look_as_the_model_says(layers, name):
    media = load_media(name)
    inks = media.inks._replace(room=ROOM)
    layers = [layer[..., : media.planes] for layer in layers]
    exposures = [0.08, 0.25]
    shown, film = made(layers, [ALL, OVER], exposures, media)
    sheets = [bands(layer, inks) for layer in layers]
    wanted = [looked(np.prod(sheets, axis=0), inks, 3, exposures[0])]
    both = OVER.placed(3)
    through = np.prod([lies(sheets[one.layer - 1], one, 1) for one in both], axis=0)
    counts = sum(lies(np.ones((SIDE, SIDE, 1)), one, 0) for one in both)
    reflected = looked(through, inks, 2, exposures[1])
    assert {*np.unique(counts)} == {1, 2}, "beside a shifted sheet the other lies alone"
    wanted.append(np.where(counts == 2, reflected, looked(through, inks, 1, exposures[1])))
    for number, stack in enumerate(wanted, start=1):
        assert 20 < stack.mean() < 250
        for frame in (film.rest(number)[0], film.rest(number)[-1]):
            assert np.abs(shown[frame][film.window] - stack).max() <= 1


def test_layers_have_the_channels_of_the_profile(layers):
    with pytest.raises(InputError, match="layers have 3 planes, media laser-film has 1 channels: give as many"):
        frames(layers, [ALL], [0.5], media=load_media("laser-film"))


@pytest.mark.parametrize("room", [0.0, 0.3])
def test_alone_a_sheet_looks_as_on_the_same_box(room):
    """Its white is 1 / exposure times as bright as that of the stack, so the room counts less."""
    media, exposure = load_media("inkjet-film"), 0.2
    colours = [(30, 60, 200), (220, 120, 10), (90, 90, 90)]
    layers = [np.full((SIDE, SIDE, 3), colour, np.uint8) for colour in colours]
    shown, film = made(layers, [ALL], [exposure], media, room)
    table, zoom = film.table, film.table.zoom(0)
    for layer, (left, top) in zip(layers, table.places, strict=True):
        wanted = looked(bands(layer, media.inks), media.inks, 1, 1.0, room * exposure)[0, 0]
        x, y = (round(table.focus[k] + zoom * way) for k, way in enumerate((left, top)))
        assert np.abs(shown[0][y, x] - wanted).max() <= 1
    x = table.focus[0] + zoom * (table.places[0][0] + table.places[1][0]) / 2
    y = table.focus[1] + zoom * table.places[0][1]
    assert (shown[0][round(y), round(x)] == 255).all(), "the bare box is white"
    assert np.array_equal(shown[0], shown[-1])


@pytest.mark.parametrize("name", media_names())
def test_the_eye_is_that_of_the_reference(name, rng):
    inks, planes = load_media(name).inks._replace(room=ROOM), load_media(name).planes
    eye = Eye(inks, 9)
    for sheets in (1, 2, 3, 9):
        light = np.repeat(10 ** -rng.uniform(0, 4, (6, 7, planes)), 3 // planes, axis=2)
        seen = eye.see(light.astype(np.float32), np.full((6, 7), sheets, np.float32))
        factor = gain(light ** (1 / sheets), sheets, inks.reflectance)[0] if sheets > 1 else 1
        wanted = (light * factor) @ (np.array(inks.to_eye).T if planes == 3 else np.eye(3))
        np.testing.assert_allclose(seen, wanted, atol=1e-3 * light.max())
        again = eye.unveil(eye.veil(seen, 1.0))
        np.testing.assert_allclose(again, seen, atol=1e-6)


def test_the_picture_of_a_stack_is_shown_as_it_is(layers, picture):
    """It was made through the profile already, with the room."""
    stack = picture(SIDE, SIDE, 9)
    media = load_media("uv-acrylic")
    shown, film = made(layers, [ALL], [0.1], media, stacks=[stack])
    assert np.abs(shown[film.rest(1)[0]][film.window] - 255 * stack).max() <= 1


def test_round_sheets_end_at_the_circle():
    """Beside them there is no film: the bare box is white, however dense clear film is."""
    media, side = load_media("laser-film"), 2 * SIDE
    clear = [np.full((side, side, 1), 255, np.uint8)] * 3
    shown, film = made(clear, [ALL], [1.0], media, room=0.0, outline="disc")
    seen = shown[film.rest(1)[0]][film.window]
    inside = looked(bands(clear[0], media.inks) ** 3, media.inks, 3, 1.0)[0, 0]
    assert inside.max() < 250
    assert np.abs(seen[SIDE, SIDE] - inside).max() <= 1
    y, x = np.mgrid[0:side, 0:side] - (side - 1) / 2
    beside = (np.hypot(x, y) > SIDE) & (np.hypot(x, y) < SIDE + 0.9)
    assert beside.any()
    assert (seen[beside] == 255).all()


def test_the_room_shows_as_the_eye_gets_used_to_the_dark(layers):
    exposures = [0.2, 0.5]
    film = Film(layers, [ALL, OVER], exposures, fps=20)
    rooms = [film.script.at(frame).room for frame in range(len(film))]
    assert rooms[0] == rooms[-1] == exposures[0]
    coming = rooms[film.rest(0)[-1] : film.rest(1)[0] + 1]
    assert coming == sorted(coming)
    assert {*rooms[film.rest(1)[0] : film.rest(2)[-1] + 1]} == {1.0}
    assert max(abs(math.log(a / b)) for a, b in pairwise(rooms)) < 0.5


def run_of(mlsolve, folder, picture):
    """Pictures in `folder`, and in it the folder `prints` of a run of sheets for a printer and film."""
    for number, name in enumerate(("target", "one", "two")):
        save_png(folder / f"{name}.png", np.rint(255 * picture(SIDE, SIDE, number)).astype(np.uint8))
    guides = ("--guide", "one.png", "--guide", "two.png")
    settings = ("--size", SIDE, "--iterations", 3, "--exposure", 0.3, "--room", 10, "--white", 100)
    run = mlsolve("run", "target.png", *guides, *settings, "--media", "inkjet-film", "--out", "prints")
    assert run.status == 0, run.err
    return folder / "prints"


def test_a_folder_of_sheets_for_a_printer_becomes_a_film(tmp_path, mlsolve, picture):
    prints = run_of(mlsolve, tmp_path, picture)
    film = film_folder.film_of(prints, 96, 10.0, captions=False)
    rest = film[film.rest(1)[0]][film.window]
    stack = load_picture(prints / "stack.png")
    small = 255 * resize(stack, film.table.picture) if stack.shape[1::-1] != film.table.picture else 255 * stack
    assert np.abs(rest - small).max() <= 1
    (prints / "stack.png").unlink()
    film = film_folder.film_of(prints, 96, 10.0, captions=False)
    alone = film[film.rest(1)[0]][film.window]
    assert np.abs(alone - small).mean() < 3, "what the sheets multiply to is near what was scored"
    (prints / "media.toml").rename(prints / "kept.toml")
    with pytest.raises(InputError, match=r"contains no media\.toml, which its layers are for: restore"):
        film_folder.film_of(prints, 96)
    (prints / "media.toml").write_text(load_media("imagesetter-film").toml())
    with pytest.raises(InputError, match=r"layer-1\.png has 3 colour planes, media\.toml is for 1: restore"):
        film_folder.film_of(prints, 96)
    run = mlsolve("animate", "prints", "--size", 96, "--seconds", 3, "--fps", 10)
    assert run.status == 2
    (prints / "kept.toml").rename(prints / "media.toml")
    run = mlsolve("animate", "prints", "--out", "film.webp", "--size", 96, "--seconds", 3, "--fps", 10)
    assert run.status == 0, run.err
    assert "film.webp: 30 frames" in run.out
