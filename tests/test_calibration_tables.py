"""Profiles from tables of densitometers and spectrophotometers."""

import numpy as np
import pytest

import photographs
from mlsolve.calibration.calibrating import calibrate_table
from mlsolve.calibration.layout import arrange
from mlsolve.calibration.spectra import D50, light_from_spectra, light_from_xyz
from mlsolve.calibration.tables import has_spectra, load_spectrum, load_table
from mlsolve.errors import InputError
from mlsolve.media import load_media
from mlsolve.pictures.difference import XYZ_FROM_SRGB, delta_e00, lab_from_light

LAYOUT = arrange("rgb", "A4", 2)
CODES = np.array([one.codes for one in LAYOUT.of("main")]) / 255
INKS = load_media("inkjet-film").inks._replace(reflectance=0.0)


def single(codes):
    return np.stack([codes, np.full_like(codes, np.nan)])


def off(media, inks=INKS):
    codes = single(np.random.default_rng(3).random((200, inks.planes)) ** 0.5)
    return delta_e00(*(lab_from_light(photographs.light_of(codes, one)) for one in (media.inks, inks)))


def table(path, head, rows, between=","):
    lines = [between.join(head), *(between.join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def densities(codes, inks=INKS):
    return -2.2 * np.log10(photographs.bands_of(codes, inks))


@pytest.mark.parametrize(("scale", "between"), [(255, ","), (100, ";"), (1, "\t")])
def test_densities_in_csv(tmp_path, scale, between):
    rows = [[*(scale * one), *np.round(d, 3)] for one, d in zip(CODES, densities(CODES), strict=True)]
    path = table(tmp_path / "t.csv", ("R", "G", "B", "Dr", "Dg", "Db"), rows, between)
    media, found = calibrate_table(load_table(path), "dens", "a test")
    assert np.median(off(media)) < 0.2
    assert media.inks.to_eye == INKS.to_eye
    assert media.fit.median < 0.3
    assert found.names[0] == "row 1"
    assert "densities do not say" in found.notes[0]


def test_a_spoiled_row_is_left_out(tmp_path):
    rows = [[one.name, *(c / 255 for c in one.codes)] for one in LAYOUT.of("main")]
    measured = densities(CODES)
    measured[17] += 0.3
    rows = [[*row, *np.round(d, 3)] for row, d in zip(rows, measured, strict=True)]
    path = table(tmp_path / "t.csv", ("name", "r", "g", "b", "Dr", "Dg", "Db"), rows)
    media, found = calibrate_table(load_table(path))
    assert found.left_out == (LAYOUT.of("main")[17].name,)
    assert media.fit.left_out == 1


def test_xyz_and_stacks_in_csv(tmp_path):
    rng = np.random.default_rng(1)
    second = np.full_like(CODES, np.nan)
    second[::4] = rng.random((len(CODES[::4]), 3)).round(3)
    light = photographs.light_of(np.stack([CODES, second]), INKS)
    white = np.linalg.inv(light_from_xyz(np.eye(3), D50))
    rows = [
        [*one, *("" if np.isnan(x) else x for x in other), *np.round(100 * xyz, 4)]
        for one, other, xyz in zip(CODES, second, light @ white, strict=True)
    ]
    head = ("r", "g", "b", "r2", "g2", "b2", "X", "Y", "Z")
    samples = load_table(table(tmp_path / "t.csv", head, rows))
    assert samples.stacked.sum() == len(CODES[::4])
    assert samples.light == pytest.approx(light, abs=1e-5)
    assert np.median(off(calibrate_table(samples)[0])) < 0.2


def ti3(path, fields, rows):
    lines = ["CTI3   ", "", 'DESCRIPTOR "Argyll Calibration Target chart information 3"', 'KEYWORD "DEVICE_CLASS"']
    lines += [f"NUMBER_OF_FIELDS {len(fields)}", "BEGIN_DATA_FORMAT", " ".join(fields), "END_DATA_FORMAT", ""]
    lines += [f"NUMBER_OF_SETS {len(rows)}", "BEGIN_DATA", *(" ".join(map(str, row)) for row in rows), "END_DATA"]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_spectra_in_ti3(tmp_path):
    waves = np.arange(380, 731, 10)
    lobes = np.exp(-0.5 * ((waves - np.array([[620], [535], [450]])) / 35) ** 2)
    spectra = 10 ** -(((1 - CODES) ** 1.5) @ (1.4 * lobes) + 0.04)
    rows = [
        [at + 1, f'"A{at}"', *np.round(100 * one, 4), *np.round(100 * s, 5)]
        for at, (one, s) in enumerate(zip(CODES, spectra, strict=True))
    ]
    fields = ["SAMPLE_ID", "SAMPLE_LOC", "RGB_R", "RGB_G", "RGB_B", *(f"SPEC_{wave}" for wave in waves)]
    samples = load_table(ti3(tmp_path / "t.ti3", fields, rows))
    assert samples.names[:2] == ("A0", "A1")
    assert samples.light == pytest.approx(light_from_spectra(spectra, waves.astype(float)), abs=1e-5)
    media, _ = calibrate_table(samples)
    assert media.fit.median < 1.5
    assert media.fit.percentile95 < 4


def test_spectra_as_seen_on_the_box(tmp_path):
    """A box with one narrow line passes what the sheet passes there; an even one is as none."""
    waves = np.arange(400, 701, 10)
    spectra = np.linspace(0.1, 0.9, 31) * np.ones((30, 1))
    rows = [[*one, *s] for one, s in zip(CODES[:30], spectra, strict=True)]
    path = table(tmp_path / "t.csv", ("r", "g", "b", *map(str, waves)), rows)
    line = table(tmp_path / "line.csv", ("nm", "power"), [[w, 3.0 if w == 550 else 0] for w in waves[::-1]])
    assert load_table(path, load_spectrum(line)).light == pytest.approx(np.full((30, 3), spectra[0, 15]))
    even = ti3(tmp_path / "even.sp", [f"SPEC_{wave}" for wave in waves], [[2.0] * 31])
    assert load_table(path, load_spectrum(even)).light == pytest.approx(load_table(path).light)
    assert has_spectra(path)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("nm,watts\n400,1\n", "holds no spectrum"),
        ("nm,power\n" + "".join(f"{w},1\n" for w in range(500, 700, 10)), "from 500 to 690 nm"),
        ("nm,power\n" + "".join(f"{w},{w - 500}\n" for w in range(400, 700, 10)), "powers of -100"),
        ("nm,power\n" + "".join(f"{w},0\n" for w in range(400, 700, 10)), "powers of 0 to 0"),
    ],
)
def test_bad_spectra_are_refused(tmp_path, text, why):
    path = tmp_path / "box.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=why):
        load_spectrum(path)


