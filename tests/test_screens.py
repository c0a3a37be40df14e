"""Binary films: coverage as asked, no two sheets alike, dots and marks where they belong."""

import itertools

import numpy as np
import pikepdf
import pytest

from conftest import tree
from mlsolve.pictures.colour import light_from_srgb
from mlsolve.sheets.folder import make_sheets
from mlsolve.sheets.inks import SOLID, film_inks
from mlsolve.sheets.screens import Screen
from mlsolve.sheets.shop import Shop
from mlsolve.sheets.tasks import Wanted
from printed import finished_run, noise


def films(**given):
    return Shop("films", colour="films", bits=1, **given)


def film(path):
    """Return where ink is on a film, (H, W) bool."""
    with pikepdf.open(path) as pdf:
        (image,) = pdf.pages[0].Resources.XObject.values()
        assert image.BitsPerComponent == 1
        assert image.ColorSpace == "/DeviceGray"
        bits = np.frombuffer(image.read_bytes(), np.uint8).reshape(int(image.Height), -1)
        return np.unpackbits(bits, axis=1)[:, : int(image.Width)] == 0


@pytest.mark.parametrize("kind", ["am", "fm"])
def test_a_ramp_is_covered_as_asked(kind):
    """Mean coverage of each step within 1 %, on every one of nine patterns; nothing at 0, everything at 1."""
    one = films(screen=kind, device_dpi=1200.0, lines=45.0, dot=0.085)
    for number in range(9):
        screen = Screen(one, number, 9)
        for asked in np.linspace(0, 1, 21):
            coverage = np.full((512, 512), round(asked * SOLID), np.uint16)
            mean = screen.ink(coverage, 0).mean()
            assert abs(mean - asked) < 0.01, (number, asked)
            assert asked not in (0, 1) or mean == asked


@pytest.mark.parametrize("kind", ["am", "fm"])
def test_dots_do_not_depend_on_how_rows_are_cut(kind):
    screen = Screen(films(screen=kind), 5, 9)
    coverage = np.arange(300 * 200, dtype=np.uint16).reshape(300, 200)
    whole = screen.ink(coverage, 7)
    parts = [screen.ink(coverage[top : top + 83], 7 + top) for top in range(0, 300, 83)]
    np.testing.assert_array_equal(np.vstack(parts), whole)


