"""What a shop's preflight finds: faults planted into files that have none, each found and named."""

import json
import re
import sys

import numpy as np
import pikepdf
import pytest
import tifffile
from pikepdf import Array, Dictionary, Name
from PIL import Image

from mlsolve.errors import InputError, OptionError
from mlsolve.pictures.writers.srgb_profile import srgb_profile
from mlsolve.sheets.folder import make_sheets
from mlsolve.sheets.inspection import Asked, inspect_file
from mlsolve.sheets.shop import Shop, load_shop
from mlsolve.sheets.tasks import Wanted
from printed import finished_run, noise

SHOP = Shop("test", bleed=3.0, border=22.0, least_dpi=85.0, most_dpi=150.0)
ASKED = Asked(SHOP, (150 * 25.4 / 100 + 44, 200 * 25.4 / 100 + 44))


@pytest.fixture
def sheet(tmp_path):
    run = finished_run(tmp_path / "prints", [noise(200, 150)])
    make_sheets(run, tmp_path / "out", SHOP, Wanted())
    return tmp_path / "out" / "sheet-1.pdf"


def changed(path, change):
    """Return a copy of a PDF that `change` has spoiled."""
    copy = path.with_name("spoiled.pdf")
    with pikepdf.open(path) as pdf:
        change(pdf, pdf.pages[0].obj)
        pdf.save(copy)
    return copy


def white_spot(pdf, page):
    tint = pdf.make_stream(b"{ dup dup dup }", FunctionType=4, Domain=[0, 1], Range=[0, 1] * 4)
    space = Array([Name.Separation, Name("/RDG_WHITE"), Name.DeviceCMYK, tint])
    page.Resources.ColorSpace = Dictionary(CS0=space)
    page.Contents = pdf.make_stream(page.Contents.read_bytes() + b"\n/CS0 cs 1 scn 0 0 10 10 re f")


def other_spot(pdf, page):
    white_spot(pdf, page)
    page.Resources.ColorSpace.CS0[1] = Name("/Gold")


def no_bleed(pdf, page):
    page.BleedBox = page.TrimBox


def wrong_size(pdf, page):
    page.TrimBox = Array([float(one) + by for one, by in zip(page.TrimBox, (0, 0, -9, 0), strict=True)])


def cmyk(pdf, page):
    page.Contents = pdf.make_stream(page.Contents.read_bytes() + b"\n0 0 0 1 k 0 0 10 10 re f")


def coarse(pdf, page):
    (image,) = page.Resources.XObject.values()
    data = np.frombuffer(image.read_bytes(), np.uint8).reshape(int(image.Height), int(image.Width), 3)
    small = np.ascontiguousarray(data[::2, ::2])
    image.write(small.tobytes())
    image.Height, image.Width = small.shape[:2]


def no_profile(pdf, page):
    del pdf.Root.OutputIntents


def display_profile(pdf, page):
    pdf.Root.OutputIntents[0].DestOutputProfile = pdf.make_stream(srgb_profile(), N=3)


def cropped(pdf, page):
    page.CropBox = Array([60, 60, 200, 200])


def transparent(pdf, page):
    page.Resources.ExtGState = Dictionary(G=Dictionary(Type=Name.ExtGState, ca=0.5))


def no_font(pdf, page):
    page.Resources.Font = Dictionary(F=Dictionary(Type=Name.Font, Subtype=Name.Type1, BaseFont=Name.Helvetica))


def stretched(pdf, page):
    text = page.Contents.read_bytes().decode()
    page.Contents = pdf.make_stream(("1.5 0 0 1 0 0 cm " + text).encode())


def turned(pdf, page):
    page.Rotate = 90


def two_pages(pdf, page):
    pdf.pages.append(pdf.pages[0])


def comment(pdf, page):
    page.Annots = Array([Dictionary(Type=Name.Annot, Subtype=Name.Text, Rect=[0, 0, 9, 9])])


def no_trim(pdf, page):
    del page.TrimBox


def trim_outside(pdf, page):
    page.TrimBox = Array([-50, 0, 200, 200])
    del page.BleedBox


