"""The pages for the workshop tell what was written, file by file, and nothing that is not there."""

import re

import numpy as np
import pikepdf
import pytest

from mlsolve.job.job_file import load_job
from mlsolve.media import load_media
from mlsolve.scoring.developing import looks_of
from mlsolve.sheets import page, side_view
from mlsolve.sheets.folder import make_sheets
from mlsolve.sheets.shop import Shop, load_shop
from mlsolve.sheets.tasks import Wanted
from mlsolve.sheets.workshop import workshop_of
from printed import finished_run, noise


@pytest.fixture
def run(tmp_path):
    return finished_run(tmp_path / "prints", [noise(480, 540) for _ in range(3)])


@pytest.fixture
def told(tmp_path, monkeypatch):
    """Return a function that makes sheets: the words on the pages of assembly.pdf, joined, and for-the-shop.txt."""
    pages = {}
    write = page.Page.text

    def noted(self, words, *rest):
        pages.setdefault(id(self), (self, []))[1].append(words)
        write(self, words, *rest)

    monkeypatch.setattr(page.Page, "text", noted)

    def made(run, shop, **wanted):
        pages.clear()
        out = tmp_path / f"out-{len(list(tmp_path.iterdir()))}"
        written = make_sheets(run, out, shop, Wanted(**wanted))
        words = [" ".join(lines) for _, lines in pages.values()]
        with pikepdf.open(out / "assembly.pdf") as pdf:
            assert len(pdf.pages) == len(words)
        return words, (out / "for-the-shop.txt").read_text(encoding="utf-8"), written

    return made


def shop(**changed):
    return Shop("test", **({"bleed": 3.0, "border": 22.0} | changed))


def test_two_pages_where_every_file_is_a_sheet(run, told):
    words, text, written = told(run, shop())
    assert len(words) == 2
    assert "page 3" not in words[0]
    width, height = written.plan.trim
    assert f"{width:.1f} × {height:.1f} mm each" in words[0]
    for name in written.files[:3]:
        assert re.search(rf"{name} +sheet {name[6]} of 3 +{width:.1f} x {height:.1f} mm", text)


def test_split_sheets_are_told_part_by_part(run, told):
    words, text, written = told(run, shop(), split=(2, 1))
    assert len(words) == 3
    assert "181.2 × 165.9 mm each" in words[0]  # 540×480 pixels at 100 dpi and the border
    assert "2 parts" in words[0]
    for part in (1, 2):
        files = ", ".join(f"sheet-{number}-r1c{part}.pdf" for number in (1, 2, 3))
        assert f"row 1, column {part}, from the top:  {files}" in words[2]
    for said in ("edge to edge", "No edge overlaps", "dashed mark CUT", "3 mm of its neighbour"):
        assert said in words[2]
    assert re.search(r"sheet-3-r1c2.pdf +sheet 3 of 3, row 1 of 1, column 2 of 2 +112.6 x 165.9 mm", text)
    assert "2 parts, which the maker joins" in text
    assert len(written.files) == 8


def test_films_are_told_one_by_one(run, told):
    words, text, _ = told(run, shop(colour="films", bits=1, device_dpi=300.0, bleed=0.0))
    assert len(words) == 3
    for number in (1, 2, 3):
        for at, ink in enumerate(("cyan", "magenta", "yellow")):
            angle = 10.0 * (3 * (number - 1) + at)
            screen = f"45 lines per inch at {angle:.1f}°"
            assert f"{number} {ink} sheet-{number}-{ink}.pdf {screen}" in words[2]
            assert re.search(rf"sheet-{number}-{ink}.pdf +sheet {number} of 3, film of {ink} .*{screen}", text)
    for said in ("exposes one screen", "in register", "cyan, magenta and yellow on the same clear sheet"):
        assert said in words[2]


def test_pages_from_home_are_told_in_their_order(told, tmp_path):
    wide = finished_run(tmp_path / "wide", [noise(1200, 1000)] * 2)
    words, text, written = told(wide, load_shop("home"))
    assert written.pages == 4
    assert len(words) == 3
    for number, where in enumerate(
        ("row 1 of 2, column 1", "row 1 of 2, column 2", "row 2 of 2, column 1"), start=1
    ):
        assert f"page {number}" in words[2]
        assert f"page {number}   {where}" in text
    for said in (
        "In every row, from the left",
        "Then the rows, from the top",
        "10 mm wide",
        "later page always lies on",
    ):
        assert said in words[2]


