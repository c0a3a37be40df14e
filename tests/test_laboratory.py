"""The laboratory of the bench: printers, films, eye, camera and instruments in spectra."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))

import laboratory as lab
from laboratory.eye import OBSERVER, look, weights
from laboratory.spectra import WAVES

BOX = lab.led()
CLEAR_FILM = lab.Film(inside=np.ones(len(WAVES)), index=1.0, haze=0.0)


def plain(code: tuple[int, int, int], size: tuple[int, int] = (8, 8)) -> np.ndarray:
    return np.broadcast_to(np.array(code, np.uint8), (*size, 3)).copy()


def luminosity(box: lab.LightBox) -> np.ndarray:
    return OBSERVER[1] * box.spectrum / (OBSERVER[1] @ box.spectrum)


def printers() -> list[lab.HalftonePrinter | lab.ContinuousPrinter]:
    am = tuple(lab.Screen("am", 15 + 10 * sheet, seed=sheet) for sheet in range(3))
    return [
        lab.HalftonePrinter(uneven=0),
        lab.HalftonePrinter(screens=am, uneven=0),
        lab.ContinuousPrinter(uneven=0),
    ]


@pytest.mark.parametrize("box", [lab.led(), lab.fluorescent()], ids=["led", "fluorescent"])
def test_the_empty_box_is_white(box: lab.LightBox) -> None:
    assert np.allclose(weights(box.spectrum).sum(axis=1), 1)
    empty = lab.ContinuousPrinter(film=CLEAR_FILM, uneven=0).print(plain((255, 255, 255)))
    assert np.allclose(lab.seen([empty], box), 1, atol=1e-6)
    assert np.allclose(lab.seen([empty], box, exposure=0.5, room=0.25), 2.25 / 1.25, atol=1e-6)


@pytest.mark.parametrize("printer", printers(), ids=["stochastic", "am", "dye"])
def test_sheets_multiply_and_give_no_energy(printer: lab.HalftonePrinter | lab.ContinuousPrinter) -> None:
    one, other = plain((180, 100, 220), (32, 32)), plain((90, 200, 140), (32, 32))
    sheets = [printer.print(one, 0), printer.print(other, 1)]
    single = [lab.transmittance([sheet]).mean(axis=(0, 1)) for sheet in sheets]
    both = lab.transmittance(sheets).mean(axis=(0, 1))
    assert both.max() < 1
    assert both.min() > 0
    # Reflections between the two sheets brighten, by 0.8 % at most where both are clear.
    assert np.all(both > 0.96 * single[0] * single[1])
    assert np.all(both < 1.04 * single[0] * single[1])


def test_which_of_two_sheets_is_in_front_makes_no_difference() -> None:
    printer = lab.ContinuousPrinter(film=lab.Film(haze=0.0), uneven=0)
    one, other = printer.print(plain((200, 60, 90))), printer.print(plain((255, 255, 255)))
    assert np.allclose(lab.transmittance([one, other]), lab.transmittance([other, one]), rtol=1e-5)


@pytest.mark.parametrize("sheets", [1, 3, 9])
def test_clear_sheets_are_a_pile_of_plates(sheets: int) -> None:
    """m surfaces without absorption let (1 - R) / (1 + (m - 1) R) through (Stokes 1862)."""
    film = lab.Film(inside=np.ones(len(WAVES)), index=1.6, haze=0.0)
    clear = lab.ContinuousPrinter(film=film, uneven=0).print(plain((255, 255, 255)))
    wanted = (1 - film.reflectance) / (1 + (2 * sheets - 1) * film.reflectance)
    assert np.allclose(lab.transmittance([clear] * sheets), wanted, rtol=1e-5)


def test_halftones_on_the_same_screen_let_through_more() -> None:
    half = plain((128, 128, 128), (16, 16))
    printer = lab.HalftonePrinter(gain=0, uneven=0, film=CLEAR_FILM, screens=(lab.Screen(), lab.Screen(seed=1)))
    one, same, other = (printer.print(half, sheet) for sheet in (0, 0, 1))
    light = [lab.transmittance([one, top]).mean() for top in (same, other)]
    assert light[0] > 1.4 * light[1]


def test_dot_gain_darkens() -> None:
    half = plain((128, 128, 128))
    light = [
        lab.transmittance([lab.HalftonePrinter(gain=gain, uneven=0).print(half)]).mean() for gain in (0.0, 0.1, 0.2)
    ]
    assert light[0] > light[1] > light[2]


def test_a_halftone_covers_the_share_that_was_asked_for() -> None:
    ink = lab.InkSet(np.full((3, len(WAVES)), 9.0))
    printer = lab.HalftonePrinter(inks=ink, film=CLEAR_FILM, gain=0, uneven=0)
    for code in (255, 204, 102, 0):
        cyan = printer.print(plain((code, 255, 255), (32, 32)))
        assert lab.transmittance([cyan]).mean() == pytest.approx(code / 255, abs=2e-3)


def test_scattered_light_reaches_beside_the_ink() -> None:
    codes = plain((255, 255, 255), (32, 32))
    codes[:, 16:] = 0
    sheets = [lab.ContinuousPrinter(film=lab.Film(haze=haze), uneven=0).print(codes) for haze in (0.0, 0.1)]
    sharp, hazy = (lab.transmittance([sheet])[:, :, 15] for sheet in sheets)
    assert hazy[16, 17] > 1.5 * sharp[16, 17]
    assert hazy.mean() == pytest.approx(sharp.mean(), rel=1e-3)


def test_where_film_was_cut_off_there_is_the_box() -> None:
    sheet = lab.HalftonePrinter().print(plain((100, 100, 100), (24, 8)))
    through = lab.transmittance([sheet.cut(0, 8), sheet.cut(4, 16)])
    single = lab.transmittance([sheet])
    assert np.allclose(through[20:], 1, atol=0.02)
    assert np.allclose(through[12:14], single[12:14], rtol=0.15)
    assert np.all(through[5:7] < 0.9 * single[5:7])


def test_the_same_seed_prints_and_photographs_the_same() -> None:
    codes, camera = plain((100, 150, 200)), lab.Camera(size=(40, 60))
    shots = [
        camera.photograph(lab.transmittance([lab.HalftonePrinter().print(codes)]), BOX, shot) for shot in (1, 1, 2)
    ]
    assert np.array_equal(shots[0], shots[1])
    assert not np.array_equal(shots[0], shots[2])


def test_a_camera_clips_and_darkens_towards_the_corners() -> None:
    right, over = (lab.Camera(size=(60, 80), exposure=one).photograph(None, BOX) for one in (0.8, 2.0))
    assert right.max() < 250
    assert over[30, 40].min() == 255
    assert right[0, 0, 1] < right[30, 40, 1] - 15
    assert lab.Camera(size=(60, 80)).dark(BOX).max() < 20


def test_tables_say_what_was_measured() -> None:
    printer = lab.ContinuousPrinter(uneven=0)
    sheets = [printer.print(plain((255, 80, 255))), printer.print(plain((255, 255, 255)), 1)]
    places = [lab.Place("a1", [(255, 80, 255), (255, 255, 255)], (2, 2, 4, 4))]
    lines = [
        row.split(",") for row in lab.Densitometer(noise=0).table(lab.transmittance(sheets), places).splitlines()
    ]
    assert lines[0][:4] == ["name", "r", "g", "b"]
    red, green, blue = map(float, lines[1][-3:])
    assert green > 0.5
    assert red < blue < green
    place = lab.Place("a1", [(255, 80, 255)], (2, 2, 4, 4))
    spectrum = lab.Spectrophotometer(noise=0).table(lab.transmittance(sheets[:1]), [place])
    measured = np.array(spectrum.splitlines()[1].split(",")[7:], dtype=float)
    colours = lab.Colorimeter(noise=0).table(lab.transmittance(sheets[:1]), [place], BOX).splitlines()[1].split(",")
    assert float(colours[-2]) == pytest.approx(100 * measured @ luminosity(BOX), abs=0.1)
    assert np.allclose(look(measured, BOX), lab.seen(sheets[:1], BOX)[4, 4], atol=2e-3)