FAULTS = {
    white_spot: (2, "RDG_WHITE"),
    other_spot: (1, "Gold"),
    no_bleed: (2, "bleed is 0.0 mm"),
    wrong_size: (2, "is asked"),
    cmyk: (1, "it is CMYK"),
    coarse: (1, "dpi, less than 85"),
    no_profile: (1, "no profile"),
    display_profile: (1, "not that of a printer"),
    cropped: (2, "CropBox"),
    transparent: (1, "transparency"),
    no_font: (2, "Helvetica is not embedded"),
    stretched: (1, "stretched"),
    turned: (2, "turned by 90°"),
    two_pages: (1, "2 pages"),
    comment: (1, "comments"),
    no_trim: (2, "no TrimBox"),
    trim_outside: (2, "TrimBox is larger"),
}


def test_what_mlsolve_writes_is_as_the_shop_asks(sheet):
    report = inspect_file(sheet, ASKED)
    assert report.findings == []
    assert report.status == 0
    assert report.kind == "PDF 1.6, PDF/X-4"
    assert report.trim == pytest.approx(ASKED.trim, abs=0.001)
    assert report.bleed == pytest.approx(3, abs=0.001)
    assert report.dpi == pytest.approx(100, abs=0.001)
    assert report.colours == ["DeviceRGB"]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_planted_fault_is_found(sheet, fault):
    status, words = FAULTS[fault]
    report = inspect_file(changed(sheet, fault), ASKED)
    assert report.status == status, report.findings
    assert any(words in one.words for one in report.findings), report.findings
    for one in report.findings:
        assert ":" in one.words  # and says what to do


def test_rgb_where_cmyk_is_asked(sheet):
    asked = Asked(Shop("ink", colour="cmyk", bleed=3.0))
    assert any("takes CMYK" in one.words for one in inspect_file(sheet, asked).findings)


def test_a_sheet_within_forms_is_followed(sheet):
    """A picture inside a form inside a form has the resolution that both of their matrices give it."""

    def wrapped(pdf, page):
        inner = pdf.make_stream(page.Contents.read_bytes())
        inner.update(
            Dictionary(Type=Name.XObject, Subtype=Name.Form, BBox=[0, 0, 9999, 9999], Matrix=[2, 0, 0, 2, 0, 0])
        )
        inner.Resources = page.Resources
        outer = pdf.make_stream(b"/Inner Do")
        outer.update(Dictionary(Type=Name.XObject, Subtype=Name.Form, BBox=[0, 0, 9999, 9999]))
        outer.Resources = Dictionary(XObject=Dictionary(Inner=inner))
        page.Resources = Dictionary(XObject=Dictionary(Outer=outer))
        page.Contents = pdf.make_stream(b"q .25 0 0 .25 0 0 cm /Outer Do Q")

    assert inspect_file(changed(sheet, wrapped)).dpi == pytest.approx(200, abs=0.01)


