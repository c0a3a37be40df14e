"""From photographs of a chart, or a table, to a profile."""

import numpy as np
import pytest

import photographs
from mlsolve.calibration import chart as charts
from mlsolve.calibration.calibrating import calibrate
from mlsolve.calibration.markers import find_markers
from mlsolve.calibration.readings import read
from mlsolve.calibration.registering import register
from mlsolve.calibration.samples import Samples
from mlsolve.errors import InputError, OptionError
from mlsolve.pictures.difference import delta_e00, lab_from_light


@pytest.fixture(scope="module")
def chart():
    return charts.make("rgb", "A4", 110, 5)


@pytest.fixture(scope="module")
def inks():
    return photographs.printer()


@pytest.fixture(scope="module")
def sheet(chart, inks):
    return photographs.printed(chart, inks)


@pytest.fixture(scope="module")
def shot(chart, inks, sheet):
    return photographs.photograph(chart, inks, sheet)


def off(media, inks, sheets=1):
    """ΔE00 of the profile's prediction of random sheets, or stacks of them, (200,)."""
    codes = np.random.default_rng(3).random((sheets, 200, inks.planes)) ** 0.5
    found, true = (lab_from_light(photographs.light_of(codes, one)) for one in (media.inks, inks))
    return delta_e00(found, true)


def test_a_profile_from_photographs(chart, inks, sheet, shot, tmp_path):
    """Perspective, vignetting, a warm box and noise: what was measured is what was printed."""
    over = photographs.photograph(chart, inks, photographs.stacked(chart, sheet), seed=1)
    empty = photographs.photograph(chart, inks, seed=2)
    again = photographs.photograph(chart, inks, sheet, seed=3)
    media, found = calibrate(chart, [shot, again], empty, stacked=[over], name="mine", index=1.5)
    assert (media.name, media.index, media.planes) == ("mine", 1.5, 3)
    assert np.median(off(media, inks)) < 0.5
    assert np.median(off(media, inks, 3)) < 1.5
    assert off(media, inks).max() < 3
    assert media.fit.median < 1
    assert media.fit.percentile95 < 3
    assert media.fit.patches + media.fit.left_out == len(found.names) == 168 + 24
    assert len(found.left_out) <= 2
    assert [note.partition(":")[0] for note in found.notes] == ["a camera is not an eye"]
    assert 0.2 < found.blur < 0.8
    assert 0.0001 < found.noise < 0.01
    assert found.picture.ndim == 3
    found.save(tmp_path / "calibration.png")
    assert (tmp_path / "calibration.png").stat().st_size > 10_000


def test_without_the_empty_box_clear_film_stands_for_it(chart, inks, shot):
    media, found = calibrate(chart, [shot])
    assert np.median(off(media, inks)) < 1
    assert media.fit.median < 0.4  # vignetting that was not removed would make it 0.7
    assert "density 0.04" in found.notes[0]
    assert "no strip" in found.notes[1]


def test_three_spoiled_patches_are_found_and_left_out(chart, inks):
    spoiled = {"c5": 0.5, "d7": 1.6, "f2": 0.55}
    shot = photographs.photograph(chart, inks, photographs.printed(chart, inks, spoiled))
    media, found = calibrate(chart, [shot])
    assert set(found.left_out) >= set(spoiled)
    assert len(found.left_out) <= 5
    assert media.fit.left_out == len(found.left_out)
    assert np.median(off(media, inks)) < 1


@pytest.mark.parametrize(
    "seen", [{"mirrored": True}, {"turned": 1}, {"turned": 2, "mirrored": True}, {"lens": 0.04}]
)
def test_however_the_chart_is_seen(chart, inks, sheet, seen):
    shot = photographs.photograph(chart, inks, sheet, **seen)
    media, found = calibrate(chart, [shot])
    assert np.median(off(media, inks)) < 1
    assert any("from its back" in note for note in found.notes) == seen.get("mirrored", False)