def test_nothing_is_said_of_marks_that_are_not_there(run, told):
    for given in ({"border": 0.0, "bleed": 0.0}, {"border": 0.0, "split": (2, 1)}):
        split = given.pop("split", (1, 1))
        words, text, _ = told(run, shop(**given, mirror=True), split=split)
        for said in (*words, text):
            found = re.findall(
                r"\b(?:cross|target|hole|punch|vernier|bars?|ring|border is|text reads|CUT)\w*", said, re.I
            )
            assert found == [], said


def test_marks_without_room_are_not_told(told, tmp_path):
    """A small sheet has targets, but neither holes nor verniers."""
    small = finished_run(tmp_path / "small", [noise(160, 160)] * 2)
    words, text, written = told(small, shop())
    assert written.plan.targets
    assert not written.plan.pins
    assert "too small for holes" in words[1]
    assert "Punch" not in words[1]
    assert "Punch" not in text
    assert ("vernier" in words[1]) == bool(written.plan.verniers)


def test_sheets_of_device_codes_are_shown_as_they_look(tmp_path):
    layers = [noise(90, 100), noise(90, 100)]
    folder = finished_run(tmp_path / "prints", layers, 100.0, 'media = "inkjet-film"\nroom = 0.1')
    found = workshop_of(folder, load_job(folder / "job.toml"), 100.0)
    # On the box of the stack a sheet alone is 1 / 0.1 times as bright, and the room is not.
    inks = load_media("inkjet-film").inks._replace(room=0.01)
    codes = np.stack(layers).astype(np.float32) / 255
    wanted = np.rint(looks_of(codes, inks, 0.01) * 255)
    for look, layer, want in zip(found.looks, layers, wanted, strict=True):
        # A preview holds the bands in eight bits.
        assert np.abs(look.astype(int) - want).max() <= 6
        assert np.abs(look.astype(int) - want).mean() < 0.7
        assert np.abs(look.astype(int) - layer).max() > 20


def test_gaps_are_drawn_to_scale(tmp_path, told, monkeypatch):
    folder = finished_run(tmp_path / "prints", [noise(90, 100)] * 3, 100.0, 'gap = ["1mm", "3mm"]')
    lines, rectangle = [], side_view.rectangle

    def noted(x, y, width, height):
        if height == side_view._PRINT:
            lines.append(y)
        return rectangle(x, y, width, height)

    monkeypatch.setattr(side_view, "rectangle", noted)
    words, _, _ = told(folder, shop())
    upper, lower = np.diff(lines)
    assert lower / upper == pytest.approx(3)
    scale = float(re.search(r"gaps drawn ([0-9.]+) times as large", words[0])[1])
    assert upper == pytest.approx(scale)
    assert "1 mm" in words[0]
    assert "3 mm" in words[0]


def test_turns_and_shifts_are_told_in_mm_and_where_marks_do_not_meet(told, tmp_path):
    place = 'target = "t.png"\nplace = [1, {layer = 2, rotate = 30, shift = [10, -5]}, {layer = 3, rotate = 180}]'
    turned = finished_run(tmp_path / "turned", [noise(400, 400)] * 3, 100.0, "", f"[[arrangement]]\n{place}")
    words, _, _ = told(turned, shop())
    assert "rotate 30° left, shift 2.5 mm right, shift 1.3 mm up" in words[0]
    assert "rotate 180° " in f"{words[0]} "
    assert "another angle than 90°" in words[1]
    assert "lie off those of the others" in words[1]
    straight = finished_run(tmp_path / "straight", [noise(400, 400)] * 9)
    words, _, written = told(straight, shop())
    last = max(one.sheet for one in written.plan.verniers)
    assert last < 9
    assert f"Sheets 2 to {last} have their own" in words[1]
    assert "another angle" not in words[1]


def test_films_of_parts_have_a_page_on_each(run, told):
    words, text, _ = told(run, shop(colour="films", bits=1, device_dpi=300.0), split=(2, 1))
    assert len(words) == 4
    assert "sheet-1-r1c1-cyan.pdf" in words[2]
    assert "edge to edge" in words[3]
    assert re.search(r"sheet-2-r1c2-magenta.pdf +sheet 2 of 3, row 1 of 1, column 2 of 2, film of magenta", text)
