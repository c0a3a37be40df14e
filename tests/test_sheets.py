"""Sheets for a shop: marks where the plan says, codes to the byte, nothing half-written, refusals that help."""

import errno
import io
import itertools
import json
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pikepdf
import pytest
import tifffile
from PIL import Image, ImageCms

from conftest import environment, tree
from mlsolve.errors import InputError, OptionError, OutputError
from mlsolve.pictures.decoders.vips import image_of
from mlsolve.sheets import films, sheet_files
from mlsolve.sheets.folder import make_sheets
from mlsolve.sheets.marks import marks_of
from mlsolve.sheets.outlines import text_outlines, text_width
from mlsolve.sheets.output_profile import grey_output_profile, srgb_output_profile
from mlsolve.sheets.plan import sheet_plan
from mlsolve.sheets.shop import Shop, load_shop, shop_names
from mlsolve.sheets.tasks import Wanted
from mlsolve.sheets.tiling import tiles
from printed import centre, cmyk_profile, finished_run, noise, rendered

SIDE = 480
"""Pixels of a side: 121.92 mm at 100 dpi."""


@pytest.fixture
def run(tmp_path):
    return finished_run(tmp_path / "prints", [noise(SIDE, SIDE + 60) for _ in range(3)])


@pytest.fixture
def cmyk(tmp_path):
    return cmyk_profile(tmp_path / "shop.icc")


def shop(**changed):
    given = {"bleed": 3.0, "border": 22.0, "edge": "mirror"} | changed
    return Shop("test", **given)


def picture_in(path):
    """Return the picture in a PDF, (H, W, planes), and its page."""
    with pikepdf.open(path) as pdf:
        page = pdf.pages[0]
        (image,) = page.Resources.XObject.values()
        bits = int(image.BitsPerComponent)
        planes = {"/DeviceGray": 1, "/DeviceRGB": 3, "/DeviceCMYK": 4}[str(image.ColorSpace)]
        data = np.frombuffer(image.read_bytes(), ">u2" if bits == 16 else np.uint8)
        boxes = {name: [float(one) * 25.4 / 72 for one in page[name]] for name in ("/TrimBox", "/BleedBox")}
        return data.reshape(int(image.Height), int(image.Width), planes), boxes


@pytest.mark.parametrize("name", shop_names())
def test_every_included_shop_names_its_sources(name):
    found = load_shop(name)
    assert found.name == name
    assert found.about
    assert len(found.sources) >= 3


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("edge", ["mirror", "extend"])
def test_a_sheet_holds_the_codes_of_its_layer_and_its_bleed(run, tmp_path, edge, mirror):
    make_sheets(run, tmp_path / "out", shop(edge=edge, mirror=mirror), Wanted())
    for number in (1, 2, 3):
        layer = cv2.imread(str(run / f"layer-{number}.png"))[..., ::-1]
        margin = 12  # 3 mm at 100 dpi, rounded up
        mode = cv2.BORDER_REFLECT if edge == "mirror" else cv2.BORDER_REPLICATE
        wanted = cv2.copyMakeBorder(layer, margin, margin, margin, margin, mode)
        codes, boxes = picture_in(tmp_path / "out" / f"sheet-{number}.pdf")
        np.testing.assert_array_equal(codes, wanted)
        width, height = ((side + 0) * 25.4 / 100 + 44 for side in (SIDE + 60, SIDE))
        np.testing.assert_allclose(boxes["/TrimBox"], [3, 3, width + 3, height + 3], atol=0.001)
        np.testing.assert_allclose(boxes["/BleedBox"], [0, 0, width + 6, height + 6], atol=0.001)


def test_a_file_is_a_whole_pdf_x(run, tmp_path):
    make_sheets(run, tmp_path / "out", shop(), Wanted())
    for name in ("sheet-1.pdf", "assembly.pdf"):
        with pikepdf.open(tmp_path / "out" / name) as pdf:
            assert pdf.check_pdf_syntax() == []
            assert pdf.pdf_version == "1.6"
            intent = pdf.Root.OutputIntents[0]
            assert intent.S == "/GTS_PDFX"
            assert intent.DestOutputProfile.read_bytes()[12:20] == b"prtrRGB "
            assert intent.DestOutputProfile.N == 3
            with pdf.open_metadata() as metadata:
                assert metadata["{http://www.npes.org/pdfx/ns/id/}GTS_PDFXVersion"] == "PDF/X-4"
            assert pdf.docinfo.Trapped == "/False"
            for page in pdf.pages:
                assert "/Font" not in page.Resources
                assert "/ExtGState" not in page.Resources