@pytest.mark.parametrize("kind", ["am", "fm"])
def test_sheets_do_not_correlate(kind):
    """Half on half passes a quarter of the light, and not half, whichever two are laid on each other."""
    half = np.full((1024, 1024), SOLID // 2, np.uint16)
    patterns = [Screen(films(screen=kind, device_dpi=1200.0), number, 9).ink(half, 0) for number in range(9)]
    for a, b in itertools.combinations(patterns, 2):
        assert abs((~a & ~b).mean() - 0.25) < 0.02


def test_no_two_films_have_the_same_angle(tmp_path):
    angles = [Screen(films(), number, 48).angle for number in range(48)]
    assert min(abs(a - b) % 90 for a, b in itertools.combinations(angles, 2)) > 1.8
    run = finished_run(tmp_path / "prints", [noise(40, 40)] * 3, 50.0)
    make_sheets(run, tmp_path / "out", films(device_dpi=300.0), Wanted())
    lines = (tmp_path / "out" / "for-the-shop.txt").read_text(encoding="utf-8").splitlines()
    said = [line.split(" at ")[1] for line in lines if "lines per inch" in line]
    assert len(said) == len(set(said)) == 9


def test_fm_dots_keep_away_from_each_other():
    """Few dots are spread evenly: hardly any touch, of a share that would be a seventh if they lay at random."""
    one = films(screen="fm", device_dpi=254.0, dot=0.1)
    ink = Screen(one, 0, 1).ink(np.full((256, 256), round(0.04 * SOLID), np.uint16), 0)
    touching = (ink & np.roll(ink, 1, 0)) | (ink & np.roll(ink, 1, 1)) | (ink & np.roll(ink, -1, 0))
    assert (touching | (ink & np.roll(ink, -1, 1))).sum() / ink.sum() < 0.05


@pytest.mark.parametrize("mirror", [False, True])
def test_a_film_covers_what_holds_back_the_light(tmp_path, mirror):
    """Where a layer lets through a share of the light, the film of its ink leaves that share clear."""
    steps = np.repeat(np.repeat(np.arange(0, 256, 51, dtype=np.uint8), 60)[np.newaxis], 60, axis=0)
    layer = np.stack([steps, steps[:, ::-1], np.full_like(steps, 255)], axis=2)
    run = finished_run(tmp_path / "prints", [layer], 100.0)
    written = make_sheets(run, tmp_path / "out", films(device_dpi=1200.0, border=22.0, mirror=mirror), Wanted())
    assert written.files[:3] == ("sheet-1-cyan.pdf", "sheet-1-magenta.pdf", "sheet-1-yellow.pdf")
    start = round(22 / 25.4 * 1200)
    for name, plane in (("cyan", 0), ("magenta", 1), ("yellow", 2)):
        ink = film(tmp_path / "out" / f"sheet-1-{name}.pdf")
        ink = ink[:, ::-1] if mirror else ink
        picture = ink[start : start + 720, start : start + 4320]
        for step in range(6):
            wanted = 1 - float(light_from_srgb(np.array(layer[0, 60 * step, plane] / 255)))
            assert abs(picture[:, step * 720 + 9 : (step + 1) * 720 - 9].mean() - wanted) < 0.02, (name, step)
        border = ink[: start - 9]
        assert 0.001 < border.mean() < 0.1


@pytest.mark.parametrize(
    ("place", "first", "second"),
    [
        # Of nine angles, 10° apart.
        ("[1, {layer = 2, rotate = 30}, {layer = 3, rotate = 180}]", "sheet-1-cyan", "sheet-2-cyan"),
        ('[1, {layer = 2, flip = "h"}, 3]', "sheet-2-cyan", "sheet-3-cyan"),
        ("[1, {layer = 2, rotate = 5}, {layer = 3, rotate = 12}]", None, None),
        ("[1, {layer = 2, rotate = 90}, {layer = 3, rotate = 180}]", None, None),
    ],
)
def test_turns_that_make_angles_equal_are_warned_of(tmp_path, place, first, second):
    arrangements = f'[[arrangement]]\ntarget = "t.png"\nplace = {place}'
    run = finished_run(tmp_path / "prints", [noise(40, 40)] * 3, 50.0, "", arrangements)
    written = make_sheets(run, tmp_path / "out", films(device_dpi=300.0), Wanted())
    if first is None:
        assert written.warnings == ()
    else:
        (warning,) = written.warnings
        assert f"{first}.pdf and {second}.pdf" in warning
        assert "--screen fm" in warning
    fm = make_sheets(run, tmp_path / "fm", films(device_dpi=300.0, screen="fm"), Wanted())
    assert fm.warnings == ()


def test_the_angle_of_a_screen_turns_with_its_sheet():
    """A film turned against the clock, or flipped, is the screen at the angle that is computed for it."""
    half = np.full((600, 600), SOLID // 2, np.uint16)

    def direction(ink):
        power = np.abs(np.fft.fftshift(np.fft.fft2(ink - ink.mean())))
        power[:, :301] = 0  # one half of the plane of frequencies, and only the base frequency of the screen
        y, x = np.indices(power.shape) - 300
        power[np.hypot(x, y) > 1.3 * 45 / 1200 * 600] = 0
        down, across = np.unravel_index(power.argmax(), power.shape)
        return np.degrees(np.arctan2(300 - down, across - 300)) % 90

    screen = Screen(films(device_dpi=1200.0), 2, 9)
    ink = screen.ink(half, 0).astype(float)
    plain, flipped = direction(ink), direction(ink[:, ::-1])
    assert abs((plain + flipped + 45) % 90 - 45) < 2
    assert abs(plain - (90 - 20)) < 2  # its own angle is counted with the clock
    y, x = np.indices(ink.shape) - 300
    angle = np.radians(30)
    # Turned against the clock: each place shows what was 30° clockwise of it.
    columns = (x * np.cos(angle) - y * np.sin(angle)).round().astype(int) + 300
    rows = (x * np.sin(angle) + y * np.cos(angle)).round().astype(int) + 300
    turned = direction(ink[rows % 600, columns % 600])
    assert abs((turned - plain - 30 + 45) % 90 - 45) < 2


@pytest.mark.parametrize("kind", ["am", "fm"])
def test_bytes_of_films_do_not_depend_on_threads(tmp_path, kind):
    run = finished_run(tmp_path / "prints", [noise(60, 60)] * 2, 50.0)
    for threads in (1, 3):
        one = films(device_dpi=900.0, border=16.0, screen=kind)
        make_sheets(run, tmp_path / str(threads), one, Wanted(threads=threads))
    assert tree(tmp_path / "1") == tree(tmp_path / "3")


def test_progress_is_heard_within_a_film(tmp_path):
    heard = []
    run = finished_run(tmp_path / "prints", [noise(60, 60)], 50.0)
    make_sheets(run, tmp_path / "out", films(device_dpi=900.0), Wanted(progress=heard.append))
    assert len(heard) > 3 * 5
    assert heard == sorted(heard)
    assert heard[-1] == 1.0


def test_inks_of_films():
    rows = np.array([[[0, 65535, 32768]]], np.uint16)
    plain, device, grey = (
        film_inks(*given) for given in ((False, None, False), (False, None, True), (True, None, True))
    )
    assert plain.coverage(rows)[0, 0].tolist()[:2] == [SOLID, 0]
    assert plain.coverage(rows)[0, 0, 2] == pytest.approx((1 - 0.21404) * SOLID, abs=3)
    assert device.coverage(rows)[0, 0].tolist() == [SOLID, 0, SOLID - 32768]
    assert grey.names == ("black",)
    assert grey.coverage(rows)[0, 0].tolist() == [SOLID]