def filled(path, light, names):
    """The table that mlsolve chart writes, filled in for patches of these names."""
    xyz = 100 * light @ (np.array(XYZ_FROM_SRGB).T * (np.array(D50) / np.array(XYZ_FROM_SRGB).sum(axis=1)))
    lines = LAYOUT.table().splitlines()
    for at, line in enumerate(lines):
        if (name := line.partition(",")[0]) in names:
            lines[at] = line[:-2] + ",".join(f"{one:.4f}" for one in xyz[names.index(name)])
    path.write_text("\n".join(lines) + "\n")
    return path


def test_the_table_of_a_chart_is_filled_in_row_by_row(tmp_path):
    under, over = LAYOUT.of("under"), LAYOUT.of("over")
    codes = np.array([[one.codes for one in under], [one.codes for one in over]]) / 255
    names = [f"{a.name}+{b.name}" for a, b in zip(under, over, strict=True)][:10]
    found = load_table(filled(tmp_path / "chart.csv", np.full((10, 3), 0.5), names))
    assert found.names == tuple(names)
    assert found.codes == pytest.approx(codes[:, :10])
    assert found.light == pytest.approx(np.full((10, 3), 0.5), abs=0.02)
    with pytest.raises(InputError, match="has no measurements: fill in"):
        load_table(filled(tmp_path / "empty.csv", np.zeros((0, 3)), []))


def test_references_beside_a_densitometer(tmp_path):
    """Densities by filters that are no eye's, and stacks by a colorimeter: the profile predicts the eye."""
    matrix = np.array([[0.82, 0.15, 0.03], [0.12, 0.82, 0.06], [0.0, 0.15, 0.85]])
    under, over = LAYOUT.of("under"), LAYOUT.of("over")
    pairs = np.array([[one.codes for one in under], [one.codes for one in over]]) / 255
    names = [f"{a.name}+{b.name}" for a, b in zip(under, over, strict=True)]
    light = photographs.light_of(np.concatenate([single(CODES), pairs], axis=1), INKS)
    rows = [[*one, *d] for one, d in zip(CODES, -np.log10(light[: len(CODES)] @ matrix.T), strict=True)]
    densities = load_table(table(tmp_path / "d.csv", ("r", "g", "b", "Dr", "Dg", "Db"), rows))
    reference = load_table(filled(tmp_path / "chart.csv", light[len(CODES) :], names))
    alone, _ = calibrate_table(densities)
    both, found = calibrate_table(densities, reference=reference)
    rng = np.random.default_rng(5)
    others = np.clip(rng.uniform(0.35, 1, (2, 200, 1)) + rng.uniform(-0.2, 0.2, (2, 200, 3)), 0, 1)
    true = lab_from_light(photographs.light_of(others, INKS))
    by_filters, by_eye = (
        np.median(delta_e00(lab_from_light(photographs.light_of(others, one.inks)), true)) for one in (alone, both)
    )
    assert by_filters > 1.5
    assert by_eye < 0.6 * by_filters
    assert not any("densities do not say" in note for note in found.notes)
    with pytest.raises(InputError, match="reference holds densities"):
        calibrate_table(densities, reference=densities)
    few = load_table(filled(tmp_path / "few.csv", light[len(CODES) :], names[:5]))
    with pytest.raises(InputError, match="5 different patches: give 8"):
        calibrate_table(densities, reference=few)