def test_the_output_profile_means_srgb():
    """As an output device, which PDF/X asks for: within a code value of sRGB, out and back within the tables."""
    ours = ImageCms.ImageCmsProfile(io.BytesIO(srgb_output_profile()))
    assert ours.profile.device_class == "prtr"
    srgb = ImageCms.createProfile("sRGB")
    codes = noise(120, 120)
    codes[0, :2] = [[0, 0, 0], [255, 255, 255]]
    there = ImageCms.buildTransform(ours, srgb, "RGB", "RGB", renderingIntent=1)
    found = np.asarray(ImageCms.applyTransform(Image.fromarray(codes), there)).astype(int)
    assert np.abs(found - codes).max() <= 1
    back = ImageCms.buildTransform(srgb, ours, "RGB", "RGB", renderingIntent=1)
    found = np.asarray(ImageCms.applyTransform(Image.fromarray(codes), back)).astype(int)
    assert np.abs(found - codes).mean() < 1.5
    grey = ImageCms.ImageCmsProfile(io.BytesIO(grey_output_profile()))
    assert (grey.profile.device_class, grey.profile.xcolor_space.strip()) == ("prtr", "GRAY")


@pytest.mark.parametrize("mirror", [False, True])
def test_marks_lie_where_the_plan_says(run, tmp_path, mirror):
    """Within 0.05 mm on every sheet; mirrored sheets that are turned over fall on the others."""
    one = shop(mirror=mirror)
    written = make_sheets(run, tmp_path / "out", one, Wanted())
    plan, dpi = written.plan, 600
    assert len(plan.targets) == 8
    assert len(plan.pins) == 8
    for number in (1, 2, 3):
        page = rendered(tmp_path / "out" / f"sheet-{number}.pdf", dpi)
        seen = page[:, ::-1] if mirror else page
        # The page is a whole number of pixels, and what is left over is on its right.
        spare = page.shape[1] * 25.4 / dpi - plan.page[0] if mirror else 0.0
        for mark in (*plan.targets, *plan.pins):
            x, y = mark.x + plan.bleed, mark.y + plan.bleed
            # Within the square of a target, and within the word below a hole.
            found = centre(seen, dpi, x + spare, y, 2.3 if mark in plan.targets else 3.15)
            assert abs(found[0] - spare - x) < 0.05, (number, mark)
            assert abs(found[1] - y) < 0.05, (number, mark)


def test_holes_and_targets_cannot_be_taken_for_each_other(run, tmp_path):
    """A hole is a bold ring, as large as the hole; a target has no ring at all, and both have their word."""
    written = make_sheets(run, tmp_path / "out", shop(), Wanted())
    plan, dpi = written.plan, 600
    page = rendered(tmp_path / "out" / "sheet-1.pdf", dpi)
    angles = np.arange(0, 2 * np.pi, 0.02)

    def around(mark, radius):
        x, y = (side + plan.bleed for side in (mark.x, mark.y))
        across, down = x + radius * np.cos(angles), y + radius * np.sin(angles)
        scale = dpi / 25.4
        return 1 - page[(down * scale).astype(int), (across * scale).astype(int)]

    for pin in plan.pins:
        assert around(pin, 2.75).mean() > 0.95
        assert around(pin, 3.15).mean() < 0.05
    for target in plan.targets:
        assert max(around(target, radius).mean() for radius in np.arange(1.0, 3.9, 0.05)) < 0.5
    names = [mark.name for mark in marks_of(plan)]
    assert names.count("pin") == 8
    assert names.count("square") == 8


def test_cuts_are_marked_where_parts_join(run, tmp_path):
    """On the line of the picture's edge, clear of all other marks, and only where another part joins."""
    assert make_sheets(run, tmp_path / "whole", shop(), Wanted()).plan.cuts == ()
    for number in (1, 2, 3):
        plan = sheet_plan(number, 3, (140, 150), (140, 150), shop(), "run", "", ("left", "bottom"))
        assert [one.side for one in plan.cuts] == ["left", "left", "bottom", "bottom"]
        assert {one.x for one in plan.cuts[:2]} == {plan.picture.x}
        assert {one.y for one in plan.cuts[2:]} == {plan.picture.y + plan.picture.height}
        marks = [
            (one.name, np.concatenate(one.contours)) for one in marks_of(plan) if one.name not in ("up", "bar line")
        ]
        boxes = [(name, points.min(axis=0), points.max(axis=0)) for name, points in marks]
        for name, low, high in boxes:
            for other, least, most in boxes:
                if name == "cut" and other != "cut":
                    assert (low >= most).any() or (high <= least).any(), (other, low, least)


