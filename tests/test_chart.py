"""The chart: patches, layout, pixels, files."""

import re
import zlib

import numpy as np
import pytest

from mlsolve.calibration import chart as charts
from mlsolve.calibration import drawing
from mlsolve.calibration.layout import GAP, PREAMBLE, RADIUS, arrange
from mlsolve.calibration.paper import parse_paper
from mlsolve.errors import InputError, OptionError, OutputError
from mlsolve.pictures.picture_files import load_picture, write_pdf

PAPERS = [("rgb", "A4"), ("grey", "letter"), ("rgb", "letter"), ("rgb", "roll-111mm"), ("grey", "roll-90mm")]


def apart(one, other):
    """Whether two rectangles do not touch."""
    return any(max(one[at], other[at]) >= min(one[at] + one[at + 2], other[at] + other[at + 2]) for at in (0, 1))


@pytest.mark.parametrize(("channels", "paper"), PAPERS)
def test_everything_has_its_place(channels, paper):
    layout = arrange(channels, paper, 3)
    width, height = layout.size
    circles = [(x - RADIUS, y - RADIUS, 2 * RADIUS, 2 * RADIUS) for x, y in layout.markers]
    things = [*(one.where for one in layout.patches), *circles, *layout.cells, layout.clear]
    for at, one in enumerate(things):
        assert min(one[:2]) >= 9
        assert one[0] + one[2] <= width - 9
        assert one[1] + one[3] <= height - 9
        assert all(apart(one, other) for other in things[at + 1 :])
    assert max(y for _, y in layout.markers) + RADIUS < layout.cut[0] < layout.strip[1]
    assert layout.strip[1] + layout.strip[3] < layout.cut[1] < height
    # The strip, with its edges of film, covers none of the clear film that stands for the box.
    over = layout.laid[1] - (layout.strip[1] - layout.cut[0]), layout.laid[1] + layout.cut[1] - layout.strip[1]
    for _, y in layout.clear_points():
        assert y + 0.5 < over[0] or y - 0.5 > over[1]
    for point in layout.clear_points():
        for patch in layout.of("main"):
            assert apart((*(point - 0.5), 1, 1), patch.where)


def test_patches_show_steps_mixtures_repeats_and_stacks():
    layout = arrange("rgb", "A4", 0)
    codes = [one.codes for one in layout.of("main")]
    for channel in range(3):
        steps = {code[channel] for code in codes if sum(one == 255 for one in code) == 2}
        assert len(steps) >= 9
        assert 0 in steps
    assert len({code for code in codes if len(set(code)) == 1}) >= 9
    assert len(set(codes)) > 85
    assert len(codes) - len(set(codes)) >= 12
    assert codes.count((255, 255, 255)) >= 6
    under, over = layout.of("under"), layout.of("over")
    assert len(under) == len(over) >= 20
    down = layout.strip[1] - layout.laid[1]
    for below, above in zip(under, over, strict=True):
        assert above.where == pytest.approx((below.where[0], below.where[1] + down, *below.where[2:]))
    grey = arrange("grey", "roll-90mm", 0)
    assert len({one.codes for one in grey.of("under")}) > 2


def test_places_follow_from_the_seed():
    one, same, other = arrange("rgb", "A4", 1), arrange("rgb", "A4", 1), arrange("rgb", "A4", 2)
    assert one == same
    assert one.digest == same.digest != other.digest
    assert sorted(patch.codes for patch in one.of("main")) == sorted(patch.codes for patch in other.of("main"))
    assert [patch.codes for patch in one.of("main")] != [patch.codes for patch in other.of("main")]
    assert one.bits[: len(PREAMBLE)] == PREAMBLE
    assert one.bits[len(PREAMBLE) :] == tuple(map(int, f"{int(one.digest, 16):024b}"))
    assert tuple(reversed(PREAMBLE)) != PREAMBLE


def test_pixels_are_the_device_codes():
    chart = charts.make("rgb", "A4", 150, 3)
    assert chart.codes.shape == (1754, 1240, 3)
    assert chart.codes.dtype == np.uint8
    for patch in chart.layout.patches:
        x, y, width, height = (one * 150 / 25.4 for one in patch.where)
        part = chart.codes[round(y) + 1 : round(y + height) - 1, round(x) + 1 : round(x + width) - 1]
        assert (part == patch.codes).all()
        assert (chart.codes[round(y - GAP / 2 * 150 / 25.4), round(x) : round(x + width)] == 255).all()
    x, y = (round(one * 150 / 25.4) for one in chart.layout.markers[0])
    ring = chart.codes[y, x : x + round(7 * 150 / 25.4), 0]
    assert (np.diff(ring.astype(int)) != 0).sum() == 3