def test_references_that_cannot_be_right_are_refused(tmp_path):
    """Of another white, and in another order: a profile would be wrong."""
    under, over = LAYOUT.of("under"), LAYOUT.of("over")
    pairs = np.array([[one.codes for one in under], [one.codes for one in over]]) / 255
    names = [f"{a.name}+{b.name}" for a, b in zip(under, over, strict=True)]
    sheets = photographs.light_of(single(CODES), INKS)
    rows = [[*one, *d] for one, d in zip(CODES, -np.log10(np.maximum(sheets, 1e-4)), strict=True)]
    measured = load_table(table(tmp_path / "d.csv", ("r", "g", "b", "Dr", "Dg", "Db"), rows))
    light = np.maximum(photographs.light_of(pairs, INKS), 1e-4)
    mixed = light.copy()
    inked = np.flatnonzero((pairs < 1).any(axis=(0, 2)))
    mixed[inked] = light[inked[::-1]]
    for wrong, why in ((light * [1, 1, 1.3], "is tinted in the reference"), (mixed, "contradict")):
        reference = load_table(filled(tmp_path / "wrong.csv", wrong, names))
        with pytest.raises(InputError, match=why):
            calibrate_table(measured, reference=reference)


def test_one_channel_in_ti3_and_csv(tmp_path):
    inks = load_media("laser-film").inks._replace(reflectance=0.0)
    codes = np.linspace(0, 1, 16)[:, np.newaxis]
    measured = densities(codes, inks)
    rows = [
        [at, *np.round(100 * (1 - c), 4), *np.round(d, 4)]
        for at, (c, d) in enumerate(zip(codes, measured, strict=True))
    ]
    inked, _ = calibrate_table(load_table(ti3(tmp_path / "t.ti3", ["SAMPLE_ID", "GRAY_K", "D_VIS"], rows)))
    rows = [[*(255 * c), *np.round(d, 4)] for c, d in zip(codes, measured, strict=True)]
    plain, _ = calibrate_table(load_table(table(tmp_path / "t.csv", ("k", "D"), rows)))
    for media in (inked, plain):
        assert media.planes == 1
        assert off(media, inks).max() < 0.5


def test_white_and_primaries_of_light():
    waves = np.arange(400.0, 701, 10)
    assert light_from_spectra(np.ones((1, 31)), waves)[0] == pytest.approx([1, 1, 1])
    assert light_from_xyz(np.array([D50]), D50)[0] == pytest.approx([1, 1, 1])
    # The primaries of sRGB for D50, as profiles have them (IEC 61966-2-1, Bradford).
    primaries = np.array([[0.4361, 0.2225, 0.0139], [0.3851, 0.7169, 0.0971], [0.1431, 0.0606, 0.7141]])
    assert light_from_xyz(primaries, D50) == pytest.approx(np.eye(3), abs=2e-3)
    red, green, blue = (
        light_from_spectra((abs(waves - at) < 25).astype(float)[np.newaxis], waves)[0] for at in (630, 535, 450)
    )
    for at, one in enumerate((red, green, blue)):
        assert np.argmax(one) == at
    assert np.array(XYZ_FROM_SRGB)[1].sum() == pytest.approx(1)


HEAD = "r,g,b,Dr,Dg,Db\n"
REFUSED = [
    ("", "has no rows"),
    ("r,g,b,Dr,Dg,Db\n", "has no rows"),
    (HEAD + "1,1,1,0,0\n", "has 5 cells in row 1 of 6 columns"),
    (HEAD + "1,1,1,0,0,x\n", "has 'x' in row 1, column db"),
    (HEAD + "1,1,1,0,0,nan\n", "not finite"),
    (HEAD + "1,1,300,0,0,0\n", "device codes up to 300"),
    (HEAD + "1,1,-1,0,0,0\n", "device codes up to 1"),
    (HEAD + "1,1,1,0,0,9\n", "densities from 0 to 9"),
    ("a,b\n1,2\n", "has no device codes"),
    ("r,g,b,q\n1,1,1,2\n", "has no measurements of 3 channels"),
    (
        ",".join(["k", *map(str, range(400, 480, 10)), "495"]) + "\n" + ",".join(["1"] * 10) + "\n",
        "unequally spaced",
    ),
]


@pytest.mark.parametrize(("text", "why"), REFUSED)
def test_bad_tables_are_refused_in_one_line(tmp_path, text, why):
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=why) as refusal:
        load_table(path)
    assert str(path) in str(refusal.value)
    with pytest.raises(InputError, match="is a folder"):
        load_table(tmp_path)