def test_parts_of_sheets_of_several_sizes_have_one_middle(tmp_path):
    """The cut through the middle is at the same place on every sheet; other cuts could not be, and are refused."""
    run = finished_run(tmp_path / "prints", [noise(200, 300)] * 2, 50.0, 'gap = "20mm"\nviewer = "400mm"\n')
    make_sheets(run, tmp_path / "out", shop(), Wanted(split=(2, 1)))
    ends = []
    for number in (1, 2):
        plan = sheet_plan_of(tmp_path / "out" / f"sheet-{number}-r1c1.pdf")
        ends.append(plan[0] + plan[1])
    assert ends[0] == pytest.approx(ends[1], abs=1e-3)
    with pytest.raises(OptionError, match="2x1, 1x2 or 2x2"):
        make_sheets(run, tmp_path / "more", shop(), Wanted(split=(3, 1)))


def sheet_plan_of(path):
    """Return where the picture of a sheet begins on the page without its bleed, and how wide it is, in mm."""
    with pikepdf.open(path) as pdf:
        words = next(line for line in pdf.pages[0].Contents.read_bytes().splitlines() if b" Do Q" in line).split()
    at = words.index(b"re") - 4
    return float(words[at]) + 3, float(words[at + 2]) - 6


@pytest.mark.parametrize("split", [(1, 1), (2, 1)])
@pytest.mark.parametrize("edge", ["mirror", "extend"])
def test_round_sheets_go_on_along_the_radius(tmp_path, edge, split):
    """Every pixel within the bleed of the circle shows one on its radius; beyond it the film is clear."""
    side, dpi = 200, 100.0
    layer = noise(side, side)
    y, x = np.indices((side, side)) - (side - 1) / 2
    layer[np.hypot(x, y) > side / 2] = 255
    run = finished_run(tmp_path / "prints", [layer], dpi, 'shape = "disc"')
    make_sheets(run, tmp_path / "out", shop(edge=edge), Wanted(split=split))
    margin, bleed, radius = 12, 3 / 25.4 * dpi, side / 2
    codes = [picture_in(path)[0] for path in sorted((tmp_path / "out").glob("sheet-*.pdf"))]
    whole = codes[0] if split == (1, 1) else np.hstack((codes[0][:, :-margin], codes[1][:, margin:]))
    np.testing.assert_array_equal(
        whole[margin:-margin, margin:-margin][np.hypot(x, y) <= radius], layer[np.hypot(x, y) <= radius]
    )
    rows, columns = np.indices(whole.shape[:2]) - margin
    down, across = rows - (side - 1) / 2, columns - (side - 1) / 2
    distance = np.hypot(down, across)
    assert (whole[distance > radius + bleed] == 255).all()
    ring = (distance > radius) & (distance <= radius + bleed)
    shown = np.minimum(2 * radius - distance if edge == "mirror" else distance, radius - 0.75)
    source = [np.rint((side - 1) / 2 + one * shown / distance).astype(int) for one in (down, across)]
    np.testing.assert_array_equal(whole[ring], layer[source[0][ring], source[1][ring]])
    assert ring.sum() > 5000


def test_nothing_is_printed_where_the_next_page_is_glued(tmp_path):
    """Strips are clear, because the next page is film, too; but for the end of a cut, on its line."""
    one, dpi = load_shop("home"), 150
    run = finished_run(tmp_path / "prints", [np.zeros((1200, 1000, 3), np.uint8)])
    written = make_sheets(run, tmp_path / "out", one, Wanted())
    for tile in tiles(written.plan.trim, one.paper, one.margin, one.overlap):
        page = rendered(tmp_path / "out" / "sheet-1.pdf", dpi, tile.page - 1)
        scale = dpi / 25.4
        left, top = (side * scale for side in tile.corner)
        right, bottom = left + tile.part.width * scale, top + tile.part.height * scale
        strip = round(one.overlap * scale)
        ends = [int(right) + 3, int(bottom) + 3]
        if tile.column + 1 < tile.columns:
            assert page[int(top) + 3 : int(bottom) - 3, ends[0] : ends[0] + strip].min() == 1
        if tile.row + 1 < tile.rows:
            assert page[ends[1] : ends[1] + strip, int(left) + 3 : int(right) - 3].min() == 1
        # What is cut away has its marks within what a printer prints.
        margin = round(one.margin * scale)
        assert page[:margin].min() == page[:, :margin].min() == 1