@pytest.mark.parametrize(("channels", "paper"), PAPERS)
def test_rows_and_columns_are_named_where_nothing_is_measured(channels, paper, monkeypatch):
    """A letter stands beside each row, a number above each column; both keep clear of what a photograph needs."""
    layout, scale = arrange(channels, paper, 3), 200 / 25.4
    named = drawing.draw(layout, 200)
    monkeypatch.setattr(drawing, "_names", lambda canvas, layout: None)
    plain = drawing.draw(layout, 200)
    ink = (named != plain).any(axis=2)
    assert (named[ink] == 0).all()
    assert (plain[ink] == 255).all()

    def inked(x, y, width, height):
        return ink[
            round(y * scale) : round((y + height) * scale), round(x * scale) : round((x + width) * scale)
        ].any()

    for one in layout.patches:
        x, y, side, _ = one.where
        assert not inked(*one.where)
        if one.name.endswith("1") and x == layout.strip[0]:
            beside = x + layout.strip[2] + 1.6 if one.group == "over" else x - 3.4
            assert inked(beside, y + side / 2 - 1.2, 1.9, 2.4), one.name
        if y == layout.patches[0].where[1]:
            assert inked(x + side / 2 - 1.8, y - 3.7, 3.6, 2.4), one.name
    for x, y in layout.clear_points():
        assert not inked(x - 0.5, y - 0.5, 1, 1)
    for x, y in layout.markers:
        assert not inked(x - RADIUS - 0.5, y - RADIUS - 0.5, 2 * RADIUS + 1, 2 * RADIUS + 1)
    for cell in layout.cells:
        assert not inked(*cell)


def test_a_chart_is_written_and_read_again(tmp_path):
    chart = charts.make("grey", "roll-111mm", 100, 7)
    written = chart.save(tmp_path / "one")
    assert [path.name for path in written] == ["chart.pdf", "chart.tif", "chart.json", "chart.csv"]
    assert charts.load(tmp_path / "one").layout == chart.layout
    assert charts.load(tmp_path / "one" / "chart.json", 100) == chart
    assert np.rint(load_picture(written[1]) * 255).astype(np.uint8) == pytest.approx(chart.codes)
    assert [path.name for path in chart.save(tmp_path / "two.PDF")] == ["two.PDF", "two.json", "two.csv"]
    assert [path.name for path in chart.save(tmp_path / "three", "tiff")] == [
        "chart.tif",
        "chart.json",
        "chart.csv",
    ]
    with pytest.raises(OptionError, match=r"^out is .*four\.png: give a folder, or a file NAME\.pdf or NAME\.tif$"):
        chart.save(tmp_path / "four.png")
    with pytest.raises(OptionError, match=r"^format is tiff beside the file .*five\.pdf: leave format out"):
        chart.save(tmp_path / "five.pdf", "tiff")
    with pytest.raises(OutputError, match="exists already"):
        chart.save(tmp_path / "one")
    chart.save(tmp_path / "one", overwrite=True)
    text = (tmp_path / "one" / "chart.json").read_text()
    for changed, why in (
        (text.replace('"seed": 7', '"seed": 8'), "was changed since"),
        (text.replace('"format": 1', '"format": 2'), "of another version"),
        (text.replace('"cut"', '"cat"'), "is no chart.json"),
        ("[]", "is no chart.json"),
        ("{", "is no chart.json"),
    ):
        (tmp_path / "one" / "chart.json").write_text(changed)
        with pytest.raises(InputError, match=why):
            charts.load(tmp_path / "one")
    with pytest.raises(InputError, match="cannot be read"):
        charts.load(tmp_path / "nothing")


@pytest.mark.parametrize("planes", [1, 3])
def test_a_pdf_holds_the_codes_at_exact_size(tmp_path, rng, planes):
    codes = rng.integers(0, 256, (37, 53, planes), dtype=np.uint8)
    write_pdf(tmp_path / "p.pdf", codes, 127)
    data = (tmp_path / "p.pdf").read_bytes()
    # Each entry of the table leads to its object, and the end to the table.
    start = int(re.search(rb"startxref\n(\d+)\n%%EOF\n$", data)[1])
    assert data[start:].startswith(b"xref\n0 6\n0000000000 65535 f \n")
    places = [int(one) for one in re.findall(rb"(\d{10}) 00000 n \n", data)]
    assert [data[place:].startswith(b"%d 0 obj\n" % number) for number, place in enumerate(places, 1)] == [True] * 5
    box = [float(one) for one in re.search(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", data).groups()]
    assert box == pytest.approx([53 / 127 * 72, 37 / 127 * 72], abs=1e-4)
    assert (b"/DeviceGray" if planes == 1 else b"/DeviceRGB") in data
    image = data[places[4] :]
    length = int(re.search(rb"/Length (\d+)", image)[1])
    stream = image.split(b"stream\n", 1)[1][:length]
    assert np.frombuffer(zlib.decompress(stream), np.uint8).reshape(codes.shape) == pytest.approx(codes)


def test_the_strip_is_cut_out_and_laid_over():
    chart = charts.make("rgb", "A4", 100, 3)
    below, over = chart.cut_and_laid(chart.codes / 255.0)
    scale = 100 / 25.4
    for under, strip in zip(chart.layout.of("under"), chart.layout.of("over"), strict=True):
        x, y, width, height = (one * scale for one in under.where)
        inside = slice(round(y) + 1, round(y + height) - 1), slice(round(x) + 1, round(x + width) - 1)
        for sheet, patch in ((below, under), (over, strip)):
            assert np.abs(sheet[inside] - np.array(patch.codes) / 255).max() < 1e-9
    assert (below[round(chart.layout.cut[0] * scale) :] == 1).all()
    assert (over[: round(100 * scale)] == 1).all()


def test_what_cannot_be_a_chart_is_refused():
    for paper in ("A5", "roll", "roll-80mm", "roll-9000mm", ""):
        with pytest.raises(OptionError, match="paper is"):
            parse_paper(paper)
    for settings, why in (
        ({"channels": "cmyk"}, "use grey or rgb"),
        ({"seed": -1}, "seed is -1"),
        ({"dpi": 10}, "dpi is 10"),
    ):
        with pytest.raises(OptionError, match=why):
            charts.make(**settings)