def test_pictures_are_looked_at_too(tmp_path):
    grey = np.zeros((100, 200), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", grey, resolution=(100, 100), resolutionunit="INCH")
    report = inspect_file(tmp_path / "a.tif")
    assert report.trim == pytest.approx((50.8, 25.4), abs=0.001)
    assert report.colours == ["grey"]
    assert report.status == 1  # no profile
    five = np.zeros((50, 50, 6), np.uint8)
    tifffile.imwrite(
        tmp_path / "b.tif", five, photometric="separated", resolution=(100, 100), resolutionunit="INCH"
    )
    assert inspect_file(tmp_path / "b.tif").spots == ["6 channels"]
    report = inspect_file(tmp_path / "a.tif", Asked(SHOP))
    assert any("takes pdf" in one.words for one in report.findings)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.webp"])
def test_a_picture_without_a_resolution_has_no_size(tmp_path, mlsolve, name):
    """libvips says 72 dpi of such files, which nobody has said."""
    Image.fromarray(np.zeros((50, 60, 3), np.uint8)).save(tmp_path / name)
    report = inspect_file(tmp_path / name)
    assert (report.dpi, report.trim, report.status) == (None, None, 1)
    assert any("does not say its resolution" in one.words for one in report.findings)
    done = mlsolve("inspect", name)
    assert re.search(r"resolution +the file says none, 1 picture of 60×50 pixels\n", done.out)
    assert re.search(r"size +unknown\n", done.out)


def test_a_picture_that_says_72_dpi_has_a_size(tmp_path):
    Image.fromarray(np.zeros((50, 60, 3), np.uint8)).save(tmp_path / "a.png", dpi=(72, 72))
    assert inspect_file(tmp_path / "a.png").dpi == pytest.approx(72, abs=0.02)


def test_a_tiff_of_ours_says_trim_and_bleed(tmp_path):
    """As its job sheet does, to the decimal, although its page is a whole number of pixels."""
    run = finished_run(tmp_path / "prints", [noise(200, 150)], 90.3)
    one = Shop("test", kind="tiff", bleed=3.0, border=22.0)
    written = make_sheets(run, tmp_path / "out", one, Wanted())
    path = tmp_path / "out" / "sheet-1.tif"
    report = inspect_file(path, Asked(one, written.plan.trim))
    assert report.findings == []
    assert report.trim == pytest.approx(written.plan.trim, abs=0.001)
    assert report.bleed == 3
    said = "{:.1f} x {:.1f} mm".format(*report.trim)
    assert f"Trimmed size    {said}" in (tmp_path / "out" / "for-the-shop.txt").read_text(encoding="utf-8")
    # Asked for more bleed, or cut since.
    asked = Asked(Shop("more", kind="tiff", bleed=5.0, border=24.0))
    assert any("bleed is 3.0 mm" in one.words for one in inspect_file(path, asked).findings)
    with tifffile.TiffFile(path) as file:
        words = file.pages[0].description
    tifffile.imwrite(
        tmp_path / "cut.tif",
        tifffile.imread(path)[:-20],
        resolution=(90.3, 90.3),
        resolutionunit="INCH",
        description=words,
        photometric="rgb",
    )
    assert any("says that it is trimmed to" in one.words for one in inspect_file(tmp_path / "cut.tif").findings)


def test_several_pages_are_warned_of_whatever_the_shop(tmp_path):
    """Except where the shop prints on pages of paper."""
    run = finished_run(tmp_path / "prints", [noise(1200, 1000)])
    make_sheets(run, tmp_path / "out", load_shop("home"), Wanted())
    path = tmp_path / "out" / "sheet-1.pdf"
    assert [one.words for one in inspect_file(path).findings] == ["it has 4 pages: give one file a sheet"]
    assert inspect_file(path, Asked(load_shop("home"))).findings == []


@pytest.mark.parametrize("content", [b"%PDF-1.6\nnothing", b"%PDF-1.6\n" + b"x" * 500, b"words only"])
def test_what_is_no_sheet_is_refused_in_one_line(tmp_path, content):
    (tmp_path / "a.pdf").write_bytes(content)
    with pytest.raises(InputError) as refused:
        inspect_file(tmp_path / "a.pdf")
    assert "\n" not in str(refused.value)
    assert "b'" not in str(refused.value)
    assert str(refused.value).count("a.pdf") == 1


@pytest.mark.parametrize("name", ["a.csv", "a.mat"])
def test_a_table_is_no_picture(tmp_path, name):
    """libvips reads numbers in a text as one."""
    (tmp_path / name).write_text("2 2\n1 2\n3 4\n" if name == "a.mat" else "a,b\n1,2\n")
    with pytest.raises(InputError, match="is neither a PDF nor a picture that can be read"):
        inspect_file(tmp_path / name)


def test_without_pikepdf_it_says_what_to_install(sheet, monkeypatch):
    monkeypatch.setitem(sys.modules, "pikepdf", None)
    with pytest.raises(OptionError, match=r"pip install 'mlsolve\[shop\]'"):
        inspect_file(sheet)


def test_the_verb_exits_as_it_found(mlsolve, sheet):
    size = f"{ASKED.trim[0]}x{ASKED.trim[1]}mm"
    done = mlsolve("inspect", sheet, "--print", size)
    assert (done.status, done.err) == (0, "")
    assert "nothing that a shop would object to" in done.out
    assert mlsolve("inspect", changed(sheet, no_profile)).status == 1
    done = mlsolve("inspect", changed(sheet, white_spot), "--json")
    assert done.status == 2
    assert json.loads(done.out)["spots"] == ["RDG_WHITE"]
    assert mlsolve("inspect", "nowhere.pdf").refusal.startswith("nowhere.pdf does not exist")