def test_bars_are_as_long_as_they_say(run, tmp_path):
    written = make_sheets(run, tmp_path / "out", shop(), Wanted())
    page, dpi = rendered(tmp_path / "out" / "sheet-1.pdf", 600), 600
    flat, upright = sorted(written.plan.bars, key=lambda one: one.upright)
    assert (flat.length, upright.length) == (100, 100)
    for bar, line in (
        (flat, page[round((flat.y + 3 + 1.2) / 25.4 * dpi)]),
        (upright, page[:, round((upright.x + 3 + 1.2) / 25.4 * dpi)]),
    ):
        start = (bar.y if bar.upright else bar.x) + 3
        near = slice(round((start - 2) / 25.4 * dpi), round((start + bar.length + 1.2) / 25.4 * dpi))
        dark = np.flatnonzero(line[near] < 0.5)
        assert abs((dark[-1] + 1 - dark[0]) * 25.4 / dpi - bar.length) < 0.1


def test_verniers_of_sheets_face_that_of_the_first():
    plans = [sheet_plan(number, 4, (300, 300), (300, 300), shop(), "run") for number in (1, 2, 3, 4)]
    first = {(one.sheet, one.upright): one for one in plans[0].verniers}
    assert len(first) == 6
    for plan in plans[1:]:
        assert {one.sheet for one in plan.verniers} == {plan.number}
        for one in plan.verniers:
            other = first[one.sheet, one.upright]
            assert (one.x, one.y) == (other.x, other.y)
            assert other.pitch - one.pitch == pytest.approx(0.1)


@pytest.mark.parametrize(("width", "height"), [(40, 40), (120, 700), (2000, 1000)])
def test_no_mark_lies_on_another_or_on_the_picture(width, height):
    """Whatever the size; what finds no room is named."""
    plan = sheet_plan(1, 9, (width, height), (width, height), shop(), "a run with a long name 01234567")
    boxes = [(one.x, one.y, 4.0, 4.0) for one in plan.targets]
    boxes += [(one.x, one.y, 3.0, 3.0) for one in plan.pins]
    boxes += [(one.x, one.y, 3.0, 6.0) if one.upright else (one.x, one.y, 6.0, 3.0) for one in plan.verniers]
    if min(width, height) > 60:
        for a, b in itertools.combinations(boxes, 2):
            assert abs(a[0] - b[0]) > a[2] + b[2] - 1.6 or abs(a[1] - b[1]) > a[3] + b[3] - 1.6, (a, b)
    printed = plan.printed
    for x, y, across, down in boxes:
        clear_x = x + across <= printed.x or x - across >= printed.x + printed.width
        clear_y = y + down <= printed.y or y - down >= printed.y + printed.height
        assert clear_x or clear_y
    for text in plan.texts:
        if not text.turned:
            assert text.x + text_width(text.text, text.height) <= plan.trim[0] + 0.01
    assert (plan.omitted == ()) == (width > 1000), plan.omitted


def test_pictures_of_other_sizes_share_border_and_middle(tmp_path):
    """A sheet that is printed larger for its viewer has the same marks, and its picture the same middle."""
    job = 'gap = "20mm"\nviewer = "400mm"\n'
    run = finished_run(tmp_path / "prints", [noise(200, 200)] * 2, 50.0, job)
    written = make_sheets(run, tmp_path / "out", shop(), Wanted())
    scale = 1 + 20 / (1.49 * 400)
    assert written.plan.trim[0] == pytest.approx(200 / 50 * 25.4 * scale + 44)
    sizes = []
    for number in (1, 2):
        with pikepdf.open(tmp_path / "out" / f"sheet-{number}.pdf") as pdf:
            page = pdf.pages[0]
            words = next(line for line in page.Contents.read_bytes().splitlines() if b" Do Q" in line).split()
            at = words.index(b"W") + 2
            sizes.append([float(one) for one in (words[at], words[at + 4])])
            assert float(page.TrimBox[2] - page.TrimBox[0]) * 25.4 / 72 == pytest.approx(
                written.plan.trim[0], abs=1e-3
            )
    assert sizes[1][0] / sizes[0][0] == pytest.approx(scale, rel=1e-5)
    assert sizes[0][1] + sizes[0][0] / 2 == pytest.approx(sizes[1][1] + sizes[1][0] / 2, abs=1e-3)


def test_bytes_do_not_depend_on_threads_or_memory(run, tmp_path):
    make_sheets(run, tmp_path / "one", shop(), Wanted(threads=1))
    make_sheets(run, tmp_path / "two", shop(), Wanted(threads=3, memory=1 << 30))
    assert tree(tmp_path / "one") == tree(tmp_path / "two")