def test_places_are_right_to_a_fraction_of_a_pixel(chart, inks, sheet):
    """With a lens that bends lines, too."""
    for lens in (0.0, 0.04):
        shot = photographs.photograph(chart, inks, sheet, lens=lens, noise=0).astype(np.float32) / 255
        place = register(chart.layout, shot, "shot")
        seen = find_markers(shot.mean(axis=2))
        assert len(seen) == 6
        expected = place.pixels(chart.layout.markers)
        nearest = np.linalg.norm(expected[:, np.newaxis] - seen[:, :2], axis=2).min(axis=1)
        assert nearest.max() < 0.6
        assert place.distortion == pytest.approx(lens, abs=0.02)
        assert place.scale == pytest.approx(4.1, abs=0.2)


def test_a_strip_that_is_laid_the_other_way_round(chart, inks, sheet, shot):
    over = photographs.photograph(chart, inks, photographs.stacked(chart, sheet, turned=True))
    media, found = calibrate(chart, [shot], stacked=[over])
    assert any("half a turn" in note for note in found.notes)
    assert np.median(off(media, inks, 3)) < 1.5


def test_the_dots_of_a_halftone_count_by_their_light_and_dust_does_not(chart, inks, sheet):
    """A quarter of dark lines a mm apart, which the camera resolves; and a hair across half a patch."""
    layout, scale = chart.layout, chart.dpi / 25.4
    lined, dusty = [at for at, one in enumerate(layout.patches) if one.codes == (255, 255, 255)][:2]
    screened = sheet.copy()
    for at in (lined, dusty):
        x, y, width, height = (round(one * scale) for one in layout.patches[at].where)
        part = screened[y : y + height, x : x + width]
        if at == lined:
            part[:, ::4] *= 0.1 ** (1 / 2.2)
        else:
            part[height // 2 : height // 2 + 4] *= 0.1 ** (1 / 2.2)
    empty = photographs.photograph(chart, inks).astype(np.float32) / 255
    shot = photographs.photograph(chart, inks, screened).astype(np.float32) / 255
    found = read(layout, shot, "shot", empty, None).light
    clear = np.array(inks.to_eye) @ np.array(inks.base) ** 2.2
    assert found[lined] == pytest.approx(clear * (1 - 0.9 / 4), rel=0.03)
    assert found[dusty] == pytest.approx(clear, rel=0.02)


REFUSED = [
    ({"gain": 1.3}, "is clipped, clear film is white in"),
    ({"gain": 0.05, "noise": 0.0005}, "is too dark"),
    ({"blur": 2.2}, "is blurred, edges are"),
    ({"blur": 9}, "of the 6 markers"),
]


@pytest.mark.parametrize(("how", "why"), REFUSED)
def test_bad_photographs_are_refused(chart, inks, sheet, how, why):
    with pytest.raises(InputError, match=f"^shot 1 .*{why}"):
        calibrate(chart, [photographs.photograph(chart, inks, sheet, **how)])


def test_photographs_that_do_not_belong_together_are_refused(chart, inks, sheet, shot):
    empty = photographs.photograph(chart, inks)
    with pytest.raises(InputError, match=r"shot 2 is 8. % as bright as shot 1: lock exposure"):
        calibrate(chart, [shot, photographs.photograph(chart, inks, sheet, gain=0.68)], empty)
    with pytest.raises(InputError, match=r"shot 1 has clear film 1.. % as bright as the empty box"):
        calibrate(chart, [shot], photographs.photograph(chart, inks, gain=0.6))
    with pytest.raises(InputError, match=r"differ by .* from place to place"):
        calibrate(chart, [shot], np.ascontiguousarray(empty[:, ::-1]))
    with pytest.raises(InputError, match="differs in size from shot 1"):
        calibrate(chart, [shot], empty[1:])
    changed = photographs.printed(
        chart, inks, {one.name: 0.8 + 0.02 * (at % 20) for at, one in enumerate(chart.layout.patches)}
    )
    with pytest.raises(InputError, match=r"shot 2 and shot 1 differ by .* from patch to patch"):
        calibrate(chart, [shot, photographs.photograph(chart, inks, changed)])


def test_pictures_in_each_others_places_are_refused(chart, inks, sheet, shot):
    dim = 0.5 * photographs.photograph(chart, inks)
    with pytest.raises(InputError, match="the picture of the empty box shows the chart"):
        calibrate(chart, [shot], photographs.photograph(chart, inks, sheet, seed=4))
    with pytest.raises(InputError, match="the dark picture is not dark: cover the lens"):
        calibrate(chart, [shot], dark=np.rint(dim).astype(np.uint8))
    with pytest.raises(InputError, match="stacked shot 1 shows the marked rows bare"):
        calibrate(chart, [shot], photographs.photograph(chart, inks), stacked=[shot])


def test_a_reference_of_a_strip_that_is_not_turned(chart, inks, sheet, shot):
    """A strip that lies the other way round is matched, but a reference is of one that does not."""
    turned = photographs.photograph(chart, inks, photographs.stacked(chart, sheet, turned=True), seed=1)
    pairs = [[one.codes for one in chart.layout.of(group)] for group in ("under", "over")]
    codes = np.array(pairs) / 255
    reference = Samples(codes, photographs.light_of(codes, inks), tuple(map(str, range(codes.shape[1]))))
    empty = photographs.photograph(chart, inks, seed=2)
    with pytest.raises(InputError, match="turned by half a turn, but the reference"):
        calibrate(chart, [shot], empty, stacked=[turned], reference=reference)
    media, found = calibrate(chart, [shot], empty, reference=reference)
    assert found.notes == ()
    assert np.median(off(media, inks)) < 0.5


def test_another_chart_and_none_are_refused(shot):
    with pytest.raises(InputError, match="shows another chart than that of chart"):
        calibrate(charts.make("rgb", "A4", 110, 6), [shot])
    with pytest.raises(InputError, match="shows 0 of the 6 markers"):
        calibrate(charts.make("rgb", "A4", 110, 6), [np.full((400, 300, 3), 0.8)])
    with pytest.raises(InputError, match="shows 4 of the 6 markers"):
        calibrate(charts.make("rgb", "A4", 110, 5), [shot[:900]])
    with pytest.raises(InputError, match="there is no shot"):
        calibrate(charts.make("rgb"), [])
    with pytest.raises(InputError, match=r"pixels a mm: go closer"):
        calibrate(charts.make("rgb", "A4", 110, 5), [shot[::2, ::2]])
    with pytest.raises(OptionError, match="index is 5"):
        calibrate(charts.make("rgb", "A4", 110, 5), [shot], index=5)


def test_one_channel():
    inks = photographs.printer("laser-film")
    chart = charts.make("grey", "letter", 110, 1)
    sheet = photographs.printed(chart, inks)
    shot = photographs.photograph(chart, inks, sheet)
    over = photographs.photograph(chart, inks, photographs.stacked(chart, sheet))
    media, found = calibrate(chart, [shot], photographs.photograph(chart, inks), stacked=[over])
    assert media.planes == 1
    assert np.median(off(media, inks)) < 0.5
    assert found.notes == ()


def test_a_middle_is_as_the_profile_predicts_it(chart, inks, shot):
    """A good prediction cannot be seen in the picture, a bad one can."""
    _, found = calibrate(chart, [shot])
    layout, scale = chart.layout, 4
    off = []
    for patch in layout.of("main"):
        x, y, width, height = (round(one * scale) for one in patch.where)
        part = found.picture[y : y + height, x : x + width].astype(float)
        off.append(np.abs(part[height // 2, width // 2] - np.median(part[4:12, 4:-4], axis=(0, 1))).max())
    assert np.median(off) < 3
    assert found.picture.shape[1] == 840


def test_a_printer_with_colour_management_is_noted(chart, inks):
    """Codes that another chart was printed with: colours are there, but not where they belong."""
    rng = np.random.default_rng(1)
    drift = {one.name: np.exp(0.35 * rng.standard_normal(3)) for one in chart.layout.patches}
    shot = photographs.photograph(chart, inks, photographs.printed(chart, inks, drift))
    _, found = calibrate(chart, [shot])
    assert "predicts poorly" in found.notes[-1]