def test_grey_layers_become_equal_channels(tmp_path):
    layer = noise(100, 120, 1)
    run = finished_run(tmp_path / "prints", [layer])
    make_sheets(run, tmp_path / "out", Shop("bare"), Wanted())
    codes, boxes = picture_in(tmp_path / "out" / "sheet-1.pdf")
    np.testing.assert_array_equal(codes, np.repeat(layer, 3, axis=2))
    assert boxes["/TrimBox"] == boxes["/BleedBox"]


@pytest.mark.parametrize("bits", [8, 16])
def test_sixteen_bits_stay_or_are_rounded(tmp_path, bits):
    layer = noise(90, 90, 3, np.uint16)
    run = finished_run(tmp_path / "prints", [layer])
    make_sheets(run, tmp_path / "out", Shop("deep", bits=bits), Wanted())
    codes, _ = picture_in(tmp_path / "out" / "sheet-1.pdf")
    wanted = layer if bits == 16 else np.floor(layer / 257 + 0.5).astype(np.uint8)
    np.testing.assert_array_equal(codes, wanted)


@pytest.mark.parametrize("mirror", [False, True])
def test_a_tiff_holds_the_page(run, tmp_path, mirror):
    make_sheets(run, tmp_path / "out", shop(kind="tiff", mirror=mirror), Wanted())
    with tifffile.TiffFile(tmp_path / "out" / "sheet-2.tif") as file:
        page = file.asarray()
        assert file.pages[0].tags["XResolution"].value == (100, 1)
        assert 34675 in file.pages[0].tags
    page = page[:, ::-1] if mirror else page
    layer = cv2.imread(str(run / "layer-2.png"))[..., ::-1]
    start = round(25 / 25.4 * 100)
    np.testing.assert_array_equal(page[start : start + SIDE, start : start + SIDE + 60], layer)
    np.testing.assert_array_equal(page[start - 1, start : start + SIDE + 60], layer[0])
    # Beside the bleed the border is clear but for its marks, and the same on both ways round.
    border = page[: round(22 / 25.4 * 100) - 1]
    assert set(np.unique(border)) == {0, 255}
    assert 0.005 < (border == 0).mean() < 0.1


def test_cmyk_is_the_profiles_and_marks_are_black_ink(run, tmp_path, cmyk):
    make_sheets(run, tmp_path / "out", shop(colour="cmyk"), Wanted(profile=cmyk))
    codes, _ = picture_in(tmp_path / "out" / "sheet-1.pdf")
    layer = cv2.imread(str(run / "layer-1.png"))[..., ::-1]
    wanted = image_of(np.ascontiguousarray(layer)).copy(interpretation="srgb")
    wanted = wanted.icc_transform(str(cmyk), input_profile="srgb", intent="relative", depth=8)
    inks = np.frombuffer(wanted.write_to_memory(), np.uint8).reshape(*layer.shape[:2], 4)
    # In 16 bits and with our own sRGB profile, which differ from those by rounding.
    difference = np.abs(codes[12:-12, 12:-12].astype(int) - inks)
    assert np.percentile(difference, 99) <= 3
    with pikepdf.open(tmp_path / "out" / "sheet-1.pdf") as pdf:
        page = pdf.pages[0]
        assert b"0 0 0 1 k" in page.Contents.read_bytes()
        assert b" rg" not in page.Contents.read_bytes()
        assert pdf.Root.OutputIntents[0].DestOutputProfile.read_bytes() == cmyk.read_bytes()


def test_clear_stays_clear_in_cmyk(tmp_path, cmyk):
    run = finished_run(tmp_path / "prints", [np.full((60, 60, 3), 255, np.uint8)])
    make_sheets(run, tmp_path / "out", Shop("ink", kind="tiff", colour="cmyk"), Wanted(profile=cmyk))
    page = tifffile.imread(tmp_path / "out" / "sheet-1.tif")
    assert page.shape[2] == 4
    assert page.max() <= 2


def test_without_a_profile_rgb_is_written_and_said(run, tmp_path):
    written = make_sheets(run, tmp_path / "out", shop(colour="cmyk"), Wanted())
    codes, _ = picture_in(tmp_path / "out" / "sheet-1.pdf")
    assert codes.shape[2] == 3
    (warning,) = written.warnings
    assert "takes CMYK" in warning
    assert warning in (tmp_path / "out" / "for-the-shop.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", ["pdf", "tiff"])
def test_device_codes_declare_no_colours(tmp_path, cmyk, kind):
    """They are written as they are, without a profile by which somebody would convert them."""
    layer = noise(60, 60)
    run = finished_run(tmp_path / "prints", [layer, noise(60, 60)], 100.0, 'media = "inkjet-film"')
    written = make_sheets(run, tmp_path / "out", Shop("bare", kind=kind), Wanted())
    assert any("without colour management" in one for one in written.notes)
    if kind == "pdf":
        codes, _ = picture_in(tmp_path / "out" / "sheet-1.pdf")
        with pikepdf.open(tmp_path / "out" / "sheet-1.pdf") as pdf:
            assert "/OutputIntents" not in pdf.Root
            assert b"PDF/X" not in pdf.Root.Metadata.read_bytes()
    else:
        with tifffile.TiffFile(tmp_path / "out" / "sheet-1.tif") as file:
            codes = file.asarray()
            assert 34675 not in file.pages[0].tags
    np.testing.assert_array_equal(codes, layer)
    with pytest.raises(OptionError, match="device codes"):
        make_sheets(run, tmp_path / "more", Shop("bare"), Wanted(profile=cmyk))


def test_the_shop_is_told(run, tmp_path):
    make_sheets(run, tmp_path / "out", shop(mirror=True), Wanted())
    text = (tmp_path / "out" / "for-the-shop.txt").read_text(encoding="utf-8")
    for words in ("NO WHITE", "ARE mirrored", "sheet-3.pdf", "100 %", "3 mm on each side"):
        assert words in text


def test_parts_of_a_split_sheet_make_the_whole(run, tmp_path):
    make_sheets(run, tmp_path / "out", shop(), Wanted(split=(2, 1)))
    layer = cv2.imread(str(run / "layer-1.png"))[..., ::-1]
    left, right = (picture_in(tmp_path / "out" / f"sheet-1-r1c{number}.pdf")[0] for number in (1, 2))
    np.testing.assert_array_equal(np.hstack((left[12:-12, 12:-12], right[12:-12, 12:-12])), layer)
    # What goes on beyond the cut is the neighbour.
    np.testing.assert_array_equal(left[12:-12, -12:], layer[:, 270:282])


def test_pages_of_a_printer_at_home_make_the_whole(tmp_path):
    """The parts on all pages, laid side by side, are the sheet as one page."""
    one, dpi = load_shop("home"), 127
    tall = finished_run(tmp_path / "tall", [noise(1500, 480)])
    written = make_sheets(tall, tmp_path / "pages", one, Wanted())
    make_sheets(tall, tmp_path / "page", Shop("one", border=16.0, edge="extend"), Wanted())
    whole = rendered(tmp_path / "page" / "sheet-1.pdf", dpi)
    found = tiles(written.plan.trim, one.paper, one.margin, one.overlap)
    assert len(found) == written.pages == 2
    for number, tile in enumerate(found):
        page = rendered(tmp_path / "pages" / "sheet-1.pdf", dpi, number)
        scale = dpi / 25.4
        corner = [round(side * scale) for side in tile.corner]
        size = [int(side * scale) - 4 for side in (tile.part.width, tile.part.height)]
        seen = page[corner[1] + 2 : corner[1] + size[1], corner[0] + 2 : corner[0] + size[0]]
        x, y = round(tile.part.x * scale), round(tile.part.y * scale)
        wanted = whole[y + 2 : y + size[1], x + 2 : x + size[0]]
        blurred = [cv2.blur(one_of, (9, 9)) for one_of in (seen, wanted)]
        assert np.abs(blurred[0] - blurred[1]).mean() < 0.02, number


REFUSALS = {
    "dpi": ({"most_dpi": 72.0}, {}, "solve again with mlsolve run --dpi 72"),
    "coarse": ({"least_dpi": 150.0}, {}, "solve again with mlsolve run --dpi 150"),
    "page": ({"page": (110.0, 180.0)}, {}, "split it with --split 3x1"),
    "file": ({"largest_file": 1_200_000}, {}, "--split 2x1"),
    "memory": ({}, {"memory": 1000}, "give --memory that"),
    "other dpi": ({}, {"dpi": 200.0}, "leave --dpi out"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_a_shop_does_not_take_is_refused_before_anything_is_written(run, tmp_path, case):
    limits, given, way_out = REFUSALS[case]
    before = tree(tmp_path)
    with pytest.raises(OptionError) as refused:
        make_sheets(run, tmp_path / "out", shop(**limits), Wanted(**given))
    assert way_out in str(refused.value)
    assert "\n" not in str(refused.value)
    assert tree(tmp_path) == before


def test_the_way_out_is_one(run, tmp_path):
    """What is proposed for a page that is too large is taken."""
    one = shop(page=(110.0, 180.0))
    make_sheets(run, tmp_path / "out", one, Wanted(split=(3, 1)))
    assert (tmp_path / "out" / "sheet-3-r1c3.pdf").exists()
    with pytest.raises(OptionError, match="--split 3x1"):
        make_sheets(run, tmp_path / "more", one, Wanted(split=(2, 1)))


def test_a_run_without_a_size_on_paper_needs_a_dpi(tmp_path):
    run = finished_run(tmp_path / "prints", [noise(60, 60)], None)
    with pytest.raises(OptionError, match="--dpi 100"):
        make_sheets(run, tmp_path / "out", Shop("bare"), Wanted())
    assert make_sheets(run, tmp_path / "out", Shop("bare"), Wanted(dpi=50.0)).plan.trim[0] == pytest.approx(30.48)


def test_only_sheets_are_replaced(run, tmp_path):
    """Never the run itself, nor another folder of a run, nor what somebody else put there."""
    make_sheets(run, tmp_path / "out", shop(), Wanted())
    with pytest.raises(OutputError, match="--overwrite"):
        make_sheets(run, tmp_path / "out", shop(), Wanted())
    make_sheets(run, tmp_path / "out", shop(), Wanted(overwrite=True))
    with pytest.raises(OutputError, match=r"(choose another --out|does not write)"):
        make_sheets(run, run, shop(), Wanted(overwrite=True))
    (tmp_path / "out" / "mine.txt").write_text("keep")
    with pytest.raises(OutputError, match=r"mine\.txt"):
        make_sheets(run, tmp_path / "out", shop(), Wanted(overwrite=True))


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device")])
@pytest.mark.parametrize("kind", ["pdf", "tiff", "films"])
def test_ctrl_c_and_a_full_disk_leave_nothing(run, tmp_path, monkeypatch, error, kind):
    given = {"colour": "films", "bits": 1, "device_dpi": 300.0} if kind == "films" else {"kind": kind}
    before = tree(tmp_path)

    def fails(plan):
        raise error

    # The second sheet fails, with the first one already complete.
    calls = iter([lambda plan: [], fails, fails])
    module = films if kind == "films" else sheet_files
    monkeypatch.setattr(module, "marks_of", lambda plan: next(calls)(plan))
    with pytest.raises((KeyboardInterrupt, OutputError)) as raised:
        make_sheets(run, tmp_path / "out", shop(**given), Wanted())
    assert isinstance(raised.value, KeyboardInterrupt) or "No space left" in str(raised.value)
    assert tree(tmp_path) == before


BAD_SHOPS = {
    "name = 3\nformat = 1": "no name",
    'name = "x"': "format = 1",
    'format = 1\nname = "x"\ncolor = "rgb"': "'color'",
    'format = 1\nname = "x"\ncolour = "blue"': "rgb, cmyk or films",
    'format = 1\nname = "x"\nbleed = -1': "bleed",
    'format = 1\nname = "x"\nborder = 5': "marks need 16 mm",
    'format = 1\nname = "x"\npage = 3': "wrong kind",
    'format = 1\nname = "x"\nlargest_file = "many"': "largest_file",
    "format =": "not TOML",
}


@pytest.mark.parametrize("text", BAD_SHOPS)
def test_a_shop_that_makes_no_sense_is_refused(tmp_path, text):
    path = tmp_path / "shop.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as refused:
        load_shop(path)
    assert BAD_SHOPS[text] in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_profile_that_is_none_is_refused(run, tmp_path):
    path = tmp_path / "shop.icc"
    path.write_bytes(b"no profile" * 30)
    with pytest.raises(InputError, match="not an ICC profile of a CMYK printer"):
        make_sheets(run, tmp_path / "out", shop(colour="cmyk"), Wanted(profile=path))


def test_letters_have_outlines():
    """Each letter has as many contours as it has lines around it, and stands on its line."""
    for letter, count in {"l": 1, "i": 2, "o": 2, "8": 3, "%": 5, "é": 0, "²": 1}.items():
        assert len(text_outlines(letter, 0, 0, 10)) == count, letter
    (stem,) = text_outlines("l", 5, 20, 10)
    assert stem[:, 1].max() == pytest.approx(20, abs=0.1)
    (upright,) = text_outlines("H", 0, 0, 10)
    assert np.ptp(upright[:, 1]) == pytest.approx(10, rel=0.05)
    (turned,) = text_outlines("H", 0, 0, 10, turned=True)
    assert np.ptp(turned[:, 0]) == pytest.approx(np.ptp(upright[:, 1]))


def test_the_verb(mlsolve, run, tmp_path):
    done = mlsolve("sheets", "prints", "--shop", "generic-backlit", "--out", "o", "--json")
    assert done.status == 0, done.err
    facts = json.loads(done.out)
    assert facts["files"] == ["sheet-1.pdf", "sheet-2.pdf", "sheet-3.pdf", "assembly.pdf", "for-the-shop.txt"]
    assert facts["bleed"] == 5
    assert sorted(facts["files"]) == sorted(path.name for path in (tmp_path / "o").iterdir())
    done = mlsolve("sheets", "prints", "--shop", "home", "--border", 0, "--mirror")
    assert "mirrored, for printing on the back" in done.out
    assert (tmp_path / "prints-sheets" / "assembly.pdf").exists()
    assert "generic-film" in mlsolve("sheets", "prints", "--shop", "nobody").refusal
    assert "2x1" in mlsolve("sheets", "prints", "--shop", "home", "--split", "2").refusal
    assert "relative" in mlsolve("sheets", "prints", "--shop", "home", "--intent", "absolute").refusal
    done = mlsolve("sheets", "prints", "--shop", "generic-uv-acrylic", "--out", "u")
    assert "warning    the files are RGB, and generic-uv-acrylic takes CMYK" in done.out
    assert "[default: as the shop's file says]" in " ".join(
        mlsolve("sheets", "--help").out.replace("│", "").split()
    )


@pytest.mark.parametrize(("option", "value"), [("screen", "fm"), ("intent", "perceptual")])
def test_an_option_that_would_change_nothing_is_refused(mlsolve, run, tmp_path, option, value):
    before = tree(tmp_path)
    said = mlsolve("sheets", "prints", "--shop", "generic-backlit", f"--{option}", value).refusal
    assert said.startswith(f"{option} is {value}, and ")
    assert f"leave --{option} out" in said
    assert tree(tmp_path) == before


MEASURE = """
import dataclasses, sys
from pathlib import Path
import mlsolve.scoring.developing, pyvips
from mlsolve_kernels.codes import cpu
from mlsolve.errors import OptionError
from mlsolve.sheets import folder
from mlsolve.sheets.output_profile import srgb_output_profile
from mlsolve.sheets.shop import Shop
from mlsolve.system.memory import forget_peak, parse_memory, peak_memory, resident_memory

one = Shop("test", bleed=3.0, bits=int(sys.argv[1]))
folder.make_sheets(Path("small"), Path("warm"), one, folder.Wanted())  # compiles and loads
asked = folder.Wanted(memory=1)
try:
    folder.make_sheets(Path("wide"), Path("out"), one, asked)
except OptionError as error:
    need = parse_memory(str(error).split(" need ")[1].split(",")[0].replace(" ", ""))
forget_peak()
before = resident_memory()
folder.make_sheets(Path("wide"), Path("out"), one, dataclasses.replace(asked, memory=int(need * 1.02)))
print(need, peak_memory() - before)
"""


@pytest.mark.skipif(
    sys.platform != "linux", reason="the peak of a process can be reset on Linux only: run it there"
)
@pytest.mark.parametrize("bits", [8, 16])
def test_a_sheet_takes_the_memory_that_it_says(tmp_path, bits):
    kind = np.uint8 if bits == 8 else np.uint16
    finished_run(tmp_path / "small", [noise(60, 60, 3, kind)])
    finished_run(tmp_path / "wide", [noise(700, 16000, 3, kind)])
    command = [sys.executable, "-c", MEASURE, str(bits)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment())
    assert done.returncode == 0, done.stderr
    need, taken = map(int, done.stdout.split())
    assert taken <= need
    assert need < 12 * 16000 * 3 * 2 * 128 * (1 if bits == 8 else 2)


def test_ctrl_c_while_a_sheet_is_written(tmp_path):
    """In a process of its own, as a person would press it: it says so, and nothing is left."""
    run = finished_run(tmp_path / "prints", [noise(3000, 3000)] * 2)
    before = sorted(tmp_path.iterdir())
    words = [
        "-m",
        "mlsolve_cli",
        "sheets",
        str(run),
        "--shop",
        "home",
        "--border",
        "0",
        "--out",
        str(tmp_path / "out"),
    ]
    before_us = signal.signal(signal.SIGINT, signal.SIG_DFL)  # in the background shells have it ignored
    try:
        process = subprocess.Popen([sys.executable, *words], stderr=subprocess.PIPE, env=environment(), text=True)
    finally:
        signal.signal(signal.SIGINT, before_us)
    while process.poll() is None and not list(tmp_path.glob(".out.partial-*/.sheet-*")):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "interrupted: nothing was written" in said
    assert sorted(tmp_path.iterdir()) == before
